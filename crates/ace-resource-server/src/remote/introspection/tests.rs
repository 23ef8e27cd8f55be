//! What is asked, of whom and when: without threads and network. The tests play the part of both.

use super::line::{NEW_MAX, Next};
use super::*;
use crate::remote::https::Endpoint;

const CACHE: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(2);
const TOKEN: &str = "2YotnFZFEjr1zCsicMWpAA";
const INACTIVE_ANSWER: &[u8] = br#"{"active":false}"#;
const ACTIVE_ANSWER: &[u8] = br#"{"active":true,"sub":"device"}"#;

/// The plugin's side, with servers of these issuers, and a clock.
struct Setup {
    introspection: Introspection,
    workers: Workers,
    now: Now,
}

fn source(issuer: &str) -> IntrospectionSource {
    let endpoint = Endpoint::new(&format!("https://{issuer}.example/introspect"), None, TIMEOUT).unwrap();
    IntrospectionSource {
        issuer: issuer.into(),
        endpoint: Arc::new(endpoint),
        cache: CACHE,
        introspect_jwt: false,
        has_no_keys: false,
    }
}

impl Setup {
    fn new(issuers: &[&str]) -> Self {
        let mut introspection = Introspection::default();
        let sources: Vec<_> = issuers.iter().map(|issuer| source(issuer)).collect();
        introspection.replace(&sources, CacheBounds::default());
        Self { introspection, workers: Workers::none(), now: Now::read() }
    }

    fn pass(&mut self, time: Duration) {
        self.now = Now { instant: self.now.instant + time, time: self.now.time.saturating_add(time) };
    }

    /// What is said of a token: "active", "inactive", the inquiry's number, or the reason's code.
    fn look_up(&mut self, token: &str) -> Result<Option<u64>, String> {
        match self.introspection.look_up(&mut self.workers, token.as_bytes(), &Whom::Any, self.now.instant) {
            Ok(Known::Active { issuer, .. }) => Err(format!("active at {issuer}")),
            Ok(Known::Inactive) => Ok(None),
            Ok(Known::Asked(Inquiry::Token { number, .. })) => Ok(Some(number)),
            Ok(Known::Asked(Inquiry::Keys { .. })) => panic!("keys"),
            Err(reason) => Err(reason.code().into()),
        }
    }

    fn ask(&mut self) -> u64 {
        self.look_up(TOKEN).unwrap().unwrap()
    }

    fn is_active_at(&mut self, issuer: &str) -> bool {
        self.look_up(TOKEN) == Err(format!("active at {issuer}"))
    }

    /// What a thread gets to do at the server of this issuer.
    fn next(&mut self, issuer: &str) -> Option<Next> {
        self.introspection.server(issuer).unwrap().line.next(self.now.instant)
    }

    /// What is sent there next.
    fn sent(&mut self, issuer: &str) -> Option<Request> {
        match self.next(issuer) {
            Some(Next::Send(request, _)) => Some(request),
            Some(Next::Late(_) | Next::Paused(_)) => panic!("it is not sent"),
            None => None,
        }
    }

    /// The server answers a request.
    fn answer(&mut self, issuer: &str, request: &Request, outcome: Result<&[u8], RequestError>) {
        self.introspection.server(issuer).unwrap().line.done(request.cause);
        let outcome = outcome.map(|answer| Zeroizing::new(answer.to_vec())).map_err(Failure::Request);
        self.hear(request, outcome);
    }

    fn hear(&mut self, request: &Request, outcome: Result<Zeroizing<Vec<u8>>, Failure>) {
        let took = outcome.is_ok().then_some(Duration::from_millis(20));
        self.introspection
            .answer
            .send(Answer { token: request.token(), number: request.number, outcome, took })
            .unwrap();
        self.introspection.collect(&mut self.workers, self.now);
    }

    /// The server of this issuer answers what it is asked next.
    fn serve(&mut self, issuer: &str, outcome: Result<&[u8], RequestError>) {
        let request = self.sent(issuer).unwrap();
        self.answer(issuer, &request, outcome);
    }

    fn progress(&self, number: u64) -> Progress {
        self.introspection.progress(TokenHash::of(TOKEN), number, self.now.instant)
    }

