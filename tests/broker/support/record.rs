//! What was said between a case's clients, servers and brokers, kept until the case has ended: for whoever asks then whether it was
//! right.
//!
//! The common places of the suite call this: [`Broker`](super::Broker) when it is started and reloaded,
//! [`Client`](super::Client) for each packet, [`HttpsServer`](super::HttpsServer) for each answer. No case does. A packet that is
//! not whole or not well-formed is not recorded.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tempfile::TempDir;

use super::authority::now;
use super::case::Ctx;
use super::packet::{Packet, Protocol, kind, read_variable};

/// How many packets of a connection are recorded. Those that send more do so again and again.
const PACKETS_MAX: usize = 400;
/// The longest packet that is looked at.
const PACKET_BYTES_MAX: usize = 80_000;
/// The longest file that is kept of a broker's folder.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Case and broker version.
type Name = (&'static str, String);

static BROKERS: Mutex<BTreeMap<Name, Vec<Arc<BrokerRecord>>>> = Mutex::new(BTreeMap::new());
static PORTS: Mutex<BTreeMap<u16, Arc<BrokerRecord>>> = Mutex::new(BTreeMap::new());
static SERVERS: Mutex<BTreeMap<u16, ServerRecord>> = Mutex::new(BTreeMap::new());

/// A broker from its start to its end.
pub struct BrokerRecord {
    /// Its folder, which stays as long as this does.
    pub folder: Arc<TempDir>,
    /// Its log.
    pub log: PathBuf,
    /// Whether listeners have configurations of their own.
    pub has_several_configurations: bool,
    snapshots: Mutex<Vec<Files>>,
    connections: Mutex<Vec<Arc<Mutex<Connection>>>>,
}

/// The files of a folder as they were at a moment.
pub type Files = Vec<(String, Vec<u8>)>;

/// What a server has answered.
#[derive(Clone, Default)]
pub struct ServerRecord {
    /// About tokens: the answers to each, each once.
    pub about: HashMap<Vec<u8>, Vec<Vec<u8>>>,
    /// To anything else, each once.
    pub other: BTreeSet<Vec<u8>>,
}

/// When something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970.
    pub millis: u64,
    /// The number of the configuration.
    pub configuration: usize,
}

/// What a client wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wish {
    Publish,
    Subscribe,
    Receive,
}

/// One request and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// The token of the session, by its place in [`Connection::tokens`]; none if the client came in without one of its own.
    pub token: Option<usize>,
    pub wish: Wish,
    pub topic: String,
    pub is_allowed: bool,
}

/// One client's connection.
#[derive(Default)]
pub struct Connection {
    pub client_id: String,
    pub is_accepted: bool,
    protocol: Option<Protocol>,
    /// What may be a token, in each form in which it may have been meant, in the order in which it was sent.
    pub tokens: Vec<Vec<u8>>,
    /// When the client was let in, and when each request was first and last made.
    pub entered: Option<Moment>,
    pub requests: HashMap<Request, (Moment, Moment)>,
    session: Option<usize>,
    sessions: Vec<usize>,
    brought: Option<usize>,
    subscribing: HashMap<u16, (Vec<String>, Moment)>,
    publishing: HashMap<u16, (String, Moment)>,
    packets: usize,
}

