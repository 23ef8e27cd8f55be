//! The plugin: its state, and how the broker's events reach it.
//!
//! The state is in cells of their own, each borrowed only for as long as it is looked at, and never while the broker is
//! called: the broker may raise further events from within (see [`Broker::kick`]).

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ace_profile::jose::Jwk;
use ace_profile::proof::ReplayCache;
use ace_profile::scope::Scope;
use ace_profile::token::Validator;
use ace_profile::{Refusal, Timestamp};
use ace_resource_server::Reason;
use ace_resource_server::config::{Configuration, RevocationSource};
use ace_resource_server::remote::{Remote, RevocationList};
use ace_resource_server::rights::Matchers;

use crate::broker::tls::KeyHolder;
use crate::broker::{
    AclCheck, BasicAuth, Broker, Client, ClientKey, Control, ExtendedAuth, Handler, Level, Message, Options, PskKey,
    Verdict, WillSet, clock, tls,
};
use crate::control;
use crate::events::{Allowance, Arriving, AuthzInfo, Challenges, Commands, Delayed};
use crate::metrics::{Counters, End, Instance, Source, Topics};
use crate::refusal_log::RefusalLog;
use crate::session::{Arrivals, HeldTokens, Phase, Publisher, Publishers, Sessions};
use crate::state::{Opened, State};

/// The one option that `mosquitto.conf` has for us.
const CONFIG_FILE: &str = "config_file";

/// A loaded plugin.
pub struct Plugin {
    pub(crate) broker: Broker,
    config_file: RefCell<PathBuf>,
    configuration: RefCell<Rc<Configuration>>,
    /// Whether anything is open to all. Beside the configuration, because it is asked about with each message denied.
    pub(crate) has_public_topics: Cell<bool>,
    /// Judges tokens: the configuration's, with the keys that have been fetched.
    pub(crate) validator: RefCell<Rc<Validator>>,
    pub(crate) sessions: RefCell<Sessions>,
    pub(crate) publishers: RefCell<Publishers>,
    pub(crate) held: Rc<RefCell<HeldTokens>>,
    /// The tokens among them that have come since we last looked.
    pub(crate) arrivals: Arrivals,
    /// Which raw public keys clients may come with.
    known_keys: Rc<KnownKeys>,
    /// What outlives a restart, if a folder is configured for it.
    pub(crate) state: Option<Rc<State>>,
    pub(crate) matchers: RefCell<Matchers>,
    pub(crate) challenges: RefCell<Challenges>,
    /// Authentications that the broker has put off, and tokens that are to be held, until they can be judged.
    pub(crate) delayed: RefCell<Vec<Delayed>>,
    pub(crate) arriving: RefCell<Vec<Arriving>>,
    /// When these were last looked at.
    pub(crate) attempts_looked_at: Cell<Option<Instant>>,
    /// How long the broker's thread may wait for a server.
    pub(crate) allowance: RefCell<Allowance>,
    pub(crate) replays: RefCell<ReplayCache>,
    pub(crate) remote: RefCell<Remote>,
    /// Clients to be disconnected at the next occasion.
    pub(crate) endings: RefCell<Vec<ClientKey>>,
    /// Whether the broker has just read its configuration again, and may be asking about clients that are connected.
    pub(crate) rechecking: Cell<bool>,
    /// Counts the turns of the broker's loop, as far as it lets us see them.
    pub(crate) turn: Cell<u64>,
    /// The topic that takes tokens.
    pub(crate) authz_info: AuthzInfo,
    /// The topic that takes commands.
    pub(crate) commands: Commands,
    /// What has happened since the plugin was loaded.
    pub(crate) counters: Counters,
    /// Bounds the lines about refusals.
    pub(crate) refusal_log: RefCell<RefusalLog>,
    /// Which of the process's plugins this is.
    pub(crate) instance: Instance,
    /// Where numbers are read from, and
    pub(crate) metrics_source: RefCell<Option<Source>>,
    /// where they are published,
    pub(crate) topics: RefCell<Option<Topics>>,
    /// and were, until the configuration was another.
    pub(crate) retired_topics: RefCell<Vec<Topics>>,
    /// Whether the configuration could be read when that was tried last, and when the one in force was.
    pub(crate) configuration_read: Cell<(bool, Timestamp)>,
}

