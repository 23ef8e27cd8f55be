//! The examples in `mosquitto-conf/`, changed only as an operator would: paths, ports, and what the files ask to be edited.

use std::path::{Path, PathBuf};

use super::authority::{AUDIENCE, Authority};
use super::broker::Broker;
use super::case::Ctx;
use super::pki::pki;
use super::setup::Setup;

/// Where the examples have the broker's files.
const ETC: &str = "/etc/mosquitto/";
/// Where they have the plugin.
const PLUGIN: &str = "/usr/lib/mosquitto/libmosquitto_ace.so";

/// One example: a `mosquitto.conf` and the `ace.toml` that it names.
pub struct Example {
    conf: String,
    toml_name: String,
    toml: String,
    files: Vec<(String, String)>,
}

/// The file of this name in the folder of examples.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("mosquitto-conf").join(name)
}

fn read(name: &str) -> String {
    let file = file(name);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The text with this changed, which must be there.
pub fn edited(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not in the example:\n{text}");
    text.replacen(from, to, 1)
}

impl Example {
    /// The example by its broker's file, with the broker's name set.
    pub fn read(conf_name: &str) -> Self {
        let conf = read(conf_name);
        let named = conf.lines().find_map(|line| line.strip_prefix("plugin_opt_config_file "));
        let toml_name = named.and_then(|path| path.strip_prefix(ETC)).expect("a file for the plugin").to_owned();
        let toml = edited(&read(&toml_name), "audience = \"broker.example\"", &format!("audience = \"{AUDIENCE}\""));
        Self { conf, toml_name, toml, files: Vec::new() }
    }

    /// Changes the broker's file.
    pub fn edit_conf(mut self, from: &str, to: &str) -> Self {
        self.conf = edited(&self.conf, from, to);
        self
    }

    /// Changes the plugin's file.
    pub fn edit(mut self, from: &str, to: &str) -> Self {
        self.toml = edited(&self.toml, from, to);
        self
    }

    /// Puts a file beside the two.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Starts a broker with it whose first server is this one, with its keys in `as-jwks.json` and its issuer in the file.
    pub fn start(self, ctx: &Ctx, authority: &Authority) -> Broker {
        let issuer = format!("issuer = \"{}\"", authority.issuer);
        self.edit("issuer = \"https://as.example\"", &issuer).start_as_it_is(ctx, authority)
    }

    /// The same with the issuers that are in the file.
    pub fn start_as_it_is(self, ctx: &Ctx, authority: &Authority) -> Broker {
        let local = |text: &str| text.replace(ETC, "{dir}/");
        let conf = edited(&local(&self.conf), PLUGIN, &ctx.plugin.display().to_string());
        let server = &pki().server;
        let mut setup = Setup::with(authority.clone())
            .file(&self.toml_name, &local(&self.toml))
            .file("certs/broker-cert.pem", &server.certificate)
            .file("certs/broker-key.pem", &server.private_key)
            .file("certs/clients-ca.pem", &pki().authority);
        for (name, text) in &self.files {
            setup = setup.file(name, text);
        }
        let listeners = conf.lines().filter(|line| line.starts_with("listener ")).count();
        setup.listeners = vec![Vec::new(); listeners - 1];
        setup.whole_conf = Some(conf);
        setup.start(ctx)
    }
}
