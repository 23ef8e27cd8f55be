//! Packets from the broker: cut out of the byte stream, bounded, decoded. The codec is `mqtt-protocol-core`'s
//! (docs/decisions/0003-mqtt-codec.md); what a packet means to the connection is decided in `client`.

use std::sync::Arc;

use mqtt_protocol_core::mqtt::{
    packet::{Property, v3_1_1, v5_0},
    result_code::MqttError,
};

use crate::{
    error::Error,
    hint::{self, AsHint},
    message::{Message, Qos},
    reason::{Reason, Version},
};

/// A packet from the broker.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Connack(Box<Connack>),
    /// MQTT 5 only.
    Auth {
        reason: u8,
        method: Option<String>,
        data: Vec<u8>,
    },
    Publish {
        message: Message,
        packet_id: Option<u16>,
    },
    Puback(Acknowledgement),
    Pubrec(Acknowledgement),
    Pubrel {
        packet_id: u16,
    },
    Pubcomp(Acknowledgement),
    Suback {
        packet_id: u16,
        codes: Vec<u8>,
    },
    Unsuback {
        packet_id: u16,
        codes: Vec<u8>,
    },
    Pingresp,
    /// MQTT 5 only.
    Disconnect {
        reason: Reason,
        detail: Option<String>,
    },
}

impl Incoming {
    /// The packet's name in the standard.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Connack(_) => "CONNACK",
            Self::Auth { .. } => "AUTH",
            Self::Publish { .. } => "PUBLISH",
            Self::Puback(_) => "PUBACK",
            Self::Pubrec(_) => "PUBREC",
            Self::Pubrel { .. } => "PUBREL",
            Self::Pubcomp(_) => "PUBCOMP",
            Self::Suback { .. } => "SUBACK",
            Self::Unsuback { .. } => "UNSUBACK",
            Self::Pingresp => "PINGRESP",
            Self::Disconnect { .. } => "DISCONNECT",
        }
    }
}

/// What a CONNACK says, as far as a client acts on it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Connack {
    pub(crate) reason: Reason,
    pub(crate) session_present: bool,
    pub(crate) detail: Option<String>,
    pub(crate) as_hints: Vec<AsHint>,
    pub(crate) assigned_client_id: Option<String>,
    pub(crate) server_keep_alive: Option<u16>,
    pub(crate) maximum_packet_size: Option<u32>,
    pub(crate) maximum_qos: Option<u8>,
    pub(crate) retain_available: bool,
}

impl Connack {
    /// The error that a refusing CONNACK is.
    pub(crate) fn refusal(self) -> Error {
        Error::Refused { reason: self.reason, detail: self.detail, as_hints: self.as_hints }
    }
}

/// PUBACK, PUBREC and PUBCOMP.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Acknowledgement {
    pub(crate) packet_id: u16,
    /// Success in MQTT 3.1.1, which knows nothing else.
    pub(crate) reason: Reason,
    pub(crate) detail: Option<String>,
}

/// Why the bytes are no packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Garbage(pub(crate) String);

/// Cuts packets out of a byte stream.
pub(crate) struct Framer {
    version: Version,
    buffer: Vec<u8>,
    limit: usize,
}

impl Framer {
    /// `limit`: the largest packet that is read, in bytes, all of it counted.
    pub(crate) fn new(version: Version, limit: usize) -> Self {
        Self { version, buffer: Vec::new(), limit }
    }

    /// Adds bytes from the network.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole packet, if there is one.
    pub(crate) fn next(&mut self) -> Result<Option<Incoming>, Garbage> {
        let Some((header, length)) = remaining_length(&self.buffer)? else {
            return Ok(None);
        };
        let total = header.saturating_add(length);
        if total > self.limit {
            return Err(Garbage(format!("a packet of {total} bytes, and the limit is {}", self.limit)));
        }
        if self.buffer.len() < total {
            return Ok(None);
        }
        let rest = self.buffer.split_off(total);
        let packet = std::mem::replace(&mut self.buffer, rest);
        let first = packet.first().copied().unwrap_or_default();
        let body = packet.get(header..).unwrap_or_default();
        decode(self.version, first, body)
            .map(Some)
            .map_err(|error| Garbage(format!("{} is malformed ({error})", type_name(first))))
    }
}

