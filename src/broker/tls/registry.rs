//! The connections that are alive in the broker's process, and which of them was read from last.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{c_int, c_long, c_void};
use std::ptr::NonNull;
use std::rc::{Rc, Weak};

use super::super::client::{Client, ClientKey};
use super::super::functions::Broker;
use super::super::panic::contained;
use super::connection::Connection;
use super::hello;
use super::openssl::{self, CertificateFunctions, OpenSsl, Ssl, Watched};
use super::psk::Handshake;

/// How many indices of extra data are searched for the client's address: the broker and its libraries take few.
const INDICES_SEARCHED: c_int = 16;
/// The longest public key that is looked at, in bytes.
pub(super) const KEY_BYTES_MAX: usize = 16 * 1024;

/// One connection of the process.
pub(super) struct Entry {
    /// Tells this connection from others that had, or will have, the same address.
    pub(super) generation: u64,
    /// The client that it was found to belong to.
    bound: Option<ClientKey>,
    /// Whether the exporter's value has served as a challenge.
    pub(super) exported: bool,
    /// What its handshake says of pre-shared keys.
    pub(super) handshake: Handshake,
    /// Whether its handshake has begun.
    has_begun: bool,
}

struct Registry {
    openssl: OpenSsl,
    /// The indices of the extra data by which OpenSSL tells us of connections,
    index: c_int,
    /// and of contexts.
    context_index: c_int,
    /// How many plugins use it: with `per_listener_settings` the broker may load the plugin once per listener.
    users: usize,
    connections: HashMap<usize, Entry>,
    /// The connections that were found to belong to a client. Before it is believed, each is looked at again.
    by_client: HashMap<ClientKey, usize>,
    /// Who says which raw public keys are known: each plugin for itself.
    key_holders: Vec<Weak<dyn KeyHolder>>,
    next_generation: u64,
}

thread_local! {
    // The broker's thread has it; on any other thread of the process there is none, and the callbacks do nothing there.
    static REGISTRY: RefCell<Option<Registry>> = const { RefCell::new(None) };
    // The connection that was read from last, and whether what was read was application data. Beside the registry, because
    // it changes with each record.
    static LAST_READ: Cell<(usize, bool)> = const { Cell::new((0, false)) };
}

/// Starts to keep the registry. `false` if the process has no OpenSSL.
pub fn install() -> bool {
    with_cell(|registry| {
        if let Some(registry) = registry {
            registry.users += 1;
            return true;
        }
        let Some(openssl) = OpenSsl::look_up() else { return false };
        let Some(index) = openssl.watch(Watched::Connections, on_made, Some(on_freed)) else { return false };
        let Some(context_index) = openssl.watch(Watched::Contexts, on_context_made, None) else { return false };
        *registry = Some(Registry {
            openssl,
            index,
            context_index,
            users: 1,
            connections: HashMap::new(),
            by_client: HashMap::new(),
            key_holders: Vec::new(),
            next_generation: 1,
        });
        true
    })
    .unwrap_or(false)
}

/// Stops, when the last user has gone.
pub fn uninstall() {
    with_cell(|registry| {
        if let Some(known) = registry {
            known.users -= 1;
            if known.users == 0 {
                known.openssl.stop_watching(Watched::Connections, known.index);
                known.openssl.stop_watching(Watched::Contexts, known.context_index);
                *registry = None;
            }
        }
    });
}

/// The connection of the client whose CONNECT or AUTH packet is being handled; `None` if it has no TLS.
#[must_use]
pub fn of_client(client: &Client<'_>, broker_is_2_1: bool) -> Option<Connection> {
    let (address, application_data) = LAST_READ.get();
    with(|registry| {
        let proved = registry.is_proved(address, client);
        let entry = registry.connections.get(&address)?;
        if !proved {
            // Mosquitto 2.1 keeps the client's address with each connection of its own.
            let refuted = broker_is_2_1 && !client.is_websocket();
            let elsewhere = entry.bound.is_some_and(|bound| bound != client.key());
            // A client that has only just shaken hands is not the one whose packet this is.
            if refuted || elsewhere || !application_data {
                return None;
            }
        }
        registry.bind(address, client.key())
    })?
}

/// The connection that keeps the address of this client, whatever was read last: of a client on a listener for pre-shared keys
/// and, on Mosquitto 2.1, of any.
#[must_use]
pub fn proved_of_client(client: &Client<'_>) -> Option<Connection> {
    let (last_read, _) = LAST_READ.get();
    with(|registry| {
        let known = registry.by_client.get(&client.key()).copied();
        let address = known.into_iter().chain([last_read]).find(|address| registry.is_proved(*address, client))?;
        registry.bind(address, client.key())
    })?
}

