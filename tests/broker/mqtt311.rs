//! V: connecting with user name and password, as MQTT 3.1.1 must (RFC 9431, section 6, and the draft's form).

use serde_json::json;

use crate::connecting::{sharing_authority, symmetric_device};
use crate::support::case::cases;
use crate::support::key::random;
use crate::support::packet::kind;
use crate::support::{Attempt, Broker, Connect, Ctx, Device, Key, Protocol, Setup, Way, encode, now, tls};

cases! {
    Accept "V1" v1_jwt_as_it_is_is_accepted;
    Accept "V1" v1_jwt_in_base64url_once_more_is_accepted;
    Accept "V1" v1_proof_by_p256_is_accepted;
    Accept "V1" v1_proof_by_symmetric_key_is_accepted;
    Accept "V1" v1_over_tls12_is_accepted;
    Refuse "V1" v1_proof_by_another_key_is_refused;
    Refuse "V1" v1_proof_by_another_key_over_tls12_is_refused;
    Refuse "V1" v1_changed_token_is_refused;
    Refuse "V1" v1_truncated_proof_is_refused;
    Accept "V2" v2_proof_in_base64url_is_accepted;
    Accept "V2" v2_mac_in_base64url_is_accepted;
    Refuse "V2" v2_proof_in_base64url_by_another_key_is_refused;
    Refuse "V2" v2_proof_in_hexadecimal_is_refused;
    Accept "V3" v3_refused_filter_gets_0x80_and_the_client_stays;
    Refuse "V3" v3_no_token_is_refused;
    Accept "V4" v4_exporter_proof_in_json_is_accepted;
    Accept "V4" v4_signed_time_and_nonce_are_accepted;
    Accept "V4" v4_signed_time_and_nonce_work_for_every_kind_of_key;
    Refuse "V4" v4_exporter_proof_by_another_key_is_refused;
    Refuse "V4" v4_signed_text_by_another_key_is_refused;
    Refuse "V4" v4_signed_text_of_another_client_is_refused;
    Refuse "V4" v4_empty_client_id_with_time_and_nonce_is_refused;
    Refuse "V4" v4_time_without_nonce_is_refused;
    Refuse "V4" v4_unknown_member_is_refused;
    Refuse "V4" v4_switched_off_is_refused;
    Refuse "V4" v4_window_of_zero_refuses_time_and_nonce_only;
    Accept "V5" v5_user_name_form_is_accepted_from_mqtt5;
    Accept "V5" v5_draft_forms_are_accepted_from_mqtt5;
    Refuse "V5" v5_proof_by_another_key_is_refused_with_0x87;
}

const V311: Protocol = Protocol::V311;

fn served(device: &Device, broker: &Broker, way: Way) {
    device.enter(broker, way).round_trip("dev/temperature");
}

/// A proof with ts and nonce counts from the second after the broker's start: before, it could be a replay.
pub fn wait_for_fresh_second() {
    let second = now().as_secs();
    while now().as_secs() == second {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn v1_jwt_as_it_is_is_accepted(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    served(&broker.device("sensor"), &broker, Way::UserName(V311));
    broker.stop();
}

fn v1_jwt_in_base64url_once_more_is_accepted(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    let twice = format!("ace{}", encode(device.token.as_bytes())).into_bytes();
    let attempt = device.attempt_changed(broker.open(), Way::UserName(V311), |connect| {
        connect.user_name = Some(twice);
    });
    attempt.accepted().round_trip("dev/a");
}

fn v1_proof_by_p256_is_accepted(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device_with("sensor", Key::p256());
    served(&device, &broker, Way::UserName(V311));
}

fn v1_proof_by_symmetric_key_is_accepted(ctx: &Ctx) {
    let (authority, shared) = sharing_authority();
    let broker = Setup::with(authority).start(ctx);
    let device = symmetric_device(&broker.setup().authority, &shared, "sensor");
    served(&device, &broker, Way::UserName(V311));
}

fn v1_over_tls12_is_accepted(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    let client = broker.open_with(tls::tls12());
    device.attempt_over(client, Way::UserName(V311)).accepted().round_trip("dev/temperature");
}

fn v1_proof_by_another_key_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for other in [Key::ed25519(), Key::p256()] {
        let thief = broker.device("sensor").with_key(other);
        thief.attempt(&broker, Way::UserName(V311)).refused(&broker, "proof-wrong");
    }
}

fn v1_proof_by_another_key_over_tls12_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let thief = broker.device("sensor").with_key(Key::ed25519());
    let client = broker.open_with(tls::tls12());
    thief.attempt_over(client, Way::UserName(V311)).refused(&broker, "proof-wrong");
}

