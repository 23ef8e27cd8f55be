//! The listener as hostile and as honest clients find it.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// A listener at a free port, with one plugin.
fn source(number: usize) -> Source {
    for _ in 0..10 {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        if let Ok(source) = Source::open(address, number) {
            return source;
        }
    }
    panic!("no free port")
}

fn connect(source: &Source) -> TcpStream {
    let stream = TcpStream::connect(source.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn ask(source: &Source, request: &str) -> TcpStream {
    let mut stream = connect(source);
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Plays the broker's part until the numbers are wanted.
fn serve(source: &Source, number: u64) {
    let deadline = Instant::now() + PATIENCE;
    while !source.is_wanted() {
        assert!(Instant::now() < deadline, "nobody wants the numbers");
        thread::yield_now();
    }
    source.give(vec![Family::counter("things_total", "Things.").alone(number)]);
}

const GET: &str = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn numbers_are_asked_for_when_somebody_wants_them() {
    let source = source(1);
    assert!(!source.is_wanted(), "nobody has come");
    let scrape = ask(&source, GET);
    serve(&source, 7);
    let text = rest(scrape);
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\nmosquitto_ace_things_total 7\n"), "{text}");
    // As good as new: nobody is asked again.
    let text = rest(ask(&source, GET));
    assert!(text.ends_with("_total 7\n") && !source.is_wanted(), "{text}");
}

#[test]
fn plugins_with_the_same_address_share_it() {
    let one = source(1);
    let other = Source::open(one.address(), 2).unwrap();
    let scrape = ask(&one, GET);
    serve(&one, 1);
    serve(&other, 2);
    let text = rest(scrape);
    assert!(text.contains("things_total{plugin=\"1\"} 1\n") && text.contains("{plugin=\"2\"} 2\n"), "{text}");
    drop(one);
    assert!(rest(ask(&other, GET)).ends_with("_total 2\n"), "the other is alone, and still there");
    let address = other.address();
    drop(other);
    assert!(TcpStream::connect(address).is_err(), "the port is closed with the last one");
    TcpListener::bind(address).unwrap();
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = Source::open(other.local_addr().unwrap(), 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn a_broker_that_says_nothing_is_unavailable() {
    let source = source(1);
    let text = rest(ask(&source, GET));
    assert!(text.starts_with("HTTP/1.1 503 "), "{text}");
}

#[test]
fn other_requests_get_their_codes_without_the_broker() {
    let source = source(1);
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("DELETE /metrics HTTP/1.1\r\n\r\n", "405"),
        ("\u{16}\u{3}\u{1}\r\n\r\n", "400"),
        (&format!("GET /metrics HTTP/1.1\r\na: {}", "b".repeat(64 * 1024)), "431"),
    ] {
        let text = rest(ask(&source, request));
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.40}: {text}");
    }
    assert!(!source.is_wanted());
}

/// Slow and silent clients take all places, again and again, and those who ask are served all the same.
#[test]
fn a_crowd_of_slow_clients_keeps_nobody_out() {
    let source = source(1);
    let crowd: Vec<_> = (0..200).map(|n| ask(&source, if n % 2 == 0 { "" } else { "GET /met" })).collect();
    let begun = Instant::now();
    let scrape = ask(&source, GET);
    serve(&source, 3);
    assert!(rest(scrape).ends_with("_total 3\n"));
    assert!(begun.elapsed() < Duration::from_secs(5), "it had not to wait for the others");
    drop(crowd);
}

#[test]
fn a_client_that_never_ends_its_request_is_told_so() {
    let source = source(1);
    let begun = Instant::now();
    let text = rest(ask(&source, "GET /metrics HTTP/1.1\r\n"));
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    assert!(begun.elapsed() >= Duration::from_secs(4));
}

/// A client that does not read its answer is cut off, and the others are served meanwhile.
#[test]
fn a_client_that_does_not_read_delays_nobody() {
    let source = source(1);
    let deaf = ask(&source, GET);
    let long = (0..200_000).map(|n| (format!("{n:040}"), 1_u64));
    let deadline = Instant::now() + PATIENCE;
    while !source.is_wanted() {
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
    source.give(vec![Family::counter("long_total", "Long.").by("n", long)]);
    let begun = Instant::now();
    let text = rest(ask(&source, "GET / HTTP/1.1\r\n\r\n"));
    assert!(text.starts_with("HTTP/1.1 404 ") && begun.elapsed() < Duration::from_secs(4), "{text}");
    drop(deaf);
}
