//! From text to [`Config`]: every file read, every value checked, nothing guessed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ace_profile::jose::jwe::{Encryption, Management};
use ace_profile::jose::{Jwk, KeyType};
use ace_profile::scope::{Permission, Permissions, Scope, TopicFilter};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use toml::Spanned;
use zeroize::Zeroizing;

use super::file::{self, SecretText};
use super::{Config, ConfigError, PublishedKey, SigningKey, VerificationKey, lifetime};
use crate::policy::{Audience, Client, ResourceServer, SharedKey, TokenFormat};
use crate::secret::{ADVISABLE_BYTES, SecretDigest};

/// No file that the configuration names has a reason to be larger.
const FILE_BYTES: u64 = 4 << 20;

/// The lifetime of a token if nothing says otherwise.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);

/// Reads `as.toml` and what it names.
pub(super) fn config(path: &Path) -> Result<Config, ConfigError> {
    let text = read_text(path).map_err(|reason| ConfigError::whole(path, reason))?;
    // Of the parser's error only the message is used: its Display shows the line, which may hold a secret.
    let file: file::File = toml::from_str(&text).map_err(|error| match error.span() {
        Some(span) => ConfigError::at(path, &text, span.start, error.message()),
        None => ConfigError::whole(path, error.message()),
    })?;
    let mut reader = Reader { path, text: &text, folder: path.parent().unwrap_or(Path::new("")), warnings: Vec::new() };
    reader.config(file)
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    folder: &'a Path,
    warnings: Vec<String>,
}

