//! Reads the configuration and the files that it names, and checks what the types of [`document`](super::document) cannot.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ace_profile::jose::JwkSet;
use ace_profile::limits;
use ace_profile::scope::{Matcher, Permission, Scope};
use ace_profile::token::{AuthorizationServer, Policy, Validator};

use super::document::{self, Document, Written};
use super::hint::{HINTS_BYTES_MAX, hint};
use super::public::PublicFilter;
use super::{AuthzInfo, ConfigError, Configuration, Draft00, HeldBounds, WhenUnknown};
use crate::rights::PublicTopics;

/// The longest configuration file that is read, in bytes.
pub(super) const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
/// The largest leeway and window. More would make expiry and freshness mean nothing.
const TOLERANCE_MAX: Duration = Duration::from_secs(600);
/// The longest name of the topic that takes tokens, in bytes.
const AUTHZ_INFO_TOPIC_BYTES_MAX: usize = 256;
/// How many tokens a client may publish there in a second, unless the file says otherwise,
const AUTHZ_INFO_RATE: u32 = 10;
/// and how many all clients together may.
const AUTHZ_INFO_RATE_TOTAL: u32 = 200;
/// How long the broker's thread waits for a server at most, where none of those that are asked about tokens has a timeout.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How many lines about refusals of a client the log is given in a minute, unless the file says otherwise.
const REFUSALS_PER_MINUTE: u32 = 10;
/// The least room for tokens, in bytes.
const HELD_BYTES_MIN: usize = 1024 * 1024;

/// A file being read: for errors that name the place.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    text: &'a str,
}

pub(super) fn load(path: &Path) -> Result<Configuration, ConfigError> {
    let text = read(path, CONFIG_BYTES_MAX).map_err(|reason| ConfigError::new(path, reason))?;
    read_text(path, &text)
}

/// Reads what stands, or stood, in a configuration file, and the files that it names.
pub(super) fn read_text(path: &Path, text: &str) -> Result<Configuration, ConfigError> {
    let source = Source { path, text };
    let document: Document = toml::from_str(text).map_err(|error| match error.span() {
        Some(span) => source.error(span, error.message()),
        None => ConfigError::new(path, error.message()),
    })?;
    source.check(document)
}