    /// A lease on the token, which the server has said is active.
    fn lease(&mut self) -> Lease {
        self.ask();
        self.serve("one", Ok(ACTIVE_ANSWER));
        self.introspection.cache.lease(&AskedWith::new(TOKEN), self.now.instant, |_| CACHE / 2).unwrap()
    }

    fn tick(&mut self) -> Vec<IntrospectionNews> {
        self.introspection.tick(&mut self.workers, self.now);
        self.introspection.take_news()
    }
}

const fn status(status: u16) -> Result<&'static [u8], RequestError> {
    Err(RequestError::Status(status))
}

#[test]
fn one_request_however_many_ask() {
    let mut setup = Setup::new(&["one"]);
    let number = setup.ask();
    assert_eq!((setup.ask(), setup.ask()), (number, number));
    assert_eq!(setup.progress(number), Progress::UnderWay);
    let request = setup.sent("one").unwrap();
    assert_eq!(request.with.sent(), TOKEN.as_bytes());
    assert!(setup.sent("one").is_none());
    assert_eq!(setup.ask(), number, "it is still the same question");
    setup.answer("one", &request, Ok(ACTIVE_ANSWER));
    assert_eq!(setup.progress(number), Progress::Settled);
    assert!(setup.is_active_at("one") && setup.is_active_at("one"));
    setup.pass(CACHE);
    assert_ne!(setup.ask(), number, "it does not count any more");
    let counters = setup.introspection.counters();
    assert_eq!((counters.misses, counters.coalesced, counters.hits, counters.active), (2, 3, 2, 1));
    assert_eq!((counters.latency_count, counters.latency_max), (1, 20));
}

#[test]
fn servers_are_asked_in_order_until_one_knows_the_token() {
    let mut setup = Setup::new(&["one", "two", "three"]);
    let number = setup.ask();
    setup.serve("one", Ok(INACTIVE_ANSWER));
    assert_eq!((setup.progress(number), setup.ask()), (Progress::UnderWay, number));
    setup.serve("two", Ok(ACTIVE_ANSWER));
    assert_eq!(setup.progress(number), Progress::Settled);
    assert!(setup.is_active_at("two") && setup.sent("three").is_none());
}

#[test]
fn a_token_that_nobody_knows_is_asked_about_again_soon() {
    let mut setup = Setup::new(&["one", "two"]);
    let number = setup.ask();
    setup.serve("one", Ok(INACTIVE_ANSWER));
    setup.serve("two", Ok(INACTIVE_ANSWER));
    assert_eq!((setup.progress(number), setup.look_up(TOKEN)), (Progress::Settled, Ok(None)));
    setup.pass(INACTIVE);
    assert_ne!(setup.ask(), number);
}

