//! How a client presents token and proof: the profile's methods as bytes for CONNECT and AUTH.

use ace_profile::{
    connect::{
        AuthenticationData, ChallengeAnswer, USERNAME_PREFIX, encode_username, encode_username_twice, parse_challenge,
    },
    limits::NONCE_BYTES,
    proof::{self, EXPORTER_BYTES, ProofKey, ShownKey},
};
use zeroize::Zeroizing;

use crate::{
    client::ConnectOptions,
    credentials::Credentials,
    error::{Error, Result},
    password::{self, draft00_password},
};

/// How token and proof of possession are presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Authentication {
    /// Not at all: for brokers that let anonymous clients in.
    None,
    /// MQTT 5, method "ace": the token and a proof over the TLS exporter value (RFC 9431 §2.2.4.2.1).
    #[default]
    Exporter,
    /// MQTT 5, method "ace": the token, then a proof over the broker's challenge (RFC 9431 §2.2.4.2.2).
    Challenge,
    /// MQTT 5, method "ace": no token but the one that the broker holds for this client id from an earlier connection or another way, then a
    /// proof over the broker's challenge (RFC 9431 §2.2.4.2.2). Of the credentials only the key is used.
    Stored,
    /// MQTT 3.1.1 (or 5): the token in the user name, the proof over the TLS exporter value in the password (RFC 9431 §6.2).
    UserName,
    /// The 2017 draft's form: user name "ace", token and proof as JSON in the password, over the TLS exporter value.
    Draft00,
    /// The same for TLS libraries without an exporter: the proof over client id, audience, time and nonce. Weaker; a broker may switch it off.
    Draft00Time,
}

impl Authentication {
    /// Whether it takes MQTT 5.
    pub(crate) fn needs_v5(self) -> bool {
        matches!(self, Self::Exporter | Self::Challenge | Self::Stored)
    }

    /// Whether the broker's answer is a challenge.
    pub(crate) fn awaits_challenge(self) -> bool {
        matches!(self, Self::Challenge | Self::Stored)
    }
}

/// What goes into CONNECT.
#[derive(Default)]
pub(crate) struct Presented {
    pub(crate) user_name: Option<Zeroizing<String>>,
    pub(crate) password: Option<Zeroizing<Vec<u8>>>,
    pub(crate) authentication_data: Option<Zeroizing<Vec<u8>>>,
}

/// Builds it. `exporter` is asked only where a proof over it is made.
pub(crate) fn present(
    options: &ConnectOptions,
    credentials: Option<&Credentials>,
    client_id: &str,
    exporter: impl FnOnce() -> Result<[u8; EXPORTER_BYTES]>,
) -> Result<Presented> {
    if options.authentication == Authentication::None {
        return Ok(Presented::default());
    }
    let credentials = credentials.ok_or_else(no_token)?;
    let token = credentials.token();
    if token.is_empty() && options.authentication != Authentication::Stored {
        return Err(no_token());
    }
    let mut presented = Presented::default();
    match options.authentication {
        Authentication::None => {}
        Authentication::Exporter => {
            let proof = prove(credentials, &exporter()?)?;
            presented.authentication_data =
                Some(encode(&AuthenticationData::WithProof { token: token.as_bytes(), proof: &proof })?);
        }
        Authentication::Challenge => {
            presented.authentication_data = Some(encode(&AuthenticationData::Challenge { token: token.as_bytes() })?);
        }
        Authentication::Stored => {
            if credentials.key().is_none() {
                return Err(Error::Proof("a token that the broker holds takes the key that it is bound to".to_owned()));
            }
            presented.authentication_data = Some(encode(&AuthenticationData::StoredToken)?);
        }
        Authentication::UserName => {
            // A bearer token comes with an empty password (requirement T6).
            let proof = match credentials.key() {
                Some(_) => prove(credentials, &exporter()?)?,
                None => Zeroizing::default(),
            };
            presented.user_name = Some(Zeroizing::new(user_name(token)));
            presented.password = Some(proof);
        }
        Authentication::Draft00 => {
            let proof = prove(credentials, &exporter()?)?;
            let shown_key = shown_key(credentials, options.show_key)?;
            by_name_ace(&mut presented, password::encode(token, proof, None, shown_key));
        }
        Authentication::Draft00Time => {
            let audience = options.audience.as_deref();
            let password = draft00_password(credentials, client_id, audience, options.show_key)?;
            by_name_ace(&mut presented, password);
        }
    }
    Ok(presented)
}

/// The Authentication Data of the AUTH packet that brings a fresh token: the token alone (RFC 9431 §4).
pub(crate) fn reauthentication_data(credentials: &Credentials) -> Result<Zeroizing<Vec<u8>>> {
    if credentials.token().is_empty() {
        return Err(no_token());
    }
    encode(&AuthenticationData::Challenge { token: credentials.token().as_bytes() })
}

/// The Authentication Data of the AUTH packet that answers a challenge: our nonce, and the proof over both nonces.
pub(crate) fn answer_challenge(credentials: Option<&Credentials>, challenge: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let broker_nonce = parse_challenge(challenge).ok_or_else(|| Error::Protocol {
        step: "answering the broker's challenge",
        what: format!("a challenge of {} bytes instead of {NONCE_BYTES}", challenge.len()),
    })?;
    let credentials = credentials.ok_or_else(no_token)?;
    let client_nonce = random::<NONCE_BYTES>()?;
    let proof = prove(credentials, &proof::challenge_message(&broker_nonce, &client_nonce))?;
    let answer = ChallengeAnswer { client_nonce, proof: &proof };
    Ok(Zeroizing::new(answer.encode()))
}

/// A client id that nobody else has, of letters and digits that every broker takes (MQTT 3.1.1 §3.1.3.1).
pub(crate) fn random_client_id() -> Result<String> {
    let mut id = "acemqtt".to_owned();
    for byte in random::<8>()? {
        id.push_str(&format!("{byte:02x}"));
    }
    Ok(id)
}

/// A JWT is text of base64url pieces already and goes as it is; anything else is encoded (requirement V1).
fn user_name(token: &str) -> String {
    if matches!(token.split('.').count(), 3 | 5) { encode_username(token) } else { encode_username_twice(token) }
}

fn by_name_ace(presented: &mut Presented, mut password: Zeroizing<String>) {
    presented.user_name = Some(Zeroizing::new(USERNAME_PREFIX.to_owned()));
    presented.password = Some(Zeroizing::new(std::mem::take(&mut *password).into_bytes()));
}

/// The public key to show beside the token, if it is to be shown.
pub(crate) fn shown_key(credentials: &Credentials, is_shown: bool) -> Result<Option<ShownKey>> {
    let key = credentials.key().filter(|_| is_shown);
    key.map(ShownKey::of).transpose().map_err(|error| Error::Proof(format!("the key cannot be shown: {error}")))
}

pub(crate) fn prove(credentials: &Credentials, message: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let key = credentials.key().ok_or_else(|| {
        Error::Proof("there is no key to the token (a bearer token takes the challenge or the user name)".to_owned())
    })?;
    ProofKey::from_jwk(key)
        .and_then(|key| key.prove(message))
        .map(Zeroizing::new)
        .map_err(|error| Error::Proof(error.to_string()))
}

pub(crate) fn no_token() -> Error {
    Error::Invalid("no token to present".to_owned())
}

fn encode(data: &AuthenticationData<'_>) -> Result<Zeroizing<Vec<u8>>> {
    data.encode().map(Zeroizing::new).map_err(|error| Error::Invalid(error.to_string()))
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Proof("no random bytes are available".to_owned()))?;
    Ok(bytes)
}
