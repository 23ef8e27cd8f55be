//! The password for MQTT clients of other libraries, which know user names and passwords and nothing of tokens.

use std::time::{SystemTime, UNIX_EPOCH};

use ace_profile::{
    base64url,
    connect::Draft00,
    proof::{self, Freshness, ShownKey},
};
use zeroize::Zeroizing;

use crate::{
    authentication::{no_token, prove, random, shown_key},
    credentials::Credentials,
    error::{Error, Result},
};

/// Makes a password to go with the user name `ace`: JSON with the token, the time, a nonce and a proof over these, the client id and the audience
/// (the draft -00 of RFC 9431, in the form for TLS libraries without an exporter).
///
/// It is good for one connection, and for as many seconds as the broker allows (60 unless set otherwise): make a new one for each.
/// `audience` is the broker's name in the token, by default the one that the credentials tell. With `show_key` the public key stands beside the token.
///
/// ```
/// # use ace_mqtt::{Credentials, ace_profile::{jose::Jwk, random::SystemRandom}};
/// # let key = Jwk::generate_ed25519(&mut SystemRandom).unwrap();
/// # let credentials = Credentials::new("aa.bb.cc", Some(key))?;
/// // MqttOptions::new("sensor-1", …).set_credentials("ace", …) of rumqttc, and the like.
/// let password = ace_mqtt::draft00_password(&credentials, "sensor-1", Some("broker.example"), false)?;
/// assert!(password.starts_with('{'));
/// # Ok::<(), ace_mqtt::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] without a token, an audience or a client id in plain characters, or with a clock that stands before 1970;
/// [`Error::Proof`] if there is no key, or none that can prove anything.
pub fn draft00_password(
    credentials: &Credentials,
    client_id: &str,
    audience: Option<&str>,
    show_key: bool,
) -> Result<Zeroizing<String>> {
    if credentials.token().is_empty() {
        return Err(no_token());
    }
    if client_id.is_empty() || client_id.contains(char::is_control) {
        return Err(Error::Invalid("this form of proof signs the client id: give one in plain characters".to_owned()));
    }
    let audience = audience.or_else(|| credentials.audience().first().map(String::as_str)).ok_or_else(|| {
        Error::Invalid("this form of proof signs the broker's name: say which audience the token is for".to_owned())
    })?;
    let freshness = Freshness { ts: unix_seconds()?, nonce: base64url::encode(&random::<16>()?) };
    let message = proof::draft00_message(client_id, audience, freshness.ts, &freshness.nonce);
    let proof = prove(credentials, &message)?;
    Ok(encode(credentials.token(), proof, Some(freshness), shown_key(credentials, show_key)?))
}

/// The JSON of either form.
pub(crate) fn encode(
    token: &str,
    mut proof: Zeroizing<Vec<u8>>,
    freshness: Option<Freshness>,
    shown_key: Option<ShownKey>,
) -> Zeroizing<String> {
    let password = Draft00 { token: token.to_owned(), proof: std::mem::take(&mut *proof), freshness, shown_key };
    Zeroizing::new(password.encode())
}

fn unix_seconds() -> Result<u64> {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(|elapsed| elapsed.as_secs())
        .map_err(|_| Error::Invalid("the clock stands before 1970".to_owned()))
}
