//! An HTTPS server on loopback that answers as a test wants it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, Stream};

/// The longest that a test's connection is kept.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was asked.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// The request line and the headers.
    pub(super) head: String,
    /// The form, decoded.
    pub(super) form: Vec<(String, String)>,
    /// Whether a certificate was shown.
    pub(super) has_certificate: bool,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &'_ str| line.split_once(": ").is_some_and(|(given, _)| given.eq_ignore_ascii_case(name));
        self.head.split("\r\n").find(|line| named(line))?.split_once(": ").map(|(_, value)| value)
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

/// What to send.
pub(super) enum Reply {
    /// These bytes, after so long.
    Bytes(Vec<u8>, Duration),
    /// These, and then nothing more; the connection stays open.
    Stall(Vec<u8>),
    /// These, and then the connection is closed, without a word before.
    Close(Vec<u8>),
}

impl Reply {
    pub(super) fn with(status: u16, headers: &str, body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        Self::Bytes([head.as_bytes(), body].concat(), Duration::ZERO)
    }

    pub(super) fn json(body: &str) -> Self {
        Self::with(200, "Content-Type: application/json\r\n", body.as_bytes())
    }

    pub(super) fn after(self, delay: Duration) -> Self {
        match self {
            Self::Bytes(bytes, _) | Self::Stall(bytes) | Self::Close(bytes) => Self::Bytes(bytes, delay),
        }
    }
}

/// An authority, and what it has signed.
pub(super) struct Pki {
    pub(super) authority: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, PEM.
pub(super) type Identity = (String, String);

impl Pki {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap().pem();
        Self { authority, issuer: Issuer::new(params, key) }
    }

    pub(super) fn identity(&self, name: &str) -> Identity {
        self.signed(CertificateParams::new(vec![name.into()]).unwrap())
    }

    pub(super) fn expired(&self) -> Identity {
        let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 12, 31));
        self.signed(params)
    }

    fn signed(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

type Replying = dyn Fn(&Asked) -> Reply + Send + Sync;

/// The server. Ends when it goes, and its connections with it.
pub(super) struct Server {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    reply: Box<Replying>,
    asked: Mutex<Vec<Asked>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    sockets: Mutex<Vec<TcpStream>>,
    is_over: AtomicBool,
}

impl Server {
    /// One that shows this certificate and, if there is an authority for clients, asks for theirs.
    pub(super) fn start(
        identity: &Identity,
        clients: Option<&str>,
        reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            reply: Box::new(reply),
            asked: Mutex::default(),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
            sockets: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let (config, listening) = (config(identity, clients), Arc::clone(&shared));
        let thread = thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                if listening.is_over.load(Ordering::SeqCst) {
                    return;
                }
                listening.sockets.lock().unwrap().push(socket.try_clone().unwrap());
                let (config, shared) = (Arc::clone(&config), Arc::clone(&listening));
                thread::spawn(move || shared.serve(socket, config));
            }
        });
        Self { port, shared, thread: Some(thread) }
    }

    pub(super) fn url(&self) -> String {
        format!("https://localhost:{}/introspect", self.port)
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.shared.most_at_once.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        for socket in self.shared.sockets.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

fn config((certificate, key): &Identity, clients: Option<&str>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    Arc::new(builder.with_single_cert(vec![certificate], key).unwrap())
}

impl Shared {
    /// One request after the other, as long as the client keeps the connection.
    fn serve(&self, mut socket: TcpStream, config: Arc<ServerConfig>) {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        let mut tls = ServerConnection::new(config).unwrap();
        let mut stream = Stream::new(&mut tls, &mut socket);
        while let Some((head, form)) = read(&mut stream) {
            let has_certificate = stream.conn.peer_certificates().is_some();
            let asked = Asked { head, form, has_certificate };
            let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
            self.asked.lock().unwrap().push(asked.clone());
            let reply = (self.reply)(&asked);
            if let Reply::Bytes(_, delay) = &reply {
                thread::sleep(*delay);
            }
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            let (Reply::Bytes(bytes, _) | Reply::Stall(bytes) | Reply::Close(bytes)) = &reply;
            let written = stream.write_all(bytes).and_then(|()| stream.flush());
            if written.is_err() {
                return;
            }
            match reply {
                Reply::Bytes(..) => {}
                Reply::Close(_) => {
                    let _ = stream.sock.shutdown(Shutdown::Both);
                    return;
                }
                Reply::Stall(_) => {
                    // Until the client leaves.
                    let _ = stream.read(&mut [0]);
                    return;
                }
            }
        }
    }
}

fn read(stream: &mut impl Read) -> Option<(String, Vec<(String, String)>)> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let asked = Asked { head, form: Vec::new(), has_certificate: false };
            let length: usize = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
            if bytes.len() >= end + 4 + length {
                let form = form_urlencoded::parse(&bytes[end + 4..]).into_owned().collect();
                return Some((asked.head, form));
            }
        }
        let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&buffer[..length]);
    }
}
