//! The cache by itself: no threads, no network, and time as the tests want it.

use super::*;

const CACHE: Duration = Duration::from_secs(60);
const SPREAD: Duration = Duration::from_secs(30);

fn said(answer: Option<&[u8]>, asked: Instant, counts: Duration) -> Said {
    Said {
        issuer: "as".into(),
        answer: answer.map(|answer| Zeroizing::new(answer.to_vec())),
        asked,
        ends: asked + counts,
        ends_with_token: false,
    }
}

/// A cache that knows of one active token, and a lease on it.
fn leased(now: Instant) -> (Cache, AskedWith, Lease) {
    let (mut cache, with) = (Cache::default(), AskedWith::new("token"));
    cache.put(with.token(), said(Some(b"active"), now, CACHE), SPREAD);
    let lease = cache.lease(&with, now, |_| SPREAD).unwrap();
    (cache, with, lease)
}

fn is_empty(cache: &Cache) -> bool {
    cache.entries.is_empty()
        && cache.free.is_empty()
        && cache.leased.is_empty()
        && cache.due.is_empty()
        && (cache.bytes, cache.leased_bytes) == (0, 0)
}

#[test]
fn what_is_known_counts_until_its_end() {
    let (mut cache, now, token) = (Cache::default(), Instant::now(), TokenHash::of("token"));
    cache.put(token, said(Some(b"active"), now, CACHE), SPREAD);
    assert!(cache.get(token, now + CACHE - Duration::from_millis(1)).is_some());
    assert!(cache.get(token, now + CACHE).is_none());
    assert!(cache.expire(now + CACHE).is_empty(), "nobody rests on it");
    assert!(is_empty(&cache));
}

#[test]
fn what_is_rested_on_is_asked_again_and_runs_out_with_a_word() {
    let now = Instant::now();
    let (mut cache, with, lease) = leased(now);
    assert!(cache.next_due(now + SPREAD - Duration::from_millis(1)).is_none());
    let (again, issuer) = cache.next_due(now + SPREAD).unwrap();
    assert_eq!((again.sent(), &*issuer), (&b"token"[..], "as"));
    assert!(cache.next_due(now + SPREAD).is_none(), "once");
    assert_eq!(cache.expire(now + CACHE), [with.token()]);
    assert!(is_empty(&cache));
    drop(lease);
    assert!(cache.expire(now + CACHE).is_empty());
}

#[test]
fn a_token_that_ends_by_itself_is_not_asked_about_and_ends_without_a_word() {
    let (mut cache, with, now) = (Cache::default(), AskedWith::new("token"), Instant::now());
    let short = said(Some(b"active"), now, Duration::from_secs(20));
    cache.put(with.token(), Said { ends_with_token: true, ..short }, SPREAD);
    let _lease = cache.lease(&with, now, |_| SPREAD).unwrap();
    assert!(cache.next_due(now + CACHE).is_none());
    assert!(cache.expire(now + CACHE).is_empty());
    assert!(is_empty(&cache));
}

#[test]
fn a_new_answer_is_told_if_it_is_another() {
    let now = Instant::now();
    let (mut cache, with, _lease) = leased(now);
    let later = now + SPREAD;
    assert!(cache.next_due(later).is_some());
    assert_eq!(cache.put(with.token(), said(Some(b"active"), later, CACHE), SPREAD), Consequence::Nothing);
    assert!(cache.get(with.token(), now + CACHE).is_some(), "it counts longer now");
    assert!(cache.next_due(later + SPREAD).is_some(), "and is asked again");
    assert_eq!(cache.put(with.token(), said(Some(b"changed"), later, CACHE), SPREAD), Consequence::Changed);
    assert_eq!(cache.put(with.token(), said(None, later, CACHE), SPREAD), Consequence::Ended);
    assert_eq!(cache.put(with.token(), said(None, later, CACHE), SPREAD), Consequence::Nothing, "told once");
    assert!(cache.next_due(later + CACHE).is_none());
    assert!(cache.lease(&with, later, |_| SPREAD).is_none(), "nobody can rest on that");
}

#[test]
fn after_failures_the_pause_doubles_until_it_is_too_late() {
    let now = Instant::now();
    let (mut cache, with, _lease) = leased(now);
    let (mut at, mut pauses) = (now + SPREAD, Vec::new());
    while cache.next_due(at).is_some() {
        cache.put_off(with.token(), at, None, Duration::from_secs(8));
        let Some((due, _)) = cache.due.first().copied() else { break };
        pauses.push((due - at).as_millis());
        at = due;
    }
    assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 8000], "and not at 60 seconds");
    // A server that wants to be left alone is.
    let (mut cache, with, _lease) = leased(now);
    assert!(cache.next_due(now + SPREAD).is_some());
    cache.put_off(with.token(), now + SPREAD, Some(now + SPREAD * 3 / 2), Duration::from_secs(1));
    assert!(cache.next_due(now + SPREAD * 3 / 2 - Duration::from_millis(1)).is_none());
    assert!(cache.next_due(now + SPREAD * 3 / 2).is_some());
    // And where there was no room for the question.
    cache.postpone(with.token(), now + CACHE - Duration::from_millis(1));
    assert!(cache.next_due(now + CACHE).is_some());
    cache.postpone(with.token(), now + CACHE);
    assert!(cache.next_due(now + CACHE).is_none(), "too late");
}

