//! HTTPS servers on loopback whose answers a case decides: what the plugin asks, and what it makes of what it gets.
//!
//! Each connection has a thread of its own and carries one request. All of them end with the server.

mod answer;
mod connection;
mod request;

use std::collections::HashMap;
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub use answer::{Answer, Gate};
pub use request::Request;

use super::pki::{Identity, pki};
use super::{PATIENCE, record};

/// How often something without an event of its own is looked at.
const GLANCE: Duration = Duration::from_millis(5);
/// How many connections are served at a time; more are closed at once.
const CONNECTIONS_MAX: usize = 1000;
/// A thread needs little: a connection is served by a few calls.
const STACK_BYTES: usize = 512 * 1024;

type Answering = dyn Fn(&Request) -> Answer + Send + Sync;

/// The server. Ends when it goes, and its connections with it.
pub struct HttpsServer {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the server's threads have in common.
struct Shared {
    config: Arc<ServerConfig>,
    answer: Box<Answering>,
    is_over: AtomicBool,
    requests: Mutex<Vec<Request>>,
    connections: Mutex<Connections>,
    asking: AtomicUsize,
    asking_most: AtomicUsize,
}

/// The connections that there are.
#[derive(Default)]
struct Connections {
    /// How many there have been.
    count: usize,
    /// Those that are open, to be closed at the end.
    open: HashMap<usize, TcpStream>,
    threads: Vec<JoinHandle<()>>,
}

impl HttpsServer {
    /// One with the run's usual certificate, on a free port.
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at(0, answer)
    }

    /// The same on this port, where another has been.
    pub fn start_at(port: u16, answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_as(&pki().server, port, answer)
    }

    /// One that shows this certificate.
    pub fn start_with(identity: &Identity, answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_as(identity, 0, answer)
    }

    fn start_as(identity: &Identity, port: u16, answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let answer = move |request: &Request| {
            let answer = answer(request);
            let is_form = request.header("content-type") == Some("application/x-www-form-urlencoded");
            let token = is_form.then(|| request.form().into_iter().find(|(name, _)| name == "token")).flatten();
            record::server_answers(port, token.map(|(_, token)| token), &answer.body);
            answer
        };
        let shared = Arc::new(Shared {
            config: config(identity),
            answer: Box::new(answer),
            is_over: AtomicBool::new(false),
            requests: Mutex::default(),
            connections: Mutex::default(),
            asking: AtomicUsize::new(0),
            asking_most: AtomicUsize::new(0),
        });
        let listening = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if listening.is_over() {
                    return;
                }
                listening.take(stream);
            }
        });
        Self { port, shared, thread: Some(thread) }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where this path of its is.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// What has been asked up to now.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// How many connections have come in up to now, whatever became of them.
    pub fn connections(&self) -> usize {
        lock(&self.shared.connections).count
    }

    /// How many requests have waited for their answers at the same time, at most.
    pub fn most_at_once(&self) -> usize {
        self.shared.asking_most.load(Ordering::SeqCst)
    }

    /// Waits until so many requests more have come in.
    pub fn wait_for(&self, more: usize) {
        let wanted = self.requests().len() + more;
        self.wait_until("requests", wanted, || self.requests().len());
    }

    /// Waits until so many connections have come in since it was started.
    pub fn wait_for_connections(&self, wanted: usize) {
        self.wait_until("connections", wanted, || self.connections());
    }

    fn wait_until(&self, what: &str, wanted: usize, count: impl Fn() -> usize) {
        let deadline = Instant::now() + PATIENCE;
        while count() < wanted {
            assert!(Instant::now() < deadline, "{} {what}, {wanted} expected, at port {}", count(), self.port);
            sleep(GLANCE);
        }
    }
}

impl Drop for HttpsServer {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread up.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let threads = {
            let mut connections = lock(&self.shared.connections);
            for stream in connections.open.values() {
                let _ = stream.shutdown(Shutdown::Both);
            }
            std::mem::take(&mut connections.threads)
        };
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Has a thread serve one connection.
    fn take(self: &Arc<Self>, stream: TcpStream) {
        let mut connections = lock(&self.connections);
        connections.count += 1;
        connections.threads.retain(|thread| !thread.is_finished());
        let (number, Ok(again)) = (connections.count, stream.try_clone()) else { return };
        if connections.open.len() >= CONNECTIONS_MAX {
            return;
        }
        connections.open.insert(number, again);
        let shared = Arc::clone(self);
        let serving = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
            // A connection that fails is the other side's business, and the case's.
            connection::serve(stream, &shared);
            lock(&shared.connections).open.remove(&number);
        });
        connections.threads.push(serving.expect("a thread"));
    }

    /// Notes the request for as long as it waits for its answer, and has the case answer it.
    fn answered(&self, request: Request) -> (Answer, Asking<'_>) {
        let at_once = self.asking.fetch_add(1, Ordering::SeqCst) + 1;
        self.asking_most.fetch_max(at_once, Ordering::SeqCst);
        let asking = Asking(&self.asking);
        lock(&self.requests).push(request.clone());
        ((self.answer)(&request), asking)
    }
}

/// One request that waits for its answer.
struct Asking<'a>(&'a AtomicUsize);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A case that panics while it answers must not have others panic, too.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn config(identity: &Identity) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(identity.private_key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a server's configuration");
    Arc::new(config)
}

/// A port at which nobody listens: connections to it are refused. It is nobody else's until this goes.
pub struct RefusingPort {
    number: u16,
    /// Bound, and so taken.
    _socket: OwnedFd,
}

impl RefusingPort {
    /// One that is free.
    pub fn take() -> Self {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = getsockname(&socket).expect("an address");
        let number = SocketAddrV4::try_from(address).expect("an IPv4 address").port();
        Self { number, _socket: socket }
    }

    /// Its number.
    pub fn port(&self) -> u16 {
        self.number
    }
}

/// A server that takes connections and never says a word, not even in TLS. It ends when it goes.
pub struct MuteServer(TcpListener);

impl MuteServer {
    /// One on a free port. The kernel takes its connections, as many as fit into its queue.
    pub fn start() -> Self {
        Self(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"))
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.0.local_addr().expect("an address").port()
    }
}
