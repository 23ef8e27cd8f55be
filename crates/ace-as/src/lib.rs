//! A small authorization server.
