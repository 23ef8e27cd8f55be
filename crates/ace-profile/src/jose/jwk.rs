//! One key (RFC 7517): Ed25519 and X25519 (RFC 8037), P-256 and RSA, public or with their private half, or symmetric.

use std::fmt;

use aws_lc_rs::agreement::{PrivateKey, X25519};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    ParsedPublicKey,
};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::rsa::RsaKey;
use super::{Algorithm, KeyError, jwe, member, spki, thumbprint};
use crate::Quoted;
use crate::base64url;
use crate::json;
use crate::limits;
use crate::random::Random;

/// A JSON Web Key that has been checked: right lengths, points on their curves, halves that belong
/// together. Symmetric keys and private halves are wiped when dropped and never printed.
#[derive(Clone)]
pub struct Jwk {
    kid: Option<String>,
    usage: Option<String>,
    algorithm: Option<String>,
    operations: Option<Vec<String>>,
    material: Material,
}

/// Which kind of key a [`Jwk`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// `OKP` on the curve Ed25519 (RFC 8037 §2).
    Ed25519,
    /// `OKP` on the curve X25519 (RFC 8037 §2), for the agreement of keys.
    X25519,
    /// `EC` on the curve P-256 (RFC 7518 §6.2).
    P256,
    /// `RSA` (RFC 7518 §6.3).
    Rsa,
    /// `oct`, a symmetric key (RFC 7518 §6.4).
    Symmetric,
}

/// The numbers of a key.
#[derive(Clone)]
pub(crate) enum Material {
    Ed25519 { public: [u8; 32], seed: Option<Zeroizing<[u8; 32]>> },
    X25519 { public: [u8; 32], private: Option<Zeroizing<[u8; 32]>> },
    P256 { x: [u8; 32], y: [u8; 32], scalar: Option<Zeroizing<[u8; 32]>> },
    Rsa(Box<RsaKey>),
    Symmetric(Zeroizing<Vec<u8>>),
}

impl Jwk {
    /// Reads a key from its JSON text.
    ///
    /// # Errors
    /// A [`KeyError`] that says which member is at fault.
    pub fn from_json(text: &str) -> Result<Self, KeyError> {
        if text.len() > limits::JWKS_BYTES {
            return Err(KeyError::TooLarge);
        }
        Self::from_members(&json::parse_object(text.as_bytes()).map_err(KeyError::NotJson)?)
    }

    /// Reads a key from a JSON value, for one that stands inside something larger.
    ///
    /// # Errors
    /// A [`KeyError`] that says which member is at fault.
    pub fn from_value(value: &Value) -> Result<Self, KeyError> {
        Self::from_members(value.as_object().ok_or(KeyError::NotJson(json::JsonFault::NotAnObject))?)
    }

    fn from_members(object: &Map<String, Value>) -> Result<Self, KeyError> {
        let kty = member::text(object, "kty")?.ok_or(KeyError::MemberMissing("kty"))?;
        let material = match kty {
            "OKP" => Material::okp(object)?,
            "EC" => Material::ec(object)?,
            "RSA" => Material::Rsa(Box::new(RsaKey::from_members(object)?)),
            "oct" => Material::symmetric(&member::required_bytes(object, "k")?)?,
            other => return Err(KeyError::TypeUnsupported(Quoted::new(other))),
        };
        let kid = member::text(object, "kid")?.map(str::to_owned);
        if kid.as_ref().is_some_and(|kid| kid.len() > limits::KID_BYTES) {
            return Err(KeyError::MemberMalformed("kid"));
        }
        Ok(Self {
            kid,
            usage: member::text(object, "use")?.map(str::to_owned),
            algorithm: member::text(object, "alg")?.map(str::to_owned),
            operations: member::texts(object, "key_ops")?,
            material,
        })
    }

