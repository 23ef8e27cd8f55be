//! TLS: whom to trust, which versions to speak, and the channel itself with the exporter value that binds a proof to it.
//! Verification of the server cannot be switched off.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion,
    client::Resumption,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use ace_profile::jose::Jwk;

use crate::{
    broker_key,
    error::{Error, Result},
    files,
};

/// Which TLS versions a client offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    /// TLS 1.3 or 1.2, whichever the server prefers.
    #[default]
    Any,
    /// TLS 1.2 only.
    V12,
    /// TLS 1.3 only.
    V13,
}

/// The certificate with which a client authenticates in TLS (RFC 8705 §2, RFC 9431 §2.2.2).
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// PEM file with the certificate, followed by those that lead to an authority that the server trusts.
    pub chain: PathBuf,
    /// PEM file with its private key, not encrypted. It may be the same file.
    pub key: PathBuf,
}

/// How to talk TLS to a server.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// PEM file with the certificates to trust, instead of those of the system.
    pub ca_file: Option<PathBuf>,
    /// Folder whose `.pem`, `.crt` and `.cer` files are to be trusted, instead of the certificates of the system.
    pub ca_path: Option<PathBuf>,
    /// Versions to offer.
    pub version: TlsVersion,
    /// The client's own certificate, shown to servers that ask for one.
    pub client_certificate: Option<ClientCertificate>,
}

/// Upper bound of the certificates read from one file or folder.
const MAX_ROOTS: usize = 4096;

/// The certificates that `options` trust.
///
/// # Errors
/// [`Error::File`] if a named file cannot be read or holds no certificate; [`Error::Invalid`] if the system has none.
pub(crate) fn trusted_certificates(options: &TlsOptions) -> Result<Vec<CertificateDer<'static>>> {
    let mut certificates = Vec::new();
    if let Some(path) = &options.ca_file {
        certificates.extend(certificates_of_file(path)?);
    }
    if let Some(folder) = &options.ca_path {
        let failed = |reason: String| Error::File { path: folder.clone(), reason };
        let before = certificates.len();
        for entry in std::fs::read_dir(folder).map_err(|error| failed(error.to_string()))? {
            let path = entry.map_err(|error| failed(error.to_string()))?.path();
            let is_certificate = path.extension().is_some_and(|end| end == "pem" || end == "crt" || end == "cer");
            if is_certificate && certificates.len() < MAX_ROOTS {
                certificates.extend(certificates_of_file(&path)?);
            }
        }
        if certificates.len() == before {
            return Err(failed("holds no .pem, .crt or .cer file".to_owned()));
        }
    }
    if options.ca_file.is_none() && options.ca_path.is_none() {
        certificates = rustls_native_certs::load_native_certs().certs;
        if certificates.is_empty() {
            return Err(Error::Invalid(
                "the system has no certificate authorities to trust; name a CA file".to_owned(),
            ));
        }
    }
    Ok(certificates)
}

fn certificates_of_file(path: &std::path::Path) -> Result<Vec<CertificateDer<'static>>> {
    let failed = |reason: String| Error::File { path: path.to_owned(), reason };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(|items| items.take(MAX_ROOTS).collect::<std::result::Result<Vec<_>, _>>())
        .map_err(|error| failed(format!("cannot read certificates: {error}")))?;
    if certificates.is_empty() {
        return Err(failed("holds no PEM certificate".to_owned()));
    }
    Ok(certificates)
}

fn private_key_of_file(path: &std::path::Path) -> Result<PrivateKeyDer<'static>> {
    let text = files::read_text(path)?;
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| Error::File {
        path: path.to_owned(),
        reason: "holds no private key in PEM that is not encrypted".to_owned(),
    })
}

