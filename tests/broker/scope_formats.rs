//! S1 and S5: scopes in the forms of ordinary OAuth servers, and placeholders in them.

use serde_json::{Value, json};

use crate::reauthentication::renew;
use crate::support::case::cases;
use crate::support::key::random;
use crate::support::packet::binary;
use crate::support::{
    Answer, Attempt, Authority, Broker, Client, Connect, Ctx, Device, HttpsServer, Key, Setup, Way, encode,
};

cases! {
    Accept "S1" s1_words_of_ordinary_servers_are_understood;
    Accept "S1" s1_a_claim_of_the_servers_own_is_understood;
    Accept "S1" s1_words_in_an_answer_are_understood;
    Refuse "S1" s1_what_holds_no_words_is_refused;
    Refuse "S1" s1_words_of_other_applications_grant_nothing;
    Refuse "S5" s5_a_malformed_word_is_refused;
    Accept "S1" s1_placeholders_are_filled_in_for_each_client;
    Refuse "S1" s1_placeholders_without_a_fit_value_are_refused;
    Refuse "S1" s1_placeholders_are_not_filled_in_unless_switched_on;
    Accept "S1" s1_a_new_token_is_filled_in_for_the_client_that_renews;
    Accept "R2" r2_filled_in_scopes_outlive_a_restart;
}

const WORDS: &str = r#"scope_format = "words""#;
const PLACEHOLDERS: &str = "scope_placeholders = true";

/// A client of this id whose token has these claims instead of the usual scope.
fn device(broker: &Broker, id: &str, subject: &str, claims: &[(&str, Value)]) -> Device {
    let key = Key::ed25519();
    let usual = broker.setup().authority.claims(subject, &key).without("scope");
    let claims = claims.iter().fold(usual, |all, (name, value)| all.set(name, value.clone()));
    Device { id: id.to_owned(), token: broker.setup().authority.token(&claims), key }
}

fn may_publish(client: &mut Client, topic: &str) -> bool {
    client.publish1(topic, b"") & 0x80 == 0
}