    /// Reads a public key in DER, as it stands in certificates: Ed25519, or P-256 by the curve's name and uncompressed.
    ///
    /// # Errors
    /// [`KeyError::Unfit`] for every other kind of key, [`KeyError::PointInvalid`].
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        spki::read(der)
    }

    pub(super) const fn bare(material: Material) -> Self {
        Self { kid: None, usage: None, algorithm: None, operations: None, material }
    }

    /// A symmetric key of these bytes.
    ///
    /// # Errors
    /// [`KeyError::SymmetricLength`] outside [`limits::POP_KEY_BYTES_MIN`] to [`limits::SYMMETRIC_KEY_BYTES_MAX`].
    pub fn from_symmetric(bytes: &[u8]) -> Result<Self, KeyError> {
        Material::symmetric(bytes).map(Self::bare)
    }

    /// The Ed25519 key that belongs to a seed (RFC 8032 §5.1.5), private half included.
    ///
    /// # Errors
    /// [`KeyError::OperationFailed`] if the cryptographic library refuses.
    pub fn ed25519_from_seed(seed: &[u8; 32]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::OperationFailed)?;
        let public = <[u8; 32]>::try_from(pair.public_key().as_ref()).map_err(|_| KeyError::OperationFailed)?;
        Ok(Self::bare(Material::Ed25519 { public, seed: Some(Zeroizing::new(*seed)) }))
    }

    /// The X25519 key that belongs to 32 private bytes (RFC 7748 §5), private half included.
    ///
    /// # Errors
    /// [`KeyError::OperationFailed`] if the cryptographic library refuses.
    pub fn x25519_from_private(private: &[u8; 32]) -> Result<Self, KeyError> {
        let public = x25519_public(private).ok_or(KeyError::OperationFailed)?;
        Ok(Self::bare(Material::X25519 { public, private: Some(Zeroizing::new(*private)) }))
    }

    /// The P-256 key that belongs to a private scalar, a big-endian integer, private half included.
    ///
    /// # Errors
    /// [`KeyError::PointInvalid`] for zero and for what is not below the order of the curve.
    pub fn p256_from_scalar(scalar: &[u8; 32]) -> Result<Self, KeyError> {
        // The cryptographic library computes the public point only when it reads an ECPrivateKey (RFC 5915 §3)
        // without one: SEQUENCE { INTEGER 1, OCTET STRING scalar, [0] OBJECT IDENTIFIER prime256v1 }.
        let mut der = Zeroizing::new(vec![0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20]);
        der.extend_from_slice(scalar);
        der.extend_from_slice(&[0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]);
        let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der)
            .map_err(|_| KeyError::PointInvalid)?;
        let (x, y) = coordinates(pair.public_key().as_ref()).ok_or(KeyError::OperationFailed)?;
        Ok(Self::bare(Material::P256 { x, y, scalar: Some(Zeroizing::new(*scalar)) }))
    }

    /// The public key of P-256 with this x coordinate, and the one of its two y coordinates that is odd or even
    /// (SEC 1 §2.3.4).
    ///
    /// # Errors
    /// [`KeyError::PointInvalid`] if there is no such point.
    pub fn p256_from_compressed(x: &[u8; 32], y_is_odd: bool) -> Result<Self, KeyError> {
        let mut point = [2; 33];
        for (to, from) in point.iter_mut().skip(1).zip(x) {
            *to = *from;
        }
        if y_is_odd && let Some(form) = point.first_mut() {
            *form = 3;
        }
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| KeyError::PointInvalid)?;
        let der = AsDer::<PublicKeyX509Der<'_>>::as_der(&parsed).map_err(|_| KeyError::OperationFailed)?;
        spki::read(der.as_ref())
    }

    /// A new Ed25519 key.
    ///
    /// # Errors
    /// [`KeyError::RandomUnavailable`].
    pub fn generate_ed25519(random: &mut dyn Random) -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        random.fill(seed.as_mut_slice())?;
        Self::ed25519_from_seed(&seed)
    }

    /// A new X25519 key.
    ///
    /// # Errors
    /// [`KeyError::RandomUnavailable`].
    pub fn generate_x25519(random: &mut dyn Random) -> Result<Self, KeyError> {
        let mut private = Zeroizing::new([0; 32]);
        random.fill(private.as_mut_slice())?;
        Self::x25519_from_private(&private)
    }

    /// A new P-256 key, for ES256.
    ///
    /// # Errors
    /// [`KeyError::RandomUnavailable`].
    pub fn generate_p256(random: &mut dyn Random) -> Result<Self, KeyError> {
        // One draw in four thousand million is no scalar; two in a row are a broken generator.
        let mut scalar = Zeroizing::new([0; 32]);
        random.fill(scalar.as_mut_slice())?;
        if let Ok(key) = Self::p256_from_scalar(&scalar) {
            return Ok(key);
        }
        random.fill(scalar.as_mut_slice())?;
        Self::p256_from_scalar(&scalar).map_err(|_| KeyError::RandomUnavailable)
    }

    /// A new RSA key of 2048, 3072 or 4096 bits. The cryptographic library draws its own random numbers.
    ///
    /// # Errors
    /// [`KeyError::RsaLength`] for other lengths, [`KeyError::OperationFailed`].
    pub fn generate_rsa(bits: usize) -> Result<Self, KeyError> {
        RsaKey::generate(bits).map(|key| Self::bare(Material::Rsa(Box::new(key))))
    }

    /// A new symmetric key of so many bytes.
    ///
    /// # Errors
    /// [`KeyError::SymmetricLength`] or [`KeyError::RandomUnavailable`].
    pub fn generate_symmetric(bytes: usize, random: &mut dyn Random) -> Result<Self, KeyError> {
        if bytes > limits::SYMMETRIC_KEY_BYTES_MAX {
            return Err(KeyError::SymmetricLength(bytes));
        }
        let mut key = Zeroizing::new(vec![0; bytes]);
        random.fill(&mut key)?;
        Self::from_symmetric(&key)
    }

    /// The key and its `kid`, without what it says about its use.
    pub(crate) fn bare_with_kid(&self) -> Self {
        Self { kid: self.kid.clone(), ..Self::bare(self.material.clone()) }
    }

    /// The same key without a `kid`.
    pub(crate) fn without_kid(mut self) -> Self {
        self.kid = None;
        self
    }

    /// The same key with this `kid` (RFC 7517 §4.5).
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    /// The same key with this `use` (RFC 7517 §4.2): `sig` or `enc`.
    #[must_use]
    pub fn with_use(mut self, usage: impl Into<String>) -> Self {
        self.usage = Some(usage.into());
        self
    }

    /// The same key with this `alg` (RFC 7517 §4.4).
    #[must_use]
    pub fn with_algorithm(mut self, algorithm: impl Into<String>) -> Self {
        self.algorithm = Some(algorithm.into());
        self
    }

    /// The same key with these `key_ops` (RFC 7517 §4.3).
    #[must_use]
    pub(crate) fn with_operations(mut self, operations: Vec<String>) -> Self {
        self.operations = Some(operations);
        self
    }

    /// The key's `kid`, if it bears one.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The key's `use`, if it bears one.
    #[must_use]
    pub fn usage(&self) -> Option<&str> {
        self.usage.as_deref()
    }

    /// The key's `alg` as written, if it bears one. It may be none that this crate knows.
    #[must_use]
    pub fn algorithm(&self) -> Option<&str> {
        self.algorithm.as_deref()
    }

    /// The kind of key.
    #[must_use]
    pub const fn key_type(&self) -> KeyType {
        match self.material {
            Material::Ed25519 { .. } => KeyType::Ed25519,
            Material::X25519 { .. } => KeyType::X25519,
            Material::P256 { .. } => KeyType::P256,
            Material::Rsa(_) => KeyType::Rsa,
            Material::Symmetric(_) => KeyType::Symmetric,
        }
    }

    /// Whether this is an asymmetric key that comes with its private half.
    #[must_use]
    pub const fn is_private(&self) -> bool {
        match &self.material {
            Material::Ed25519 { seed, .. } => seed.is_some(),
            Material::X25519 { private, .. } => private.is_some(),
            Material::P256 { scalar, .. } => scalar.is_some(),
            Material::Rsa(key) => key.is_private(),
            Material::Symmetric(_) => false,
        }
    }

    /// The algorithm that a token signed with this key bears: its `alg` if that is one of ours, else the
    /// usual one of its type (RS256 for RSA). `None` if its `alg` or its type is for something else.
    #[must_use]
    pub fn signature_algorithm(&self) -> Option<Algorithm> {
        let natural = match self.key_type() {
            KeyType::Ed25519 => Algorithm::EdDsa,
            KeyType::P256 => Algorithm::Es256,
            KeyType::Rsa => Algorithm::Rs256,
            KeyType::Symmetric => Algorithm::Hs256,
            KeyType::X25519 => return None,
        };
        match &self.algorithm {
            Some(name) => name.parse().ok(),
            None => Some(natural),
        }
    }

    /// Whether a signature of this algorithm may be verified with this key: its type and length fit, its
    /// `alg`, `use` and `key_ops` do not forbid it, and it is no private key, which should not lie about
    /// where tokens are only checked.
    #[must_use]
    pub fn can_verify(&self, algorithm: Algorithm) -> bool {
        !self.is_private() && self.fits(algorithm, "verify")
    }

    /// Whether this key can sign with this algorithm.
    #[must_use]
    pub fn can_sign(&self, algorithm: Algorithm) -> bool {
        (self.is_private() || self.key_type() == KeyType::Symmetric) && self.fits(algorithm, "sign")
    }

    fn fits(&self, algorithm: Algorithm, operation: &str) -> bool {
        let type_fits = match (&self.material, algorithm) {
            (Material::Ed25519 { .. }, Algorithm::EdDsa)
            | (Material::P256 { .. }, Algorithm::Es256)
            | (Material::Rsa(_), Algorithm::Rs256 | Algorithm::Ps256) => true,
            (Material::Symmetric(bytes), Algorithm::Hs256) => bytes.len() >= limits::HS256_KEY_BYTES_MIN,
            _ => false,
        };
        let algorithm_fits = self.algorithm.as_ref().is_none_or(|name| name.parse() == Ok(algorithm));
        let usage_fits = self.usage.as_ref().is_none_or(|usage| usage == "sig");
        type_fits && algorithm_fits && usage_fits && self.allows(operation)
    }

    /// Whether `key_ops` (RFC 7517 §4.3) is absent or holds the operation.
    pub(crate) fn allows(&self, operation: &str) -> bool {
        self.operations.as_ref().is_none_or(|operations| operations.iter().any(|one| one == operation))
    }

    /// Whether what others encrypt can be decrypted with this key: a symmetric one, or a private one that says that it is for that, by
    /// `use` "enc" or by the `alg` of a key management. RSA only up to [`limits::RSA_DECRYPTION_BITS_MAX`].
    #[must_use]
    pub fn can_decrypt(&self) -> bool {
        self.key_type() == KeyType::Symmetric || jwe::is_private_for_decryption(self)
    }

    /// The same key without its private half; `None` for a symmetric key, which has no public half.
    #[must_use]
    pub fn to_public(&self) -> Option<Self> {
        let material = match &self.material {
            Material::Ed25519 { public, .. } => Material::Ed25519 { public: *public, seed: None },
            Material::X25519 { public, .. } => Material::X25519 { public: *public, private: None },
            Material::P256 { x, y, .. } => Material::P256 { x: *x, y: *y, scalar: None },
            Material::Rsa(key) => Material::Rsa(Box::new(key.to_public())),
            Material::Symmetric(_) => return None,
        };
        let operations = self.operations.as_ref().map(|_| vec!["verify".to_owned()]);
        Some(Self { operations, material, ..self.clone() })
    }

    /// The key as JSON without its private half, to be published or put into `cnf`; `None` for a symmetric key.
    #[must_use]
    pub fn public_value(&self) -> Option<Value> {
        self.to_public().map(|key| key.secret_value())
    }

    /// The key as JSON with everything that it has: for key files, and for an authorization server that
    /// hands a symmetric key to its client. The value is a secret, and is not wiped when dropped.
    #[must_use]
    pub fn secret_value(&self) -> Value {
        let mut object = Map::new();
        self.material.write(&mut object);
        let texts = [("kid", &self.kid), ("use", &self.usage), ("alg", &self.algorithm)];
        for (name, text) in texts {
            if let Some(text) = text {
                object.insert(name.into(), text.as_str().into());
            }
        }
        if let Some(operations) = &self.operations {
            object.insert("key_ops".into(), operations.clone().into());
        }
        Value::Object(object)
    }

    /// The bytes of a symmetric key; `None` for any other.
    #[must_use]
    pub fn symmetric_bytes(&self) -> Option<&[u8]> {
        match &self.material {
            Material::Symmetric(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The key's thumbprint (RFC 7638): SHA-256 over its required members, base64url. It does not depend on
    /// the private half, the `kid` or any other optional member. That of a symmetric key tells nothing
    /// about the key as long as the key is unguessable.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        thumbprint::of(&self.material)
    }

    pub(crate) const fn material(&self) -> &Material {
        &self.material
    }
}

/// Shows what kind of key it is and its name, never its numbers.
impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwk")
            .field("type", &self.key_type())
            .field("private", &self.is_private())
            .field("kid", &self.kid.as_deref().map(Quoted::new))
            .field("alg", &self.algorithm.as_deref().map(Quoted::new))
            .finish_non_exhaustive()
    }
}

