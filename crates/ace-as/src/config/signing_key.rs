//! The key that signs tokens, and those that have or will.

use std::fmt;

use ace_profile::jose::{Algorithm, Jwk, KeyError, KeyType, jws};
use serde_json::Value;

/// `typ` of the tokens: no other kind of JWT can pass for an access token, and the other way round (RFC 9068 §2.1).
const TOKEN_TYPE: &str = "at+jwt";

/// A public key, the algorithm that goes with it, and the `kid` that tokens name it by.
#[derive(Debug)]
pub(crate) struct VerificationKey {
    public: Jwk,
    algorithm: Algorithm,
}

/// A key that does not sign now: whose tokens are good all the same, and which brokers are told of.
#[derive(Debug)]
pub(crate) struct PublishedKey {
    /// The key.
    pub(crate) key: VerificationKey,
    /// When that ends, in seconds since the Unix epoch.
    pub(crate) until: Option<u64>,
}

impl PublishedKey {
    /// Whether it is still in use.
    pub(crate) fn is_current(&self, now: u64) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl VerificationKey {
    /// Takes a key, with or without its private half, which is left out.
    ///
    /// # Errors
    /// A lower-case sentence that says why the key cannot be one that signs tokens.
    pub(crate) fn new(key: &Jwk) -> Result<Self, String> {
        if key.key_type() == KeyType::Symmetric {
            return Err("tokens are not signed with symmetric keys here: every broker could make some".to_owned());
        }
        let algorithm = key.signature_algorithm().ok_or("the key's \"alg\" is none that signs tokens")?;
        let public = key.to_public().ok_or("the key has no public half")?;
        let kid = key.kid().map_or_else(|| key.thumbprint(), str::to_owned);
        let public = public.with_kid(kid).with_use("sig").with_algorithm(algorithm.name());
        Ok(Self { public, algorithm })
    }

    /// The name that tokens call it by.
    pub(crate) fn kid(&self) -> &str {
        self.public.kid().unwrap_or_default()
    }

    /// The key as a JWK.
    pub(crate) fn jwk(&self) -> Option<Value> {
        self.public.public_value()
    }

    /// The claims of a token, if this key signed it.
    pub(crate) fn verify(&self, token: &str) -> Option<Vec<u8>> {
        let token = jws::Jws::parse(token).ok()?;
        if token.header().algorithm != self.algorithm || token.header().kid.as_deref() != self.public.kid() {
            return None;
        }
        token.verify(&self.public).ok().map(<[u8]>::to_vec)
    }
}

/// A private key and its public half.
pub struct SigningKey {
    private: Jwk,
    verification: VerificationKey,
}

impl SigningKey {
    /// Takes a key with its private half: Ed25519 (EdDSA), P-256 (ES256) or RSA (RS256, or PS256 if its `alg` says
    /// so).
    /// Without a `kid` it is named by its thumbprint (RFC 7638).
    ///
    /// # Errors
    /// A lower-case sentence that says why the key cannot sign tokens.
    pub(crate) fn new(key: Jwk) -> Result<Self, String> {
        let verification = VerificationKey::new(&key)?;
        if !key.is_private() {
            return Err("the private half is missing".to_owned());
        }
        let private = key.with_kid(verification.kid());
        let signing = Self { private, verification };
        // A key that may not sign shows here instead of at the first request.
        signing.sign(b"{}").map_err(|error| error.to_string())?;
        Ok(signing)
    }

    /// The algorithm of its signatures.
    pub fn algorithm(&self) -> Algorithm {
        self.verification.algorithm
    }

    /// The public half.
    pub(crate) fn verification(&self) -> &VerificationKey {
        &self.verification
    }

    /// Signs a token's claims.
    pub(crate) fn sign(&self, claims: &[u8]) -> Result<String, KeyError> {
        jws::sign(claims, &self.private, self.algorithm(), Some(TOKEN_TYPE))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.verification.public)
    }
}

#[cfg(test)]
mod tests {
    use ace_profile::random::SystemRandom;

    use super::*;

    #[test]
    fn each_kind_of_key_signs_with_its_algorithm() {
        let rsa = Jwk::generate_rsa(2048).unwrap();
        for (key, algorithm) in [
            (Jwk::generate_ed25519(&mut SystemRandom).unwrap(), Algorithm::EdDsa),
            (Jwk::generate_p256(&mut SystemRandom).unwrap(), Algorithm::Es256),
            (rsa.clone(), Algorithm::Rs256),
            (rsa.with_algorithm("PS256"), Algorithm::Ps256),
        ] {
            let thumbprint = key.thumbprint();
            let signing = SigningKey::new(key).unwrap();
            assert_eq!(signing.algorithm(), algorithm);
            let token = signing.sign(b"{}").unwrap();
            assert_eq!(signing.verification().verify(&token).as_deref(), Some(&b"{}"[..]));
            let published = signing.verification().jwk().unwrap();
            assert_eq!(published["kid"], thumbprint);
            assert_eq!(published["alg"], algorithm.name());
            assert_eq!(published["use"], "sig");
            assert!(published.get("d").is_none() && published.get("p").is_none());
        }
    }

    #[test]
    fn tokens_of_other_keys_are_not_ours() {
        let key = || SigningKey::new(Jwk::generate_ed25519(&mut SystemRandom).unwrap().with_kid("same")).unwrap();
        let (ours, other) = (key(), key());
        assert_eq!(ours.verification().verify(&other.sign(b"{}").unwrap()), None);
        assert_eq!(ours.verification().verify("e30.e30."), None);
    }

    #[test]
    fn a_published_key_has_its_time() {
        let private = Jwk::generate_ed25519(&mut SystemRandom).unwrap();
        let key = || VerificationKey::new(&private).unwrap();
        assert!(key().jwk().unwrap().get("d").is_none());
        let published = PublishedKey { key: key(), until: Some(100) };
        assert!(published.is_current(99) && !published.is_current(100));
        assert!(PublishedKey { key: key(), until: None }.is_current(u64::MAX));
    }

    #[test]
    fn what_cannot_sign_is_refused() {
        let key = Jwk::generate_ed25519(&mut SystemRandom).unwrap();
        for (key, words) in [
            (Jwk::generate_symmetric(32, &mut SystemRandom).unwrap(), "symmetric"),
            (key.to_public().unwrap(), "private half"),
            (key.clone().with_algorithm("ES256"), "ES256"),
            (key.clone().with_algorithm("ECDH-ES"), "alg"),
            (key.with_use("enc"), "EdDSA"),
        ] {
            let reason = SigningKey::new(key).unwrap_err();
            assert!(reason.contains(words), "{reason}");
        }
    }
}
