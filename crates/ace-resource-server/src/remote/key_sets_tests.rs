//! When keys are fetched, what is made of what comes, and which tokens wait for it.

use std::thread;

use ace_profile::jose::Jwk;
use ace_profile::random::SystemRandom;

use super::*;

const LIFETIME: Duration = Duration::from_secs(60);

/// Nobody listens there: what comes of fetches is given by the tests.
fn set() -> (KeySet, Workers, Instant) {
    let (endpoint, now) = (endpoint("https://localhost:1/jwks"), Instant::now());
    let source = Arc::new(KeySource::at("as".into(), endpoint));
    (KeySet::new(source, now), Workers::default(), now)
}

fn endpoint(url: &str) -> Endpoint {
    let key = rcgen::KeyPair::generate().unwrap();
    let authority = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    Endpoint::new(url, Some(&authority.pem()), Duration::from_secs(1)).unwrap()
}

fn keys(kids: &[&str]) -> JwkSet {
    let key = |kid: &&str| Jwk::generate_ed25519(&mut SystemRandom).unwrap().to_public().unwrap().with_kid(*kid);
    kids.iter().map(key).collect()
}

fn good(keys: &JwkSet) -> Result<Fetched, RequestError> {
    Ok(Fetched { discovered: None, published: Ok(Published { keys: keys.clone(), lifetime: LIFETIME }) })
}

const fn bad() -> Result<Fetched, RequestError> {
    Ok(Fetched { discovered: None, published: Err(RequestError::Status(500)) })
}

fn token(number: u32) -> Fingerprint {
    Fingerprint::of(&number.to_be_bytes())
}

/// Waits for the fetch that is under way, which fails, and throws its answer away.
fn discard(set: &KeySet) {
    assert!(set.answers.recv_timeout(Duration::from_secs(30)).is_ok());
}

#[test]
fn what_is_fetched_is_in_force_until_something_better_comes() {
    let (mut set, mut workers, now) = set();
    assert!(set.keys().is_none() && set.age(now).is_none());
    set.begin(&mut workers, now);
    assert!(matches!(set.take_up(bad(), now), Some(KeyNews::Failing(RequestError::Status(500)))));
    assert_eq!(set.take_up(bad(), now), None, "told once");
    let (first, second) = (keys(&["a"]), keys(&["b", "c"]));
    assert_eq!(set.take_up(good(&first), now), Some(KeyNews::Taken { keys: 1, skipped: Vec::new() }));
    assert_eq!(set.take_up(good(&first), now), None, "nothing new");
    assert!(set.take_up(bad(), now).is_some());
    assert_eq!(set.keys().unwrap().keys()[0].kid(), Some("a"), "what is known stays");
    assert_eq!(set.take_up(good(&first), now), Some(KeyNews::Recovered));
    assert_eq!(set.take_up(good(&second), now), Some(KeyNews::Taken { keys: 2, skipped: Vec::new() }));
    assert!(set.keys().unwrap().with_kid("a").next().is_none(), "what is withdrawn is gone");
    assert_eq!(set.age(now + LIFETIME), Some(LIFETIME));
    let KeyCounters { succeeded, failed, .. } = set.counters();
    assert_eq!((succeeded, failed), (4, 3));
}

#[test]
fn keys_are_fetched_again_when_they_are_old() {
    let (mut set, mut workers, now) = set();
    set.tick(&mut workers, now);
    assert_eq!(set.begun, 1, "at the start");
    discard(&set);
    set.take_up(good(&keys(&["a"])), now);
    set.tick(&mut workers, now + LIFETIME - Duration::from_millis(1));
    assert_eq!(set.begun, 1);
    set.tick(&mut workers, now + LIFETIME);
    assert_eq!(set.begun, 2);
}