/// Where a client's packets are recorded.
#[derive(Clone)]
pub struct Recorder {
    broker: Arc<BrokerRecord>,
    connection: Arc<Mutex<Connection>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The fingerprint that the plugin's log gives a token: the first 8 bytes of its SHA-256.
pub fn fingerprint(token: &[u8]) -> String {
    let hash = digest(&SHA256, token);
    hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Notes a broker that is being started.
pub fn broker_starts(ctx: &Ctx, folder: &Arc<TempDir>, log: &Path, ports: &[u16], has_several_configurations: bool) {
    let record = Arc::new(BrokerRecord {
        folder: Arc::clone(folder),
        log: log.to_owned(),
        has_several_configurations,
        snapshots: Mutex::new(vec![files(folder.path())]),
        connections: Mutex::default(),
    });
    let mut by_port = lock(&PORTS);
    for port in ports {
        by_port.insert(*port, Arc::clone(&record));
    }
    drop(by_port);
    lock(&BROKERS).entry((ctx.name, ctx.version.number.clone())).or_default().push(record);
}

/// Notes that the broker at this port is about to read its files again.
pub fn broker_reloads(port: u16) {
    let record = lock(&PORTS).get(&port).cloned();
    if let Some(record) = record {
        lock(&record.snapshots).push(files(record.folder.path()));
    }
}

/// The brokers of a case. They are forgotten.
pub fn take(ctx: &Ctx) -> Vec<Arc<BrokerRecord>> {
    let taken = lock(&BROKERS).remove(&(ctx.name, ctx.version.number.clone())).unwrap_or_default();
    lock(&PORTS).retain(|_, record| !taken.iter().any(|taken| Arc::ptr_eq(taken, record)));
    taken
}

/// Notes what a server answers. `token` is what it was asked about, if that was a token.
pub fn server_answers(port: u16, token: Option<String>, answer: &[u8]) {
    if answer.len() > PACKET_BYTES_MAX {
        return;
    }
    let mut servers = lock(&SERVERS);
    let record = servers.entry(port).or_default();
    match token {
        Some(token) => {
            let answers = record.about.entry(token.into_bytes()).or_default();
            if !answers.iter().any(|known| known == answer) {
                answers.push(answer.to_vec());
            }
        }
        None => {
            record.other.insert(answer.to_vec());
        }
    }
}

/// What the server at this port has answered.
pub fn answers_of(port: u16) -> ServerRecord {
    lock(&SERVERS).get(&port).cloned().unwrap_or_default()
}

impl BrokerRecord {
    /// The files at the start and at each reload.
    pub fn snapshots(&self) -> Vec<Files> {
        lock(&self.snapshots).clone()
    }

    /// Looks at each connection.
    pub fn each_connection(&self, mut look: impl FnMut(&Connection)) {
        for connection in lock(&self.connections).iter() {
            look(&lock(connection));
        }
    }

    fn moment(&self) -> Moment {
        let millis = u64::try_from(now().as_millis()).unwrap_or(u64::MAX);
        Moment { millis, configuration: lock(&self.snapshots).len() - 1 }
    }
}

/// The files in a folder, but not in folders in it.
fn files(folder: &Path) -> Files {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let small = entries
        .flatten()
        .filter(|entry| entry.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= FILE_BYTES_MAX));
    let read =
        small.filter_map(|entry| Some((entry.file_name().into_string().ok()?, std::fs::read(entry.path()).ok()?)));
    read.collect()
}

impl Recorder {
    /// For a connection to this port, if a broker of the suite's is there.
    pub fn at(port: u16) -> Option<Self> {
        let broker = lock(&PORTS).get(&port).cloned()?;
        let connection = Arc::new(Mutex::new(Connection::default()));
        lock(&broker.connections).push(Arc::clone(&connection));
        Some(Self { broker, connection })
    }

    /// Notes what the client sends.
    pub fn sent(&self, bytes: &[u8]) {
        let mut connection = lock(&self.connection);
        if bytes.len() > PACKET_BYTES_MAX || !connection.has_room() {
            return;
        }
        let mut buffer = bytes.to_vec();
        let Some(packet) = Packet::take(&mut buffer).filter(|_| buffer.is_empty()) else { return };
        let moment = self.broker.moment();
        // Nothing comes of what cannot be read.
        let _ = connection.note_sent(&packet, moment);
    }

    /// Notes what the broker sends.
    pub fn received(&self, packet: &Packet) {
        let mut connection = lock(&self.connection);
        if connection.has_room() {
            let moment = self.broker.moment();
            let _ = connection.note_received(packet, moment);
        }
    }
}

impl Connection {
    /// The tokens that the session had before this one.
    pub fn tokens_before(&self, token: Option<usize>) -> impl Iterator<Item = &Vec<u8>> {
        let sessions = self.sessions.iter().filter(move |before| Some(**before) != token);
        sessions.filter_map(|before| self.tokens.get(*before))
    }