/// The rustls configuration for `options`: aws-lc, verification on, no session resumption (a resumed session must not be
/// used for the exporter proof: requirement C5), extended master secret required on TLS 1.2 for the same reason (RFC 7627 §7).
///
/// # Errors
/// As [`trusted_certificates`], and likewise for the client's certificate and key.
pub(crate) fn client_config(options: &TlsOptions) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(trusted_certificates(options)?);
    if added == 0 {
        return Err(Error::Invalid("none of the certificates to trust can be used".to_owned()));
    }
    static V12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
    static V13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
    let versions = match options.version {
        TlsVersion::Any => rustls::DEFAULT_VERSIONS,
        TlsVersion::V12 => V12,
        TlsVersion::V13 => V13,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| Error::Invalid(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots);
    let mut config = match &options.client_certificate {
        None => config.with_no_client_auth(),
        Some(certificate) => {
            let failed = |error: rustls::Error| Error::File {
                path: certificate.chain.clone(),
                reason: format!("cannot be used with the key in {}: {error}", certificate.key.display()),
            };
            let (chain, key) = (certificates_of_file(&certificate.chain)?, private_key_of_file(&certificate.key)?);
            config.with_client_auth_cert(chain, key).map_err(failed)?
        }
    };
    config.resumption = Resumption::disabled();
    config.require_ems = true;
    Ok(Arc::new(config))
}

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// That many bytes.
    Bytes(usize),
    /// Nothing before the deadline.
    Nothing,
    /// The server closed the connection, properly (`close_notify`) or not.
    End,
}

/// A TLS connection over TCP whose every operation has a deadline.
pub(crate) struct TlsChannel {
    tls: ClientConnection,
    tcp: TcpStream,
    address: String,
}

