//! Which files a configuration names, for those who look after them.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::ConfigError;
use super::document::Document;
use super::load::{CONFIG_BYTES_MAX, is_url, read};

/// A file that a configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// By which key.
    pub key: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is there to hold a secret. A JWK set can hold some, too.
    pub is_secret: bool,
}

/// The files that a configuration names, in the order of the configuration.
///
/// # Errors
/// [`ConfigError`] if it cannot be read.
pub fn named_files(configuration: &Path) -> Result<Vec<NamedFile>, ConfigError> {
    let text = read(configuration, CONFIG_BYTES_MAX).map_err(|reason| ConfigError::new(configuration, reason))?;
    let document: Document = toml::from_str(&text).map_err(|error| ConfigError::new(configuration, error.message()))?;
    let folder = configuration.parent().unwrap_or_else(|| Path::new(""));
    let mut files = Vec::new();
    let mut add = |key, file: Option<&Spanned<PathBuf>>, is_secret| {
        files.extend(file.map(|file| NamedFile { key, path: folder.join(file.get_ref()), is_secret }));
    };
    for server in &document.authorization_server {
        let jwks = server.jwks.as_ref().filter(|jwks| !is_url(jwks.get_ref()));
        let jwks = jwks.map(|jwks| Spanned::new(jwks.span(), PathBuf::from(jwks.get_ref())));
        add("jwks", jwks.as_ref(), false);
        add("ca_file", server.ca_file.as_ref(), false);
        add("decryption_keys", server.decryption_keys.as_ref(), true);
        if let Some(asked) = &server.introspection {
            add("client_secret_file", asked.client_secret_file.as_ref(), true);
            add("client_key_file", asked.client_key_file.as_ref(), true);
            add("client_certificate_file", asked.client_certificate_file.as_ref(), false);
            add("client_certificate_key_file", asked.client_certificate_key_file.as_ref(), true);
            add("ca_file", asked.ca_file.as_ref(), false);
        }
        if let Some(list) = &server.revocation_list {
            add("client_secret_file", list.client_secret_file.as_ref(), true);
            add("ca_file", list.ca_file.as_ref(), false);
        }
    }
    add("client_keys", document.tokens.client_keys.as_ref(), false);
    Ok(files)
}
