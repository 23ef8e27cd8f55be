//! The other side, written by hand so that the client is not tested against itself: a TLS server that plays a broker (or an
//! authorization server) by script, and reads MQTT packets byte by byte.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use ace_mqtt::{
    ConnectOptions, Credentials, TlsOptions,
    ace_profile::{base64url, jose::Jwk, random::SystemRandom},
};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};

/// Nothing in these tests takes longer.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// A token as far as the client can tell.
pub const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJzIn0.c2ln";

/// What a server does with one connection.
pub type Script = Box<dyn FnOnce(&mut Session) + Send>;

/// A server that plays its script for one connection after another.
pub struct Peer {
    pub port: u16,
    public_key: Vec<u8>,
    folder: tempfile::TempDir,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    /// Serves one connection.
    pub fn once(script: impl FnOnce(&mut Session) + Send + 'static) -> Self {
        Self::start(vec![Box::new(script)])
    }

    /// Serves as many connections as there are scripts.
    pub fn start(scripts: Vec<Script>) -> Self {
        Self::named(&["localhost", "127.0.0.1"], scripts)
    }

    /// The same with a certificate for other names.
    pub fn named(names: &[&str], scripts: Vec<Script>) -> Self {
        Self::new(names, None, scripts)
    }

    /// Serves one connection, of a client with a certificate from this authority.
    pub fn demanding(authority: CertificateDer<'static>, script: impl FnOnce(&mut Session) + Send + 'static) -> Self {
        Self::new(&["localhost", "127.0.0.1"], Some(authority), vec![Box::new(script)])
    }

    fn new(names: &[&str], authority: Option<CertificateDer<'static>>, scripts: Vec<Script>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certified =
            rcgen::generate_simple_self_signed(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
        std::fs::write(folder.path().join("ca.pem"), certified.cert.pem()).unwrap();
        let certificate = CertificateDer::from(certified.cert.der().to_vec());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
        // An uncompressed point of P-256.
        let public_key = certified.signing_key.public_key_raw().to_vec();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .unwrap();
        let builder = match authority {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let config = Arc::new(builder.with_single_cert(vec![certificate], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let thread = std::thread::spawn(move || {
            for script in scripts {
                let tcp = accept(&listener);
                let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut session = Session { tls, tcp };
                script(&mut session);
                session.close();
            }
        });
        Self { port, public_key, folder, thread: Some(thread) }
    }

    /// The key of its certificate.
    pub fn public_key(&self) -> Jwk {
        let (x, y) = self.public_key[1..].split_at(32);
        let value =
            serde_json::json!({"kty": "EC", "crv": "P-256", "x": base64url::encode(x), "y": base64url::encode(y)});
        Jwk::from_value(&value).unwrap()
    }

    /// The file with the certificate to trust.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A folder of the test's own.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Options to connect to it.
    pub fn options(&self) -> ConnectOptions {
        let mut options = ConnectOptions::new("127.0.0.1");
        options.port = self.port;
        options.tls = self.trust();
        options.connect_timeout = PATIENCE;
        options.response_timeout = PATIENCE;
        options
    }

    /// Trust in it.
    pub fn trust(&self) -> TlsOptions {
        TlsOptions { ca_file: Some(self.ca()), ..TlsOptions::default() }
    }

    /// Waits for the end of the script; its panics are the test's.
    pub fn finish(mut self) {
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

fn accept(listener: &TcpListener) -> TcpStream {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match listener.accept() {
            Ok((tcp, _)) => {
                tcp.set_nonblocking(false).unwrap();
                tcp.set_read_timeout(Some(PATIENCE)).unwrap();
                tcp.set_write_timeout(Some(PATIENCE)).unwrap();
                return tcp;
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                assert!(Instant::now() < deadline, "nobody connected");
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => panic!("accept: {error}"),
        }
    }
}

/// One connection, from the server's side.
pub struct Session {
    tls: ServerConnection,
    tcp: TcpStream,
}

impl Session {
    fn stream(&mut self) -> rustls::Stream<'_, ServerConnection, TcpStream> {
        rustls::Stream::new(&mut self.tls, &mut self.tcp)
    }

    /// Completes the handshake; false if the client breaks it off.
    pub fn handshake(&mut self) -> bool {
        while self.tls.is_handshaking() {
            if self.tls.complete_io(&mut self.tcp).is_err() {
                return false;
            }
        }
        true
    }

    /// Reads exactly so many bytes.
    pub fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream().read_exact(&mut bytes).expect("the client sends what is expected");
        bytes
    }

    /// Reads one MQTT packet: its first byte and its body.
    pub fn packet(&mut self) -> (u8, Vec<u8>) {
        let first = self.read(1)[0];
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.read(1)[0];
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        (first, self.read(length))
    }

    /// Reads a packet of the given type, without the type.
    pub fn expect(&mut self, first: u8) -> Vec<u8> {
        let (found, body) = self.packet();
        assert_eq!(found, first, "packet {found:#04x} {body:?}");
        body
    }

    /// Reads CONNECT.
    pub fn connect(&mut self) -> Connect {
        Connect::parse(&self.expect(0x10))
    }

    /// Reads CONNECT and accepts it.
    pub fn welcome(&mut self) -> Connect {
        let connect = self.connect();
        self.write(if connect.level == 5 { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] });
        connect
    }

    /// Writes bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream().write_all(bytes).unwrap();
        self.stream().flush().unwrap();
    }

    /// Writes bytes to a client that may be gone.
    pub fn try_write(&mut self, bytes: &[u8]) {
        let _ = self.stream().write_all(bytes);
    }

    /// The server's own exporter value, with a context that is present and empty.
    pub fn exporter(&self) -> [u8; 32] {
        self.tls.export_keying_material([0; 32], b"EXPORTER-ACE-MQTT-Sign-Challenge", Some(b"")).unwrap()
    }

    /// The TLS version in use.
    pub fn version(&self) -> rustls::ProtocolVersion {
        self.tls.protocol_version().unwrap()
    }

    /// The client's certificate, in DER.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        self.tls.peer_certificates()?.first().map(|certificate| certificate.to_vec())
    }

    /// Reads until the client closes; true if it did so properly.
    pub fn ended(&mut self) -> bool {
        let mut rest = Vec::new();
        self.stream().read_to_end(&mut rest).is_ok() && rest.is_empty()
    }

    /// Ends the connection properly.
    pub fn close(&mut self) {
        self.tls.send_close_notify();
        while self.tls.wants_write() {
            if self.tls.write_tls(&mut self.tcp).is_err() {
                break;
            }
        }
        let _ = self.tcp.shutdown(Shutdown::Write);
        // What the client has still to say must not turn into a reset that eats our last words.
        let mut sink = [0; 4096];
        while matches!(self.tcp.read(&mut sink), Ok(count) if count > 0) {}
    }

    /// Cuts the line without a word.
    pub fn cut(&mut self) {
        let _ = self.tcp.shutdown(Shutdown::Both);
    }

    /// Reads an HTTP request: head and body.
    pub fn http_request(&mut self) -> (String, String) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.read(1));
        }
        let head = String::from_utf8(head).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(|it| it.trim().to_owned()))
            .map_or(0, |text| text.parse().unwrap());
        let body = String::from_utf8(self.read(length)).unwrap();
        (head, body)
    }

    /// Answers an HTTP request.
    pub fn http_answer(&mut self, status: &str, body: &str) {
        let text = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/ace+json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        self.write(text.as_bytes());
    }
}

