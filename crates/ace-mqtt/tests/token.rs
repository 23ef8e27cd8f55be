//! Token requests against a scripted authorization server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peer;

use ace_mqtt::{
    ClientAuthentication, Credentials, Error, RequestFormat, RequestedKey, TokenClient, TokenRequest, TokenResponse,
    ace_profile::{jose::Jwk, random::SystemRandom},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use peer::{Peer, TOKEN, key};
use serde_json::{Value, json};

fn client(peer: &Peer) -> TokenClient {
    TokenClient::new(&format!("https://localhost:{}/token", peer.port), &peer.trust())
        .unwrap()
        .with_client("sen:sor", "p%ss wörd")
}

fn request(key: RequestedKey) -> TokenRequest {
    TokenRequest { audience: Some("broker.example".to_owned()), scope: Some("W10".to_owned()), key }
}

/// One request answered with `status` and `body`.
fn answered(status: &'static str, body: impl ToString, key: RequestedKey) -> Result<TokenResponse, Error> {
    let body = body.to_string();
    let peer = Peer::once(move |session| {
        session.http_request();
        session.http_answer(status, &body);
    });
    let result = client(&peer).request(&request(key));
    peer.finish();
    result
}

#[test]
fn as1_an_ace_json_request_names_key_audience_and_scope() {
    let (own, _) = key();
    let public = own.public_value().unwrap();
    let (broker_key, _) = key();
    let rs_cnf = json!({ "jwk": broker_key.public_value().unwrap() });
    let peer = Peer::once(move |session| {
        let (head, body) = session.http_request();
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("post /token http/1.1\r\n"));
        assert!(head.contains("content-type: application/ace+json\r\n"));
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            body,
            json!({
                "grant_type": "client_credentials",
                "audience": "broker.example",
                "scope": "W10",
                "req_cnf": { "jwk": public },
            })
        );
        session.http_answer(
            "200 OK",
            &json!({"access_token": TOKEN, "token_type": "PoP", "expires_in": 300, "ace_profile": "mqtt_tls", "scope": "W10", "rs_cnf": rs_cnf}).to_string(),
        );
    });
    let answer = client(&peer).request(&request(RequestedKey::Own(Box::new(own.clone())))).unwrap();
    assert_eq!(answer.credentials.token(), TOKEN);
    assert_eq!(answer.credentials.key().unwrap().thumbprint(), own.thumbprint());
    assert_eq!(answer.credentials.audience(), ["broker.example"]);
    assert_eq!(answer.expires_in, Some(300));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(answer.credentials.expires_at().unwrap().abs_diff(now + 300) < 30);
    assert_eq!(answer.scope, Some(json!("W10")));
    assert_eq!(answer.credentials.broker_key().unwrap().thumbprint(), broker_key.thumbprint());
    peer.finish();
}

#[test]
fn basic_authentication_form_encodes_id_and_secret() {
    let peer = Peer::once(|session| {
        let (head, body) = session.http_request();
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:")).unwrap();
        let encoded = line.split(' ').next_back().unwrap();
        assert_eq!(STANDARD.decode(encoded).unwrap(), b"sen%3Asor:p%25ss+w%C3%B6rd");
        assert!(!body.contains("client_secret"));
        session.http_answer("200 OK", &json!({"access_token": TOKEN}).to_string());
    });
    client(&peer).request(&request(RequestedKey::Unspecified)).unwrap();
    peer.finish();
}

#[test]
fn as1_a_form_carries_everything_for_plain_oauth_servers() {
    let (own, _) = key();
    let public = own.public_value().unwrap();
    let peer = Peer::once(move |session| {
        let (head, body) = session.http_request();
        let head = head.to_ascii_lowercase();
        assert!(head.contains("content-type: application/x-www-form-urlencoded\r\n"));
        assert!(!head.contains("authorization:"));
        let pairs: std::collections::BTreeMap<_, _> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        assert_eq!(pairs["grant_type"], "client_credentials");
        assert_eq!(pairs["client_id"], "sen:sor");
        assert_eq!(pairs["client_secret"], "p%ss wörd");
        assert_eq!(serde_json::from_str::<Value>(&pairs["req_cnf"]).unwrap(), json!({ "jwk": public }));
        session.http_answer("200 OK", &json!({"access_token": TOKEN, "expires_in": "60"}).to_string());
    });
    let answer = client(&peer)
        .with_authentication(ClientAuthentication::Parameters)
        .with_format(RequestFormat::Form)
        .request(&request(RequestedKey::Own(Box::new(own))))
        .unwrap();
    assert_eq!(answer.expires_in, Some(60), "some servers write numbers as text");
    peer.finish();
}

