//! `GET /revoke/trl`: the token revocation list (RFC 9770): full queries, diff queries, and the "Cursor" extension.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Response, StatusCode};
use minicbor::encode::{Encoder, Error};
use tokio::task::block_in_place;

use crate::answer::{self, Note};
use crate::authority::Authority;
use crate::caller::Credentials;
use crate::clock::now;
use crate::ledger::{Diff, OutOfBound, Sha256, Updates};
use crate::oauth_error::{Code, OAuthError};
use crate::parameters::{Encoding, form_decode};

/// The media type of the list.
const TRL_CBOR: &str = "application/ace-trl+cbor";

/// The media type of a refusal that has to do with the query (RFC 9290).
const PROBLEM_CBOR: &str = "application/concise-problem-details+cbor";

/// Abbreviations of the parameters (RFC 9770 §12).
mod parameter {
    pub(super) const FULL_SET: u8 = 0;
    pub(super) const DIFF_SET: u8 = 1;
    pub(super) const CURSOR: u8 = 2;
    pub(super) const MORE: u8 = 3;
}

/// Keys of problem details (RFC 9290 §2) and of their entry `ace-trl-error` (RFC 9770 §6.1).
mod problem {
    pub(super) const TITLE: i8 = -1;
    pub(super) const DETAIL: i8 = -2;
    pub(super) const ACE_TRL_ERROR: i8 = 1;
    pub(super) const ERROR_ID: u8 = 0;
    pub(super) const CURSOR: u8 = 1;
}

/// What a query asks for.
#[derive(Debug, PartialEq, Eq)]
enum Query {
    Full,
    Diff { number: u64, cursor: Option<u64> },
}

/// Why a query is refused (RFC 9770 §6.3, §13).
#[derive(Debug, PartialEq, Eq)]
enum Problem {
    DiffInvalid,
    CursorInvalid,
    CursorWithoutDiff,
    CursorOutOfBound,
}

impl Problem {
    fn error_id(&self) -> (u8, &'static str) {
        match self {
            Self::DiffInvalid | Self::CursorInvalid => (0, "Invalid parameter value"),
            Self::CursorWithoutDiff => (1, "Invalid set of parameters"),
            Self::CursorOutOfBound => (2, "Out of bound cursor value"),
        }
    }

    fn detail(&self) -> &'static str {
        match self {
            Self::DiffInvalid => "diff is neither 0 nor a positive integer, or is there twice",
            Self::CursorInvalid => "cursor is neither 0 nor a positive integer of 64 bits, or is there twice",
            Self::CursorWithoutDiff => "cursor is of use together with diff only",
            Self::CursorOutOfBound => "cursor is beyond the last update",
        }
    }
}

/// Answers a query of the list.
pub(crate) async fn trl(
    State(authority): State<Arc<Authority>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let mut note = Note::default();
    match block_in_place(|| look_up(&authority, &headers, query.as_deref().unwrap_or_default(), &mut note)) {
        Ok((status, media_type, bytes)) => answer::cbor(status, media_type, bytes, note),
        Err(error) => answer::refusal(Encoding::Form, error, note),
    }
}

fn look_up(
    authority: &Authority,
    headers: &HeaderMap,
    query: &str,
    note: &mut Note,
) -> Result<(StatusCode, &'static str, Vec<u8>), OAuthError> {
    let credentials = Credentials::from_headers(headers)?;
    note.caller = Some(credentials.id.clone());
    // Clients, resource servers and administrators: each of them is shown its own part.
    credentials.authenticate(&authority.config)?;
    let mut ledger = authority.ledger();
    if let Err(error) = ledger.refresh(now()) {
        // Nothing is lost by it: what has expired is found out once more after a restart.
        note.cause = Some(error.to_string());
    }
    let nothing = Updates::default();
    let updates = ledger.updates_of(&credentials.id).unwrap_or(&nothing);
    let answer = match parse(query).and_then(|query| match query {
        Query::Full => Ok(None),
        Query::Diff { number, cursor } => {
            updates.diff(number, cursor).map(Some).map_err(|OutOfBound| Problem::CursorOutOfBound)
        }
    }) {
        Ok(None) => {
            let hashes = ledger.full_set(&credentials.id);
            note.reason = format!("the list, {} hash(es)", hashes.len());
            full_set(&hashes, updates.last_index()).map(|bytes| (StatusCode::OK, TRL_CBOR, bytes))
        }
        Ok(Some(diff)) => {
            note.reason = format!("{} update(s) of the list", diff.entries.len());
            diff_set(&diff).map(|bytes| (StatusCode::OK, TRL_CBOR, bytes))
        }
        Err(refusal) => {
            note.reason = format!("{}: {}", refusal.error_id().1, refusal.detail());
            problem_details(&refusal, updates.last_index()).map(|bytes| (StatusCode::BAD_REQUEST, PROBLEM_CBOR, bytes))
        }
    };
    answer.map_err(|_| OAuthError::new(Code::ServerError, "the list could not be encoded"))
}

