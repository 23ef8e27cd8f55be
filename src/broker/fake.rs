//! A broker that is not there: drives the plugin's callbacks as Mosquitto does, for unit tests and benchmarks.
//!
//! It has no network and no TLS. What it stands in for is checked against real brokers in tests/broker/.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use ace_resource_server::rights::Access;

use super::abi;
use super::client::ClientKey;
use super::entry::{Handler, Loaded, cleanup, init_with};
use super::functions::{Broker, Callback, Functions, Log};

/// What the fake broker keeps, per thread: a test has a thread of its own.
#[derive(Default)]
struct State {
    callbacks: HashMap<c_int, (Callback, usize)>,
    log: Vec<String>,
    kicked: Vec<String>,
    sent: Vec<(String, String, Vec<u8>)>,
    published: Vec<(String, String)>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// A client of the fake broker.
pub struct FakeClient {
    id: Option<CString>,
    user_name: Option<CString>,
    address: Option<CString>,
    protocol_version: c_int,
}

impl FakeClient {
    /// A client that speaks MQTT 5, connected from an address.
    #[must_use]
    pub fn new(id: &str) -> Box<Self> {
        Box::new(Self {
            id: CString::new(id).ok(),
            user_name: None,
            address: Some(c"127.0.0.1".into()),
            protocol_version: 5,
        })
    }

    /// The same for MQTT 3.1.1.
    #[must_use]
    pub fn mqtt311(id: &str) -> Box<Self> {
        Box::new(Self { protocol_version: 4, ..*Self::new(id) })
    }

    /// The stand-in for the publisher of a retained message.
    #[must_use]
    pub fn publisher(id: &str, user_name: &str) -> Box<Self> {
        Box::new(Self { user_name: CString::new(user_name).ok(), address: None, ..*Self::new(id) })
    }

    /// As the plugin sees it.
    #[must_use]
    pub fn key(&self) -> ClientKey {
        ClientKey::of(ptr::from_ref(self).cast())
    }

    /// The user name that it has now.
    #[must_use]
    pub fn user_name(&self) -> Option<&str> {
        self.user_name.as_deref().and_then(|name| name.to_str().ok())
    }

    /// The client id; empty if there is none.
    #[must_use]
    pub fn id(&self) -> &CStr {
        self.id.as_deref().unwrap_or_default()
    }

    /// Gives it a user name.
    pub fn rename(&mut self, name: &CStr) {
        self.user_name = Some(name.into());
    }

    /// Becomes another client at the same address in memory.
    pub fn reuse(&mut self, id: &str) {
        *self = *Self::new(id);
    }

    fn as_broker_sees_it(&mut self) -> *mut abi::mosquitto {
        ptr::from_mut(self).cast()
    }
}

/// A plugin loaded into the fake broker.
pub struct Fake<H: Handler> {
    loaded: *mut Loaded<H>,
}

impl<H: Handler> Fake<H> {
    /// Loads the plugin with `plugin_opt_` options.
    ///
    /// # Errors
    /// The plugin's return code and what it logged.
    pub fn load(options: &[(&str, &str)]) -> Result<Self, (c_int, Vec<String>)> {
        let texts: Vec<(CString, CString)> = options
            .iter()
            .map(|(key, value)| (CString::new(*key).unwrap_or_default(), CString::new(*value).unwrap_or_default()))
            .collect();
        let options: Vec<abi::ace_opt> = texts
            .iter()
            .map(|(key, value)| abi::ace_opt { key: key.as_ptr().cast_mut(), value: value.as_ptr().cast_mut() })
            .collect();
        STATE.with(|state| *state.borrow_mut() = State::default());
        let mut userdata = ptr::null_mut();
        let count = c_int::try_from(options.len()).unwrap_or(0);
        // SAFETY: the options are an array of C strings that outlives the call.
        let result = unsafe { init_with::<H>(broker(), &raw mut userdata, options.as_ptr(), count) };
        if result == abi::ACE_ERR_SUCCESS { Ok(Self { loaded: userdata.cast() }) } else { Err((result, log())) }
    }

