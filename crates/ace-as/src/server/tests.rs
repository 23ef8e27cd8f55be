//! Bounds in time and number, with short times, on real connections.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::*;
use crate::init;

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(20);

type Tls = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

fn patient() -> Limits {
    Limits { connections: 16, handshake: LONG, head: LONG, request: LONG, connection: LONG, shutdown: LONG }
}

fn start(limits: Limits) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    init::init(&init::Options { force: true, ..init::Options::new(folder.path()) }).unwrap();
    let config = Config::load(&folder.path().join("as.toml")).unwrap();
    let log = Log::to(Level::Error, |_| ());
    let server = Server::start_with_limits(config, "127.0.0.1:0".parse().unwrap(), log, limits).unwrap();
    (folder, server)
}

fn tcp(server: &Server) -> TcpStream {
    let socket = TcpStream::connect(server.local_addr()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn tls(folder: &tempfile::TempDir, server: &Server) -> Tls {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.path().join("ca-cert.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, tcp(server));
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    stream
}

/// Everything until the server closes, which it must do before patience is over.
fn rest(stream: &mut impl Read) -> String {
    let (started, mut bytes) = (Instant::now(), Vec::new());
    // How it closes, orderly or not, does not matter here.
    let _ = stream.read_to_end(&mut bytes);
    assert!(started.elapsed() < PATIENCE, "still open");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn ask(stream: &mut Tls) -> String {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    rest(stream)
}

#[test]
fn a_handshake_that_does_not_come_is_not_waited_for() {
    let (folder, server) = start(Limits { handshake: SHORT, ..patient() });
    assert_eq!(rest(&mut tcp(&server)), "");
    assert!(ask(&mut tls(&folder, &server)).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    let (folder, server) = start(Limits { head: SHORT, ..patient() });
    assert_eq!(rest(&mut tls(&folder, &server)), "");
    let mut started = tls(&folder, &server);
    started.write_all(b"GET /healthz HTTP/1.1\r\nhost: loc").unwrap();
    let answer = rest(&mut started);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[test]
fn a_connection_that_is_idle_after_a_request_is_closed() {
    let (folder, server) = start(Limits { head: SHORT, ..patient() });
    let mut stream = tls(&folder, &server);
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    assert!(rest(&mut stream).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let (folder, server) = start(Limits { request: SHORT, ..patient() });
    let mut stream = tls(&folder, &server);
    stream.write_all(half_a_request()).unwrap();
    assert!(rest(&mut stream).starts_with("HTTP/1.1 408 "));
}

#[test]
fn a_connection_does_not_last_for_ever_however_busy() {
    let (folder, server) = start(Limits { connection: SHORT, ..patient() });
    let mut stream = tls(&folder, &server);
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = [0; 1024];
    loop {
        assert!(Instant::now() < deadline, "still open");
        let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
        if asked.is_err() || !matches!(stream.read(&mut buffer), Ok(1..)) {
            break;
        }
    }
}

#[test]
fn more_connections_than_places_wait_for_their_turn() {
    let (folder, server) = start(Limits { connections: 1, head: SHORT, ..patient() });
    let first = tls(&folder, &server);
    let started = Instant::now();
    assert!(ask(&mut tls(&folder, &server)).starts_with("HTTP/1.1 200 "));
    assert!(started.elapsed() >= SHORT / 2, "the first keeps its place until its time is over");
    drop(first);
}

#[test]
fn stopping_closes_idle_connections_and_waits_for_busy_ones() {
    let (folder, server) = start(patient());
    let mut idle = tls(&folder, &server);
    let mut busy = tls(&folder, &server);
    busy.write_all(half_a_request()).unwrap();
    // Its answer shows that the server has got round to reading in the meantime.
    assert!(ask(&mut tls(&folder, &server)).starts_with("HTTP/1.1 200 "));
    let address = server.local_addr();
    let stopping = std::thread::spawn(move || server.shutdown());
    assert_eq!(rest(&mut idle), "");
    busy.write_all(b"}").unwrap();
    assert!(rest(&mut busy).starts_with("HTTP/1.1 401 "));
    stopping.join().unwrap();
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn stopping_does_not_wait_for_ever() {
    let (folder, server) = start(Limits { shutdown: SHORT, ..patient() });
    let mut busy = tls(&folder, &server);
    busy.write_all(half_a_request()).unwrap();
    assert!(ask(&mut tls(&folder, &server)).starts_with("HTTP/1.1 200 "));
    let started = Instant::now();
    server.shutdown();
    assert!(started.elapsed() < PATIENCE);
}

/// A request whose body lacks its last byte, `}`.
fn half_a_request() -> &'static [u8] {
    b"POST /token HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
      content-type: application/ace+json\r\ncontent-length: 2\r\n\r\n{"
}
