//! A connection to a broker: authenticated with a token and a proof, then publish, subscribe, receive. Blocking, one thread, every wait bounded.
//! Nothing is sent unless a method is being called: call [`Client::receive`] often enough for the keep-alive.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use mqtt_protocol_core::mqtt::result_code::{AuthReasonCode, DisconnectReasonCode};

use crate::{
    authentication::{self, Authentication},
    credentials::Credentials,
    error::{Error, Result},
    incoming::{Acknowledgement, Connack, Framer, Garbage, Incoming},
    message::{self, Message, Qos, Subscribed, Subscription},
    outgoing::{self, Acknowledge},
    reason::{Reason, Version},
    tls::{self, Input, TlsChannel, TlsOptions},
};

/// Messages that may wait for [`Client::receive`] while another method waits for an acknowledgement.
const QUEUED_MESSAGES: usize = 10_000;
/// Bytes of payload that may wait likewise.
const QUEUED_BYTES: usize = 64 * 1024 * 1024;
/// QoS 1 and 2 messages that the broker may have under way to us (MQTT 5 Receive Maximum).
const RECEIVE_MAXIMUM: u16 = 20;
/// QoS 2 packet identifiers remembered. MQTT 3.1.1 has no Receive Maximum, so the bound is ours.
const QOS2_REMEMBERED: usize = 1_000;

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
            connect_timeout: Duration::from_secs(20),
            response_timeout: Duration::from_secs(20),
            maximum_packet_size: 16 * 1024 * 1024,
        }
    }
}

/// An authenticated connection.
pub struct Client {
    channel: TlsChannel,
    framer: Framer,
    version: Version,
    client_id: String,
    session_present: bool,
    keep_alive: Option<Duration>,
    response_timeout: Duration,
    maximum_packet_size: usize,
    maximum_qos: Qos,
    retain_available: bool,
    last_sent: Instant,
    ping_sent: Option<Instant>,
    next_packet_id: u16,
    /// Outgoing messages of QoS 1 and 2 without their last acknowledgement.
    outgoing: HashMap<u16, Outgoing>,
    /// Answers to SUBSCRIBE and UNSUBSCRIBE.
    answers: HashMap<u16, Option<Vec<u8>>>,
    queue: VecDeque<Queued>,
    queued_bytes: usize,
    /// Incoming QoS 2 messages that were not released yet.
    qos2: HashSet<u16>,
    over: bool,
}

struct Outgoing {
    topic: String,
    qos: Qos,
    released: bool,
    result: Option<Result<()>>,
}