#[test]
fn a_token_waits_for_a_fetch_that_began_after_it_came() {
    let (mut set, mut workers, now) = set();
    assert_eq!(set.want(token(1), &mut workers, now), Wanted::Fetch(1), "the first, which nothing has begun yet");
    assert_eq!(set.want(token(2), &mut workers, now), Wanted::Fetch(1), "it is under way");
    assert_eq!(set.outcome(1), None);
    discard(&set);
    set.take_up(good(&keys(&["a"])), now);
    assert_eq!(set.outcome(1), Some(true));
    assert_eq!(set.want(token(1), &mut workers, now), Wanted::Nowhere);
    // Its key may have been published after the first fetch had been answered.
    assert_eq!(set.want(token(2), &mut workers, now), Wanted::Fetch(2));
    assert_eq!(set.want(token(3), &mut workers, now), Wanted::Fetch(2));
    discard(&set);
    set.take_up(good(&keys(&["a"])), now);
    assert_eq!(set.want(token(2), &mut workers, now), Wanted::Nowhere);
    assert_eq!(set.want(token(2), &mut workers, now + MEMORY), Wanted::Fetch(3), "long after, its key may be there");
    assert_eq!(set.counters().for_unknown_keys, 2);
}

#[test]
fn while_the_keys_cannot_be_had_tokens_do_not_wait() {
    let (mut set, mut workers, now) = set();
    set.want(token(1), &mut workers, now);
    discard(&set);
    set.take_up(bad(), now);
    assert_eq!(set.outcome(1), Some(false));
    assert_eq!(set.want(token(1), &mut workers, now), Wanted::Unavailable);
    assert_eq!(set.want(token(1), &mut workers, now + RETRY_MAX), Wanted::Fetch(2), "it is time for the next try");
}

#[test]
fn strangers_cannot_have_a_server_asked_without_end() {
    let (mut set, mut workers, mut now) = set();
    set.begin(&mut workers, now);
    discard(&set);
    set.take_up(good(&keys(&["a"])), now);
    for number in 0..1000 {
        if let Wanted::Fetch(fetch) = set.want(token(number), &mut workers, now)
            && fetch == set.begun
        {
            discard(&set);
            set.take_up(good(&keys(&["a"])), now);
        }
    }
    assert_eq!(set.begun, 1 + u64::from(BURST));
    assert!(set.counters().limited > 900);
    set.tick(&mut workers, now + REFILL - Duration::from_millis(1));
    assert_eq!(set.begun, 1 + u64::from(BURST));
    now += REFILL;
    // The tokens that wait have theirs then.
    set.tick(&mut workers, now);
    assert_eq!(set.begun, 2 + u64::from(BURST));
    assert_eq!(set.want(token(999), &mut workers, now), Wanted::Fetch(set.begun));
}

#[test]
fn tokens_are_not_remembered_without_end() {
    let (mut set, mut workers, now) = set();
    for number in 0..2 * u32::try_from(TOKENS_MAX).unwrap() {
        set.want(token(number), &mut workers, now);
        assert!(set.asked_for.len() <= TOKENS_MAX);
    }
}

#[test]
fn a_new_configuration_forgets_nothing_of_the_same_set() {
    let (mut set, mut workers, now) = set();
    set.begin(&mut workers, now);
    set.take_up(good(&keys(&["a"])), now);
    let source = |issuer: &str, url| Arc::new(KeySource::at(issuer.into(), endpoint(url)));
    let mut before = vec![set];
    let other = KeySet::continuing(source("as", "https://localhost:2/jwks"), &mut before, now);
    assert!(other.keys().is_none(), "keys from elsewhere");
    let other = KeySet::continuing(source("other", "https://localhost:1/jwks"), &mut before, now);
    assert!(other.keys().is_none(), "another's keys");
    let same = KeySet::continuing(source("as", "https://localhost:1/jwks"), &mut before, now);
    assert!(same.keys().is_some() && same.outcome(1) == Some(true));
}

#[test]
fn a_fetch_that_fails_is_answered() {
    let (mut set, mut workers, now) = set();
    set.begin(&mut workers, now);
    let deadline = Instant::now() + Duration::from_secs(30);
    let news = loop {
        if let Some(news) = set.tick(&mut workers, now) {
            break news;
        }
        assert!(Instant::now() < deadline);
        thread::yield_now();
    };
    assert!(matches!(news, KeyNews::Failing(RequestError::Unreachable(_))), "{news:?}");
}