    /// The plugin itself.
    #[must_use]
    pub const fn plugin(&self) -> &H {
        // SAFETY: it is loaded until `self` is dropped, and only shared references are made of it.
        unsafe { &(*self.loaded).handler }
    }

    /// `ACL_CHECK`
    pub fn acl_check(&self, client: &mut FakeClient, access: Access, topic: &str, qos: u8) -> c_int {
        let topic = CString::new(topic).unwrap_or_default();
        self.prepare_acl_check(client, access, &topic, qos).call()
    }

    /// `ACL_CHECK`, ready to be called many times.
    pub fn prepare_acl_check<'a>(
        &self,
        client: &'a mut FakeClient,
        access: Access,
        topic: &'a CStr,
        qos: u8,
    ) -> AclCheckCall<'a> {
        let access = match access {
            Access::Receive => abi::ACE_ACL_READ,
            Access::Publish => abi::ACE_ACL_WRITE,
            Access::Subscribe => abi::ACE_ACL_SUBSCRIBE,
            Access::Unsubscribe => abi::ACE_ACL_UNSUBSCRIBE,
        };
        let event = abi::ace_evt_acl_check {
            future: ptr::null_mut(),
            client: client.as_broker_sees_it(),
            topic: topic.as_ptr(),
            payload: ptr::null(),
            properties: ptr::null_mut(),
            access: access.cast_signed(),
            payloadlen: 0,
            qos,
            retain: false,
            future2: [ptr::null_mut(); 4],
        };
        let (callback, userdata) = registered(abi::ACE_EVT_ACL_CHECK);
        AclCheckCall { event, callback, userdata, topic, client }
    }

    /// `MESSAGE`, ready to be called many times. The topic's name, a NUL at its end, is the plugin's to change.
    pub fn prepare_message<'a>(&self, topic: &'a mut [u8], payload: &'a [u8]) -> MessageCall<'a> {
        assert_eq!(topic.last(), Some(&0), "a C string");
        let event = abi::ace_evt_message {
            future: ptr::null_mut(),
            client: ptr::null_mut(),
            topic: topic.as_mut_ptr().cast(),
            payload: payload.as_ptr().cast_mut().cast(),
            properties: ptr::null_mut(),
            reason_string: ptr::null_mut(),
            payloadlen: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            qos: 1,
            reason_code: 0,
            retain: true,
            future2: [ptr::null_mut(); 4],
        };
        let (callback, userdata) = registered(abi::ACE_EVT_MESSAGE);
        MessageCall { event, callback, userdata, topic: std::marker::PhantomData }
    }

    /// `BASIC_AUTH`, the password as the broker keeps it: a block of malloc, a NUL behind it, its length untold.
    pub fn basic_auth(&self, client: &mut FakeClient, user_name: Option<&str>, password: Option<&[u8]>) -> c_int {
        client.user_name = user_name.and_then(|name| CString::new(name).ok());
        let name = client.user_name.clone();
        let block = password.map(|password| {
            // SAFETY: the block is written to within its size, and released below.
            unsafe {
                let block = libc::malloc(password.len() + 1).cast::<u8>();
                ptr::copy_nonoverlapping(password.as_ptr(), block, password.len());
                *block.add(password.len()) = 0;
                block
            }
        });
        let mut event = abi::ace_evt_basic_auth {
            future: ptr::null_mut(),
            client: client.as_broker_sees_it(),
            username: name.as_deref().map_or(ptr::null_mut(), |name| name.as_ptr().cast_mut()),
            password: block.map_or(ptr::null_mut(), <*mut u8>::cast),
            password_len: 0,
            future2: [ptr::null_mut(); 3],
        };
        let result = call(abi::ACE_EVT_BASIC_AUTH, (&raw mut event).cast());
        if let Some(block) = block {
            // SAFETY: it came from malloc above.
            unsafe { libc::free(block.cast()) };
        }
        result
    }

    /// `EXT_AUTH_START`, or with `method` left out `EXT_AUTH_CONTINUE`: the code and the data that go back.
    pub fn extended_auth(&self, client: &mut FakeClient, method: Option<&str>, data: &[u8]) -> (c_int, Vec<u8>) {
        let name = method.and_then(|method| CString::new(method).ok());
        let mut event = abi::ace_evt_extended_auth {
            future: ptr::null_mut(),
            client: client.as_broker_sees_it(),
            data_in: data.as_ptr().cast(),
            data_out: ptr::null_mut(),
            data_in_len: u16::try_from(data.len()).unwrap_or(u16::MAX),
            data_out_len: 0,
            auth_method: name.as_deref().map_or(ptr::null(), CStr::as_ptr),
            future2: [ptr::null_mut(); 3],
        };
        let kind = if method.is_some() { abi::ACE_EVT_EXT_AUTH_START } else { abi::ACE_EVT_EXT_AUTH_CONTINUE };
        let result = call(kind, (&raw mut event).cast());
        let mut answer = Vec::new();
        if !event.data_out.is_null() {
            // SAFETY: the plugin made a block of that size with malloc, and gave it to us.
            unsafe {
                let bytes = std::slice::from_raw_parts(event.data_out.cast::<u8>(), usize::from(event.data_out_len));
                answer.extend_from_slice(bytes);
                libc::free(event.data_out);
            }
        }
        (result, answer)
    }

    /// `CONTROL`
    pub fn control(&self, client: &mut FakeClient, payload: &[u8]) -> c_int {
        let mut event = abi::ace_evt_control {
            future: ptr::null_mut(),
            client: client.as_broker_sees_it(),
            topic: H::CONTROL_TOPIC.as_ptr(),
            payload: payload.as_ptr().cast(),
            properties: ptr::null(),
            reason_string: ptr::null_mut(),
            payloadlen: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            qos: 1,
            reason_code: 0,
            retain: false,
            future2: [ptr::null_mut(); 4],
        };
        call(abi::ACE_EVT_CONTROL, (&raw mut event).cast())
    }

    /// `DISCONNECT`
    pub fn disconnect(&self, client: &mut FakeClient) -> c_int {
        let mut event = abi::ace_evt_disconnect {
            future: ptr::null_mut(),
            client: client.as_broker_sees_it(),
            reason: 0,
            future2: [ptr::null_mut(); 4],
        };
        call(abi::ACE_EVT_DISCONNECT, (&raw mut event).cast())
    }

    /// `TICK`: how many milliseconds the plugin lets the broker wait until the next.
    pub fn tick(&self) -> i64 {
        let mut event = abi::ace_evt_tick {
            future: ptr::null_mut(),
            now_ns: 0,
            next_ms: 0,
            now_s: 0,
            next_s: 0,
            future2: [ptr::null_mut(); 4],
        };
        call(abi::ACE_EVT_TICK, (&raw mut event).cast());
        event.next_s * 1000 + event.next_ms
    }

    /// `RELOAD`, without new options.
    pub fn reload(&self) {
        let mut event = abi::ace_evt_reload {
            future: ptr::null_mut(),
            options: ptr::null_mut(),
            option_count: 0,
            future2: [ptr::null_mut(); 4],
        };
        call(abi::ACE_EVT_RELOAD, (&raw mut event).cast());
    }

    /// The ids of the clients that the plugin has had disconnected.
    #[must_use]
    pub fn kicked(&self) -> Vec<String> {
        STATE.with(|state| std::mem::take(&mut state.borrow_mut().kicked))
    }

    /// What the plugin has sent since the last call: to which client, on which topic, what.
    #[must_use]
    pub fn sent(&self) -> Vec<(String, String, Vec<u8>)> {
        STATE.with(|state| std::mem::take(&mut state.borrow_mut().sent))
    }

    /// What the plugin has published since the last call: topics and payloads.
    #[must_use]
    pub fn published(&self) -> Vec<(String, String)> {
        STATE.with(|state| std::mem::take(&mut state.borrow_mut().published))
    }

    /// The lines that the plugin has logged since the last call.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        log()
    }
}

