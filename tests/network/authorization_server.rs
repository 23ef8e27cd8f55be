//! What the authorization server gives, and to whom: seen by a client that comes over the network.

use std::sync::Arc;

use ace_mqtt::{Error, Result, TokenRequest, TokenResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::cases;
use crate::site::{AUDIENCE, PATIENCE, Site, TESTER, own_key, read, scope};

cases! {
    a_wrong_secret_gets_no_token;
    an_unknown_client_gets_no_token;
    another_audience_gets_no_token;
    a_scope_beyond_the_policy_is_not_granted;
    only_administrators_revoke_what_is_not_theirs;
    no_secret_is_in_the_brokers_log;
}

fn ask(site: &Site, client: &str, secret: &str, audience: &str, scope: Option<String>) -> Result<TokenResponse> {
    let request = TokenRequest { audience: Some(audience.to_owned()), scope, key: own_key() };
    site.authorization_server(client, secret).request(&request)
}

fn refused(answer: Result<TokenResponse>, code: &str) {
    match answer {
        Err(Error::TokenRefused { error, .. }) => assert_eq!(error, code),
        other => panic!("not refused with {code}: {other:?}"),
    }
}

fn a_wrong_secret_gets_no_token(site: &Site) {
    refused(ask(site, TESTER, &site.secret("sensor"), AUDIENCE, None), "invalid_client");
}

fn an_unknown_client_gets_no_token(site: &Site) {
    refused(ask(site, "nobody", &site.secret(TESTER), AUDIENCE, None), "invalid_client");
}

fn another_audience_gets_no_token(site: &Site) {
    refused(ask(site, TESTER, &site.secret(TESTER), "another.example", None), "invalid_target");
}

fn a_scope_beyond_the_policy_is_not_granted(site: &Site) {
    let beyond = scope(&json!([["doors/#", ["pub"]]]));
    refused(ask(site, TESTER, &site.secret(TESTER), AUDIENCE, Some(beyond)), "invalid_scope");
}

fn only_administrators_revoke_what_is_not_theirs(site: &Site) {
    let credentials = site.credentials();
    // RFC 7009 §2.2: the answer does not tell whether there was such a token; so the broker is asked.
    let status = revoke(site, "sensor", credentials.token());
    assert!(status == 200 || status == 400 || status == 403, "{status}");
    let mut client =
        ace_mqtt::Client::connect(&site.options("unshaken"), Some(&credentials)).expect("it is still good");
    // Longer than it takes until the broker has the list again: another token's end is the sign.
    let sign = site.credentials();
    let mut fallen = ace_mqtt::Client::connect(&site.options("sign"), Some(&sign)).expect("the client is let in");
    assert_eq!(revoke(site, "administrator", sign.token()), 200);
    crate::site::end_of(&mut fallen);
    client.ping().expect("nobody has revoked it");
}

fn no_secret_is_in_the_brokers_log(site: &Site) {
    let credentials = site.credentials();
    ace_mqtt::Client::connect(&site.options("discreet"), Some(&credentials)).expect("the client is let in");
    site.has_logged(&["ace: admitted", "\"discreet\""]);
    let log = site.whole_log();
    assert!(!log.contains(credentials.token()) && !log.contains(&site.secret(TESTER)), "a secret is in the log");
}

/// Has the server revoke a token in this client's name; the answer's HTTP status.
pub(crate) fn revoke(site: &Site, client: &str, token: &str) -> u16 {
    let authority = Certificate::from_pem(read(&site.ca()).as_bytes()).expect("a certificate");
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .root_certs(RootCerts::new_with_certs(&[authority]))
        .build();
    let config = ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false);
    let agent: ureq::Agent = config.timeout_global(Some(PATIENCE)).build().into();
    let who = STANDARD.encode(format!("{client}:{}", site.secret(client)));
    let form: String = form_urlencoded::Serializer::new(String::new()).append_pair("token", token).finish();
    let request = agent.post(format!("{}/revoke", site.issuer)).header("authorization", format!("Basic {who}"));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request.send(&form).expect("an answer").status().as_u16()
}
