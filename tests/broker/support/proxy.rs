//! HAProxy, as `cargo xtask servers` has fetched it, with the example in `mosquitto-conf/`.

use std::net::TcpStream;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::broker::{free_port, target_folder};
use super::case::Ctx;
use super::mosquitto_conf::{self, edited};
use super::pki::pki;
use super::programs::Program;

/// A proxy in front of a broker. It is ended when this goes.
pub struct Proxy {
    port: u16,
    _running: Program,
    _folder: TempDir,
}

impl Proxy {
    /// The example, with paths and ports replaced, and these changes besides.
    pub fn start(ctx: &Ctx, broker_port: u16, changes: &[(&str, &str)]) -> Self {
        let program = target_folder().join("servers/haproxy/haproxy");
        assert!(program.is_file(), "{}: run `cargo xtask servers` first", program.display());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let server = &pki().server;
        std::fs::write(path("broker.pem"), format!("{}{}", server.certificate, server.private_key)).expect("a file");
        let mut text = std::fs::read_to_string(mosquitto_conf::file("haproxy.cfg")).expect("the example");
        for (from, to) in changes {
            text = edited(&text, from, to);
        }
        let text = edited(&text, "bind :8883 ", &format!("bind 127.0.0.1:{port} "));
        let text = text.replace("/etc/haproxy/broker.pem", &path("broker.pem"));
        let text = edited(
            &text,
            "\n    server broker 127.0.0.1:1883",
            &format!("\n    server broker 127.0.0.1:{broker_port}"),
        );
        std::fs::write(path("haproxy.cfg"), text).expect("a file");
        let mut command = Command::new(program);
        // "-db": in the foreground.
        command.args(["-db", "-f", &path("haproxy.cfg")]).stdin(Stdio::null());
        let mut running = Program::start(ctx, "haproxy", &mut command);
        running.wait_until("the proxy listens", |_, _| TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { port, _running: running, _folder: folder }
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }
}
