//! The configuration files of the trial set: this server's, the plugin's and the broker's.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::files::{Access, FileSet};
use super::{ClientSpec, InitError, Options, keys, pki};

/// The broker's id as a resource server.
pub(super) const BROKER_ID: &str = "broker";
/// The broker's secret as a resource server.
pub(super) const BROKER_SECRET: &str = "broker.secret";

/// The administrator's id.
pub(super) const ADMINISTRATOR_ID: &str = "administrator";
/// The administrator's secret.
pub(super) const ADMINISTRATOR_SECRET: &str = "administrator.secret";
/// What the server remembers; empty at first.
const STATE_FILE: &str = "as-state.jsonl";

/// Adds the configuration files, and the state that goes with them: a new set knows no old tokens.
pub(super) fn add(
    files: &mut FileSet,
    options: &Options,
    issuer: &str,
    clients: &[ClientSpec],
    folder: &Path,
) -> Result<(), InitError> {
    let path = |name: &str| {
        let path = folder.join(name);
        match path.to_str() {
            Some(text) if !text.chars().any(char::is_control) => Ok(text.to_owned()),
            _ => Err(InitError::Option("the folder's path is not plain text".to_owned())),
        }
    };
    let mut put = |name: &str, text: String, purpose: &'static str| {
        files.add(name, Zeroizing::new(text.into_bytes()), Access::Public, purpose);
    };
    put("as.toml", as_toml(options, issuer, clients), "this server's configuration");
    put(
        "ace.toml",
        ace_toml(options, issuer, &path(keys::BROKER_JWKS)?, &path(BROKER_SECRET)?, &path("ca-cert.pem")?),
        "the plugin's configuration",
    );
    let owner_is_root = folder.metadata().map_err(|error| InitError::Write(folder.to_owned(), error))?.uid() == 0;
    let conf =
        mosquitto_conf(options, &path("broker-cert.pem")?, &path("broker-key.pem")?, &path("ace.toml")?, owner_is_root);
    put("mosquitto.conf", conf, "the broker's configuration");
    files.add(STATE_FILE, Zeroizing::default(), Access::Private, "what this server remembers of its tokens");
    Ok(())
}

/// A text in TOML's quotes.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn list(texts: &[String]) -> String {
    toml::Value::from(texts.to_vec()).to_string()
}

