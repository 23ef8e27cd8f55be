//! COSE (RFC 9052): what CWTs (RFC 8392) are made of.

mod form;

pub(crate) use form::looks_like_cwt;
