//! Authorization server.
fn main() {}