impl Reader<'_> {
    fn config(&mut self, file: file::File) -> Result<Config, ConfigError> {
        let issuer = file.issuer.get_ref().clone();
        super::check_issuer(&issuer).map_err(|reason| self.wrong(&file.issuer, reason))?;
        let listen =
            file.listen.get_ref().parse().map_err(|_| {
                self.wrong(&file.listen, "listen is not an address with port, such as \"127.0.0.1:8443\"")
            })?;
        let default_lifetime = self.lifetime(file.token_lifetime.as_ref())?.unwrap_or(DEFAULT_LIFETIME);
        let signing_key = SigningKey::new(self.key_file(&file.signing_key)?)
            .map_err(|reason| self.wrong(&file.signing_key, format!("{}: {reason}", file.signing_key.get_ref())))?;
        let published_keys = self.published_keys(&file.published_key, &signing_key)?;
        let tls = self.tls(&file.tls)?;
        let audiences = self.audiences(&file.audience, default_lifetime)?;
        let mut ids = BTreeSet::new();
        let resource_servers = self.resource_servers(&file.resource_server, &audiences, &mut ids)?;
        let clients = self.clients(&file.client, &audiences, &mut ids)?;
        let administrators = self.administrators(&file.administrator, &mut ids)?;
        let state_file = file.state_file.as_ref().map(|name| self.state_file(name)).transpose()?;
        if state_file.is_none() {
            self.warnings.push(
                "there is no state_file: a restart ends all opaque tokens and brings revoked JWTs back to life"
                    .to_owned(),
            );
        }
        let warnings = std::mem::take(&mut self.warnings);
        Ok(Config {
            issuer,
            listen,
            signing_key,
            published_keys,
            warnings,
            tls,
            audiences,
            resource_servers,
            clients,
            administrators,
            state_file,
        })
    }

    fn published_keys(
        &mut self,
        list: &[file::PublishedKey],
        signing_key: &SigningKey,
    ) -> Result<Vec<PublishedKey>, ConfigError> {
        let mut kids = BTreeSet::from([signing_key.verification().kid().to_owned()]);
        let mut keys = Vec::new();
        for entry in list {
            // It may be the whole key: one that is to sign soon, or has just ceased to.
            let key = VerificationKey::new(&self.parse_key(&entry.file, &self.bytes(&entry.file)?)?)
                .map_err(|reason| self.wrong(&entry.file, format!("{}: {reason}", entry.file.get_ref())))?;
            if !kids.insert(key.kid().to_owned()) {
                return Err(self.wrong(&entry.file, "a key with this kid is there already"));
            }
            let until = entry.until.as_ref().map(|until| self.time(until)).transpose()?;
            keys.push(PublishedKey { key, until });
        }
        Ok(keys)
    }

    /// A point in time, in seconds since the Unix epoch.
    fn time(&self, time: &Spanned<toml::value::Datetime>) -> Result<u64, ConfigError> {
        OffsetDateTime::parse(&time.get_ref().to_string(), &Rfc3339)
            .ok()
            .and_then(|time| u64::try_from(time.unix_timestamp()).ok())
            .ok_or_else(|| self.wrong(time, "not a time with its offset, such as 2030-01-31T12:00:00Z"))
    }

    fn tls(&mut self, tls: &file::Tls) -> Result<Arc<rustls::ServerConfig>, ConfigError> {
        let certificates = CertificateDer::pem_slice_iter(&self.bytes(&tls.certificate)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| self.wrong(&tls.certificate, format!("{}: {error}", tls.certificate.get_ref())))?;
        if certificates.is_empty() {
            return Err(self.wrong(&tls.certificate, format!("{}: no certificate in it", tls.certificate.get_ref())));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.private_bytes(&tls.key)?)
            .map_err(|error| self.wrong(&tls.key, format!("{}: {error}", tls.key.get_ref())))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
            .map_err(|error| self.wrong(&tls.key, format!("certificate and key cannot be used: {error}")))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn audiences(
        &mut self,
        list: &[file::Audience],
        default_lifetime: Duration,
    ) -> Result<BTreeMap<String, Audience>, ConfigError> {
        let mut audiences = BTreeMap::new();
        for entry in list {
            let name = self.name(&entry.name)?;
            let audience = Audience {
                name: name.clone(),
                public_key: entry.public_key.as_ref().map(|file| self.public_key(file)).transpose()?,
                shared_key: self.shared_key(entry)?,
                token_format: self.token_format(entry.token_format.as_ref())?.unwrap_or(TokenFormat::Jwt),
                token_lifetime: self.lifetime(entry.token_lifetime.as_ref())?.unwrap_or(default_lifetime),
            };
            if audiences.insert(name, audience).is_some() {
                return Err(self.wrong(&entry.name, "this audience is there already"));
            }
        }
        Ok(audiences)
    }

    fn public_key(&mut self, file: &Spanned<String>) -> Result<Value, ConfigError> {
        let key = self.parse_key(file, &self.bytes(file)?)?;
        match key.public_value() {
            Some(value) if !key.is_private() => Ok(value),
            _ => Err(self.wrong(file, format!("{}: a public key is needed here", file.get_ref()))),
        }
    }

    fn shared_key(&mut self, entry: &file::Audience) -> Result<Option<SharedKey>, ConfigError> {
        let management = entry.key_management.as_ref().map(|name| {
            name.get_ref()
                .parse::<Management>()
                .map_err(|_| self.wrong(name, "key_management is \"dir\" or \"A256KW\""))
        });
        let encryption = entry.content_encryption.as_ref().map(|name| {
            name.get_ref()
                .parse::<Encryption>()
                .map_err(|_| self.wrong(name, "content_encryption is \"A128GCM\" or \"A256GCM\""))
        });
        let (management, encryption) = (management.transpose()?, encryption.transpose()?);
        let Some(file) = entry.shared_key.as_ref() else {
            return match entry.key_management.as_ref().or(entry.content_encryption.as_ref()) {
                Some(orphan) => Err(self.wrong(orphan, "this needs a shared_key beside it")),
                None => Ok(None),
            };
        };
        let key = self.key_file(file)?;
        if key.key_type() != KeyType::Symmetric {
            return Err(
                self.wrong(file, format!("{}: a shared key is a symmetric key, \"kty\":\"oct\"", file.get_ref()))
            );
        }
        if key.kid().is_none() {
            return Err(self.wrong(file, format!("{}: a shared key needs a \"kid\"", file.get_ref())));
        }
        let shared = SharedKey {
            key,
            management: management.unwrap_or(Management::A256Kw),
            encryption: encryption.unwrap_or(Encryption::A256Gcm),
        };
        // A key of the wrong length shows here instead of at the first request.
        shared.encrypt(b"{}").map_err(|error| self.wrong(file, format!("{}: {error}", file.get_ref())))?;
        Ok(Some(shared))
    }

    fn resource_servers(
        &mut self,
        list: &[file::ResourceServer],
        audiences: &BTreeMap<String, Audience>,
        ids: &mut BTreeSet<String>,
    ) -> Result<BTreeMap<String, ResourceServer>, ConfigError> {
        let mut servers = BTreeMap::new();
        for entry in list {
            let id = self.unique_id(&entry.id, ids)?;
            let secret = self.secret(
                &entry.id,
                entry.secret.as_ref(),
                entry.secret_file.as_ref(),
                entry.secret_sha256.as_ref(),
            )?;
            let audiences = self.known_audiences(&entry.id, &entry.audiences, audiences)?;
            servers.insert(id, ResourceServer { secret, audiences, may_revoke: entry.may_revoke });
        }
        Ok(servers)
    }

    fn clients(
        &mut self,
        list: &[file::Client],
        audiences: &BTreeMap<String, Audience>,
        ids: &mut BTreeSet<String>,
    ) -> Result<BTreeMap<String, Client>, ConfigError> {
        let mut clients = BTreeMap::new();
        for entry in list {
            let id = self.unique_id(&entry.id, ids)?;
            let client = Client {
                id: id.clone(),
                secret: self.secret(
                    &entry.id,
                    entry.secret.as_ref(),
                    entry.secret_file.as_ref(),
                    entry.secret_sha256.as_ref(),
                )?,
                audiences: self.known_audiences(&entry.id, &entry.audiences, audiences)?,
                allowed: self.allowed(entry)?,
                subject: entry.subject.as_ref().map_or_else(|| Ok(id.clone()), |subject| self.name(subject))?,
                token_format: self.token_format(entry.token_format.as_ref())?,
                token_lifetime: self.lifetime(entry.token_lifetime.as_ref())?,
            };
            clients.insert(id, client);
        }
        Ok(clients)
    }

    fn administrators(
        &mut self,
        list: &[file::Administrator],
        ids: &mut BTreeSet<String>,
    ) -> Result<BTreeMap<String, SecretDigest>, ConfigError> {
        let mut administrators = BTreeMap::new();
        for entry in list {
            let id = self.unique_id(&entry.id, ids)?;
            let (secret, file, sha256) = (&entry.secret, &entry.secret_file, &entry.secret_sha256);
            let secret = self.secret(&entry.id, secret.as_ref(), file.as_ref(), sha256.as_ref())?;
            administrators.insert(id, secret);
        }
        Ok(administrators)
    }

    /// Where the state is to be. It need not be there yet, but its folder must.
    fn state_file(&self, name: &Spanned<String>) -> Result<PathBuf, ConfigError> {
        let path = self.resolve(name);
        if path.file_name().is_none() || path.is_dir() {
            return Err(self.wrong(name, format!("{}: not the name of a file", path.display())));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(self.wrong(name, format!("{}: there is no such folder", folder.display())));
        }
        Ok(path)
    }

    fn allowed(&self, entry: &file::Client) -> Result<Scope, ConfigError> {
        let mut allowed = Vec::new();
        for (filters, permission) in [(&entry.publish, Permission::Publish), (&entry.subscribe, Permission::Subscribe)]
        {
            for filter in filters {
                let parsed = TopicFilter::parse(filter.get_ref()).map_err(|error| {
                    self.wrong(filter, format!("{:?} is not a topic filter: {error}", filter.get_ref()))
                })?;
                allowed.push((parsed, Permissions::from_iter([permission])));
            }
        }
        Ok(Scope::new(allowed))
    }

    fn secret(
        &mut self,
        id: &Spanned<String>,
        secret: Option<&Spanned<SecretText>>,
        file: Option<&Spanned<String>>,
        sha256: Option<&Spanned<SecretText>>,
    ) -> Result<SecretDigest, ConfigError> {
        let clear = match (secret, file, sha256) {
            (Some(secret), None, None) => Zeroizing::new(secret.get_ref().0.to_string().into_bytes()),
            (None, Some(file), None) => Zeroizing::new(self.private_bytes(file)?.trim_ascii_end().to_vec()),
            (None, None, Some(sha256)) => {
                return SecretDigest::from_hex(&sha256.get_ref().0)
                    .ok_or_else(|| self.wrong(sha256, "secret_sha256 is not 64 hexadecimal digits"));
            }
            _ => return Err(self.wrong(id, "exactly one of secret_file, secret_sha256 and secret is needed")),
        };
        if clear.is_empty() {
            return Err(self.wrong(id, "the secret is empty"));
        }
        if std::str::from_utf8(&clear).is_err() {
            return Err(self.wrong(id, "the secret is not UTF-8"));
        }
        if clear.len() < ADVISABLE_BYTES {
            self.warnings.push(format!(
                "the secret of {:?} is shorter than {ADVISABLE_BYTES} bytes and can be guessed",
                id.get_ref()
            ));
        }
        Ok(SecretDigest::of(&clear))
    }

    fn known_audiences(
        &self,
        id: &Spanned<String>,
        names: &[Spanned<String>],
        audiences: &BTreeMap<String, Audience>,
    ) -> Result<BTreeSet<String>, ConfigError> {
        if names.is_empty() {
            return Err(self.wrong(id, "at least one audience is needed"));
        }
        names
            .iter()
            .map(|name| {
                if audiences.contains_key(name.get_ref()) {
                    Ok(name.get_ref().clone())
                } else {
                    Err(self.wrong(name, format!("there is no [[audience]] named {:?}", name.get_ref())))
                }
            })
            .collect()
    }

    fn unique_id(&self, id: &Spanned<String>, ids: &mut BTreeSet<String>) -> Result<String, ConfigError> {
        let name = self.name(id)?;
        if ids.insert(name.clone()) {
            Ok(name)
        } else {
            Err(self.wrong(id, "this id is there already, as a client, resource server or administrator"))
        }
    }

    fn name(&self, name: &Spanned<String>) -> Result<String, ConfigError> {
        super::check_name(name.get_ref()).map_err(|reason| self.wrong(name, reason))?;
        Ok(name.get_ref().clone())
    }

    fn token_format(&self, format: Option<&Spanned<String>>) -> Result<Option<TokenFormat>, ConfigError> {
        let Some(format) = format else { return Ok(None) };
        match format.get_ref().as_str() {
            "jwt" => Ok(Some(TokenFormat::Jwt)),
            // The second is the same by its other name.
            "reference" | "opaque" => Ok(Some(TokenFormat::Opaque)),
            _ => Err(self.wrong(format, "token_format is \"jwt\" or \"reference\"")),
        }
    }

    fn lifetime(&self, text: Option<&Spanned<String>>) -> Result<Option<Duration>, ConfigError> {
        text.map(|text| lifetime::parse(text.get_ref()).map_err(|reason| self.wrong(text, reason))).transpose()
    }

    fn key_file(&mut self, name: &Spanned<String>) -> Result<Jwk, ConfigError> {
        let bytes = self.private_bytes(name)?;
        self.parse_key(name, &bytes)
    }

    fn parse_key(&self, name: &Spanned<String>, bytes: &[u8]) -> Result<Jwk, ConfigError> {
        std::str::from_utf8(bytes)
            .map_err(|_| "not UTF-8".to_owned())
            .and_then(|text| Jwk::from_json(text).map_err(|error| error.to_string()))
            .map_err(|reason| self.wrong(name, format!("{}: {reason}", name.get_ref())))
    }

    /// A file that nobody else should be able to read. A warning only: secrets that a container platform mounts are
    /// often open like that.
    fn private_bytes(&mut self, name: &Spanned<String>) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
        let path = self.resolve(name);
        let mode = fs::metadata(&path).map(|metadata| metadata.permissions().mode());
        if mode.is_ok_and(|mode| mode & 0o007 != 0) {
            self.warnings.push(format!("{}: everybody may read this private file", path.display()));
        }
        self.bytes(name)
    }

    fn bytes(&self, name: &Spanned<String>) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
        let path = self.resolve(name);
        read_bytes(&path).map_err(|reason| self.wrong(name, format!("{}: {reason}", path.display())))
    }

    fn resolve(&self, name: &Spanned<String>) -> PathBuf {
        self.folder.join(name.get_ref())
    }

    fn wrong<T>(&self, value: &Spanned<T>, reason: impl Into<String>) -> ConfigError {
        ConfigError::at(self.path, self.text, value.span().start, reason)
    }
}

fn read_text(path: &Path) -> Result<Zeroizing<String>, String> {
    let bytes = read_bytes(path)?;
    std::str::from_utf8(&bytes).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| "not UTF-8".to_owned())
}

fn read_bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    use std::io::Read as _;
    let file = fs::File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err("larger than 4 MiB".to_owned());
    }
    Ok(bytes)
}
