//! What the broker calls: start, end, and one callback per event. Each hands a safe view of the event to the
//! [`Handler`] and turns its verdict into the broker's code.

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};

use super::abi;
use super::client::Client;
use super::event::{AclCheck, BasicAuth, Control, ExtendedAuth, Message, Options, PskKey, WillSet};
use super::functions::{Broker, Callback, Functions, Level};
use super::panic::contained;
use super::tls;
use super::verdict::Verdict;

const NAME: &CStr = c"mosquitto-ace";

/// What becomes of the broker's complaint about a plugin that asks for Wills.
const NO_WILLS: &str = "ace: with \"persistence true\", the broker does not tell of Wills when they are set, and complains of \
    being asked; its persistence works as ever, and a Will outside the client's scope is dropped when it would be sent";

/// How long the broker may wait before it calls `TICK` again, in milliseconds.
const TICK_MILLIS: i64 = 100;

/// What becomes of the second plugin that asks for the same topic.
const NO_CONTROL: &str =
    "ace: another plugin has taken the topic for commands ($CONTROL/ace/v1): this one is given none";

/// What the plugin does with each event. Methods may be entered again from within: see [`Broker::kick`].
pub trait Handler: Sized {
    /// The topic below `$CONTROL/` for which [`Self::control`] is called.
    const CONTROL_TOPIC: &CStr;

    /// The plugin is being loaded.
    ///
    /// # Errors
    /// A reason for which the broker must not start, one line.
    fn start(broker: Broker, options: &Options) -> Result<Self, String>;

    /// The configuration is to be read again.
    fn reload(&self, options: &Options);

