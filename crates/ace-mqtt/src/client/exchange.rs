//! Messages under way: which acknowledgement is due to whom (MQTT 5 §4.3), in both directions.

use std::time::Instant;

use super::{Client, QOS2_REMEMBERED, QUEUED_BYTES, QUEUED_MESSAGES};
use crate::{
    error::{Error, Result},
    incoming::{Acknowledgement, Incoming},
    message::{self, Message, Qos},
    outgoing::{self, Acknowledge},
};

/// A message of QoS 1 or 2 on its way to the broker.
pub(super) struct Outgoing {
    topic: String,
    qos: Qos,
    /// QoS 2: PUBREL has been sent.
    released: bool,
    result: Option<Result<()>>,
}

/// A message that waits for the caller.
pub(super) struct Queued {
    pub(super) message: Message,
    pub(super) packet_id: Option<u16>,
}

impl Client {
    /// Sends a message; its packet identifier if it will be acknowledged.
    pub(super) fn start_publish(&mut self, message: &Message) -> Result<Option<u16>> {
        message::check_topic(&message.topic)?;
        self.finish_reauthentication()?;
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
        let packet = outgoing::publish(self.link.version(), message, packet_id)?;
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
        self.send("sending a message", &packet)?;
        Ok(packet_id)
    }

    /// How a message ended, once it has.
    pub(super) fn take_result(&mut self, packet_id: u16) -> Option<Result<()>> {
        let done = self.outgoing.get(&packet_id).is_none_or(|outgoing| outgoing.result.is_some());
        if !done {
            return None;
        }
        self.outgoing.remove(&packet_id).map_or(Some(Ok(())), |outgoing| outgoing.result)
    }

    /// Sends SUBSCRIBE or UNSUBSCRIBE and waits for the codes in its answer.
    pub(super) fn ask(&mut self, step: &'static str, packet_id: u16, packet: &[u8]) -> Result<Vec<u8>> {
        self.finish_reauthentication()?;
        self.answers.insert(packet_id, None);
        let deadline = self.link.response_deadline();
        self.link.send(step, packet)?;
        loop {
            if self.answers.get(&packet_id).is_some_and(Option::is_some) {
                return Ok(self.answers.remove(&packet_id).flatten().unwrap_or_default());
            }
            self.advance(step, deadline)?;
        }
    }

    /// One packet handled, or an error: [`Error::Timeout`] if none came.
    pub(super) fn advance(&mut self, step: &'static str, deadline: Instant) -> Result<()> {
        if self.step(step, deadline)? { Ok(()) } else { Err(Error::Timeout(step)) }
    }

    /// One packet handled (true), or the deadline reached (false).
    pub(super) fn step(&mut self, step: &'static str, deadline: Instant) -> Result<bool> {
        let result = self.next(step, deadline);
        result.map_err(|error| self.explain_end(error))
    }

    fn next(&mut self, step: &'static str, deadline: Instant) -> Result<bool> {
        let until = self.reauthentication.as_ref().map_or(deadline, |open| open.deadline.min(deadline));
        match self.link.next_packet(step, until)? {
            Some(packet) => {
                self.handle(step, packet)?;
                Ok(true)
            }
            None => self.reauthentication_is_late().map_or(Ok(false), Err),
        }
    }

    /// What a packet means.
    fn handle(&mut self, step: &'static str, packet: Incoming) -> Result<()> {
        match packet {
            Incoming::Publish { message, packet_id } => self.take_in(step, message, packet_id),
            Incoming::Puback(answer) => self.acknowledged(step, Qos::AtLeastOnce, answer),
            Incoming::Pubrec(answer) => self.received(step, answer),
            Incoming::Pubcomp(answer) => self.acknowledged(step, Qos::ExactlyOnce, answer),
            Incoming::Pubrel { packet_id } => {
                if self.qos2.remove(&packet_id) {
                    self.send(step, &outgoing::acknowledge(Acknowledge::Pubcomp, packet_id))
                } else {
                    self.send(step, &outgoing::pubcomp_unknown(self.link.version(), packet_id)?)
                }
            }
            Incoming::Suback { packet_id, codes } | Incoming::Unsuback { packet_id, codes } => {
                match self.answers.get_mut(&packet_id) {
                    Some(answer) if answer.is_none() => {
                        *answer = Some(codes);
                        Ok(())
                    }
                    _ => Err(self.link.broken(step, format!("an answer to packet {packet_id}, which was not sent"))),
                }
            }
            Incoming::Pingresp => Ok(()),
            Incoming::Disconnect { reason, detail } => {
                self.link.close();
                Err(Error::Disconnected { reason, detail })
            }
            Incoming::Connack(connack) if connack.reason.is_failure() => {
                // Mosquitto 2.0.11 ends a failed re-authentication this way.
                self.link.close();
                Err(Error::Disconnected { reason: connack.reason, detail: connack.detail })
            }
            Incoming::Auth { reason, method, data } => self.on_auth(step, reason, method.as_deref(), &data),
            Incoming::Connack(_) => Err(self.link.broken(step, "an unexpected CONNACK".to_owned())),
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
            return self.send(step, &packet);
        }
        self.queued_bytes = self.queued_bytes.saturating_add(message.payload.len());
        if self.queue.len() >= QUEUED_MESSAGES || self.queued_bytes > QUEUED_BYTES || self.qos2.len() > QOS2_REMEMBERED
        {
            return Err(self.link.broken(step, "more messages than can be kept".to_owned()));
        }
        self.queue.push_back(Queued { message, packet_id });
        Ok(())
    }

    /// Tells the broker that the caller has a message.
    pub(super) fn acknowledge(&mut self, queued: &Queued) -> Result<()> {
        let Some(packet_id) = queued.packet_id else {
            return Ok(());
        };
        let kind = match queued.message.qos {
            Qos::AtMostOnce => return Ok(()),
            Qos::AtLeastOnce => Acknowledge::Puback,
            Qos::ExactlyOnce => Acknowledge::Pubrec,
        };
        self.send("acknowledging a message", &outgoing::acknowledge(kind, packet_id))
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
                self.send(step, &packet)
            }
            _ => Err(self.link.broken(step, format!("PUBREC for packet {}, which was not sent", answer.packet_id))),
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
            _ => Err(self
                .link
                .broken(step, format!("an acknowledgement of packet {}, which was not sent", answer.packet_id))),
        }
    }

    /// A packet identifier that nothing under way uses.
    pub(super) fn take_packet_id(&mut self) -> Result<u16> {
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
