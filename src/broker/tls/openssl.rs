//! OpenSSL's functions, looked up in the process. The declarations are ours, after OpenSSL's public documentation.

use std::ffi::{CStr, c_char, c_int, c_long, c_uchar, c_ulong, c_void};
use std::ptr::{self, NonNull};

use super::super::functions::lookup;

/// An `SSL`, only ever seen by address.
#[repr(C)]
pub(super) struct Ssl {
    opaque: [u8; 0],
}

/// An `SSL_CTX`, only ever seen by address.
#[repr(C)]
pub(super) struct SslContext {
    opaque: [u8; 0],
}

/// What OpenSSL tells of being made and freed.
#[derive(Clone, Copy)]
pub(super) enum Watched {
    /// `CRYPTO_EX_INDEX_SSL`
    Connections = 0,
    /// `CRYPTO_EX_INDEX_SSL_CTX`
    Contexts = 1,
}

/// `SSL_CTRL_GET_EXTMS_SUPPORT`
const CTRL_GET_EXTMS_SUPPORT: c_int = 122;
/// `TLS1_2_VERSION`
pub(super) const TLS_1_2: c_int = 0x0303;
/// `TLS1_3_VERSION`
pub(super) const TLS_1_3: c_int = 0x0304;
/// `SSL3_RT_HEADER`: a message callback's content type for the five bytes of a record's header.
pub(super) const RECORD_HEADER: c_int = 0x100;
/// `SSL3_RT_INNER_CONTENT_TYPE`: the same for the type inside an encrypted record of TLS 1.3.
pub(super) const INNER_CONTENT_TYPE: c_int = 0x101;
/// `SSL3_RT_HANDSHAKE`: the same for a whole handshake message,
pub(super) const HANDSHAKE: c_int = 22;
/// and as the type of a record.
pub(super) const HANDSHAKE_RECORD: c_uchar = 22;
/// `SSL3_MT_CLIENT_HELLO`
pub(super) const CLIENT_HELLO: c_uchar = 1;
/// `SSL3_MT_SERVER_HELLO`
pub(super) const SERVER_HELLO: c_uchar = 2;
/// `SSL3_RT_APPLICATION_DATA`
pub(super) const APPLICATION_DATA: c_uchar = 23;

/// `CRYPTO_EX_new`; `CRYPTO_EX_free` has the same type.
pub(super) type ExtraDataCallback =
    unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void, c_int, c_long, *mut c_void);
pub(super) type MessageCallback =
    unsafe extern "C" fn(c_int, c_int, c_int, *const c_void, usize, *mut Ssl, *mut c_void);

type NewIndex = unsafe extern "C" fn(
    c_int,
    c_long,
    *mut c_void,
    Option<ExtraDataCallback>,
    *mut c_void,
    Option<ExtraDataCallback>,
) -> c_int;
type ExportKeyingMaterial =
    unsafe extern "C" fn(*mut Ssl, *mut c_uchar, usize, *const c_char, usize, *const c_uchar, usize, c_int) -> c_int;

/// The functions that we use.
#[derive(Clone, Copy)]
pub(super) struct OpenSsl {
    get_ex_new_index: NewIndex,
    free_ex_index: unsafe extern "C" fn(c_int, c_int) -> c_int,
    get_ex_data: unsafe extern "C" fn(*const Ssl, c_int) -> *mut c_void,
    context_set_message_callback: unsafe extern "C" fn(*mut SslContext, Option<MessageCallback>),
    export_keying_material: ExportKeyingMaterial,
    version: unsafe extern "C" fn(*const Ssl) -> c_int,
    is_init_finished: unsafe extern "C" fn(*const Ssl) -> c_int,
    get_psk_identity: unsafe extern "C" fn(*const Ssl) -> *const c_char,
    session_reused: unsafe extern "C" fn(*const Ssl) -> c_int,
    control: unsafe extern "C" fn(*mut Ssl, c_int, c_long, *mut c_void) -> c_long,
    write: unsafe extern "C" fn(*mut Ssl, *const c_void, c_int) -> c_int,
    get_fd: unsafe extern "C" fn(*const Ssl) -> c_int,
    peer_certificate: unsafe extern "C" fn(*const Ssl) -> *mut c_void,
    pub(super) certificates: CertificateFunctions,
    /// Since OpenSSL 3.2.
    pub(super) raw_keys: Option<RawKeyFunctions>,
    clear_errors: unsafe extern "C" fn(),
}