/// Unknown parameters are ignored.
fn parse(query: &str) -> Result<Query, Problem> {
    let (mut diff, mut cursor) = (Vec::new(), Vec::new());
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = form_decode(value.as_bytes());
        match form_decode(name.as_bytes()).as_deref() {
            Some("diff") => diff.push(value),
            Some("cursor") => cursor.push(value),
            _ => {}
        }
    }
    let number = match &diff[..] {
        [] => None,
        // More than can be counted is more than there is, which is asked for all the same.
        [Some(digits)] if is_integer(digits) => Some(digits.parse().unwrap_or(u64::MAX)),
        _ => return Err(Problem::DiffInvalid),
    };
    let cursor = match &cursor[..] {
        [] => Ok(None),
        [Some(digits)] if is_integer(digits) => digits.parse().map(Some).map_err(|_| Problem::CursorInvalid),
        _ => Err(Problem::CursorInvalid),
    };
    match (number, cursor) {
        (None, Ok(None)) => Ok(Query::Full),
        (None, _) => Err(Problem::CursorWithoutDiff),
        (Some(number), cursor) => Ok(Query::Diff { number, cursor: cursor? }),
    }
}

fn is_integer(digits: &str) -> bool {
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}

type Encoded = Result<Vec<u8>, Error<Infallible>>;

fn full_set(hashes: &[Sha256], cursor: Option<u64>) -> Encoded {
    let mut encoder = Encoder::new(Vec::new());
    encoder.map(2)?.u8(parameter::FULL_SET)?;
    encode_set(&mut encoder, hashes)?;
    encoder.u8(parameter::CURSOR)?;
    encode_cursor(&mut encoder, cursor)?;
    Ok(encoder.into_writer())
}

fn diff_set(diff: &Diff<'_>) -> Encoded {
    let mut encoder = Encoder::new(Vec::new());
    encoder.map(3)?.u8(parameter::DIFF_SET)?.array(length(diff.entries.len()))?;
    for update in &diff.entries {
        encoder.array(2)?;
        encode_set(&mut encoder, &update.removed)?;
        encode_set(&mut encoder, &update.added)?;
    }
    encoder.u8(parameter::CURSOR)?;
    encode_cursor(&mut encoder, diff.cursor)?;
    encoder.u8(parameter::MORE)?.bool(diff.more)?;
    Ok(encoder.into_writer())
}

fn problem_details(refusal: &Problem, last_index: Option<u64>) -> Encoded {
    let (error_id, title) = refusal.error_id();
    let tell_cursor = *refusal == Problem::CursorInvalid;
    let mut encoder = Encoder::new(Vec::new());
    encoder.map(3)?.i8(problem::TITLE)?.str(title)?.i8(problem::DETAIL)?.str(refusal.detail())?;
    encoder.i8(problem::ACE_TRL_ERROR)?.map(if tell_cursor { 2 } else { 1 })?.u8(problem::ERROR_ID)?.u8(error_id)?;
    if tell_cursor {
        encoder.u8(problem::CURSOR)?;
        encode_cursor(&mut encoder, last_index)?;
    }
    Ok(encoder.into_writer())
}

fn encode_set(encoder: &mut Encoder<Vec<u8>>, hashes: &[Sha256]) -> Result<(), Error<Infallible>> {
    encoder.array(length(hashes.len()))?;
    hashes.iter().try_for_each(|hash| encoder.bytes(&hash.binary_form()).map(drop))
}