impl Plugin {
    fn new(broker: Broker, config_file: PathBuf, configuration: Configuration) -> Self {
        let held = HeldTokens::shared(&config_file);
        let arrivals = held.borrow_mut().watch();
        let known_keys = Rc::new(KnownKeys { are_taken: Cell::new(false), held: Rc::clone(&held) });
        let replays = ReplayCache::new(window(&configuration), clock::now());
        let refusals_per_minute = configuration.refusals_per_minute;
        let mut remote = Remote::default();
        remote.replace_revocation_lists(revocation_lists(&configuration));
        // First, since key sets may know where servers are asked about tokens.
        remote.replace_key_sets(&configuration.key_sources, Instant::now());
        remote.replace_introspection(&configuration.introspection, configuration.introspection_bounds);
        Self {
            broker,
            config_file: RefCell::new(config_file),
            has_public_topics: Cell::new(!configuration.public.matcher.is_empty()),
            validator: RefCell::new(Rc::new(configuration.validator.clone())),
            configuration: RefCell::new(Rc::new(configuration)),
            sessions: RefCell::default(),
            publishers: RefCell::default(),
            held,
            arrivals,
            known_keys,
            state: None,
            matchers: RefCell::default(),
            challenges: RefCell::default(),
            delayed: RefCell::default(),
            arriving: RefCell::default(),
            attempts_looked_at: Cell::new(None),
            allowance: RefCell::new(Allowance::new(Instant::now())),
            replays: RefCell::new(replays),
            remote: RefCell::new(remote),
            endings: RefCell::default(),
            rechecking: Cell::new(false),
            turn: Cell::new(0),
            authz_info: AuthzInfo::default(),
            commands: Commands::new(clock::now()),
            counters: Counters::new(Reason::CODES.iter().chain(Refusal::CODES).copied()),
            refusal_log: RefCell::new(RefusalLog::new(refusals_per_minute, Instant::now())),
            instance: Instance::next(),
            metrics_source: RefCell::default(),
            topics: RefCell::default(),
            retired_topics: RefCell::default(),
            configuration_read: Cell::new((true, clock::now())),
        }
    }

    /// Takes up what was known before the restart.
    fn open_state(&mut self) -> Result<(), String> {
        let Some(folder) = self.configuration().state_dir.clone() else { return Ok(()) };
        let Opened { state, records, complaints, missing } =
            State::open(&folder).map_err(|error| format!("state_dir: {error}"))?;
        for complaint in complaints {
            self.broker.log(Level::Warning, &format!("ace: {complaint}"));
        }
        if let Some(file) = missing {
            let file = file.display();
            self.broker.log(
                Level::Notice,
                &format!("ace: {file}: there is no such file yet; publishers from before this start count as expired"),
            );
        }
        let (mut matchers, mut publishers) = (self.matchers.borrow_mut(), self.publishers.borrow_mut());
        for record in records {
            // What the file says is checked as what a token says.
            let scope = Scope::from_aif_value(&record.scope);
            let names = (CString::new(record.client_id), CString::new(record.user_name));
            let (Ok(scope), (Ok(client_id), Ok(user_name))) = (scope, names) else { continue };
            let (_, matcher) = matchers.compiled(&scope);
            publishers
                .insert(&client_id, Publisher { user_name, matcher, expires: record.expires, origin: record.origin });
        }
        drop((matchers, publishers));
        self.state = Some(state);
        Ok(())
    }

    /// Tells what has been asked of servers, if anything has.
    fn log_counters(&self) {
        let counters = self.remote.borrow().counters();
        if counters.is_used() {
            self.broker.log(Level::Info, &format!("ace: introspection: {counters}"));
        }
        self.log_key_counters(Instant::now());
    }