// The methods below take pointers that the registry knows to be alive.
impl OpenSsl {
    /// `None` if the process has no OpenSSL, or one older than 1.1.1.
    pub(super) fn look_up() -> Option<Self> {
        // SAFETY: each field's type is that of the function in OpenSSL's manual.
        unsafe {
            Some(Self {
                get_ex_new_index: lookup(c"CRYPTO_get_ex_new_index")?,
                free_ex_index: lookup(c"CRYPTO_free_ex_index")?,
                get_ex_data: lookup(c"SSL_get_ex_data")?,
                context_set_message_callback: lookup(c"SSL_CTX_set_msg_callback")?,
                export_keying_material: lookup(c"SSL_export_keying_material")?,
                version: lookup(c"SSL_version")?,
                is_init_finished: lookup(c"SSL_is_init_finished")?,
                get_psk_identity: lookup(c"SSL_get_psk_identity")?,
                session_reused: lookup(c"SSL_session_reused")?,
                control: lookup(c"SSL_ctrl")?,
                write: lookup(c"SSL_write")?,
                get_fd: lookup(c"SSL_get_fd")?,
                // The second is its name before OpenSSL 3.
                peer_certificate: lookup(c"SSL_get1_peer_certificate").or(lookup(c"SSL_get_peer_certificate"))?,
                certificates: CertificateFunctions::look_up()?,
                raw_keys: RawKeyFunctions::look_up(),
                clear_errors: lookup(c"ERR_clear_error")?,
            })
        }
    }

    /// Asks to be called for each `SSL`, or each `SSL_CTX`, that is made and freed. The index of the extra data; `None` if
    /// refused.
    pub(super) fn watch(
        &self,
        what: Watched,
        made: ExtraDataCallback,
        freed: Option<ExtraDataCallback>,
    ) -> Option<c_int> {
        // SAFETY: both callbacks have the documented type and stay in memory.
        let index =
            unsafe { (self.get_ex_new_index)(what as c_int, 0, ptr::null_mut(), Some(made), ptr::null_mut(), freed) };
        (index >= 0).then_some(index)
    }

    /// Takes that back.
    pub(super) fn stop_watching(&self, what: Watched, index: c_int) {
        // SAFETY: the index is one that `watch` gave.
        unsafe { (self.free_ex_index)(what as c_int, index) };
    }

    /// Has `callback` called for each record of the connections that are made from this context from now on.
    ///
    /// The context may be one that is just being made: this sets a field of it and nothing else. The same cannot be done
    /// with a connection that is just being made: from OpenSSL 3.2 on, it has no method yet that could be asked.
    pub(super) fn watch_records(&self, context: *mut SslContext, callback: MessageCallback) {
        // SAFETY: the context is alive (see above), and the callback stays in memory.
        unsafe { (self.context_set_message_callback)(context, Some(callback)) };
    }

    pub(super) fn extra_data(&self, ssl: *mut Ssl, index: c_int) -> *mut c_void {
        // SAFETY: the connection is alive; an index without data gives null.
        unsafe { (self.get_ex_data)(ssl, index) }
    }

    pub(super) fn version(&self, ssl: *mut Ssl) -> c_int {
        // SAFETY: the connection is alive.
        unsafe { (self.version)(ssl) }
    }

    pub(super) fn is_resumed(&self, ssl: *mut Ssl) -> bool {
        // SAFETY: the connection is alive.
        unsafe { (self.session_reused)(ssl) != 0 }
    }

    pub(super) fn is_handshake_finished(&self, ssl: *mut Ssl) -> bool {
        // SAFETY: the connection is alive.
        unsafe { (self.is_init_finished)(ssl) != 0 }
    }

    /// The identity of the pre-shared key that a session of TLS 1.2 rests on.
    pub(super) fn psk_identity(&self, ssl: *mut Ssl) -> Option<Box<[u8]>> {
        // SAFETY: the connection is alive.
        let identity = unsafe { (self.get_psk_identity)(ssl) };
        // SAFETY: OpenSSL's identities end with NUL, and are the session's.
        (!identity.is_null()).then(|| unsafe { CStr::from_ptr(identity) }.to_bytes().into())
    }

    /// Whether this is the certificate that the connection's peer has shown.
    pub(super) fn has_peer_certificate(&self, ssl: *mut Ssl, certificate: NonNull<c_void>) -> bool {
        // SAFETY: the connection is alive.
        let Some(shown) = NonNull::new(unsafe { (self.peer_certificate)(ssl) }) else { return false };
        self.certificates.free(shown);
        // Both are references to one object, which the caller's keeps alive.
        shown == certificate
    }