    /// A client connects without Authentication Method.
    fn basic_auth(&self, event: &BasicAuth<'_>) -> Verdict;

    /// A client connects with an Authentication Method, or authenticates again.
    fn extended_auth_start(&self, event: &ExtendedAuth<'_>) -> Verdict;

    /// A client answers a challenge.
    fn extended_auth_continue(&self, event: &ExtendedAuth<'_>) -> Verdict;

    /// A client has published to [`Self::CONTROL_TOPIC`].
    fn control(&self, event: &Control<'_>);

    /// A client names a pre-shared key in its TLS handshake.
    fn psk_key(&self, event: &PskKey<'_>) -> Verdict;

    /// A client wants to do something with a topic. Called for each message and subscriber.
    fn acl_check(&self, event: AclCheck<'_>) -> Verdict;

    /// A message that a client was allowed to publish is about to be forwarded: whether it is. Called for each message.
    fn message(&self, message: &mut Message<'_>) -> Verdict;

    /// A client has just connected, with a Will. Only some brokers tell of it.
    fn will_set(&self, event: &WillSet<'_>);

    /// A client's connection has ended.
    fn disconnect(&self, client: &Client<'_>);

    /// Some time has passed: at least ten times a second.
    fn tick(&self);
}

/// What is registered with the broker as user data.
pub(super) struct Loaded<H> {
    pub(super) broker: Broker,
    pub(super) handler: H,
    /// Whether commands come to this plugin. The broker tells those that ask apart by their function alone, which all of ours share.
    takes_control: Cell<bool>,
}

/// The events that are asked for, and whether every supported broker has them.
const fn callbacks<H: Handler>() -> [(abi::ace_event, Callback, bool); 11] {
    [
        (abi::ACE_EVT_RELOAD, on_reload::<H>, true),
        (abi::ACE_EVT_ACL_CHECK, on_acl_check::<H>, true),
        (abi::ACE_EVT_BASIC_AUTH, on_basic_auth::<H>, true),
        (abi::ACE_EVT_EXT_AUTH_START, on_extended_auth_start::<H>, true),
        (abi::ACE_EVT_EXT_AUTH_CONTINUE, on_extended_auth_continue::<H>, true),
        (abi::ACE_EVT_MESSAGE, on_message::<H>, true),
        (abi::ACE_EVT_PSK_KEY, on_psk_key::<H>, true),
        (abi::ACE_EVT_TICK, on_tick::<H>, true),
        (abi::ACE_EVT_DISCONNECT, on_disconnect::<H>, true),
        (abi::ACE_EVT_CLIENT_OFFLINE, on_disconnect::<H>, false),
        (abi::ACE_EVT_PERSIST_WILL_ADD, on_will_set::<H>, false),
    ]
}

/// The version of the plugin interface to use, out of those that the broker supports; -1 if ours is not among them.
///
/// # Safety
/// `versions` must point to `count` numbers, or be null.
#[must_use]
pub unsafe fn supported_version(count: c_int, versions: *const c_int) -> c_int {
    const OURS: c_int = abi::ACE_PLUGIN_VERSION as c_int;
    let count = usize::try_from(count).unwrap_or(0);
    if versions.is_null() {
        return -1;
    }
    // SAFETY: the caller vouches for the array.
    let versions = unsafe { std::slice::from_raw_parts(versions, count) };
    if versions.contains(&OURS) { OURS } else { -1 }
}

/// Starts the plugin and leaves it in `*userdata`.
///
/// # Safety
/// The arguments must be those of the broker's call of `mosquitto_plugin_init`.
#[must_use]
pub unsafe fn init<H: Handler>(
    plugin: *mut c_void,
    userdata: *mut *mut c_void,
    options: *const abi::ace_opt,
    count: c_int,
) -> c_int {
    if userdata.is_null() {
        return abi::ACE_ERR_INVAL;
    }
    let functions = match Functions::look_up() {
        Ok(functions) => functions,
        Err(error) => {
            // There is no broker to log through.
            eprintln!("mosquitto-ace: {error}");
            return abi::ACE_ERR_NOT_SUPPORTED;
        }
    };
    // SAFETY: the arguments are the broker's.
    unsafe { init_with::<H>(Broker { functions, plugin }, userdata, options, count) }
}

/// # Safety
/// As for [`init`].
pub(super) unsafe fn init_with<H: Handler>(
    broker: Broker,
    userdata: *mut *mut c_void,
    options: *const abi::ace_opt,
    count: c_int,
) -> c_int {
    let code = contained(Some(&broker), abi::ACE_ERR_UNKNOWN, || {
        // SAFETY: the broker vouches for its options.
        let options = unsafe { Options::read(options, count) };
        broker.introduce(NAME, crate::VERSION);
        if !tls::install() {
            broker.log(Level::Warning, "ace: no OpenSSL in the broker: proofs over the TLS exporter cannot be checked");
        }
        let handler = match H::start(broker, &options) {
            Ok(handler) => handler,
            Err(reason) => {
                broker.log(Level::Error, &format!("ace: {reason}"));
                tls::uninstall();
                return abi::ACE_ERR_INVAL;
            }
        };
        let loaded = Box::new(Loaded { broker, handler, takes_control: Cell::new(false) });
        let loaded = Box::into_raw(loaded).cast::<c_void>();
        for (event, callback, required) in callbacks::<H>() {
            let registered = broker.register(event, callback, loaded);
            if !registered && event == abi::ACE_EVT_PERSIST_WILL_ADD && broker.is_2_1() {
                // It has just said that "persistence true" cannot be used with a persistence plugin. We are none.
                broker.log(Level::Notice, NO_WILLS);
            }
            if !registered && required {
                broker.log(Level::Error, &format!("ace: the broker does not offer event {event}"));
                // SAFETY: the block was made above and is known to nobody else once its callbacks are taken back.
                unsafe { unload::<H>(loaded) };
                return abi::ACE_ERR_NOT_SUPPORTED;
            }
        }
        if broker.register_control(H::CONTROL_TOPIC, on_control::<H>, loaded) {
            // SAFETY: the block was made above, and only shared references are made of it until it is unloaded.
            unsafe { (*loaded.cast::<Loaded<H>>()).takes_control.set(true) };
        } else {
            broker.log(Level::Notice, NO_CONTROL);
        }
        // SAFETY: the broker handed in where to put it, and it is not null.
        unsafe { *userdata = loaded };
        abi::ACE_ERR_SUCCESS
    });
    broker.write_log();
    code
}

/// Ends the plugin.
///
/// # Safety
/// `userdata` must be what [`init`] with the same `H` left there, and not be used again.
#[must_use]
pub unsafe fn cleanup<H: Handler>(userdata: *mut c_void) -> c_int {
    if !userdata.is_null() {
        // SAFETY: the caller vouches for it.
        contained(None, (), || unsafe { unload::<H>(userdata) });
    }
    abi::ACE_ERR_SUCCESS
}

/// # Safety
/// As for [`cleanup`].
unsafe fn unload<H: Handler>(userdata: *mut c_void) {
    // SAFETY: `init` made it with Box::into_raw, and the caller gives it up.
    let loaded = unsafe { Box::from_raw(userdata.cast::<Loaded<H>>()) };
    for (event, callback, _) in callbacks::<H>() {
        loaded.broker.unregister(event, callback);
    }
    if loaded.takes_control.get() {
        loaded.broker.unregister_control(H::CONTROL_TOPIC, on_control::<H>);
    }
    tls::uninstall();
    let broker = loaded.broker;
    // It may have a last word.
    drop(loaded);
    broker.write_log();
}

/// Runs `body` with the plugin that `userdata` is, and a panic in it becomes `denial`.
///
/// # Safety
/// `userdata` must be what [`init`] with the same `H` registered.
#[inline]
unsafe fn with<H: Handler>(userdata: *mut c_void, denial: Verdict, body: impl FnOnce(&Loaded<H>) -> Verdict) -> c_int {
    // SAFETY: the caller vouches for it. Only shared references are made of it until it is unloaded.
    let Some(loaded) = (unsafe { userdata.cast::<Loaded<H>>().as_ref() }) else { return denial.code() };
    contained(Some(&loaded.broker), denial, || body(loaded)).code()
}

/// As [`with`], for events that are not raised for each message: what was logged since the last one is written behind it.
///
/// # Safety
/// As for [`with`].
unsafe fn with_log<H: Handler>(
    userdata: *mut c_void,
    denial: Verdict,
    body: impl FnOnce(&Loaded<H>) -> Verdict,
) -> c_int {
    // SAFETY: the caller vouches for it.
    let code = unsafe { with::<H>(userdata, denial, body) };
    // SAFETY: as in `with`.
    if let Some(loaded) = unsafe { userdata.cast::<Loaded<H>>().as_ref() } {
        loaded.broker.write_log();
    }
    code
}

unsafe extern "C" fn on_acl_check<H: Handler>(_: c_int, event: *mut c_void, userdata: *mut c_void) -> c_int {
    // SAFETY: the broker calls with what was registered and with the event's own data.
    unsafe {
        with::<H>(userdata, Verdict::RefuseAccess, |loaded| match AclCheck::read(&loaded.broker, event) {
            Some(event) => loaded.handler.acl_check(event),
            None => Verdict::RefuseAccess,
        })
    }
}

unsafe extern "C" fn on_basic_auth<H: Handler>(_: c_int, event: *mut c_void, userdata: *mut c_void) -> c_int {
    // SAFETY: the broker calls with what was registered and with the event's own data.
    unsafe {
        with_log::<H>(userdata, Verdict::RefuseClient, |loaded| match BasicAuth::read(&loaded.broker, event) {
            Some(event) => loaded.handler.basic_auth(&event),
            None => Verdict::RefuseClient,
        })
    }
}

unsafe extern "C" fn on_extended_auth_start<H: Handler>(_: c_int, event: *mut c_void, userdata: *mut c_void) -> c_int {
    // SAFETY: the broker calls with what was registered and with the event's own data.
    unsafe {
        with_log::<H>(userdata, Verdict::RefuseClient, |loaded| match ExtendedAuth::read(&loaded.broker, event) {
            Some(event) => loaded.handler.extended_auth_start(&event),
            None => Verdict::RefuseClient,
        })
    }
}

unsafe extern "C" fn on_extended_auth_continue<H: Handler>(
    _: c_int,
    event: *mut c_void,
    userdata: *mut c_void,
) -> c_int {
    // SAFETY: the broker calls with what was registered and with the event's own data.
    unsafe {
        with_log::<H>(userdata, Verdict::RefuseClient, |loaded| match ExtendedAuth::read(&loaded.broker, event) {
            Some(event) => loaded.handler.extended_auth_continue(&event),
            None => Verdict::RefuseClient,
        })
    }
}

unsafe extern "C" fn on_control<H: Handler>(_: c_int, event: *mut c_void, userdata: *mut c_void) -> c_int {
    // SAFETY: the broker calls with what was registered and with the event's own data.
    unsafe {
        // Success whatever comes of it: at anything else the broker would disconnect the client.
        with_log::<H>(userdata, Verdict::Done, |loaded| {
            if let Some(event) = Control::read(&loaded.broker, event) {
                loaded.handler.control(&event);
            }
            Verdict::Done
        })
    }
}

unsafe extern "C" fn on_psk_key<H: Handler>(_: c_int, event: *mut c_void, userdata: *mut c_void) -> c_int {
    // SAFETY: the broker calls with what was registered and with the event's own data.
    unsafe {
        with_log::<H>(userdata, Verdict::RefuseClient, |loaded| match PskKey::read(&loaded.broker, event) {
            Some(event) => loaded.handler.psk_key(&event),
            None => Verdict::RefuseClient,
        })
    }
}

unsafe extern "C" fn on_message<H: Handler>(_: c_int, event: *mut c_void, userdata: *mut c_void) -> c_int {
    // SAFETY: the broker calls with what was registered and with the event's own data.
    unsafe {
        with::<H>(userdata, Verdict::RefuseAccess, |loaded| match Message::read(event) {
            Some(mut message) => loaded.handler.message(&mut message),
            None => Verdict::RefuseAccess,
        })
    }
}

unsafe extern "C" fn on_disconnect<H: Handler>(_: c_int, event: *mut c_void, userdata: *mut c_void) -> c_int {
    // SAFETY: the broker calls with what was registered and with the event's own data.
    unsafe {
        with_log::<H>(userdata, Verdict::Failed, |loaded| {
            let event = &*event.cast::<abi::ace_evt_disconnect>();
            if !event.client.is_null() {
                loaded.handler.disconnect(&loaded.broker.client(event.client));
            }
            Verdict::Done
        })
    }
}

unsafe extern "C" fn on_will_set<H: Handler>(_: c_int, event: *mut c_void, userdata: *mut c_void) -> c_int {
    // SAFETY: the broker calls with what was registered and with the event's own data.
    unsafe {
        with_log::<H>(userdata, Verdict::Failed, |loaded| {
            if let Some(event) = WillSet::read(&loaded.broker, event) {
                loaded.handler.will_set(&event);
            }
            Verdict::Done
        })
    }
}

unsafe extern "C" fn on_tick<H: Handler>(_: c_int, event: *mut c_void, userdata: *mut c_void) -> c_int {
    // SAFETY: the broker calls with what was registered and with the event's own data.
    unsafe {
        with_log::<H>(userdata, Verdict::Failed, |loaded| {
            if let Some(event) = event.cast::<abi::ace_evt_tick>().as_mut() {
                (event.next_s, event.next_ms) = (0, TICK_MILLIS);
            }
            loaded.handler.tick();
            Verdict::Done
        })
    }
}

unsafe extern "C" fn on_reload<H: Handler>(_: c_int, event: *mut c_void, userdata: *mut c_void) -> c_int {
    // SAFETY: the broker calls with what was registered and with the event's own data.
    unsafe {
        with_log::<H>(userdata, Verdict::Failed, |loaded| {
            let event = &*event.cast::<abi::ace_evt_reload>();
            let options = Options::read(event.options, event.option_count);
            loaded.handler.reload(&options);
            Verdict::Done
        })
    }
}

/// Defines the functions that the broker looks for in a plugin, for a [`Handler`].
#[macro_export]
#[doc(hidden)]
macro_rules! entry_points {
    ($handler:ty) => {
        /// Tells the broker which version of its plugin interface is meant.
        ///
        /// # Safety
        /// For the broker to call: `versions` points to `count` numbers.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn mosquitto_plugin_version(
            count: $crate::broker::c::c_int,
            versions: *const $crate::broker::c::c_int,
        ) -> $crate::broker::c::c_int {
            // SAFETY: the arguments are the broker's.
            unsafe { $crate::broker::supported_version(count, versions) }
        }

        /// Starts the plugin.
        ///
        /// # Safety
        /// For the broker to call: `options` points to `count` options, `userdata` to where the plugin's state goes.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn mosquitto_plugin_init(
            plugin: *mut $crate::broker::c::c_void,
            userdata: *mut *mut $crate::broker::c::c_void,
            options: *const $crate::broker::c::ace_opt,
            count: $crate::broker::c::c_int,
        ) -> $crate::broker::c::c_int {
            // SAFETY: the arguments are the broker's.
            unsafe { $crate::broker::init::<$handler>(plugin, userdata, options, count) }
        }

        /// Ends the plugin.
        ///
        /// # Safety
        /// For the broker to call: `userdata` is what the plugin left there when it was started.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn mosquitto_plugin_cleanup(
            userdata: *mut $crate::broker::c::c_void,
            _options: *const $crate::broker::c::ace_opt,
            _count: $crate::broker::c::c_int,
        ) -> $crate::broker::c::c_int {
            // SAFETY: the arguments are the broker's.
            unsafe { $crate::broker::cleanup::<$handler>(userdata) }
        }
    };
}