impl Source<'_> {
    pub(super) fn error(&self, span: Range<usize>, reason: impl std::fmt::Display) -> ConfigError {
        ConfigError::at(self.path, self.text, span.start, reason)
    }

    fn check(&self, document: Document) -> Result<Configuration, ConfigError> {
        let Document { audience, state_dir, authorization_server, mqtt, tokens, metrics, log } = document;
        let state_dir = state_dir.map(|folder| self.folder(folder.span(), folder.get_ref())).transpose()?;
        let span = audience.span();
        let audience = audience.into_inner().into_vec();
        if audience.is_empty() || audience.iter().any(String::is_empty) {
            return Err(self.error(span, "audience must name this broker"));
        }
        if authorization_server.is_empty() {
            return Err(ConfigError::new(
                self.path,
                "there is no [[authorization_server]]: whose tokens are to be accepted?",
            ));
        }
        let as_hints = self.as_hints(&authorization_server, audience.first().map_or("", String::as_str))?;
        let revocation_lists = self.revocation_lists(&authorization_server)?;
        let introspection = self.introspection(&authorization_server)?;
        let key_sources = self.key_sources(&authorization_server)?;
        let servers = self.servers(authorization_server)?;
        let authz_info = self.authz_info(&mqtt)?;
        let leeway = self.tolerance("leeway", &tokens.leeway)?;
        let window = self.tolerance("draft00_window", &tokens.draft00_window)?;
        let client_keys = match &tokens.client_keys {
            Some(file) => self.key_set(file.span(), file.get_ref())?,
            None => JwkSet::default(),
        };
        let held = self.held(&tokens)?;
        let metrics = self.metrics(&metrics)?;
        let introspection_bounds = self.introspection_bounds(&tokens)?;
        let when_unknown = match tokens.when_unknown {
            document::WhenUnknown::Refuse => WhenUnknown::Refuse,
            document::WhenUnknown::Wait => {
                let longest = introspection.iter().map(|source| source.endpoint.timeout()).max();
                WhenUnknown::Wait { longest: longest.unwrap_or(LONGEST_WAIT) }
            }
        };
        let policy = Policy {
            audience,
            leeway,
            allow_bearer: tokens.allow_bearer,
            allow_no_expiry: tokens.allow_no_expiry,
            // It is remembered there when they were first seen.
            allow_relative_expiry: state_dir.is_some(),
        };
        let public_scope = public_scope(mqtt.public_publish, mqtt.public_subscribe);
        Ok(Configuration {
            validator: Validator::new(servers, client_keys, policy),
            state_dir,
            public: PublicTopics { matcher: Matcher::new(&public_scope) },
            public_scope,
            allow_anonymous: mqtt.allow_anonymous,
            authz_info,
            held,
            raw_public_keys: mqtt.raw_public_keys,
            on_denied_publish: mqtt.on_denied_publish,
            on_denied_delivery: mqtt.on_denied_delivery,
            other_clients: mqtt.other_clients,
            as_hints,
            key_sources,
            revocation_lists,
            introspection,
            introspection_bounds,
            when_unknown,
            draft00: Draft00 { enabled: tokens.draft00, window: (!window.is_zero()).then_some(window) },
            metrics,
            refusals_per_minute: log.refusals_per_minute.unwrap_or(REFUSALS_PER_MINUTE),
            path: self.path.into(),
            text: self.text.into(),
        })
    }

    fn servers(&self, written: Vec<document::AuthorizationServer>) -> Result<Vec<AuthorizationServer>, ConfigError> {
        let mut issuers = HashSet::new();
        written
            .into_iter()
            .map(|server| {
                let scope_format = self.scope_format(&server)?;
                let decryption_keys = self.decryption_keys(server.decryption_keys.as_ref())?;
                let (span, issuer) = (server.issuer.span(), server.issuer.into_inner());
                if issuer.is_empty() {
                    return Err(self.error(span, "issuer is empty: it must equal \"iss\" of the server's tokens"));
                }
                if !issuers.insert(issuer.clone()) {
                    return Err(self.error(span, format_args!("there are two servers with the issuer {issuer:?}")));
                }
                let keys = match server.jwks.filter(|jwks| !is_url(jwks.get_ref())) {
                    Some(file) => self.key_set(file.span(), Path::new(file.get_ref()))?,
                    // They have yet to be fetched.
                    None => JwkSet::default(),
                };
                let algorithms = server.algorithms.map(|listed| {
                    let span = listed.span();
                    let listed: Vec<_> = listed.into_inner().into_iter().map(|Written(algorithm)| algorithm).collect();
                    if listed.is_empty() {
                        return Err(self.error(span, "algorithms is empty: no token could ever be accepted"));
                    }
                    Ok(listed.into_iter().collect())
                });
                Ok(AuthorizationServer {
                    issuer,
                    keys,
                    algorithms: algorithms.transpose()?,
                    decryption_keys,
                    scope_format,
                    scope_placeholders: server.scope_placeholders,
                })
            })
            .collect()
    }

    /// The hints at those servers that have one, in the order of the file.
    fn as_hints(&self, servers: &[document::AuthorizationServer], audience: &str) -> Result<Vec<String>, ConfigError> {
        let mut hints = Vec::new();
        let mut bytes = 0;
        for url in servers.iter().filter_map(|server| server.as_hint.as_ref()) {
            let hint = hint(url.get_ref(), audience).map_err(|reason| self.error(url.span(), reason))?;
            bytes += hint.len();
            if bytes > HINTS_BYTES_MAX {
                let reason = format_args!("the hints take more than {HINTS_BYTES_MAX} bytes together");
                return Err(self.error(url.span(), reason));
            }
            hints.push(hint);
        }
        Ok(hints)
    }

    /// The topic that takes tokens, if there is to be one.
    fn authz_info(&self, mqtt: &document::Mqtt) -> Result<Option<AuthzInfo>, ConfigError> {
        let Some(topic) = mqtt.authz_info_topic.as_ref().filter(|topic| !topic.get_ref().is_empty()) else {
            return Ok(None);
        };
        let error = |reason: &str| Err(self.error(topic.span(), format_args!("authz_info_topic {reason}")));
        let name = topic.get_ref();
        if name.contains(['+', '#']) {
            return error("must be the name of one topic: it has a wildcard");
        }
        if name.starts_with('$') {
            return error("must not begin with $: such topics are the broker's own");
        }
        if name.len() > AUTHZ_INFO_TOPIC_BYTES_MAX {
            return error("is longer than 256 bytes");
        }
        if name.contains(char::is_control) {
            return error("holds a control character");
        }
        Ok(Some(AuthzInfo {
            topic: name.clone(),
            rate: mqtt.authz_info_rate.unwrap_or(AUTHZ_INFO_RATE),
            rate_total: mqtt.authz_info_rate_total.unwrap_or(AUTHZ_INFO_RATE_TOTAL),
        }))
    }

    /// How many tokens are held.
    fn held(&self, tokens: &document::Tokens) -> Result<HeldBounds, ConfigError> {
        let mut bounds = HeldBounds::default();
        if let Some(most) = &tokens.held_max {
            bounds.tokens = *most.get_ref();
            if bounds.tokens == 0 {
                return Err(self.error(most.span(), "held_max must be 1 at least"));
            }
        }
        if let Some(most) = &tokens.held_bytes_max {
            bounds.bytes = *most.get_ref();
            if bounds.bytes < HELD_BYTES_MIN {
                let reason = format_args!("held_bytes_max must be {HELD_BYTES_MIN} at least: tokens can be that large");
                return Err(self.error(most.span(), reason));
            }
        }
        Ok(bounds)
    }

    /// A folder that is there; a relative path is meant from the configuration file's folder.
    fn folder(&self, span: Range<usize>, folder: &Path) -> Result<PathBuf, ConfigError> {
        let folder = self.path.parent().map_or_else(|| folder.into(), |parent| parent.join(folder));
        match fs::metadata(&folder) {
            Ok(found) if found.is_dir() => Ok(folder),
            Ok(_) => Err(self.error(span, format_args!("{} is not a folder", folder.display()))),
            Err(reason) => Err(self.error(span, format_args!("{}: {reason}", folder.display()))),
        }
    }

    /// A JWK set from a file; a relative path is meant from the configuration file's folder.
    pub(super) fn key_set(&self, span: Range<usize>, file: &Path) -> Result<JwkSet, ConfigError> {
        let file: PathBuf = self.path.parent().map_or_else(|| file.into(), |folder| folder.join(file));
        let error =
            |reason: &dyn std::fmt::Display| self.error(span.clone(), format_args!("{}: {reason}", file.display()));
        let most = u64::try_from(limits::JWKS_BYTES).unwrap_or(u64::MAX);
        let text = zeroize::Zeroizing::new(read(&file, most).map_err(|reason| error(&reason))?);
        let keys = JwkSet::from_json(&text).map_err(|reason| error(&reason))?;
        if keys.keys().is_empty() {
            return Err(error(&"there is no key in it that can be used"));
        }
        Ok(keys)
    }

    fn tolerance(
        &self,
        key: &str,
        written: &toml::Spanned<super::duration::WrittenDuration>,
    ) -> Result<Duration, ConfigError> {
        let duration = written.get_ref().0;
        if duration > TOLERANCE_MAX {
            return Err(self.error(written.span(), format_args!("{key} may be \"10m\" at most")));
        }
        Ok(duration)
    }
}

