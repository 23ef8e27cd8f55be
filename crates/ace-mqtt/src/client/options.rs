//! How to connect: what the caller may choose, and which choices contradict each other.

use std::time::Duration;

use crate::{
    authentication::Authentication,
    error::{Error, Result},
    message::{self, Message},
    reason::Version,
    tls::TlsOptions,
};

/// How to connect.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Broker's host name or address; the certificate is checked against it.
    pub host: String,
    /// Port, 8883 by default.
    pub port: u16,
    /// MQTT version.
    pub version: Version,
    /// How token and proof are presented.
    pub authentication: Authentication,
    /// Client id; a random one if `None`.
    pub client_id: Option<String>,
    /// Start without an earlier session's state.
    pub clean_start: bool,
    /// MQTT 5: seconds for which the broker keeps the session after the connection's end; `u32::MAX` for ever.
    pub session_expiry: u32,
    /// Seconds without a packet after which a ping is sent; 0: never.
    pub keep_alive: u16,
    /// The message that the broker sends if the connection breaks.
    pub will: Option<Message>,
    /// Whom to trust, and the TLS version.
    pub tls: TlsOptions,
    /// The broker's name in the token's audience, for [`Authentication::Draft00Time`]; by default the first that the credentials name.
    pub audience: Option<String>,
    /// Whether to show the public key beside the token, for a token that names it by a thumbprint only (`cnf` with `jkt`, RFC 9449 §6.1);
    /// only with [`Authentication::Draft00`] and [`Authentication::Draft00Time`].
    pub show_key: bool,
    /// How long TCP, TLS and CONNACK may take altogether.
    pub connect_timeout: Duration,
    /// How long the broker may take to answer a publish, subscribe or ping.
    pub response_timeout: Duration,
    /// The largest packet that is taken from the broker, in bytes.
    pub maximum_packet_size: u32,
}

impl ConnectOptions {
    /// MQTT 5 with the exporter proof, to port 8883 of `host`; everything else as mosquitto's clients have it.
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port: 8883,
            version: Version::V5,
            authentication: Authentication::Exporter,
            client_id: None,
            clean_start: true,
            session_expiry: 0,
            keep_alive: 60,
            will: None,
            tls: TlsOptions::default(),
            audience: None,
            show_key: false,
            connect_timeout: Duration::from_secs(20),
            response_timeout: Duration::from_secs(20),
            maximum_packet_size: 16 * 1024 * 1024,
        }
    }
}

/// Refuses options that contradict each other, before anything is sent.
pub(super) fn check(options: &ConnectOptions) -> Result<()> {
    if options.version == Version::V311 && options.authentication.needs_v5() {
        return Err(Error::Invalid(
            "MQTT 3.1.1 has no extended authentication: use the user name, or MQTT 5".to_owned(),
        ));
    }
    if options.authentication == Authentication::Stored && options.client_id.is_none() {
        return Err(Error::Invalid(
            "the broker finds the token that it holds by the client id: give the one of the earlier connection"
                .to_owned(),
        ));
    }
    if options.show_key && !matches!(options.authentication, Authentication::Draft00 | Authentication::Draft00Time) {
        return Err(Error::Invalid(
            "only the form of the draft has a place for the key that is to be shown".to_owned(),
        ));
    }
    if let Some(will) = &options.will {
        message::check_topic(&will.topic)?;
    }
    if options.maximum_packet_size == 0 {
        return Err(Error::Invalid("the largest packet cannot be of zero bytes".to_owned()));
    }
    Ok(())
}