    /// Puts another configuration in force.
    pub(crate) fn take_up_configuration(&self, configuration: Configuration) {
        let state_dir = self.state.as_ref().map(|state| state.folder());
        let folder = configuration.state_dir.as_deref().map(|folder| folder.canonicalize().unwrap_or_default());
        if folder.as_deref() != state_dir {
            self.broker.log(Level::Warning, "ace: a new state_dir is used only after a restart");
        }
        self.replays.borrow_mut().set_window(window(&configuration), clock::now());
        let mut remote = self.remote.borrow_mut();
        remote.replace_revocation_lists(revocation_lists(&configuration));
        // First, since key sets may know where servers are asked about tokens.
        remote.replace_key_sets(&configuration.key_sources, Instant::now());
        remote.replace_introspection(&configuration.introspection, configuration.introspection_bounds);
        *self.validator.borrow_mut() = Rc::new(remote.with_fetched_keys(&configuration.validator));
        drop(remote);
        self.log_counters();
        self.has_public_topics.set(!configuration.public.matcher.is_empty());
        self.known_keys.are_taken.set(configuration.raw_public_keys);
        *self.configuration.borrow_mut() = Rc::new(configuration);
        self.configure_authz_info();
        if let Err(reason) = self.configure_metrics() {
            self.broker.log(Level::Error, &format!("ace: {reason}; what was before stays"));
        }
        self.configuration_read.set((true, clock::now()));
    }

    /// The configuration in force.
    pub(crate) fn configuration(&self) -> Rc<Configuration> {
        Rc::clone(&self.configuration.borrow())
    }
}

impl Handler for Plugin {
    const CONTROL_TOPIC: &CStr = control::TOPIC;

    fn start(broker: Broker, options: &Options) -> Result<Self, String> {
        let config_file = config_file(options)?;
        let configuration = Configuration::load(&config_file).map_err(|error| error.to_string())?;
        broker.log(
            Level::Notice,
            &format!("ace: version {}, configuration {}", env!("CARGO_PKG_VERSION"), config_file.display()),
        );
        let mut plugin = Self::new(broker, config_file, configuration);
        plugin.open_state()?;
        plugin.configure_authz_info();
        plugin.configure_metrics()?;
        let has_raw_keys = tls::ask_about_raw_keys(&(Rc::clone(&plugin.known_keys) as Rc<dyn KeyHolder>));
        let wants_raw_keys = plugin.configuration().raw_public_keys;
        plugin.known_keys.are_taken.set(wants_raw_keys);
        if wants_raw_keys && !has_raw_keys {
            plugin
                .broker
                .log(Level::Warning, "ace: raw_public_keys: the broker's OpenSSL has none, they come with 3.2");
        }
        Ok(plugin)
    }

    /// Reads the configuration again. If it is broken, the old one stays in force.
    fn reload(&self, options: &Options) {
        self.rechecking.set(true);
        // The broker asks about connected clients next: whose packet it has read last must not be taken for one of theirs.
        tls::forget_last_read();
        if let Ok(path) = config_file(options) {
            *self.config_file.borrow_mut() = path;
        }
        let path = self.config_file.borrow().clone();
        match Configuration::load(&path) {
            Ok(configuration) => {
                self.take_up_configuration(configuration);
                self.broker.log(Level::Notice, &format!("ace: configuration {} read again", path.display()));
            }
            Err(error) => {
                self.configuration_read.set((false, self.configuration_read.get().1));
                let line = format!("ace: the new configuration is not used, the old one stays in force: {error}");
                self.broker.log(Level::Error, &line);
            }
        }
    }

    fn basic_auth(&self, event: &BasicAuth<'_>) -> Verdict {
        self.on_basic_auth(event)
    }

    fn extended_auth_start(&self, event: &ExtendedAuth<'_>) -> Verdict {
        self.on_extended_auth_start(event)
    }

    fn extended_auth_continue(&self, event: &ExtendedAuth<'_>) -> Verdict {
        self.on_extended_auth_continue(event)
    }

    fn control(&self, event: &Control<'_>) {
        self.on_control(event);
    }

    fn psk_key(&self, event: &PskKey<'_>) -> Verdict {
        self.on_psk_key(event)
    }

    #[inline]
    fn acl_check(&self, event: AclCheck<'_>) -> Verdict {
        self.on_acl_check(event)
    }

    #[inline]
    fn message(&self, message: &mut Message<'_>) -> Verdict {
        self.on_message(message)
    }

    fn will_set(&self, event: &WillSet<'_>) {
        self.on_will_set(event);
    }

    fn disconnect(&self, client: &Client<'_>) {
        // Its Will may be sent, and it may never have done anything that we were asked about.
        if self.sessions.borrow().of(client).is_none() {
            self.adopt(client, false);
        }
        if self.sessions.borrow().of(client).is_some_and(|session| session.phase.get() == Phase::Connected) {
            self.counters.end(End::Client);
        }
        self.sessions.borrow_mut().depart(client, self.turn.get());
        self.challenges.borrow_mut().forget(client.key());
        self.depart_from_authz_info(client);
    }

