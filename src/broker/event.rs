//! Views of the broker's events: each borrows what the broker handed in, for as long as the callback runs.

use std::ffi::{CStr, c_char, c_void};
use std::slice;

use ace_resource_server::rights::Access;

use super::abi;
use super::client::Client;
use super::functions::Broker;

/// The longest password that MQTT can carry, in bytes.
const PASSWORD_BYTES_MAX: usize = 65_535;

/// The `plugin_opt_` lines of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options(Vec<(String, String)>);

impl Options {
    /// Copies the options.
    ///
    /// # Safety
    /// `options` must point to `count` options of C strings, or be null.
    pub(super) unsafe fn read(options: *const abi::ace_opt, count: std::ffi::c_int) -> Self {
        let count = usize::try_from(count).unwrap_or(0);
        if options.is_null() || count == 0 {
            return Self::default();
        }
        // SAFETY: the caller vouches for the array.
        let options = unsafe { slice::from_raw_parts(options, count) };
        let text = |text: *const std::ffi::c_char| {
            // SAFETY: the caller vouches for the texts.
            (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
        };
        Self(options.iter().filter_map(|option| Some((text(option.key)?, text(option.value)?))).collect())
    }

    /// The value of `plugin_opt_<name>`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The names of all options.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }
}

/// What the broker's number for an access stands for.
#[inline(always)]
const fn access(number: std::ffi::c_int) -> Option<Access> {
    /// The bits at the places that are numbers of the type.
    const KNOWN: u32 =
        1 << abi::ACE_ACL_READ | 1 << abi::ACE_ACL_WRITE | 1 << abi::ACE_ACL_SUBSCRIBE | 1 << abi::ACE_ACL_UNSUBSCRIBE;
    let number = number.cast_unsigned();
    if number >= u32::BITS || (KNOWN >> number) & 1 == 0 {
        return None;
    }
    // SAFETY: it is one of the numbers of the type.
    Some(unsafe { std::mem::transmute::<u32, Access>(number) })
}

const _: () = assert!(
    Access::Receive as u32 == abi::ACE_ACL_READ
        && Access::Publish as u32 == abi::ACE_ACL_WRITE
        && Access::Subscribe as u32 == abi::ACE_ACL_SUBSCRIBE
        && Access::Unsubscribe as u32 == abi::ACE_ACL_UNSUBSCRIBE
);

/// `MOSQ_EVT_ACL_CHECK`.
///
/// Read piece by piece: two pointers go through registers, where what they lead to would be copied for each message.
#[derive(Clone, Copy)]
pub struct AclCheck<'a> {
    broker: &'a Broker,
    event: &'a abi::ace_evt_acl_check,
}

impl<'a> AclCheck<'a> {
    /// What a message that is to be published says; empty where nothing is published.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        let length = usize::try_from(self.event.payloadlen).unwrap_or(0);
        if self.event.payload.is_null() || self.access() != Access::Publish {
            return &[];
        }
        // SAFETY: the broker hands in that many bytes, and they live while the event is handled.
        unsafe { slice::from_raw_parts(self.event.payload.cast(), length) }
    }

    /// # Safety
    /// `event` must be what the broker handed in for `MOSQ_EVT_ACL_CHECK`, valid and unchanged for `'a`.
    #[inline]
    pub(super) unsafe fn read(broker: &'a Broker, event: *const c_void) -> Option<Self> {
        // SAFETY: the caller vouches for the event.
        let event = unsafe { &*event.cast::<abi::ace_evt_acl_check>() };
        let complete = !event.topic.is_null() && !event.client.is_null() && access(event.access).is_some();
        complete.then_some(Self { broker, event })
    }

    /// Who wants it.
    #[inline(always)]
    #[must_use]
    pub const fn client(&self) -> Client<'a> {
        self.broker.client(self.event.client)
    }

    /// The topic name or filter, as sent. Its length is counted each time.
    #[inline(always)]
    #[must_use]
    pub fn topic(&self) -> &'a [u8] {
        // SAFETY: it is not null, and the broker's topics end with NUL.
        unsafe { CStr::from_ptr(self.event.topic) }.to_bytes()
    }

    /// What is wanted.
    #[inline(always)]
    #[must_use]
    pub const fn access(&self) -> Access {
        // SAFETY: `read` lets through only the numbers of the type.
        unsafe { std::mem::transmute::<i32, Access>(self.event.access) }
    }

    /// The quality of service of a message.
    #[inline]
    #[must_use]
    pub const fn qos(&self) -> u8 {
        self.event.qos
    }
}

