//! Keys and secrets of the trial set.

use std::ffi::OsStr;
use std::path::Path;
use std::str::FromStr;

use ace_profile::base64url;
use ace_profile::jose::{Jwk, JwkSet, KeyError};
use ace_profile::random::{Random as _, SystemRandom};
use serde_json::Value;
use zeroize::Zeroizing;

use super::InitError;
use super::files::{Access, FileSet};

/// The key that signs tokens.
pub(super) const SIGNING_KEY: &str = "signing-key.jwk";
/// The key that this server and the broker share.
pub(super) const SHARED_KEY: &str = "broker-shared-key.jwk";
/// What the broker needs to check tokens.
pub(super) const BROKER_JWKS: &str = "as-jwks.json";

/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// Bytes of the shared key: what A256KW takes.
const SHARED_KEY_BYTES: usize = 32;

/// What signs tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// Ed25519.
    EdDsa,
    /// P-256.
    Es256,
}

impl SigningAlgorithm {
    /// The name in a JWS header.
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }
}

impl FromStr for SigningAlgorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::EdDsa, Self::Es256]
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| "known are EdDSA and ES256".to_owned())
    }
}

/// Adds the signing key, the shared key, and the set of keys that the broker needs.
pub(super) fn add(files: &mut FileSet, signing: SigningAlgorithm) -> Result<(), InitError> {
    let signing_key = signing_key(signing)?;

    let mut name = [0; 9];
    SystemRandom.fill(&mut name).map_err(failed)?;
    let shared_key = Jwk::generate_symmetric(SHARED_KEY_BYTES, &mut SystemRandom)
        .map_err(failed)?
        .with_kid(format!("shared-{}", base64url::encode(&name)))
        .with_use("enc")
        .with_algorithm("A256KW");

    let for_broker: JwkSet = signing_key.to_public().into_iter().chain([shared_key.clone()]).collect();
    files.add(SIGNING_KEY, json(&signing_key.secret_value()), Access::Private, "the key that signs tokens");
    files.add(
        SHARED_KEY,
        json(&shared_key.secret_value()),
        Access::Private,
        "encrypts clients' symmetric keys for the broker",
    );
    let purpose = "for the broker: the public signing key and the shared key";
    files.add(BROKER_JWKS, json(&for_broker.secret_value()), Access::Private, purpose);
    Ok(())
}

/// Makes a key that signs tokens and puts it into a file of its own. Gives its public half.
pub(super) fn write_signing_key(file: &Path, signing: SigningAlgorithm) -> Result<Value, InitError> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = file.file_name().and_then(OsStr::to_str);
    let name = name.ok_or_else(|| InitError::Option("that is not the name of a file".to_owned()))?;
    let key = signing_key(signing)?;
    let public = key.public_value().ok_or_else(|| InitError::Key("it has no public half".to_owned()))?;
    let mut files = FileSet::new(folder);
    files.add(name, json(&key.secret_value()), Access::Private, "");
    if !files.existing().is_empty() {
        return Err(InitError::Option(format!("{} is there already", file.display())));
    }
    files.write(false)?;
    Ok(public)
}

fn signing_key(signing: SigningAlgorithm) -> Result<Jwk, InitError> {
    let key = match signing {
        SigningAlgorithm::EdDsa => Jwk::generate_ed25519(&mut SystemRandom),
        SigningAlgorithm::Es256 => Jwk::generate_p256(&mut SystemRandom),
    }
    .map_err(failed)?;
    let thumbprint = key.thumbprint();
    Ok(key.with_kid(thumbprint).with_use("sig").with_algorithm(signing.name()))
}

/// Adds a file with a fresh secret.
pub(super) fn add_secret(files: &mut FileSet, name: &str, purpose: &'static str) -> Result<(), InitError> {
    let mut random = Zeroizing::new([0; SECRET_BYTES]);
    SystemRandom.fill(random.as_mut_slice()).map_err(failed)?;
    let text = base64url::encode_secret(random.as_slice());
    files.add(name, Zeroizing::new(format!("{}\n", text.as_str()).into_bytes()), Access::Private, purpose);
    Ok(())
}

fn json(value: &Value) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(format!("{value:#}\n").into_bytes())
}

fn failed(error: KeyError) -> InitError {
    InitError::Key(error.to_string())
}
