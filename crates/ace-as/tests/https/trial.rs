//! A trial set in a folder of its own, a server that uses it, and a client that trusts its CA.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ace_as::init::{self, Options, SigningAlgorithm};
use ace_as::{Config, Level, Log, Server};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
pub(crate) const ACE_JSON: &str = "application/ace+json";

pub(crate) const GATEWAY_SECRET: &str = "gateway-secret: 100% + more";
pub(crate) const OTHER_BROKER_SECRET: &str = "other-broker-secret-0123";

/// What the tests need beyond the sample clients.
const MORE: &str = r##"
# No shared key: its clients need a key of their own.
[[audience]]
name = "bare.example"

[[audience]]
name = "opaque.example"
token_format = "reference"
token_lifetime = "2m"

[[audience]]
name = "direct.example"
shared_key = "broker-shared-key.jwk"
key_management = "A256KW"
content_encryption = "A128GCM"

[[resource_server]]
id = "other-broker"
secret = "other-broker-secret-0123"
audiences = ["opaque.example", "bare.example"]
may_revoke = true

[[client]]
id = "gateway"
secret_sha256 = "GATEWAY_DIGEST"
audiences = ["broker.example", "bare.example", "opaque.example", "direct.example"]
publish = ["gw/+/state", "log"]
subscribe = ["gw/#"]
subject = "the gateway"
token_lifetime = "10m"

[[client]]
id = "fleeting"
secret = "fleeting-secret-0123456"
audiences = ["broker.example"]
publish = ["gw/#"]
token_lifetime = "1s"

[[client]]
id = "fleeting-opaque"
secret = "fleeting-secret-0123456"
audiences = ["broker.example"]
token_format = "opaque"
publish = ["gw/#"]
token_lifetime = "1s"
"##;

/// A running server and everything to talk to it.
pub(crate) struct Trial {
    folder: tempfile::TempDir,
    server: Option<Server>,
    log: Arc<Mutex<Vec<String>>>,
    agent: ureq::Agent,
    base: String,
}

/// An answer, with its body read as JSON (null if it is none).
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) json: Value,
    pub(crate) body: Vec<u8>,
    headers: ureq::http::HeaderMap,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The status and the `error` code, for comparison.
    pub(crate) fn error(&self) -> (u16, &str) {
        (self.status, self.json["error"].as_str().unwrap_or("none"))
    }

    pub(crate) fn token(&self) -> &str {
        self.json["access_token"].as_str().unwrap_or_else(|| panic!("no token: {} {}", self.status, self.json))
    }

    pub(crate) fn scope(&self) -> Value {
        let text = self.json["scope"].as_str().expect("a scope");
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    }
}

impl Trial {
    pub(crate) fn start() -> Self {
        Self::start_signing(SigningAlgorithm::EdDsa)
    }