/// Length of the fixed header and the remaining length in it (MQTT 5 §1.5.5); `None` if more bytes are needed.
fn remaining_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, Garbage> {
    let mut length = 0_usize;
    for (index, byte) in bytes.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((index + 2, length)));
        }
        if index == 3 {
            return Err(Garbage("a packet length of more than four bytes".to_owned()));
        }
    }
    Ok(None)
}

fn type_name(first: u8) -> &'static str {
    const NAMES: [&str; 16] = [
        "packet type 0",
        "CONNECT",
        "CONNACK",
        "PUBLISH",
        "PUBACK",
        "PUBREC",
        "PUBREL",
        "PUBCOMP",
        "SUBSCRIBE",
        "SUBACK",
        "UNSUBSCRIBE",
        "UNSUBACK",
        "PINGREQ",
        "PINGRESP",
        "DISCONNECT",
        "AUTH",
    ];
    NAMES.get(usize::from(first >> 4)).copied().unwrap_or("packet")
}

fn decode(version: Version, first: u8, body: &[u8]) -> Result<Incoming, MqttError> {
    let flags = first & 0x0f;
    let kind = first >> 4;
    // Reserved flags have fixed values (MQTT 5 §2.1.3).
    let expected = if kind == 6 { 2 } else { 0 };
    if kind != 3 && flags != expected {
        return Err(MqttError::MalformedPacket);
    }
    match version {
        Version::V5 => decode_v5(kind, flags, body),
        Version::V311 => decode_v311(kind, flags, body),
    }
}

/// The packet, if its body was used up to the last byte.
fn exact<T>(body: &[u8], parsed: (T, usize)) -> Result<T, MqttError> {
    if parsed.1 == body.len() { Ok(parsed.0) } else { Err(MqttError::MalformedPacket) }
}

fn decode_v5(kind: u8, flags: u8, body: &[u8]) -> Result<Incoming, MqttError> {
    let reason = |code| Reason::new(Version::V5, code);
    Ok(match kind {
        2 => {
            let packet = exact(body, v5_0::Connack::parse(body)?)?;
            Incoming::Connack(Box::new(connack_v5(&packet)))
        }
        3 => {
            let (packet, _) = v5_0::Publish::parse(flags, Arc::from(body))?;
            publish(packet.topic_name(), packet.payload().as_slice(), packet.packet_id(), flags)?
        }
        4 => {
            let packet = exact(body, v5_0::Puback::parse(body)?)?;
            Incoming::Puback(Acknowledgement {
                packet_id: packet.packet_id(),
                reason: reason(packet.reason_code().map_or(0, |code| code as u8)),
                detail: reason_string(packet.props().as_deref().unwrap_or_default()),
            })
        }
        5 => {
            let packet = exact(body, v5_0::Pubrec::parse(body)?)?;
            Incoming::Pubrec(Acknowledgement {
                packet_id: packet.packet_id(),
                reason: reason(packet.reason_code().map_or(0, |code| code as u8)),
                detail: reason_string(packet.props().as_deref().unwrap_or_default()),
            })
        }
        6 => {
            let packet = exact(body, v5_0::Pubrel::parse(body)?)?;
            Incoming::Pubrel { packet_id: packet.packet_id() }
        }
        7 => {
            let packet = exact(body, v5_0::Pubcomp::parse(body)?)?;
            Incoming::Pubcomp(Acknowledgement {
                packet_id: packet.packet_id(),
                reason: reason(packet.reason_code().map_or(0, |code| code as u8)),
                detail: reason_string(packet.props().as_deref().unwrap_or_default()),
            })
        }
        9 => {
            let packet = exact(body, v5_0::Suback::parse(body)?)?;
            Incoming::Suback {
                packet_id: packet.packet_id(),
                codes: packet.reason_codes().into_iter().map(|code| code as u8).collect(),
            }
        }
        11 => {
            let packet = exact(body, v5_0::Unsuback::parse(body)?)?;
            Incoming::Unsuback {
                packet_id: packet.packet_id(),
                codes: packet.reason_codes().into_iter().map(|code| code as u8).collect(),
            }
        }
        13 => {
            exact(body, v5_0::Pingresp::parse(body)?)?;
            Incoming::Pingresp
        }
        14 => {
            let packet = exact(body, v5_0::Disconnect::parse(body)?)?;
            Incoming::Disconnect {
                reason: reason(packet.reason_code().map_or(0, |code| code as u8)),
                detail: reason_string(packet.props().as_deref().unwrap_or_default()),
            }
        }
        15 => {
            let packet = exact(body, v5_0::Auth::parse(body)?)?;
            let properties = packet.props().as_deref().unwrap_or_default();
            Incoming::Auth {
                reason: packet.reason_code().map_or(0, |code| code as u8),
                method: properties.iter().find_map(|property| match property {
                    Property::AuthenticationMethod(method) => Some(method.val().to_owned()),
                    _ => None,
                }),
                data: properties
                    .iter()
                    .find_map(|property| match property {
                        Property::AuthenticationData(data) => Some(data.val().to_vec()),
                        _ => None,
                    })
                    .unwrap_or_default(),
            }
        }
        _ => return Err(MqttError::ProtocolError),
    })
}

