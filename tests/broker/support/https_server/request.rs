//! What a server was asked.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The longest head or content of a request that is read.
const REQUEST_BYTES_MAX: usize = 256 * 1024;

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// The header fields, their names in small letters.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Vec<u8>,
}

impl Request {
    /// Reads one; none if the other side leaves, or sends more than anybody would.
    pub(super) fn read(stream: &mut impl Read) -> Option<Self> {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        let mut more = |bytes: &mut Vec<u8>| {
            let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
            bytes.extend_from_slice(buffer.get(..length)?);
            (bytes.len() <= REQUEST_BYTES_MAX).then_some(())
        };
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            more(&mut bytes)?;
        };
        let mut body = bytes.split_off(end + 4);
        let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
        let mut lines = head.split("\r\n");
        let mut first = lines.next()?.split(' ').map(str::to_owned);
        let (method, target) = (first.next()?, first.next()?);
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut request = Self { method, target, authorization: None, headers, body: Vec::new() };
        request.authorization = request.header("authorization").map(str::to_owned);
        let length = request.header("content-length").map_or(Some(0), |length| length.parse().ok())?;
        while body.len() < length {
            more(&mut body)?;
        }
        body.truncate(length);
        request.body = body;
        Some(request)
    }

    /// A header field, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(there, _)| there == name).map(|(_, value)| value.as_str())
    }

    /// The fields of the form that was sent.
    pub fn form(&self) -> Vec<(String, String)> {
        assert_eq!(self.header("content-type"), Some("application/x-www-form-urlencoded"), "a form");
        form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// The one field of the form with this name.
    pub fn field(&self, name: &str) -> Option<String> {
        let mut found = self.form().into_iter().filter(|(there, _)| there == name).map(|(_, value)| value);
        let first = found.next();
        assert!(found.next().is_none(), "{name}: more than once");
        first
    }

    /// Who asks, by HTTP Basic as OAuth has it: id and secret are form-encoded before (RFC 6749, section 2.3.1).
    pub fn basic(&self) -> Option<(String, String)> {
        let credentials = STANDARD.decode(self.authorization.as_deref()?.strip_prefix("Basic ")?).ok()?;
        let credentials = String::from_utf8(credentials).ok()?;
        let (id, secret) = credentials.split_once(':')?;
        let decoded = |text: &str| {
            form_urlencoded::parse(format!("x={text}").as_bytes()).next().map(|(_, value)| value.into_owned())
        };
        Some((decoded(id)?, decoded(secret)?))
    }
}
