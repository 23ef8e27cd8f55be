//! The suite's checks of itself: the broker without the plugin lets everybody in, so what other
//! cases see refused is the plugin's doing.

use crate::support::case::cases;
use crate::support::{Connect, Ctx, Protocol, Setup, tls};

cases! {
    Accept "" harness_stock_broker_serves_anybody;
    Refuse "" harness_stock_broker_refuses_method_ace;
}

fn harness_stock_broker_serves_anybody(ctx: &Ctx) {
    let mut setup = Setup::new().conf("allow_anonymous true").plain_listener().websocket_listener();
    setup.has_plugin = false;
    let broker = setup.start(ctx);
    for protocol in [Protocol::V311, Protocol::V5] {
        for mut client in [broker.open(), broker.open_with(tls::tls12()), broker.open_plain(), broker.open_websocket()]
        {
            client.connect(&Connect::new(protocol, "anybody"));
            assert_eq!(client.expect(crate::support::packet::kind::CONNACK).reason(), 0);
            client.round_trip("any/topic");
            assert_eq!(client.publish2("any/topic", b"twice sure"), 0);
            client.ping();
        }
    }
    broker.stop();
}

fn harness_stock_broker_refuses_method_ace(ctx: &Ctx) {
    let mut setup = Setup::new().conf("allow_anonymous true");
    setup.has_plugin = false;
    let broker = setup.start(ctx);
    let mut client = broker.open();
    client.connect(&Connect::ace("device", b"\0\0".to_vec()));
    assert_eq!(client.expect(crate::support::packet::kind::CONNACK).reason(), 0x8c);
}
