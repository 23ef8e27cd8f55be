//! .
use crate::support::case::cases;
cases! {}