    pub(crate) fn start_signing(signing: SigningAlgorithm) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { signing, ..Options::new(folder.path()) };
        init::init(&Options { force: true, ..options }).unwrap();
        let mut text = fs::read_to_string(folder.path().join("as.toml")).unwrap();
        text.push_str(&MORE.replace(
            "GATEWAY_DIGEST",
            &hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, GATEWAY_SECRET.as_bytes()).as_ref()),
        ));
        fs::write(folder.path().join("as.toml"), text).unwrap();

        let agent = agent(&folder.path().join("ca-cert.pem"));
        let mut trial = Self { folder, server: None, log: Arc::default(), agent, base: String::new() };
        trial.resume();
        trial
    }

    /// Starts the server, once more after [`stop`](Self::stop).
    pub(crate) fn resume(&mut self) {
        let kept = Arc::clone(&self.log);
        let sink = Log::to(Level::Debug, move |line| kept.lock().unwrap().push(line.to_owned()));
        let config = Config::load(&self.path("as.toml")).unwrap();
        let server = Server::start(config, "127.0.0.1:0".parse().unwrap(), sink).unwrap();
        self.base = format!("https://localhost:{}", server.local_addr().port());
        self.server = Some(server);
    }

    /// Replaces something in `as.toml`, for the next [`resume`](Self::resume).
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = self.read("as.toml");
        assert!(text.contains(from), "{from}");
        fs::write(self.path("as.toml"), text.replacen(from, to, 1)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn secret(&self, id: &str) -> String {
        self.read(&format!("{id}.secret")).trim_end().to_owned()
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = self.agent.post(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.send(body).unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        answer(self.agent.get(format!("{}{path}", self.base)).call().unwrap())
    }

    /// With Basic authentication.
    pub(crate) fn get_as(&self, path: &str, (id, secret): (&str, &str)) -> Answer {
        let request = self.agent.get(format!("{}{path}", self.base)).header("authorization", basic(id, secret));
        answer(request.call().unwrap())
    }

    /// A form with Basic authentication.
    pub(crate) fn form(&self, path: &str, (id, secret): (&str, &str), parameters: &[(&str, &str)]) -> Answer {
        let body: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let authorization = basic(id, secret);
        self.post(path, &[("content-type", FORM), ("authorization", &authorization)], body.join("&").as_bytes())
    }

    /// A token request in a form, by the client `sensor`.
    pub(crate) fn sensor(&self, parameters: &[(&str, &str)]) -> Answer {
        let all = [&[("grant_type", "client_credentials")], parameters].concat();
        self.form("/token", ("sensor", &self.secret("sensor")), &all)
    }

    /// A token request in a form, by the client `gateway`.
    pub(crate) fn gateway(&self, parameters: &[(&str, &str)]) -> Answer {
        let all = [&[("grant_type", "client_credentials")], parameters].concat();
        self.form("/token", ("gateway", GATEWAY_SECRET), &all)
    }

    /// A request in ACE's JSON.
    pub(crate) fn ace(&self, path: &str, body: &Value) -> Answer {
        self.post(path, &[("content-type", ACE_JSON)], body.to_string().as_bytes())
    }

    /// What the broker learns about a token.
    pub(crate) fn introspect(&self, token: &str) -> Value {
        let answer = self.form("/introspect", ("broker", &self.secret("broker")), &[("token", token)]);
        assert_eq!(answer.status, 200);
        answer.json
    }

    /// Sends bytes as they are over TLS, and gives back all that is answered until the server closes or `wait` is over.
    pub(crate) fn raw(&self, request: &[u8], wait: Duration) -> String {
        let mut stream = self.tls(wait);
        // The server may stop reading what it will not take; its answer counts.
        let _ = stream.write_all(request).and_then(|()| stream.flush());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) fn tls(&self, wait: Duration) -> rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca-cert.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connection = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        rustls::StreamOwned::new(connection, self.tcp(wait))
    }

    pub(crate) fn tcp(&self, wait: Duration) -> TcpStream {
        let socket = TcpStream::connect(self.server.as_ref().unwrap().local_addr()).unwrap();
        socket.set_read_timeout(Some(wait)).unwrap();
        socket.set_write_timeout(Some(wait)).unwrap();
        socket
    }

    pub(crate) fn stop(&mut self) {
        self.server.take().expect("running").shutdown();
    }
}

/// A client that trusts one CA and treats no status as an error.
pub(crate) fn agent(ca: &Path) -> ureq::Agent {
    let ca = Certificate::from_pem(&fs::read(ca).unwrap()).unwrap();
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .root_certs(RootCerts::new_with_certs(&[ca]))
        .build();
    ureq::Agent::config_builder()
        .tls_config(tls)
        .https_only(true)
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .new_agent()
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    let body = response.body_mut().read_to_vec().unwrap();
    let json: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    // RFC 6749 §5.2 says which characters a description may have.
    let plain = |character: char| matches!(character, ' '..='~') && !['"', '\\'].contains(&character);
    assert!(json["error_description"].as_str().unwrap_or_default().chars().all(plain), "{json}");
    Answer { status: response.status().as_u16(), json, body, headers: response.headers().clone() }
}

/// RFC 6749 §2.3.1: both halves form-encoded.
pub(crate) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(id), encode(secret))))
}

pub(crate) fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            b' ' => "+".to_owned(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// AIF as it goes into the `scope` parameter.
pub(crate) fn scope(aif: &Value) -> String {
    URL_SAFE_NO_PAD.encode(aif.to_string())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
