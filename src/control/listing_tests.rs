use std::cell::Cell;
use std::ffi::CString;
use std::rc::Rc;

use ace_profile::scope::{Matcher, Permissions, TopicFilter};

use super::*;
use ace_resource_server::rights::Origin;

use crate::broker::ClientKey;
use crate::session::Phase;

const LARGE: usize = usize::MAX;

fn session(id: &str, subject: Option<&str>, scope: Scope) -> Session {
    let issuer = "https://as.test".to_owned();
    let identity = subject.map(|subject| Holder::Subject { issuer, subject: subject.to_owned() });
    let grant = Grant {
        matcher: Rc::new(Matcher::new(&scope)),
        scope: Rc::new(scope),
        expires: Timestamp::from_unix_seconds(2_000),
        user_name: CString::new(subject.unwrap_or("ace-key-x")).unwrap(),
        identity,
        binding: None,
        fingerprint: Fingerprint::of(b"token"),
        origin: Origin { issuer: "https://as.test".into(), ..Origin::for_test() },
    };
    Session {
        client_id: CString::new(id).unwrap().into(),
        user_name: Some(grant.user_name.clone().into()),
        address: "192.0.2.7".parse().ok(),
        how: "challenge",
        since: Timestamp::from_unix_seconds(1_000),
        ..Session::for_test(Rights::Token(Rc::new(grant)))
    }
}

fn sessions(count: usize) -> Sessions {
    let mut sessions = Sessions::default();
    for number in 0..count {
        let subject = if number % 10 == 0 { "tenth" } else { "other" };
        let session = session(&format!("client-{number}"), Some(subject), Scope::default());
        sessions.insert(ClientKey::at((number + 1) * 64), session);
    }
    sessions
}

/// All pages, one after the other: the client ids.
fn all(sessions: &Sessions, filter: &Filter, count: usize, bytes: usize) -> Vec<String> {
    let (mut ids, mut offset) = (Vec::new(), 0);
    for _ in 0..10_000 {
        let page = page(sessions, filter, offset, count, bytes);
        assert!(page.sessions.len() <= count);
        ids.extend(page.sessions.iter().map(|shown| shown["clientid"].as_str().unwrap().to_owned()));
        match page.next {
            Some(next) => {
                assert!(next > offset, "it gets on");
                offset = next;
            }
            None => return ids,
        }
    }
    panic!("it does not end")
}

#[test]
fn a_session_is_shown_as_it_is() {
    let scope = Scope::from_aif_value(&json!([["a/#", ["pub", "sub"]], ["b", ["sub"]]])).unwrap();
    let mut sessions = Sessions::default();
    sessions.insert(ClientKey::at(64), session("c", Some("s"), scope));
    let shown = page(&sessions, &Filter::default(), 0, 1, LARGE).sessions;
    let expected = json!([{
        "clientid": "c", "address": "192.0.2.7", "username": "s", "subject": "s", "issuer": "https://as.test",
        "rights": "token", "how": "challenge", "since": 1_000, "expires": 2_000,
        "token": Fingerprint::of(b"token").to_string(),
        "scope": [["a/#", ["pub", "sub"]], ["b", ["sub"]]],
    }]);
    assert_eq!(Value::from(shown), expected);
}

#[test]
fn what_there_is_not_is_null_or_not_there() {
    let mut sessions = Sessions::default();
    sessions.insert(ClientKey::at(64), Session { how: "public topics only", ..Session::for_test(Rights::Public) });
    let shown = page(&sessions, &Filter::default(), 0, 1, LARGE).sessions;
    let expected = json!([{
        "clientid": "client", "address": null, "username": null, "rights": "public", "how": "public topics only", "since": 0,
    }]);
    assert_eq!(Value::from(shown), expected);
    let mut session = session("c", None, Scope::default());
    let grant = session.grant().map(|grant| Grant {
        scope: Rc::clone(&grant.scope),
        matcher: Rc::clone(&grant.matcher),
        expires: Timestamp::MAX,
        user_name: grant.user_name.clone(),
        identity: None,
        binding: None,
        fingerprint: grant.fingerprint,
        origin: grant.origin.clone(),
    });
    session.rights = Rights::Token(Rc::new(grant.unwrap()));
    sessions.insert(ClientKey::at(64), session);
    let shown = page(&sessions, &Filter::default(), 0, 1, LARGE).sessions;
    assert_eq!((&shown[0]["expires"], &shown[0]["subject"]), (&Value::Null, &Value::Null));
}

