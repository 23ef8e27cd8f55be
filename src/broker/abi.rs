// Generated from include/mosquitto_ace_abi.h by `cargo xtask bindings`: change that file, not this one.

pub type size_t = core::ffi::c_ulong;
pub type __time_t = core::ffi::c_long;
pub type time_t = __time_t;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct mosquitto {
    _unused: [u8; 0],
}
pub const ACE_PLUGIN_VERSION: ace_constants = 5;
pub const ACE_CLIENT_PROTOCOL_WEBSOCKETS: ace_constants = 2;
pub type ace_constants = core::ffi::c_uint;
pub const ACE_ERR_AUTH_DELAYED: ace_err = -5;
pub const ACE_ERR_AUTH_CONTINUE: ace_err = -4;
pub const ACE_ERR_SUCCESS: ace_err = 0;
pub const ACE_ERR_NOMEM: ace_err = 1;
pub const ACE_ERR_INVAL: ace_err = 3;
pub const ACE_ERR_NOT_SUPPORTED: ace_err = 10;
pub const ACE_ERR_AUTH: ace_err = 11;
pub const ACE_ERR_ACL_DENIED: ace_err = 12;
pub const ACE_ERR_UNKNOWN: ace_err = 13;
pub const ACE_ERR_PLUGIN_DEFER: ace_err = 17;
pub type ace_err = core::ffi::c_int;
pub const ACE_ACL_READ: ace_acl = 1;
pub const ACE_ACL_WRITE: ace_acl = 2;
pub const ACE_ACL_SUBSCRIBE: ace_acl = 4;
pub const ACE_ACL_UNSUBSCRIBE: ace_acl = 8;
pub type ace_acl = core::ffi::c_uint;
pub const ACE_LOG_INFO: ace_log = 1;
pub const ACE_LOG_NOTICE: ace_log = 2;
pub const ACE_LOG_WARNING: ace_log = 4;
pub const ACE_LOG_ERR: ace_log = 8;
pub const ACE_LOG_DEBUG: ace_log = 16;
pub type ace_log = core::ffi::c_uint;
pub const ACE_EVT_RELOAD: ace_event = 1;
pub const ACE_EVT_ACL_CHECK: ace_event = 2;
pub const ACE_EVT_BASIC_AUTH: ace_event = 3;
pub const ACE_EVT_EXT_AUTH_START: ace_event = 4;
pub const ACE_EVT_EXT_AUTH_CONTINUE: ace_event = 5;
pub const ACE_EVT_CONTROL: ace_event = 6;
pub const ACE_EVT_MESSAGE: ace_event = 7;
pub const ACE_EVT_PSK_KEY: ace_event = 8;
pub const ACE_EVT_TICK: ace_event = 9;
pub const ACE_EVT_DISCONNECT: ace_event = 10;
pub const ACE_EVT_CLIENT_OFFLINE: ace_event = 28;
pub const ACE_EVT_PERSIST_WILL_ADD: ace_event = 29;
pub type ace_event = core::ffi::c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct ace_opt {
    pub key: *mut core::ffi::c_char,
    pub value: *mut core::ffi::c_char,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct ace_evt_reload {
    pub future: *mut core::ffi::c_void,
    pub options: *mut ace_opt,
    pub option_count: core::ffi::c_int,
    pub future2: [*mut core::ffi::c_void; 4usize],
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct ace_evt_acl_check {
    pub future: *mut core::ffi::c_void,
    pub client: *mut mosquitto,
    pub topic: *const core::ffi::c_char,
    pub payload: *const core::ffi::c_void,
    pub properties: *mut core::ffi::c_void,
    pub access: core::ffi::c_int,
    pub payloadlen: u32,
    pub qos: u8,
    pub retain: bool,
    pub future2: [*mut core::ffi::c_void; 4usize],
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct ace_evt_basic_auth {
    pub future: *mut core::ffi::c_void,
    pub client: *mut mosquitto,
    pub username: *mut core::ffi::c_char,
    pub password: *mut core::ffi::c_char,
    pub password_len: u16,
    pub future2: [*mut core::ffi::c_void; 3usize],
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct ace_evt_extended_auth {
    pub future: *mut core::ffi::c_void,
    pub client: *mut mosquitto,
    pub data_in: *const core::ffi::c_void,
    pub data_out: *mut core::ffi::c_void,
    pub data_in_len: u16,
    pub data_out_len: u16,
    pub auth_method: *const core::ffi::c_char,
    pub future2: [*mut core::ffi::c_void; 3usize],
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct ace_evt_control {
    pub future: *mut core::ffi::c_void,
    pub client: *mut mosquitto,
    pub topic: *const core::ffi::c_char,
    pub payload: *const core::ffi::c_void,
    pub properties: *const core::ffi::c_void,
    pub reason_string: *mut core::ffi::c_char,
    pub payloadlen: u32,
    pub qos: u8,
    pub reason_code: u8,
    pub retain: bool,
    pub future2: [*mut core::ffi::c_void; 4usize],
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct ace_evt_message {
    pub future: *mut core::ffi::c_void,
    pub client: *mut mosquitto,
    pub topic: *mut core::ffi::c_char,
    pub payload: *mut core::ffi::c_void,
    pub properties: *mut core::ffi::c_void,
    pub reason_string: *mut core::ffi::c_char,
    pub payloadlen: u32,
    pub qos: u8,
    pub reason_code: u8,
    pub retain: bool,
    pub future2: [*mut core::ffi::c_void; 4usize],
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct ace_evt_psk_key {
    pub future: *mut core::ffi::c_void,
    pub client: *mut mosquitto,
    pub hint: *const core::ffi::c_char,
    pub identity: *const core::ffi::c_char,
    pub key: *mut core::ffi::c_char,
    pub max_key_len: core::ffi::c_int,
    pub future2: [*mut core::ffi::c_void; 4usize],
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct ace_evt_tick {
    pub future: *mut core::ffi::c_void,
    pub now_ns: core::ffi::c_long,
    pub next_ms: core::ffi::c_long,
    pub now_s: time_t,
    pub next_s: time_t,
    pub future2: [*mut core::ffi::c_void; 4usize],
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct ace_evt_disconnect {
    pub future: *mut core::ffi::c_void,
    pub client: *mut mosquitto,
    pub reason: core::ffi::c_int,
    pub future2: [*mut core::ffi::c_void; 4usize],
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct ace_evt_persist_will_msg {
    pub future: *mut core::ffi::c_void,
    pub clientid: *const core::ffi::c_char,
    pub payload: *mut core::ffi::c_void,
    pub topic: *mut core::ffi::c_char,
    pub properties: *mut core::ffi::c_void,
    pub payloadlen: u32,
    pub qos: u8,
    pub retain: bool,
    pub future2: [*mut core::ffi::c_void; 8usize],
}
pub type ace_callback = ::core::option::Option<
    unsafe extern "C" fn(
        event: core::ffi::c_int,
        event_data: *mut core::ffi::c_void,
        userdata: *mut core::ffi::c_void,
    ) -> core::ffi::c_int,
>;
pub type ace_fn_callback_register = ::core::option::Option<
    unsafe extern "C" fn(
        plugin: *mut core::ffi::c_void,
        event: core::ffi::c_int,
        callback: ace_callback,
        event_data: *const core::ffi::c_void,
        userdata: *mut core::ffi::c_void,
    ) -> core::ffi::c_int,
>;
pub type ace_fn_callback_unregister = ::core::option::Option<
    unsafe extern "C" fn(
        plugin: *mut core::ffi::c_void,
        event: core::ffi::c_int,
        callback: ace_callback,
        event_data: *const core::ffi::c_void,
    ) -> core::ffi::c_int,
>;
pub type ace_fn_log_printf =
    ::core::option::Option<unsafe extern "C" fn(level: core::ffi::c_int, format: *const core::ffi::c_char, ...)>;
pub type ace_fn_client_text =
    ::core::option::Option<unsafe extern "C" fn(client: *const mosquitto) -> *const core::ffi::c_char>;
pub type ace_fn_client_certificate =
    ::core::option::Option<unsafe extern "C" fn(client: *const mosquitto) -> *mut core::ffi::c_void>;
pub type ace_fn_client_number =
    ::core::option::Option<unsafe extern "C" fn(client: *const mosquitto) -> core::ffi::c_int>;
pub type ace_fn_set_username = ::core::option::Option<
    unsafe extern "C" fn(client: *mut mosquitto, username: *const core::ffi::c_char) -> core::ffi::c_int,
>;
pub type ace_fn_kick_client = ::core::option::Option<
    unsafe extern "C" fn(client_id: *const core::ffi::c_char, with_will: bool) -> core::ffi::c_int,
>;
pub type ace_fn_malloc = ::core::option::Option<unsafe extern "C" fn(size: size_t) -> *mut core::ffi::c_void>;
pub type ace_fn_free = ::core::option::Option<unsafe extern "C" fn(block: *mut core::ffi::c_void)>;
pub type ace_fn_broker_publish = ::core::option::Option<
    unsafe extern "C" fn(
        client_id: *const core::ffi::c_char,
        topic: *const core::ffi::c_char,
        payloadlen: core::ffi::c_int,
        payload: *mut core::ffi::c_void,
        qos: core::ffi::c_int,
        retain: bool,
        properties: *mut core::ffi::c_void,
    ) -> core::ffi::c_int,
>;
pub type ace_fn_broker_publish_copy = ::core::option::Option<
    unsafe extern "C" fn(
        client_id: *const core::ffi::c_char,
        topic: *const core::ffi::c_char,
        payload_length: core::ffi::c_int,
        payload: *const core::ffi::c_void,
        qos: core::ffi::c_int,
        retain: bool,
        properties: *mut core::ffi::c_void,
    ) -> core::ffi::c_int,
>;
pub type ace_fn_client =
    ::core::option::Option<unsafe extern "C" fn(client_id: *const core::ffi::c_char) -> *mut mosquitto>;
pub type ace_fn_complete_basic_auth =
    ::core::option::Option<unsafe extern "C" fn(client_id: *const core::ffi::c_char, result: core::ffi::c_int)>;
pub type ace_fn_plugin_set_info = ::core::option::Option<
    unsafe extern "C" fn(
        plugin: *mut core::ffi::c_void,
        name: *const core::ffi::c_char,
        version: *const core::ffi::c_char,
    ) -> core::ffi::c_int,
>;
