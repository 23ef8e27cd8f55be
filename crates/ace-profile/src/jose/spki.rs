//! Public keys as certificates and raw public keys of TLS have them: `SubjectPublicKeyInfo` in DER (RFC 5280 §4.1.2.7).

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};

use super::KeyError;
use super::jwk::{Jwk, Material, coordinates, has_small_order, uncompressed};

/// What comes before the 32 bytes of an Ed25519 key (RFC 8410 §4). DER has one way to say it.
const ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// What comes before the 65 bytes of a point on P-256, named and uncompressed (RFC 5480 §2).
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

pub(super) fn read(der: &[u8]) -> Result<Jwk, KeyError> {
    let unfit = KeyError::Unfit("proof of possession");
    if let Some(public) = der.strip_prefix(&ED25519) {
        let public: [u8; 32] = public.try_into().map_err(|_| unfit)?;
        if has_small_order(&public) {
            return Err(KeyError::PointInvalid);
        }
        return Ok(Jwk::bare(Material::Ed25519 { public, seed: None }));
    }
    let (x, y) = der.strip_prefix(&P256).filter(|point| point.len() == 65).and_then(coordinates).ok_or(unfit)?;
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, uncompressed(&x, &y)).map_err(|_| KeyError::PointInvalid)?;
    Ok(Jwk::bare(Material::P256 { x, y, scalar: None }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::jose::KeyType;
    use crate::random::SystemRandom;

    fn spki(key: &Jwk) -> Vec<u8> {
        match key.material() {
            Material::Ed25519 { public, .. } => [&ED25519[..], public].concat(),
            Material::P256 { x, y, .. } => [&P256[..], &uncompressed(x, y)].concat(),
            _ => panic!("no such key here"),
        }
    }

    #[test]
    fn keys_of_both_kinds_are_read() {
        for key in [Jwk::generate_ed25519(&mut SystemRandom).unwrap(), Jwk::generate_p256(&mut SystemRandom).unwrap()] {
            let read = Jwk::from_spki(&spki(&key)).unwrap();
            assert_eq!((read.thumbprint(), read.is_private()), (key.thumbprint(), false));
        }
    }

    /// RFC 8410 §10.1 has this key.
    #[test]
    fn the_example_of_rfc_8410() {
        let text = "302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
        let der: Vec<u8> = (0..44).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect();
        assert_eq!(Jwk::from_spki(&der).map(|key| key.key_type()).ok(), Some(KeyType::Ed25519));
    }

    #[test]
    fn other_keys_and_damaged_ones_are_not() {
        let good = spki(&Jwk::generate_p256(&mut SystemRandom).unwrap());
        let mut off_the_curve = good.clone();
        *off_the_curve.last_mut().unwrap() ^= 1;
        let mut compressed = [&P256[..], &[2; 33]].concat();
        compressed[1] = 0x39;
        let neutral = [&ED25519[..], &[1], &[0; 31]].concat();
        let longer = [&good[..], &[0]].concat();
        for der in [&[][..], &good[..90], &longer, &off_the_curve, &compressed, &neutral, &ED25519] {
            assert!(Jwk::from_spki(der).is_err(), "{der:02x?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Jwk::from_spki(&bytes);
            let _ = Jwk::from_spki(&[&P256[..], &bytes].concat());
        }
    }
}