impl<H: Handler> Drop for Fake<H> {
    fn drop(&mut self) {
        // SAFETY: it was left by `init_with` with the same handler, and is not used again.
        let _ = unsafe { cleanup::<H>(self.loaded.cast()) };
    }
}

/// One `ACL_CHECK`, to be called again and again.
pub struct AclCheckCall<'a> {
    event: abi::ace_evt_acl_check,
    callback: Callback,
    userdata: *mut c_void,
    #[allow(dead_code)]
    topic: &'a CStr,
    #[allow(dead_code)]
    client: &'a mut FakeClient,
}

impl AclCheckCall<'_> {
    /// The plugin's return code: 0 if allowed.
    #[inline(never)]
    pub fn call(&mut self) -> c_int {
        // SAFETY: the plugin registered both; the event's pointers outlive `self`.
        unsafe { (self.callback)(abi::ACE_EVT_ACL_CHECK.cast_signed(), (&raw mut self.event).cast(), self.userdata) }
    }
}

/// One `MESSAGE`, to be called again and again.
pub struct MessageCall<'a> {
    event: abi::ace_evt_message,
    callback: Callback,
    userdata: *mut c_void,
    topic: std::marker::PhantomData<&'a mut [u8]>,
}

impl MessageCall<'_> {
    /// The plugin's return code: 0 if the message goes on.
    pub fn call(&mut self) -> c_int {
        // SAFETY: the plugin registered both; the event's pointers outlive `self`.
        unsafe { (self.callback)(abi::ACE_EVT_MESSAGE.cast_signed(), (&raw mut self.event).cast(), self.userdata) }
    }

    /// Whether the message has been emptied.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.event.payload.is_null() && self.event.payloadlen == 0 && !self.event.retain
    }
}

