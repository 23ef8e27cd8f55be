//! Which of an issuer's keys a token is to be checked with (RFC 7515 §6, appendix D).

use super::AuthorizationServer;
use crate::cose::{self, Message};
use crate::jose::jws::Header;
use crate::jose::{Jwk, JwkSet};
use crate::{Quoted, Refusal};

/// The key that the header names by `kid`, or without a `kid` the one key that fits the algorithm. Keys
/// that do not fit are never tried, and where several fit there is no guessing.
pub(super) fn select<'a>(header: &Header, server: &'a AuthorizationServer) -> Result<&'a Jwk, Refusal> {
    one(&server.keys, &server.issuer, header.kid.as_deref(), &header.algorithm_name, |key| {
        key.can_verify(header.algorithm)
    })
}

/// The same for a CWT.
pub(super) fn select_cose<'a>(message: &Message, server: &'a AuthorizationServer) -> Result<&'a Jwk, Refusal> {
    one_for(message, &server.keys, &server.issuer)
}

/// The same for what is encrypted in a CWT.
pub(super) fn select_among<'a>(message: &Message, keys: &'a JwkSet) -> Result<&'a Jwk, Refusal> {
    one_for(message, keys, "")
}

fn one_for<'a>(message: &Message, keys: &'a JwkSet, issuer: &str) -> Result<&'a Jwk, Refusal> {
    let kid = message.kid().map(cose::kid_name);
    one(keys, issuer, kid.as_deref(), message.algorithm_name(), |key| message.algorithm().fits(key))
}

fn one<'a>(
    keys: &'a JwkSet,
    issuer: &str,
    kid: Option<&str>,
    algorithm_name: &Quoted,
    fits: impl Fn(&Jwk) -> bool,
) -> Result<&'a Jwk, Refusal> {
    let named = |key: &&Jwk| kid.is_none() || key.kid() == kid;
    if let Some(kid) = kid
        && !keys.keys().iter().any(|key| named(&key))
    {
        return Err(Refusal::KeyUnknown { kid: kid.into(), issuer: issuer.into() });
    }
    let mut fitting = keys.keys().iter().filter(named).filter(|key| fits(key));
    match (fitting.next(), fitting.next()) {
        (None, _) if kid.is_none() => {
            Err(Refusal::KeyMissing { algorithm: algorithm_name.clone(), issuer: issuer.into() })
        }
        (None, _) => Err(Refusal::AlgorithmKeyMismatch { algorithm: algorithm_name.clone() }),
        (Some(key), None) => Ok(key),
        (Some(_), Some(_)) => Err(Refusal::KeyAmbiguous),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Algorithm;
    use crate::random::SystemRandom;

    fn header(algorithm: Algorithm, kid: Option<&str>) -> Header {
        Header { algorithm, algorithm_name: algorithm.name().into(), kid: kid.map(str::to_owned) }
    }

    fn ed25519(kid: &str) -> Jwk {
        Jwk::generate_ed25519(&mut SystemRandom).unwrap().to_public().unwrap().with_kid(kid)
    }

    fn p256(kid: &str) -> Jwk {
        Jwk::generate_p256(&mut SystemRandom).unwrap().to_public().unwrap().with_kid(kid)
    }

    fn server(keys: impl IntoIterator<Item = Jwk>) -> AuthorizationServer {
        AuthorizationServer { issuer: "as".into(), keys: keys.into_iter().collect(), ..AuthorizationServer::default() }
    }

    #[test]
    fn a_kid_names_the_key() {
        let server = server([ed25519("a"), ed25519("b"), p256("b")]);
        let keys = &server.keys;
        let selected = |algorithm, kid| select(&header(algorithm, Some(kid)), &server).map(Jwk::thumbprint);
        assert_eq!(selected(Algorithm::EdDsa, "a"), Ok(keys.keys()[0].thumbprint()));
        assert_eq!(selected(Algorithm::EdDsa, "b"), Ok(keys.keys()[1].thumbprint()));
        assert_eq!(selected(Algorithm::Es256, "b"), Ok(keys.keys()[2].thumbprint()));
        assert_eq!(selected(Algorithm::Es256, "c"), Err(Refusal::KeyUnknown { kid: "c".into(), issuer: "as".into() }));
        let mismatch = Err(Refusal::AlgorithmKeyMismatch { algorithm: "ES256".into() });
        assert_eq!(selected(Algorithm::Es256, "a"), mismatch);
    }

    #[test]
    fn without_a_kid_exactly_one_key_has_to_fit() {
        let with_one_of_each = server([ed25519("a"), p256("b"), p256("c").with_use("enc")]);
        let keys = &with_one_of_each.keys;
        let selected = |algorithm| select(&header(algorithm, None), &with_one_of_each).map(Jwk::thumbprint);
        assert_eq!(selected(Algorithm::EdDsa), Ok(keys.keys()[0].thumbprint()));
        assert_eq!(selected(Algorithm::Es256), Ok(keys.keys()[1].thumbprint()));
        let missing = Refusal::KeyMissing { algorithm: "HS256".into(), issuer: "as".into() };
        assert_eq!(selected(Algorithm::Hs256), Err(missing));
        let two = server([ed25519("a"), ed25519("b")]);
        assert_eq!(select(&header(Algorithm::EdDsa, None), &two).err(), Some(Refusal::KeyAmbiguous));
    }

    #[test]
    fn two_keys_of_one_name_that_both_fit_are_ambiguous() {
        let two = server([ed25519("a"), ed25519("a")]);
        assert_eq!(select(&header(Algorithm::EdDsa, Some("a")), &two).err(), Some(Refusal::KeyAmbiguous));
    }
}