/// `MOSQ_EVT_MESSAGE`, from 2.1 on `MOSQ_EVT_MESSAGE_IN`: a message that may be published is about to be forwarded. A Will
/// comes without it.
pub struct Message<'a> {
    event: &'a mut abi::ace_evt_message,
}

impl<'a> Message<'a> {
    /// # Safety
    /// `event` must be what the broker handed in for this event, valid for `'a`, and nobody else look at it for so long.
    #[inline]
    pub(super) unsafe fn read(event: *mut c_void) -> Option<Self> {
        // SAFETY: the caller vouches for the event.
        let event = unsafe { event.cast::<abi::ace_evt_message>().as_mut() }?;
        (!event.topic.is_null()).then_some(Self { event })
    }

    /// The topic's name.
    #[inline]
    #[must_use]
    pub fn topic(&self) -> &[u8] {
        // SAFETY: the broker's topics end with NUL.
        unsafe { CStr::from_ptr(self.event.topic) }.to_bytes()
    }

    /// Takes everything out of the message that it says: it goes to another topic, with a name of the same length; its
    /// payload is empty; and it is not retained. `false`, and the message as it was, if the length differs.
    ///
    /// The name is written over the old one: Mosquitto 2.0.11 would lose track of a name's memory if it were given another.
    /// A payload it releases itself, as the later ones do.
    #[must_use]
    pub fn hide(&mut self, topic: &[u8]) -> bool {
        if topic.len() != self.topic().len() || topic.contains(&0) {
            return false;
        }
        // SAFETY: the name has that many bytes, in memory of the broker's that is meant to be changed; ours is elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(topic.as_ptr(), self.event.topic.cast(), topic.len()) };
        self.event.payload = std::ptr::null_mut();
        self.event.payloadlen = 0;
        self.event.retain = false;
        true
    }
}

/// `MOSQ_EVT_CONTROL`: a client has published to the topic that was asked for, and `ACL_CHECK` has let it.
pub struct Control<'a> {
    /// Who has published.
    pub client: Client<'a>,
    /// What.
    pub payload: &'a [u8],
}

impl<'a> Control<'a> {
    /// # Safety
    /// `event` must be what the broker handed in for `MOSQ_EVT_CONTROL`, valid for `'a`.
    pub(super) unsafe fn read(broker: &'a Broker, event: *const c_void) -> Option<Self> {
        // SAFETY: the caller vouches for the event.
        let event = unsafe { event.cast::<abi::ace_evt_control>().as_ref() }?;
        if event.client.is_null() {
            return None;
        }
        let length = usize::try_from(event.payloadlen).ok()?;
        let payload = if event.payload.is_null() {
            &[][..]
        } else {
            // SAFETY: the broker hands in that many bytes.
            unsafe { slice::from_raw_parts(event.payload.cast(), length) }
        };
        Some(Self { client: broker.client(event.client), payload })
    }
}

/// A password as far as the broker tells its length.
#[derive(Clone, Copy)]
pub struct Password<'a> {
    /// The bytes up to the first NUL or, where `exact`, all of them.
    pub as_sent: &'a [u8],
    /// The memory behind it that may be read: at least `as_sent`.
    pub readable: &'a [u8],
    /// Whether the broker told the length (since 2.1.3).
    pub exact: bool,
}

impl<'a> Password<'a> {
    /// # Safety
    /// `password` must be a block of libc's `malloc` with a NUL in it, or null; if `length` is not zero, it must be the
    /// length of the password.
    unsafe fn read(password: *const std::ffi::c_char, length: u16) -> Option<Self> {
        if password.is_null() {
            return None;
        }
        // SAFETY: the caller vouches for the block.
        let allocated = unsafe { libc::malloc_usable_size(password.cast_mut().cast()) };
        let start = password.cast::<u8>();
        let length = usize::from(length);
        if length > 0 && length <= allocated {
            // SAFETY: the block holds that many bytes.
            let exact = unsafe { slice::from_raw_parts(start, length) };
            return Some(Self { as_sent: exact, readable: exact, exact: true });
        }
        // SAFETY: the broker puts a NUL behind each password.
        let as_sent = unsafe { CStr::from_ptr(password) }.to_bytes();
        let readable = allocated.min(PASSWORD_BYTES_MAX).max(as_sent.len());
        // SAFETY: the block holds `allocated` bytes, and the C string lies within it. Bytes behind the password may never
        // have been written; they are compared with a MAC, which they will not equal, and go nowhere.
        let readable = unsafe { slice::from_raw_parts(start, readable) };
        Some(Self { as_sent, readable, exact: false })
    }
}

