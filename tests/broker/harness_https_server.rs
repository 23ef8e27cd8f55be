//! The suite's check of its own HTTPS servers: what another HTTP client makes of their answers is what the cases count on.

use std::io::Read as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Error};

use crate::support::case::cases;
use crate::support::https_server::RefusingPort;
use crate::support::pki::{of_unknown_authority, pki};
use crate::support::{Answer, Ctx, Gate, HttpsServer, MuteServer, PATIENCE};

cases! {
    Accept "" harness_https_server_is_asked_and_answers;
    Accept "" harness_https_server_answers_in_every_shape;
    Accept "" harness_https_server_answers_many_when_it_is_told;
    Refuse "" harness_https_server_gives_no_answer_or_no_whole_one;
    Refuse "" harness_https_server_can_show_bad_certificates;
}

/// How long a client waits that is to wait in vain.
const SHORT: Duration = Duration::from_millis(200);
const TEXT: &str = "text/plain";

fn agent(patience: Duration) -> Agent {
    let authority = Certificate::from_pem(pki().authority.as_bytes()).expect("a certificate");
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .root_certs(RootCerts::new_with_certs(&[authority]))
        .build();
    let config = Agent::config_builder().tls_config(tls).http_status_as_error(false).max_redirects(0);
    config.max_redirects_will_error(false).timeout_global(Some(patience)).build().into()
}

/// Status and content.
fn ask(url: &str, patience: Duration) -> Result<(u16, String), Error> {
    let mut response = agent(patience).get(url).call()?;
    Ok((response.status().as_u16(), response.body_mut().read_to_string()?))
}

/// The answer to the only question.
fn answer_of(answer: Answer) -> Result<(u16, String), Error> {
    let server = HttpsServer::start(move |_| answer.clone());
    ask(&server.url("/"), PATIENCE)
}

fn text(content: &str) -> Answer {
    Answer::ok(TEXT, content.as_bytes().to_vec())
}

fn harness_https_server_is_asked_and_answers(_: &Ctx) {
    let server = HttpsServer::start(|request| {
        if request.method == "GET" {
            return Answer::redirect("/elsewhere").header("X-Seen", &request.target);
        }
        let token = request.field("token").unwrap_or_default();
        text(&token).with_status(201)
    });
    let agent = agent(PATIENCE);
    let answer = agent.get(server.url("/a?b=c")).call().expect("an answer");
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.headers()["location"], "/elsewhere");
    assert_eq!(answer.headers()["x-seen"], "/a?b=c");
    // The id is "a:b", the secret "c d%".
    let post = agent.post(server.url("/ask")).header("authorization", "Basic YSUzQWI6YytkJTI1");
    let mut answer = post.send_form([("token", "ä &="), ("more", "")]).expect("an answer");
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.body_mut().read_to_string().expect("a content"), "ä &=");
    let [get, post] = <[_; 2]>::try_from(server.requests()).expect("two requests");
    assert_eq!((get.target.as_str(), get.authorization, get.body.len()), ("/a?b=c", None, 0));
    assert_eq!((post.target.as_str(), post.method.as_str()), ("/ask", "POST"));
    assert_eq!(post.form(), [("token".to_owned(), "ä &=".to_owned()), ("more".to_owned(), String::new())]);
    assert_eq!(post.basic(), Some(("a:b".to_owned(), "c d%".to_owned())));
    assert_eq!((server.connections(), server.most_at_once()), (2, 1));
}

fn harness_https_server_answers_in_every_shape(_: &Ctx) {
    let content = "0123456789".repeat(20);
    let whole = (200, content.clone());
    let start = Instant::now();
    assert_eq!(answer_of(text(&content).after(SHORT)).expect("a late answer"), whole);
    assert!(start.elapsed() >= SHORT);
    assert_eq!(answer_of(text(&content).chunked(7)).expect("chunks"), whole);
    assert_eq!(answer_of(text(&content).dripping(Duration::from_micros(10))).expect("drops"), whole);
    assert_eq!(answer_of(Answer::status(503)).expect("a status"), (503, String::new()));
}

fn harness_https_server_answers_many_when_it_is_told(_: &Ctx) {
    const MANY: usize = 300;
    let gate = Gate::shut();
    let there = gate.clone();
    let server = HttpsServer::start(move |request| text(&request.target).when(&there));
    thread::scope(|threads| {
        let asking: Vec<_> = (0..MANY)
            .map(|number| {
                let url = server.url(&format!("/{number}"));
                threads.spawn(move || ask(&url, PATIENCE))
            })
            .collect();
        server.wait_for_connections(MANY);
        let deadline = Instant::now() + PATIENCE;
        while server.most_at_once() < MANY {
            assert!(Instant::now() < deadline, "{} at once", server.most_at_once());
            thread::yield_now();
        }
        assert!(asking.iter().all(|thread| !thread.is_finished()));
        gate.open();
        for (number, thread) in asking.into_iter().enumerate() {
            let answer = thread.join().expect("a thread").expect("an answer");
            assert_eq!(answer, (200, format!("/{number}")));
        }
    });
    assert_eq!(server.requests().len(), MANY);
}

fn harness_https_server_gives_no_answer_or_no_whole_one(_: &Ctx) {
    let content = "0123456789".repeat(20);
    assert!(answer_of(Answer::closed()).is_err());
    assert!(answer_of(text(&content).cut_after(30)).is_err());
    assert!(answer_of(text(&content).cut_after(250)).is_err());
    for late in [Answer::never(), text(&content).when(&Gate::shut()), text(&content).declaring(1 << 40)] {
        let server = HttpsServer::start(move |_| late.clone());
        assert!(ask(&server.url("/"), SHORT).is_err());
        // It was there all the same.
        server.wait_for_connections(1);
    }
    let mute = MuteServer::start();
    assert!(ask(&format!("https://localhost:{}", mute.port()), SHORT).is_err());
    let refusing = RefusingPort::take();
    assert!(TcpStream::connect(("127.0.0.1", refusing.port())).is_err());

    let server = HttpsServer::start(|_| text(&"x".repeat(1024)).endless());
    let mut answer = agent(PATIENCE).get(server.url("/")).call().expect("an answer");
    let mut first = vec![0; 11 * 1024 * 1024];
    let mut content = answer.body_mut().as_reader();
    content.read_exact(&mut first).expect("more than anybody wants");
    // Who waits is not waited for: the server ends with its connections, and what they have not finished stays unfinished.
    drop(server);
    assert!(content.read_to_end(&mut first).is_err());
}

fn harness_https_server_can_show_bad_certificates(_: &Ctx) {
    let good = HttpsServer::start_with(&pki().server, |_| Answer::status(204));
    assert_eq!(ask(&good.url("/"), PATIENCE).expect("an answer").0, 204);
    for (bad, complaint) in [
        (pki().of_another_name(), "NotValidForName"),
        (pki().expired(), "Expired"),
        (of_unknown_authority(), "UnknownIssuer"),
    ] {
        let server = HttpsServer::start_with(&bad, |_| Answer::status(204));
        let error = format!("{:?}", ask(&server.url("/"), PATIENCE).expect_err("a bad certificate"));
        assert!(error.contains(complaint), "{error}");
        assert!(server.requests().is_empty());
    }
}