    /// Whether the extended master secret was negotiated (RFC 7627).
    pub(super) fn has_extended_master_secret(&self, ssl: *mut Ssl) -> bool {
        // SAFETY: the connection is alive, and this control takes no argument.
        unsafe { (self.control)(ssl, CTRL_GET_EXTMS_SUPPORT, 0, ptr::null_mut()) == 1 }
    }

    /// The exporter's value for a label and an empty context: present and of zero length (RFC 5705, RFC 8446 §7.5).
    pub(super) fn export<const BYTES: usize>(&self, ssl: *mut Ssl, label: &str) -> Option<[u8; BYTES]> {
        let mut value = [0; BYTES];
        let context: &CStr = c"";
        // SAFETY: the connection is alive; each pointer is to as many bytes as the length beside it says.
        let result = unsafe {
            (self.export_keying_material)(
                ssl,
                value.as_mut_ptr(),
                BYTES,
                label.as_ptr().cast(),
                label.len(),
                context.as_ptr().cast(),
                0,
                1,
            )
        };
        if result != 1 {
            self.clear_errors();
            return None;
        }
        Some(value)
    }

    /// Sends bytes as the broker would. If OpenSSL still holds a record of the broker's that the socket did not take, it
    /// refuses ours, since it is not a repetition of that one, and nothing is sent.
    pub(super) fn write(&self, ssl: *mut Ssl, bytes: &[u8]) -> bool {
        let Ok(length) = c_int::try_from(bytes.len()) else { return false };
        // SAFETY: the connection is alive, and the pointer is to that many bytes.
        let written = unsafe { (self.write)(ssl, bytes.as_ptr().cast(), length) };
        if written != length {
            self.clear_errors();
        }
        written == length
    }

    /// Ends both directions of the socket; what has been written still arrives. The descriptor stays the broker's to close.
    pub(super) fn shut_socket_down(&self, ssl: *mut Ssl) {
        // SAFETY: the connection is alive, and so is its socket, if it has one; without one nothing happens.
        unsafe { libc::shutdown((self.get_fd)(ssl), libc::SHUT_RDWR) };
    }

    /// How many bytes have to have come before the kernel says that there is something to read. `false` if it does not take that.
    pub(super) fn set_low_water(&self, ssl: *mut Ssl, bytes: c_int) -> bool {
        // SAFETY: the connection is alive, and so is its socket, if it has one; without one the kernel refuses. The value is an int,
        // as the kernel expects.
        unsafe {
            let length = libc::socklen_t::try_from(size_of::<c_int>()).unwrap_or(0);
            let value = ptr::from_ref(&bytes).cast();
            libc::setsockopt((self.get_fd)(ssl), libc::SOL_SOCKET, libc::SO_RCVLOWAT, value, length) == 0
        }
    }

    /// The broker asks OpenSSL's queue for the error of its own calls: what ours left there must not be found.
    fn clear_errors(&self) {
        // SAFETY: it takes no arguments.
        unsafe { (self.clear_errors)() };
    }
}

/// `NID_commonName`
const COMMON_NAME: c_int = 13;
/// `XN_FLAG_RFC2253`: `ASN1_STRFLGS_RFC2253 | XN_FLAG_SEP_COMMA_PLUS | XN_FLAG_DN_REV | XN_FLAG_FN_SN | XN_FLAG_DUMP_UNKNOWN_FIELDS`
const RFC_2253: c_ulong = 0x0111_0317;

type ToDer = unsafe extern "C" fn(*const c_void, *mut *mut c_uchar) -> c_int;

/// OpenSSL's functions for certificates.
#[derive(Clone, Copy)]
pub(super) struct CertificateFunctions {
    free: unsafe extern "C" fn(*mut c_void),
    certificate_to_der: ToDer,
    public_key: unsafe extern "C" fn(*const c_void) -> *mut c_void,
    public_key_to_der: ToDer,
    subject_name: unsafe extern "C" fn(*const c_void) -> *mut c_void,
    name_text: unsafe extern "C" fn(*const c_void, c_int, *mut c_char, c_int) -> c_int,
    print_name: unsafe extern "C" fn(*mut c_void, *const c_void, c_int, c_ulong) -> c_int,
    memory_method: unsafe extern "C" fn() -> *const c_void,
    new_stream: unsafe extern "C" fn(*const c_void) -> *mut c_void,
    read_stream: unsafe extern "C" fn(*mut c_void, *mut c_void, c_int) -> c_int,
    free_stream: unsafe extern "C" fn(*mut c_void) -> c_int,
}

