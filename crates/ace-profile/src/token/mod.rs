//! Access tokens: signed JWTs (RFC 7519) and CWTs (RFC 8392) (RFC 9200 §5.10) that say who may do what and with which key it is
//! to be proved.
//!
//! [`Validator`] takes a token apart in an order in which nothing is believed too early: whose key it should
//! be signed with, whether it is, and only then what it claims. The result, [`ValidatedToken`], holds no
//! part of the token as it was sent.
//!
//! What an opaque token says is told by its server: an [`IntrospectionAnswer`] is judged by the same rules.

mod account;
mod certificate;
mod claims;
mod confirmation;
mod cwt_claims;
mod cwt_confirmation;
mod cwt_validation;
mod encrypted;
mod first_sight;
#[cfg(test)]
pub(crate) mod fixture;
mod introspection;
mod key_selection;
mod policy;
mod validated;
mod validator;

pub use account::{Account, Finding, Form, Shown};
pub use certificate::CertificateThumbprint;
pub use first_sight::FirstSight;
pub use introspection::{AnswerError, IntrospectedClaims, IntrospectionAnswer};
pub use policy::{AllowedAlgorithms, AuthorizationServer, Policy, UnknownTokenAlgorithm};
pub use validated::{AskedWith, Confirmation, Holder, ValidatedToken};
pub use validator::{EarlierKey, Validator};
