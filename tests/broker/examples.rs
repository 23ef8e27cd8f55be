//! The programs in `examples/`: each publishes, subscribes, is told what its token does not allow, is refused with a wrong key, and goes on
//! when its token ends. What comes of it is seen from the other side, by the project's own client and the broker's log.

use serde_json::Value;

use crate::support::case::cases;
use crate::support::example::{Example, arduino_password};
use crate::support::programs::Program;
use crate::support::trial::{AUDIENCE, Trial};
use crate::support::{Ctx, key};

cases! {
    Accept "" x1_paho_publishes_and_subscribes;
    Accept "" x1_paho_proves_over_the_exporter;
    Accept "" x1_paho_comes_back_with_a_fresh_token;
    Refuse "" x1_paho_is_told_what_its_token_does_not_allow;
    Refuse "" x1_paho_is_refused_with_a_wrong_key;
    Refuse "" x1_paho_leaves_a_broker_that_is_not_the_right_one;
    Accept "" x2_mqtt_js_answers_the_challenge_publishes_and_subscribes;
    Accept "" x2_mqtt_js_proves_over_the_exporter;
    Accept "" x2_mqtt_js_stays_with_a_fresh_token;
    Refuse "" x2_mqtt_js_is_told_what_its_token_does_not_allow;
    Refuse "" x2_mqtt_js_is_refused_with_a_wrong_key;
    Accept "" x3_mosquitto_clients_publish_and_subscribe;
    Accept "" x3_mosquitto_clients_come_in_by_certificate;
    Accept "" x3_mosquitto_clients_come_back_with_a_fresh_token;
    Refuse "" x3_mosquitto_clients_are_told_what_their_token_does_not_allow;
    Refuse "" x3_mosquitto_clients_are_refused_with_a_wrong_key;
    Refuse "" x3_mosquitto_clients_by_certificate_do_no_more_than_their_token_allows;
    Accept "" x4_c_publishes_and_subscribes;
    Refuse "" x4_c_is_told_what_its_token_does_not_allow;
    Refuse "" x4_c_is_refused_with_a_wrong_key;
    Accept "" x5_rust_publishes_and_subscribes;
    Accept "" x5_rust_stays_with_a_fresh_token;
    Refuse "" x5_rust_is_told_what_its_token_does_not_allow;
    Refuse "" x5_rust_is_refused_with_a_wrong_key;
    Accept "" x6_arduino_makes_passwords_that_are_taken;
    Refuse "" x6_arduino_is_refused_with_a_wrong_key;
}

/// The sensor's message reaches a client of another kind, and such a one's message the dashboard.
fn publishes_and_subscribes(ctx: &Ctx, example: Example) {
    let trial = Trial::start(ctx, "5m");
    expect_publishing(ctx, &trial, example, "sensor", example.form());

    let mut dashboard = example.start(ctx, &trial, "dashboard", &[]);
    trial.broker.wait_for_line(&["admitted client \"dashboard\"", example.form()]);
    trial.broker.wait_for_line(&["Sending SUBACK to dashboard"]);
    let message = ["-t", "sensors/7", "-m", "from the other side", "-q", "1"];
    let mut other = trial.ace_mqtt(ctx, "sensor", "pub", &message);
    assert_eq!(other.ended(), Some(0), "{}", other.errors());
    dashboard.program.wait_until("the message", |output, _| output.contains("sensors/7 from the other side\n"));
    drop(dashboard);
    trial.broker.stop();
}

/// A client of another kind gets what this program publishes, which the broker has let in by this form.
fn expect_publishing(ctx: &Ctx, trial: &Trial, example: Example, program: &str, form: &str) {
    let mut other = trial.ace_mqtt(ctx, "dashboard", "sub", &["-t", "sensors/#", "-v", "-d", "-C", "1", "-W", "20"]);
    other.wait_until("a subscription", |_, errors| errors.contains("subscribed to"));
    let mut sensor = example.start(ctx, trial, program, &[]);
    assert_eq!(other.ended(), Some(0), "{}\n{}", other.errors(), sensor.program.errors());
    sensor.program.wait_until("an acknowledgement", |output, _| output.contains("published to sensors/1\n"));
    assert!(other.output().starts_with("sensors/1 2"), "no temperature: {}", other.output());
    trial.broker.wait_for_line(&["admitted client \"sensor\"", form]);
}