/// None of these lets anybody in, and none is remembered against the token.
#[test]
fn what_is_no_answer_says_nothing_about_the_token() {
    let long = vec![b' '; ace_profile::limits::INTROSPECTION_BYTES + 1];
    for outcome in [
        status(500),
        Err(RequestError::Unreachable("refused".into())),
        Err(RequestError::TimedOut(TIMEOUT)),
        Ok(&b"<html>"[..]),
        Ok(br#"{"active":"true"}"#),
        Ok(br#"{"active":true"#),
        Ok(b"{}"),
        Ok(&long[..]),
    ] {
        let mut setup = Setup::new(&["one"]);
        let number = setup.ask();
        setup.serve("one", outcome.clone());
        assert_eq!(setup.progress(number), Progress::Failed, "{outcome:?}");
        assert!(matches!(&setup.tick()[..], [IntrospectionNews::Failing { .. }]));
        assert!(setup.ask() > number, "it is asked again at once");
        setup.serve("one", Ok(ACTIVE_ANSWER));
        assert!(setup.is_active_at("one"));
        assert!(matches!(&setup.tick()[..], [IntrospectionNews::Recovered { .. }]));
        assert_eq!(setup.progress(number), Progress::Settled, "who has not looked yet finds the answer");
    }
}

#[test]
fn a_server_that_cannot_be_asked_does_not_make_a_token_inactive() {
    for (one, two) in [(status(500), Ok(INACTIVE_ANSWER)), (Ok(INACTIVE_ANSWER), status(500))] {
        let mut setup = Setup::new(&["one", "two"]);
        let number = setup.ask();
        setup.serve("one", one);
        setup.serve("two", two);
        assert_eq!(setup.progress(number), Progress::Failed);
        assert!(setup.look_up(TOKEN).is_ok_and(|asked| asked.is_some()));
    }
    // And one that can, and knows it, suffices.
    let mut setup = Setup::new(&["one", "two"]);
    setup.ask();
    setup.serve("one", status(500));
    setup.serve("two", Ok(ACTIVE_ANSWER));
    assert!(setup.is_active_at("two"));
}

#[test]
fn a_server_that_wants_to_be_left_alone_is_not_asked() {
    let mut setup = Setup::new(&["one"]);
    let (first, other) = (setup.ask(), setup.look_up("another-token-of-somebody").unwrap().unwrap());
    let after = Duration::from_secs(7);
    setup.serve("one", Err(RequestError::Overloaded { status: 429, retry_after: Some(after) }));
    assert_eq!(setup.progress(first), Progress::Failed);
    assert_eq!(setup.look_up(TOKEN), Err("server-unavailable".into()));
    let Some(Next::Paused(request)) = setup.next("one") else { panic!("the other waits still") };
    assert_eq!(request.number, other);
    setup.hear(&request, Err(Failure::Paused));
    assert_eq!(setup.introspection.progress(request.token(), other, setup.now.instant), Progress::Failed);
    setup.pass(after);
    assert!(setup.look_up(TOKEN).is_ok_and(|asked| asked.is_some()));
}

#[test]
fn a_request_whose_time_is_over_is_not_sent() {
    let mut setup = Setup::new(&["one"]);
    let number = setup.ask();
    setup.pass(TIMEOUT);
    let Some(Next::Late(request)) = setup.next("one") else { panic!("it is too late") };
    setup.hear(&request, Err(Failure::Late));
    assert_eq!(setup.progress(number), Progress::Failed);
    assert!(setup.tick().is_empty(), "that is not the server's fault");
}

#[test]
fn a_request_of_which_nothing_is_heard_is_given_up() {
    let mut setup = Setup::new(&["one"]);
    let number = setup.ask();
    let request = setup.sent("one").unwrap();
    setup.pass(TIMEOUT);
    setup.tick();
    assert_eq!(setup.progress(number), Progress::UnderWay);
    setup.pass(GRACE);
    setup.tick();
    assert_eq!(setup.progress(number), Progress::Failed);
    setup.answer("one", &request, Ok(ACTIVE_ANSWER));
    assert_eq!(setup.progress(number), Progress::Failed, "nobody waits for that any more");
}

#[test]
fn what_sessions_rest_on_is_asked_again_in_time() {
    let mut setup = Setup::new(&["one"]);
    let lease = setup.lease();
    setup.pass(CACHE / 2);
    assert!(setup.tick().is_empty());
    let request = setup.sent("one").unwrap();
    assert_eq!((request.with.sent(), request.cause), (TOKEN.as_bytes(), Cause::Again));
    assert!(setup.is_active_at("one"), "meanwhile what is known counts");
    setup.answer("one", &request, Ok(br#"{"active":true,"sub":"device","scope":""}"#));
    assert_eq!(setup.tick(), [IntrospectionNews::Changed(lease.token())]);
    setup.pass(CACHE * 5 / 8);
    assert!(setup.tick().is_empty() && setup.is_active_at("one"));
    setup.serve("one", Ok(INACTIVE_ANSWER));
    assert_eq!(setup.tick(), [IntrospectionNews::Ended(lease.token())]);
    assert_eq!(setup.look_up(TOKEN), Ok(None));
    setup.pass(CACHE);
    assert!(setup.tick().is_empty() && setup.sent("one").is_none(), "that is over");
    assert_eq!(setup.introspection.counters().asked_again, 2);
}

#[test]
fn what_cannot_be_asked_again_runs_out() {
    let mut setup = Setup::new(&["one"]);
    let lease = setup.lease();
    let (mut asked, mut news) = (0, Vec::new());
    for _ in 0..600 {
        setup.pass(Duration::from_millis(100));
        news.extend(setup.tick());
        if let Some(request) = setup.sent("one") {
            asked += 1;
            setup.answer("one", &request, status(500));
        }
    }
    assert!((5..15).contains(&asked), "{asked}");
    assert!(
        matches!(&news[..], [IntrospectionNews::Failing { .. }, IntrospectionNews::RanOut(token)] if *token == lease.token())
    );
    assert!(setup.look_up(TOKEN).is_ok_and(|asked| asked.is_some()), "it is as if it were new");
}

#[test]
fn no_answer_counts_beyond_the_token() {
    let mut setup = Setup::new(&["one"]);
    setup.ask();
    let exp = setup.now.time.as_unix_seconds() + 20;
    setup.serve("one", Ok(format!("{{\"active\":true,\"exp\":{exp}}}").as_bytes()));
    setup.pass(Duration::from_secs(18));
    assert!(setup.is_active_at("one"));
    setup.pass(Duration::from_secs(2));
    assert!(setup.look_up(TOKEN).is_ok_and(|asked| asked.is_some()));
    // But those who have waited for one find it, even if the token has just ended.
    let ended = setup.now.time.as_unix_seconds() - 5;
    setup.serve("one", Ok(format!("{{\"active\":true,\"exp\":{ended}}}").as_bytes()));
    assert!(setup.is_active_at("one"));
    setup.pass(FOUND);
    assert!(!setup.is_active_at("one"));
}

/// Strangers fill the queue with tokens that nobody knows. What sessions rest on is asked again all the same.
#[test]
fn a_flood_of_tokens_is_bounded_and_holds_nobody_up() {
    let mut setup = Setup::new(&["one"]);
    let lease = setup.lease();
    let taken = (0..20_000).filter(|number| setup.look_up(&format!("flood-{number:016}")).is_ok()).count();
    assert_eq!(taken, NEW_MAX);
    assert_eq!(setup.look_up("one-more-token-of-a-stranger"), Err("introspection-full".into()));
    assert!(setup.is_active_at("one"), "what is known is not concerned");
    let under_way = std::iter::from_fn(|| setup.sent("one")).count();
    assert!(under_way < THREADS_MAX - OTHER_THREADS, "{under_way}");
    let now = setup.now;
    setup.pass(CACHE / 2);
    setup.tick();
    let Some(Next::Send(request, _)) = setup.next("one") else { panic!("it waits") };
    assert_eq!(request.token(), lease.token());
    // What was not sent in time has been given up.
    assert!(setup.introspection.pending.len() <= 1, "{}", setup.introspection.pending.len());
    assert!(setup.now.instant > now.instant);
}

#[test]
fn where_everything_is_in_use_nothing_new_is_asked_about() {
    let mut setup = Setup::new(&["one"]);
    setup.introspection.cache.set_bounds(CacheBounds { tokens: 1, ..CacheBounds::default() });
    let lease = setup.lease();
    assert_eq!(setup.look_up("another-token-of-somebody"), Err("introspection-full".into()));
    drop(lease);
    assert!(setup.look_up("another-token-of-somebody").is_ok());
}

#[test]
fn a_new_configuration_forgets_nothing_of_servers_that_stay() {
    let mut setup = Setup::new(&["gone", "one"]);
    let under_way = setup.look_up("another-token-of-somebody").unwrap().unwrap();
    setup.serve("gone", Ok(INACTIVE_ANSWER));
    setup.ask();
    setup.serve("gone", Ok(INACTIVE_ANSWER));
    let request = setup.sent("one").unwrap();
    setup.serve("one", Ok(ACTIVE_ANSWER));
    let moved = Endpoint::new("https://elsewhere.example/introspect", None, TIMEOUT).unwrap();
    setup.introspection.replace(&[source("one"), source("new")], CacheBounds::default());
    assert!(setup.is_active_at("one"));
    // What was under way goes on, with those that follow now.
    setup.answer("one", &request, Ok(INACTIVE_ANSWER));
    assert_eq!(setup.introspection.progress(request.token(), under_way, setup.now.instant), Progress::UnderWay);
    setup.serve("new", Ok(ACTIVE_ANSWER));
    // The same issuer elsewhere is asked anew.
    let moved = IntrospectionSource { endpoint: Arc::new(moved), ..source("one") };
    setup.introspection.replace(&[moved], CacheBounds::default());
    assert!(setup.look_up(TOKEN).is_ok_and(|asked| asked.is_some()));
    setup.introspection.replace(&[], CacheBounds::default());
    assert!(!setup.introspection.has_servers());
}

#[test]
fn a_flush_has_servers_asked_at_once_about_what_is_rested_on() {
    let mut setup = Setup::new(&["one"]);
    let lease = setup.lease();
    assert!(setup.is_active_at("one"));
    assert_eq!(setup.introspection.flush(setup.now.instant), 1);
    assert!(setup.tick().is_empty(), "nobody is put out");
    let again = setup.sent("one").unwrap();
    assert_eq!(again.cause, Cause::Again);
    // Who comes meanwhile waits for that.
    let number = setup.ask();
    assert_eq!(setup.progress(number), Progress::UnderWay);
    setup.answer("one", &again, Ok(ACTIVE_ANSWER));
    assert_eq!(setup.progress(number), Progress::Settled);
    assert!(setup.is_active_at("one") && setup.tick().is_empty());
    // While the server cannot be asked, what it has said before counts for those who rest on it, and for nobody else.
    setup.introspection.flush(setup.now.instant);
    setup.tick();
    setup.serve("one", status(500));
    let number = setup.ask();
    setup.serve("one", status(500));
    assert_eq!(setup.progress(number), Progress::Failed);
    assert!(!setup.tick().iter().any(|news| matches!(news, IntrospectionNews::RanOut(_))));
    // At its end it runs out as ever.
    setup.pass(CACHE);
    assert!(setup.tick().contains(&IntrospectionNews::RanOut(lease.token())));
}

#[test]
fn a_flush_has_servers_asked_about_what_was_not_to_be_asked_about_again() {
    let mut setup = Setup::new(&["one"]);
    setup.ask();
    setup.serve("one", Ok(ACTIVE_ANSWER));
    // It would have come too late.
    let never = |_: &str| CACHE * 2;
    let _lease = setup.introspection.cache.lease(&AskedWith::new(TOKEN), setup.now.instant, never).unwrap();
    setup.introspection.flush(setup.now.instant);
    setup.tick();
    let first = setup.sent("one").unwrap();
    setup.introspection.flush(setup.now.instant);
    setup.tick();
    assert!(setup.sent("one").is_none(), "one at a time");
    setup.answer("one", &first, status(500));
    setup.pass(Duration::from_secs(1));
    setup.tick();
    setup.serve("one", Ok(ACTIVE_ANSWER));
    setup.tick();
    assert!(setup.is_active_at("one") && setup.sent("one").is_none());
}

#[test]
fn what_nobody_rests_on_is_forgotten_by_a_flush() {
    let mut setup = Setup::new(&["one"]);
    setup.ask();
    setup.serve("one", Ok(INACTIVE_ANSWER));
    assert_eq!(setup.look_up(TOKEN), Ok(None));
    assert_eq!(setup.introspection.flush(setup.now.instant), 1);
    assert_eq!(setup.introspection.flush(setup.now.instant), 0);
    setup.ask();
    setup.serve("one", Ok(ACTIVE_ANSWER));
    assert!(setup.is_active_at("one"));
}

#[test]
fn one_token_is_forgotten_and_the_others_are_not() {
    let mut setup = Setup::new(&["one"]);
    let lease = setup.lease();
    setup.look_up("other-token-of-the-server").unwrap();
    setup.serve("one", Ok(ACTIVE_ANSWER));
    setup.introspection.forget(lease.token());
    setup.introspection.forget(TokenHash::of("nobody's"));
    assert!(setup.tick().is_empty() && setup.sent("one").is_none(), "it is asked about when it is wanted");
    assert!(setup.look_up("other-token-of-the-server").is_err());
    setup.ask();
    setup.serve("one", Ok(INACTIVE_ANSWER));
    assert_eq!(setup.tick(), [IntrospectionNews::Ended(lease.token())], "and who rests on it hears of it");
    // Released while it is stale, it is forgotten for good.
    let lease = {
        setup.pass(INACTIVE);
        setup.lease()
    };
    setup.introspection.forget(lease.token());
    drop(lease);
    setup.tick();
    let counters = setup.introspection.counters();
    assert_eq!(counters.entries, 1);
    setup.ask();
}
