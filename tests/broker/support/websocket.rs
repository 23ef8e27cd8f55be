//! MQTT over WebSocket (RFC 6455; MQTT 5, section 6), as far as a test client needs it.

use super::key::random;

/// The request that turns a connection into a WebSocket that carries MQTT.
pub const UPGRADE: &str = "GET /mqtt HTTP/1.1\r\n\
    Host: localhost\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: mqtt\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// Takes the broker's answer to [`UPGRADE`] off `buffer`, once it is whole: was the upgrade granted?
pub fn take_answer(buffer: &mut Vec<u8>) -> Option<bool> {
    let end = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let rest = buffer.split_off(end);
    let granted = buffer.starts_with(b"HTTP/1.1 101 ");
    *buffer = rest;
    Some(granted)
}

/// A masked binary frame, as a client sends it.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    const BINARY_AND_LAST: u8 = 0x82;
    const MASKED: u8 = 0x80;
    let mut frame = vec![BINARY_AND_LAST];
    match payload.len() {
        short @ 0..=125 => frame.push(MASKED | short as u8),
        medium @ 126..=0xffff => {
            frame.push(MASKED | 126);
            frame.extend((medium as u16).to_be_bytes());
        }
        long => {
            frame.push(MASKED | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    let mask = random(4);
    frame.extend(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A frame of the broker's.
pub enum Frame {
    /// Bytes of MQTT.
    Data(Vec<u8>),
    /// The broker closes.
    Close,
    /// A ping or a pong, which MQTT does not need.
    Other,
}

/// Takes the first whole frame off `buffer`; the broker does not mask.
pub fn take_frame(buffer: &mut Vec<u8>) -> Option<Frame> {
    let (start, length) = match *buffer.get(1)? & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes([*buffer.get(2)?, *buffer.get(3)?]))),
        127 => {
            let bytes: [u8; 8] = buffer.get(2..10)?.try_into().ok()?;
            (10, usize::try_from(u64::from_be_bytes(bytes)).ok()?)
        }
        short => (2, usize::from(short)),
    };
    if buffer.len() < start + length {
        return None;
    }
    let rest = buffer.split_off(start + length);
    let payload = buffer.split_off(start);
    let opcode = buffer[0] & 0x0f;
    *buffer = rest;
    Some(match opcode {
        0..=2 => Frame::Data(payload),
        8 => Frame::Close,
        _ => Frame::Other,
    })
}