fn registered(event: abi::ace_event) -> (Callback, *mut c_void) {
    let known = STATE.with(|state| state.borrow().callbacks.get(&event.cast_signed()).copied());
    let Some((callback, userdata)) = known else { unreachable!("the plugin registers for each event that is driven") };
    (callback, userdata as *mut c_void)
}

fn call(event: abi::ace_event, data: *mut c_void) -> c_int {
    let (callback, userdata) = registered(event);
    // SAFETY: the plugin registered both, and `data` is the event's own.
    unsafe { callback(event.cast_signed(), data, userdata) }
}

fn log() -> Vec<String> {
    // What was logged by an event that is raised for each message is written with the next other one.
    broker().write_log();
    STATE.with(|state| std::mem::take(&mut state.borrow_mut().log))
}

pub(super) fn broker() -> Broker {
    Broker {
        functions: Functions {
            callback_register,
            callback_unregister,
            log: Log::Call(|_, line| {
                STATE.with(|state| state.borrow_mut().log.push(line.to_string_lossy().into_owned()));
            }),
            client_id,
            client_username,
            client_address,
            client_certificate: None,
            client_protocol,
            client_protocol_version,
            set_username,
            kick_client_by_clientid,
            malloc: libc::malloc,
            free: libc::free,
            broker_publish,
            broker_publish_copy,
            client: None,
            complete_basic_auth: None,
            plugin_set_info: None,
        },
        plugin: ptr::null_mut(),
    }
}

unsafe extern "C" fn callback_register(
    _: *mut c_void,
    event: c_int,
    callback: abi::ace_callback,
    _: *const c_void,
    userdata: *mut c_void,
) -> c_int {
    let Some(callback) = callback else { return abi::ACE_ERR_INVAL };
    STATE.with(|state| state.borrow_mut().callbacks.insert(event, (callback, userdata.addr())));
    abi::ACE_ERR_SUCCESS
}

