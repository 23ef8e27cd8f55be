//! The line to the broker: packets out, packets in, pings in between, and how it ends. What the packets mean is not known here.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mqtt_protocol_core::mqtt::result_code::DisconnectReasonCode;
use rustls::ClientConfig;

use super::ConnectOptions;
use crate::{
    error::{Error, Result},
    incoming::{Framer, Garbage, Incoming},
    outgoing,
    reason::Version,
    tls::{self, Input, TlsChannel},
};

/// Bytes read at once.
const CHUNK: usize = 16 * 1024;
/// How long goodbyes may take.
const COURTESY: Duration = Duration::from_secs(1);

/// A connection that packets go through.
pub(super) struct Link {
    channel: TlsChannel,
    framer: Framer,
    version: Version,
    /// `None` until the connection is accepted, and if the caller wants no pings.
    keep_alive: Option<Duration>,
    response_timeout: Duration,
    last_sent: Instant,
    ping_sent: Option<Instant>,
    /// Whether no ping may be sent, due or not.
    pings_held: bool,
    over: bool,
}

impl Link {
    /// Opens TCP and TLS.
    pub(super) fn open(options: &ConnectOptions, config: Arc<ClientConfig>, deadline: Instant) -> Result<Self> {
        Ok(Self {
            channel: TlsChannel::connect(config, &options.host, options.port, deadline)?,
            framer: Framer::new(options.version, options.maximum_packet_size as usize),
            version: options.version,
            keep_alive: None,
            response_timeout: options.response_timeout,
            last_sent: Instant::now(),
            ping_sent: None,
            pings_held: false,
            over: false,
        })
    }

    /// The TLS channel, for its exporter value and description.
    pub(super) fn channel(&self) -> &TlsChannel {
        &self.channel
    }

    /// The MQTT version spoken.
    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// Whether the connection has ended.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Sends pings from now on, after so many seconds without another packet; 0: never.
    pub(super) fn keep_alive(&mut self, seconds: u16) {
        self.keep_alive = (seconds != 0).then(|| Duration::from_secs(seconds.into()));
    }

    /// Sends no pings until further notice, or sends them again when they are due.
    pub(super) fn hold_pings(&mut self, held: bool) {
        self.pings_held = held;
    }

    /// When an answer to what is sent now has to be here.
    pub(super) fn response_deadline(&self) -> Instant {
        Instant::now() + self.response_timeout
    }

    /// Sends a packet that nothing is waited for on its behalf.
    pub(super) fn send(&mut self, step: &'static str, packet: &[u8]) -> Result<()> {
        self.send_before(step, packet, self.response_deadline())
    }

    /// Sends a packet before `deadline`.
    pub(super) fn send_before(&mut self, step: &'static str, packet: &[u8], deadline: Instant) -> Result<()> {
        if self.over {
            return Err(is_over(step));
        }
        if let Err(error) = self.channel.write_all(packet, deadline) {
            // What the broker said before it closed tells more than "broken pipe".
            let reason = self.last_words().unwrap_or(Error::ConnectionLost { step, reason: tls::io_words(&error) });
            self.close();
            return Err(reason);
        }
        self.last_sent = Instant::now();
        Ok(())
    }

    /// The next packet, or `None` at the deadline. Sends pings when they are due, and gives up on a broker that does not answer them.
    pub(super) fn next_packet(&mut self, step: &'static str, deadline: Instant) -> Result<Option<Incoming>> {
        let mut buffer = [0_u8; CHUNK];
        loop {
            if self.over {
                return Err(is_over(step));
            }
            match self.framer.next() {
                Ok(Some(Incoming::Pingresp)) if self.ping_sent.is_some() => {
                    self.ping_sent = None;
                    return Ok(Some(Incoming::Pingresp));
                }
                Ok(Some(packet)) => return Ok(Some(packet)),
                Ok(None) => {}
                Err(Garbage(what)) => return Err(self.broken(step, what)),
            }
            let wake = self.keep_alive_due()?.map_or(deadline, |due| due.min(deadline));
            let reason = match self.channel.read(&mut buffer, wake) {
                Ok(Input::Bytes(count)) => {
                    self.framer.push(buffer.get(..count).unwrap_or_default());
                    continue;
                }
                Ok(Input::Nothing) if Instant::now() >= deadline => return Ok(None),
                Ok(Input::Nothing) => continue,
                Ok(Input::End) => "the broker closed the connection without a reason".to_owned(),
                Err(error) => tls::io_words(&error),
            };
            self.close();
            return Err(Error::ConnectionLost { step, reason });
        }
    }

    /// Sends a ping.
    pub(super) fn ping(&mut self) -> Result<()> {
        self.send("sending a ping", &outgoing::PINGREQ)?;
        self.ping_sent = Some(Instant::now());
        Ok(())
    }

    /// Whether a ping has not been answered yet.
    pub(super) fn ping_is_open(&self) -> bool {
        self.ping_sent.is_some()
    }

    /// Ends the connection with DISCONNECT.
    pub(super) fn disconnect(&mut self, reason: DisconnectReasonCode) -> Result<()> {
        let packet = outgoing::disconnect(self.version, reason)?;
        self.send("sending DISCONNECT", &packet)?;
        self.close();
        Ok(())
    }

    /// Ends the connection without DISCONNECT.
    pub(super) fn close(&mut self) {
        if !self.over {
            self.over = true;
            self.channel.close(Instant::now() + COURTESY);
        }
    }

    /// Ends the connection over something that the broker must not send.
    pub(super) fn broken(&mut self, step: &'static str, what: String) -> Error {
        if !self.over
            && let Ok(packet) = outgoing::disconnect(self.version, DisconnectReasonCode::ProtocolError)
        {
            // A courtesy; the error is what counts.
            let _ = self.channel.write_all(&packet, Instant::now() + COURTESY);
        }
        self.close();
        Error::Protocol { step, what }
    }

    /// Sends a ping that is due; says when to look again.
    fn keep_alive_due(&mut self) -> Result<Option<Instant>> {
        let now = Instant::now();
        if let Some(sent) = self.ping_sent {
            let due = sent + self.response_timeout;
            if now >= due {
                self.close();
                return Err(Error::Timeout("waiting for the answer to a ping"));
            }
            return Ok(Some(due));
        }
        let Some(interval) = self.keep_alive.filter(|_| !self.pings_held) else { return Ok(None) };
        if now < self.last_sent + interval {
            return Ok(Some(self.last_sent + interval));
        }
        self.ping()?;
        Ok(Some(now + self.response_timeout))
    }

    /// The DISCONNECT or refusing CONNACK among what has arrived already.
    fn last_words(&mut self) -> Option<Error> {
        let mut buffer = [0_u8; CHUNK];
        let soon = Instant::now() + COURTESY / 4;
        while let Ok(Input::Bytes(count)) = self.channel.read(&mut buffer, soon) {
            self.framer.push(buffer.get(..count).unwrap_or_default());
        }
        while let Ok(Some(packet)) = self.framer.next() {
            match packet {
                Incoming::Disconnect { reason, detail } => return Some(Error::Disconnected { reason, detail }),
                Incoming::Connack(connack) if connack.reason.code() != 0 => return Some(connack.refusal()),
                _ => {}
            }
        }
        None
    }
}

/// Without DISCONNECT, so the broker publishes the Will; but with a proper end of TLS.
impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}

fn is_over(step: &'static str) -> Error {
    Error::ConnectionLost { step, reason: "the connection is over".to_owned() }
}