    fn has_room(&mut self) -> bool {
        self.packets += 1;
        self.packets <= PACKETS_MAX
    }

    fn note_sent(&mut self, packet: &Packet, moment: Moment) -> Option<()> {
        let mut reader = Reader(&packet.body);
        match packet.kind() {
            1 => {
                let connect = Connect::read(&mut reader)?;
                self.protocol = Some(connect.protocol);
                self.client_id = connect.client_id.clone();
                self.brought = connect.token().map(|token| self.note_token(token));
            }
            kind::PUBLISH => {
                let qos = packet.first >> 1 & 3;
                let topic = reader.text()?;
                let identifier = if qos > 0 { Some(reader.number()?) } else { None };
                if self.protocol == Some(Protocol::V5) {
                    reader.properties()?;
                }
                if (16..40_000).contains(&reader.0.len()) {
                    self.note_token(reader.0.to_vec());
                }
                if let Some(identifier) = identifier.filter(|_| !topic.is_empty()) {
                    self.publishing.insert(identifier, (topic, moment));
                }
            }
            8 => {
                let identifier = reader.number()?;
                if self.protocol == Some(Protocol::V5) {
                    reader.properties()?;
                }
                let mut filters = Vec::new();
                while !reader.0.is_empty() {
                    filters.push(reader.text()?);
                    reader.take(1)?;
                }
                self.subscribing.insert(identifier, (filters, moment));
            }
            kind::AUTH if packet.body.first() == Some(&0x19) => {
                reader.take(1)?;
                let data = reader.properties()?.data?;
                self.brought = token_of(&data).map(|token| self.note_token(token));
            }
            _ => {}
        }
        Some(())
    }

    fn note_received(&mut self, packet: &Packet, moment: Moment) -> Option<()> {
        let protocol = self.protocol?;
        match packet.kind() {
            kind::CONNACK if packet.body.len() >= 2 && packet.reason() == 0 => {
                self.is_accepted = true;
                self.entered = Some(moment);
                self.session = self.brought.take();
                self.sessions.extend(self.session);
            }
            // Of the client's own will: it has a new token.
            kind::AUTH if packet.reason() == 0 => {
                self.session = self.brought.take().or(self.session);
                self.sessions.extend(self.session);
            }
            kind::SUBACK => {
                let (filters, asked) = self.subscribing.remove(&packet.identifier())?;
                for (topic, code) in filters.into_iter().zip(packet.granted(protocol)) {
                    let is_allowed = match code {
                        0..=2 => true,
                        0x80 if protocol == Protocol::V311 => false,
                        0x87 => false,
                        _ => continue,
                    };
                    self.note(Wish::Subscribe, topic, is_allowed, asked, moment);
                }
            }
            kind::PUBACK | kind::PUBREC => {
                let (topic, asked) = self.publishing.remove(&packet.identifier())?;
                // Before MQTT 5 every message is acknowledged alike.
                let is_allowed = match packet.reason() {
                    _ if protocol == Protocol::V311 => return None,
                    0 | 0x10 => true,
                    0x87 => false,
                    _ => return None,
                };
                self.note(Wish::Publish, topic, is_allowed, asked, moment);
            }
            kind::PUBLISH => {
                let topic = packet.publish(protocol).topic;
                // It was sent between now and when the client came in.
                let entered = self.entered?;
                if !topic.is_empty() {
                    self.note(Wish::Receive, topic, true, entered, moment);
                }
            }
            _ => {}
        }
        Some(())
    }

    fn note(&mut self, wish: Wish, topic: String, is_allowed: bool, first: Moment, last: Moment) {
        let request = Request { token: self.session, wish, topic, is_allowed };
        self.requests.entry(request).and_modify(|(_, known)| *known = last).or_insert((first, last));
    }

