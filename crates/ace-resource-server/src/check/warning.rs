//! What is allowed, and risky.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use ace_profile::jose::Jwk;
use ace_profile::scope::Permission;

use crate::config::{Configuration, NamedFile, OtherClients};

/// Something that an operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Whoever sees a token can use it.
    Bearer,
    /// Tokens can be good for ever.
    NoExpiry,
    /// A filter that is open to all, and begins with a wildcard.
    PublicWildcard {
        /// The filter.
        filter: String,
        /// Whether everybody may publish there, or only subscribe.
        may_publish: bool,
    },
    /// The anonymous may publish.
    AnonymousPublishers,
    /// Clients without tokens are for others to judge.
    OtherClientsDeferred,
    /// Two servers have the same symmetric key, so that each can issue the other's tokens.
    SharedKey {
        /// The issuers.
        issuers: [String; 2],
        /// The key's name with the first.
        kid: Option<String>,
    },
    /// A server's tokens are signed with a symmetric key: whoever has this broker's files can issue them.
    SymmetricKey {
        /// The issuer.
        issuer: String,
    },
    /// A file with secrets that others on this machine can read.
    ReadableByOthers {
        /// The file.
        path: PathBuf,
    },
    /// Clocks may differ by more than they do.
    Leeway,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer => f.write_str("allow_bearer: whoever gets hold of a token without a key can use it"),
            Self::NoExpiry => f.write_str("allow_no_expiry: a token without exp is good for ever, or until it is revoked"),
            Self::PublicWildcard { filter, may_publish } => {
                let what = if *may_publish { "publish to" } else { "subscribe to" };
                write!(f, "everybody may {what} {filter:?}, which begins with a wildcard")
            }
            Self::AnonymousPublishers => f.write_str("allow_anonymous: clients that show nothing may publish to public_publish"),
            Self::OtherClientsDeferred => {
                f.write_str("other_clients = \"defer\": clients without a token are judged by the broker's other plugins and files alone")
            }
            Self::SharedKey { issuers: [one, other], kid } => {
                let kid = kid.as_deref().unwrap_or("without kid");
                write!(f, "{one:?} and {other:?} have the same symmetric key ({kid:?}): each can issue the other's tokens")
            }
            Self::SymmetricKey { issuer } => {
                write!(f, "{issuer:?} has a symmetric key that verifies tokens: whoever reads it here can issue tokens")
            }
            Self::ReadableByOthers { path } => {
                write!(f, "{} holds secrets, and others on this machine can read it", path.display())
            }
            Self::Leeway => f.write_str("leeway is more than a minute: tokens are good for that much longer"),
        }
    }
}

/// What an operator should know about a configuration and the files that it names.
#[must_use]
pub fn warnings(configuration: &Configuration, files: &[NamedFile]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let policy = configuration.validator.policy();
    warnings.extend(policy.allow_bearer.then_some(Warning::Bearer));
    warnings.extend(policy.allow_no_expiry.then_some(Warning::NoExpiry));
    warnings.extend((policy.leeway.as_secs() > 60).then_some(Warning::Leeway));
    let public = configuration.public_scope.entries();
    let is_wide = |filter: &str| filter.starts_with(['+', '#']);
    warnings.extend(public.iter().filter(|entry| is_wide(entry.filter.as_str())).map(|entry| {
        Warning::PublicWildcard {
            filter: entry.filter.as_str().to_owned(),
            may_publish: entry.permissions.contains(Permission::Publish),
        }
    }));
    let may_publish = public.iter().any(|entry| entry.permissions.contains(Permission::Publish));
    warnings.extend((configuration.allow_anonymous && may_publish).then_some(Warning::AnonymousPublishers));
    let is_deferred = configuration.other_clients == OtherClients::Defer;
    warnings.extend(is_deferred.then_some(Warning::OtherClientsDeferred));
    warnings.extend(of_keys(configuration));
    let holds_secrets = |file: &NamedFile| file.is_secret || is_key_set(file) && has_secret(file);
    let readable = files.iter().filter(|file| holds_secrets(file) && is_readable_by_others(file));
    warnings.extend(readable.map(|file| Warning::ReadableByOthers { path: file.path.clone() }));
    warnings
}