/// `MOSQ_EVT_BASIC_AUTH`.
pub struct BasicAuth<'a> {
    /// Who connects.
    pub client: Client<'a>,
    /// The user name, if the CONNECT has one.
    pub user_name: Option<&'a [u8]>,
    /// The password, if the CONNECT has one.
    pub password: Option<Password<'a>>,
}

impl<'a> BasicAuth<'a> {
    /// # Safety
    /// `event` must be what the broker handed in for `MOSQ_EVT_BASIC_AUTH`, valid for `'a`.
    pub(super) unsafe fn read(broker: &'a Broker, event: *const c_void) -> Option<Self> {
        // SAFETY: the caller vouches for the event.
        let event = unsafe { &*event.cast::<abi::ace_evt_basic_auth>() };
        if event.client.is_null() {
            return None;
        }
        // SAFETY: the broker's user names end with NUL.
        let user_name = (!event.username.is_null()).then(|| unsafe { CStr::from_ptr(event.username) }.to_bytes());
        // SAFETY: the broker allocates passwords with libc's malloc and puts a NUL behind them.
        let password = unsafe { Password::read(event.password, event.password_len) };
        Some(Self { client: broker.client(event.client), user_name, password })
    }
}

/// `MOSQ_EVT_PSK_KEY`: a client names a pre-shared key in its TLS handshake.
pub struct PskKey<'a> {
    /// Whose handshake it is. It has no id yet.
    pub client: Client<'a>,
    /// The identity, up to its first zero byte.
    pub identity: &'a [u8],
    /// Where the key goes, in hexadecimal digits,
    key: *mut c_char,
    /// and how many of them may be written, the zero behind them included.
    room: usize,
}

impl<'a> PskKey<'a> {
    /// # Safety
    /// `event` must be what the broker handed in for `MOSQ_EVT_PSK_KEY`, valid for `'a`.
    pub(super) unsafe fn read(broker: &'a Broker, event: *const c_void) -> Option<Self> {
        // SAFETY: the caller vouches for the event.
        let event = unsafe { &*event.cast::<abi::ace_evt_psk_key>() };
        if event.client.is_null() || event.identity.is_null() || event.key.is_null() {
            return None;
        }
        // SAFETY: the broker's identities end with NUL.
        let identity = unsafe { CStr::from_ptr(event.identity) }.to_bytes();
        let room = usize::try_from(event.max_key_len).unwrap_or(0);
        Some(Self { client: broker.client(event.client), identity, key: event.key, room })
    }

    /// Gives the broker the key. `false` if it is too long for it.
    #[must_use]
    pub fn answer(&self, key: &[u8]) -> bool {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        if key.is_empty() || key.len() >= self.room.div_ceil(2) {
            return false;
        }
        let halves = key.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
        for (at, digit) in halves.filter_map(|half| DIGITS.get(usize::from(half))).chain([&0]).enumerate() {
            // SAFETY: the broker has made room for that many bytes, and there are fewer: two for each of the key, and one.
            unsafe { self.key.add(at).write((*digit).cast_signed()) };
        }
        true
    }
}

/// `MOSQ_EVT_PERSIST_WILL_ADD`: since 2.1, and there only without the broker's own persistence.
pub struct WillSet<'a> {
    /// Whose Will it is.
    pub client: Client<'a>,
    /// Where it would be sent to.
    pub topic: &'a [u8],
}