impl TlsChannel {
    /// Connects and completes the handshake before `deadline`.
    pub(crate) fn connect(config: Arc<ClientConfig>, host: &str, port: u16, deadline: Instant) -> Result<Self> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let address = if bare.contains(':') { format!("[{bare}]:{port}") } else { format!("{bare}:{port}") };
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| Error::Invalid(format!("{host:?} is not a host name or address")))?;
        let tcp = connect_tcp(bare, port, deadline)
            .map_err(|reason| Error::Unreachable { address: address.clone(), reason })?;
        let failed = |reason: String| Error::Tls { address: address.clone(), reason };
        let tls = ClientConnection::new(config, name).map_err(|error| failed(tls_words(&error)))?;
        let mut channel = Self { tls, tcp, address: address.clone() };
        while channel.tls.is_handshaking() {
            channel.flush(deadline).map_err(|error| failed(io_words(&error)))?;
            if !channel.tls.is_handshaking() {
                break;
            }
            match channel.receive(deadline).map_err(|error| failed(io_words(&error)))? {
                Input::Bytes(_) => {}
                Input::Nothing => return Err(failed("no answer in time".to_owned())),
                Input::End => {
                    return Err(failed("the server closed the connection".to_owned()));
                }
            }
        }
        channel.flush(deadline).map_err(|error| failed(io_words(&error)))?;
        Ok(channel)
    }

    /// The TLS version and cipher suite in words, for diagnosis.
    pub(crate) fn describe(&self) -> String {
        format!(
            "{} {}",
            self.tls.protocol_version().map_or("?".to_owned(), |version| format!("{version:?}")),
            self.tls.negotiated_cipher_suite().map_or("?".to_owned(), |suite| format!("{:?}", suite.suite()))
        )
    }

    /// Checks that the server's certificate is for `key`.
    pub(crate) fn check_key(&self, key: &Jwk) -> Result<()> {
        let matches = self
            .tls
            .peer_certificates()
            .and_then(|chain| chain.first())
            .is_some_and(|certificate| broker_key::is_for(certificate, key));
        if matches {
            return Ok(());
        }
        Err(Error::Tls {
            address: self.address.clone(),
            reason: "the server's certificate is not for the key that the authorization server named".to_owned(),
        })
    }

    /// The exporter value that a proof signs (RFC 9431 §2.2.4.1): the label of the profile, and a context that is present and empty,
    /// which on TLS 1.2 gives another value than no context (RFC 5705 §4).
    pub(crate) fn exporter(&self) -> Result<[u8; ace_profile::proof::EXPORTER_BYTES]> {
        self.tls
            .export_keying_material(
                [0; ace_profile::proof::EXPORTER_BYTES],
                ace_profile::proof::EXPORTER_LABEL.as_bytes(),
                Some(b""),
            )
            .map_err(|error| Error::Tls {
                address: self.address.clone(),
                reason: format!("no exporter value: {error}"),
            })
    }

    /// Reads decrypted bytes, waiting until `deadline` at most.
    pub(crate) fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<Input> {
        loop {
            match self.tls.reader().read(buffer) {
                Ok(0) => return Ok(Input::End),
                Ok(count) => return Ok(Input::Bytes(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(Input::End);
                }
                Err(error) => return Err(error),
            }
            // Key updates and alerts may be waiting to go out.
            self.flush(deadline)?;
            match self.receive(deadline)? {
                Input::Nothing => return Ok(Input::Nothing),
                Input::Bytes(_) | Input::End => {}
            }
        }
    }

    /// Writes all bytes before `deadline`.
    pub(crate) fn write_all(&mut self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            // rustls takes what fits into its buffer.
            let taken = self.tls.writer().write(bytes)?;
            bytes = bytes.get(taken..).unwrap_or_default();
            self.flush(deadline)?;
        }
        self.flush(deadline)
    }

    /// Says goodbye to the server; the answer is not waited for.
    pub(crate) fn close(&mut self, deadline: Instant) {
        self.tls.send_close_notify();
        // The connection is over either way.
        let _ = self.flush(deadline);
        let _ = self.tcp.shutdown(std::net::Shutdown::Write);
    }

    /// Takes records from the socket. `Bytes` counts encrypted bytes here.
    fn receive(&mut self, deadline: Instant) -> io::Result<Input> {
        self.tcp.set_read_timeout(Some(remaining(deadline)))?;
        match self.tls.read_tls(&mut self.tcp) {
            Ok(count) => {
                if let Err(error) = self.tls.process_new_packets() {
                    // The alert that tells the server; the error is reported all the same.
                    let _ = self.flush(deadline);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                }
                Ok(if count == 0 { Input::End } else { Input::Bytes(count) })
            }
            Err(error) if is_timeout(&error) || error.kind() == io::ErrorKind::Interrupted => {
                // A wait that ended early is an empty round: the caller's loop comes back.
                Ok(if Instant::now() >= deadline { Input::Nothing } else { Input::Bytes(0) })
            }
            Err(error) => Err(error),
        }
    }

    fn flush(&mut self, deadline: Instant) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tcp.set_write_timeout(Some(remaining(deadline)))?;
            match self.tls.write_tls(&mut self.tcp) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => {
                    if Instant::now() >= deadline {
                        return Err(io::Error::new(io::ErrorKind::TimedOut, "the server does not take data"));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Time left, at least one millisecond: the socket takes zero for "forever".
fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

fn connect_tcp(host: &str, port: u16, deadline: Instant) -> io::Result<TcpStream> {
    let mut last = None;
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, remaining(deadline)) {
            Ok(tcp) => {
                tcp.set_nodelay(true)?;
                return Ok(tcp);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
}

/// A TLS error in words that help.
pub(crate) fn tls_words(error: &rustls::Error) -> String {
    use rustls::{AlertDescription, CertificateError, Error as Tls, InvalidMessage};
    match error {
        Tls::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "the server's certificate is not from a trusted authority (name its CA file)".to_owned()
        }
        Tls::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the server's certificate has expired".to_owned()
        }
        Tls::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the server's certificate is for another name".to_owned(),
        Tls::AlertReceived(AlertDescription::ProtocolVersion) => {
            "the server does not speak this TLS version".to_owned()
        }
        Tls::AlertReceived(AlertDescription::HandshakeFailure) => {
            "the server refused the handshake: it may ask for a client certificate, or for other algorithms".to_owned()
        }
        Tls::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server asks for a client certificate".to_owned()
        }
        Tls::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the server does not speak TLS on this port".to_owned()
        }
        other => other.to_string(),
    }
}

/// An input or output error in words; TLS errors inside it are unwrapped.
pub(crate) fn io_words(error: &io::Error) -> String {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).map_or_else(|| error.to_string(), tls_words)
}
