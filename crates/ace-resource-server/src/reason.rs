//! Why a client, or its token, is refused.

use ace_profile::Refusal;
use thiserror::Error;

use crate::ExporterError;

/// Why a client is not let in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Reason {
    /// Token, proof or their encoding.
    #[error("{0}")]
    Profile(#[from] Refusal),
    /// The challenge from the TLS session cannot be used.
    #[error("{0}")]
    Exporter(#[from] ExporterError),
    /// No TLS under the connection, so nothing to export from.
    #[error("the proof is over the TLS exporter, and the connection has no TLS")]
    NoTls,
    /// The connection under the client changed between challenge and answer.
    #[error("the answer came over another connection than the challenge went to")]
    OtherConnection,
    /// A bearer token has nothing to prove, and a client that proves something means another token.
    #[error("a proof came with a token that has no key to prove")]
    ProofWithoutKey,
    /// An AUTH packet where no challenge is open.
    #[error("there is no challenge to answer")]
    NoChallenge,
    /// RFC 9431 §2.2.4.1: the user name flag must be 0.
    #[error("a CONNECT with method \"ace\" must not have a user name")]
    UserNameWithMethod,
    /// Method "ace" without a token, and none is held for the client.
    #[error("no token was sent, and none is held for this client")]
    NoTokenHeld,
    /// RFC 9431 §4: a re-authentication is proved by answering a challenge.
    #[error("a re-authentication must not bring its proof along")]
    ProofInReauthentication,
    /// Another subject, or another key without subject, than the client connected with.
    #[error("the new token is for somebody else than the client connected as")]
    IdentityChanged,
    /// A re-authentication of a client that did not come with a token.
    #[error("the client has not authenticated with a token on this connection")]
    NothingToRenew,
    /// The draft's form is switched off.
    #[error("user name \"ace\" with a JSON password is switched off (draft00)")]
    Draft00Off,
    /// The draft's form with `ts` and `nonce` is switched off.
    #[error("the form with \"ts\" and \"nonce\" is switched off (draft00_window)")]
    Draft00WindowOff,
    /// Nothing at all, and the anonymous are not let in.
    #[error("neither token nor user name, and anonymous clients are not allowed")]
    Anonymous,
    /// A user name or password that has nothing to do with ACE.
    #[error("user name and password without a token, and other clients are not allowed")]
    NoToken,
    /// No token is held whose key has the name that the handshake has.
    #[error("no token is held for the key that the PSK identity names")]
    PskIdentityUnknown,
    /// A handshake with more identities than a client can need.
    #[error("the client offers more PSK identities than are looked at")]
    PskIdentitiesTooMany,
    /// TLS-PSK is for keys that both sides know.
    #[error("the PSK identity names a token whose key is not symmetric")]
    PskKeyNotSymmetric,
    /// Longer than the broker or OpenSSL can take.
    #[error("the token's key is too long for a pre-shared key")]
    PskKeyTooLong,
    /// The token is bound to a certificate, and another was shown, or none.
    #[error("the client has not shown the certificate that the token is bound to")]
    CertificateMismatch,
    /// A certificate, nothing else, and no token for it.
    #[error("the client brings nothing but a certificate, and no token is held for it")]
    CertificateWithoutToken,
    /// A raw public key is no certificate: it stands for its token, and for nothing else.
    #[error("the client has shown a raw public key, and brings no token and has none held for it")]
    RawKeyWithoutToken,
    /// The broker has no id for the client.
    #[error("the client has no id")]
    NoClientId,
    /// The token's subject cannot be the client's user name.
    #[error("the token's subject cannot be used as a user name")]
    UserName,
    /// The token's server has revoked it.
    #[error("the token has been revoked")]
    Revoked,
    /// A token that is to be held has to have a key by which it is found (rfc9431.md T7).
    #[error("a token without a key cannot be held: nobody could prove it later")]
    AuthzInfoBearer,
    /// No room among the tokens that are held.
    #[error("as many tokens are held as may be, and all of them end later than this one")]
    AuthzInfoFull,
    /// The client publishes more tokens than it may.
    #[error("more tokens in a second than a client may publish (authz_info_rate); no more lines about it for a minute")]
    AuthzInfoRate,
    /// All clients together publish more tokens than they may.
    #[error(
        "more tokens in a second than all clients may publish (authz_info_rate_total); no more lines about it for a minute"
    )]
    AuthzInfoRateTotal,
    /// What its server says about the token, or the server's keys, cannot be had.
    #[error("the token's authorization server cannot be asked, or has not answered in time")]
    ServerUnavailable,
    /// Too much is asked already, or known and rested on.
    #[error("as many tokens are being asked about, or are known and in use, as may be")]
    IntrospectionFull,
    /// A token with a relative lifetime that could not be remembered would have no end.
    #[error("as many tokens with relative lifetimes (exi) are known as may be")]
    FirstSeenFull,
    /// The broker would send an answer to a command to whoever has the client id by then.
    #[error("an answer is on its way to the client that has this id; it may come again at once")]
    ClientIdBusy,
    /// No memory or no randomness.
    #[error("the broker's machine has no memory or no randomness left")]
    Resources,
}