unsafe extern "C" fn callback_unregister(
    _: *mut c_void,
    event: c_int,
    _: abi::ace_callback,
    _: *const c_void,
) -> c_int {
    STATE.with(|state| state.borrow_mut().callbacks.remove(&event));
    abi::ACE_ERR_SUCCESS
}

/// The fake client behind a pointer of the plugin's.
///
/// # Safety
/// The pointer must be one that this module handed out, and its client be alive.
unsafe fn fake<'a>(client: *const abi::mosquitto) -> &'a FakeClient {
    // SAFETY: the caller vouches for it.
    unsafe { &*client.cast::<FakeClient>() }
}

fn text(text: Option<&CString>) -> *const c_char {
    text.map_or(ptr::null(), |text| text.as_ptr())
}

unsafe extern "C" fn client_id(client: *const abi::mosquitto) -> *const c_char {
    // SAFETY: the plugin passes on what it was given.
    text(unsafe { fake(client) }.id.as_ref())
}

unsafe extern "C" fn client_username(client: *const abi::mosquitto) -> *const c_char {
    // SAFETY: as above.
    text(unsafe { fake(client) }.user_name.as_ref())
}

unsafe extern "C" fn client_address(client: *const abi::mosquitto) -> *const c_char {
    // SAFETY: as above.
    text(unsafe { fake(client) }.address.as_ref())
}

unsafe extern "C" fn client_protocol(_: *const abi::mosquitto) -> c_int {
    0
}

unsafe extern "C" fn client_protocol_version(client: *const abi::mosquitto) -> c_int {
    // SAFETY: as above.
    unsafe { fake(client) }.protocol_version
}

unsafe extern "C" fn set_username(client: *mut abi::mosquitto, name: *const c_char) -> c_int {
    // SAFETY: the plugin passes on what it was given, and a C string.
    unsafe { (*client.cast::<FakeClient>()).user_name = Some(CStr::from_ptr(name).into()) };
    abi::ACE_ERR_SUCCESS
}

unsafe extern "C" fn broker_publish_copy(
    _: *const c_char,
    topic: *const c_char,
    length: c_int,
    payload: *const c_void,
    _: c_int,
    _: bool,
    _: *mut c_void,
) -> c_int {
    // SAFETY: the plugin passes a C string.
    let topic = unsafe { CStr::from_ptr(topic) }.to_string_lossy().into_owned();
    let bytes = match usize::try_from(length) {
        // SAFETY: the plugin passes that many bytes.
        Ok(length) if length > 0 => unsafe { std::slice::from_raw_parts(payload.cast::<u8>(), length) },
        _ => &[],
    };
    let payload = String::from_utf8_lossy(bytes).into_owned();
    STATE.with(|state| state.borrow_mut().published.push((topic, payload)));
    abi::ACE_ERR_SUCCESS
}

unsafe extern "C" fn kick_client_by_clientid(id: *const c_char, _with_will: bool) -> c_int {
    // SAFETY: the plugin passes a C string.
    let id = unsafe { CStr::from_ptr(id) }.to_string_lossy().into_owned();
    STATE.with(|state| state.borrow_mut().kicked.push(id));
    abi::ACE_ERR_SUCCESS
}

unsafe extern "C" fn broker_publish(
    id: *const c_char,
    topic: *const c_char,
    length: c_int,
    payload: *mut c_void,
    _qos: c_int,
    _retain: bool,
    _properties: *mut c_void,
) -> c_int {
    let Ok(length) = usize::try_from(length) else { return abi::ACE_ERR_INVAL };
    // SAFETY: the plugin passes C strings, and a block of malloc's with that many bytes, which is ours from now on.
    let sent = unsafe {
        let text = |text| CStr::from_ptr(text).to_string_lossy().into_owned();
        let bytes = std::slice::from_raw_parts(payload.cast::<u8>(), length).to_vec();
        libc::free(payload);
        (text(id), text(topic), bytes)
    };
    STATE.with(|state| state.borrow_mut().sent.push(sent));
    abi::ACE_ERR_SUCCESS
}
