//! Links the plugin so that it stays in memory once loaded: OpenSSL keeps pointers to its callbacks, and may follow them
//! after the broker has unloaded the plugin (src/broker/tls/).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