impl Reason {
    /// The codes that there are, beside those of [`Refusal::CODES`].
    pub const CODES: &'static [&'static str] = &[
        "connection-gone",
        "exporter-resumed",
        "exporter-no-extended-master-secret",
        "exporter-used",
        "exporter-unavailable",
        "exporter-without-tls",
        "challenge-other-connection",
        "proof-without-key",
        "challenge-missing",
        "user-name-with-method",
        "token-not-held",
        "proof-in-reauthentication",
        "identity-changed",
        "nothing-to-renew",
        "draft00-off",
        "draft00-window-off",
        "anonymous-not-allowed",
        "token-missing",
        "psk-identity-unknown",
        "psk-identities-too-many",
        "psk-key-not-symmetric",
        "psk-key-too-long",
        "certificate-mismatch",
        "certificate-without-token",
        "raw-key-without-token",
        "client-id-missing",
        "user-name-unusable",
        "token-revoked",
        "first-seen-full",
        "authz-info-bearer",
        "authz-info-full",
        "authz-info-rate",
        "authz-info-rate-total",
        "server-unavailable",
        "introspection-full",
        "client-id-busy",
        "resources",
    ];

    /// A short name that stays the same over versions.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Profile(refusal) => refusal.code(),
            Self::Exporter(ExporterError::Gone) => "connection-gone",
            Self::Exporter(ExporterError::Resumed) => "exporter-resumed",
            Self::Exporter(ExporterError::NoExtendedMasterSecret) => "exporter-no-extended-master-secret",
            Self::Exporter(ExporterError::Used) => "exporter-used",
            Self::Exporter(ExporterError::Unavailable) => "exporter-unavailable",
            Self::NoTls => "exporter-without-tls",
            Self::OtherConnection => "challenge-other-connection",
            Self::ProofWithoutKey => "proof-without-key",
            Self::NoChallenge => "challenge-missing",
            Self::UserNameWithMethod => "user-name-with-method",
            Self::NoTokenHeld => "token-not-held",
            Self::ProofInReauthentication => "proof-in-reauthentication",
            Self::IdentityChanged => "identity-changed",
            Self::NothingToRenew => "nothing-to-renew",
            Self::Draft00Off => "draft00-off",
            Self::Draft00WindowOff => "draft00-window-off",
            Self::Anonymous => "anonymous-not-allowed",
            Self::NoToken => "token-missing",
            Self::PskIdentityUnknown => "psk-identity-unknown",
            Self::PskIdentitiesTooMany => "psk-identities-too-many",
            Self::PskKeyNotSymmetric => "psk-key-not-symmetric",
            Self::PskKeyTooLong => "psk-key-too-long",
            Self::CertificateMismatch => "certificate-mismatch",
            Self::CertificateWithoutToken => "certificate-without-token",
            Self::RawKeyWithoutToken => "raw-key-without-token",
            Self::NoClientId => "client-id-missing",
            Self::UserName => "user-name-unusable",
            Self::Revoked => "token-revoked",
            Self::FirstSeenFull => "first-seen-full",
            Self::AuthzInfoBearer => "authz-info-bearer",
            Self::AuthzInfoFull => "authz-info-full",
            Self::AuthzInfoRate => "authz-info-rate",
            Self::AuthzInfoRateTotal => "authz-info-rate-total",
            Self::ServerUnavailable => "server-unavailable",
            Self::IntrospectionFull => "introspection-full",
            Self::ClientIdBusy => "client-id-busy",
            Self::Resources => "resources",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Held against the source: a code that is left out would never be counted.
    #[test]
    fn the_list_of_codes_is_complete() {
        let source = include_str!("reason.rs");
        let body = source.split_once("const fn code(").unwrap().1.split_once("\n    }").unwrap().0;
        let arms = body.lines().filter_map(|line| line.trim().strip_suffix("\",")?.rsplit_once("=> \""));
        assert_eq!(arms.map(|(_, code)| code).collect::<Vec<_>>(), Reason::CODES);
        assert!(!Reason::CODES.iter().any(|code| Refusal::CODES.contains(code)));
    }
}
