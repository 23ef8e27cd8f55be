//! MQTT packets to the byte: written as a test wants them, read without mercy.

/// The protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.
    V5,
}

/// Packet types: the upper half of a packet's first byte.
pub mod kind {
    pub const CONNACK: u8 = 2;
    pub const PUBLISH: u8 = 3;
    pub const PUBACK: u8 = 4;
    pub const PUBREC: u8 = 5;
    pub const PUBCOMP: u8 = 7;
    pub const SUBACK: u8 = 9;
    pub const PINGRESP: u8 = 13;
    pub const DISCONNECT: u8 = 14;
    pub const AUTH: u8 = 15;
}

/// Property identifiers (MQTT 5, section 2.2.2.2).
pub mod property {
    pub const SESSION_EXPIRY: u8 = 0x11;
    pub const WILL_DELAY: u8 = 0x18;
    pub const AUTHENTICATION_METHOD: u8 = 0x15;
    pub const AUTHENTICATION_DATA: u8 = 0x16;
    pub const TOPIC_ALIAS: u8 = 0x23;
    pub const USER_PROPERTY: u8 = 0x26;
}

/// One packet as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Type and flags.
    pub first: u8,
    /// What follows the remaining length.
    pub body: Vec<u8>,
}

/// A PUBLISH, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    pub topic: String,
    pub payload: Vec<u8>,
}

/// A length or a number of one to four bytes (MQTT 5, section 1.5.5).
fn variable(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number % 128).expect("seven bits");
        number /= 128;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// The number at the start, and how many bytes it takes; none if there are too few.
pub fn read_variable(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut number = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        number |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((number, at + 1));
        }
    }
    None
}

/// Bytes with their two-byte length.
pub fn binary(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a field of 65,535 bytes at most");
    [&length.to_be_bytes(), bytes].concat()
}

/// A whole packet.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    [&[first], variable(body.len()).as_slice(), body].concat()
}

/// Properties with their length.
fn properties(all: &[u8]) -> Vec<u8> {
    [variable(all.len()).as_slice(), all].concat()
}

impl Packet {
    /// Takes the first whole packet off `buffer`.
    pub fn take(buffer: &mut Vec<u8>) -> Option<Self> {
        let (length, size) = read_variable(buffer.get(1..)?)?;
        let end = 1 + size + length;
        if buffer.len() < end {
            return None;
        }
        let rest = buffer.split_off(end);
        let body = buffer[1 + size..].to_vec();
        let first = buffer[0];
        *buffer = rest;
        Some(Self { first, body })
    }

    /// Its type.
    pub fn kind(&self) -> u8 {
        self.first >> 4
    }

    /// The reason code of CONNACK, PUBACK, PUBREC, PUBCOMP, DISCONNECT and AUTH.
    pub fn reason(&self) -> u8 {
        let at = match self.kind() {
            kind::CONNACK => 1,
            kind::PUBACK | kind::PUBREC | kind::PUBCOMP => 2,
            _ => 0,
        };
        self.body.get(at).copied().unwrap_or(0)
    }

    /// The packet identifier of PUBACK, PUBREC, PUBCOMP and SUBACK.
    pub fn identifier(&self) -> u16 {
        u16::from_be_bytes([self.body[0], self.body[1]])
    }

    /// The reason codes of a SUBACK.
    pub fn granted(&self, protocol: Protocol) -> Vec<u8> {
        let rest = &self.body[2..];
        match protocol {
            Protocol::V311 => rest.to_vec(),
            Protocol::V5 => {
                let (length, size) = read_variable(rest).expect("properties");
                rest[size + length..].to_vec()
            }
        }
    }

    /// The packet identifier of a PUBLISH at QoS 1 or 2.
    pub fn message_identifier(&self) -> Option<u16> {
        let at = 2 + usize::from(self.identifier());
        (self.first & 0x06 != 0).then(|| u16::from_be_bytes([self.body[at], self.body[at + 1]]))
    }