    fn note_token(&mut self, token: Vec<u8>) -> usize {
        if let Some(known) = self.tokens.iter().position(|known| *known == token) {
            return known;
        }
        self.tokens.push(token);
        self.tokens.len() - 1
    }
}

/// A CONNECT, as far as it matters here.
struct Connect {
    protocol: Protocol,
    client_id: String,
    user_name: Option<Vec<u8>>,
    password: Option<Vec<u8>>,
    method: Option<Vec<u8>>,
    data: Option<Vec<u8>>,
}

impl Connect {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.field()?;
        let protocol = match reader.take(1)? {
            [5] => Protocol::V5,
            _ => Protocol::V311,
        };
        let flags = *reader.take(1)?.first()?;
        reader.take(2)?;
        let properties = if protocol == Protocol::V5 { reader.properties()? } else { Properties::default() };
        let client_id = reader.text()?;
        if flags & 0x04 != 0 {
            if protocol == Protocol::V5 {
                reader.properties()?;
            }
            reader.field()?;
            reader.field()?;
        }
        let user_name = if flags & 0x80 != 0 { Some(reader.field()?.to_vec()) } else { None };
        let password = if flags & 0x40 != 0 { Some(reader.field()?.to_vec()) } else { None };
        let Properties { method, data } = properties;
        Some(Self { protocol, client_id, user_name, password, method, data })
    }

    /// The token that it brings, in whatever form.
    fn token(&self) -> Option<Vec<u8>> {
        if self.method.as_deref() == Some(b"ace") {
            return token_of(self.data.as_deref()?);
        }
        let text = self.user_name.as_deref()?.strip_prefix(b"ace")?;
        if !text.is_empty() {
            return Some(decoded(text));
        }
        let password: Value = serde_json::from_slice(self.password.as_deref()?).ok()?;
        let token = password.get("access_token")?.as_str()?.as_bytes();
        // A CWT stands there in base64url; an opaque token as it is, whatever it looks like.
        let cwt = URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .filter(|bytes| matches!(bytes.as_slice(), [0xd8, 0x3d, ..] | [0xd0..=0xd2, 0x83 | 0x84, ..]));
        Some(cwt.unwrap_or_else(|| token.to_vec()))
    }
}

/// The token in authentication data, behind its length.
fn token_of(data: &[u8]) -> Option<Vec<u8>> {
    let token = Reader(data).field()?;
    (!token.is_empty()).then(|| token.to_vec())
}

/// A JWT stands in a text as it is; everything else in base64url.
fn decoded(text: &[u8]) -> Vec<u8> {
    if text.contains(&b'.') { text.to_vec() } else { URL_SAFE_NO_PAD.decode(text).unwrap_or_else(|_| text.to_vec()) }
}

#[derive(Default)]
struct Properties {
    method: Option<Vec<u8>>,
    data: Option<Vec<u8>>,
}

/// Reads the fields of a packet, and nothing beyond its end.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn field(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::from(length))
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.field()?.to_vec()).ok()
    }

    fn properties(&mut self) -> Option<Properties> {
        let (length, size) = read_variable(self.0)?;
        self.take(size)?;
        let mut rest = Reader(self.take(length)?);
        let mut found = Properties::default();
        while let Some([identifier]) = rest.take(1) {
            match identifier {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => {
                    rest.take(1)?;
                }
                0x13 | 0x21 | 0x22 | 0x23 => {
                    rest.take(2)?;
                }
                0x02 | 0x11 | 0x18 | 0x27 => {
                    rest.take(4)?;
                }
                0x0b => {
                    let (_, size) = read_variable(rest.0)?;
                    rest.take(size)?;
                }
                0x15 => found.method = Some(rest.field()?.to_vec()),
                0x16 => found.data = Some(rest.field()?.to_vec()),
                0x26 => {
                    rest.field()?;
                    rest.field()?;
                }
                _ => {
                    rest.field()?;
                }
            }
        }
        Some(found)
    }
}
