//! The listener that metrics are read from: where it is, and what it stands.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::support::broker::free_port;
use crate::support::case::cases;
use crate::support::metrics::{Metrics, exchange, get, judge, wait_for};
use crate::support::{Broker, Ctx, Setup, Way};

cases! {
    Accept "" metrics_listener_is_where_it_is_configured_and_nowhere_else;
    Refuse "" metrics_listener_is_off_unless_it_is_configured;
    Refuse "" metrics_listener_stands_hostile_requests;
    Refuse "" metrics_listener_stands_a_crowd_of_slow_clients;
    Refuse "" metrics_listener_without_its_port_stops_the_start;
    Accept "" metrics_listener_follows_a_reload;
    Accept "" metrics_listener_is_shared_by_the_plugins_of_one_broker;
}

fn listening(port: u16) -> Setup {
    Setup::new().metrics(&format!("listen = \"127.0.0.1:{port}\""))
}

fn is_open(address: (&str, u16)) -> bool {
    let address = format!("{}:{}", address.0, address.1).parse().unwrap();
    TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_ok()
}

/// The machine's address to others, if it has one. Nothing is sent.
fn address_to_others() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then(|| address.to_string())
}

fn metrics_listener_is_where_it_is_configured_and_nowhere_else(ctx: &Ctx) {
    let port = free_port();
    let broker = listening(port).start(ctx);
    let metrics = Metrics::scrape(port);
    judge(metrics.text());
    assert!(!is_open(("127.0.0.2", port)));
    if let Some(address) = address_to_others() {
        assert!(!is_open((&address, port)), "{address}");
    }
    broker.stop();
    assert!(!is_open(("127.0.0.1", port)), "it ends with the broker");
}

fn metrics_listener_is_off_unless_it_is_configured(ctx: &Ctx) {
    let (broker, port) = (Setup::new().start(ctx), free_port());
    assert!(!is_open(("127.0.0.1", 9883)) || TcpListener::bind("127.0.0.1:9883").is_err());
    assert!(!broker.thread_names().contains(&"ace-metrics".to_owned()));
    let (status, log) = Broker::start_in_vain(ctx, Setup::new().metrics(&format!("listen = \"0.0.0.0:{port}\"")));
    assert!(!status.success() && log.contains("must be a loopback address") && log.contains("proxy in front"), "{log}");
}

fn metrics_listener_stands_hostile_requests(ctx: &Ctx) {
    let port = free_port();
    let mut broker = listening(port).start(ctx);
    assert_eq!(get(port, "/").0, 404);
    assert_eq!(get(port, "/metrics/../metrics").0, 404);
    for (request, status) in [
        ("POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 405),
        ("DELETE /metrics HTTP/1.1\r\n\r\n", 405),
        ("\u{16}\u{3}\u{1}\u{2}\r\n\r\n", 400),
        ("GET /metrics HTTP/9.9\r\n\r\n", 400),
        (&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000)), 431),
        (&format!("GET /metrics HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1000)), 431),
    ] {
        let answer = exchange(port, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.50}: {answer}");
    }
    broker.assert_alive();
    judge(Metrics::scrape(port).text());
}

fn metrics_listener_stands_a_crowd_of_slow_clients(ctx: &Ctx) {
    let port = free_port();
    let mut broker = listening(port).start(ctx);
    let crowd: Vec<_> = (0..300)
        .map(|number| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
            if number % 2 == 0 {
                // It may have been closed for the next one already.
                let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\n");
            }
            stream
        })
        .collect();
    let begun = Instant::now();
    judge(Metrics::scrape(port).text());
    assert!(begun.elapsed() < Duration::from_secs(4), "nobody had to be waited for");
    assert!(broker.open_files() < 100, "connections are bounded: {}", broker.open_files());
    drop(crowd);
    broker.assert_alive();
}

fn metrics_listener_without_its_port_stops_the_start(ctx: &Ctx) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (status, log) = Broker::start_in_vain(ctx, listening(port));
    assert!(!status.success(), "{log}");
    assert!(log.contains(&format!("ace: [metrics] listen: 127.0.0.1:{port} cannot be listened at:")), "{log}");
}

fn metrics_listener_follows_a_reload(ctx: &Ctx) {
    let (first, second) = (free_port(), free_port());
    let mut broker = listening(first).start(ctx);
    let mut client = broker.device("sensor").enter(&broker, Way::Challenge);
    broker.reload(&listening_as(&broker, second));
    broker.wait_for_line(&["ace: configuration", "read again"]);
    assert!(!is_open(("127.0.0.1", first)));
    assert_eq!(Metrics::scrape(second).of("sessions{rights=\"token\"}"), 1.0, "what was counted is not forgotten");
    // One that cannot be had: the old one stays.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    broker.reload(&listening_as(&broker, port));
    broker.wait_for_line(&["cannot be listened at", "what was before stays"]);
    assert_eq!(Metrics::scrape(second).of("configuration_in_force"), 1.0);
    // A broken file changes nothing, and is to be seen.
    let mut broken = broker.setup().clone();
    broken.verbatim = Some("audience = ".to_owned());
    broker.reload(&broken);
    broker.wait_for_line(&["the old one stays in force"]);
    wait_for(second, "it is not in force", |it| it.of("configuration_in_force") == 0.0);
    let off = Setup::with(broker.setup().authority.clone());
    broker.reload(&off);
    let deadline = Instant::now() + crate::support::PATIENCE;
    while is_open(("127.0.0.1", second)) {
        assert!(Instant::now() < deadline, "it is switched off");
    }
    client.round_trip("dev/a");
}

fn listening_as(broker: &Broker, port: u16) -> Setup {
    Setup::with(broker.setup().authority.clone()).metrics(&format!("listen = \"127.0.0.1:{port}\""))
}

/// With `per_listener_settings` there are several plugins in one broker. Without `TICK`, as in 2.0.11 then, numbers are told when
/// clients come.
fn metrics_listener_is_shared_by_the_plugins_of_one_broker(ctx: &Ctx) {
    let port = free_port();
    let mut setup = listening(port).plain_listener();
    setup.is_per_listener = true;
    let broker = setup.start(ctx);
    let device = broker.device("sensor");
    if ctx.version.number == "2.0.11" {
        let (status, _) = get(port, "/metrics");
        assert_eq!(status, 503);
        return;
    }
    let client = device.enter(&broker, Way::Challenge);
    let metrics = Metrics::scrape(port);
    judge(metrics.text());
    let numbers = [1, 2].map(|plugin| metrics.of(&format!("sessions{{plugin=\"{plugin}\",rights=\"token\"}}")));
    assert!((numbers[0] - 1.0).abs() + numbers[1] < 0.1 || (numbers[1] - 1.0).abs() + numbers[0] < 0.1, "{numbers:?}");
    drop(client);
}
