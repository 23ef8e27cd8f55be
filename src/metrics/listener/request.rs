//! A request to the listener, and what it is answered with. There is one thing to be had: `GET /metrics`.

use httparse::{EMPTY_HEADER, Error, Request, Status};

/// The longest head of a request that is read, in bytes.
pub(super) const HEAD_BYTES_MAX: usize = 8 * 1024;
/// How many fields it may have.
const FIELDS_MAX: usize = 64;
/// Where the metrics are.
const PATH: &str = "/metrics";

/// How a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// With the metrics.
    Metrics,
    /// It is no request of HTTP/1.
    BadRequest,
    /// There is nothing else than the metrics.
    NotFound,
    /// They are there to be read.
    MethodNotAllowed,
    /// It did not come in time.
    Timeout,
    /// Its head is too long.
    HeadTooLong,
    /// The broker has not told its numbers in time.
    Unavailable,
}

impl Answer {
    const fn status(self) -> &'static str {
        match self {
            Self::Metrics => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::Timeout => "408 Request Timeout",
            Self::HeadTooLong => "431 Request Header Fields Too Large",
            Self::Unavailable => "503 Service Unavailable",
        }
    }

    /// The whole answer, with this body if it is the metrics, and otherwise a word for whoever looks at it.
    pub(super) fn bytes(self, metrics: Option<&str>) -> Vec<u8> {
        let (media_type, body) = match metrics {
            Some(text) if self == Self::Metrics => (super::super::exposition::CONTENT_TYPE, text),
            _ => ("text/plain; charset=utf-8", self.status()),
        };
        let allow = if self == Self::MethodNotAllowed { "Allow: GET\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n{allow}X-Content-Type-Options: nosniff\r\n\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n",
            self.status(),
            body.len()
        );
        [head.as_bytes(), body.as_bytes()].concat()
    }
}

/// How to answer what has been read so far; `None` if there must be more to come.
pub(super) fn answer(head: &[u8]) -> Option<Answer> {
    let mut fields = [EMPTY_HEADER; FIELDS_MAX];
    let mut request = Request::new(&mut fields);
    match request.parse(head) {
        Ok(Status::Complete(_)) => {}
        Ok(Status::Partial) if head.len() < HEAD_BYTES_MAX => return None,
        Ok(Status::Partial) | Err(Error::TooManyHeaders) => return Some(Answer::HeadTooLong),
        Err(_) => return Some(Answer::BadRequest),
    }
    let path = request.path.unwrap_or_default();
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    Some(match request.method {
        _ if path != PATH => Answer::NotFound,
        Some("GET") => Answer::Metrics,
        _ => Answer::MethodNotAllowed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metrics_are_to_be_had_by_get_and_nothing_else_is() {
        for (head, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", Some(Answer::Metrics)),
            ("GET /metrics?name[]=x HTTP/1.0\r\n\r\n", Some(Answer::Metrics)),
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n", None),
            ("GET", None),
            ("", None),
            ("GET / HTTP/1.1\r\n\r\n", Some(Answer::NotFound)),
            ("GET /metrics/ HTTP/1.1\r\n\r\n", Some(Answer::NotFound)),
            ("GET /../metrics HTTP/1.1\r\n\r\n", Some(Answer::NotFound)),
            ("POST / HTTP/1.1\r\n\r\n", Some(Answer::NotFound)),
            ("POST /metrics HTTP/1.1\r\n\r\n", Some(Answer::MethodNotAllowed)),
            ("HEAD /metrics HTTP/1.1\r\n\r\n", Some(Answer::MethodNotAllowed)),
            ("get /metrics HTTP/1.1\r\n\r\n", Some(Answer::MethodNotAllowed)),
            ("GET /metrics HTTP/2.0\r\n\r\n", Some(Answer::BadRequest)),
            ("GET /metrics\r\n\r\n", Some(Answer::BadRequest)),
            ("\x16\x03\x01\x02\0", Some(Answer::BadRequest)),
            ("\x10\x0e\0\x04MQTT", Some(Answer::BadRequest)),
            ("GET /metrics HTTP/1.1\r\nHost : x\r\n\r\n", Some(Answer::BadRequest)),
        ] {
            assert_eq!(answer(head.as_bytes()), expected, "{head:?}");
        }
    }

    #[test]
    fn long_heads_are_refused() {
        let fields = |number: usize| format!("GET /metrics HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(number));
        assert_eq!(answer(fields(FIELDS_MAX).as_bytes()), Some(Answer::Metrics));
        assert_eq!(answer(fields(FIELDS_MAX + 1).as_bytes()), Some(Answer::HeadTooLong));
        let begun = format!("GET /metrics HTTP/1.1\r\na: {}", "b".repeat(HEAD_BYTES_MAX));
        assert_eq!(answer(begun.as_bytes()), Some(Answer::HeadTooLong));
        assert_eq!(answer(&vec![b'G'; HEAD_BYTES_MAX]), Some(Answer::HeadTooLong));
    }

    #[test]
    fn answers_say_how_long_they_are() {
        let bytes = Answer::Metrics.bytes(Some("a 1\n"));
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
        assert!(text.contains("\r\nContent-Length: 4\r\n") && text.ends_with("\r\n\r\na 1\n"), "{text}");
        let refused = String::from_utf8(Answer::MethodNotAllowed.bytes(None)).unwrap();
        assert!(refused.contains("\r\nAllow: GET\r\n") && refused.ends_with("405 Method Not Allowed"), "{refused}");
    }
}