#[test]
fn as2_the_symmetric_key_comes_from_the_answer() {
    let made = Jwk::generate_symmetric(32, &mut SystemRandom).unwrap();
    let body = json!({"access_token": TOKEN, "cnf": {"jwk": made.secret_value()}});
    let answer = answered("200 OK", &body, RequestedKey::Symmetric).unwrap();
    assert_eq!(answer.credentials.key().unwrap().symmetric_bytes(), made.symmetric_bytes());

    // What was asked for has to be there, and to be symmetric.
    let (other, _) = key();
    for body in [
        json!({"access_token": TOKEN}),
        json!({"access_token": TOKEN, "cnf": {"jwk": other.public_value().unwrap()}}),
        json!({"access_token": TOKEN, "cnf": {"kid": "x"}}),
        json!({"access_token": TOKEN, "cnf": {"jwk": {"kty": "oct"}}}),
    ] {
        assert!(matches!(answered("200 OK", &body, RequestedKey::Symmetric), Err(Error::TokenAnswer(_))), "{body}");
    }
}

#[test]
fn answers_that_cannot_be_used_are_refused() {
    let (own, _) = key();
    let (other, _) = key();
    let own = RequestedKey::Own(Box::new(own));
    for body in [
        "".to_owned(),
        "<html>".to_owned(),
        json!({"token": TOKEN}).to_string(),
        json!({"access_token": ""}).to_string(),
        json!({"access_token": "a b"}).to_string(),
        json!({"access_token": "x".repeat(40_000)}).to_string(),
        json!({"access_token": TOKEN, "ace_profile": "coap_dtls"}).to_string(),
        // Bound to somebody else's key.
        json!({"access_token": TOKEN, "cnf": {"jwk": other.public_value().unwrap()}}).to_string(),
        format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)),
        // Larger than anything that is read.
        " ".repeat(300 * 1024),
    ] {
        let shown: String = body.chars().take(40).collect();
        assert!(matches!(answered("200 OK", body, own.clone()), Err(Error::TokenAnswer(_))), "{shown}");
    }
}

#[test]
fn as6_the_servers_error_code_is_passed_on() {
    let body = json!({"error": "invalid_client", "error_description": "unknown client\u{1b}[2J or wrong secret"});
    let error = answered("401 Unauthorized", &body, RequestedKey::Symmetric).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the authorization server refused the token: invalid_client (HTTP 401): unknown client[2J or wrong secret"
    );
    let error = answered("502 Bad Gateway", "<html>", RequestedKey::Symmetric).unwrap_err();
    assert_eq!(error.to_string(), "the authorization server refused the token: no reason given (HTTP 502)");
}

#[test]
fn redirects_are_not_followed() {
    let peer = Peer::once(|session| {
        session.http_request();
        session.write(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let error = client(&peer).request(&request(RequestedKey::Symmetric)).unwrap_err();
    assert!(matches!(error, Error::TokenRefused { status: 307, .. }), "{error}");
    peer.finish();
}

#[test]
fn only_https_and_only_trusted_servers() {
    let peer = Peer::start(Vec::new());
    assert!(matches!(TokenClient::new("http://localhost/token", &peer.trust()), Err(Error::Invalid(_))));
    let stranger = Peer::once(|session| assert!(!session.handshake() || session.ended()));
    let client = TokenClient::new(&format!("https://localhost:{}/token", stranger.port), &peer.trust()).unwrap();
    let error = client.request(&request(RequestedKey::Symmetric)).unwrap_err();
    assert!(matches!(error, Error::AuthorizationServerUnreachable { .. }), "{error}");
    assert!(error.to_string().contains("not from a trusted authority"), "{error}");
    stranger.finish();
}

#[test]
fn debug_shows_no_secret() {
    let peer = Peer::start(Vec::new());
    let shown = format!("{:?}", client(&peer));
    assert!(shown.contains("sen:sor") && !shown.contains("p%ss"), "{shown}");
    let made = Jwk::generate_symmetric(32, &mut SystemRandom).unwrap();
    let secret = made.secret_value();
    let body = json!({"access_token": TOKEN, "cnf": {"jwk": secret}});
    let shown = format!("{:?}", answered("200 OK", &body, RequestedKey::Symmetric).unwrap());
    assert!(!shown.contains(TOKEN) && !shown.contains(secret["k"].as_str().unwrap()), "{shown}");
}

#[test]
fn credentials_survive_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sensor.credentials");
    let (own, _) = key();
    let credentials = Credentials::new(TOKEN, Some(own.clone()))
        .unwrap()
        .with_audience(vec!["broker.example".to_owned()])
        .with_expiry(Some(1_700_000_000))
        .with_broker_key(Some(key().0));
    credentials.save(&path).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let back = Credentials::load(&path).unwrap();
    assert_eq!(back.token(), TOKEN);
    assert!(back.key().unwrap().is_private());
    assert_eq!(back.key().unwrap().thumbprint(), own.thumbprint());
    assert_eq!(back.broker_key().unwrap().thumbprint(), credentials.broker_key().unwrap().thumbprint());
    assert!(!back.broker_key().unwrap().is_private());
    assert_eq!((back.audience(), back.expires_at()), (credentials.audience(), Some(1_700_000_000)));

    std::fs::write(&path, format!("{{\"access_token\": \"{TOKEN}\", \"kee\": 1}}")).unwrap();
    let error = Credentials::load(&path).unwrap_err().to_string();
    assert!(error.contains("line 1") && !error.contains(TOKEN), "{error}");
}