/// The client that this connection belongs to, outside of its events: while OpenSSL keeps its address with the connection, which
/// Mosquitto 2.1 has it do, it is alive.
#[must_use]
pub fn client_behind<'a>(broker: &'a Broker, connection: &Connection, key: ClientKey) -> Option<Client<'a>> {
    let client = broker.client_at(key);
    with(|registry| {
        let entry = registry.connections.get(&connection.address)?;
        let is_same = entry.generation == connection.generation;
        (is_same && registry.is_proved(connection.address, &client)).then_some(())
    })??;
    Some(client)
}

/// OpenSSL's functions for certificates.
pub(super) fn certificate_functions() -> Option<CertificateFunctions> {
    with(|registry| registry.openssl.certificates)
}

/// The connection that was read last, if this certificate was shown on it and on no other.
pub(super) fn last_read_with_certificate(certificate: NonNull<c_void>) -> Option<Connection> {
    let (address, _) = LAST_READ.get();
    with(|registry| {
        let entry = registry.connections.get(&address)?;
        let ssl = address as *mut Ssl;
        let is_its_own = registry.openssl.has_peer_certificate(ssl, certificate) && !registry.openssl.is_resumed(ssl);
        is_its_own.then(|| Connection::new(address, entry.generation))
    })?
}

impl Registry {
    /// Whether OpenSSL keeps the client's address with this connection, which need not be alive.
    fn is_proved(&self, address: usize, client: &Client<'_>) -> bool {
        self.connections.contains_key(&address)
            && (0..INDICES_SEARCHED)
                .filter(|index| *index != self.index)
                .any(|index| client.is_at(self.openssl.extra_data(address as *mut Ssl, index)))
    }

    /// Notes that a connection belongs to a client.
    fn bind(&mut self, address: usize, client: ClientKey) -> Option<Connection> {
        let entry = self.connections.get_mut(&address)?;
        entry.bound = Some(client);
        self.by_client.insert(client, address);
        Some(Connection::new(address, entry.generation))
    }

    /// Prepares a connection whose first record has come and is still to be looked at.
    ///
    /// Raw public keys are allowed only where the connection will be known for certain to be its client's: a client without
    /// certificate must not pass for one that has shown one.
    fn begin_handshake(&mut self, ssl: *mut Ssl) {
        let Some(functions) = self.openssl.raw_keys else { return };
        let Some(entry) = self.connections.get_mut(&ssl.addr()) else { return };
        if std::mem::replace(&mut entry.has_begun, true) {
            return;
        }
        let are_taken = self.key_holders.iter().filter_map(Weak::upgrade).any(|holder| holder.takes_raw_keys());
        let has_client = || {
            (0..INDICES_SEARCHED)
                .filter(|index| *index != self.index)
                .any(|index| !self.openssl.extra_data(ssl, index).is_null())
        };
        if are_taken && has_client() {
            functions.allow(ssl, on_verify);
        }
    }

    fn forget(&mut self, address: usize) {
        let Some(client) = self.connections.remove(&address).and_then(|entry| entry.bound) else { return };
        if self.by_client.get(&client) == Some(&address) {
            self.by_client.remove(&client);
        }
    }
}

/// Who knows the raw public keys that clients may come with.
pub trait KeyHolder {
    /// Whether clients may come with raw public keys at all.
    fn takes_raw_keys(&self) -> bool;

    /// Whether a client may come with this one: a `SubjectPublicKeyInfo` in DER.
    fn knows_key(&self, spki: &[u8]) -> bool;
}

/// Has a holder asked about raw public keys for as long as it is there. `false` if the broker's OpenSSL does not have them.
pub fn ask_about_raw_keys(holder: &Rc<dyn KeyHolder>) -> bool {
    with(|registry| {
        registry.key_holders.retain(|known| known.strong_count() > 0);
        registry.key_holders.push(Rc::downgrade(holder));
        registry.openssl.raw_keys.is_some()
    })
    .unwrap_or(false)
}

/// Nothing has been read since: what comes now is not about a packet.
pub fn forget_last_read() {
    let _ = LAST_READ.try_with(|last| last.set((0, false)));
}

/// Runs `body` with a connection that is known to be alive; `None` if it has gone.
pub(super) fn with_connection<T>(
    address: usize,
    generation: u64,
    body: impl FnOnce(&OpenSsl, *mut Ssl, &mut Entry) -> T,
) -> Option<T> {
    with(|registry| {
        let entry = registry.connections.get_mut(&address).filter(|entry| entry.generation == generation)?;
        Some(body(&registry.openssl, address as *mut Ssl, entry))
    })?
}