    /// Topic and payload of a PUBLISH.
    pub fn publish(&self, protocol: Protocol) -> Publish {
        let length = usize::from(self.identifier());
        let topic = String::from_utf8(self.body[2..2 + length].to_vec()).expect("a topic");
        let mut rest = &self.body[2 + length..];
        if self.first & 0x06 != 0 {
            rest = &rest[2..];
        }
        if protocol == Protocol::V5 {
            let (length, size) = read_variable(rest).expect("properties");
            rest = &rest[size + length..];
        }
        Publish { topic, payload: rest.to_vec() }
    }

    /// The properties of a CONNACK, a DISCONNECT or an AUTH of MQTT 5, each with its bytes.
    pub fn properties(&self) -> Vec<(u8, Vec<u8>)> {
        let start = if self.kind() == kind::CONNACK { 2 } else { 1 };
        let rest = self.body.get(start..).unwrap_or_default();
        let Some((length, size)) = read_variable(rest) else {
            return Vec::new();
        };
        let mut rest = &rest[size..size + length];
        let mut found = Vec::new();
        while let Some((identifier, value)) = rest.split_first() {
            let string = |at: usize| 2 + usize::from(u16::from_be_bytes([value[at], value[at + 1]]));
            let length = match *identifier {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => 1,
                0x13 | 0x21 | 0x22 | 0x23 => 2,
                0x02 | 0x11 | 0x18 | 0x27 => 4,
                property::USER_PROPERTY => string(0) + string(string(0)),
                _ => string(0),
            };
            found.push((*identifier, value[..length].to_vec()));
            rest = &value[length..];
        }
        found
    }

    /// The user properties of a CONNACK or a DISCONNECT, name and value.
    pub fn user_properties(&self) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let pairs = self.properties().into_iter().filter(|(identifier, _)| *identifier == property::USER_PROPERTY);
        let pair = |(_, value): (u8, Vec<u8>)| {
            let end = 2 + usize::from(u16::from_be_bytes([value[0], value[1]]));
            (text(&value[2..end]), text(&value[end + 2..]))
        };
        pairs.map(pair).collect()
    }

    /// The Authentication Data of an AUTH or a CONNACK.
    pub fn authentication_data(&self) -> Option<Vec<u8>> {
        let all = self.properties();
        let (_, data) = all.iter().find(|(identifier, _)| *identifier == property::AUTHENTICATION_DATA)?;
        Some(data[2..].to_vec())
    }
}

/// A Will: where it goes and what it says, at QoS 0.
#[derive(Clone)]
pub struct Will {
    pub topic: String,
    pub payload: Vec<u8>,
}

/// A CONNECT, field by field.
#[derive(Clone)]
pub struct Connect {
    pub protocol: Protocol,
    pub client_id: String,
    pub clean_start: bool,
    /// Seconds.
    pub keep_alive: u16,
    pub user_name: Option<Vec<u8>>,
    pub password: Option<Vec<u8>>,
    pub will: Option<Will>,
    pub will_retain: bool,
    /// Seconds; MQTT 5 only.
    pub will_delay: Option<u32>,
    pub method: Option<String>,
    pub data: Option<Vec<u8>>,
    /// Seconds; MQTT 5 only.
    pub session_expiry: Option<u32>,
}

impl Connect {
    /// A client that says nothing of itself but its name.
    pub fn new(protocol: Protocol, client_id: &str) -> Self {
        Self {
            protocol,
            client_id: client_id.to_owned(),
            clean_start: true,
            keep_alive: 60,
            user_name: None,
            password: None,
            will: None,
            will_retain: false,
            will_delay: None,
            method: None,
            data: None,
            session_expiry: None,
        }
    }

    /// MQTT 5 with authentication method `ace` and this data.
    pub fn ace(client_id: &str, data: Vec<u8>) -> Self {
        Self { method: Some("ace".to_owned()), data: Some(data), ..Self::new(Protocol::V5, client_id) }
    }