#[test]
fn what_nobody_rests_on_any_more_is_not_asked_about() {
    let now = Instant::now();
    let (mut cache, with, lease) = leased(now);
    let other = cache.lease(&with, now, |_| SPREAD).unwrap();
    assert_eq!((lease.token(), other.token()), (with.token(), with.token()));
    let bytes = cache.bytes();
    drop(lease);
    assert!(cache.next_due(now + SPREAD).is_some(), "the other is still there");
    drop(other);
    assert!(cache.expire(now).is_empty() && cache.free.len() == 1 && cache.leased.is_empty());
    assert_eq!((cache.bytes(), cache.leased_bytes), (bytes - "token".len(), 0));
    assert!(cache.lease(&with, now, |_| SPREAD).is_some(), "it can be rested on again");
}

#[test]
fn what_ends_first_goes_first_and_what_is_rested_on_stays() {
    let now = Instant::now();
    let mut cache = Cache::default();
    cache.set_bounds(CacheBounds { tokens: 3, ..CacheBounds::default() });
    let put = |cache: &mut Cache, token: &str, counts: u64| {
        cache.put(TokenHash::of(token), said(Some(b"active"), now, Duration::from_secs(counts)), SPREAD)
    };
    for (token, counts) in [("rested on", 5), ("short", 10), ("long", 60)] {
        put(&mut cache, token, counts);
    }
    let lease = cache.lease(&AskedWith::new("rested on"), now, |_| SPREAD).unwrap();
    put(&mut cache, "new", 60);
    let known = |cache: &Cache, token: &str| cache.get(TokenHash::of(token), now).is_some();
    assert!(known(&cache, "rested on") && !known(&cache, "short") && known(&cache, "long") && known(&cache, "new"));
    assert_eq!(cache.evicted(), 1);
    let leases: Vec<Lease> = ["long", "new"]
        .into_iter()
        .map(|token| cache.lease(&AskedWith::new(token), now, |_| SPREAD).unwrap())
        .collect();
    assert!(!cache.has_room(5));
    assert_eq!(put(&mut cache, "one more", 60), Consequence::NoRoom { leased: false });
    // What is known anew of what is rested on has its old place.
    assert_eq!(cache.put(TokenHash::of("long"), said(Some(b"other"), now, CACHE), SPREAD), Consequence::Changed);
    // An answer that has become too long for all of them.
    cache.set_bounds(CacheBounds { tokens: 3, bytes: cache.bytes() });
    let long = vec![b'x'; 1000];
    assert_eq!(
        cache.put(TokenHash::of("new"), said(Some(&long), now, CACHE), SPREAD),
        Consequence::NoRoom { leased: true }
    );
    drop((lease, leases));
    assert!(cache.has_room(5));
}

#[test]
fn a_lease_that_there_is_no_room_for_is_not_given() {
    let now = Instant::now();
    let mut cache = Cache::default();
    let long = AskedWith::new(&"t".repeat(30_000));
    cache.put(long.token(), said(Some(b"active"), now, CACHE), SPREAD);
    cache.set_bounds(CacheBounds { tokens: 3, bytes: 20_000 });
    assert!(cache.lease(&long, now, |_| SPREAD).is_none());
    assert_eq!((cache.len(), cache.leased.len(), cache.bytes()), (1, 0, BYTES_PER_ENTRY + 6));
}

#[test]
fn a_new_configuration_keeps_what_it_can() {
    let now = Instant::now();
    let mut cache = Cache::default();
    for (token, issuer) in [("a", "stays"), ("b", "gone"), ("c", "gone")] {
        let said = Said { issuer: issuer.into(), ..said(Some(b"active"), now, CACHE) };
        cache.put(TokenHash::of(token), said, SPREAD);
    }
    let _lease = cache.lease(&AskedWith::new("c"), now, |_| SPREAD).unwrap();
    let shorter = Duration::from_secs(10);
    cache.adapt(|issuer| (issuer == "stays").then_some(shorter));
    let ends = |token: &str| cache.get(TokenHash::of(token), now).map(|said| said.ends - now);
    assert_eq!((ends("a"), ends("b"), ends("c")), (Some(shorter), None, Some(CACHE)));
}

/// A million tokens, of which each hundredth is active, and each thousandth is rested on for a while: the bounds hold all the time.
#[test]
fn a_million_tokens_do_not_exceed_the_bounds() {
    let start = Instant::now();
    let bounds = CacheBounds::default();
    let (mut cache, mut leases, mut most) = (Cache::default(), std::collections::VecDeque::new(), 0);
    let answer = [b'x'; 400];
    for number in 0..1_000_000_u32 {
        // Ten thousand in a second.
        let now = start + Duration::from_micros(100) * number;
        let with = AskedWith::new(&number.to_string());
        let is_active = number % 100 == 0;
        let counts = if is_active { CACHE } else { Duration::from_secs(5) };
        assert!(cache.has_room(0));
        let taken = cache.put(with.token(), said(is_active.then_some(&answer[..]), now, counts), SPREAD);
        assert_eq!(taken, Consequence::Nothing);
        if number % 1000 == 0 {
            leases.push_back(cache.lease(&with, now, |_| SPREAD).unwrap());
        }
        if leases.len() > 500 {
            leases.pop_front();
        }
        if number % 100 == 0 {
            let _ = cache.expire(now);
        }
        assert!(cache.len() <= bounds.tokens && cache.bytes() <= bounds.bytes);
        most = most.max(cache.len());
    }
    assert_eq!(most, bounds.tokens, "there were too many");
    assert!(cache.evicted() > 500_000);
    assert!(leases.iter().all(|lease| cache.entries.contains_key(&lease.token())), "what is rested on has stayed");
    drop(leases);
    let _ = cache.expire(start + Duration::from_secs(1000));
    assert!(is_empty(&cache));
}