fn public_scope(publish: Vec<Written<PublicFilter>>, subscribe: Vec<Written<PublicFilter>>) -> Scope {
    let with = |filters: Vec<Written<PublicFilter>>, permission: Permission| {
        filters.into_iter().map(move |Written(PublicFilter(filter))| (filter, permission.into()))
    };
    let entries = with(publish, Permission::Publish).chain(with(subscribe, Permission::Subscribe));
    Scope::new(entries)
}

/// Whether this is meant for a URL, and not for a file.
pub(super) fn is_url(text: &str) -> bool {
    text.contains("://")
}

/// Reads a text file of bounded size.
pub(super) fn read(path: &Path, most: u64) -> Result<String, String> {
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let length = file
        .take(most.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if u64::try_from(length).is_ok_and(|length| length > most) {
        return Err(format!("is longer than {most} bytes"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use ace_profile::jose::Jwk;

    use super::*;
    use crate::config::{MetricTopics, Metrics, OnDenied, OtherClients, WhenUnknown};
    use crate::remote::CacheBounds;

    const JWKS: &str =
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    const SERVER: &str = "[[authorization_server]]\nissuer = \"https://as.example\"\njwks = \"jwks.json\"\n";

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("jwks.json"), JWKS).unwrap();
            fs::write(folder.path().join("bad.json"), "{").unwrap();
            fs::write(folder.path().join("blank"), "\n").unwrap();
            fs::write(folder.path().join("empty.json"), "{\"keys\":[]}").unwrap();
            let key = Jwk::ed25519_from_seed(&[1; 32]).unwrap();
            fs::write(folder.path().join("key.json"), key.secret_value().to_string()).unwrap();
            fs::write(folder.path().join("public.json"), key.public_value().unwrap().to_string()).unwrap();
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = rcgen::CertificateParams::new(vec!["broker".into()]).unwrap().self_signed(&key).unwrap();
            fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
            fs::write(folder.path().join("cert.key"), key.serialize_pem()).unwrap();
            Self(folder)
        }

        fn load(&self, text: &str) -> Result<Configuration, ConfigError> {
            let path = self.0.path().join("ace.toml");
            fs::write(&path, text).unwrap();
            Configuration::load(&path)
        }

        fn error(&self, text: &str) -> ConfigError {
            match self.load(text) {
                Ok(_) => panic!("accepted: {text}"),
                Err(error) => error,
            }
        }
    }

    #[test]
    fn the_smallest_file_has_the_documented_defaults() {
        let configuration = Folder::new().load(&format!("audience = \"broker\"\n{SERVER}")).unwrap();
        assert!(!configuration.allow_anonymous && !configuration.raw_public_keys);
        assert_eq!(configuration.on_denied_publish, OnDenied::Disconnect);
        assert_eq!(configuration.on_denied_delivery, OnDenied::Disconnect);
        assert_eq!(configuration.other_clients, OtherClients::Refuse);
        assert_eq!(configuration.draft00, Draft00 { enabled: true, window: Some(Duration::from_secs(60)) });
        assert_eq!(configuration.authz_info, None);
        assert_eq!(configuration.held, HeldBounds { tokens: 65_536, bytes: 64 * 1024 * 1024 });
        assert_eq!(configuration.introspection_bounds, CacheBounds { tokens: 16_384, bytes: 16 * 1024 * 1024 });
        assert_eq!(configuration.when_unknown, WhenUnknown::Wait { longest: Duration::from_secs(2) });
        assert!(configuration.introspection.is_empty());
    }

    #[test]
    fn every_key_is_read() {
        let text = format!(
            "audience = [\"broker\", \"other\"]\nstate_dir = \".\"\n{SERVER}algorithms = [\"EdDSA\", \"ES256\"]\n\
             [mqtt]\npublic_publish = [\"hello/#\"]\npublic_subscribe = [\"news/+\"]\nallow_anonymous = true\n\
             authz_info_topic = \"tokens/here\"\nauthz_info_rate = 0\nauthz_info_rate_total = 7\nraw_public_keys = true\non_denied_publish = \"drop\"\non_denied_delivery = \"drop\"\nother_clients = \"defer\"\n\
             [tokens]\nheld_max = 9\nheld_bytes_max = 2000000\nwhen_unknown = \"refuse\"\nintrospection_max = 20\nintrospection_bytes_max = 3000000\nleeway = \"0s\"\nallow_bearer = true\nallow_no_expiry = true\nclient_keys = \"jwks.json\"\n\
             draft00 = false\ndraft00_window = \"0\"\n\
             [metrics]\nlisten = \"[::1]:9883\"\ntopic_prefix = \"metrics/ace\"\ninterval = \"5s\"\n[log]\nrefusals_per_minute = 3\n"
        );
        let folder = Folder::new();
        let configuration = folder.load(&text).unwrap();
        assert!(configuration.state_dir.is_some_and(|folder| folder.is_dir()));
        assert!(configuration.allow_anonymous && configuration.raw_public_keys);
        assert_eq!(configuration.on_denied_publish, OnDenied::Drop);
        assert_eq!(configuration.on_denied_delivery, OnDenied::Drop);
        assert_eq!(configuration.other_clients, OtherClients::Defer);
        assert_eq!(configuration.draft00, Draft00 { enabled: false, window: None });
        let authz_info = AuthzInfo { topic: "tokens/here".to_owned(), rate: 0, rate_total: 7 };
        assert_eq!(configuration.authz_info, Some(authz_info));
        assert_eq!(configuration.held, HeldBounds { tokens: 9, bytes: 2_000_000 });
        assert_eq!(configuration.introspection_bounds, CacheBounds { tokens: 20, bytes: 3_000_000 });
        assert_eq!(configuration.when_unknown, WhenUnknown::Refuse);
        let topics = MetricTopics { prefix: "metrics/ace".to_owned(), interval: Duration::from_secs(5) };
        let metrics = Metrics { listen: "[::1]:9883".parse().ok(), topics: Some(topics) };
        assert_eq!((configuration.metrics, configuration.refusals_per_minute), (metrics, 3));
        assert!(configuration.public.matcher.may_publish(b"hello/a"));
        assert!(configuration.public.matcher.may_receive(b"news/a"));
        assert!(!configuration.public.matcher.may_publish(b"news/a"));
    }

    /// Each way in which the broker can say who it is; and a server that is only asked, without keys.
    #[test]
    fn servers_can_be_asked_about_tokens() {
        let folder = Folder::new();
        let with = |more: &str| {
            let server =
                "[[authorization_server]]\nissuer = \"https://as.example\"\n[authorization_server.introspection]\n";
            let text = format!("audience = \"broker\"\n{server}url = \"https://as.example/introspect\"\n{more}");
            folder.load(&text).unwrap().introspection.remove(0)
        };
        let plain = with("");
        assert_eq!(
            (plain.issuer.as_str(), plain.cache, plain.introspect_jwt),
            ("https://as.example", Duration::from_secs(60), false)
        );
        assert_eq!(plain.endpoint.timeout(), Duration::from_secs(2));
        let set = with("cache = \"10s\"\ntimeout = \"500ms\"\nintrospect_jwt = true\n");
        assert_eq!((set.cache, set.introspect_jwt), (Duration::from_secs(10), true));
        for client in [
            "client_secret_file = \"key.json\"",
            "client_key_file = \"key.json\"",
            "client_key_file = \"key.json\"\nclient_assertion_audience = \"https://as.example/token\"",
            "client_certificate_file = \"cert.pem\"\nclient_certificate_key_file = \"cert.key\"",
        ] {
            with(&format!("client_id = \"broker\"\n{client}\n"));
        }
        let many = format!("audience = \"broker\"\n{}", (0..17).map(|n| {
            format!("[[authorization_server]]\nissuer = \"{n}\"\n[authorization_server.introspection]\nurl = \"https://as.example\"\n")
        }).collect::<String>());
        assert!(folder.error(&many).reason.contains("16 servers"));
    }

    #[test]
    fn each_mistake_is_told_with_its_line() {
        let folder = Folder::new();
        let with = |more: &str| format!("audience = \"broker\"\n{SERVER}{more}");
        let by_url = |more: &str| with(more).replace("jwks.json\"\n", "https://as.example/jwks\"\n");
        let without_jwks =
            |issuer: &str| format!("audience = \"broker\"\n[[authorization_server]]\nissuer = \"{issuer}\"\n");
        let list =
            |more: &str| format!("[authorization_server.revocation_list]\nurl = \"https://as.example/trl\"\n{more}\n");
        let introspection = |more: &str| {
            format!("[authorization_server.introspection]\nurl = \"https://as.example/introspect\"\n{more}\n")
        };
        for (text, line, reason) in [
            (String::from("audience = \n"), Some(1), ""),
            (String::from(SERVER), Some(1), "audience"),
            (String::from("audience = \"broker\"\n"), None, "no [[authorization_server]]"),
            (format!("audience = []\n{SERVER}"), Some(1), "must name this broker"),
            (format!("audience = 7\n{SERVER}"), Some(1), "a text or a list of texts"),
            (format!("audiance = \"broker\"\n{SERVER}"), Some(1), "audiance"),
            (with("colour = \"red\"\n"), Some(5), "colour"),
            (with("algorithms = [\"none\"]\n"), Some(5), "none"),
            (with("algorithms = []\n"), Some(5), "no token"),
            (with("as_hint = \"http://as.example/token\"\n"), Some(5), "https or coaps"),
            (with("decryption_keys = \"nowhere.json\"\n"), Some(5), "nowhere.json: cannot be opened"),
            (with("decryption_keys = \"jwks.json\"\n"), Some(5), "jwks.json: key 0 decrypts nothing"),
            (with("scope_format = \"oauth\"\n"), Some(5), "known are aif, words, claim"),
            (with("scope_format = \"claim\"\n"), Some(5), "needs a scope_claim"),
            (with("scope_claim = \"topics\"\n"), Some(5), "scope_claim needs scope_format"),
            (with("scope_format = \"words\"\nscope_claim = \"\"\n"), Some(6), "scope_claim is empty"),
            (with("scope_placeholders = \"yes\"\n"), Some(5), "yes"),
            (with("as_hint = true\n"), Some(5), "expected a string"),
            (
                format!("audience = \"{}\"\n{SERVER}as_hint = \"https://as.example\"\n", "b".repeat(HINTS_BYTES_MAX)),
                Some(5),
                "more than 4096 bytes",
            ),
            (with("[authorization_server.introspection]\nurl = \"x\"\n"), Some(6), "not an https URL"),
            (with("[authorization_server.introspection]\ncache = \"5s\"\n"), Some(3), "introspection needs a url"),
            (
                without_jwks("as") + "[authorization_server.introspection]\ncache = \"5s\"\n",
                Some(3),
                "introspection needs a url",
            ),
            (with(&introspection("cache = \"1s\"")), Some(7), "cache must be between 2s and 3600s"),
            (with(&introspection("cache = \"5s\"\ntimeout = \"3s\"")), Some(7), "at least twice its timeout"),
            (with(&introspection("timeout = \"1m\"")), Some(7), "timeout must be between 100ms and 30s"),
            (with(&introspection("introspect_jwt = \"yes\"")), Some(7), "boolean"),
            (with(&introspection("client_id = \"broker\"")), Some(7), "client_id needs"),
            (with(&introspection("client_secret_file = \"blank\"")), Some(7), "client_secret_file needs a client_id"),
            (with(&introspection("client_id = \"b\"\nclient_secret_file = \"blank\"")), Some(8), "is empty"),
            (with(&introspection("client_key_file = \"key.json\"")), Some(7), "client_key_file needs a client_id"),
            (with(&introspection("client_id = \"b\"\nclient_key_file = \"bad.json\"")), Some(8), "bad.json"),
            (with(&introspection("client_id = \"b\"\nclient_key_file = \"public.json\"")), Some(8), "cannot sign"),
            (
                with(&introspection(
                    "client_id = \"b\"\nclient_key_file = \"key.json\"\nclient_secret_file = \"key.json\"",
                )),
                Some(9),
                "one of client_secret_file, client_key_file and client_certificate_file",
            ),
            (with(&introspection("client_assertion_audience = \"as\"")), Some(7), "needs a client_key_file"),
            (
                with(&introspection("client_id = \"b\"\nclient_certificate_file = \"cert.pem\"")),
                Some(8),
                "needs a client_certificate_key_file",
            ),
            (
                with(&introspection("client_certificate_key_file = \"cert.key\"")),
                Some(7),
                "needs a client_certificate_file",
            ),
            (
                with(&introspection(
                    "client_certificate_file = \"cert.pem\"\nclient_certificate_key_file = \"cert.key\"",
                )),
                Some(7),
                "client_certificate_file needs a client_id",
            ),
            (
                with(&introspection(
                    "client_id = \"b\"\nclient_certificate_file = \"jwks.json\"\nclient_certificate_key_file = \"cert.key\"",
                )),
                Some(8),
                "no PEM certificate",
            ),
            (
                with(&introspection(
                    "client_id = \"b\"\nclient_certificate_file = \"cert.pem\"\nclient_certificate_key_file = \"blank\"",
                )),
                Some(9),
                "its key cannot be read",
            ),
            (with("[tokens]\nwhen_unknown = \"guess\"\n"), Some(6), "guess"),
            (with("[tokens]\nintrospection_max = 15\n"), Some(6), "16 at least"),
            (with("[tokens]\nintrospection_bytes_max = 1000\n"), Some(6), "1048576 at least"),
            (
                String::from("audience = \"broker\"\n[[authorization_server]]\nissuer = \"as\"\n"),
                Some(3),
                "without jwks the issuer is asked",
            ),
            (
                with("[authorization_server.revocation_list]\nurl = \"http://as.example\"\n"),
                Some(6),
                "not an https URL",
            ),
            (with("[authorization_server.revocation_list]\ninterval = \"5s\"\n"), Some(5), "url"),
            (with(&list("interval = \"0s\"")), Some(7), "interval must be between 1s and 3600s"),
            (with(&list("timeout = \"1m\"")), Some(7), "timeout must be between 100ms and 30s"),
            (with(&list("client_id = \"broker\"")), Some(7), "needs a client_secret_file"),
            (with(&list("client_secret_file = \"jwks.json\"")), Some(7), "needs a client_id"),
            (with(&list("client_id = \"broker\"\nclient_secret_file = \"nowhere\"")), Some(8), "nowhere: cannot be"),
            (with(&list("client_id = \"broker\"\nclient_secret_file = \"blank\"")), Some(8), "is empty"),
            (with(&list("ca_file = \"jwks.json\"")), Some(7), "no PEM certificate"),
            (with(SERVER), Some(6), "two servers"),
            (with("ca_file = \"jwks.json\"\n"), Some(5), "no use for it"),
            (with("timeout = \"1s\"\n"), Some(5), "no use for it"),
            (by_url("ca_file = \"bad.json\"\n"), Some(5), "no PEM certificate"),
            (by_url("ca_file = \"nowhere\"\n"), Some(5), "nowhere: cannot be"),
            (by_url("timeout = \"1m\"\n"), Some(5), "timeout must be between 100ms and 30s"),
            (without_jwks("http://as.example"), Some(3), "no https URL"),
            (without_jwks("https://as.example?x"), Some(3), "no https URL"),
            (format!("audience = \"broker\"\nstate_dir = \"nowhere\"\n{SERVER}"), Some(2), "nowhere"),
            (format!("audience = \"broker\"\nstate_dir = \"jwks.json\"\n{SERVER}"), Some(2), "not a folder"),
            (with("[mqtt]\nauthz_info_topic = \"tokens/+\"\n"), Some(6), "wildcard"),
            (with("[mqtt]\nauthz_info_topic = \"tokens/#\"\n"), Some(6), "wildcard"),
            (with("[mqtt]\nauthz_info_topic = \"$ace\"\n"), Some(6), "must not begin with $"),
            (with("[mqtt]\nauthz_info_topic = \"a\\u0000\"\n"), Some(6), "control character"),
            (with(&format!("[mqtt]\nauthz_info_topic = \"{}\"\n", "t".repeat(257))), Some(6), "longer than 256"),
            (with("[mqtt]\nauthz_info_rate = -1\n"), Some(6), "-1"),
            (with("[mqtt]\nauthz_info_rate_total = \"fast\"\n"), Some(6), "fast"),
            (with("[tokens]\nheld_max = 0\n"), Some(6), "1 at least"),
            (with("[tokens]\nheld_bytes_max = 1000\n"), Some(6), "1048576 at least"),
            (with("[mqtt]\npublic_publish = [\"a/#/b\"]\n"), Some(6), "whole of the last level"),
            (with("[mqtt]\npublic_publish = [\"$CONTROL/#\"]\n"), Some(6), "cannot be open to all"),
            (
                with("[mqtt]\npublic_subscribe = [\"a\", \"$CONTROL/ace/v1/response\"]\n"),
                Some(6),
                "cannot be open to all",
            ),
            (with("[mqtt]\non_denied_publish = \"ignore\"\n"), Some(6), "ignore"),
            (with("[mqtt]\nother_clients = \"maybe\"\n"), Some(6), "maybe"),
            (with("[metrics]\nlisten = \"9883\"\n"), Some(6), "an address and a port"),
            (with("[metrics]\nlisten = \"localhost:9883\"\n"), Some(6), "an address and a port"),
            (with("[metrics]\nlisten = \"0.0.0.0:9883\"\n"), Some(6), "put a proxy in front"),
            (with("[metrics]\nlisten = \"192.0.2.1:9883\"\n"), Some(6), "must be a loopback address"),
            (with("[metrics]\nlisten = \"[::]:9883\"\n"), Some(6), "must be a loopback address"),
            (with("[metrics]\nlisten = \"[::ffff:127.0.0.1]:9883\"\n"), Some(6), "must be a loopback address"),
            (with("[metrics]\nlisten = \"127.0.0.1:0\"\n"), Some(6), "not 0"),
            (with("[metrics]\ntopic_prefix = \"metrics/#\"\n"), Some(6), "wildcard"),
            (with("[metrics]\ntopic_prefix = \"$CONTROL/ace\"\n"), Some(6), "except for $SYS/"),
            (with("[metrics]\ntopic_prefix = \"$SYS\"\n"), Some(6), "except for $SYS/"),
            (with("[metrics]\ntopic_prefix = \"metrics/\"\n"), Some(6), "slash"),
            (with("[metrics]\ntopic_prefix = \"a\\u0000\"\n"), Some(6), "control character"),
            (with(&format!("[metrics]\ntopic_prefix = \"{}\"\n", "t".repeat(257))), Some(6), "longer than 256"),
            (with("[metrics]\ninterval = \"500ms\"\n"), Some(6), "between 1s and 3600s"),
            (with("[metrics]\ninterval = \"2h\"\n"), Some(6), "between 1s and 3600s"),
            (with("[log]\nrefusals_per_minute = -1\n"), Some(6), "-1"),
            (with("[log]\nlevel = \"debug\"\n"), Some(6), "level"),
            (with("[tokens]\nleeway = \"5 s\"\n"), Some(6), "not a duration"),
            (with("[tokens]\nleeway = \"11m\"\n"), Some(6), "10m"),
            (with("[tokens]\nclient_keys = \"nowhere.json\"\n"), Some(6), "nowhere.json: cannot be opened"),
        ] {
            let error = folder.error(&text);
            assert_eq!(error.line, line, "{text}\n{error}");
            assert!(error.reason.contains(reason), "{text}\n{error}");
            assert!(error.to_string().contains("ace.toml"), "{error}");
        }
    }

    #[test]
    fn key_files_are_checked() {
        let folder = Folder::new();
        for (jwks, reason) in [
            ("nowhere.json", "cannot be opened"),
            ("bad.json", "bad.json"),
            ("empty.json", "no key"),
            ("http://as.example/jwks.json", "https"),
        ] {
            let server = SERVER.replace("jwks.json", jwks);
            let error = folder.error(&format!("audience = \"broker\"\n{server}"));
            assert_eq!(error.line, Some(4), "{error}");
            assert!(error.reason.contains(reason), "{error}");
        }
    }

    #[test]
    fn keys_may_come_from_the_server() {
        let folder = Folder::new();
        let sources = |server: &str| {
            let text = format!("audience = \"broker\"\n[[authorization_server]]\n{server}\n{SERVER}");
            let loaded = folder.load(&text.replacen(SERVER, &SERVER.replace("as.example", "file.example"), 1));
            loaded.unwrap().key_sources.iter().map(|source| source.url().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            sources("issuer = \"as\"\njwks = \"https://as.example/jwks.json\"\ntimeout = \"1s\""),
            ["https://as.example/jwks.json"]
        );
        assert_eq!(
            sources("issuer = \"https://as.example/one\""),
            ["https://as.example/.well-known/oauth-authorization-server/one"]
        );
        let asked = "issuer = \"https://as.example\"\n[authorization_server.introspection]\n";
        assert_eq!(sources(asked), ["https://as.example/.well-known/oauth-authorization-server"]);
        // It has none: it is asked about all of its tokens.
        assert!(sources(&format!("{asked}url = \"https://as.example/introspect\"")).is_empty());
    }

    #[test]
    fn files_are_read_again_and_the_configuration_is_not() {
        let folder = Folder::new();
        let write = |name: &str, text: &str| fs::write(folder.0.path().join(name), text).unwrap();
        let configuration = folder.load(&format!("audience = \"broker\"\n{SERVER}")).unwrap();
        write("ace.toml", "nonsense");
        let other = Jwk::ed25519_from_seed(&[9; 32]).unwrap().with_kid("other").public_value().unwrap();
        write("jwks.json", &serde_json::json!({ "keys": [other] }).to_string());
        let again = configuration.with_files_read_again().unwrap();
        assert_eq!((&again.text, &again.path), (&configuration.text, &configuration.path));
        assert!(format!("{:?}", again.validator).contains("other"), "the new key");
        write("jwks.json", "nonsense");
        let error = again.with_files_read_again().map(drop).unwrap_err().to_string();
        assert!(error.contains("jwks.json"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let path = PathBuf::from("/nonexistent/ace.toml");
        let Err(error) = Configuration::load(&path) else { panic!("there is no such file") };
        assert!(error.to_string().starts_with("/nonexistent/ace.toml: cannot be opened"), "{error}");
    }
}
