//! Who is let in: by each form of token and proof, and nobody else.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ace_mqtt::{Authentication, Client, Credentials, Error, Message, Qos, RequestedKey, Subscription, Version};

use crate::cases;
use crate::site::{PATIENCE, Site, TESTER, forged, next, own_key};

cases! {
    mqtt5_by_exporter;
    mqtt5_by_challenge;
    mqtt311_by_user_name;
    mqtt311_by_draft_00;
    mqtt5_by_draft_00_with_time;
    a_symmetric_key_from_the_server;
    a_token_is_held_for_the_next_connection;
    refused_without_a_token;
    refused_with_a_stolen_token;
    refused_with_a_stolen_token_after_a_challenge;
    refused_with_a_stolen_token_on_mqtt311;
    refused_with_a_forged_token;
    refused_without_tls;
    a_broker_of_another_authority_is_not_talked_to;
}

/// A client that is let in can send itself a message.
fn works(site: &Site, id: &str, version: Version, authentication: Authentication, credentials: &Credentials) {
    let options = site.way(id, version, authentication);
    let mut client = Client::connect(&options, Some(credentials)).expect("the client is let in");
    let topic = format!("test/{id}");
    let answers = client.subscribe(&[Subscription::new(topic.clone(), Qos::AtLeastOnce)]).expect("an answer");
    assert!(answers.iter().all(|answer| answer.result.is_ok()), "{answers:?}");
    client.publish(&Message::new(topic.clone(), id).with_qos(Qos::AtLeastOnce)).expect("the message is taken");
    let message = next(&mut client);
    assert_eq!((message.topic, message.payload), (topic, id.as_bytes().to_vec()));
    client.disconnect().expect("an orderly end");
    site.has_logged(&["ace: admitted", &format!("\"{id}\"")]);
}

fn mqtt5_by_exporter(site: &Site) {
    works(site, "exporter", Version::V5, Authentication::Exporter, &site.credentials());
}

fn mqtt5_by_challenge(site: &Site) {
    works(site, "challenge", Version::V5, Authentication::Challenge, &site.credentials());
}

fn mqtt311_by_user_name(site: &Site) {
    works(site, "user-name", Version::V311, Authentication::UserName, &site.credentials());
}

fn mqtt311_by_draft_00(site: &Site) {
    works(site, "draft-00", Version::V311, Authentication::Draft00, &site.credentials());
}

fn mqtt5_by_draft_00_with_time(site: &Site) {
    let credentials = site.credentials();
    // In the second in which the broker starts it takes none: it would not know one that it has seen before.
    let early = site.way("draft-00-early", Version::V5, Authentication::Draft00Time);
    let deadline = Instant::now() + PATIENCE;
    while Client::connect(&early, Some(&credentials)).is_err() {
        assert!(Instant::now() < deadline, "refused for ever");
        sleep(Duration::from_millis(100));
    }
    works(site, "draft-00-time", Version::V5, Authentication::Draft00Time, &credentials);
}

fn a_symmetric_key_from_the_server(site: &Site) {
    let credentials = site.token(TESTER, RequestedKey::Symmetric);
    works(site, "symmetric", Version::V5, Authentication::Exporter, &credentials);
}

fn a_token_is_held_for_the_next_connection(site: &Site) {
    let credentials = site.credentials();
    let id = "stored";
    let first = Client::connect(&site.options(id), Some(&credentials)).expect("the client is let in");
    first.disconnect().expect("an orderly end");
    let key = Credentials::of_stored_token(credentials.key().cloned().expect("a key"));
    works(site, id, Version::V5, Authentication::Stored, &key);
}

fn refused_without_a_token(site: &Site) {
    site.refuses(&site.way("nobody", Version::V5, Authentication::None), None, "anonymous-not-allowed");
    site.refuses(&site.way("nobody-311", Version::V311, Authentication::None), None, "anonymous-not-allowed");
}

/// The token of another client with a key of the thief's own.
fn stolen(site: &Site) -> Credentials {
    let token = site.credentials().token().to_owned();
    Credentials::new(&token, site.credentials().key().cloned()).expect("a token")
}

fn refused_with_a_stolen_token(site: &Site) {
    let options = site.way("thief", Version::V5, Authentication::Exporter);
    site.refuses(&options, Some(&stolen(site)), "proof-wrong");
}

fn refused_with_a_stolen_token_after_a_challenge(site: &Site) {
    let options = site.way("thief-challenged", Version::V5, Authentication::Challenge);
    site.refuses(&options, Some(&stolen(site)), "proof-wrong");
}

fn refused_with_a_stolen_token_on_mqtt311(site: &Site) {
    let options = site.way("thief-311", Version::V311, Authentication::UserName);
    site.refuses(&options, Some(&stolen(site)), "proof-wrong");
}

fn refused_with_a_forged_token(site: &Site) {
    let credentials = forged(&site.token(TESTER, own_key()));
    site.refuses(&site.options("forger"), Some(&credentials), "signature-wrong");
}

/// The port speaks TLS and nothing else: CONNECT in the clear gets no CONNACK.
fn refused_without_tls(site: &Site) {
    let mut socket = TcpStream::connect((site.host.as_str(), site.port)).expect("the port is open");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let connect = b"\x10\x11\0\x04MQTT\x05\x02\0\x3c\0\0\x04bare";
    socket.write_all(connect).expect("the port takes bytes");
    let mut answer = Vec::new();
    // It may close the connection in either way; what counts is what it says before, which is at most a TLS alert.
    let end = socket.read_to_end(&mut answer);
    let waited_in_vain = end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(!waited_in_vain, "the connection is still open");
    assert_ne!(answer.first(), Some(&0x20), "a CONNACK in the clear");
}

fn a_broker_of_another_authority_is_not_talked_to(site: &Site) {
    let mut options = site.options("careful");
    let other = rcgen::generate_simple_self_signed([site.host.clone()]).expect("a certificate").cert.pem();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("other.pem");
    std::fs::write(&file, other).expect("a file");
    options.tls.ca_file = Some(file);
    match Client::connect(&options, Some(&site.credentials())) {
        Err(Error::Tls { .. }) => (),
        other => panic!("not an error of TLS: {other:?}"),
    }
}
