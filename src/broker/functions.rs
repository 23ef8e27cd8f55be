//! The broker's own functions, looked up in the process when the plugin is loaded.
//!
//! Looked up rather than linked: functions that only newer brokers have can be used where they exist, and the crate's
//! unit tests link without a broker.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem;
use std::ptr;

use thiserror::Error;

use super::abi;
use super::client::{Client, ClientKey};

/// How many lines may wait to be written. Beyond that, they are lost.
const LINES_MAX: usize = 4096;
/// How many lines are written beyond those that there were at the beginning.
const LINES_BEYOND: usize = 64;

thread_local! {
    // All plugins of the process write to one log, in the order in which they had something to say.
    static LINES: RefCell<VecDeque<(c_int, CString)>> = const { RefCell::new(VecDeque::new()) };
    static LOST: Cell<u64> = const { Cell::new(0) };
    static IS_WRITING: Cell<bool> = const { Cell::new(false) };
}

/// Handle to the broker that loaded the plugin.
#[derive(Clone, Copy)]
pub struct Broker {
    pub(super) functions: Functions,
    pub(super) plugin: *mut c_void,
}

/// How loud a line in the broker's log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `log_type debug`
    Debug,
    /// `log_type information`
    Info,
    /// `log_type notice`
    Notice,
    /// `log_type warning`
    Warning,
    /// `log_type error`
    Error,
}

/// A function that every supported broker has is not there.
#[derive(Debug, Error)]
#[error("the process has no function {0}: not a Mosquitto broker of version 2.0 or newer")]
pub(super) struct MissingFunction(&'static str);

type Publish =
    unsafe extern "C" fn(*const c_char, *const c_char, c_int, *mut c_void, c_int, bool, *mut c_void) -> c_int;
type ClientText = unsafe extern "C" fn(*const abi::mosquitto) -> *const c_char;
type ClientCertificate = unsafe extern "C" fn(*const abi::mosquitto) -> *mut c_void;
type PublishCopy =
    unsafe extern "C" fn(*const c_char, *const c_char, c_int, *const c_void, c_int, bool, *mut c_void) -> c_int;
type ClientNumber = unsafe extern "C" fn(*const abi::mosquitto) -> c_int;
pub(super) type Callback = unsafe extern "C" fn(c_int, *mut c_void, *mut c_void) -> c_int;

/// Where log lines go.
#[derive(Clone, Copy)]
pub(super) enum Log {
    /// To the broker.
    Printf(unsafe extern "C" fn(c_int, *const c_char, ...)),
    /// To a fake broker: Rust cannot define a function with variable arguments.
    #[cfg(any(test, feature = "fake-broker"))]
    Call(fn(c_int, &CStr)),
}

#[derive(Clone, Copy)]
pub(super) struct Functions {
    pub(super) callback_register:
        unsafe extern "C" fn(*mut c_void, c_int, abi::ace_callback, *const c_void, *mut c_void) -> c_int,
    pub(super) callback_unregister: unsafe extern "C" fn(*mut c_void, c_int, abi::ace_callback, *const c_void) -> c_int,
    pub(super) log: Log,
    pub(super) client_id: ClientText,
    pub(super) client_username: ClientText,
    pub(super) client_address: ClientText,
    /// Not in brokers without TLS.
    pub(super) client_certificate: Option<ClientCertificate>,
    pub(super) client_protocol: ClientNumber,
    pub(super) client_protocol_version: ClientNumber,
    pub(super) set_username: unsafe extern "C" fn(*mut abi::mosquitto, *const c_char) -> c_int,
    pub(super) kick_client_by_clientid: unsafe extern "C" fn(*const c_char, bool) -> c_int,
    pub(super) malloc: unsafe extern "C" fn(usize) -> *mut c_void,
    pub(super) free: unsafe extern "C" fn(*mut c_void),
    pub(super) broker_publish: Publish,
    pub(super) broker_publish_copy: PublishCopy,
    /// Since 2.1.
    pub(super) client: Option<unsafe extern "C" fn(*const c_char) -> *mut abi::mosquitto>,
    /// Since 2.1.
    pub(super) complete_basic_auth: Option<unsafe extern "C" fn(*const c_char, c_int)>,
    /// Since 2.1.
    pub(super) plugin_set_info: Option<unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char) -> c_int>,
}