/// A CONNECT packet, read independently of the client's codec.
#[derive(Debug, Default)]
pub struct Connect {
    pub level: u8,
    pub flags: u8,
    pub keep_alive: u16,
    pub client_id: String,
    pub method: Option<String>,
    pub data: Option<Vec<u8>>,
    pub session_expiry: Option<u32>,
    pub will: Option<(String, Vec<u8>)>,
    pub user_name: Option<String>,
    pub password: Option<Vec<u8>>,
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(count);
        self.0 = tail;
        head
    }
    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }
    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }
    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }
    fn binary(&mut self) -> &'a [u8] {
        let count = self.u16();
        self.take(count.into())
    }
    fn text(&mut self) -> String {
        String::from_utf8(self.binary().to_vec()).unwrap()
    }
    fn variable(&mut self) -> usize {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8();
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }
}

impl Connect {
    fn parse(body: &[u8]) -> Self {
        let mut bytes = Bytes(body);
        assert_eq!(bytes.text(), "MQTT");
        let mut connect = Self { level: bytes.u8(), flags: bytes.u8(), keep_alive: bytes.u16(), ..Self::default() };
        if connect.level == 5 {
            let length = bytes.variable();
            let mut properties = Bytes(bytes.take(length));
            while !properties.0.is_empty() {
                match properties.u8() {
                    0x11 => connect.session_expiry = Some(properties.u32()),
                    0x15 => connect.method = Some(properties.text()),
                    0x16 => connect.data = Some(properties.binary().to_vec()),
                    0x21 => assert_ne!(properties.u16(), 0),
                    0x27 => assert_ne!(properties.u32(), 0),
                    other => panic!("property {other:#04x}"),
                }
            }
        }
        connect.client_id = bytes.text();
        if connect.flags & 0x04 != 0 {
            if connect.level == 5 {
                assert_eq!(bytes.variable(), 0, "no Will properties");
            }
            connect.will = Some((bytes.text(), bytes.binary().to_vec()));
        }
        if connect.flags & 0x80 != 0 {
            connect.user_name = Some(bytes.text());
        }
        if connect.flags & 0x40 != 0 {
            connect.password = Some(bytes.binary().to_vec());
        }
        assert!(bytes.0.is_empty(), "trailing bytes");
        connect
    }

    /// Token and what follows it in the Authentication Data.
    pub fn token_and_proof(&self) -> (String, Vec<u8>) {
        let mut bytes = Bytes(self.data.as_deref().unwrap());
        (bytes.text(), bytes.0.to_vec())
    }
}

/// An Ed25519 key, and the check of a proof made with it, independent of the profile's own.
pub fn key() -> (Jwk, impl Fn(&[u8], &[u8]) -> bool + Clone + Send + 'static) {
    let key = Jwk::generate_ed25519(&mut SystemRandom).unwrap();
    let public = base64url::decode(key.public_value().unwrap()["x"].as_str().unwrap().as_bytes()).unwrap();
    (key, move |message: &[u8], proof: &[u8]| UnparsedPublicKey::new(&ED25519, &public).verify(message, proof).is_ok())
}

/// Token and key.
pub fn credentials(key: Jwk) -> Credentials {
    Credentials::new(TOKEN, Some(key)).unwrap().with_audience(vec!["broker.example".to_owned()])
}

/// An AUTH packet with method and data.
pub fn auth(reason: u8, method: &str, data: &[u8]) -> Vec<u8> {
    let mut properties = vec![0x15, 0, method.len() as u8];
    properties.extend(method.as_bytes());
    properties.extend([0x16, 0, data.len() as u8]);
    properties.extend(data);
    let mut packet = vec![0xf0, properties.len() as u8 + 2, reason, properties.len() as u8];
    packet.extend(properties);
    packet
}