/// Neither program may leave the part of the topics that its token is for; both say so.
fn is_told_what_its_token_does_not_allow(ctx: &Ctx, example: Example) {
    let trial = Trial::start(ctx, "5m");
    let mut sensor = example.start(ctx, &trial, "sensor", &["other/1"]);
    let says_so = |output: &str, errors: &str| {
        let said = format!("{output}{errors}").to_lowercase();
        said.contains("not authorized") || said.contains("all subscription requests were denied")
    };
    sensor.program.wait_until("the word that publishing is refused", says_so);
    trial.broker.wait_for_line(&["denied client \"sensor\"", "publish", "outside-scope"]);
    let mut dashboard = example.start(ctx, &trial, "dashboard", &["other/#"]);
    trial.broker.wait_for_line(&["denied client \"dashboard\"", "subscribe", "outside-scope"]);
    if example == Example::MosquittoClients {
        assert_eq!(dashboard.program.ended(), Some(1), "{}", dashboard.program.errors());
        assert!(says_so(&dashboard.program.output(), &dashboard.program.errors()));
    } else {
        dashboard.program.wait_until("the word that subscribing is refused", says_so);
    }
    assert!(!sensor.program.output().contains("published to"), "{}", sensor.program.output());
}

/// A token opens nothing to one who does not hold its key.
fn is_refused_with_a_wrong_key(ctx: &Ctx, example: Example) {
    let mut trial = Trial::start(ctx, "5m");
    let mut sensor = example.start_with_a_wrong_key(ctx, &mut trial);
    trial.broker.expect_refusal("sensor", "proof-wrong");
    sensor.program.wait_until("the word that it is refused", |output, _| {
        output.to_lowercase().contains("not authorized") && output.contains("refused")
    });
    drop(sensor);
    let log = trial.broker.stop();
    assert!(!log.contains("admitted client \"sensor\""), "{log}");
}

/// The sensor goes on with a second token before the first has ended: by this form, and in a session that never ended.
fn goes_on_with_a_fresh_token(ctx: &Ctx, example: Example, lifetime: &str, form: &str) {
    let trial = Trial::start(ctx, lifetime);
    let mut dashboard = example.start(ctx, &trial, "dashboard", &[]);
    let line = trial.broker.wait_for_line(&["admitted client \"dashboard\"", example.form()]);
    trial.broker.wait_for_line(&["Sending SUBACK to dashboard"]);
    // The fingerprint at the line's end tells the tokens apart.
    let first = line.rsplit("(token ").next().expect("a fingerprint").to_owned();
    dashboard.program.wait_until("a fresh token", |_, _| {
        let log = trial.broker.log();
        let admitted = |line: &&str| line.contains("admitted client \"dashboard\"") && line.contains(form);
        log.lines().filter(admitted).any(|line| !line.ends_with(&first))
    });
    let message = ["-t", "sensors/7", "-m", "after the first token", "-q", "1"];
    let mut other = trial.ace_mqtt(ctx, "sensor", "pub", &message);
    assert_eq!(other.ended(), Some(0), "{}", other.errors());
    dashboard.program.wait_until("the message", |output, _| output.contains("sensors/7 after the first token\n"));
    drop(dashboard);
    let log = trial.broker.stop();
    assert!(!log.contains("ace: session of client"), "{log}");
}

fn x1_paho_publishes_and_subscribes(ctx: &Ctx) {
    publishes_and_subscribes(ctx, Example::Paho);
}

fn x1_paho_proves_over_the_exporter(ctx: &Ctx) {
    expect_publishing(ctx, &Trial::start(ctx, "5m"), Example::Paho, "exporter", "draft-00 exporter proof");
}