/// Looks a function up among the symbols that the process offers to all its libraries.
///
/// # Safety
/// `F` must be the function pointer type of that symbol.
pub(super) unsafe fn lookup<F: Copy>(name: &CStr) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
    // SAFETY: the name ends with NUL; RTLD_DEFAULT is always a valid handle.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: the caller vouches for the type, the sizes were compared above, and a function pointer is never null.
    (!symbol.is_null()).then(|| unsafe { mem::transmute_copy::<*mut c_void, F>(&symbol) })
}

/// As [`lookup`], for what every supported broker has.
macro_rules! required {
    ($name:literal) => {
        // SAFETY: the field that takes the result has the type that include/mosquitto_ace_abi.h declares for it.
        unsafe { lookup($name) }.ok_or(MissingFunction(match $name.to_str() {
            Ok(name) => name,
            Err(_) => "",
        }))?
    };
}

impl Functions {
    pub(super) fn look_up() -> Result<Self, MissingFunction> {
        Ok(Self {
            callback_register: required!(c"mosquitto_callback_register"),
            callback_unregister: required!(c"mosquitto_callback_unregister"),
            log: Log::Printf(required!(c"mosquitto_log_printf")),
            client_id: required!(c"mosquitto_client_id"),
            client_username: required!(c"mosquitto_client_username"),
            client_address: required!(c"mosquitto_client_address"),
            // SAFETY: the type is that of include/mosquitto_ace_abi.h.
            client_certificate: unsafe { lookup(c"mosquitto_client_certificate") },
            client_protocol: required!(c"mosquitto_client_protocol"),
            client_protocol_version: required!(c"mosquitto_client_protocol_version"),
            set_username: required!(c"mosquitto_set_username"),
            kick_client_by_clientid: required!(c"mosquitto_kick_client_by_clientid"),
            malloc: required!(c"mosquitto_malloc"),
            free: required!(c"mosquitto_free"),
            broker_publish: required!(c"mosquitto_broker_publish"),
            broker_publish_copy: required!(c"mosquitto_broker_publish_copy"),
            // SAFETY: the types are those of include/mosquitto_ace_abi.h.
            client: unsafe { lookup(c"mosquitto_client") },
            // SAFETY: as above.
            complete_basic_auth: unsafe { lookup(c"mosquitto_complete_basic_auth") },
            // SAFETY: as above.
            plugin_set_info: unsafe { lookup(c"mosquitto_plugin_set_info") },
        })
    }
}

impl Broker {
    /// Has one line written to the broker's log, when the event at hand is over, or with the next `TICK`.
    ///
    /// Not at once: with `log_dest topic` the broker publishes the line, and asks `ACL_CHECK` for each subscriber before this
    /// returned, who would find us in the middle of something.
    #[allow(clippy::unused_self, reason = "who has no broker has nothing to log to")]
    pub fn log(&self, level: Level, line: &str) {
        let level = match level {
            Level::Debug => abi::ACE_LOG_DEBUG,
            Level::Info => abi::ACE_LOG_INFO,
            Level::Notice => abi::ACE_LOG_NOTICE,
            Level::Warning => abi::ACE_LOG_WARNING,
            Level::Error => abi::ACE_LOG_ERR,
        };
        let line = CString::new(line.replace(['\0', '\n', '\r'], " ")).unwrap_or_default();
        let _ = LINES.try_with(|lines| {
            let mut lines = lines.borrow_mut();
            if lines.len() < LINES_MAX {
                lines.push_back((level as c_int, line));
            } else {
                let _ = LOST.try_with(|lost| lost.set(lost.get().wrapping_add(1)));
            }
        });
    }

    /// How many lines had no room since the process began, those of all its plugins.
    #[allow(clippy::unused_self, reason = "who has no broker has nothing to log to")]
    #[must_use]
    pub fn lines_lost(&self) -> u64 {
        LOST.try_with(Cell::get).unwrap_or_default()
    }

