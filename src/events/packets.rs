//! The packets that are written to a client past the broker, where it would say something else.

use ace_resource_server::Reason;

/// Why a CONNECT is refused (MQTT 5 §3.2.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum ConnectReason {
    /// Not authorized.
    NotAuthorized = 0x87,
    /// Server unavailable.
    ServerUnavailable = 0x88,
}

impl ConnectReason {
    /// What a client is told that is refused for this reason.
    pub(super) const fn of(reason: &Reason) -> Self {
        match reason {
            Reason::ServerUnavailable | Reason::IntrospectionFull | Reason::ClientIdBusy => Self::ServerUnavailable,
            _ => Self::NotAuthorized,
        }
    }
}

/// CONNACK of MQTT 3.1.1 with return code 3, Connection refused, server unavailable (§3.2.2.3).
pub(super) const CONNACK_311_SERVER_UNAVAILABLE: [u8; 4] = [0x20, 0x02, 0x00, 0x03];

/// DISCONNECT with reason code 0x87, Not authorized, and no properties (MQTT 5 §3.14).
pub(super) const DISCONNECT_NOT_AUTHORIZED: [u8; 4] = [0xe0, 0x02, 0x87, 0x00];

/// DISCONNECT with reason code 0x89, Server busy, and no properties: there is none for a server that is unavailable.
pub(super) const DISCONNECT_SERVER_BUSY: [u8; 4] = [0xe0, 0x02, 0x89, 0x00];

/// DISCONNECT with reason code 0x99, Payload format invalid, and no properties.
pub(super) const DISCONNECT_PAYLOAD_FORMAT_INVALID: [u8; 4] = [0xe0, 0x02, 0x99, 0x00];

/// The identifier of a User Property (MQTT 5 §2.2.2.2).
const USER_PROPERTY: u8 = 0x26;
/// The name of the User Property that holds a hint (RFC 9431 §2.4.1).
const AS_HINT: &str = "ace_as_hint";
/// The largest number that a Variable Byte Integer can hold (MQTT 5 §1.5.5).
const VARIABLE_BYTE_INTEGER_MAX: usize = 268_435_455;

/// CONNACK with this reason code and these hints, each as a User Property of its own, in this order.
///
/// Hints that do not fit into a packet, which the configuration does not let through, are left out.
pub(super) fn connack(reason: ConnectReason, hints: &[String]) -> Vec<u8> {
    connack_with(reason, hints).unwrap_or_else(|| vec![0x20, 0x03, 0x00, reason as u8, 0x00])
}

fn connack_with(reason: ConnectReason, hints: &[String]) -> Option<Vec<u8>> {
    let mut properties = Vec::new();
    for hint in hints {
        properties.push(USER_PROPERTY);
        push_text(&mut properties, AS_HINT)?;
        push_text(&mut properties, hint)?;
    }
    let mut body = vec![0x00, reason as u8];
    push_variable_byte_integer(&mut body, properties.len())?;
    body.append(&mut properties);
    let mut packet = vec![0x20];
    push_variable_byte_integer(&mut packet, body.len())?;
    packet.append(&mut body);
    Some(packet)
}

/// A UTF-8 Encoded String (MQTT 5 §1.5.4). `None` if it is too long for one.
fn push_text(packet: &mut Vec<u8>, text: &str) -> Option<()> {
    packet.extend(u16::try_from(text.len()).ok()?.to_be_bytes());
    packet.extend(text.as_bytes());
    Some(())
}

/// A Variable Byte Integer (MQTT 5 §1.5.5). `None` if it is too large for one.
fn push_variable_byte_integer(packet: &mut Vec<u8>, number: usize) -> Option<()> {
    if number > VARIABLE_BYTE_INTEGER_MAX {
        return None;
    }
    let mut rest = number;
    loop {
        let low = u8::try_from(rest % 128).ok()?;
        rest /= 128;
        packet.push(if rest == 0 { low } else { low | 0x80 });
        if rest == 0 {
            return Some(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNACK_NOT_AUTHORIZED: [u8; 5] = [0x20, 0x03, 0x00, 0x87, 0x00];

    fn connack_not_authorized(hints: &[String]) -> Vec<u8> {
        connack(ConnectReason::NotAuthorized, hints)
    }

    #[test]
    fn without_hints_it_is_the_plain_connack() {
        assert_eq!(connack_not_authorized(&[]), CONNACK_NOT_AUTHORIZED);
        assert_eq!(connack(ConnectReason::ServerUnavailable, &[]), [0x20, 0x03, 0x00, 0x88, 0x00]);
    }

    #[test]
    fn each_hint_is_a_property_of_its_own() {
        let packet = connack_not_authorized(&["{}".into(), "[1]".into()]);
        let expected: &[&[u8]] =
            &[b"\x20\x28\x00\x87\x25", b"\x26\x00\x0bace_as_hint\x00\x02{}", b"\x26\x00\x0bace_as_hint\x00\x03[1]"];
        assert_eq!(packet, expected.concat());
    }

    #[test]
    fn lengths_take_as_many_bytes_as_they_need() {
        for (number, bytes) in [
            (0, &[0x00][..]),
            (127, &[0x7f]),
            (128, &[0x80, 0x01]),
            (16_383, &[0xff, 0x7f]),
            (16_384, &[0x80, 0x80, 0x01]),
            (VARIABLE_BYTE_INTEGER_MAX, &[0xff, 0xff, 0xff, 0x7f]),
        ] {
            let mut packet = Vec::new();
            assert_eq!(push_variable_byte_integer(&mut packet, number), Some(()), "{number}");
            assert_eq!(packet, bytes, "{number}");
        }
        assert_eq!(push_variable_byte_integer(&mut Vec::new(), VARIABLE_BYTE_INTEGER_MAX + 1), None);
        let long = connack_not_authorized(&["x".repeat(200)]);
        let properties = 1 + 2 + AS_HINT.len() + 2 + 200;
        assert_eq!(long[..6], [0x20, 0xdc, 0x01, 0x00, 0x87, 0xd8], "{properties}");
        assert_eq!(long.len(), 3 + 2 + 2 + properties);
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        assert_eq!(connack_not_authorized(&["x".repeat(65_536)]), CONNACK_NOT_AUTHORIZED);
    }
}