fn decode_v311(kind: u8, flags: u8, body: &[u8]) -> Result<Incoming, MqttError> {
    let done = |packet_id| Acknowledgement { packet_id, reason: Reason::new(Version::V311, 0), detail: None };
    Ok(match kind {
        2 => {
            let packet = exact(body, v3_1_1::Connack::parse(body)?)?;
            Incoming::Connack(Box::new(Connack {
                reason: Reason::new(Version::V311, packet.return_code() as u8),
                session_present: packet.session_present(),
                detail: None,
                as_hints: Vec::new(),
                assigned_client_id: None,
                server_keep_alive: None,
                maximum_packet_size: None,
                maximum_qos: None,
                retain_available: true,
            }))
        }
        3 => {
            let (packet, _) = v3_1_1::Publish::parse(flags, Arc::from(body))?;
            publish(packet.topic_name(), packet.payload().as_slice(), packet.packet_id(), flags)?
        }
        4 => Incoming::Puback(done(exact(body, v3_1_1::Puback::parse(body)?)?.packet_id())),
        5 => Incoming::Pubrec(done(exact(body, v3_1_1::Pubrec::parse(body)?)?.packet_id())),
        6 => Incoming::Pubrel { packet_id: exact(body, v3_1_1::Pubrel::parse(body)?)?.packet_id() },
        7 => Incoming::Pubcomp(done(exact(body, v3_1_1::Pubcomp::parse(body)?)?.packet_id())),
        9 => {
            let packet = exact(body, v3_1_1::Suback::parse(body)?)?;
            Incoming::Suback {
                packet_id: packet.packet_id(),
                codes: packet.return_codes().into_iter().map(|code| code as u8).collect(),
            }
        }
        11 => Incoming::Unsuback {
            packet_id: exact(body, v3_1_1::Unsuback::parse(body)?)?.packet_id(),
            codes: Vec::new(),
        },
        13 => {
            exact(body, v3_1_1::Pingresp::parse(body)?)?;
            Incoming::Pingresp
        }
        _ => return Err(MqttError::ProtocolError),
    })
}

fn connack_v5(packet: &v5_0::Connack) -> Connack {
    let mut connack = Connack {
        reason: Reason::new(Version::V5, packet.reason_code() as u8),
        session_present: packet.session_present(),
        detail: reason_string(packet.props()),
        as_hints: Vec::new(),
        assigned_client_id: None,
        server_keep_alive: None,
        maximum_packet_size: None,
        maximum_qos: None,
        retain_available: true,
    };
    for property in packet.props() {
        match property {
            Property::UserProperty(pair)
                if pair.key() == hint::USER_PROPERTY && connack.as_hints.len() < hint::HINTS =>
            {
                connack.as_hints.extend(AsHint::parse(pair.val()));
            }
            Property::AssignedClientIdentifier(id) => {
                connack.assigned_client_id = Some(id.val().to_owned());
            }
            Property::ServerKeepAlive(seconds) => connack.server_keep_alive = Some(seconds.val()),
            Property::MaximumPacketSize(bytes) => connack.maximum_packet_size = Some(bytes.val()),
            Property::MaximumQos(level) => connack.maximum_qos = Some(level.val()),
            Property::RetainAvailable(flag) => connack.retain_available = flag.val() != 0,
            _ => {}
        }
    }
    connack
}