    /// Has the broker publish a message of its own, at QoS 0 and retained, and with nothing in it one that takes the retained one
    /// away. It goes out with the broker's next turn, to those who may be given it. `false` if the broker does not take it.
    #[must_use]
    pub fn publish_retained(&self, topic: &CStr, payload: &[u8]) -> bool {
        let Ok(length) = c_int::try_from(payload.len()) else { return false };
        let bytes = if payload.is_empty() { ptr::null() } else { payload.as_ptr().cast() };
        // SAFETY: no client id and no properties are allowed; topic and payload outlive the call, and are copied in it.
        let result = unsafe {
            (self.functions.broker_publish_copy)(ptr::null(), topic.as_ptr(), length, bytes, 0, true, ptr::null_mut())
        };
        result == abi::ACE_ERR_SUCCESS
    }

    /// Writes the lines that wait. What the broker raises meanwhile may add to them: as much of that is written as there was, and some
    /// more; the rest next time, so that this ends.
    pub(super) fn write_log(&self) {
        if IS_WRITING.replace(true) {
            return;
        }
        let waiting = LINES.try_with(|lines| lines.borrow().len()).unwrap_or(0);
        for _ in 0..waiting.saturating_add(LINES_BEYOND) {
            let Ok(Some((level, line))) = LINES.try_with(|lines| lines.borrow_mut().pop_front()) else { break };
            match self.functions.log {
                // SAFETY: the format takes one C string, and is given one.
                Log::Printf(printf) => unsafe { printf(level, c"%s".as_ptr(), line.as_ptr()) },
                #[cfg(any(test, feature = "fake-broker"))]
                Log::Call(call) => call(level, &line),
            }
        }
        IS_WRITING.set(false);
    }

    /// Disconnects the client that is connected under this id, as an administrator would; its Will is sent. The broker
    /// raises further events before this returns: `ACL_CHECK` for each subscription, then the disconnection.
    pub fn kick(&self, client_id: &CStr) {
        // SAFETY: the id is a C string that outlives the call.
        unsafe { (self.functions.kick_client_by_clientid)(client_id.as_ptr(), true) };
    }

    /// Has a message sent at QoS 0 to the client that has this id when the broker's loop begins its next turn, and to nobody else. The
    /// broker asks nobody whether it may be, and does not look whether the client has subscribed. `false` if there is no memory for it.
    #[must_use]
    pub fn send_to(&self, client_id: &CStr, topic: &CStr, payload: &[u8]) -> bool {
        let Ok(length) = c_int::try_from(payload.len()) else { return false };
        // The broker counts what it has, and subtracts what it releases: the block has to be one of its own.
        // SAFETY: any size may be asked for.
        let block = unsafe { (self.functions.malloc)(payload.len().max(1)) };
        if block.is_null() {
            return false;
        }
        // SAFETY: the block was made for that many bytes, and does not overlap with ours.
        unsafe { ptr::copy_nonoverlapping(payload.as_ptr(), block.cast(), payload.len()) };
        // SAFETY: the texts are C strings, which the broker copies; the block holds that many bytes, and is the broker's if it takes it.
        let sent = unsafe {
            let (id, topic, none) = (client_id.as_ptr(), topic.as_ptr(), ptr::null_mut());
            (self.functions.broker_publish)(id, topic, length, block, 0, false, none) == abi::ACE_ERR_SUCCESS
        };
        if !sent {
            // SAFETY: the broker did not take the block, which came from there.
            unsafe { (self.functions.free)(block) };
        }
        sent
    }

    /// Whether the client that is connected under this id is the one with this key. Brokers before 2.1 cannot tell, and
    /// the answer is yes.
    #[must_use]
    pub fn is_connected_as(&self, client_id: &CStr, key: ClientKey) -> bool {
        match self.functions.client {
            // SAFETY: the id is a C string that outlives the call; the result is only compared.
            Some(client) => ClientKey::of(unsafe { client(client_id.as_ptr()) }) == key,
            None => true,
        }
    }

