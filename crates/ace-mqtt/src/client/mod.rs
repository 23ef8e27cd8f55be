//! A connection to a broker: authenticated with a token and a proof, then publish, subscribe, receive. Blocking, one thread, every wait bounded.
//! Nothing is sent unless a method is being called: call [`Client::receive`] often enough for the keep-alive.

mod exchange;
mod handshake;
mod link;
mod options;
mod reauthentication;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use mqtt_protocol_core::mqtt::result_code::DisconnectReasonCode;

pub use options::ConnectOptions;

use self::{
    exchange::{Outgoing, Queued},
    link::Link,
    reauthentication::Reauthentication,
};
use crate::{
    error::{Error, Result},
    message::{self, Message, Qos, Subscribed, Subscription},
    outgoing,
    reason::{Reason, Version},
};

/// Messages that may wait for [`Client::receive`] while another method waits for an acknowledgement.
const QUEUED_MESSAGES: usize = 10_000;
/// Bytes of payload that may wait likewise.
const QUEUED_BYTES: usize = 64 * 1024 * 1024;
/// QoS 1 and 2 messages that the broker may have under way to us (MQTT 5 Receive Maximum).
const RECEIVE_MAXIMUM: u16 = 20;
/// QoS 2 packet identifiers remembered. MQTT 3.1.1 has no Receive Maximum, so the bound is ours.
const QOS2_REMEMBERED: usize = 1_000;