    fn tick(&self) {
        self.on_tick(clock::now());
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.tell_all_left_out();
        self.log_counters();
    }
}

/// The raw public keys that clients may come with: those that a token is held for. With any other, the handshake fails.
struct KnownKeys {
    are_taken: Cell<bool>,
    held: Rc<RefCell<HeldTokens>>,
}

impl KeyHolder for KnownKeys {
    fn takes_raw_keys(&self) -> bool {
        self.are_taken.get()
    }

    fn knows_key(&self, spki: &[u8]) -> bool {
        Jwk::from_spki(spki).is_ok_and(|key| self.held.borrow().of_key(&key.thumbprint(), clock::now()).is_some())
    }
}

/// The path in `plugin_opt_config_file`.
fn config_file(options: &Options) -> Result<PathBuf, String> {
    if let Some(unknown) = options.names().find(|name| *name != CONFIG_FILE) {
        return Err(format!("plugin_opt_{unknown} is unknown: there is only plugin_opt_{CONFIG_FILE}"));
    }
    match options.get(CONFIG_FILE) {
        Some(path) if !path.is_empty() => Ok(Path::new(path).to_path_buf()),
        _ => Err(format!("mosquitto.conf needs a line \"plugin_opt_{CONFIG_FILE} /path/to/ace.toml\"")),
    }
}

/// How long the replay cache remembers: the draft's window, or nothing where that variant is off.
fn window(configuration: &Configuration) -> Duration {
    configuration.draft00.window.unwrap_or_default()
}

/// The lists that the configuration names.
fn revocation_lists(configuration: &Configuration) -> Vec<RevocationList> {
    let sources = configuration.revocation_lists.iter();
    let list = |source: &RevocationSource| {
        RevocationList::new(source.issuer.clone(), Arc::clone(&source.endpoint), source.interval, Instant::now())
    };
    sources.map(list).collect()
}

/// How long a client may take to answer a challenge.
pub(crate) const CHALLENGE_LIFETIME: Duration = Duration::from_secs(60);

impl Plugin {
    /// Throws out what has outlived its use. Cheap where there is nothing.
    pub(crate) fn sweep(&self, now: Timestamp) {
        self.challenges.borrow_mut().forget_before(now.saturating_sub(CHALLENGE_LIFETIME));
        self.publishers.borrow_mut().forget_expired(now);
        self.held.borrow_mut().forget_expired(now);
        self.authz_info.sweep(now);
        if let Some(complaint) = self.state.as_ref().and_then(|state| state.complaint()) {
            self.broker.log(Level::Warning, &format!("ace: {complaint}"));
        }
    }
}

/// For measurements: the decision is timed for scopes that no token could carry.
#[cfg(any(test, feature = "fake-broker"))]
impl Plugin {
    /// Lets a fake client in with the rights of a scope, as if it had proved a token with it.
    pub fn admit_with_scope(
        &self,
        client: &mut crate::broker::fake::FakeClient,
        scope: &ace_profile::scope::Scope,
        expires: Timestamp,
    ) {
        use crate::session::{Phase, Rights, Session};
        use ace_resource_server::rights::Grant;

        let user_name = std::ffi::CString::from(c"subject");
        client.rename(&user_name);
        let (scope, matcher) = self.matchers.borrow_mut().compiled(scope);
        let grant = Grant {
            scope,
            matcher,
            expires,
            user_name: user_name.clone(),
            identity: None,
            binding: None,
            fingerprint: ace_profile::Fingerprint::of(b""),
            origin: ace_resource_server::rights::Origin::for_test(),
        };
        let session = Session {
            client_id: client.id().into(),
            user_name: Some(user_name.into_boxed_c_str()),
            rights: Rights::Token(Rc::new(grant)),
            address: None,
            how: "fake",
            since: clock::now(),
            phase: Cell::new(Phase::Connected),
            connection: None,
            takes_disconnect: true,
            speaks_mqtt5: true,
            turn: self.turn.get(),
            denial_logged: Cell::new(false),
            rests_on: Box::default(),
            farewell: Cell::default(),
            is_adopted: false,
            ended: None,
            lease: None,
        };
        self.sessions.borrow_mut().insert(client.key(), session);
    }
}