#[test]
fn those_that_have_gone_are_not_shown_and_those_that_are_going_are() {
    let mut sessions = sessions(4);
    let phases = [Phase::Connected, Phase::Ending, Phase::Leaving, Phase::Departed];
    for (number, phase) in phases.into_iter().enumerate() {
        sessions.get_mut(ClientKey::at((number + 1) * 64)).unwrap().phase = Cell::new(phase);
    }
    let mut ids = all(&sessions, &Filter::default(), 100, LARGE);
    ids.sort();
    assert_eq!(ids, ["client-0", "client-1"]);
}

#[test]
fn pages_together_are_all_of_them_once() {
    let sessions = sessions(1_000);
    for (count, bytes) in [(1, LARGE), (7, LARGE), (100, LARGE), (100, 1_000), (1_000, 0)] {
        let mut ids = all(&sessions, &Filter::default(), count, bytes.max(1));
        ids.sort();
        let mut expected: Vec<String> = (0..1_000).map(|number| format!("client-{number}")).collect();
        expected.sort();
        assert_eq!(ids, expected, "{count} {bytes}");
    }
    assert!(page(&sessions, &Filter::default(), usize::MAX, 100, LARGE).sessions.is_empty());
    assert_eq!(page(&sessions, &Filter::default(), sessions.places(), 100, LARGE).next, None);
}

#[test]
fn filters_leave_out_the_others() {
    let sessions = sessions(1_000);
    let subject = Filter { subject: Some("tenth".into()), ..Filter::default() };
    assert_eq!(all(&sessions, &subject, 30, LARGE).len(), 100);
    let client = Filter { client_id: Some("client-77".into()), ..Filter::default() };
    assert_eq!(all(&sessions, &client, 30, LARGE), ["client-77"]);
    for nobody in [
        Filter { client_id: Some("client-77".into()), ..subject.clone() },
        Filter { issuer: Some("https://other.test".into()), ..Filter::default() },
        Filter { client_id: Some("client-".into()), ..Filter::default() },
    ] {
        assert!(all(&sessions, &nobody, 30, LARGE).is_empty(), "{nobody:?}");
    }
}

#[test]
fn a_bounded_number_is_looked_at_for_a_page() {
    let sessions = sessions(20_000);
    assert!(sessions.places() > 2 * PLACES, "{}", sessions.places());
    let nobody = Filter { client_id: Some("nobody".into()), ..Filter::default() };
    let first = page(&sessions, &nobody, 0, 100, LARGE);
    assert_eq!((first.sessions.len(), first.next), (0, Some(PLACES)));
    assert!(all(&sessions, &nobody, 100, LARGE).is_empty(), "and then it goes on to the end");
}

#[test]
fn bytes_are_bounded_and_a_large_scope_is_cut() {
    let filters = (0..4_000).map(|number| TopicFilter::parse(&format!("some/topic/{number}/#")).unwrap());
    let scope = Scope::new(filters.map(|filter| (filter, Permissions::BOTH)));
    let mut sessions = Sessions::default();
    for number in 1..=50 {
        sessions.insert(ClientKey::at(number * 64), session(&number.to_string(), Some("s"), scope.clone()));
    }
    let page = page(&sessions, &Filter::default(), 0, 100, 20_000);
    assert!((20_000..30_000).contains(&page.bytes), "{}", page.bytes);
    assert!(page.sessions.len() < 10 && page.next.is_some());
    assert_eq!(page.sessions[0]["scopeTruncated"], json!(true));
    assert!(page.sessions[0]["scope"].as_array().is_some_and(|scope| scope.len() > 100 && scope.len() < 300));
}