fn v1_changed_token_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    let other = broker.device_scoped("sensor", &[("#", &["pub", "sub"])]);
    // The claims of one token under the signature of another.
    let [header, _, signature] = device.token.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts");
    };
    let claims = other.token.split('.').nth(1).unwrap();
    let mixed = device.with_token(&[header, claims, signature].join("."));
    mixed.attempt(&broker, Way::UserName(V311)).refused(&broker, "signature-wrong");
}

fn v1_truncated_proof_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    for bytes in [1, 16, 32, 63] {
        // Where the broker tells no length, a zero byte cut off the end is there all the same: the one that ends a C string.
        let (client, mut connect) = loop {
            let client = broker.open();
            let connect = device.connect(&client, Way::UserName(V311));
            if connect.password.as_ref().unwrap()[bytes] != 0 {
                break (client, connect);
            }
        };
        connect.password.as_mut().unwrap().truncate(bytes);
        Attempt::make(client, &connect).refused(&broker, "proof-");
    }
}

fn v2_proof_in_base64url_is_accepted(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for key in [Key::ed25519(), Key::p256()] {
        let device = broker.device_with("sensor", key);
        served(&device, &broker, Way::UserNameText(V311));
    }
}

fn v2_mac_in_base64url_is_accepted(ctx: &Ctx) {
    let (authority, shared) = sharing_authority();
    let broker = Setup::with(authority).start(ctx);
    let device = symmetric_device(&broker.setup().authority, &shared, "sensor");
    served(&device, &broker, Way::UserNameText(V311));
}

fn v2_proof_in_base64url_by_another_key_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let thief = broker.device("sensor").with_key(Key::ed25519());
    thief.attempt(&broker, Way::UserNameText(V311)).refused(&broker, "proof-wrong");
}

fn v2_proof_in_hexadecimal_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    let client = broker.open();
    let mut connect = device.connect(&client, Way::UserName(V311));
    let hex: String = connect.password.unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    connect.password = Some(hex.into_bytes());
    Attempt::make(client, &connect).refused(&broker, "proof-");
}

fn v3_refused_filter_gets_0x80_and_the_client_stays(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut client = broker.device("sensor").enter(&broker, Way::UserName(V311));
    assert_eq!(client.subscribe(&["secret/#"]), [0x80]);
    client.round_trip("dev/temperature");
}

fn v3_no_token_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let nothing = Connect::new(V311, "nothing");
    let name_only = Connect { user_name: Some(b"ace".to_vec()), ..Connect::new(V311, "name-only") };
    let empty = Connect::credentials(V311, "empty", b"ace", b"");
    let stranger = Connect::credentials(V311, "stranger", b"alice", b"open sesame");
    for connect in [nothing, name_only, empty, stranger] {
        let mut client = broker.open();
        client.connect(&connect);
        let connack = client.expect(kind::CONNACK);
        assert_eq!(connack.reason(), 5, "{}: {connack:02x?}", connect.client_id);
        client.expect_close();
        broker.expect_some_refusal(&connect.client_id);
    }
}

fn v4_exporter_proof_in_json_is_accepted(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for key in [Key::ed25519(), Key::p256()] {
        let device = broker.device_with("sensor", key);
        served(&device, &broker, Way::Draft00(V311));
    }
}

fn v4_signed_time_and_nonce_are_accepted(ctx: &Ctx) {
    let broker = Setup::new().plain_listener().start(ctx);
    wait_for_fresh_second();
    let device = broker.device("sensor");
    served(&device, &broker, Way::Draft00Signed(V311));
    // It needs no exporter.
    let mut client = device.attempt_over(broker.open_plain(), Way::Draft00Signed(V311)).accepted();
    client.round_trip("dev/temperature");
}

