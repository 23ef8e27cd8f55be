//! Options that say which broker to connect to and over which TLS, shared by all commands that do. Names as those of mosquitto's clients.

use std::path::PathBuf;

use ace_mqtt::{ClientCertificate, ConnectOptions, TlsOptions, TlsVersion, Version};
use clap::{Args, ValueEnum};

use super::output;

/// The broker, and the client id there.
#[derive(Args)]
pub(crate) struct ConnectionArguments {
    /// Broker's host name or address, which its certificate must name
    #[arg(short = 'h', long, value_name = "HOST", default_value = "localhost")]
    host: String,

    /// Broker's port
    #[arg(short, long, value_name = "PORT", default_value_t = 8883)]
    port: u16,

    /// Client id; a random one by default
    #[arg(short, long, value_name = "ID")]
    pub(crate) id: Option<String>,

    /// Seconds without traffic after which a ping is sent; 0 for never
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60)]
    keepalive: u16,

    /// MQTT version
    #[arg(short = 'V', long, value_enum, value_name = "VERSION", default_value = "mqttv5")]
    protocol_version: VersionArgument,

    /// Say on standard error what is being done
    #[arg(short, long)]
    pub(crate) debug: bool,
}

/// TLS with the broker.
#[derive(Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsArguments {
    /// CA certificates (PEM) to trust for the broker, instead of the system's
    #[arg(long, value_name = "FILE")]
    cafile: Option<PathBuf>,

    /// Folder of CA certificates to trust for the broker
    #[arg(long, value_name = "FOLDER")]
    capath: Option<PathBuf>,

    /// The client's own certificate (PEM), for brokers that ask for one
    #[arg(long, value_name = "FILE", requires = "cert_key")]
    cert: Option<PathBuf>,

    /// The certificate's private key (PEM, not encrypted); mosquitto's clients call it --key, which here is the token's key
    #[arg(long, value_name = "FILE", requires = "cert")]
    cert_key: Option<PathBuf>,

    /// TLS version; 1.3 or 1.2 by default
    #[arg(long, value_enum, value_name = "VERSION")]
    tls_version: Option<TlsVersionArgument>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum VersionArgument {
    #[value(name = "mqttv5", aliases = ["5", "v5"])]
    V5,
    #[value(name = "mqttv311", aliases = ["311", "v311", "3.1.1"])]
    V311,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TlsVersionArgument {
    #[value(name = "1.2", alias = "tlsv1.2")]
    V12,
    #[value(name = "1.3", alias = "tlsv1.3")]
    V13,
}

impl ConnectionArguments {
    /// What these options say about a connection.
    pub(crate) fn options(&self, tls: &TlsArguments) -> ConnectOptions {
        let mut options = ConnectOptions::new(self.host.clone());
        options.port = self.port;
        options.client_id.clone_from(&self.id);
        options.keep_alive = self.keepalive;
        options.version = if self.is_v311() { Version::V311 } else { Version::V5 };
        options.tls = tls.options();
        options
    }

    /// Whether MQTT 3.1.1 is spoken, which has no words for a refusal.
    pub(crate) fn is_v311(&self) -> bool {
        self.protocol_version == VersionArgument::V311
    }

    /// A line on standard error, with --debug.
    pub(crate) fn say(&self, text: &str) {
        if self.debug {
            output::note(text);
        }
    }
}

impl TlsArguments {
    fn options(&self) -> TlsOptions {
        TlsOptions {
            ca_file: self.cafile.clone(),
            ca_path: self.capath.clone(),
            version: match self.tls_version {
                None => TlsVersion::Any,
                Some(TlsVersionArgument::V12) => TlsVersion::V12,
                Some(TlsVersionArgument::V13) => TlsVersion::V13,
            },
            client_certificate: self
                .cert
                .clone()
                .zip(self.cert_key.clone())
                .map(|(chain, key)| ClientCertificate { chain, key }),
        }
    }
}