fn publish(topic: &str, payload: &[u8], packet_id: Option<u16>, flags: u8) -> Result<Incoming, MqttError> {
    // No topic aliases: this client never offers any, so a topic is always named (MQTT 5 §3.3.2.3.4).
    if topic.is_empty() || topic.contains(['+', '#']) || packet_id == Some(0) {
        return Err(MqttError::ProtocolError);
    }
    let qos = match (flags >> 1) & 3 {
        0 => Qos::AtMostOnce,
        1 => Qos::AtLeastOnce,
        2 => Qos::ExactlyOnce,
        _ => return Err(MqttError::MalformedPacket),
    };
    Ok(Incoming::Publish {
        message: Message {
            topic: topic.to_owned(),
            payload: payload.to_vec(),
            qos,
            retain: flags & 1 != 0,
            duplicate: flags & 8 != 0,
        },
        packet_id,
    })
}

fn reason_string(properties: &[Property]) -> Option<String> {
    properties.iter().find_map(|property| match property {
        Property::ReasonString(text) => Some(text.val().to_owned()),
        _ => None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn first_packet(version: Version, bytes: &[u8]) -> Result<Option<Incoming>, Garbage> {
        let mut framer = Framer::new(version, 1 << 20);
        framer.push(bytes);
        framer.next()
    }

    #[test]
    fn a_refusing_connack_keeps_its_code() {
        let Some(Incoming::Connack(connack)) = first_packet(Version::V5, &[0x20, 3, 0, 0x87, 0]).unwrap() else {
            panic!("no CONNACK");
        };
        assert!(connack.reason.is_not_authorized());
        assert!(!connack.session_present);
    }

    #[test]
    fn packets_are_cut_out_of_any_slicing_of_the_stream() {
        let stream = [0xd0, 0, 0x30, 5, 0, 1, b'a', 0, b'x', 0xe0, 1, 0x87, 0x40, 2, 0, 7];
        for cut in 0..stream.len() {
            let mut framer = Framer::new(Version::V5, 1 << 20);
            let mut names = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                framer.push(part);
                while let Some(packet) = framer.next().unwrap() {
                    names.push(packet.name());
                }
            }
            assert_eq!(names, ["PINGRESP", "PUBLISH", "DISCONNECT", "PUBACK"]);
        }
    }

    #[test]
    fn an_announced_length_over_the_limit_is_refused_before_the_body_comes() {
        let mut framer = Framer::new(Version::V5, 100);
        framer.push(&[0x30, 0xff, 0xff, 0xff, 0x7f]);
        assert!(framer.next().is_err());
    }

    #[test]
    fn lengths_of_five_bytes_flags_and_trailing_bytes_are_refused() {
        for bytes in [
            &[0x30, 0xff, 0xff, 0xff, 0xff][..],
            &[0xd1, 0],
            &[0xd0, 1, 0],
            &[0x20, 4, 0, 0, 0, 0],
            &[0x36, 0],
            // The server side's packets never come from a broker.
            &[0x10, 0],
            &[0xc0, 0],
            // No topic, and no alias was offered.
            &[0x30, 3, 0, 0, 0],
        ] {
            assert!(first_packet(Version::V5, bytes).is_err(), "{bytes:?}");
        }
        assert!(first_packet(Version::V311, &[0xe0, 0]).is_err());
        assert!(first_packet(Version::V311, &[0xf0, 0]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn no_bytes_make_the_decoder_panic(first in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..80)) {
            for version in [Version::V5, Version::V311] {
                let mut bytes = vec![first, body.len() as u8];
                bytes.extend_from_slice(&body);
                let _ = first_packet(version, &bytes);
            }
        }
    }
}
