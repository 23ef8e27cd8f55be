//! An HTTPS server on loopback whose answers a case decides: what the plugin asks, and what it makes of what it gets.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

use super::PATIENCE;
use super::pki::pki;

/// The longest request that is read.
const REQUEST_BYTES_MAX: usize = 256 * 1024;
/// How often something without an event of its own is looked at.
const GLANCE: Duration = Duration::from_millis(5);

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Path and query.
    pub target: String,
    /// The header `Authorization`.
    pub authorization: Option<String>,
}

/// What to answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// More headers, each with its line end.
    pub headers: String,
    /// The content.
    pub body: Vec<u8>,
}

impl Answer {
    /// Status 200 with this content.
    pub fn ok(media_type: &str, body: Vec<u8>) -> Self {
        Self { status: 200, headers: format!("Content-Type: {media_type}\r\n"), body }
    }

    /// A status without content.
    pub fn status(status: u16) -> Self {
        Self { status, headers: String::new(), body: Vec::new() }
    }
}

type Answering = dyn Fn(&Request) -> Answer + Send + Sync;

/// The server. Ends when it goes.
pub struct HttpsServer {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl HttpsServer {
    /// One with the run's usual certificate, on a free port.
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at(0, answer)
    }

    /// The same on this port, where another has been.
    pub fn start_at(port: u16, answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (requests, is_over) = (Arc::<Mutex<Vec<Request>>>::default(), Arc::new(AtomicBool::new(false)));
        let (seen, over) = (Arc::clone(&requests), Arc::clone(&is_over));
        let answer: Arc<Answering> = Arc::new(answer);
        let config = config();
        let thread = thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (config, seen, answer) = (Arc::clone(&config), Arc::clone(&seen), Arc::clone(&answer));
                // One connection that fails is the other side's business, and the case's.
                thread::spawn(move || serve(stream, config, &seen, &*answer));
            }
        });
        Self { port, requests, is_over, thread: Some(thread) }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What has been asked up to now.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("requests").clone()
    }

    /// Waits until so many requests more have come in.
    pub fn wait_for(&self, more: usize) {
        let (deadline, wanted) = (Instant::now() + PATIENCE, self.requests().len() + more);
        while self.requests().len() < wanted {
            assert!(Instant::now() < deadline, "{} requests, {wanted} expected", self.requests().len());
            sleep(GLANCE);
        }
    }
}

impl Drop for HttpsServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread up.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn config() -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(pki().certificate.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(pki().private_key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a server's configuration");
    Arc::new(config)
}

/// One request, one answer.
fn serve(mut socket: TcpStream, config: Arc<ServerConfig>, seen: &Mutex<Vec<Request>>, answer: &Answering) {
    let _ = socket.set_read_timeout(Some(PATIENCE));
    let _ = socket.set_write_timeout(Some(PATIENCE));
    let Ok(mut tls) = ServerConnection::new(config) else { return };
    let mut stream = Stream::new(&mut tls, &mut socket);
    let Some(request) = read(&mut stream) else { return };
    seen.lock().expect("requests").push(request.clone());
    let Answer { status, headers, body } = answer(&request);
    let head = format!("HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).and_then(|()| stream.flush());
    tls.send_close_notify();
    let _ = tls.complete_io(&mut socket);
}

/// The head of a request; what a request carries besides is not looked at.
fn read(stream: &mut impl Read) -> Option<Request> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(buffer.get(..length)?);
        if bytes.len() > REQUEST_BYTES_MAX {
            return None;
        }
    };
    let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
    let mut lines = head.split("\r\n");
    let target = lines.next()?.split(' ').nth(1)?.to_owned();
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let authorization = lines.filter_map(header).find(|(name, _)| name == "authorization").map(|(_, value)| value);
    Some(Request { target, authorization })
}
