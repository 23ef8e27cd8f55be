use super::*;
use crate::cbor;
use crate::proof::ConfirmationKey;

/// A map in CBOR of these labels and values, as they are written.
fn map(entries: &[&[u8]]) -> Vec<u8> {
    [vec![0xa0 | u8::try_from(entries.len()).unwrap()], entries.concat()].concat()
}

fn entry(label: u8, bytes: &[u8]) -> Vec<u8> {
    [&[label, 0x58, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn read_bytes(bytes: &[u8]) -> Result<Jwk, KeyError> {
    read(&cbor::parse_map(bytes).unwrap())
}

/// The coordinates of a point on P-256.
fn point() -> (Vec<u8>, Vec<u8>) {
    let key = Jwk::p256_from_scalar(&[1; 32]).unwrap().public_value().unwrap();
    let decoded = |name: &str| base64url::decode(key[name].as_str().unwrap().as_bytes()).unwrap();
    (decoded("x"), decoded("y"))
}

#[test]
fn the_three_types_are_read() {
    let ed25519 = Jwk::ed25519_from_seed(&[1; 32]).unwrap();
    let x = base64url::decode(ed25519.public_value().unwrap()["x"].as_str().unwrap().as_bytes()).unwrap();
    let okp = map(&[&[0x01, 0x01], &[0x20, 0x06], &entry(0x21, &x)]);
    assert_eq!(read_bytes(&okp).unwrap().thumbprint(), ed25519.thumbprint());

    let (x, y) = point();
    let p256 = Jwk::p256_from_scalar(&[1; 32]).unwrap().thumbprint();
    let ec2 = map(&[&[0x01, 0x02], &[0x20, 0x01], &entry(0x21, &x), &entry(0x22, &y)]);
    assert_eq!(read_bytes(&ec2).unwrap().thumbprint(), p256);
    let is_odd = y[31] & 1 == 1;
    for (sign, is_same) in [(0xf5, is_odd), (0xf4, !is_odd)] {
        let compressed = map(&[&[0x01, 0x02], &[0x20, 0x01], &entry(0x21, &x), &[0x22, sign]]);
        assert_eq!(read_bytes(&compressed).unwrap().thumbprint() == p256, is_same);
    }

    let symmetric = map(&[&[0x01, 0x04], &[0x02, 0x43, b'k', b'e', b'y'], &entry(0x20, &[7; 32])]);
    let key = read_bytes(&symmetric).unwrap();
    assert_eq!((key.kid(), key.symmetric_bytes()), (Some("key"), Some(&[7; 32][..])));
}

#[test]
fn other_keys_are_refused() {
    let (x, y) = point();
    let off = [&x[..31], &[x[31] ^ 1]].concat();
    let private = map(&[&[0x01, 0x01], &[0x20, 0x06], &entry(0x21, &x), &entry(0x23, &[1; 32])]);
    assert_eq!(secret(&cbor::parse_map(&private).unwrap()), Secret::Private);
    for key in [
        map(&[]),
        map(&[&[0x01, 0x03], &entry(0x20, &[7; 32])]),
        map(&[&[0x01, 0x61, b'x'], &entry(0x20, &[7; 32])]),
        map(&[&[0x01, 0x01], &entry(0x21, &x)]),
        map(&[&[0x01, 0x01], &[0x20, 0x07], &entry(0x21, &x)]),
        map(&[&[0x01, 0x01], &[0x20, 0x06], &entry(0x21, &x[1..])]),
        map(&[&[0x01, 0x01], &[0x20, 0x06], &entry(0x21, &[0; 32])]),
        map(&[&[0x01, 0x02], &[0x20, 0x02], &entry(0x21, &x), &entry(0x22, &y)]),
        map(&[&[0x01, 0x02], &[0x20, 0x01], &entry(0x21, &off), &entry(0x22, &y)]),
        map(&[&[0x01, 0x02], &[0x20, 0x01], &entry(0x21, &[0xff; 32]), &[0x22, 0xf5]]),
        map(&[&[0x01, 0x02], &entry(0x21, &x), &[0x22, 0xf5]]),
        map(&[&[0x01, 0x02], &[0x20, 0x06], &entry(0x21, &x), &[0x22, 0xf5]]),
        map(&[&[0x01, 0x02], &[0x20, 0x01], &entry(0x21, &x)]),
        map(&[&[0x01, 0x04], &[0x20, 0x48, 1, 2, 3, 4, 5, 6, 7, 8]]),
        map(&[&[0x01, 0x04], &[0x20, 0x07]]),
        map(&[&[0x01, 0x04], &[0x02, 0x61, b'k'], &entry(0x20, &[7; 32])]),
    ] {
        assert!(read_bytes(&key).is_err(), "{key:02x?}");
    }
}

#[test]
fn a_key_that_is_for_something_else_proves_nothing() {
    let key = |more: &[&[u8]]| {
        let bytes = map(&[&[&[0x01, 0x04][..], &entry(0x20, &[7; 32])], more].concat());
        ConfirmationKey::from_jwk(&read_bytes(&bytes).unwrap())
    };
    assert!(key(&[]).is_ok());
    assert!(key(&[&[0x03, 0x05]]).is_ok(), "HMAC 256/256");
    assert!(key(&[&[0x04, 0x82, 0x09, 0x0a]]).is_ok(), "MAC create and verify");
    for more in [&[0x03, 0x0a][..], &[0x03, 0x01], &[0x04, 0x81, 0x04], &[0x04, 0x80]] {
        assert!(key(&[more]).is_err(), "{more:02x?}");
    }
}