fn s1_words_of_ordinary_servers_are_understood(ctx: &Ctx) {
    let words = "openid mqtt:pub:one/+/temperature mqtt:sub:one/# mqtt:pub:two%20words offline_access";
    let array: Vec<&str> = words.split(' ').collect();
    let broker = Setup::new().server(WORDS).start(ctx);
    for claims in [("scope", json!(words)), ("scp", json!(words)), ("scp", json!(array)), ("scope", json!(array))] {
        for way in [Way::Challenge, Way::Exporter] {
            let mut client = device(&broker, "sensor", "sensor", std::slice::from_ref(&claims)).enter(&broker, way);
            assert_eq!(client.subscribe(&["one/+/temperature", "two words"]), [0, 0x87]);
            client.round_trip("one/room/temperature");
            assert!(may_publish(&mut client, "two words") && !may_publish(&mut client, "one/room/humidity"));
        }
    }
    let broker = Setup::new().server(WORDS).server(r#"scope_claim = "roles""#).start(ctx);
    let claims = [("roles", json!(array)), ("scp", json!("mqtt:pub:three"))];
    let mut client = device(&broker, "sensor", "sensor", &claims).enter(&broker, Way::Challenge);
    client.round_trip("one/room/temperature");
    assert!(!may_publish(&mut client, "three"));
}

fn s1_a_claim_of_the_servers_own_is_understood(ctx: &Ctx) {
    let setup = Setup::new().server(r#"scope_format = "claim""#);
    let broker = setup.server(r#"scope_claim = "https://broker.test/topics""#).start(ctx);
    let aif = json!([["one/#", ["pub", "sub"]]]);
    let text = aif.to_string();
    for value in [aif, json!(text), json!(encode(text.as_bytes()))] {
        let claims = [("https://broker.test/topics", value), ("scope", json!("openid profile"))];
        let mut client = device(&broker, "sensor", "sensor", &claims).enter(&broker, Way::Challenge);
        client.round_trip("one/more");
        assert!(!may_publish(&mut client, "two"));
    }
    let claims = [("https://broker.test/topics", json!("openid"))];
    device(&broker, "sensor", "sensor", &claims).attempt(&broker, Way::Challenge).refused(&broker, "scope-not-aif");
    // Without the claim there are no rights, whatever the scope says.
    let claims = [("scope", json!([["one/#", ["pub"]]]))];
    let mut client = device(&broker, "sensor", "sensor", &claims).enter(&broker, Way::Challenge);
    assert!(!may_publish(&mut client, "one/more"));
}

/// The server is asked about a token that only it can read, and answers in its own words.
fn s1_words_in_an_answer_are_understood(ctx: &Ctx) {
    let key = Key::ed25519();
    let claims = Authority::new().claims("subject", &key).set("active", true);
    let claims = claims.set("scope", "openid mqtt:pub:of/{client_id}/{sub} mqtt:sub:of/#");
    let body = Value::Object(claims.0).to_string().into_bytes();
    let server = HttpsServer::start(move |_| Answer::ok("application/json", body.clone()));
    let broker = Setup::new().server(WORDS).server(PLACEHOLDERS).introspecting(&server.url("/introspect")).start(ctx);
    let device = Device { id: "sensor".to_owned(), token: encode(&random(16)), key };
    let mut client = device.enter(&broker, Way::Challenge);
    assert_eq!(client.subscribe(&["of/#", "other/#"]), [0, 0x87]);
    client.round_trip("of/sensor/subject");
    assert!(!may_publish(&mut client, "of/subject/sensor"));
}

fn s1_what_holds_no_words_is_refused(ctx: &Ctx) {
    let broker = Setup::new().server(WORDS).start(ctx);
    for scope in [json!([["one/#", ["pub"]]]), json!(7), json!({}), json!(["openid", null])] {
        let device = device(&broker, "sensor", "sensor", &[("scope", scope)]);
        device.attempt(&broker, Way::Challenge).refused(&broker, "scope-not-words");
    }
}

fn s1_words_of_other_applications_grant_nothing(ctx: &Ctx) {
    let broker = Setup::new().server(WORDS).start(ctx);
    let aif = encode(br#"[["one/#",["pub"]]]"#);
    for scope in ["", "openid", "MQTT:pub:one/#", "mqtt.pub:one/#", "pub:one/#", aif.as_str()] {
        let device = device(&broker, "sensor", "sensor", &[("scope", json!(scope))]);
        let mut client = device.enter(&broker, Way::Challenge);
        assert!(!may_publish(&mut client, "one/more"), "{scope}");
        assert_eq!(client.subscribe(&["one/#"]), [0x87], "{scope}");
    }
}

fn s5_a_malformed_word_is_refused(ctx: &Ctx) {
    let broker = Setup::new().server(WORDS).start(ctx);
    for (word, code) in [
        ("mqtt:", "scope-malformed-word"),
        ("mqtt:pub:", "scope-malformed-word"),
        ("mqtt:pub:a%2", "scope-malformed-word"),
        ("mqtt:read:a", "scope-unknown-permission"),
        ("mqtt:pub:a/#/b", "scope-malformed-filter"),
        ("mqtt:pub:a%00", "scope-malformed-filter"),
    ] {
        let scope = json!(format!("openid {word} mqtt:pub:good"));
        let attempt = device(&broker, "sensor", "sensor", &[("scope", scope)]).attempt(&broker, Way::Challenge);
        attempt.refused(&broker, code);
    }
    broker.wait_for_line(&["scope-malformed-word", "\"mqtt:pub:a%2\""]);
}

fn s1_placeholders_are_filled_in_for_each_client(ctx: &Ctx) {
    let broker = Setup::new().server(WORDS).server(PLACEHOLDERS).start(ctx);
    let scope = json!("mqtt:pub:of/{client_id}/# mqtt:sub:of/{client_id}/# mqtt:pub:by-{sub}");
    let one = device(&broker, "one", "subject", &[("scope", scope)]);
    // One token, shown by clients of two ids: what is held is not what was made of it for the first.
    let other = Device { id: "other".to_owned(), ..one.clone() };
    for _ in 0..2 {
        for (device, id, foreign) in [(&one, "one", "other"), (&other, "other", "one")] {
            let mut client = device.enter(&broker, Way::Challenge);
            client.subscribe(&["of/+/x", &format!("of/{id}/#")]);
            client.round_trip(&format!("of/{id}/x"));
            assert!(may_publish(&mut client, "by-subject"));
            for topic in [&format!("of/{foreign}/x"), "of/{client_id}/x", "by-{sub}", "by-one"] {
                assert!(!may_publish(&mut client, topic), "{topic}");
            }
        }
    }
    // The values stand for themselves, even if they look like placeholders.
    let odd = device(&broker, "{sub}", "subject", &[("scope", json!("mqtt:pub:of/{client_id}"))]);
    let mut client = odd.enter(&broker, Way::Challenge);
    assert!(may_publish(&mut client, "of/{sub}") && !may_publish(&mut client, "of/subject"));
}

fn s1_placeholders_without_a_fit_value_are_refused(ctx: &Ctx) {
    let broker = Setup::new().server(WORDS).server(PLACEHOLDERS).start(ctx);
    let refused = |id: &str, subject: &str, word: &str| {
        let device = device(&broker, id, subject, &[("scope", json!(word))]);
        device.attempt(&broker, Way::Challenge).refused(&broker, "scope-placeholder");
    };
    for value in ["+", "#", "a/b", "x+", "/"] {
        refused(value, "subject", "mqtt:pub:of/{client_id}");
        refused("sensor", value, "mqtt:sub:of/{sub}");
    }
    refused("$SYS", "subject", "mqtt:sub:{client_id}/#");
    refused("sensor", "$share", "mqtt:sub:{sub}/g/#");
    let without_subject = device(&broker, "sensor", "s", &[("scope", json!("mqtt:pub:{sub}")), ("sub", Value::Null)]);
    without_subject.attempt(&broker, Way::Challenge).refused(&broker, "claim-malformed");
    let key = Key::ed25519();
    let claims = broker.setup().authority.claims("s", &key).without("sub").set("scope", "mqtt:pub:{sub}");
    let device = Device { id: "sensor".to_owned(), token: broker.setup().authority.token(&claims), key };
    device.attempt(&broker, Way::Challenge).refused(&broker, "scope-placeholder");
}

fn s1_placeholders_are_not_filled_in_unless_switched_on(ctx: &Ctx) {
    let broker = Setup::new().server(WORDS).start(ctx);
    let scope = json!("mqtt:pub:of/{client_id} mqtt:pub:{sub}");
    let mut client = device(&broker, "sensor", "subject", &[("scope", scope)]).enter(&broker, Way::Challenge);
    assert!(!may_publish(&mut client, "of/sensor") && !may_publish(&mut client, "subject"));
    assert!(may_publish(&mut client, "of/{client_id}"));
}

fn s1_a_new_token_is_filled_in_for_the_client_that_renews(ctx: &Ctx) {
    let broker = Setup::new().server(WORDS).server(PLACEHOLDERS).start(ctx);
    let first = device(&broker, "sensor", "subject", &[("scope", json!("mqtt:pub:first/{client_id}"))]);
    let mut client = first.enter(&broker, Way::Challenge);
    assert!(may_publish(&mut client, "first/sensor"));
    let second = device(&broker, "sensor", "subject", &[("scope", json!("mqtt:pub:second/{client_id}/{sub}"))]);
    renew(&mut client, &second);
    assert!(may_publish(&mut client, "second/sensor/subject") && !may_publish(&mut client, "first/sensor"));
    // The token that is held is the one that came, not the one that was filled in.
    let attempt = Attempt::make(broker.open(), &Connect::ace("sensor", binary(b"")));
    let answer = second.challenge_answer(&attempt.nonce());
    let mut client = attempt.answer(&answer).accepted();
    assert!(may_publish(&mut client, "second/sensor/subject"));
}

fn r2_filled_in_scopes_outlive_a_restart(ctx: &Ctx) {
    let setup = Setup::new().server(WORDS).server(PLACEHOLDERS).conf("check_retain_source true");
    let setup = setup.conf("persistence true").conf("persistence_location {dir}/").top(r#"state_dir = ".""#);
    let broker = setup.start(ctx);
    let words = json!("mqtt:pub:of/{client_id}");
    let mut client = device(&broker, "publisher", "subject", &[("scope", words)]).enter(&broker, Way::Challenge);
    assert_eq!(client.publish_retained("of/publisher", b"kept") & 0x80, 0);
    drop(client);
    let broker = broker.restart(ctx);
    let mut reader =
        device(&broker, "reader", "reader", &[("scope", json!("mqtt:sub:of/#"))]).enter(&broker, Way::Challenge);
    assert_eq!(reader.subscribe(&["of/#"]), [0]);
    assert_eq!(reader.message().topic, "of/publisher");
    let state = std::fs::read_to_string(broker.file("publishers.json")).expect("the state file");
    assert!(state.contains("of/publisher") && !state.contains("{client_id}"), "{state}");
}