    /// The client that has this id. Brokers before 2.1 cannot tell.
    pub(super) fn client_of_id(&self, client_id: &CStr) -> Option<Client<'_>> {
        // SAFETY: the id is a C string that outlives the call.
        let client = self.functions.client.map(|client| unsafe { client(client_id.as_ptr()) })?;
        (!client.is_null()).then(|| self.client(client))
    }

    /// Whether the broker is of version 2.1 or newer.
    #[must_use]
    pub const fn is_2_1(&self) -> bool {
        self.functions.client.is_some()
    }

    /// Whether an authentication without method can be put off ([`Verdict::Delay`](super::Verdict::Delay)): since 2.1.
    #[must_use]
    pub const fn can_delay(&self) -> bool {
        self.functions.complete_basic_auth.is_some()
    }

    /// Completes the authentication that was put off for the client of this id; the broker has one of an id at most. It raises
    /// further events before this returns: of the client that had the id before, of the client's Will, of its queue.
    pub fn complete_delayed(&self, client_id: &CStr, is_let_in: bool) {
        let result = if is_let_in { abi::ACE_ERR_SUCCESS } else { abi::ACE_ERR_AUTH };
        if let Some(complete) = self.functions.complete_basic_auth {
            // SAFETY: the id is a C string that outlives the call.
            unsafe { complete(client_id.as_ptr(), result) };
        }
    }

    /// Tells the broker the plugin's name and version, where it wants to know.
    pub(super) fn introduce(&self, name: &CStr, version: &CStr) {
        if let Some(set_info) = self.functions.plugin_set_info {
            // SAFETY: `plugin` is the identifier that the broker gave at start; both texts are C strings.
            unsafe { set_info(self.plugin, name.as_ptr(), version.as_ptr()) };
        }
    }

    /// Asks for an event. `false` if the broker does not have it.
    pub(super) fn register(&self, event: abi::ace_event, callback: Callback, userdata: *mut c_void) -> bool {
        self.register_for(event, None, callback, userdata)
    }

    /// Asks for what is published to a topic below `$CONTROL/`. `false` if somebody else has asked for it before.
    pub(super) fn register_control(&self, topic: &CStr, callback: Callback, userdata: *mut c_void) -> bool {
        self.register_for(abi::ACE_EVT_CONTROL, Some(topic), callback, userdata)
    }

    fn register_for(
        &self,
        event: abi::ace_event,
        topic: Option<&CStr>,
        callback: Callback,
        userdata: *mut c_void,
    ) -> bool {
        let data = topic.map_or(ptr::null(), |topic| topic.as_ptr().cast());
        // SAFETY: `plugin` is the identifier that the broker gave at start, the callback has the type that the broker expects, and the
        // topic is a C string, which the broker copies.
        let result =
            unsafe { (self.functions.callback_register)(self.plugin, event as c_int, Some(callback), data, userdata) };
        result == abi::ACE_ERR_SUCCESS
    }

    /// Takes an event back.
    pub(super) fn unregister(&self, event: abi::ace_event, callback: Callback) {
        // SAFETY: as in `register_for`.
        unsafe { (self.functions.callback_unregister)(self.plugin, event as c_int, Some(callback), ptr::null()) };
    }

    /// Takes back what was asked for by [`Self::register_control`].
    pub(super) fn unregister_control(&self, topic: &CStr, callback: Callback) {
        let (event, data) = (abi::ACE_EVT_CONTROL as c_int, topic.as_ptr().cast());
        // SAFETY: as in `register_for`.
        unsafe { (self.functions.callback_unregister)(self.plugin, event, Some(callback), data) };
    }

    /// A client by its address. It must not be asked for anything before it has been found to be alive.
    pub(super) fn client_at(&self, key: ClientKey) -> Client<'_> {
        self.client(std::ptr::with_exposed_provenance_mut(key.address()))
    }

    pub(super) const fn client(&self, client: *mut abi::mosquitto) -> Client<'_> {
        Client::new(self, client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_broker_the_missing_function_is_named() {
        let Err(error) = Functions::look_up() else { panic!("there is no broker in a unit test") };
        assert!(error.to_string().contains("mosquitto_callback_register"), "{error}");
    }

    #[test]
    fn what_the_process_has_is_found() {
        type StringLength = unsafe extern "C" fn(*const c_char) -> usize;
        // SAFETY: the type is that of strlen.
        let found: Option<StringLength> = unsafe { lookup(c"strlen") };
        // SAFETY: the argument is a C string.
        assert_eq!(found.map(|length| unsafe { length(c"four".as_ptr()) }), Some(4));
    }
}