fn as_toml(options: &Options, issuer: &str, clients: &[ClientSpec]) -> String {
    let mut text = format!(
        "\
# The authorization server's configuration. Check it with: ace-as check --config as.toml
# Files are relative to this one. Unknown keys are refused.

issuer = {issuer}   # \"iss\" of every token; ace.toml names it too
listen = {listen}
token_lifetime = {lifetime}
signing_key = {signing_key}
state_file = {state_file}   # what is out and what was revoked, across restarts

[tls]
certificate = \"as-cert.pem\"
key = \"as-key.pem\"

# The broker, by the name that stands in \"aud\" of its tokens.
[[audience]]
name = {audience}
public_key = {public_key}   # tells clients which broker is the right one
shared_key = {shared_key}   # for clients without a key of their own
# token_format = \"reference\"   # random text instead of a JWT: the broker asks at /introspect

# The broker again, as the one who may ask at /introspect about tokens for these audiences, and at /revoke/trl which of
# them were revoked.
[[resource_server]]
id = {broker_id}
secret_file = {broker_secret}
audiences = [{audience}]

# Who may revoke any token, at /revoke.
[[administrator]]
id = {administrator_id}
secret_file = {administrator_secret}

# Who may have tokens, and the most that they may be granted.
",
        issuer = quoted(issuer),
        listen = quoted(&options.listen.to_string()),
        lifetime = quoted(&options.token_lifetime),
        signing_key = quoted(keys::SIGNING_KEY),
        audience = quoted(&options.audience),
        public_key = quoted(pki::BROKER_PUBLIC_KEY),
        shared_key = quoted(keys::SHARED_KEY),
        broker_id = quoted(BROKER_ID),
        broker_secret = quoted(BROKER_SECRET),
        state_file = quoted(STATE_FILE),
        administrator_id = quoted(ADMINISTRATOR_ID),
        administrator_secret = quoted(ADMINISTRATOR_SECRET),
    );
    for client in clients {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\
[[client]]
id = {id}
secret_file = {secret}
audiences = [{audience}]
publish = {publish}
subscribe = {subscribe}

",
            id = quoted(client.id()),
            secret = quoted(&client.secret_file()),
            audience = quoted(&options.audience),
            publish = list(client.publish()),
            subscribe = list(client.subscribe()),
        );
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn ace_toml(options: &Options, issuer: &str, jwks: &str, broker_secret: &str, ca: &str) -> String {
    format!(
        "\
# The plugin's configuration: which tokens this broker takes.

audience = {audience}

[[authorization_server]]
issuer = {issuer}
jwks = {jwks}
algorithms = [{algorithm}]

# For opaque tokens (token_format = \"reference\" in as.toml):
# [authorization_server.introspection]
# url = {introspection}
# client_id = {broker_id}
# client_secret_file = {broker_secret}
# ca_file = {ca}
",
        audience = quoted(&options.audience),
        issuer = quoted(issuer),
        jwks = quoted(jwks),
        algorithm = quoted(options.signing.name()),
        introspection = quoted(&format!("{}/introspect", issuer.trim_end_matches('/'))),
        broker_id = quoted(BROKER_ID),
        broker_secret = quoted(broker_secret),
        ca = quoted(ca),
    )
}

fn mosquitto_conf(options: &Options, certificate: &str, key: &str, ace_toml: &str, owner_is_root: bool) -> String {
    // Certified for other hosts means that others are to connect.
    let bind = if options.hosts.is_empty() { " localhost" } else { "" };
    let user = if owner_is_root {
        "\n# These files belong to root. For more than a trial, give them to the broker's own user and drop this.\nuser root\n"
    } else {
        ""
    };
    format!(
        "\
# A broker for a trial: TLS only, and the plugin decides about every client.

listener {port}{bind}
certfile {certificate}
keyfile {key}

plugin {plugin}
plugin_opt_config_file {ace_toml}

# Retained messages live as long as their publisher's token: the broker asks about it with this line only.
check_retain_source true
{user}",
        port = options.broker_port,
        plugin = options.plugin.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_for_toml() {
        assert_eq!(quoted("a\"b\\c").parse::<toml::Value>().unwrap().as_str(), Some("a\"b\\c"));
        assert_eq!(list(&["a/#".to_owned(), "+".to_owned()]), r##"["a/#", "+"]"##);
    }

    #[test]
    fn the_plugin_is_told_whom_to_trust() {
        let text = ace_toml(
            &Options::new("x"),
            "https://localhost:8443",
            "/x/as-jwks.json",
            "/x/broker.secret",
            "/x/ca-cert.pem",
        );
        let value: toml::Table = text.parse().unwrap();
        assert_eq!(value["audience"].as_str(), Some("broker.example"));
        let server = &value["authorization_server"][0];
        assert_eq!(server["issuer"].as_str(), Some("https://localhost:8443"));
        assert_eq!(server["jwks"].as_str(), Some("/x/as-jwks.json"));
        assert!(server.get("introspection").is_none());
    }

    #[test]
    fn the_broker_stays_on_this_machine_unless_other_hosts_are_named() {
        let mut options = Options::new("x");
        let conf = |options: &Options| mosquitto_conf(options, "/c", "/k", "/a", false);
        assert!(conf(&options).contains("listener 8883 localhost\n"));
        assert!(!conf(&options).contains("user root"));
        options.broker_port = 18883;
        assert!(conf(&options).contains("listener 18883 localhost\n"));
        options.broker_port = 8883;
        options.hosts.push("broker.lan".to_owned());
        assert!(conf(&options).contains("listener 8883\n"));
        assert!(mosquitto_conf(&options, "/c", "/k", "/a", true).ends_with("user root\n"));
    }
}