fn of_keys(configuration: &Configuration) -> Vec<Warning> {
    let servers = configuration.validator.servers();
    let mut warnings = Vec::new();
    for (at, server) in servers.iter().enumerate() {
        let own: Vec<&Jwk> = server.keys.keys().iter().filter(|key| key.symmetric_bytes().is_some()).collect();
        if own.iter().any(|key| key.signature_algorithm().is_some()) {
            warnings.push(Warning::SymmetricKey { issuer: server.issuer.clone() });
        }
        for other in servers.iter().skip(at + 1) {
            let is_shared = |key: &&&Jwk| {
                other
                    .keys
                    .keys()
                    .iter()
                    .any(|theirs| theirs.symmetric_bytes().is_some() && theirs.thumbprint() == key.thumbprint())
            };
            warnings.extend(own.iter().find(is_shared).map(|key| Warning::SharedKey {
                issuers: [server.issuer.clone(), other.issuer.clone()],
                kid: key.kid().map(str::to_owned),
            }));
        }
    }
    warnings
}

fn is_key_set(file: &NamedFile) -> bool {
    matches!(file.key, "jwks" | "client_keys")
}

/// Whether a JWK set has a symmetric or a private key.
fn has_secret(file: &NamedFile) -> bool {
    let text = zeroize::Zeroizing::new(fs::read_to_string(&file.path).unwrap_or_default());
    let keys = ace_profile::jose::JwkSet::from_json(&text).unwrap_or_default();
    keys.keys().iter().any(|key| key.symmetric_bytes().is_some() || key.is_private())
}

#[cfg(unix)]
fn is_readable_by_others(file: &NamedFile) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(&file.path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &NamedFile) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::named_files;

    /// The warnings about a configuration with these lines in its tables, and two servers whose keys are in these files.
    fn about(mqtt: &str, tokens: &str, jwks: [&str; 2], mode: u32) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ace.toml");
        let mut text = String::from("audience = \"broker\"\n");
        for (number, jwks) in jwks.iter().enumerate() {
            let file = folder.path().join(format!("{number}.json"));
            fs::write(&file, jwks).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            text.push_str(&format!("[[authorization_server]]\nissuer = \"as{number}\"\njwks = \"{number}.json\"\n"));
        }
        fs::write(&path, format!("{text}[mqtt]\n{mqtt}\n[tokens]\n{tokens}\n")).unwrap();
        let configuration = Configuration::load(&path).unwrap();
        let files = named_files(&path).unwrap();
        warnings(&configuration, &files).iter().map(ToString::to_string).collect()
    }

    const PUBLIC: &str =
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    const SHARED: &str =
        r#"{"keys":[{"kty":"oct","kid":"k","alg":"HS256","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#;

    #[test]
    fn a_careful_configuration_has_none() {
        assert_eq!(about("", "", [PUBLIC, PUBLIC], 0o644), Vec::<String>::new());
    }

    #[test]
    fn each_risk_is_told() {
        let mqtt = "public_publish = [\"#\"]\npublic_subscribe = [\"+/news\", \"ok/#\"]\nallow_anonymous = true\nother_clients = \"defer\"";
        let told = about(mqtt, "allow_bearer = true\nallow_no_expiry = true\nleeway = \"2m\"", [PUBLIC, PUBLIC], 0o644);
        let wanted = [
            "allow_bearer",
            "allow_no_expiry",
            "leeway",
            "publish to \"#\"",
            "subscribe to \"+/news\"",
            "allow_anonymous",
            "defer",
        ];
        assert_eq!(told.len(), wanted.len(), "{told:?}");
        for word in wanted {
            assert!(told.iter().any(|warning| warning.contains(word)), "{word} in {told:?}");
        }
    }

    #[test]
    fn shared_and_readable_secrets_are_told() {
        let told = about("", "", [SHARED, SHARED], 0o644);
        assert_eq!(told.iter().filter(|warning| warning.contains("the same symmetric key")).count(), 1, "{told:?}");
        assert_eq!(told.iter().filter(|warning| warning.contains("others on this machine")).count(), 2, "{told:?}");
        assert!(!told.iter().any(|warning| warning.contains("AAAAAAA")), "the key itself is not told");
        let told = about("", "", [SHARED, PUBLIC], 0o600);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("issue tokens"), "{told:?}");
    }
}
