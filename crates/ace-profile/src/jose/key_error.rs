//! What can be wrong with a key, or with using it: faults of configuration, not of a client.

use crate::JsonFault;
use crate::Quoted;
use crate::limits;

/// Why a key cannot be read or cannot do what it was asked to. Never holds key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is not a JSON object.
    #[error("the key cannot be read: {0}")]
    NotJson(JsonFault),
    /// The text is longer than [`limits::JWKS_BYTES`], or the set has more keys than [`limits::JWKS_KEYS`].
    #[error("the key set is too large")]
    TooLarge,
    /// A JWK set without a `keys` array.
    #[error("the key set has no array \"keys\"")]
    NotASet,
    /// A member that the key's type needs is missing.
    #[error("the key lacks the member {0:?}")]
    MemberMissing(&'static str),
    /// A member has the wrong type, encoding or length.
    #[error("the key's member {0:?} is malformed")]
    MemberMalformed(&'static str),
    /// A key type other than OKP, EC, RSA and oct.
    #[error("the key type {0} is not supported")]
    TypeUnsupported(Quoted),
    /// A curve other than Ed25519 and P-256.
    #[error("the curve {0} is not supported")]
    CurveUnsupported(Quoted),
    /// The public key is not a point of its curve, or one of the few points that everybody can sign for.
    #[error("the public key is not a usable point of its curve")]
    PointInvalid,
    /// An RSA key outside [`limits::RSA_BITS_MIN`] to [`limits::RSA_BITS_MAX`], or with an unusable exponent.
    #[error("the RSA key has {0} bits; {min} to {max} are accepted", min = limits::RSA_BITS_MIN, max = limits::RSA_BITS_MAX)]
    RsaLength(usize),
    /// The RSA key's components do not form a key.
    #[error("the RSA key is not usable")]
    RsaInvalid,
    /// A symmetric key outside the accepted lengths.
    #[error("the symmetric key has {0} bytes, which is too short or too long for its use")]
    SymmetricLength(usize),
    /// Private and public half do not belong together.
    #[error("the private key does not belong to the public key")]
    HalvesDiffer,
    /// A private key is needed, and this one is public.
    #[error("a private key is needed, and this key is public")]
    PrivateMissing,
    /// The key's type, `alg`, `use` or `key_ops` does not allow what it was asked to do.
    #[error("the key cannot be used for {0}")]
    Unfit(&'static str),
    /// The cryptographic library failed to sign or encrypt.
    #[error("the cryptographic operation failed")]
    OperationFailed,
    /// A symmetric key, or a private half, where keys are published: who can read it can sign.
    #[error("the key is symmetric or has its private half with it, which nobody should publish")]
    NotPublic,
    /// No random bytes were to be had.
    #[error("no random bytes are available")]
    RandomUnavailable,
}
