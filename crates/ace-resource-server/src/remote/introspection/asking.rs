//! The part of asking that happens on the threads.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use ace_profile::random::{Random as _, SystemRandom};
use ace_profile::revocation::TokenHash;
use ace_profile::token::IntrospectionAnswer;
use ace_profile::{base64url, limits};
use zeroize::Zeroizing;

use super::line::{Line, Next, Request};
use crate::remote::https::{Endpoint, RequestError};
use crate::remote::workers::Workers;

/// The kinds of content that an answer may have: RFC 7662's, and RFC 9200's.
const MEDIA_TYPES: [&str; 2] = ["application/json", "application/ace+json"];

/// Why there is no answer.
pub(super) enum Failure {
    /// It was not asked: its time was over.
    Late,
    /// It was not asked: the server wants to be left alone.
    Paused,
    /// It was asked.
    Request(RequestError),
}

/// What has come of a request.
pub(super) struct Answer {
    pub(super) token: TokenHash,
    pub(super) number: u64,
    pub(super) outcome: Result<Zeroizing<Vec<u8>>, Failure>,
    /// How long the server took.
    pub(super) took: Option<Duration>,
}

/// Puts as many threads to a line as there is something to do for. Where there are none, that is tried again later.
pub(super) fn start(workers: &mut Workers, line: &Arc<Line>, answers: &Sender<Answer>) {
    for _ in 0..line.call_threads() {
        let on_duty = OnDuty(Some(Arc::clone(line)));
        let answers = answers.clone();
        // If it is not taken, it goes, and with it the guard.
        let _ = workers.submit(move || on_duty.serve(&answers));
    }
}

fn serve(line: &Line, answers: &Sender<Answer>) {
    let tell = |request: &Request, outcome, took| {
        let answer = Answer { token: request.token(), number: request.number, outcome, took };
        // The plugin may have gone.
        let _ = answers.send(answer);
    };
    while let Some(next) = line.next(Instant::now()) {
        match next {
            Next::Late(request) => tell(&request, Err(Failure::Late), None),
            Next::Paused(request) => tell(&request, Err(Failure::Paused), None),
            Next::Send(request, endpoint) => {
                let under_way = UnderWay { line, request: &request, tell: &tell };
                let begin = Instant::now();
                let outcome = ask(&endpoint, &request, begin);
                std::mem::forget(under_way);
                // The line has to know first that the server wants to be left alone.
                if let Err(RequestError::Overloaded { retry_after: Some(after), .. }) = &outcome {
                    line.pause(begin + (*after).min(super::server::PAUSE_MAX));
                }
                line.done(request.cause);
                tell(&request, outcome.map_err(Failure::Request), Some(begin.elapsed()));
            }
        }
    }
}

/// Asks once about a token that cannot exist, for who wants to know whether the server answers: whether it says that the token is active,
/// which would be a reason to worry. `endpoint` is where, if the server itself has to say that. Waits: not for the broker's thread.
///
/// # Errors
/// [`RequestError`] if there is no answer that could be used.
pub fn probe(source: &super::IntrospectionSource, endpoint: Option<&str>) -> Result<bool, RequestError> {
    let unusable = |reason: String| RequestError::Unusable(reason);
    let found = match endpoint.filter(|_| !source.endpoint.is_known()) {
        Some(url) => Some(source.endpoint.found(url).map_err(|error| unusable(error.to_string()))?),
        None => None,
    };
    let endpoint = found.as_ref().unwrap_or(&source.endpoint);
    let mut random = [0; 24];
    SystemRandom.fill(&mut random).map_err(|_| unusable("no randomness".to_owned()))?;
    let parameters = [("token", &*base64url::encode(&random)), ("token_type_hint", "access_token")];
    let most = u64::try_from(limits::INTROSPECTION_BYTES).unwrap_or(u64::MAX);
    let answer = endpoint.post_form(&parameters, &MEDIA_TYPES, most, endpoint.timeout())?;
    let answer = IntrospectionAnswer::parse(&answer).map_err(|error| unusable(error.to_string()))?;
    Ok(matches!(answer, IntrospectionAnswer::Active(_)))
}

/// RFC 7662 §2.1.
fn ask(endpoint: &Endpoint, request: &Request, now: Instant) -> Result<Zeroizing<Vec<u8>>, RequestError> {
    // A token that is no text is one in CBOR: it goes as those do in JSON (RFC 9770 §4.3).
    let token = match std::str::from_utf8(request.with.sent()) {
        Ok(text) => Zeroizing::new(text.to_owned()),
        Err(_) => Zeroizing::new(base64url::encode(request.with.sent())),
    };
    let parameters = [("token", token.as_str()), ("token_type_hint", "access_token")];
    let most = u64::try_from(limits::INTROSPECTION_BYTES).unwrap_or(u64::MAX);
    let post = |now: Instant| {
        endpoint.post_form(&parameters, &MEDIA_TYPES, most, request.deadline.saturating_duration_since(now))
    };
    match post(now) {
        // A server may close a connection that is kept for further requests just as the next one is sent on it. To ask changes nothing
        // there, so it can be asked twice.
        Err(RequestError::Unreachable(_)) if Instant::now() < request.deadline => post(Instant::now()),
        outcome => outcome,
    }
}

/// A thread at a line. One that is not put to it, or that ends by a mistake, is not at it any more.
struct OnDuty(Option<Arc<Line>>);

impl OnDuty {
    fn serve(mut self, answers: &Sender<Answer>) {
        if let Some(line) = &self.0 {
            serve(line, answers);
        }
        // The line has dismissed it itself.
        self.0 = None;
    }
}

impl Drop for OnDuty {
    fn drop(&mut self) {
        if let Some(line) = &self.0 {
            line.dismiss_thread();
        }
    }
}

/// A request that is being sent: if that ends by a mistake of ours, it is answered all the same.
struct UnderWay<'a, T: Fn(&Request, Result<Zeroizing<Vec<u8>>, Failure>, Option<Duration>)> {
    line: &'a Line,
    request: &'a Request,
    tell: &'a T,
}

impl<T: Fn(&Request, Result<Zeroizing<Vec<u8>>, Failure>, Option<Duration>)> Drop for UnderWay<'_, T> {
    fn drop(&mut self) {
        self.line.done(self.request.cause);
        let error = RequestError::Unusable("a mistake in the plugin".into());
        (self.tell)(self.request, Err(Failure::Request(error)), None);
    }
}