struct Queued {
    message: Message,
    packet_id: Option<u16>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("client_id", &self.client_id)
            .field("version", &self.version)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects, proves possession of the token's key and waits for the broker's consent.
    ///
    /// `credentials` may be missing only with [`Authentication::None`].
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Tls`], [`Error::Proof`], [`Error::Refused`], [`Error::ConnectionLost`], [`Error::Protocol`] and
    /// [`Error::Timeout`] by the step that failed; [`Error::Invalid`] for options that contradict each other.
    pub fn connect(options: &ConnectOptions, credentials: Option<&Credentials>) -> Result<Self> {
        check(options)?;
        let deadline = Instant::now() + options.connect_timeout;
        let client_id = match &options.client_id {
            Some(id) => id.clone(),
            None => authentication::random_client_id()?,
        };
        let config = tls::client_config(&options.tls)?;
        let channel = TlsChannel::connect(config, &options.host, options.port, deadline)?;
        let presented = authentication::present(options, credentials, &client_id, || channel.exporter())?;
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
                authentication: presented
                    .authentication_data
                    .as_deref()
                    .map(|data| (ace_profile::connect::METHOD, data.as_slice())),
            },
        )?;
        let mut client = Self {
            channel,
            framer: Framer::new(options.version, options.maximum_packet_size as usize),
            version: options.version,
            client_id,
            session_present: false,
            keep_alive: seconds(options.keep_alive),
            response_timeout: options.response_timeout,
            maximum_packet_size: usize::MAX,
            maximum_qos: Qos::ExactlyOnce,
            retain_available: true,
            last_sent: Instant::now(),
            ping_sent: None,
            next_packet_id: 1,
            outgoing: HashMap::new(),
            answers: HashMap::new(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            qos2: HashSet::new(),
            over: false,
        };
        client.send("sending CONNECT", &packet, deadline)?;
        client.await_connack(options, credentials, deadline)?;
        Ok(client)
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
        self.channel.describe()
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
        let deadline = self.response_deadline();
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
        let packet = outgoing::subscribe(self.version, packet_id, subscriptions)?;
        let codes = self.ask("waiting for the answer to SUBSCRIBE", packet_id, &packet)?;
        if codes.len() != subscriptions.len() {
            return Err(
                self.broken("subscribing", format!("{} answers to {} filters", codes.len(), subscriptions.len()))
            );
        }
        Ok(subscriptions
            .iter()
            .zip(codes)
            .map(|(subscription, code)| Subscribed {
                filter: subscription.filter.clone(),
                result: Qos::try_from(code).map_err(|_| Reason::new(self.version, code)),
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
        let packet = outgoing::unsubscribe(self.version, packet_id, filters)?;
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
        self.send_ping()?;
        let deadline = self.response_deadline();
        while self.ping_sent.is_some() {
            self.advance("waiting for the answer to a ping", deadline)?;
        }
        Ok(())
    }

    /// Ends the connection properly: the broker discards the Will.
    ///
    /// # Errors
    /// [`Error::ConnectionLost`] if DISCONNECT cannot be sent.
    pub fn disconnect(mut self) -> Result<()> {
        self.end(DisconnectReasonCode::NormalDisconnection)
    }

    /// Ends the connection properly, and has the broker publish the Will (MQTT 5 §3.14.2.1, reason 0x04). MQTT 3.1.1 has no such thing:
    /// there the connection is closed without DISCONNECT, with the same effect.
    ///
    /// # Errors
    /// As [`Client::disconnect`].
    pub fn disconnect_with_will(mut self) -> Result<()> {
        if self.version == Version::V311 {
            self.channel.close(self.response_deadline());
            self.over = true;
            return Ok(());
        }
        self.end(DisconnectReasonCode::DisconnectWithWillMessage)
    }

    /// Sends a message; its packet identifier if it will be acknowledged.
    fn start_publish(&mut self, message: &Message) -> Result<Option<u16>> {
        message::check_topic(&message.topic)?;
        if message.qos > self.maximum_qos {
            return Err(Error::Invalid(format!("the broker takes messages up to QoS {}", self.maximum_qos)));
        }
        if message.retain && !self.retain_available {
            return Err(Error::Invalid("the broker does not retain messages".to_owned()));
        }
        let packet_id = match message.qos {
            Qos::AtMostOnce => None,
            Qos::AtLeastOnce | Qos::ExactlyOnce => Some(self.take_packet_id()?),
        };
        let packet = outgoing::publish(self.version, message, packet_id)?;
        if packet.len() > self.maximum_packet_size {
            return Err(Error::Invalid(format!(
                "the message makes a packet of {} bytes, and the broker takes {} at most",
                packet.len(),
                self.maximum_packet_size
            )));
        }
        if let Some(id) = packet_id {
            self.outgoing
                .insert(id, Outgoing { topic: message.topic.clone(), qos: message.qos, released: false, result: None });
        }
        let deadline = self.response_deadline();
        self.send("sending a message", &packet, deadline)?;
        Ok(packet_id)
    }

    fn take_result(&mut self, packet_id: u16) -> Option<Result<()>> {
        let done = self.outgoing.get(&packet_id).is_none_or(|outgoing| outgoing.result.is_some());
        if !done {
            return None;
        }
        self.outgoing.remove(&packet_id).map_or(Some(Ok(())), |outgoing| outgoing.result)
    }

    fn ask(&mut self, step: &'static str, packet_id: u16, packet: &[u8]) -> Result<Vec<u8>> {
        self.answers.insert(packet_id, None);
        let deadline = self.response_deadline();
        self.send(step, packet, deadline)?;
        loop {
            if self.answers.get(&packet_id).is_some_and(Option::is_some) {
                return Ok(self.answers.remove(&packet_id).flatten().unwrap_or_default());
            }
            self.advance(step, deadline)?;
        }
    }

    fn await_connack(
        &mut self,
        options: &ConnectOptions,
        credentials: Option<&Credentials>,
        deadline: Instant,
    ) -> Result<()> {
        const STEP: &str = "waiting for the broker's answer to CONNECT";
        let mut challenge_open = options.authentication == Authentication::Challenge;
        loop {
            let Some(packet) = self.next_packet(STEP, deadline)? else {
                self.over = true;
                return Err(Error::Timeout(STEP));
            };
            match packet {
                Incoming::Connack(connack) => return self.accept(*connack),
                Incoming::Auth { reason, method, data } => {
                    if !challenge_open || reason != AuthReasonCode::ContinueAuthentication as u8 {
                        return Err(self.broken(STEP, "an AUTH that was not asked for".to_owned()));
                    }
                    if method.as_deref() != Some(ace_profile::connect::METHOD) {
                        return Err(self.broken(STEP, "an AUTH with another authentication method".to_owned()));
                    }
                    challenge_open = false;
                    let answer = match authentication::answer_challenge(credentials, &data) {
                        Ok(answer) => answer,
                        Err(Error::Protocol { what, .. }) => return Err(self.broken(STEP, what)),
                        Err(other) => return Err(other),
                    };
                    let packet =
                        outgoing::auth(AuthReasonCode::ContinueAuthentication, ace_profile::connect::METHOD, &answer)?;
                    self.send("answering the broker's challenge", &packet, deadline)?;
                }
                Incoming::Disconnect { reason, detail } => {
                    self.over = true;
                    return Err(Error::Refused { reason, detail, as_hint: None });
                }
                other => {
                    return Err(self.broken(STEP, format!("{} before CONNACK", other.name())));
                }
            }
        }
    }

    fn accept(&mut self, connack: Connack) -> Result<()> {
        if connack.reason.code() != 0 {
            self.over = true;
            return Err(Error::Refused { reason: connack.reason, detail: connack.detail, as_hint: connack.as_hint });
        }
        self.session_present = connack.session_present;
        if let Some(id) = connack.assigned_client_id {
            self.client_id = id;
        }
        if let Some(keep_alive) = connack.server_keep_alive {
            self.keep_alive = seconds(keep_alive);
        }
        if let Some(bytes) = connack.maximum_packet_size {
            self.maximum_packet_size = bytes as usize;
        }
        if let Some(level) = connack.maximum_qos {
            self.maximum_qos = Qos::try_from(level).unwrap_or(Qos::AtMostOnce);
        }
        self.retain_available = connack.retain_available;
        Ok(())
    }

    /// One packet handled, or an error: [`Error::Timeout`] if none came.
    fn advance(&mut self, step: &'static str, deadline: Instant) -> Result<()> {
        if self.step(step, deadline)? { Ok(()) } else { Err(Error::Timeout(step)) }
    }

    /// One packet handled (true), or the deadline reached (false).
    fn step(&mut self, step: &'static str, deadline: Instant) -> Result<bool> {
        match self.next_packet(step, deadline)? {
            Some(packet) => {
                self.handle(step, packet)?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn handle(&mut self, step: &'static str, packet: Incoming) -> Result<()> {
        match packet {
            Incoming::Publish { message, packet_id } => self.take_in(step, message, packet_id),
            Incoming::Puback(answer) => self.acknowledged(step, Qos::AtLeastOnce, answer),
            Incoming::Pubrec(answer) => self.received(step, answer),
            Incoming::Pubcomp(answer) => self.acknowledged(step, Qos::ExactlyOnce, answer),
            Incoming::Pubrel { packet_id } => {
                let deadline = self.response_deadline();
                if self.qos2.remove(&packet_id) {
                    let packet = outgoing::acknowledge(Acknowledge::Pubcomp, packet_id);
                    self.send(step, &packet, deadline)
                } else {
                    let packet = outgoing::pubcomp_unknown(self.version, packet_id)?;
                    self.send(step, &packet, deadline)
                }
            }
            Incoming::Suback { packet_id, codes } | Incoming::Unsuback { packet_id, codes } => {
                match self.answers.get_mut(&packet_id) {
                    Some(answer) if answer.is_none() => {
                        *answer = Some(codes);
                        Ok(())
                    }
                    _ => Err(self.broken(step, format!("an answer to packet {packet_id}, which was not sent"))),
                }
            }
            Incoming::Pingresp => {
                self.ping_sent = None;
                Ok(())
            }
            Incoming::Disconnect { reason, detail } => {
                self.over = true;
                Err(Error::Disconnected { reason, detail })
            }
            Incoming::Connack(connack) if connack.reason.is_failure() => {
                // Mosquitto 2.0.11 ends a failed re-authentication this way.
                self.over = true;
                Err(Error::Disconnected { reason: connack.reason, detail: connack.detail })
            }
            other @ (Incoming::Connack(_) | Incoming::Auth { .. }) => {
                Err(self.broken(step, format!("an unexpected {}", other.name())))
            }
        }
    }

    /// A message from the broker. QoS 2 messages come once, however often they are sent (MQTT 5 §4.3.3).
    fn take_in(&mut self, step: &'static str, message: Message, packet_id: Option<u16>) -> Result<()> {
        if message.qos == Qos::ExactlyOnce
            && let Some(id) = packet_id
            && !self.qos2.insert(id)
        {
            let still_queued =
                self.queue.iter().any(|queued| queued.packet_id == Some(id) && queued.message.qos == Qos::ExactlyOnce);
            if still_queued {
                return Ok(());
            }
            let packet = outgoing::acknowledge(Acknowledge::Pubrec, id);
            let deadline = self.response_deadline();
            return self.send(step, &packet, deadline);
        }
        self.queued_bytes = self.queued_bytes.saturating_add(message.payload.len());
        if self.queue.len() >= QUEUED_MESSAGES || self.queued_bytes > QUEUED_BYTES || self.qos2.len() > QOS2_REMEMBERED
        {
            return Err(self.broken(step, "more messages than can be kept".to_owned()));
        }
        self.queue.push_back(Queued { message, packet_id });
        Ok(())
    }

    fn acknowledge(&mut self, queued: &Queued) -> Result<()> {
        let Some(packet_id) = queued.packet_id else {
            return Ok(());
        };
        let kind = match queued.message.qos {
            Qos::AtMostOnce => return Ok(()),
            Qos::AtLeastOnce => Acknowledge::Puback,
            Qos::ExactlyOnce => Acknowledge::Pubrec,
        };
        let deadline = self.response_deadline();
        self.send("acknowledging a message", &outgoing::acknowledge(kind, packet_id), deadline)
    }

    /// PUBREC: the broker has the message, or refuses it.
    fn received(&mut self, step: &'static str, answer: Acknowledgement) -> Result<()> {
        let failed = answer.reason.is_failure();
        match self.outgoing.get_mut(&answer.packet_id) {
            Some(outgoing) if outgoing.qos == Qos::ExactlyOnce && outgoing.result.is_none() => {
                if failed {
                    outgoing.result = Some(Err(Error::PublishRefused {
                        topic: outgoing.topic.clone(),
                        reason: answer.reason,
                        detail: answer.detail,
                    }));
                    return Ok(());
                }
                outgoing.released = true;
                let packet = outgoing::acknowledge(Acknowledge::Pubrel, answer.packet_id);
                let deadline = self.response_deadline();
                self.send(step, &packet, deadline)
            }
            _ => Err(self.broken(step, format!("PUBREC for packet {}, which was not sent", answer.packet_id))),
        }
    }

    /// PUBACK or PUBCOMP: the last word on an outgoing message.
    fn acknowledged(&mut self, step: &'static str, qos: Qos, answer: Acknowledgement) -> Result<()> {
        match self.outgoing.get_mut(&answer.packet_id) {
            Some(outgoing)
                if outgoing.qos == qos
                    && outgoing.result.is_none()
                    && (qos == Qos::AtLeastOnce || outgoing.released) =>
            {
                outgoing.result = Some(if answer.reason.is_failure() {
                    Err(Error::PublishRefused {
                        topic: outgoing.topic.clone(),
                        reason: answer.reason,
                        detail: answer.detail,
                    })
                } else {
                    Ok(())
                });
                Ok(())
            }
            _ => {
                Err(self.broken(step, format!("an acknowledgement of packet {}, which was not sent", answer.packet_id)))
            }
        }
    }

    /// The next packet, or `None` at the deadline. Sends pings when they are due, and gives up on a broker that does not answer them.
    fn next_packet(&mut self, step: &'static str, deadline: Instant) -> Result<Option<Incoming>> {
        let mut buffer = [0_u8; 16 * 1024];
        loop {
            if self.over {
                return Err(Error::ConnectionLost { step, reason: "the connection is over".to_owned() });
            }
            match self.framer.next() {
                Ok(Some(packet)) => return Ok(Some(packet)),
                Ok(None) => {}
                Err(Garbage(what)) => return Err(self.broken(step, what)),
            }
            let wake = self.keep_alive_due(step)?.map_or(deadline, |due| due.min(deadline));
            match self.channel.read(&mut buffer, wake) {
                Ok(Input::Bytes(count)) => self.framer.push(buffer.get(..count).unwrap_or_default()),
                Ok(Input::Nothing) => {
                    if Instant::now() >= deadline {
                        return Ok(None);
                    }
                }
                Ok(Input::End) => {
                    self.over = true;
                    return Err(Error::ConnectionLost {
                        step,
                        reason: "the broker closed the connection without a reason".to_owned(),
                    });
                }
                Err(error) => {
                    self.over = true;
                    return Err(Error::ConnectionLost { step, reason: tls::io_words(&error) });
                }
            }
        }
    }

    /// Sends a ping that is due; says when to look again.
    fn keep_alive_due(&mut self, step: &'static str) -> Result<Option<Instant>> {
        let now = Instant::now();
        if let Some(sent) = self.ping_sent {
            let due = sent + self.response_timeout;
            if now >= due {
                self.over = true;
                return Err(Error::Timeout("waiting for the answer to a ping"));
            }
            return Ok(Some(due));
        }
        let Some(interval) = self.keep_alive else {
            return Ok(None);
        };
        // Before CONNACK there is nothing to keep alive: the connect deadline rules.
        if step.ends_with("CONNECT") {
            return Ok(None);
        }
        if now >= self.last_sent + interval {
            self.send_ping()?;
            return Ok(Some(now + self.response_timeout));
        }
        Ok(Some(self.last_sent + interval))
    }

    fn send_ping(&mut self) -> Result<()> {
        let deadline = self.response_deadline();
        self.send("sending a ping", &outgoing::PINGREQ, deadline)?;
        self.ping_sent = Some(Instant::now());
        Ok(())
    }

    fn send(&mut self, step: &'static str, packet: &[u8], deadline: Instant) -> Result<()> {
        if self.over {
            return Err(Error::ConnectionLost { step, reason: "the connection is over".to_owned() });
        }
        if let Err(error) = self.channel.write_all(packet, deadline) {
            // What the broker said before it closed tells more than "broken pipe".
            if let Some(last_words) = self.last_words() {
                return Err(last_words);
            }
            self.over = true;
            return Err(Error::ConnectionLost { step, reason: tls::io_words(&error) });
        }
        self.last_sent = Instant::now();
        Ok(())
    }

    /// The DISCONNECT or refusing CONNACK among the bytes that have arrived already.
    fn last_words(&mut self) -> Option<Error> {
        let mut buffer = [0_u8; 16 * 1024];
        let soon = Instant::now() + Duration::from_millis(200);
        while let Ok(Input::Bytes(count)) = self.channel.read(&mut buffer, soon) {
            self.framer.push(buffer.get(..count).unwrap_or_default());
        }
        while let Ok(Some(packet)) = self.framer.next() {
            match packet {
                Incoming::Disconnect { reason, detail } => {
                    self.over = true;
                    return Some(Error::Disconnected { reason, detail });
                }
                Incoming::Connack(connack) if connack.reason.code() != 0 => {
                    return self.accept(*connack).err();
                }
                _ => {}
            }
        }
        None
    }

    fn end(&mut self, reason: DisconnectReasonCode) -> Result<()> {
        let deadline = self.response_deadline();
        let packet = outgoing::disconnect(self.version, reason)?;
        self.send("sending DISCONNECT", &packet, deadline)?;
        self.channel.close(deadline);
        self.over = true;
        Ok(())
    }

    /// Ends the connection over something that the broker must not send.
    fn broken(&mut self, step: &'static str, what: String) -> Error {
        if !self.over {
            if let Ok(packet) = outgoing::disconnect(self.version, DisconnectReasonCode::ProtocolError) {
                let deadline = Instant::now() + Duration::from_secs(1);
                // A courtesy; the error is what counts.
                let _ = self.channel.write_all(&packet, deadline);
                self.channel.close(deadline);
            }
            self.over = true;
        }
        Error::Protocol { step, what }
    }

    fn response_deadline(&self) -> Instant {
        Instant::now() + self.response_timeout
    }

    /// A packet identifier that nothing under way uses.
    fn take_packet_id(&mut self) -> Result<u16> {
        for _ in 0..=u16::MAX {
            let id = self.next_packet_id;
            self.next_packet_id = id.checked_add(1).unwrap_or(1);
            if !self.outgoing.contains_key(&id) && !self.answers.contains_key(&id) {
                return Ok(id);
            }
        }
        Err(Error::Invalid("all packet identifiers are in use".to_owned()))
    }
}

fn seconds(count: u16) -> Option<Duration> {
    (count != 0).then(|| Duration::from_secs(count.into()))
}

fn check(options: &ConnectOptions) -> Result<()> {
    if options.version == Version::V311 && options.authentication.needs_v5() {
        return Err(Error::Invalid(
            "MQTT 3.1.1 has no extended authentication: use the user name, or MQTT 5".to_owned(),
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
