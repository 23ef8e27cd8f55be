//! From CONNECT to CONNACK: token and proof out, the challenge answered, the broker's terms taken down.

use std::time::Instant;

use ace_profile::connect::METHOD;
use mqtt_protocol_core::mqtt::result_code::AuthReasonCode;

use super::{Client, ConnectOptions, RECEIVE_MAXIMUM, link::Link, options};
use crate::{
    authentication,
    credentials::Credentials,
    error::{Error, Result},
    incoming::{Connack, Incoming},
    message::Qos,
    outgoing, tls,
};

const STEP: &str = "waiting for the broker's answer to CONNECT";

impl Client {
    /// Connects, proves possession of the token's key and waits for the broker's consent.
    ///
    /// `credentials` may be missing only with [`Authentication::None`](crate::Authentication::None).
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Tls`], [`Error::Proof`], [`Error::Refused`], [`Error::ConnectionLost`], [`Error::Protocol`] and
    /// [`Error::Timeout`] by the step that failed; [`Error::Invalid`] for options that contradict each other.
    pub fn connect(options: &ConnectOptions, credentials: Option<&Credentials>) -> Result<Self> {
        options::check(options)?;
        let deadline = Instant::now() + options.connect_timeout;
        let client_id = match &options.client_id {
            Some(id) => id.clone(),
            None => authentication::random_client_id()?,
        };
        let config = tls::client_config(&options.tls)?;
        let mut link = Link::open(options, config, deadline)?;
        if let Some(key) = credentials.and_then(Credentials::broker_key) {
            // Before the token is shown to whoever this is.
            link.channel().check_key(key)?;
        }
        let presented = authentication::present(options, credentials, &client_id, || link.channel().exporter())?;
        let packet = outgoing::connect(
            options.version,
            &outgoing::Connect {
                client_id: &client_id,
                clean_start: options.clean_start,
                keep_alive: options.keep_alive,
                session_expiry: options.session_expiry,
                receive_maximum: RECEIVE_MAXIMUM,
                maximum_packet_size: options.maximum_packet_size,
                will: options.will.as_ref(),
                user_name: presented.user_name.as_deref().map(String::as_str),
                password: presented.password.as_deref().map(Vec::as_slice),
                authentication: presented.authentication_data.as_deref().map(|data| (METHOD, data.as_slice())),
            },
        )?;
        link.send_before("sending CONNECT", &packet, deadline)?;
        let connack = await_connack(&mut link, options, credentials, deadline)?;
        link.keep_alive(connack.server_keep_alive.unwrap_or(options.keep_alive));
        let mut client = Self::accepted(link, client_id, connack);
        client.uses_method = presented.authentication_data.is_some();
        Ok(client)
    }

    /// A connection on the terms of its CONNACK.
    fn accepted(link: Link, client_id: String, connack: Connack) -> Self {
        let mut client = Self::over(link);
        client.client_id = connack.assigned_client_id.unwrap_or(client_id);
        client.session_present = connack.session_present;
        client.maximum_packet_size = connack.maximum_packet_size.map_or(usize::MAX, |bytes| bytes as usize);
        client.maximum_qos =
            connack.maximum_qos.map_or(Qos::ExactlyOnce, |level| Qos::try_from(level).unwrap_or(Qos::AtMostOnce));
        client.retain_available = connack.retain_available;
        client
    }
}

/// The accepting CONNACK. At most one challenge is answered, and only if one was asked for.
fn await_connack(
    link: &mut Link,
    options: &ConnectOptions,
    credentials: Option<&Credentials>,
    deadline: Instant,
) -> Result<Connack> {
    let mut challenge_awaited = options.authentication.awaits_challenge();
    loop {
        let Some(packet) = link.next_packet(STEP, deadline)? else {
            link.close();
            return Err(Error::Timeout(STEP));
        };
        match packet {
            Incoming::Connack(connack) if connack.reason.code() == 0 => return Ok(*connack),
            Incoming::Connack(connack) => {
                link.close();
                return Err(connack.refusal());
            }
            Incoming::Auth { reason, method, data } => {
                if !challenge_awaited || reason != AuthReasonCode::ContinueAuthentication as u8 {
                    return Err(link.broken(STEP, "an AUTH that was not asked for".to_owned()));
                }
                if method.as_deref() != Some(METHOD) {
                    return Err(link.broken(STEP, "an AUTH with another authentication method".to_owned()));
                }
                challenge_awaited = false;
                let answer = match authentication::answer_challenge(credentials, &data) {
                    Ok(answer) => answer,
                    Err(Error::Protocol { what, .. }) => return Err(link.broken(STEP, what)),
                    Err(other) => return Err(other),
                };
                let packet = outgoing::auth(AuthReasonCode::ContinueAuthentication, METHOD, &answer)?;
                link.send_before("answering the broker's challenge", &packet, deadline)?;
            }
            Incoming::Disconnect { reason, detail } => {
                link.close();
                return Err(Error::Refused { reason, detail, as_hints: Vec::new() });
            }
            other => return Err(link.broken(STEP, format!("{} before CONNACK", other.name()))),
        }
    }
}