fn encode_cursor(encoder: &mut Encoder<Vec<u8>>, cursor: Option<u64>) -> Result<(), Error<Infallible>> {
    match cursor {
        Some(cursor) => encoder.u64(cursor).map(drop),
        None => encoder.null().map(drop),
    }
}

fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read() {
        let diff = |number, cursor| Ok(Query::Diff { number, cursor });
        assert_eq!(parse(""), Ok(Query::Full));
        assert_eq!(parse("other=1&diffs=x&"), Ok(Query::Full), "unknown parameters are ignored");
        assert_eq!(parse("diff=0"), diff(0, None));
        assert_eq!(parse("cursor=7&diff=12"), diff(12, Some(7)));
        assert_eq!(parse("d%69ff=%31"), diff(1, None));
        assert_eq!(parse("diff=99999999999999999999999"), diff(u64::MAX, None));
    }

    #[test]
    fn what_is_no_query_is_told_by_its_error() {
        for query in [
            "diff=",
            "diff",
            "diff=-1",
            "diff=+1",
            "diff=1.0",
            "diff=x",
            "diff=1&diff=1",
            "diff=%ff",
            "diff=x&cursor=x",
        ] {
            assert_eq!(parse(query), Err(Problem::DiffInvalid), "{query}");
        }
        for query in
            ["diff=1&cursor=", "diff=1&cursor=-53", "diff=1&cursor=18446744073709551616", "diff=1&cursor=1&cursor=1"]
        {
            assert_eq!(parse(query), Err(Problem::CursorInvalid), "{query}");
        }
        assert_eq!(parse("cursor=1"), Err(Problem::CursorWithoutDiff));
        assert_eq!(parse("cursor=x"), Err(Problem::CursorWithoutDiff), "whatever the cursor");
    }

    #[test]
    fn the_answers_are_those_of_the_specification() {
        let hash = Sha256::of_token("abc");
        let with_hash = |before: &[u8], after: &[u8]| [before, &[0x58, 33], &hash.binary_form(), after].concat();
        // {0: [h'01…'], 2: 3}
        assert_eq!(full_set(&[hash], Some(3)).unwrap(), with_hash(&[0xa2, 0, 0x81], &[2, 3]));
        // {0: [], 2: null}
        assert_eq!(full_set(&[], None).unwrap(), [0xa2, 0, 0x80, 2, 0xf6]);

        let mut updates = Updates::default();
        // {1: [], 2: null, 3: false}
        assert_eq!(diff_set(&updates.diff(0, None).unwrap()).unwrap(), [0xa3, 1, 0x80, 2, 0xf6, 3, 0xf4]);
        updates.push(Vec::new(), vec![hash]);
        // {1: [[[], [h'01…']]], 2: 0, 3: false}
        let expected = with_hash(&[0xa3, 1, 0x81, 0x82, 0x80, 0x81], &[2, 0, 3, 0xf4]);
        assert_eq!(diff_set(&updates.diff(0, None).unwrap()).unwrap(), expected);
    }

    #[test]
    fn problems_are_told_as_the_specification_has_it() {
        let entry = |problem: Problem, last| {
            let bytes = problem_details(&problem, last).unwrap();
            let start = bytes.iter().rposition(|byte| byte & 0xe0 == 0xa0).unwrap();
            assert_eq!(bytes[..2], [0xa3, 0x20], "a map of three, -1 first");
            bytes[start - 1..].to_vec()
        };
        assert_eq!(entry(Problem::DiffInvalid, Some(4)), [1, 0xa1, 0, 0]);
        assert_eq!(entry(Problem::CursorInvalid, Some(4)), [1, 0xa2, 0, 0, 1, 4]);
        assert_eq!(entry(Problem::CursorInvalid, None), [1, 0xa2, 0, 0, 1, 0xf6]);
        assert_eq!(entry(Problem::CursorWithoutDiff, Some(4)), [1, 0xa1, 0, 1]);
        assert_eq!(entry(Problem::CursorOutOfBound, Some(4)), [1, 0xa1, 0, 2]);
    }
}