/// An authenticated connection. Dropping it closes the connection without DISCONNECT, so that the broker publishes the Will:
/// [`Client::disconnect`] is the proper end.
pub struct Client {
    link: Link,
    client_id: String,
    session_present: bool,
    /// Whether CONNECT named the authentication method "ace" (MQTT 5 §4.12).
    uses_method: bool,
    reauthentication: Option<Reauthentication>,
    /// The broker's terms.
    maximum_packet_size: usize,
    maximum_qos: Qos,
    retain_available: bool,
    next_packet_id: u16,
    /// Outgoing messages of QoS 1 and 2 without their last acknowledgement.
    outgoing: HashMap<u16, Outgoing>,
    /// Answers to SUBSCRIBE and UNSUBSCRIBE.
    answers: HashMap<u16, Option<Vec<u8>>>,
    queue: VecDeque<Queued>,
    queued_bytes: usize,
    /// Incoming QoS 2 messages that were not released yet.
    qos2: HashSet<u16>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("client_id", &self.client_id)
            .field("version", &self.link.version())
            .field("over", &self.link.is_over())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client without terms over a link.
    fn over(link: Link) -> Self {
        Self {
            link,
            client_id: String::new(),
            session_present: false,
            uses_method: false,
            reauthentication: None,
            maximum_packet_size: usize::MAX,
            maximum_qos: Qos::ExactlyOnce,
            retain_available: true,
            next_packet_id: 1,
            outgoing: HashMap::new(),
            answers: HashMap::new(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            qos2: HashSet::new(),
        }
    }

    /// The client id in use: the one asked for, the random one, or the one that the broker assigned.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Whether the broker had kept an earlier session.
    #[must_use]
    pub fn session_present(&self) -> bool {
        self.session_present
    }

    /// TLS version and cipher suite in words, for diagnosis.
    #[must_use]
    pub fn tls_description(&self) -> String {
        self.link.channel().describe()
    }

    /// Publishes a message and waits for its acknowledgement (QoS 1: PUBACK, QoS 2: PUBCOMP; QoS 0 has none).
    ///
    /// # Errors
    /// [`Error::PublishRefused`] if an MQTT 5 broker says so (the connection stays); [`Error::Disconnected`], [`Error::ConnectionLost`],
    /// [`Error::Timeout`], [`Error::Protocol`]: the connection is over. A refused message of QoS 0 shows as the end of the connection, later, or not at all.
    pub fn publish(&mut self, message: &Message) -> Result<()> {
        let Some(packet_id) = self.start_publish(message)? else {
            return Ok(());
        };
        let deadline = self.link.response_deadline();
        loop {
            if let Some(result) = self.take_result(packet_id) {
                return result;
            }
            self.advance("waiting for the acknowledgement of a message", deadline)?;
        }
    }

    /// Subscribes, and waits for the answer to each filter. A refused filter is no error: it is in the answer.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a malformed filter or none at all; otherwise the connection is over.
    pub fn subscribe(&mut self, subscriptions: &[Subscription]) -> Result<Vec<Subscribed>> {
        if subscriptions.is_empty() {
            return Err(Error::Invalid("no topic filter to subscribe to".to_owned()));
        }
        for subscription in subscriptions {
            message::check_filter(&subscription.filter)?;
        }
        let packet_id = self.take_packet_id()?;
        let packet = outgoing::subscribe(self.link.version(), packet_id, subscriptions)?;
        let codes = self.ask("waiting for the answer to SUBSCRIBE", packet_id, &packet)?;
        if codes.len() != subscriptions.len() {
            return Err(self
                .link
                .broken("subscribing", format!("{} answers to {} filters", codes.len(), subscriptions.len())));
        }
        Ok(subscriptions
            .iter()
            .zip(codes)
            .map(|(subscription, code)| Subscribed {
                filter: subscription.filter.clone(),
                result: Qos::try_from(code).map_err(|_| Reason::new(self.link.version(), code)),
            })
            .collect())
    }

    /// Ends subscriptions, and waits for the broker's answer.
    ///
    /// # Errors
    /// As [`Client::subscribe`].
    pub fn unsubscribe(&mut self, filters: &[&str]) -> Result<()> {
        if filters.is_empty() {
            return Err(Error::Invalid("no topic filter to unsubscribe".to_owned()));
        }
        for filter in filters {
            message::check_filter(filter)?;
        }
        let packet_id = self.take_packet_id()?;
        let packet = outgoing::unsubscribe(self.link.version(), packet_id, filters)?;
        self.ask("waiting for the answer to UNSUBSCRIBE", packet_id, &packet)?;
        Ok(())
    }

    /// The next message, or `None` if none arrives within `timeout`. Keeps the connection alive meanwhile.
    /// A message of QoS 1 or 2 is acknowledged as it is handed out.
    ///
    /// # Errors
    /// [`Error::Disconnected`] with the broker's reason, [`Error::ConnectionLost`], [`Error::Protocol`], [`Error::Timeout`] for an unanswered ping:
    /// the connection is over.
    pub fn receive(&mut self, timeout: Duration) -> Result<Option<Message>> {
        let now = Instant::now();
        let deadline = now.checked_add(timeout).unwrap_or_else(|| now + Duration::from_secs(365 * 24 * 3600));
        loop {
            if let Some(queued) = self.queue.pop_front() {
                self.queued_bytes = self.queued_bytes.saturating_sub(queued.message.payload.len());
                self.acknowledge(&queued)?;
                return Ok(Some(queued.message));
            }
            if !self.step("receiving", deadline)? {
                return Ok(None);
            }
        }
    }

    /// Asks the broker for a sign of life and waits for it.
    ///
    /// # Errors
    /// [`Error::Timeout`] without an answer; as [`Client::receive`] otherwise.
    pub fn ping(&mut self) -> Result<()> {
        self.finish_reauthentication()?;
        self.link.ping()?;
        let deadline = self.link.response_deadline();
        while self.link.ping_is_open() {
            self.advance("waiting for the answer to a ping", deadline)?;
        }
        Ok(())
    }

    /// Ends the connection properly: the broker discards the Will.
    ///
    /// # Errors
    /// [`Error::ConnectionLost`] if DISCONNECT cannot be sent.
    pub fn disconnect(mut self) -> Result<()> {
        self.link.disconnect(DisconnectReasonCode::NormalDisconnection)
    }

    /// Ends the connection properly, and has the broker publish the Will (MQTT 5 §3.14.2.1, reason 0x04). MQTT 3.1.1 has no such thing:
    /// there the connection is closed without DISCONNECT, with the same effect.
    ///
    /// # Errors
    /// As [`Client::disconnect`].
    pub fn disconnect_with_will(mut self) -> Result<()> {
        if self.link.version() == Version::V311 {
            self.link.close();
            return Ok(());
        }
        self.link.disconnect(DisconnectReasonCode::DisconnectWithWillMessage)
    }
}