// The methods below take certificates that are alive.
impl CertificateFunctions {
    fn look_up() -> Option<Self> {
        // SAFETY: each field's type is that of the function in OpenSSL's manual.
        unsafe {
            Some(Self {
                free: lookup(c"X509_free")?,
                certificate_to_der: lookup(c"i2d_X509")?,
                public_key: lookup(c"X509_get_X509_PUBKEY")?,
                public_key_to_der: lookup(c"i2d_X509_PUBKEY")?,
                subject_name: lookup(c"X509_get_subject_name")?,
                name_text: lookup(c"X509_NAME_get_text_by_NID")?,
                print_name: lookup(c"X509_NAME_print_ex")?,
                memory_method: lookup(c"BIO_s_mem")?,
                new_stream: lookup(c"BIO_new")?,
                read_stream: lookup(c"BIO_read")?,
                free_stream: lookup(c"BIO_free")?,
            })
        }
    }

    /// Gives a reference to a certificate back.
    pub(super) fn free(&self, certificate: NonNull<c_void>) {
        // SAFETY: the caller gives its reference up.
        unsafe { (self.free)(certificate.as_ptr()) };
    }

    pub(super) fn certificate_der(&self, certificate: NonNull<c_void>, most: usize) -> Option<Vec<u8>> {
        der(self.certificate_to_der, certificate, most)
    }

    pub(super) fn public_key_der(&self, certificate: NonNull<c_void>, most: usize) -> Option<Vec<u8>> {
        // SAFETY: the certificate is alive; the key is a part of it.
        let key = NonNull::new(unsafe { (self.public_key)(certificate.as_ptr()) })?;
        der(self.public_key_to_der, key, most)
    }

    /// The first common name of the subject, if it is no longer than `most`.
    pub(super) fn common_name(&self, certificate: NonNull<c_void>, most: usize) -> Option<Vec<u8>> {
        // SAFETY: the certificate is alive; the name is a part of it.
        let name = NonNull::new(unsafe { (self.subject_name)(certificate.as_ptr()) })?;
        // Room for one byte too many, and a zero.
        let mut text = vec![0; most + 2];
        let room = c_int::try_from(text.len()).ok()?;
        // SAFETY: the name is alive, and the buffer has that much room.
        let length = unsafe { (self.name_text)(name.as_ptr(), COMMON_NAME, text.as_mut_ptr().cast(), room) };
        text.truncate(usize::try_from(length).ok().filter(|length| *length <= most)?);
        Some(text)
    }

    /// The whole subject as RFC 2253 writes it, if it is no longer than `most`.
    pub(super) fn subject(&self, certificate: NonNull<c_void>, most: usize) -> Option<Vec<u8>> {
        // SAFETY: the certificate is alive; the name is a part of it.
        let name = NonNull::new(unsafe { (self.subject_name)(certificate.as_ptr()) })?;
        let mut text = vec![0; most + 1];
        let room = c_int::try_from(text.len()).ok()?;
        // SAFETY: a stream in memory is made, written, read within the buffer's room, and freed.
        let length = unsafe {
            let stream = NonNull::new((self.new_stream)((self.memory_method)()))?;
            let printed = (self.print_name)(stream.as_ptr(), name.as_ptr(), 0, RFC_2253);
            let length = (self.read_stream)(stream.as_ptr(), text.as_mut_ptr().cast(), room);
            (self.free_stream)(stream.as_ptr());
            if printed < 0 { -1 } else { length }
        };
        text.truncate(usize::try_from(length).ok().filter(|length| *length <= most)?);
        Some(text)
    }
}

/// Something of OpenSSL's in DER, if it is no longer than `most`.
fn der(encode: ToDer, what: NonNull<c_void>, most: usize) -> Option<Vec<u8>> {
    // SAFETY: the caller vouches for the object; without a buffer, only the length is told.
    let length = unsafe { encode(what.as_ptr(), ptr::null_mut()) };
    let length = usize::try_from(length).ok().filter(|length| (1..=most).contains(length))?;
    let mut bytes = vec![0; length];
    let mut end = bytes.as_mut_ptr();
    // SAFETY: as above, and the buffer has as much room as was asked for.
    let written = unsafe { encode(what.as_ptr(), &raw mut end) };
    (usize::try_from(written) == Ok(length)).then_some(bytes)
}

/// `SSL_VERIFY_PEER`
const VERIFY_PEER: c_int = 1;
/// `TLSEXT_cert_type_rpk` and `TLSEXT_cert_type_x509` (RFC 7250): raw public keys first, since a client that offers them means them.
const KEY_TYPES: [c_uchar; 2] = [2, 0];