fn with<T>(body: impl FnOnce(&mut Registry) -> T) -> Option<T> {
    with_cell(|registry| registry.as_mut().map(body))?
}

/// `None` if the registry is in use further up, or the thread is ending.
fn with_cell<T>(body: impl FnOnce(&mut Option<Registry>) -> T) -> Option<T> {
    REGISTRY.try_with(|registry| registry.try_borrow_mut().ok().map(|mut registry| body(&mut registry))).ok()?
}

unsafe extern "C" fn on_context_made(
    context: *mut c_void,
    _: *mut c_void,
    _: *mut c_void,
    _: c_int,
    _: c_long,
    _: *mut c_void,
) {
    with(|registry| registry.openssl.watch_records(context.cast(), on_record));
}

unsafe extern "C" fn on_made(ssl: *mut c_void, _: *mut c_void, _: *mut c_void, _: c_int, _: c_long, _: *mut c_void) {
    with(|registry| {
        let generation = registry.next_generation;
        registry.next_generation += 1;
        let entry =
            Entry { generation, bound: None, exported: false, handshake: Handshake::default(), has_begun: false };
        registry.connections.insert(ssl.addr(), entry);
    });
}

unsafe extern "C" fn on_freed(ssl: *mut c_void, _: *mut c_void, _: *mut c_void, _: c_int, _: c_long, _: *mut c_void) {
    with(|registry| registry.forget(ssl.addr()));
    if LAST_READ.try_with(Cell::get).is_ok_and(|(address, _)| address == ssl.addr()) {
        LAST_READ.set((0, false));
    }
}

unsafe extern "C" fn on_record(
    written: c_int,
    _version: c_int,
    content_type: c_int,
    bytes: *const c_void,
    length: usize,
    ssl: *mut Ssl,
    _argument: *mut c_void,
) {
    if content_type == openssl::HANDSHAKE {
        // SAFETY: OpenSSL hands in the whole message, `length` bytes.
        let message = if bytes.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(bytes.cast(), length) } };
        on_handshake_message(written != 0, message, ssl);
        return;
    }
    let tells_type = content_type == openssl::RECORD_HEADER || content_type == openssl::INNER_CONTENT_TYPE;
    if written != 0 || !tells_type || bytes.is_null() || length == 0 {
        return;
    }
    // SAFETY: OpenSSL hands in `length` bytes, at least one. The first byte of a record's header is its type.
    let record_type = unsafe { *bytes.cast::<u8>() };
    if record_type == openssl::HANDSHAKE_RECORD {
        with(|registry| registry.begin_handshake(ssl));
    }
    let _ = LAST_READ.try_with(|last| last.set((ssl.addr(), record_type == openssl::APPLICATION_DATA)));
}

/// Notes what a hello message says of pre-shared keys. Those of TLS 1.2 say nothing, and do no harm.
fn on_handshake_message(written: bool, message: &[u8], ssl: *mut Ssl) {
    match (written, message.first()) {
        (false, Some(&openssl::CLIENT_HELLO)) => {
            let identities = hello::offered_identities(message);
            with_handshake(ssl, |handshake| handshake.begin(identities));
        }
        (true, Some(&openssl::SERVER_HELLO)) => {
            let selected = hello::selected_identity(message);
            with_handshake(ssl, |handshake| handshake.answer(selected));
        }
        _ => {}
    }
}

fn with_handshake(ssl: *mut Ssl, body: impl FnOnce(&mut Handshake)) {
    with(|registry| registry.connections.get_mut(&ssl.addr()).map(|entry| body(&mut entry.handshake)));
}

/// Judges the certificate of a client, as the broker does, or its raw public key.
unsafe extern "C" fn on_verify(verdict: c_int, verification: *mut c_void) -> c_int {
    contained(None, 0, || {
        let known = with(|registry| {
            let functions = registry.openssl.raw_keys?;
            Some((functions, registry.key_holders.iter().filter_map(Weak::upgrade).collect::<Vec<_>>()))
        });
        let Some((functions, holders)) = known.flatten() else { return 0 };
        if !functions.verifies_key(verification) {
            return functions.broker_says(verdict, verification);
        }
        let Some(key) = functions.key_being_verified_der(verification, KEY_BYTES_MAX) else { return 0 };
        c_int::from(holders.iter().any(|holder| holder.takes_raw_keys() && holder.knows_key(&key)))
    })
}