impl Material {
    fn okp(object: &Map<String, Value>) -> Result<Self, KeyError> {
        if member::text(object, "crv")? == Some("X25519") {
            return Self::x25519(object);
        }
        expect_curve(object, "Ed25519")?;
        let public = *member::required_array::<32>(object, "x")?;
        if has_small_order(&public) {
            return Err(KeyError::PointInvalid);
        }
        let seed = member::array::<32>(object, "d")?;
        if let Some(seed) = &seed {
            Ed25519KeyPair::from_seed_and_public_key(seed.as_slice(), &public).map_err(|_| KeyError::HalvesDiffer)?;
        }
        Ok(Self::Ed25519 { public, seed })
    }

    fn x25519(object: &Map<String, Value>) -> Result<Self, KeyError> {
        let public = *member::required_array::<32>(object, "x")?;
        let private = member::array::<32>(object, "d")?;
        if private.as_ref().is_some_and(|private| x25519_public(private) != Some(public)) {
            return Err(KeyError::HalvesDiffer);
        }
        Ok(Self::X25519 { public, private })
    }

    fn ec(object: &Map<String, Value>) -> Result<Self, KeyError> {
        expect_curve(object, "P-256")?;
        let x = *member::required_array::<32>(object, "x")?;
        let y = *member::required_array::<32>(object, "y")?;
        let point = uncompressed(&x, &y);
        // The library checks that the point lies on the curve; P-256 has no other points than the group's.
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| KeyError::PointInvalid)?;
        let scalar = member::array::<32>(object, "d")?;
        if let Some(scalar) = &scalar {
            EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, scalar.as_slice(), &point)
                .map_err(|_| KeyError::HalvesDiffer)?;
        }
        Ok(Self::P256 { x, y, scalar })
    }

    fn symmetric(bytes: &[u8]) -> Result<Self, KeyError> {
        if !(limits::POP_KEY_BYTES_MIN..=limits::SYMMETRIC_KEY_BYTES_MAX).contains(&bytes.len()) {
            return Err(KeyError::SymmetricLength(bytes.len()));
        }
        Ok(Self::Symmetric(Zeroizing::new(bytes.to_vec())))
    }

    fn write(&self, object: &mut Map<String, Value>) {
        let mut put = |name: &str, value: String| object.insert(name.to_owned(), Value::String(value));
        match self {
            Self::Ed25519 { public, seed } => {
                put("kty", "OKP".to_owned());
                put("crv", "Ed25519".to_owned());
                put("x", base64url::encode(public));
                if let Some(seed) = seed {
                    put("d", base64url::encode(seed.as_slice()));
                }
            }
            Self::X25519 { public, private } => {
                put("kty", "OKP".to_owned());
                put("crv", "X25519".to_owned());
                put("x", base64url::encode(public));
                if let Some(private) = private {
                    put("d", base64url::encode(private.as_slice()));
                }
            }
            Self::P256 { x, y, scalar } => {
                put("kty", "EC".to_owned());
                put("crv", "P-256".to_owned());
                put("x", base64url::encode(x));
                put("y", base64url::encode(y));
                if let Some(scalar) = scalar {
                    put("d", base64url::encode(scalar.as_slice()));
                }
            }
            Self::Rsa(key) => {
                put("kty", "RSA".to_owned());
                key.write_public(object);
                key.write_private(object);
            }
            Self::Symmetric(bytes) => {
                put("kty", "oct".to_owned());
                put("k", base64url::encode(bytes));
            }
        }
    }
}

