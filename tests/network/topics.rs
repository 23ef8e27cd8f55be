//! What is let through: the topics of the token's scope, and no others.

use ace_mqtt::{Authentication, Client, Error, Message, Qos, Subscription, Version};

use crate::cases;
use crate::site::{BRIEF, PATIENCE, Site, end_of, next, own_key};

cases! {
    messages_of_each_quality_arrive;
    from_one_client_to_another_across_versions;
    a_retained_message_arrives_later;
    publishing_outside_the_scope_is_refused_and_the_connection_stays;
    publishing_outside_the_scope_ends_mqtt311;
    subscribing_outside_the_scope_is_refused;
    a_wider_filter_than_the_scope_is_refused;
    the_broker_is_the_version_that_it_should_be;
}

fn subscribe(client: &mut Client, filter: &str) -> bool {
    let answers = client.subscribe(&[Subscription::new(filter, Qos::ExactlyOnce)]).expect("an answer");
    let [answer] = answers.as_slice() else { panic!("{answers:?}") };
    if let Err(reason) = answer.result {
        assert!(reason.is_not_authorized(), "{reason}");
    }
    answer.result.is_ok()
}

fn messages_of_each_quality_arrive(site: &Site) {
    let mut client = site.client("qualities");
    assert!(subscribe(&mut client, "test/qualities/#"));
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
        client.publish(&Message::new("test/qualities/one", "21.5").with_qos(qos)).expect("the message is taken");
        let message = next(&mut client);
        assert_eq!((message.payload.as_slice(), message.qos), (&b"21.5"[..], qos));
    }
}

fn from_one_client_to_another_across_versions(site: &Site) {
    let mut listener = site.client("listener");
    assert!(subscribe(&mut listener, "test/across/+"));
    let options = site.way("speaker-311", Version::V311, Authentication::UserName);
    let mut speaker = Client::connect(&options, Some(&site.credentials())).expect("the client is let in");
    speaker.publish(&Message::new("test/across/one", "hello").with_qos(Qos::AtLeastOnce)).expect("it is taken");
    assert_eq!(next(&mut listener).topic, "test/across/one");
}

fn a_retained_message_arrives_later(site: &Site) {
    let mut speaker = site.client("keeper");
    let message = Message::new("test/kept", "still here").with_qos(Qos::AtLeastOnce).with_retain(true);
    speaker.publish(&message).expect("the message is taken");
    let mut late = site.client("late");
    assert!(subscribe(&mut late, "test/kept"));
    let message = next(&mut late);
    assert!(message.retain && message.payload == b"still here", "{message:?}");
}

fn publishing_outside_the_scope_is_refused_and_the_connection_stays(site: &Site) {
    let mut client = site.client("trespasser");
    match client.publish(&Message::new("doors/1/unlock", "now").with_qos(Qos::AtLeastOnce)) {
        Err(Error::PublishRefused { reason, .. }) => assert!(reason.is_not_authorized(), "{reason}"),
        other => panic!("not refused: {other:?}"),
    }
    site.has_logged(&["ace: denied", "\"trespasser\"", "doors/1/unlock", "outside-scope"]);
    client.publish(&Message::new("test/inside", "").with_qos(Qos::AtLeastOnce)).expect("the connection stays");
}

fn publishing_outside_the_scope_ends_mqtt311(site: &Site) {
    let options = site.way("trespasser-311", Version::V311, Authentication::UserName);
    let mut client = Client::connect(&options, Some(&site.credentials())).expect("the client is let in");
    // MQTT 3.1.1 has no word for a refused message: the connection ends, before or after the acknowledgement.
    let end = client.publish(&Message::new("doors/1/unlock", "now").with_qos(Qos::AtLeastOnce)).err();
    let end = end.unwrap_or_else(|| end_of(&mut client));
    assert!(matches!(end, Error::ConnectionLost { .. }), "{end}");
    site.has_logged(&["ace: denied", "\"trespasser-311\"", "outside-scope"]);
}

fn subscribing_outside_the_scope_is_refused(site: &Site) {
    let mut client = site.client("eavesdropper");
    assert!(!subscribe(&mut client, "home/temperature"));
    site.has_logged(&["ace: denied", "\"eavesdropper\"", "home/temperature", "outside-scope"]);
    assert!(subscribe(&mut client, "test/eavesdropper"), "what is inside is still allowed");
}

fn a_wider_filter_than_the_scope_is_refused(site: &Site) {
    let credentials = site.token(BRIEF, own_key());
    let mut client = Client::connect(&site.options("glutton"), Some(&credentials)).expect("the client is let in");
    assert!(!subscribe(&mut client, "test/#") && !subscribe(&mut client, "#"));
    assert!(subscribe(&mut client, "test/brief/a"));
}

fn the_broker_is_the_version_that_it_should_be(site: &Site) {
    let mut client = site.client("curious");
    assert!(subscribe(&mut client, "$SYS/broker/version"));
    let said = client.receive(PATIENCE).expect("the connection lasts").expect("the broker says its version");
    let said = String::from_utf8_lossy(&said.payload).into_owned();
    let version = said.strip_prefix("mosquitto version ").unwrap_or_else(|| panic!("no Mosquitto: {said}"));
    match &site.version {
        Some(wanted) => assert_eq!(version, wanted),
        None => assert!(version.starts_with("2.0.") || version.starts_with("2.1."), "{version}"),
    }
    println!("the broker is Mosquitto {version}");
    // Nothing else of the broker's is open to the token.
    assert!(!subscribe(&mut client, "$SYS/#"));
}
