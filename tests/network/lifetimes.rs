//! How long somebody stays: until the token expires or is revoked, or longer with a fresh one.

use std::time::{Duration, Instant};

use ace_mqtt::{Client, Error, Message, Qos};

use crate::authorization_server::revoke;
use crate::cases;
use crate::site::{BRIEF, BRIEF_LIFE, PATIENCE, Site, end_of, lasts, own_key};

cases! {
    a_session_ends_with_its_token;
    an_expired_token_is_refused;
    a_fresh_token_keeps_the_session;
    a_fresh_token_without_its_key_ends_the_session;
    a_revoked_token_ends_its_session_and_opens_no_other;
}

fn is_not_authorized(end: &Error) -> bool {
    matches!(end, Error::Disconnected { reason, .. } if reason.is_not_authorized())
}

fn a_session_ends_with_its_token(site: &Site) {
    let got = Instant::now();
    let credentials = site.token(BRIEF, own_key());
    let mut client = Client::connect(&site.options("mortal"), Some(&credentials)).expect("the client is let in");
    client.publish(&Message::new("test/brief/a", "").with_qos(Qos::AtLeastOnce)).expect("the message is taken");
    let end = end_of(&mut client);
    assert!(is_not_authorized(&end), "{end}");
    // Tokens count in whole seconds: `exp` may be up to one sooner than the life after the answer.
    let lived = got.elapsed();
    assert!(lived + Duration::from_secs(1) >= BRIEF_LIFE, "ended after {lived:?}");
    site.has_logged(&["\"mortal\" ends", "token-expired"]);
}

fn an_expired_token_is_refused(site: &Site) {
    let credentials = site.token(BRIEF, own_key());
    let first = Client::connect(&site.options("late-comer"), Some(&credentials)).expect("the client is let in");
    drop(first);
    let deadline = Instant::now() + PATIENCE;
    // Until it has expired, it opens the door; from then on it does not.
    while let Ok(client) = Client::connect(&site.options("late-comer"), Some(&credentials)) {
        drop(client);
        assert!(Instant::now() < deadline, "it never expires");
        std::thread::sleep(Duration::from_millis(100));
    }
    site.refuses(&site.options("late-comer"), Some(&credentials), "token-expired");
}

fn a_fresh_token_keeps_the_session(site: &Site) {
    let credentials = site.token(BRIEF, own_key());
    let mut client = Client::connect(&site.options("renewing"), Some(&credentials)).expect("the client is let in");
    for _ in 0..2 {
        lasts(&mut client, BRIEF_LIFE / 2).expect("the connection lasts");
        client.reauthenticate(&site.token(BRIEF, own_key())).expect("the fresh token is taken");
    }
    lasts(&mut client, BRIEF_LIFE / 2).expect("the connection outlives its first token");
    client.publish(&Message::new("test/brief/b", "").with_qos(Qos::AtLeastOnce)).expect("the message is taken");
}

fn a_fresh_token_without_its_key_ends_the_session(site: &Site) {
    let mut client = site.client("impostor");
    let other = site.credentials();
    let token = site.credentials().token().to_owned();
    let stolen = ace_mqtt::Credentials::new(&token, other.key().cloned()).expect("a token");
    match client.reauthenticate(&stolen) {
        Err(Error::ReauthenticationRefused { reason, .. }) => assert!(reason.is_not_authorized(), "{reason}"),
        other => panic!("not refused: {other:?}"),
    }
    site.has_logged(&["ace: refused", "\"impostor\"", "proof-wrong"]);
}

fn a_revoked_token_ends_its_session_and_opens_no_other(site: &Site) {
    let credentials = site.credentials();
    let mut client = Client::connect(&site.options("fallen"), Some(&credentials)).expect("the client is let in");
    let mut other = site.client("spared");
    assert_eq!(revoke(site, "administrator", credentials.token()), 200);
    let end = end_of(&mut client);
    assert!(is_not_authorized(&end), "{end}");
    site.has_logged(&["\"fallen\" ends", "token-revoked"]);
    site.refuses(&site.options("fallen"), Some(&credentials), "token-revoked");
    other.ping().expect("tokens that are not revoked go on");
}