/// The example checks the broker's certificate itself there: whose it is, and whether it is the broker's.
fn x1_paho_leaves_a_broker_that_is_not_the_right_one(ctx: &Ctx) {
    let trial = Trial::start(ctx, "5m");
    let of_another_authority = [("PORT", trial.broker.tls_port().to_string())];
    let of_another_name = [("PORT", trial.broker.port(1).to_string())];
    let without_a_name = [("BROKER", "127.0.0.1".to_owned())];
    for [(setting, value)] in [of_another_authority, of_another_name, without_a_name] {
        if value == trial.broker.port(1).to_string() {
            trial.trust_the_suites_authority();
        }
        let mut sensor = Example::Paho.start_with(ctx, &trial, "exporter", &[], &[(setting, &value)]);
        sensor.program.wait_until("no connection", |output, _| output.contains("not connected"));
        assert!(!sensor.program.output().contains("no token"), "{}", sensor.program.output());
    }
    let log = trial.broker.stop();
    assert!(!log.contains("client \"sensor\""), "it has shown its token: {log}");
}

fn x1_paho_comes_back_with_a_fresh_token(ctx: &Ctx) {
    goes_on_with_a_fresh_token(ctx, Example::Paho, "6s", "draft-00 timed proof");
}

fn x1_paho_is_told_what_its_token_does_not_allow(ctx: &Ctx) {
    is_told_what_its_token_does_not_allow(ctx, Example::Paho);
}

fn x1_paho_is_refused_with_a_wrong_key(ctx: &Ctx) {
    is_refused_with_a_wrong_key(ctx, Example::Paho);
}

fn x2_mqtt_js_answers_the_challenge_publishes_and_subscribes(ctx: &Ctx) {
    publishes_and_subscribes(ctx, Example::MqttJs);
}

fn x2_mqtt_js_proves_over_the_exporter(ctx: &Ctx) {
    expect_publishing(ctx, &Trial::start(ctx, "5m"), Example::MqttJs, "exporter", "exporter proof");
}

fn x2_mqtt_js_stays_with_a_fresh_token(ctx: &Ctx) {
    goes_on_with_a_fresh_token(ctx, Example::MqttJs, "6s", "re-authentication");
}

fn x2_mqtt_js_is_told_what_its_token_does_not_allow(ctx: &Ctx) {
    is_told_what_its_token_does_not_allow(ctx, Example::MqttJs);
}

fn x2_mqtt_js_is_refused_with_a_wrong_key(ctx: &Ctx) {
    is_refused_with_a_wrong_key(ctx, Example::MqttJs);
}

fn x3_mosquitto_clients_publish_and_subscribe(ctx: &Ctx) {
    publishes_and_subscribes(ctx, Example::MosquittoClients);
}

fn x3_mosquitto_clients_come_in_by_certificate(ctx: &Ctx) {
    expect_publishing(ctx, &Trial::start(ctx, "5m"), Example::MosquittoClients, "certificate", "certificate");
}

fn x3_mosquitto_clients_by_certificate_do_no_more_than_their_token_allows(ctx: &Ctx) {
    let trial = Trial::start(ctx, "5m");
    let mut sensor = Example::MosquittoClients.start(ctx, &trial, "certificate", &["other/1"]);
    assert_eq!(sensor.program.ended(), Some(1), "{}", sensor.program.errors());
    assert!(sensor.program.output().contains("refused: other/1: "), "{}", sensor.program.output());
    trial.broker.wait_for_line(&["denied client \"sensor\"", "publish", "outside-scope"]);
}

fn x3_mosquitto_clients_come_back_with_a_fresh_token(ctx: &Ctx) {
    goes_on_with_a_fresh_token(ctx, Example::MosquittoClients, "12s", "draft-00 timed proof");
}

fn x3_mosquitto_clients_are_told_what_their_token_does_not_allow(ctx: &Ctx) {
    is_told_what_its_token_does_not_allow(ctx, Example::MosquittoClients);
}

