//! `ace-mqtt keygen`: a proof-of-possession key.

use std::path::PathBuf;

use ace_mqtt::{
    Error,
    ace_profile::{jose::Jwk, random::SystemRandom},
    write_private,
};
use clap::{Args, ValueEnum};
use zeroize::Zeroizing;

use super::{Exit, Failure, output};

const AFTER_HELP: &str = "\
Examples:
  ace-mqtt keygen --out sensor.key                 an Ed25519 key; the public half is printed
  ace-mqtt keygen --alg ES256 --out sensor.key     for authorization servers that know ECDSA only
  ace-mqtt token … --key sensor.key                a token bound to it";

/// Make a key that tokens can be bound to
///
/// Writes the private key (JWK) to a file that only you can read, and prints the public key. Without --out the private key itself is printed.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Keygen {
    /// Kind of key
    #[arg(long, value_enum, value_name = "ALG", default_value = "EdDSA", ignore_case = true)]
    alg: KeyAlgorithm,

    /// File for the private key; it must not exist yet
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Key id to put into the key
    #[arg(long, value_name = "KID")]
    kid: Option<String>,

    /// Replace an existing file
    #[arg(long, requires = "out")]
    force: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyAlgorithm {
    /// Ed25519
    #[value(name = "EdDSA", alias = "Ed25519")]
    EdDsa,
    /// ECDSA on P-256
    #[value(name = "ES256")]
    Es256,
    /// Symmetric, 32 bytes
    #[value(name = "HS256")]
    Hs256,
}

impl KeyAlgorithm {
    pub(crate) fn generate(self) -> Result<Jwk, Error> {
        let mut random = SystemRandom;
        match self {
            Self::EdDsa => Jwk::generate_ed25519(&mut random),
            Self::Es256 => Jwk::generate_p256(&mut random),
            Self::Hs256 => Jwk::generate_symmetric(32, &mut random),
        }
        .map_err(|error| Error::Invalid(format!("no key: {error}")))
    }
}

impl Keygen {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let mut key = self.alg.generate()?;
        if let Some(kid) = self.kid {
            key = key.with_kid(kid);
        }
        let secret = Zeroizing::new(key.secret_value().to_string());
        let Some(path) = self.out else {
            output::line(&secret)?;
            return Ok(Exit::Done);
        };
        if path.exists() && !self.force {
            return Err(Error::File { path, reason: "exists already; --force replaces it".to_owned() }.into());
        }
        write_private(&path, Zeroizing::new(format!("{}\n", secret.as_str())).as_bytes())?;
        match key.public_value() {
            Some(public) => output::line(&public.to_string())?,
            None => output::note(&format!("a symmetric key has no public half to print; it is in {}", path.display())),
        }
        Ok(Exit::Done)
    }
}
