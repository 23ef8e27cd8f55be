//! Why something was refused: one typed reason per cause.
//!
//! A refusal is for the broker's log and counters. The client never learns which it was (RFC 9431 §2.2.5:
//! one reason code for all). Texts are sentences about a fact; foreign text in them is [`Quoted`], and none
//! of them ever holds a token, a key, a MAC or a secret.

use crate::CborFault;
use crate::JsonFault;
use crate::Quoted;
use crate::limits;
use crate::scope::{Placeholder, PlaceholderError, ScopeError, ValueFault};

/// Which of the things that a client must bring was at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// What was sent is not ACE material at all, or its lengths lie.
    Malformed,
    /// A token arrived and is not good: forged, expired, for somebody else, without a usable key.
    Token,
    /// The token is good, but the client did not prove that it holds the token's key.
    Proof,
    /// The token's scope says something that this profile does not know.
    Scope,
    /// Everything is sound, and this broker's configuration does not want it.
    Policy,
}

/// Defines [`Refusal`] together with its codes, so that no reason can be added without one, and tests can
/// walk all of them.
macro_rules! refusals {
    ($(
        $(#[doc = $doc:literal])+
        $kind:ident $code:literal $text:literal $(, $argument:path)? =>
        $name:ident $({ $( $(#[doc = $field_doc:literal])+ $field:ident: $type:ty ),+ })?;
    )+) => {
        /// The reason of a refusal. [`Display`](std::fmt::Display) gives a lower-case sentence for the log.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        pub enum Refusal {
            $(
                $(#[doc = $doc])+
                #[error($text $(, $argument)?)]
                $name $({ $( $(#[doc = $field_doc])+ $field: $type ),+ })?,
            )+
        }

        impl Refusal {
            /// The codes of all reasons, in the order of their definition.
            pub const CODES: &'static [&'static str] = &[$($code),+];

            /// A short name that stays the same over versions, for counters, tests and documentation.
            #[must_use]
            pub const fn code(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => $code,)+
                }
            }

            /// Which of the client's things was at fault.
            #[must_use]
            pub const fn kind(&self) -> RefusalKind {
                match self {
                    $(Self::$name { .. } => RefusalKind::$kind,)+
                }
            }
        }
    };
}

refusals! {
    // ---- CONNECT and AUTH: the bytes around token and proof --------------------------------------------

    /// The Authentication Data is too short for its own length field, or the field says more than follows
    /// (RFC 9431 §2.2.4.2).
    Malformed "authentication-data-truncated" "the authentication data ends before the token that its length field announces" =>
    AuthenticationDataTruncated;

    /// More bytes follow the token than the longest proof has.
    Malformed "authentication-data-too-long" "{bytes} bytes follow the token in the authentication data, more than any proof has" =>
    AuthenticationDataTooLong {
        /// How many bytes follow the token.
        bytes: usize
    };

    /// A proof without a token: the stored token can only be proved by answering a challenge.
    Malformed "proof-without-token" "the authentication data holds a proof but no token" =>
    ProofWithoutToken;

    /// The answer to the challenge has no room for the client's nonce and a proof (RFC 9431 §2.2.4.2.2).
    Malformed "challenge-answer-truncated" "the answer to the challenge has {bytes} bytes, too few for a nonce and a proof" =>
    ChallengeAnswerTruncated {
        /// Length of the answer.
        bytes: usize
    };

    /// The answer to the challenge is longer than a nonce and the longest proof.
    Malformed "challenge-answer-too-long" "the answer to the challenge has {bytes} bytes, more than a nonce and a proof" =>
    ChallengeAnswerTooLong {
        /// Length of the answer.
        bytes: usize
    };

    /// The password of the draft's form is longer than [`limits::DRAFT00_PASSWORD_BYTES`].
    Malformed "draft00-too-large" "the password of the draft's form has {bytes} bytes, more than {}", limits::DRAFT00_PASSWORD_BYTES =>
    Draft00TooLarge {
        /// Length of the password.
        bytes: usize
    };

    /// The password of the draft's form is not the JSON object that it must be.
    Malformed "draft00-not-json" "the password of the draft's form cannot be read: {fault}" =>
    Draft00NotJson {
        /// What is wrong with the JSON.
        fault: JsonFault
    };

    /// A member that must be there is missing; `ts` and `nonce` only come together.
    Malformed "draft00-member-missing" "the password of the draft's form lacks the member {member}" =>
    Draft00MemberMissing {
        /// The member's name.
        member: &'static str
    };

    /// A member has a value of the wrong type, encoding or length.
    Malformed "draft00-member-malformed" "the member {member} in the password of the draft's form is malformed" =>
    Draft00MemberMalformed {
        /// The member's name.
        member: &'static str
    };

    /// A member that this form does not know; ignoring it could drop a condition that the client meant.
    Malformed "draft00-member-unknown" "the password of the draft's form has the unknown member {member}" =>
    Draft00MemberUnknown {
        /// The member's name.
        member: Quoted
    };

    // ---- the TLS handshake -----------------------------------------------------------------------------

    /// The PSK identity is none of those that can name a token: empty, too long, not text, or JSON or CBOR of another form
    /// (RFC 9431 §2.2.3.2, RFC 9202 §3.3.2).
    Malformed "psk-identity-malformed" "the PSK identity has none of the forms that name a token" =>
    PskIdentityMalformed;

    // ---- the token's form ------------------------------------------------------------------------------

    /// The token is longer than [`limits::TOKEN_BYTES`]; it was not looked at.
    Malformed "token-too-large" "the token has {bytes} bytes, more than {}", limits::TOKEN_BYTES =>
    TokenTooLarge {
        /// Length of the token.
        bytes: usize
    };

    /// The token is neither a JWT in compact form, three parts of base64url without padding (RFC 7515 §3.1), nor a CWT.
    Malformed "token-not-jwt" "the token is neither a signed JWT in compact form nor a tagged CWT" =>
    TokenNotJwt;

    /// The token's header is not a JSON object (RFC 7515 §4).
    Malformed "header-not-json" "the token's header cannot be read: {fault}" =>
    HeaderNotJson {
        /// What is wrong with the JSON.
        fault: JsonFault
    };

    /// A header member has a value of the wrong type.
    Malformed "header-member-malformed" "the member {member} of the token's header is malformed or missing" =>
    HeaderMemberMalformed {
        /// The member's name.
        member: &'static str
    };

    /// The header names extensions that must be understood (`crit`, RFC 7515 §4.1.11); none is.
    Token "header-critical" "the token's header demands extensions that are not understood (crit)" =>
    HeaderCritical;

    /// The header says that the content is compressed (`zip`), which a signed token cannot be.
    Token "header-compressed" "the token's header says that its content is compressed (zip)" =>
    HeaderCompressed;

    /// The token wraps another token (`cty` JWT, RFC 7519 §5.2), or an encrypted CWT another encrypted one.
    Token "token-nested" "the token wraps another token, which is not supported" =>
    TokenNested;

    /// The token begins like a CWT, and is not CBOR, or not in the one form in which it is read (RFC 8949 §4.2).
    Malformed "cwt-not-cbor" "the token looks like a CWT and cannot be read: {fault}" =>
    CwtNotCbor {
        /// What is wrong with the CBOR.
        fault: CborFault
    };

    /// The token is none of the structures that a CWT can be here: `COSE_Sign1`, `COSE_Mac0`, `COSE_Encrypt0` (RFC 9052 §2).
    Malformed "cose-malformed" "the token is not a well-formed COSE_Sign1, COSE_Mac0 or COSE_Encrypt0" =>
    CoseMalformed;

    /// The content is to come from elsewhere (nil, RFC 9052 §2): a token has its claims in it.
    Token "cose-payload-detached" "the token has no content (nil)" =>
    CosePayloadDetached;

    /// A header stands unprotected that anybody could have written (RFC 9052 §3): only `kid`, and the IV of a `COSE_Encrypt0`, may.
    Token "cose-header-unprotected" "the token's header {label} is not protected" =>
    CoseHeaderUnprotected {
        /// Its name or number.
        label: Quoted
    };

    /// A header stands in both buckets (RFC 9052 §3).
    Token "cose-header-twice" "the token has the header {label} protected and unprotected" =>
    CoseHeaderTwice {
        /// Its name or number.
        label: Quoted
    };

    /// The algorithm is not one of the structure's: a MAC in a `COSE_Sign1`, say (RFC 9052 §8).
    Token "cose-algorithm-misplaced" "the token's algorithm {algorithm} does not belong into its COSE structure" =>
    CoseAlgorithmMisplaced {
        /// The header's `alg`.
        algorithm: Quoted
    };

    // ---- the token's signature -------------------------------------------------------------------------

    /// The token says that it is not signed (`alg` none, RFC 7518 §3.6).
    Token "algorithm-none" "the token is not signed (alg none)" =>
    AlgorithmNone;

    /// The token is signed with an algorithm that this program does not have.
    Token "algorithm-unsupported" "the token's algorithm {algorithm} is not supported" =>
    AlgorithmUnsupported {
        /// The header's `alg`.
        algorithm: Quoted
    };

    /// The algorithm is not in the list that the configuration allows for this issuer.
    Token "algorithm-not-allowed" "the token's algorithm {algorithm} is not among those allowed for its issuer" =>
    AlgorithmNotAllowed {
        /// The header's `alg`.
        algorithm: Quoted
    };

    /// The key that the token names forbids the algorithm by its type, curve, length, `alg`, `use` or `key_ops`: an RSA public
    /// key under HS256, for example.
    Token "algorithm-key-mismatch" "the token's algorithm {algorithm} fits no key that the token can mean" =>
    AlgorithmKeyMismatch {
        /// The header's `alg`.
        algorithm: Quoted
    };

    /// The issuer has no key of this `kid`.
    Token "key-unknown" "the token's issuer has no key with the kid {kid}" =>
    KeyUnknown {
        /// The header's `kid`.
        kid: Quoted,
        /// Whose key it would have to be, as configured.
        issuer: Box<str>
    };

    /// The token names no key, and none of its issuer's keys fits its algorithm.
    Token "key-missing" "the token names no key, and its issuer has none for the algorithm {algorithm}" =>
    KeyMissing {
        /// The header's `alg`.
        algorithm: Quoted,
        /// Whose key it would have to be, as configured.
        issuer: Box<str>
    };

    /// The token names no key (or a `kid` that several keys bear), and more than one fits.
    Token "key-ambiguous" "several of the issuer's keys fit the token, and it does not tell which" =>
    KeyAmbiguous;

    /// The signature has a length that the algorithm never gives: DER instead of the fixed form, say.
    Token "signature-length" "the token's signature has {bytes} bytes, which its algorithm never gives" =>
    SignatureLength {
        /// Length of the signature.
        bytes: usize
    };

    /// The signature does not verify.
    Token "signature-wrong" "the token's signature is wrong" =>
    SignatureWrong;

    /// No configured server shares a key with this broker that fits the encrypted CWT.
    Token "cwt-key-missing" "no key is shared with any issuer that fits the encrypted token" =>
    CwtKeyMissing;

    /// The encrypted CWT does not decrypt: another key, or altered.
    Token "cwt-undecryptable" "the token cannot be decrypted" =>
    CwtUndecryptable;

    /// Another server has the symmetric key, too, or the key is another server's: whoever made the token could be either.
    Token "cwt-issuer-unproved" "the key that the token is protected with does not prove which server has issued it" =>
    CwtIssuerUnproved;

    // ---- the token's claims ----------------------------------------------------------------------------

    /// The claims are not a JSON object (RFC 7519 §7.2).
    Malformed "claims-not-json" "the token's claims cannot be read: {fault}" =>
    ClaimsNotJson {
        /// What is wrong with the JSON.
        fault: JsonFault
    };

    /// The claims of a CWT are not a map in CBOR (RFC 8392 §7.2).
    Malformed "claims-not-cbor" "the token's claims cannot be read: {fault}" =>
    ClaimsNotCbor {
        /// What is wrong with the CBOR.
        fault: CborFault
    };

    /// A claim has a value of a type that RFC 7519 does not give it (`exp` as a string), or one beyond reason.
    Token "claim-malformed" "the token's claim {claim} has the wrong type or an impossible value" =>
    ClaimMalformed {
        /// The claim's name.
        claim: &'static str
    };

    /// The token does not say who issued it.
    Token "issuer-missing" "the token does not name its issuer" =>
    IssuerMissing;

    /// The token comes from an issuer that is not configured.
    Token "issuer-unknown" "the token's issuer {issuer} is not one of the configured authorization servers" =>
    IssuerUnknown {
        /// The token's `iss`.
        issuer: Quoted
    };

    /// The server that was asked about the token says that another has issued it.
    Token "issuer-foreign" "the server that was asked about the token says that {issuer} has issued it" =>
    IssuerForeign {
        /// The answer's `iss`.
        issuer: Quoted
    };

    /// The server that was asked about the token says that it is not good (RFC 7662 §2.2), and does not tell why.
    Token "token-inactive" "the authorization server says that the token is not active" =>
    TokenInactive;

    /// The token does not say for whom it is.
    Token "audience-missing" "the token names no audience" =>
    AudienceMissing;

    /// The token is for somebody else.
    Token "audience-foreign" "the token is for another audience: {audience}" =>
    AudienceForeign {
        /// The first of the token's audiences.
        audience: Quoted
    };

    /// `exp` and the leeway have passed.
    Token "token-expired" "the token has expired" =>
    TokenExpired;

    /// `nbf` is still to come, by more than the leeway.
    Token "token-not-yet-valid" "the token is not valid yet" =>
    TokenNotYetValid;

    /// `iat` lies in the future by more than the leeway.
    Token "token-from-the-future" "the token says that it was issued in the future" =>
    TokenFromTheFuture;

    /// The token never expires, and the configuration does not allow that.
    Policy "expiry-missing" "the token has no time of expiry" =>
    ExpiryMissing;

    /// The token's only lifetime is relative (`exi`, RFC 9200 §5.10.3).
    Policy "expiry-relative" "the token has a relative lifetime only (exi), and nothing is kept by which it would end" =>
    ExpiryRelative;

    /// A token with a relative lifetime has no identifier that counts (`cti`, `jti`): the broker's name, and a number (RFC 9200 §5.10.3).
    Token "expiry-sequence" "the token has a relative lifetime (exi), and no identifier of this broker's name and a number" =>
    ExpirySequence;

    /// The subject cannot be a user name: too long, empty, or with control characters.
    Token "subject-unusable" "the token's subject cannot be a user name" =>
    SubjectUnusable;

    // ---- the token's confirmation: which key the client has to prove -----------------------------------

    /// A token without `cnf`, and bearer tokens are not allowed.
    Policy "bearer-refused" "the token is bound to no key, and bearer tokens are not allowed" =>
    BearerRefused;

    /// `cnf` is not an object, or its member is malformed (RFC 7800 §3.1).
    Token "confirmation-malformed" "the token's confirmation (cnf) is malformed" =>
    ConfirmationMalformed;

    /// `cnf` names its key by a method that is not known here.
    Token "confirmation-unsupported" "the token's confirmation (cnf) uses the unsupported method {method}" =>
    ConfirmationUnsupported {
        /// The name of its first member.
        method: Quoted
    };

    /// `cnf` names several keys (RFC 7800 §3.1 allows one).
    Token "confirmation-ambiguous" "the token's confirmation (cnf) names more than one key" =>
    ConfirmationAmbiguous;

    /// The key in `cnf` cannot be used for a proof: unknown type or curve, a point off the curve, too
    /// short, or meant for something else (`use`, `alg`, `key_ops`).
    Token "confirmation-key-unusable" "the key that the token is bound to cannot be used for a proof of possession" =>
    ConfirmationKeyUnusable;

    /// The key in `cnf` comes with its private half: whoever saw the token could prove it.
    Token "confirmation-key-private" "the token carries the private half of the key that it is bound to" =>
    ConfirmationKeyPrivate;

    /// A symmetric key in clear in a token that is only signed (RFC 7800 §3.3): same consequence.
    Token "confirmation-key-in-clear" "the token carries a symmetric key in clear" =>
    ConfirmationKeyInClear;

    /// `cnf` names a client key by `kid`, and the configured client keys have none of that name.
    Token "confirmation-key-unknown" "the token is bound to the client key {kid}, which is not known here" =>
    ConfirmationKeyUnknown {
        /// The `kid`.
        kid: Quoted
    };

    /// Several configured client keys bear the `kid` that `cnf` names.
    Token "confirmation-key-ambiguous" "the token is bound to the client key {kid}, and several are known by that name" =>
    ConfirmationKeyAmbiguous {
        /// The `kid`.
        kid: Quoted
    };

    /// The encrypted token, or the encrypted key in `cnf`, is not a JWE in compact form (RFC 7516 §3.1), its header is malformed or
    /// contradicts itself, or it is too long.
    Token "jwe-malformed" "the encrypted token, or the encrypted key in its confirmation, is malformed" =>
    JweMalformed;

    /// The JWE's key management or content encryption is not supported.
    Token "jwe-unsupported" "the encrypted token, or the encrypted key in its confirmation, uses {algorithm}, which is not supported" =>
    JweUnsupported {
        /// The header's `alg` or `enc`.
        algorithm: Quoted
    };

    /// The JWE demands extensions or compression, or has what belongs to another kind of encryption (`p2c`, `b64`).
    Token "jwe-extension" "the encrypted token, or the encrypted key in its confirmation, demands an extension or compression" =>
    JweExtension;

    /// There is no key to decrypt the JWE with: none that is shared with the issuer, and no private one of the broker's.
    Token "jwe-key-missing" "no key fits the encrypted token, or the encrypted key in its confirmation" =>
    JweKeyMissing;

    /// Several keys fit the JWE, and it does not tell which.
    Token "jwe-key-ambiguous" "several keys fit the encrypted token, or the encrypted key in its confirmation" =>
    JweKeyAmbiguous;

    /// The JWE does not decrypt: another key, or altered.
    Token "jwe-undecryptable" "the encrypted token, or the encrypted key in its confirmation, cannot be decrypted" =>
    JweUndecryptable;

    /// The encrypted token does not say that it holds a JWT (`cty`, RFC 7519 §5.2). Encryption alone proves no issuer.
    Token "jwe-content-type" "the encrypted token does not say that it holds a signed one (cty)" =>
    JweContentType;

    /// The encrypted token holds another encrypted one.
    Token "jwe-nested" "the encrypted token holds another encrypted one" =>
    JweNested;

    /// The token inside is of another issuer than those that the key is shared with, or whose tokens are encrypted for it.
    Token "jwe-issuer-foreign" "the token of {issuer} is encrypted with a key that is not for its tokens" =>
    JweIssuerForeign {
        /// The inner token's `iss`.
        issuer: Quoted
    };

    /// The JWE decrypts to something that is not a symmetric JWK.
    Token "jwe-not-a-key" "the encrypted key in the token's confirmation is not a symmetric key" =>
    JweNotAKey;

    // ---- the scope -------------------------------------------------------------------------------------

    /// The `scope` claim is neither base64url of AIF JSON nor an AIF array in place (RFC 9431 §3).
    Scope "scope-not-aif" "the token's scope is not an AIF array of topic filters and permissions" =>
    ScopeNotAif;

    /// Where words are configured, the claim is neither text nor an array of texts.
    Scope "scope-not-words" "the token's scope is neither text nor an array of texts" =>
    ScopeNotWords;

    /// A word that begins with `mqtt:` and does not go on as it should.
    Scope "scope-malformed-word" "the token's scope has the malformed word {word}" =>
    ScopeMalformedWord {
        /// The word.
        word: Quoted
    };

    /// A placeholder in a topic filter that cannot be filled in for this client.
    Scope "scope-placeholder" "the placeholder {placeholder} in the token's scope cannot be filled in: {fault}" =>
    ScopePlaceholder {
        /// Which it is.
        placeholder: Placeholder,
        /// What is wrong with its value.
        fault: ValueFault
    };

    /// A permission other than "pub" and "sub".
    Scope "scope-unknown-permission" "the token's scope has the unknown permission {permission}" =>
    ScopeUnknownPermission {
        /// The permission as written.
        permission: Quoted
    };

    /// A topic filter with no permission at all.
    Scope "scope-empty-permissions" "the token's scope gives no permission for the topic filter {filter}" =>
    ScopeEmptyPermissions {
        /// The topic filter.
        filter: Quoted
    };

    /// A topic filter that MQTT 5 §4.7 does not allow.
    Scope "scope-malformed-filter" "the token's scope has the malformed topic filter {filter}" =>
    ScopeMalformedFilter {
        /// The topic filter as written.
        filter: Quoted
    };

    /// More entries than [`limits::FILTERS`].
    Scope "scope-too-large" "the token's scope has more than {} entries", limits::FILTERS =>
    ScopeTooLarge;

    // ---- the proof of possession -----------------------------------------------------------------------

    /// A token that is bound to a key came without a proof.
    Proof "proof-missing" "the token is bound to a key, and no proof of possession came with it" =>
    ProofMissing;

    /// The token names its key by a thumbprint (`jkt`), and the client has not shown the key.
    Proof "shown-key-missing" "the token names its key by a thumbprint (jkt), and the client has not shown the key" =>
    ShownKeyMissing;

    /// The key that the client has shown is not a JWK.
    Malformed "shown-key-malformed" "the key that the client has shown (jwk) is malformed" =>
    ShownKeyMalformed;

    /// The key that the client has shown is private or symmetric: it is no secret any more.
    Malformed "shown-key-not-public" "the key that the client has shown (jwk) is not a public one" =>
    ShownKeyNotPublic;

    /// No proof can be made with the key that the client has shown.
    Proof "shown-key-unusable" "the key that the client has shown (jwk) cannot be used for a proof of possession" =>
    ShownKeyUnusable;

    /// The key that the client has shown is not the one that the token is bound to.
    Proof "shown-key-mismatch" "the key that the client has shown (jwk) is not the one that the token is bound to" =>
    ShownKeyMismatch;

    /// The proof has another length than the key's algorithm gives: DER, hexadecimal, cut off.
    Proof "proof-length" "the proof of possession does not have the {expected} bytes that the token's key gives" =>
    ProofLength {
        /// How many bytes the key's algorithm gives.
        expected: usize
    };

    /// The proof does not verify: another key, or another message.
    Proof "proof-wrong" "the proof of possession is wrong" =>
    ProofWrong;

    /// A proof in the draft's form without a client id, or with one that could be taken for several lines.
    Proof "draft00-client-id" "the draft's form with ts and nonce needs a client id without control characters" =>
    Draft00ClientId;

    /// `ts` is further from the broker's clock than the window allows.
    Proof "draft00-outside-window" "the proof's time (ts) is too far from the broker's clock" =>
    Draft00OutsideWindow;

    /// `ts` lies before the time from which accepted proofs are remembered.
    Proof "draft00-before-start" "the proof's time (ts) lies before the broker's start" =>
    Draft00BeforeStart;

    /// The same proof was accepted before.
    Proof "draft00-replayed" "the proof of possession was used before" =>
    Draft00Replayed;

    /// As many proofs as can be remembered were accepted within the window.
    Policy "replay-cache-full" "too many proofs of the draft's form arrived within the window" =>
    ReplayCacheFull;
}

impl Refusal {
    /// The issuer whose keys lack the one that the token is signed with, if that is why: it may have new ones.
    #[must_use]
    pub fn wanted_key_of(&self) -> Option<&str> {
        match self {
            Self::KeyUnknown { issuer, .. } | Self::KeyMissing { issuer, .. } => Some(issuer),
            _ => None,
        }
    }
}

impl From<ScopeError> for Refusal {
    fn from(error: ScopeError) -> Self {
        match error {
            ScopeError::NotAif(_) => Self::ScopeNotAif,
            ScopeError::NotWords => Self::ScopeNotWords,
            ScopeError::MalformedWord(word) => Self::ScopeMalformedWord { word: Quoted::new(&word) },
            ScopeError::UnknownPermission(word) => Self::ScopeUnknownPermission { permission: Quoted::new(&word) },
            ScopeError::NoPermissions(filter) => Self::ScopeEmptyPermissions { filter: Quoted::new(&filter) },
            ScopeError::MalformedFilter { filter, .. } => Self::ScopeMalformedFilter { filter: Quoted::new(&filter) },
            ScopeError::TooLarge => Self::ScopeTooLarge,
        }
    }
}

impl From<PlaceholderError> for Refusal {
    fn from(PlaceholderError { placeholder, fault }: PlaceholderError) -> Self {
        Self::ScopePlaceholder { placeholder, fault }
    }
}

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;