/// The public half that belongs to this private one.
fn x25519_public(private: &[u8; 32]) -> Option<[u8; 32]> {
    let public = PrivateKey::from_private_key(&X25519, private).ok()?.compute_public_key().ok()?;
    public.as_ref().try_into().ok()
}

/// Refuses any other curve than the expected one.
fn expect_curve(object: &Map<String, Value>, expected: &str) -> Result<(), KeyError> {
    let curve = member::text(object, "crv")?.ok_or(KeyError::MemberMissing("crv"))?;
    if curve == expected { Ok(()) } else { Err(KeyError::CurveUnsupported(Quoted::new(curve))) }
}

/// A point of P-256 in uncompressed form: 4, x, y (SEC 1 §2.3.3).
pub(super) fn uncompressed(x: &[u8; 32], y: &[u8; 32]) -> [u8; 65] {
    let mut point = [4; 65];
    let coordinates = x.iter().chain(y);
    for (to, from) in point.iter_mut().skip(1).zip(coordinates) {
        *to = *from;
    }
    point
}

/// The coordinates of a point in uncompressed form.
pub(super) fn coordinates(point: &[u8]) -> Option<([u8; 32], [u8; 32])> {
    let (x, y) = point.strip_prefix(&[4])?.split_at_checked(32)?;
    Some((x.try_into().ok()?, y.try_into().ok()?))
}

/// Whether an Ed25519 public key is one of the eight points of small order, in any of their encodings
/// (RFC 7748 §7 tells of such points). Signatures that verify under them can be made without any private
/// key, so a token bound to one would be bound to nobody.
pub(super) fn has_small_order(public: &[u8; 32]) -> bool {
    /// The y coordinates, little-endian: 0, 1, the two of order 8, p − 1, and p and p + 1, which are 0 and 1
    /// not reduced.
    const COORDINATES: [[u8; 32]; 7] = {
        let zero = [0; 32];
        let mut one = zero;
        one[0] = 1;
        let mut minus_one = [0xff; 32];
        minus_one[0] = 0xec;
        minus_one[31] = 0x7f;
        let mut p = minus_one;
        p[0] = 0xed;
        let mut p_plus_one = minus_one;
        p_plus_one[0] = 0xee;
        [
            zero,
            one,
            [
                0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
                0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
            ],
            [
                0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
                0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
            ],
            minus_one,
            p,
            p_plus_one,
        ]
    };
    let mut y = *public;
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    COORDINATES.contains(&y)
}

#[cfg(test)]
#[path = "jwk_tests.rs"]
mod tests;