fn x3_mosquitto_clients_are_refused_with_a_wrong_key(ctx: &Ctx) {
    is_refused_with_a_wrong_key(ctx, Example::MosquittoClients);
}

fn x4_c_publishes_and_subscribes(ctx: &Ctx) {
    publishes_and_subscribes(ctx, Example::C);
}

fn x4_c_is_told_what_its_token_does_not_allow(ctx: &Ctx) {
    is_told_what_its_token_does_not_allow(ctx, Example::C);
}

fn x4_c_is_refused_with_a_wrong_key(ctx: &Ctx) {
    is_refused_with_a_wrong_key(ctx, Example::C);
}

fn x5_rust_publishes_and_subscribes(ctx: &Ctx) {
    publishes_and_subscribes(ctx, Example::Rust);
}

fn x5_rust_stays_with_a_fresh_token(ctx: &Ctx) {
    goes_on_with_a_fresh_token(ctx, Example::Rust, "6s", "re-authentication");
}

fn x5_rust_is_told_what_its_token_does_not_allow(ctx: &Ctx) {
    is_told_what_its_token_does_not_allow(ctx, Example::Rust);
}

fn x5_rust_is_refused_with_a_wrong_key(ctx: &Ctx) {
    is_refused_with_a_wrong_key(ctx, Example::Rust);
}

/// mosquitto_pub, with the password that the sketch's header makes on this machine, if it has this key.
fn publish_as_arduino(ctx: &Ctx, trial: &Trial, key: Option<&str>) -> Program {
    let file = std::fs::read(trial.credentials(ctx, "sensor")).expect("the credentials");
    let credentials: Value = serde_json::from_slice(&file).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let (token, right) = (text(&credentials["access_token"]), text(&credentials["key"]["k"]));
    let password = arduino_password(&["sensor", AUDIENCE, &token, key.unwrap_or(&right)]);
    let mut command = trial.command(ctx, ctx.version.launcher.with_file_name("mosquitto_pub"));
    command.args(["-h", "localhost", "-p", &trial.broker.port(0).to_string(), "--cafile", "ca-cert.pem"]);
    command.args(["-i", "sensor", "-u", "ace", "-P", &password, "-t", "sensors/1", "-m", "21.5", "-q", "1"]);
    Program::start(ctx, "mosquitto_pub", &mut command)
}

fn x6_arduino_makes_passwords_that_are_taken(ctx: &Ctx) {
    // The example of docs/clients.md.
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let moment = ["1700000000", "000102030405060708090a0b0c0d0e0f"];
    let made = arduino_password(&["sensor-1", "broker.example", "aa.bb.cc", key, moment[0], moment[1]]);
    let expected = r#"{"access_token":"aa.bb.cc","mac":"sSIynLsIlKFZoO9hPUPRBUQEsNzRfQVk8OGAge2eriw","ts":1700000000,"nonce":"AAECAwQFBgcICQoLDA0ODw"}"#;
    assert_eq!(made, expected);

    let trial = Trial::start(ctx, "5m");
    let mut other = trial.ace_mqtt(ctx, "dashboard", "sub", &["-t", "sensors/#", "-v", "-d", "-C", "1", "-W", "20"]);
    other.wait_until("a subscription", |_, errors| errors.contains("subscribed to"));
    let mut sensor = publish_as_arduino(ctx, &trial, None);
    assert_eq!(sensor.ended(), Some(0), "{}", sensor.errors());
    assert_eq!((other.ended(), other.output().as_str()), (Some(0), "sensors/1 21.5\n"), "{}", other.errors());
    trial.broker.stop();
}

fn x6_arduino_is_refused_with_a_wrong_key(ctx: &Ctx) {
    let trial = Trial::start(ctx, "5m");
    let mut sensor = publish_as_arduino(ctx, &trial, Some(&crate::support::encode(&key::random(32))));
    assert_ne!(sensor.ended(), Some(0), "{}", sensor.errors());
    trial.broker.expect_refusal("sensor", "proof-wrong");
}
