//! A CA, and the certificates of the two servers.

use std::net::IpAddr;

use ace_profile::base64url;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::InitError;
use super::files::{Access, FileSet};

/// The public key of the broker's certificate.
pub(super) const BROKER_PUBLIC_KEY: &str = "broker-public-key.jwk";

/// Validity of the CA.
const CA_DAYS: i64 = 3650;

/// Validity of the servers' certificates: as long as the strictest platforms accept for private CAs.
const SERVER_DAYS: i64 = 825;

/// Clocks of trial machines differ a little.
const BACKDATED: Duration = Duration::hours(1);

/// Adds CA and certificates.
pub(super) fn add(files: &mut FileSet, hosts: &[String]) -> Result<(), InitError> {
    let ca_key = key()?;
    let ca_params = ca_params();
    let ca = ca_params.self_signed(&ca_key).map_err(failed)?;
    put(
        files,
        "ca",
        ("the CA that clients trust (--cafile)", &ca),
        ("the CA's key: only needed to issue more certificates", &ca_key),
    );
    let issuer = Issuer::from_params(&ca_params, &ca_key);

    let servers = [
        ("as", "ace-as", "this server's certificate", "this server's TLS key"),
        ("broker", "MQTT broker", "the broker's certificate", "the broker's TLS key"),
    ];
    for (name, common_name, certificate_purpose, key_purpose) in servers {
        let key = key()?;
        let certificate = server_params(common_name, hosts)?.signed_by(&key, &issuer).map_err(failed)?;
        put(files, name, (certificate_purpose, &certificate), (key_purpose, &key));
        if name == "broker" {
            let purpose = "the key of the broker's certificate, for clients to know it by";
            files.add(BROKER_PUBLIC_KEY, public_jwk(&key)?, Access::Public, purpose);
        }
    }
    Ok(())
}

fn put(
    files: &mut FileSet,
    name: &str,
    (purpose, certificate): (&'static str, &Certificate),
    (key_purpose, key): (&'static str, &KeyPair),
) {
    files.add(&format!("{name}-cert.pem"), Zeroizing::new(certificate.pem().into_bytes()), Access::Public, purpose);
    files.add(
        &format!("{name}-key.pem"),
        Zeroizing::new(key.serialize_pem().into_bytes()),
        Access::Private,
        key_purpose,
    );
}

/// P-256: what every TLS library of every device has.
fn key() -> Result<KeyPair, InitError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(failed)
}

/// A P-256 key as a JWK (RFC 7518 §6.2): its point is written as 4 ‖ x ‖ y (SEC 1 §2.3.3).
fn public_jwk(key: &KeyPair) -> Result<Zeroizing<Vec<u8>>, InitError> {
    let [4, coordinates @ ..] = key.public_key_raw() else {
        return Err(InitError::Key("the key's point has an unknown form".to_owned()));
    };
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": base64url::encode(x), "y": base64url::encode(y) });
    Ok(Zeroizing::new(format!("{jwk:#}\n").into_bytes()))
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("ace-as trial CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_for(&mut params, CA_DAYS);
    params
}

fn server_params(common_name: &str, hosts: &[String]) -> Result<CertificateParams, InitError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid_for(&mut params, SERVER_DAYS);
    for host in ["localhost", "127.0.0.1", "::1"].into_iter().chain(hosts.iter().map(String::as_str)) {
        let name = match host.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(
                dns_name(host)
                    .ok_or_else(|| InitError::Option(format!("{host:?} is neither a DNS name nor an IP address")))?,
            ),
        };
        if !params.subject_alt_names.contains(&name) {
            params.subject_alt_names.push(name);
        }
    }
    Ok(params)
}

fn dns_name(host: &str) -> Option<rcgen::string::Ia5String> {
    // The TLS library's own idea of a server name, so that what is certified can also be asked for.
    rustls::pki_types::DnsName::try_from(host).ok()?;
    host.try_into().ok()
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn valid_for(params: &mut CertificateParams, days: i64) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - BACKDATED;
    params.not_after = now + Duration::days(days);
}

fn failed(error: rcgen::Error) -> InitError {
    InitError::Key(error.to_string())
}