impl<'a> WillSet<'a> {
    /// # Safety
    /// `event` must be what the broker handed in for `MOSQ_EVT_PERSIST_WILL_ADD`, valid for `'a`.
    pub(super) unsafe fn read(broker: &'a Broker, event: *const c_void) -> Option<Self> {
        // SAFETY: the caller vouches for the event.
        let event = unsafe { &*event.cast::<abi::ace_evt_persist_will_msg>() };
        if event.clientid.is_null() || event.topic.is_null() {
            return None;
        }
        // SAFETY: the broker's client ids end with NUL.
        let client = broker.client_of_id(unsafe { CStr::from_ptr(event.clientid) })?;
        // SAFETY: the broker's topics end with NUL.
        let topic = unsafe { CStr::from_ptr(event.topic) }.to_bytes();
        Some(Self { client, topic })
    }
}

/// `MOSQ_EVT_EXT_AUTH_START` and `MOSQ_EVT_EXT_AUTH_CONTINUE`.
pub struct ExtendedAuth<'a> {
    /// Who authenticates.
    pub client: Client<'a>,
    /// The Authentication Method. The broker leaves it out when the authentication goes on.
    pub method: Option<&'a [u8]>,
    /// The Authentication Data; empty if there is none.
    pub data: &'a [u8],
    event: *mut abi::ace_evt_extended_auth,
}

impl<'a> ExtendedAuth<'a> {
    /// # Safety
    /// `event` must be what the broker handed in for these events, valid for `'a`.
    pub(super) unsafe fn read(broker: &'a Broker, event: *mut c_void) -> Option<Self> {
        let event = event.cast::<abi::ace_evt_extended_auth>();
        // SAFETY: the caller vouches for the event.
        let view = unsafe { &*event };
        if view.client.is_null() {
            return None;
        }
        let data: &[u8] = if view.data_in.is_null() {
            &[]
        } else {
            // SAFETY: the broker hands in that many bytes.
            unsafe { slice::from_raw_parts(view.data_in.cast(), usize::from(view.data_in_len)) }
        };
        // SAFETY: the broker's method names end with NUL.
        let method = (!view.auth_method.is_null()).then(|| unsafe { CStr::from_ptr(view.auth_method) }.to_bytes());
        Some(Self { client: broker.client(view.client), method, data, event })
    }

    /// Sends `data` as the Authentication Data of the broker's answer. `false` if there is no memory for it.
    #[must_use]
    pub fn answer(&self, data: &[u8]) -> bool {
        let Ok(length) = u16::try_from(data.len()) else { return false };
        // SAFETY: any size may be asked for; the broker releases the block with libc's free.
        let block = unsafe { libc::malloc(data.len().max(1)) };
        if block.is_null() {
            return false;
        }
        // SAFETY: the block was made for that many bytes, and does not overlap with ours.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), block.cast(), data.len()) };
        // SAFETY: the event is valid for `'a`, the broker gave it to be written to, and no reference to it is alive.
        unsafe {
            (*self.event).data_out = block;
            (*self.event).data_out_len = length;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pre_shared_key_is_written_within_its_room() {
        let functions = crate::broker::fake::broker();
        for (room, key, expected) in [
            (8, &[0x00, 0xa5, 0xff][..], Some(&b"00a5ff\0"[..])),
            (7, &[0x00, 0xa5, 0xff], Some(b"00a5ff\0")),
            (6, &[0x00, 0xa5, 0xff], None),
            (8, &[], None),
            (0, &[1], None),
        ] {
            let mut memory = [0x55_u8; 9];
            let client = functions.client(std::ptr::null_mut());
            let event = PskKey { client, identity: b"kid", key: memory.as_mut_ptr().cast(), room };
            assert_eq!(event.answer(key), expected.is_some(), "{room}");
            assert!(memory.starts_with(expected.unwrap_or(&[0x55; 9])), "{memory:x?}");
            assert!(memory.iter().skip(room).all(|byte| *byte == 0x55), "{memory:x?}");
        }
    }

    #[test]
    fn access_is_read_as_the_broker_numbers_it() {
        let known = [Access::Receive, Access::Publish, Access::Subscribe, Access::Unsubscribe];
        for number in [i32::MIN, -1, 0, 3, 5, 6, 7, 9, 12, 15, 16, i32::MAX] {
            assert_eq!(access(number), None, "{number}");
        }
        for (bit, expected) in known.into_iter().enumerate() {
            assert_eq!(access(1 << bit), Some(expected));
        }
    }
}
