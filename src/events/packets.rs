//! The packets that are written to a client past the broker, where it would say something else.

/// CONNACK with reason code 0x87, Not authorized, and no properties (MQTT 5 §3.2).
pub(super) const CONNACK_NOT_AUTHORIZED: [u8; 5] = [0x20, 0x03, 0x00, 0x87, 0x00];

/// DISCONNECT with reason code 0x87, Not authorized, and no properties (MQTT 5 §3.14).
pub(super) const DISCONNECT_NOT_AUTHORIZED: [u8; 4] = [0xe0, 0x02, 0x87, 0x00];
