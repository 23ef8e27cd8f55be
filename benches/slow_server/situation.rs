//! What the authorization server does while the clients come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::crowd::{self, Crowd};
use crate::support::https_server::RefusingPort;
use crate::support::pki::pki;
use crate::support::{Answer, Broker, Ctx, HttpsServer, Setup, Way};

/// How the tokens of the crowd are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Situation {
    /// By their signatures: nobody is asked.
    Signed,
    /// By a server that answers after two seconds.
    Slow,
    /// By a server that takes the request and never answers; the plugin gives up after two seconds.
    Mute,
    /// By a server that is down.
    Down,
}

/// How long the slow server takes.
const DELAY: Duration = Duration::from_secs(2);

/// What the server knows of its tokens.
pub type Known = Arc<Mutex<HashMap<String, Map<String, Value>>>>;

/// A broker, and the server that it asks.
pub struct Stage {
    pub broker: Broker,
    is_opaque: bool,
    known: Known,
    server: Option<HttpsServer>,
    /// Where there is no server.
    _refusing: RefusingPort,
}

impl Situation {
    pub const ALL: [Self; 4] = [Self::Signed, Self::Slow, Self::Mute, Self::Down];

    /// What the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Slow => "slow",
            Self::Mute => "mute",
            Self::Down => "down",
        }
    }

    /// Starts server and broker.
    pub fn stage(self, ctx: &Ctx) -> Stage {
        let known = Known::default();
        let server = match self {
            Self::Signed | Self::Down => None,
            Self::Slow => Some(introspection(&known, |answer| answer.after(DELAY))),
            Self::Mute => Some(introspection(&known, |_| Answer::never())),
        };
        let refusing = RefusingPort::take();
        // Without this, a client would wait for its CONNACK until the session tickets before it are acknowledged.
        let mut setup = Setup::new().conf("set_tcp_nodelay true");
        // As a broker would log in service: not each packet.
        for line in ["none", "error", "warning", "notice", "information"] {
            setup = setup.conf(&format!("log_type {line}"));
        }
        if self != Self::Signed {
            let port = server.as_ref().map_or_else(|| refusing.port(), HttpsServer::port);
            setup = asking(setup, port, if self == Self::Slow { "10s" } else { "2s" });
        }
        Stage { broker: setup.start(ctx), is_opaque: self != Self::Signed, known, server, _refusing: refusing }
    }
}

/// With a server to ask about opaque tokens.
fn asking(setup: Setup, port: u16, timeout: &str) -> Setup {
    let setup = setup.file("as-ca.pem", &pki().authority).file("introspection.secret", "broker-secret\n");
    [
        "[authorization_server.introspection]".to_owned(),
        format!("url = \"https://localhost:{port}/introspect\""),
        "client_id = \"broker\"".to_owned(),
        "client_secret_file = \"{dir}/introspection.secret\"".to_owned(),
        "ca_file = \"{dir}/as-ca.pem\"".to_owned(),
        format!("timeout = \"{timeout}\""),
    ]
    .iter()
    .fold(setup, |setup, line| setup.server(line))
}

/// A server whose right answer is changed; it, and what it starts, gives way to all other work.
fn introspection(known: &Known, change: impl Fn(Answer) -> Answer + Send + Sync + 'static) -> HttpsServer {
    let known = Arc::clone(known);
    let answer = move |request: &crate::support::https_server::Request| {
        let token = request.field("token").unwrap_or_default();
        let claims = known.lock().expect("what is known").get(&token).cloned();
        let content = claims.map_or_else(|| json!({ "active": false }), Value::Object);
        change(Answer::ok("application/json", content.to_string().into_bytes()))
    };
    let start = thread::spawn(move || {
        crowd::give_way();
        HttpsServer::start(answer)
    });
    start.join().expect("the server starts")
}

impl Stage {
    /// Has two hundred clients come in this way.
    pub fn crowd(&self, way: Way, round: usize, arrival: Duration) -> Crowd {
        Crowd::come(&self.broker, way, round, arrival, self.is_opaque.then_some(&self.known))
    }

    /// How many requests the server has had, and how many of them at a time at most.
    pub fn asked(&self) -> Option<(usize, usize)> {
        self.server.as_ref().map(|server| (server.requests().len(), server.most_at_once()))
    }
}
