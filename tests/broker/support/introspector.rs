//! An authorization server that is asked what its opaque tokens are worth (RFC 7662).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::authority::{Claims, encode};
use super::https_server::{Answer, HttpsServer, Request};
use super::key::{Key, random};
use super::pki::pki;
use super::{Authority, Device, Setup, secrets};

/// The broker's secret at the server.
pub const SECRET: &str = "the broker's own: secret";

type Shape = Box<dyn Fn(&Request, Answer) -> Answer + Send + Sync>;

/// The server, and what it knows.
pub struct Introspector {
    /// Where it listens.
    pub server: HttpsServer,
    authority: Authority,
    known: Arc<Mutex<Known>>,
}

struct Known {
    /// What is said of each token.
    answers: HashMap<String, Value>,
    /// When and how it is said.
    shape: Shape,
}

impl Introspector {
    /// One that answers at once.
    pub fn start() -> Self {
        Self::start_at(0)
    }

    /// The same on this port.
    pub fn start_at(port: u16) -> Self {
        let known = Known { answers: HashMap::new(), shape: Box::new(|_, answer| answer) };
        let known = Arc::new(Mutex::new(known));
        let asked = Arc::clone(&known);
        let server = HttpsServer::start_at(port, move |request| {
            let known = asked.lock().expect("answers");
            let token = request.field("token").unwrap_or_default();
            let said = known.answers.get(&token).cloned().unwrap_or_else(|| json!({ "active": false }));
            (known.shape)(request, Answer::ok("application/json", said.to_string().into_bytes()))
        });
        Self { server, authority: Authority::new(), known }
    }

    /// A broker that asks it, with these lines besides in the table.
    pub fn setup(&self, lines: &[&str]) -> Setup {
        asking(Setup::with(self.authority.clone()), &self.server.url("/introspect"), lines)
    }

    /// A client whose token only the server can read.
    pub fn device(&self, id: &str) -> Device {
        self.device_with(id, Key::ed25519(), |claims| claims)
    }

    /// The same with this key, and with other claims.
    pub fn device_with(&self, id: &str, key: Key, change: impl FnOnce(Claims) -> Claims) -> Device {
        let claims = change(self.authority.claims(id, &key)).set("active", true);
        let device = Self::stranger(id, key);
        self.say(&device, Value::Object(claims.0));
        device
    }

    /// A client whose token nobody knows.
    pub fn stranger(id: &str, key: Key) -> Device {
        let token = encode(&random(24));
        secrets::register(token.as_bytes());
        Device { id: id.to_owned(), key, token }
    }

    /// Says this of the client's token from now on.
    pub fn say(&self, device: &Device, answer: Value) {
        self.known.lock().expect("answers").answers.insert(device.token.clone(), answer);
    }

    /// The token is worth nothing from now on.
    pub fn revoke(&self, device: &Device) {
        self.say(device, json!({ "active": false }));
    }

    /// Answers when and how this says.
    pub fn answer(&self, shape: impl Fn(Answer) -> Answer + Send + Sync + 'static) {
        self.known.lock().expect("answers").shape = Box::new(move |_, answer| shape(answer));
    }

    /// How often the client's token has been asked about.
    pub fn asked_about(&self, device: &Device) -> usize {
        let requests = self.server.requests();
        requests.iter().filter(|request| request.field("token").as_deref() == Some(&*device.token)).count()
    }
}

/// The same broker, asking there about its last server's tokens, with these lines besides in the table.
pub fn asking(setup: Setup, url: &str, lines: &[&str]) -> Setup {
    secrets::register(SECRET.as_bytes());
    let setup = setup
        .file("as-ca.pem", &pki().authority)
        .file("introspection.secret", SECRET)
        .server("[authorization_server.introspection]")
        .server(&format!("url = \"{url}\""))
        .server("client_id = \"broker\"")
        .server("client_secret_file = \"{dir}/introspection.secret\"")
        .server("ca_file = \"{dir}/as-ca.pem\"");
    lines.iter().fold(setup, |setup, line| setup.server(line))
}
