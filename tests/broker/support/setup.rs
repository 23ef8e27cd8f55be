//! What a broker is started with: `mosquitto.conf`, `ace.toml`, key files.

use std::path::Path;

use serde_json::json;

use super::authority::{AUDIENCE, Authority};
use super::broker::Broker;
use super::case::Ctx;
use super::key::Key;
use super::pki::pki;

/// The settings of a listener that has the broker's certificate.
pub const CERTIFICATE: [&str; 2] = ["certfile {dir}/server.crt", "keyfile {dir}/server.key"];

/// The settings of a listener that asks clients for their certificates, too.
pub const MUTUAL: [&str; 4] = [CERTIFICATE[0], CERTIFICATE[1], "cafile {dir}/ca.crt", "require_certificate true"];

/// The beginnings of a broker. In every line and file, `{dir}` stands for the broker's folder.
#[derive(Clone)]
pub struct Setup {
    /// Who issues the tokens.
    pub authority: Authority,
    /// The line that says where the server's keys are.
    jwks: String,
    top: Vec<String>,
    servers: Vec<String>,
    mqtt: Vec<String>,
    tokens: Vec<String>,
    metrics: Vec<String>,
    /// How many lines about refusals of a client the log has in a minute: as many as there are, unless a case is about that.
    pub refusals_per_minute: u32,
    /// More lines for `mosquitto.conf`, before the listeners.
    pub conf: Vec<String>,
    /// More files for the broker's folder.
    pub files: Vec<(String, String)>,
    /// `ace.toml` as it stands, instead of the one made from the lines.
    pub verbatim: Option<String>,
    /// `mosquitto.conf` as it stands, instead of the one made from the lines: only its ports are replaced.
    pub whole_conf: Option<String>,
    /// Is there a listener without TLS, too?
    pub has_plain_listener: bool,
    /// Is there a WebSocket listener, with TLS, too?
    pub has_websocket_listener: bool,
    /// More listeners, each with its settings.
    pub listeners: Vec<Vec<String>>,
    /// Has each listener its own settings, and its own plugin?
    pub is_per_listener: bool,
    /// What the broker's OpenSSL is configured with, instead of nothing.
    pub openssl: Option<String>,
    /// Is the plugin loaded?
    pub has_plugin: bool,
}

impl Setup {
    /// One authorization server, one TLS listener.
    pub fn new() -> Self {
        Self::with(Authority::new())
    }

    /// The same with this authorization server.
    pub fn with(authority: Authority) -> Self {
        Self {
            authority,
            jwks: "jwks = \"{dir}/as-jwks.json\"".to_owned(),
            top: vec![format!("audience = {}", json!(AUDIENCE))],
            servers: Vec::new(),
            mqtt: Vec::new(),
            tokens: Vec::new(),
            metrics: Vec::new(),
            refusals_per_minute: 0,
            conf: Vec::new(),
            files: Vec::new(),
            verbatim: None,
            whole_conf: None,
            has_plain_listener: false,
            has_websocket_listener: false,
            listeners: Vec::new(),
            is_per_listener: false,
            openssl: None,
            has_plugin: true,
        }
    }

    /// A line for the top of `ace.toml`.
    pub fn top(mut self, line: &str) -> Self {
        self.top.push(line.to_owned());
        self
    }

    /// A line for `[mqtt]`.
    pub fn mqtt(mut self, line: &str) -> Self {
        self.mqtt.push(line.to_owned());
        self
    }

    /// A line for `[tokens]`.
    pub fn tokens(mut self, line: &str) -> Self {
        self.tokens.push(line.to_owned());
        self
    }

    /// A line for `[metrics]`.
    pub fn metrics(mut self, line: &str) -> Self {
        self.metrics.push(line.to_owned());
        self
    }

    /// A line for the first `[[authorization_server]]`.
    pub fn server(mut self, line: &str) -> Self {
        self.servers.push(line.to_owned());
        self
    }

    /// The server's keys are not in a file but at this URL, or without one wherever the server says.
    pub fn keys_by_url(mut self, url: Option<&str>) -> Self {
        self.jwks = url.map(|url| format!("jwks = {}", json!(url))).unwrap_or_default();
        self
    }

    /// The last of the servers is asked about tokens at this URL. To be called after all other lines for it.
    pub fn introspecting(self, url: &str) -> Self {
        self.file("as-ca.pem", &pki().authority)
            .server("[authorization_server.introspection]")
            .server(&format!("url = {}", json!(url)))
            .server("ca_file = \"{dir}/as-ca.pem\"")
    }

    /// Another audience than the usual one, as TOML.
    pub fn audience(mut self, toml: &str) -> Self {
        self.top = vec![format!("audience = {toml}")];
        self
    }

    /// A line for `mosquitto.conf`.
    pub fn conf(mut self, line: &str) -> Self {
        self.conf.push(line.to_owned());
        self
    }

    /// A file in the broker's folder.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Client keys that tokens may name.
    pub fn client_keys(self, keys: &[&Key]) -> Self {
        let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        self.file("client-keys.jwks", &json!({ "keys": keys }).to_string())
            .tokens("client_keys = \"{dir}/client-keys.jwks\"")
    }

    /// A listener without TLS beside the other.
    pub fn plain_listener(mut self) -> Self {
        self.has_plain_listener = true;
        self
    }

    /// A WebSocket listener, with TLS, beside the other.
    pub fn websocket_listener(mut self) -> Self {
        self.has_websocket_listener = true;
        self
    }

    /// One more listener with these settings. Those for a certificate are in [`CERTIFICATE`].
    pub fn listener(mut self, settings: &[&str]) -> Self {
        self.listeners.push(settings.iter().map(|line| (*line).to_owned()).collect());
        self
    }

    /// Whether there are listeners with configurations of their own.
    pub fn has_several_configurations(&self) -> bool {
        self.listeners.iter().flatten().any(|line| line.starts_with("plugin_opt_config_file"))
    }

    /// `ace.toml`.
    fn ace_toml(&self) -> String {
        if let Some(verbatim) = &self.verbatim {
            return verbatim.clone();
        }
        let mut lines = self.top.clone();
        lines.push("[[authorization_server]]".to_owned());
        lines.push(format!("issuer = {}", json!(self.authority.issuer)));
        lines.push(self.jwks.clone());
        lines.extend(self.servers.iter().cloned());
        lines.push("[mqtt]".to_owned());
        lines.extend(self.mqtt.iter().cloned());
        lines.push("[tokens]".to_owned());
        lines.extend(self.tokens.iter().cloned());
        lines.push("[metrics]".to_owned());
        lines.extend(self.metrics.iter().cloned());
        lines.push(format!("[log]\nrefusals_per_minute = {}", self.refusals_per_minute));
        lines.join("\n") + "\n"
    }

    /// Writes `ace.toml` and the key files, at start and for a reload.
    pub fn write(&self, folder: &Path) {
        let place = folder.display().to_string();
        let write = |name: &str, text: &str| {
            let file = folder.join(name);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            std::fs::write(file, text.replace("{dir}", &place)).expect("a file");
        };
        write("as-jwks.json", &self.authority.jwks());
        write("ace.toml", &self.ace_toml());
        for (name, text) in &self.files {
            write(name, text);
        }
    }

    /// Starts the broker.
    pub fn start(self, ctx: &Ctx) -> Broker {
        Broker::start(ctx, self)
    }
}
