//! Authorization servers that others have written, as `cargo xtask servers` has fetched them.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::authority::{AUDIENCE, Authority, encode, now};
use super::broker::{free_port, target_folder};
use super::key::{Key, random};
use super::pki::pki;
use super::programs::Program;
use super::{Ctx, PATIENCE, Setup, secrets};

/// What the servers are set up to grant, in words.
pub const SCOPES: [&str; 2] = ["mqtt:pub:dev/#", "mqtt:sub:dev/#"];

/// A server that runs, and how to talk with it.
pub struct Foreign {
    /// `iss` of its tokens.
    pub issuer: String,
    base: String,
    folder: TempDir,
    running: Option<Program>,
}

/// Where `cargo xtask servers` has put this one.
fn place(name: &str) -> PathBuf {
    let place = target_folder().join("servers").join(name);
    assert!(place.is_dir(), "{}: run `cargo xtask servers` first", place.display());
    place
}

/// Writes the certificate that servers on this machine show.
fn write_identity(folder: &Path) {
    for (name, text) in [("server.crt", &pki().server.certificate), ("server.key", &pki().server.private_key)] {
        std::fs::write(folder.join(name), text).expect("a TLS file");
    }
}

impl Foreign {
    /// oidc-provider, which signs with this key. `sensor` is a client of its with a registered key, `plain` one without.
    pub fn oidc_provider(ctx: &Ctx, signing: &Key, registered: &Key) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let base = format!("https://localhost:{}", free_port());
        let mut server = Self { issuer: base.clone(), base, folder, running: None };
        server.go_on_with(ctx, signing, registered);
        server
    }

    /// Starts oidc-provider, in the place of the one that ran, with this key instead of the other.
    pub fn go_on_with(&mut self, ctx: &Ctx, signing: &Key, registered: &Key) {
        self.running = None;
        write_identity(self.folder.path());
        let client = |id: &str, more: Value| {
            let mut client = json!({
                "client_id": id, "client_secret": secret(id), "redirect_uris": [], "response_types": [],
                "grant_types": ["client_credentials"],
            });
            client.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            client
        };
        let port: u16 = self.base.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let config = json!({
            "port": port,
            "certificate": self.file("server.crt"),
            "key": self.file("server.key"),
            "jwks": signing_keys(signing),
            "clients": [
                client("sensor", json!({ "jwks": { "keys": [registered.jwk()] } })),
                client("plain", json!({})),
                client("broker", json!({})),
            ],
            "scopes": SCOPES,
            "lifetime": 300,
        });
        std::fs::write(self.file("config.json"), config.to_string()).expect("its configuration");
        let mut command = Command::new("node");
        // It ends when its input does, even if this process is killed.
        command.arg("server.mjs").arg(self.file("config.json")).stdin(Stdio::piped());
        command.current_dir(place("oidc-provider"));
        let mut running = Program::start(ctx, "oidc-provider", &mut command);
        running.wait_until("oidc-provider listens", |output, _| output.contains("listening"));
        self.running = Some(running);
    }

    /// glewlwyd, which signs with this key, and knows the client `sensor`.
    pub fn glewlwyd(ctx: &Ctx, signing: &Key) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (place, port) = (place("glewlwyd"), free_port());
        write_identity(folder.path());
        std::fs::create_dir(folder.path().join("static")).expect("a folder");
        let tables = place.join("root/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3");
        let made = Command::new(place.join("sqlite3"))
            .arg(folder.path().join("glewlwyd.db"))
            .stdin(std::fs::File::open(&tables).expect("glewlwyd's tables"))
            .status();
        assert!(made.expect("sqlite3 starts").success(), "no database");
        let conf = glewlwyd_conf(&folder.path().display().to_string(), &place.display().to_string(), port);
        std::fs::write(folder.path().join("glewlwyd.conf"), conf).expect("its configuration");
        let mut command = Command::new(place.join("glewlwyd"));
        command.arg(format!("--config-file={}", folder.path().join("glewlwyd.conf").display())).stdin(Stdio::null());
        let mut running = Program::start(ctx, "glewlwyd", &mut command);
        running.wait_until("glewlwyd listens", |output, errors| {
            [output, errors].iter().any(|text| text.contains("Glewlwyd started on port"))
                && TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        let base = format!("https://localhost:{port}/api");
        let server = Self { issuer: format!("{base}/oidc"), base, folder, running: Some(running) };
        server.set_up(signing);
        server
    }

    /// What an administrator does: logs in and adds scopes, the plugin for OpenID Connect, and a client.
    fn set_up(&self, signing: &Key) {
        let agent = agent();
        let send = |path: &str, cookie: &str, content: &Value| {
            let request = agent.post(self.url(path)).header("content-type", "application/json");
            let response = request.header("cookie", cookie).send(content.to_string()).expect("an answer");
            assert_eq!(response.status(), 200, "{path}");
            response
        };
        let entered = send("/auth/", "", &json!({ "username": "admin", "password": "password" }));
        let cookie = entered.headers()["set-cookie"].to_str().expect("a cookie");
        let cookie = cookie.split(';').next().unwrap_or_default();
        let add = |path: &str, content: &Value| drop(send(path, cookie, content));
        for scope in SCOPES {
            add("/scope/", &json!({ "name": scope, "display_name": scope, "password_required": false, "scheme": {} }));
        }
        let resources: serde_json::Map<_, _> =
            SCOPES.iter().map(|scope| ((*scope).to_owned(), json!([GLEWLWYD_RESOURCE]))).collect();
        let mut parameters = json!({
            "iss": self.issuer, "subject-type": "public", "allow-non-oidc": true,
            "jwks-private": signing_keys(signing).to_string(), "jwks-show": true,
            "access-token-duration": 300, "refresh-token-duration": 300, "code-duration": 300,
            "refresh-token-rolling": false, "auth-type-client-enabled": true,
            "introspection-revocation-allowed": true, "introspection-revocation-allow-target-client": true,
            "introspection-revocation-auth-scope": [], "oauth-dpop-allowed": true, "oauth-dpop-iat-duration": 60,
            "resource-allowed": true, "resource-client-property": "resource",
            "resource-scope-and-client-property": false, "resource-scope": resources,
        });
        for flow in ["code", "token", "id-token", "none", "password", "refresh"] {
            parameters[format!("auth-type-{flow}-enabled")] = json!(false);
        }
        let plugin = json!({
            "module": "oidc", "name": "oidc", "display_name": "oidc", "enabled": true, "parameters": parameters,
        });
        add("/mod/plugin/", &plugin);
        let client = json!({
            "client_id": "sensor", "name": "sensor", "client_secret": secret("sensor"), "password": secret("sensor"),
            "confidential": true, "enabled": true, "authorization_type": ["client_credentials"],
            "token_endpoint_auth_method": ["client_secret_basic"], "redirect_uri": [], "scope": SCOPES,
        });
        add("/client/", &client);
    }

    /// The beginnings of a broker that finds its keys by its name.
    pub fn setup(&self) -> Setup {
        // The key is not used: its tokens are its own.
        let authority = Authority { issuer: self.issuer.clone(), ..Authority::new() };
        Setup::with(authority)
            .keys_by_url(None)
            .file("as-ca.pem", &pki().authority)
            .server("scope_format = \"words\"")
            .server("ca_file = \"{dir}/as-ca.pem\"")
    }

    /// The same, and the broker asks it about tokens, as this client of its. Where, its metadata say.
    pub fn asked(&self, setup: Setup, client: &str, lines: &[&str]) -> Setup {
        let setup = setup
            .file("introspection.secret", &secret(client))
            .server("[authorization_server.introspection]")
            .server(&format!("client_id = \"{client}\""))
            .server("client_secret_file = \"{dir}/introspection.secret\"")
            .server("ca_file = \"{dir}/as-ca.pem\"");
        lines.iter().fold(setup, |setup, line| setup.server(line))
    }

    /// A token for this client, for a resource; bound to a key by DPoP (RFC 9449) if there is one.
    pub fn token(&self, path: &str, client: &str, resource: &str, key: Option<&Key>) -> String {
        let scope = SCOPES.join(" ");
        let fields = [("grant_type", "client_credentials"), ("resource", resource), ("scope", &scope)];
        let (status, answer) = self.post(path, client, &fields, key.map(|key| dpop(key, &self.url(path))));
        assert_eq!(status, 200, "{answer}");
        let token = answer["access_token"].as_str().expect("a token").to_owned();
        secrets::register_text(&token);
        token
    }

    /// Takes a token back (RFC 7009).
    pub fn revoke(&self, path: &str, client: &str, token: &str) {
        let (status, answer) = self.post(path, client, &[("token", token)], None);
        assert_eq!(status, 200, "{answer}");
    }

    /// Where this path of its is.
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn post(&self, path: &str, client: &str, fields: &[(&str, &str)], dpop: Option<String>) -> (u16, Value) {
        let credentials = STANDARD.encode(format!("{client}:{}", secret(client)));
        let mut request = agent().post(self.url(path)).header("authorization", format!("Basic {credentials}"));
        if let Some(dpop) = dpop {
            request = request.header("dpop", dpop);
        }
        answer(request.send_form(fields.iter().copied()).expect("an answer"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// glewlwyd's name for the broker: it takes URIs of the web only.
pub const GLEWLWYD_RESOURCE: &str = "https://broker.test/mqtt";

/// The resource of oidc-provider's for tokens in this form.
pub fn resource(form: &str) -> String {
    format!("mqtts://{AUDIENCE}/{form}")
}

/// The secret of a client at each of the servers.
fn secret(client: &str) -> String {
    let secret = format!("{client}-secret-of-more-than-thirty-two-characters");
    secrets::register(secret.as_bytes());
    secret
}

/// A JWK set with the key that a server signs with.
fn signing_keys(key: &Key) -> Value {
    let mut jwk = key.private_jwk();
    jwk["alg"] = json!(key.algorithm());
    jwk["use"] = json!("sig");
    json!({ "keys": [jwk] })
}

fn agent() -> ureq::Agent {
    let authority = Certificate::from_pem(pki().authority.as_bytes()).expect("a certificate");
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .root_certs(RootCerts::new_with_certs(&[authority]))
        .build();
    let config = ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false);
    config.timeout_global(Some(PATIENCE)).build().into()
}

/// The status, and the content as JSON; null if it is none.
fn answer(mut response: ureq::http::Response<ureq::Body>) -> (u16, Value) {
    let content = response.body_mut().read_to_string().expect("the content");
    (response.status().as_u16(), serde_json::from_str(&content).unwrap_or_default())
}

/// A proof for a token request that the client holds this key.
fn dpop(key: &Key, url: &str) -> String {
    let header = json!({ "typ": "dpop+jwt", "alg": key.algorithm(), "jwk": key.jwk() });
    let claims = json!({ "htm": "POST", "htu": url, "iat": now().as_secs(), "jti": encode(&random(16)) });
    let input = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    format!("{input}.{}", encode(&key.sign(input.as_bytes())))
}

fn glewlwyd_conf(folder: &str, place: &str, port: u16) -> String {
    let modules = format!("{place}/root/usr/lib/glewlwyd");
    format!(
        r#"port={port}
bind_address="127.0.0.1"
external_url="https://localhost:{port}"
api_prefix="api"
static_files_path="{folder}/static"
log_mode="console"
log_level="INFO"
cookie_domain="localhost"
cookie_secure=1
session_expiration=3600
session_key="GLEWLWYD2_SESSION_ID"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="{modules}/user"
user_middleware_module_path="{modules}/user_middleware"
client_module_path="{modules}/client"
user_auth_scheme_module_path="{modules}/scheme"
plugin_module_path="{modules}/plugin"
use_secure_connection=true
secure_connection_key_file="{folder}/server.key"
secure_connection_pem_file="{folder}/server.crt"
hash_algorithm="SHA512"
database = {{ type = "sqlite3"; path = "{folder}/glewlwyd.db"; }};
"#
    )
}