fn v4_signed_time_and_nonce_work_for_every_kind_of_key(ctx: &Ctx) {
    let (authority, shared) = sharing_authority();
    let broker = Setup::with(authority).start(ctx);
    wait_for_fresh_second();
    for device in [
        broker.device_with("ed25519", Key::ed25519()),
        broker.device_with("p256", Key::p256()),
        symmetric_device(&broker.setup().authority, &shared, "symmetric"),
    ] {
        served(&device, &broker, Way::Draft00Signed(V311));
    }
}

fn v4_exporter_proof_by_another_key_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let thief = broker.device("sensor").with_key(Key::ed25519());
    thief.attempt(&broker, Way::Draft00(V311)).refused(&broker, "proof-wrong");
}

fn v4_signed_text_by_another_key_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    wait_for_fresh_second();
    let thief = broker.device("sensor").with_key(Key::ed25519());
    thief.attempt(&broker, Way::Draft00Signed(V311)).refused(&broker, "proof-wrong");
}

fn v4_signed_text_of_another_client_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    wait_for_fresh_second();
    let device = broker.device("sensor");
    let password = device.signed_password(now().as_secs(), &encode(&random(16)));
    let mut connect = device.draft00(V311, &password);
    connect.client_id = "another".to_owned();
    Attempt::make(broker.open(), &connect).refused(&broker, "proof-wrong");
}

/// The broker makes up the id of such a client, which nobody can sign.
fn v4_empty_client_id_with_time_and_nonce_is_refused(ctx: &Ctx) {
    let broker = Setup::new().conf("allow_zero_length_clientid true").start(ctx);
    wait_for_fresh_second();
    let mut device = broker.device("sensor");
    device.id = String::new();
    for protocol in [V311, Protocol::V5] {
        let mut attempt = device.attempt(&broker, Way::Draft00Signed(protocol));
        let refused = matches!(&attempt.reply, crate::support::Reply::Connack(connack) if connack.reason() != 0);
        assert!(refused, "{:02x?}", attempt.reply);
        attempt.client.expect_close();
        broker.wait_for_line(&["ace: refused", ": "]);
    }
}

fn v4_time_without_nonce_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    for missing in ["nonce", "ts", "mac", "access_token"] {
        let mut password = device.signed_password(now().as_secs(), &encode(&random(16)));
        password.as_object_mut().unwrap().remove(missing);
        Attempt::make(broker.open(), &device.draft00(V311, &password)).refused(&broker, "draft00-member-missing");
    }
}

fn v4_unknown_member_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    let mut password = device.signed_password(now().as_secs(), &encode(&random(16)));
    password["version"] = json!(2);
    Attempt::make(broker.open(), &device.draft00(V311, &password)).refused(&broker, "draft00-member-unknown");
}

fn v4_switched_off_is_refused(ctx: &Ctx) {
    let broker = Setup::new().tokens("draft00 = false").start(ctx);
    wait_for_fresh_second();
    let device = broker.device("sensor");
    for way in [Way::Draft00(V311), Way::Draft00Signed(V311)] {
        device.attempt(&broker, way).refused(&broker, "draft00-off");
    }
    served(&device, &broker, Way::UserName(V311));
}

fn v4_window_of_zero_refuses_time_and_nonce_only(ctx: &Ctx) {
    let broker = Setup::new().tokens("draft00_window = \"0\"").start(ctx);
    wait_for_fresh_second();
    let device = broker.device("sensor");
    device.attempt(&broker, Way::Draft00Signed(V311)).refused(&broker, "draft00-window-off");
    served(&device, &broker, Way::Draft00(V311));
}

fn v5_user_name_form_is_accepted_from_mqtt5(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    served(&device, &broker, Way::UserName(Protocol::V5));
    served(&device, &broker, Way::UserNameText(Protocol::V5));
}

fn v5_draft_forms_are_accepted_from_mqtt5(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    wait_for_fresh_second();
    let device = broker.device("sensor");
    served(&device, &broker, Way::Draft00(Protocol::V5));
    served(&device, &broker, Way::Draft00Signed(Protocol::V5));
}

fn v5_proof_by_another_key_is_refused_with_0x87(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    wait_for_fresh_second();
    let thief = broker.device("sensor").with_key(Key::ed25519());
    for way in [
        Way::UserName(Protocol::V5),
        Way::UserNameText(Protocol::V5),
        Way::Draft00(Protocol::V5),
        Way::Draft00Signed(Protocol::V5),
    ] {
        thief.attempt(&broker, way).refused(&broker, "proof-wrong");
    }
}
