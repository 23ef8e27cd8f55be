//! E2 with the project's own client and authorization server: `ace-mqtt … --renew` on a connection that outlives its tokens.

use std::io::Write as _;
use std::time::Duration;

use crate::support::authority::now;
use crate::support::case::cases;
use crate::support::client::Event;
use crate::support::programs::{AuthorizationServer, CLIENT, Program, ace_mqtt, ace_mqtt_with_input};
use crate::support::{Broker, Client, Ctx, PATIENCE, Way};

cases! {
    Accept "E2" e2_sub_with_renew_loses_no_message_over_three_lifetimes;
    Accept "E2" e2_pub_with_renew_publishes_over_three_lifetimes;
    Refuse "E2" e2_a_renewed_token_of_another_subject_ends_the_client;
    Refuse "E1" e1_sub_with_renew_ends_with_its_token_when_the_server_refuses;
    Refuse "E1" e1_sub_with_renew_ends_with_its_token_when_the_server_is_gone;
}

/// How long the tokens live.
const LIFETIME: Duration = Duration::from_secs(3);
/// How many lifetimes the connection lasts at least, and how often it is re-authenticated.
const LIFETIMES: usize = 3;

fn server_and_broker(ctx: &Ctx) -> (AuthorizationServer, Broker) {
    let server = AuthorizationServer::start(ctx, "3s");
    let broker = server.setup().start(ctx);
    (server, broker)
}

/// `ace-mqtt` for a connection that is to last.
fn subscribed(ctx: &Ctx, server: &AuthorizationServer, broker: &Broker) -> Program {
    let arguments = [vec!["-i", CLIENT, "-t", "dev/a", "-q", "1", "--renew", "-d"], server.arguments()].concat();
    let mut client = ace_mqtt(ctx, broker, "sub", &arguments);
    client.wait_until("subscribed", |_, errors| errors.contains("subscribed to"));
    client
}

fn renewals(broker: &Broker) -> usize {
    let client = format!("ace: admitted client \"{CLIENT}\"");
    broker.log().lines().filter(|line| line.contains(&client) && line.contains("by re-authentication")).count()
}

/// The client has had one connection, and no other.
fn expect_one_connection(log: &str) {
    let client = format!(" as {CLIENT} (");
    let connections =
        log.lines().filter(|line| line.contains("New client connected") && line.contains(&client)).count();
    assert_eq!(connections, 1, "{log}");
}

/// A turn of a loop that does something again and again: lets a moment pass, and stops a loop that takes too long.
fn turn(client: &mut Client, deadline: Duration) {
    assert!(now() < deadline, "not in time");
    assert!(matches!(client.next(Duration::from_millis(10)), Event::Silence));
}

fn e2_sub_with_renew_loses_no_message_over_three_lifetimes(ctx: &Ctx) {
    let (server, broker) = server_and_broker(ctx);
    let mut publisher = broker.device("publisher").enter(&broker, Way::Challenge);
    let start = now();
    let mut client = subscribed(ctx, &server, &broker);
    let (mut sent, long_enough) = (0, start + LIFETIME * u32::try_from(LIFETIMES).unwrap());
    while now() < long_enough || renewals(&broker) < LIFETIMES {
        sent += 1;
        // The broker takes each: nobody but the subscriber of this connection makes it "success" rather than 0x10.
        assert_eq!(publisher.publish1("dev/a", sent.to_string().as_bytes()), 0, "message {sent} has no subscriber");
        turn(&mut publisher, long_enough + PATIENCE);
    }
    let expected: String = (1..=sent).map(|number| format!("{number}\n")).collect();
    client.wait_until("the last message", |output, _| output.len() >= expected.len());
    assert_eq!(client.terminate(), Some(0), "{}", client.errors());
    assert_eq!(client.output(), expected);
    expect_one_connection(&broker.stop());
}

fn e2_pub_with_renew_publishes_over_three_lifetimes(ctx: &Ctx) {
    let (server, broker) = server_and_broker(ctx);
    let mut subscriber = broker.device("subscriber").enter(&broker, Way::Challenge);
    assert_eq!(subscriber.subscribe(&["dev/a"]), [0]);
    let start = now();
    // Its input stays open, and brings a line now and then.
    let arguments = [vec!["-i", CLIENT, "-t", "dev/a", "-q", "1", "-l", "--renew"], server.arguments()].concat();
    let (mut client, mut input) = ace_mqtt_with_input(ctx, &broker, "pub", &arguments);
    let long_enough = start + LIFETIME * u32::try_from(LIFETIMES).unwrap();
    let mut sent = 0;
    while now() < long_enough || renewals(&broker) < LIFETIMES {
        sent += 1;
        writeln!(input, "{sent}").unwrap();
        assert_eq!(subscriber.message().payload, sent.to_string().as_bytes());
        turn(&mut subscriber, long_enough + PATIENCE);
    }
    drop(input);
    assert_eq!(client.ended(), Some(0), "{}", client.errors());
    expect_one_connection(&broker.stop());
}

fn e2_a_renewed_token_of_another_subject_ends_the_client(ctx: &Ctx) {
    let (mut server, broker) = server_and_broker(ctx);
    let mut client = subscribed(ctx, &server, &broker);
    server.stop();
    server.change("[[client]]", "[[client]]\nsubject = \"somebody-else\"");
    server.go_on(ctx);
    assert_eq!(client.ended(), Some(5), "{}", client.errors());
    let said = client.errors();
    let expected = "ace-mqtt: the broker refused the re-authentication and ended the connection: not authorized (0x87)";
    assert!(said.lines().last().is_some_and(|line| line.starts_with(expected)), "{said}");
    broker.expect_refusal(CLIENT, "identity-changed");
    expect_one_connection(&broker.stop());
}

/// The client's session has ended with its token, and the client says so.
fn expect_end_with_the_token(client: &mut Program, broker: Broker, complaint: &str) {
    assert_eq!(client.ended(), Some(7), "{}", client.errors());
    let said = client.errors();
    assert!(said.contains(complaint), "{said}");
    assert!(said.ends_with("ace-mqtt: the broker ended the connection: not authorized (0x87)\n"), "{said}");
    expect_one_connection(&broker.stop());
}

fn e1_sub_with_renew_ends_with_its_token_when_the_server_refuses(ctx: &Ctx) {
    let (mut server, broker) = server_and_broker(ctx);
    let mut client = subscribed(ctx, &server, &broker);
    server.stop();
    server.change("secret_file = \"sensor.secret\"", "secret = \"another-secret-0123456789\"");
    server.go_on(ctx);
    let complaint = "no fresh token yet: the authorization server refused the token: invalid_client (HTTP 401)";
    expect_end_with_the_token(&mut client, broker, complaint);
}

fn e1_sub_with_renew_ends_with_its_token_when_the_server_is_gone(ctx: &Ctx) {
    let (mut server, broker) = server_and_broker(ctx);
    let mut client = subscribed(ctx, &server, &broker);
    server.stop();
    expect_end_with_the_token(&mut client, broker, "no fresh token yet: cannot reach the authorization server");
}
