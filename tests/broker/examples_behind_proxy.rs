//! The example for a broker behind a proxy that ends TLS, with a real proxy: what works there, and what cannot.

use std::net::Ipv4Addr;

use crate::mqtt311::wait_for_fresh_second;
use crate::mutual_tls::Holder;
use crate::reauthentication::renew;
use crate::support::case::cases;
use crate::support::device::EXPORTER_WAYS;
use crate::support::packet::{binary, kind};
use crate::support::proxy::Proxy;
use crate::support::{
    Attempt, Authority, Broker, Client, Connect, Ctx, Device, Example, Key, Protocol, Reply, Setup, Way, now, tls,
};

cases! {
    Accept "" example_behind_proxy_takes_challenges_and_timed_proofs;
    Refuse "" example_behind_proxy_refuses_what_needs_the_tls_connection;
    Pin "" example_behind_proxy_ends_sessions_with_the_brokers_own_reason;
    Accept "" example_behind_proxy_names_the_clients_address_from_2_1_on;
    Refuse "" example_behind_proxy_wants_both_sides_to_speak_the_proxy_protocol;
    Refuse "" example_behind_proxy_that_encrypts_anew_exporter_proofs_are_wrong;
    Accept "" example_behind_proxy_that_passes_tls_through_everything_works;
}

/// The line for Mosquitto 2.1, and the proxy's part of it.
const LINE: (&str, &str) = ("#enable_proxy_protocol 2", "enable_proxy_protocol 2");
const ITS_PART: (&str, &str) =
    ("    server broker 127.0.0.1:1883\n", "    server broker 127.0.0.1:1883 send-proxy-v2\n");

fn broker(ctx: &Ctx) -> Broker {
    Example::read("ace-behind-proxy.conf").start(ctx, &Authority::new())
}

fn open(proxy: &Proxy) -> Client {
    Client::tls(proxy.port(), tls::tls13())
}

fn example_behind_proxy_takes_challenges_and_timed_proofs(ctx: &Ctx) {
    let broker = broker(ctx);
    let proxy = Proxy::start(ctx, broker.tls_port(), &[]);
    wait_for_fresh_second();
    for way in [Way::Challenge, Way::Draft00Signed(Protocol::V311), Way::Draft00Signed(Protocol::V5)] {
        let device = broker.device("sensor");
        let mut client = device.attempt_over(open(&proxy), way).accepted();
        client.round_trip("dev/a");
        if way == Way::Challenge {
            renew(&mut client, &device);
            client.round_trip("dev/a");
        }
    }
    broker.stop();
}

fn example_behind_proxy_refuses_what_needs_the_tls_connection(ctx: &Ctx) {
    let broker = broker(ctx);
    let proxy = Proxy::start(ctx, broker.tls_port(), &[]);
    for way in EXPORTER_WAYS {
        broker.device("sensor").attempt_over(open(&proxy), way).refused(&broker, "exporter-without-tls");
    }
    let device = Holder::new(Key::p256()).device(&broker, "holder", |claims| claims);
    let connect = Connect::ace("holder", binary(device.token.as_bytes()));
    Attempt::make(open(&proxy), &connect).refused(&broker, "certificate-mismatch");
    let thief = broker.device("thief").with_key(Key::ed25519());
    thief.attempt_over(open(&proxy), Way::Challenge).refused(&broker, "proof-wrong");
    broker.stop();
}

fn example_behind_proxy_ends_sessions_with_the_brokers_own_reason(ctx: &Ctx) {
    let broker = Example::read("ace-behind-proxy.conf")
        .edit("[tokens]", "[tokens]\nleeway = \"0s\"")
        .start(ctx, &Authority::new());
    let proxy = Proxy::start(ctx, broker.tls_port(), &[]);
    let exp = now().as_secs() + 2;
    let device = Device::new(&broker.setup().authority, "sensor", Key::ed25519(), |claims| claims.set("exp", exp));
    let came = device.attempt_over(open(&proxy), Way::Challenge).accepted().expect_close();
    assert!(now().as_secs() >= exp);
    let reasons: Vec<u8> = came.iter().filter(|it| it.kind() == kind::DISCONNECT).map(|it| it.reason()).collect();
    assert_eq!(reasons, [0x98], "{came:02x?}");
    broker.stop();
}

fn example_behind_proxy_names_the_clients_address_from_2_1_on(ctx: &Ctx) {
    let example = Example::read("ace-behind-proxy.conf");
    let knows_it = !ctx.version.number.starts_with("2.0");
    let broker = if knows_it { example.edit_conf(LINE.0, LINE.1) } else { example }.start(ctx, &Authority::new());
    let proxy = Proxy::start(ctx, broker.tls_port(), if knows_it { &[ITS_PART] } else { &[] });
    let client = Client::tls_from(Ipv4Addr::new(127, 0, 0, 2), proxy.port(), tls::tls13());
    broker.device("sensor").attempt_over(client, Way::Challenge).accepted().round_trip("dev/a");
    let address = if knows_it { "127.0.0.2" } else { "127.0.0.1" };
    broker.wait_for_line(&["ace: admitted client \"sensor\"", &format!("at {address} ")]);
    broker.stop();
}

fn example_behind_proxy_wants_both_sides_to_speak_the_proxy_protocol(ctx: &Ctx) {
    let example = Example::read("ace-behind-proxy.conf");
    let knows_it = !ctx.version.number.starts_with("2.0");
    // On 2.1 the proxy says nothing where the broker wants to be told; on 2.0 it is the other way round.
    let broker = if knows_it { example.edit_conf(LINE.0, LINE.1) } else { example }.start(ctx, &Authority::new());
    let proxy = Proxy::start(ctx, broker.tls_port(), if knows_it { &[] } else { &[ITS_PART] });
    let attempt = broker.device("sensor").attempt_over(open(&proxy), Way::Challenge);
    assert!(matches!(attempt.reply, Reply::Closed), "{:02x?}", attempt.reply);
    assert!(!broker.stop().contains("admitted client"));
}

fn example_behind_proxy_that_encrypts_anew_exporter_proofs_are_wrong(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let anew =
        ("    server broker 127.0.0.1:1883\n", "    server broker 127.0.0.1:1883 ssl verify none no-ssl-reuse\n");
    let proxy = Proxy::start(ctx, broker.tls_port(), &[anew]);
    for way in EXPORTER_WAYS {
        broker.device("sensor").attempt_over(open(&proxy), way).refused(&broker, "proof-wrong");
    }
    broker.device("sensor").attempt_over(open(&proxy), Way::Challenge).accepted().round_trip("dev/a");
    broker.stop();
}

fn example_behind_proxy_that_passes_tls_through_everything_works(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let through = ("bind :8883 ssl crt /etc/haproxy/broker.pem", "bind :8883 ");
    let proxy = Proxy::start(ctx, broker.tls_port(), &[through]);
    for way in [&EXPORTER_WAYS[..], &[Way::Challenge]].concat() {
        broker.device("sensor").attempt_over(open(&proxy), way).accepted().round_trip("dev/a");
    }
    broker.stop();
}