/// `SSL_verify_cb`
pub(super) type VerifyCallback = unsafe extern "C" fn(c_int, *mut c_void) -> c_int;

/// OpenSSL's functions for raw public keys (RFC 7250).
#[derive(Clone, Copy)]
pub(super) struct RawKeyFunctions {
    is_server: unsafe extern "C" fn(*const Ssl) -> c_int,
    verify_mode: unsafe extern "C" fn(*const Ssl) -> c_int,
    set_verify: unsafe extern "C" fn(*mut Ssl, c_int, Option<VerifyCallback>),
    set_client_types: unsafe extern "C" fn(*mut Ssl, *const c_uchar, usize) -> c_int,
    peer_key: unsafe extern "C" fn(*const Ssl) -> *mut c_void,
    key_to_der: ToDer,
    key_being_verified: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    connection_index: unsafe extern "C" fn() -> c_int,
    connection_being_verified: unsafe extern "C" fn(*const c_void, c_int) -> *mut c_void,
    context: unsafe extern "C" fn(*const Ssl) -> *mut SslContext,
    context_verify_callback: unsafe extern "C" fn(*const SslContext) -> Option<VerifyCallback>,
}

// The methods below take connections and verifications that are alive.
impl RawKeyFunctions {
    fn look_up() -> Option<Self> {
        // SAFETY: each field's type is that of the function in OpenSSL's manual.
        unsafe {
            Some(Self {
                is_server: lookup(c"SSL_is_server")?,
                verify_mode: lookup(c"SSL_get_verify_mode")?,
                set_verify: lookup(c"SSL_set_verify")?,
                set_client_types: lookup(c"SSL_set1_client_cert_type")?,
                peer_key: lookup(c"SSL_get0_peer_rpk")?,
                key_to_der: lookup(c"i2d_PUBKEY")?,
                key_being_verified: lookup(c"X509_STORE_CTX_get0_rpk")?,
                connection_index: lookup(c"SSL_get_ex_data_X509_STORE_CTX_idx")?,
                connection_being_verified: lookup(c"X509_STORE_CTX_get_ex_data")?,
                context: lookup(c"SSL_get_SSL_CTX")?,
                context_verify_callback: lookup(c"SSL_CTX_get_verify_callback")?,
            })
        }
    }

    /// Has a connection whose client must show a certificate take raw public keys, too, and `callback` judge both.
    pub(super) fn allow(&self, ssl: *mut Ssl, callback: VerifyCallback) {
        // SAFETY: the connection is alive; the list has as many bytes as the length says and is copied; the callback stays in
        // memory.
        unsafe {
            let mode = (self.verify_mode)(ssl);
            let asks_clients = (self.is_server)(ssl) == 1 && mode & VERIFY_PEER != 0;
            if asks_clients && (self.set_client_types)(ssl, KEY_TYPES.as_ptr(), KEY_TYPES.len()) == 1 {
                (self.set_verify)(ssl, mode, Some(callback));
            }
        }
    }

    /// The raw public key that the client has proved in its handshake, in DER.
    pub(super) fn peer_key_der(&self, ssl: *mut Ssl, most: usize) -> Option<Vec<u8>> {
        // SAFETY: the connection is alive; the key is a part of its session.
        der(self.key_to_der, NonNull::new(unsafe { (self.peer_key)(ssl) })?, most)
    }

    /// Whether a raw public key is being verified, and no certificate.
    pub(super) fn verifies_key(&self, verification: *mut c_void) -> bool {
        // SAFETY: the verification is alive.
        unsafe { !(self.key_being_verified)(verification).is_null() }
    }

    /// The raw public key that is being verified, in DER.
    pub(super) fn key_being_verified_der(&self, verification: *mut c_void, most: usize) -> Option<Vec<u8>> {
        // SAFETY: the verification is alive, and has the key.
        der(self.key_to_der, NonNull::new(unsafe { (self.key_being_verified)(verification) })?, most)
    }

    /// What the broker would say to a certificate.
    pub(super) fn broker_says(&self, verdict: c_int, verification: *mut c_void) -> c_int {
        // SAFETY: the verification is alive, and belongs to a connection, which has a context. The callback is the broker's for
        // just this.
        unsafe {
            let ssl = (self.connection_being_verified)(verification, (self.connection_index)()).cast::<Ssl>();
            if ssl.is_null() {
                return 0;
            }
            match (self.context_verify_callback)((self.context)(ssl)) {
                Some(callback) => callback(verdict, verification),
                None => verdict,
            }
        }
    }
}