    /// With a user name and a password.
    pub fn credentials(protocol: Protocol, client_id: &str, user: &[u8], password: &[u8]) -> Self {
        Self { user_name: Some(user.to_vec()), password: Some(password.to_vec()), ..Self::new(protocol, client_id) }
    }

    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut flags = u8::from(self.clean_start) << 1;
        flags |= u8::from(self.will.is_some()) << 2;
        flags |= u8::from(self.will_retain) << 5;
        flags |= u8::from(self.password.is_some()) << 6;
        flags |= u8::from(self.user_name.is_some()) << 7;
        let mut body = binary(b"MQTT");
        body.push(match self.protocol {
            Protocol::V311 => 4,
            Protocol::V5 => 5,
        });
        body.push(flags);
        body.extend(self.keep_alive.to_be_bytes());
        if self.protocol == Protocol::V5 {
            let mut all = Vec::new();
            if let Some(seconds) = self.session_expiry {
                all.push(property::SESSION_EXPIRY);
                all.extend(seconds.to_be_bytes());
            }
            all.extend(authentication(self.method.as_deref(), self.data.as_deref()));
            body.extend(properties(&all));
        }
        body.extend(binary(self.client_id.as_bytes()));
        if let Some(will) = &self.will {
            if self.protocol == Protocol::V5 {
                let delay = self.will_delay.map(|delay| [&[property::WILL_DELAY][..], &delay.to_be_bytes()].concat());
                body.extend(properties(&delay.unwrap_or_default()));
            }
            body.extend(binary(will.topic.as_bytes()));
            body.extend(binary(&will.payload));
        }
        for field in [&self.user_name, &self.password].into_iter().flatten() {
            body.extend(binary(field));
        }
        packet(0x10, &body)
    }
}

/// The two authentication properties.
fn authentication(method: Option<&str>, data: Option<&[u8]>) -> Vec<u8> {
    let mut all = Vec::new();
    if let Some(method) = method {
        all.push(property::AUTHENTICATION_METHOD);
        all.extend(binary(method.as_bytes()));
    }
    if let Some(data) = data {
        all.push(property::AUTHENTICATION_DATA);
        all.extend(binary(data));
    }
    all
}

/// An AUTH of method `ace`.
pub fn auth(reason: u8, data: Option<&[u8]>) -> Vec<u8> {
    let all = properties(&authentication(Some("ace"), data));
    packet(0xf0, &[&[reason], all.as_slice()].concat())
}

/// A PUBLISH; `identifier` counts at QoS 1 and 2 only.
pub fn publish(protocol: Protocol, topic: &str, payload: &[u8], qos: u8, retain: bool, identifier: u16) -> Vec<u8> {
    let mut body = binary(topic.as_bytes());
    if qos > 0 {
        body.extend(identifier.to_be_bytes());
    }
    if protocol == Protocol::V5 {
        body.extend(properties(&[]));
    }
    body.extend(payload);
    packet(0x30 | qos << 1 | u8::from(retain), &body)
}

/// A PUBLISH of MQTT 5 at QoS 1 with a topic alias.
pub fn publish_aliased(topic: &str, alias: u16, payload: &[u8], identifier: u16) -> Vec<u8> {
    let alias = [&[property::TOPIC_ALIAS][..], &alias.to_be_bytes()].concat();
    let body = [&binary(topic.as_bytes())[..], &identifier.to_be_bytes(), &properties(&alias), payload].concat();
    packet(0x32, &body)
}

/// A PUBACK.
pub fn puback(identifier: u16) -> Vec<u8> {
    packet(0x40, &identifier.to_be_bytes())
}

/// A PUBREL.
pub fn pubrel(identifier: u16) -> Vec<u8> {
    packet(0x62, &identifier.to_be_bytes())
}

/// A SUBSCRIBE with one or more filters.
pub fn subscribe(protocol: Protocol, filters: &[&str], qos: u8, identifier: u16) -> Vec<u8> {
    let mut body = identifier.to_be_bytes().to_vec();
    if protocol == Protocol::V5 {
        body.extend(properties(&[]));
    }
    for filter in filters {
        body.extend(binary(filter.as_bytes()));
        body.push(qos);
    }
    packet(0x82, &body)
}

/// A PINGREQ.
pub const PINGREQ: [u8; 2] = [0xc0, 0];
/// DISCONNECT, normal.
pub const DISCONNECT: [u8; 2] = [0xe0, 0];
