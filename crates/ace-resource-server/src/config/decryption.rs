//! The keys with which what a server encrypts for this broker is decrypted.

use std::path::PathBuf;

use ace_profile::jose::JwkSet;
use toml::Spanned;

use super::ConfigError;
use super::load::Source;

impl Source<'_> {
    /// A file of keys that all decrypt: one that does not, stands there by mistake.
    pub(super) fn decryption_keys(&self, file: Option<&Spanned<PathBuf>>) -> Result<JwkSet, ConfigError> {
        let Some(file) = file else { return Ok(JwkSet::default()) };
        let keys = self.key_set(file.span(), file.get_ref())?;
        match keys.keys().iter().position(|key| !key.can_decrypt()) {
            None => Ok(keys),
            Some(index) => {
                let name = file.get_ref().display();
                let reason = format_args!(
                    "{name}: key {index} decrypts nothing: it must be symmetric, or private with \"use\" \"enc\" or the \"alg\" of a key \
                     management (P-256, X25519, RSA of 4096 bits at most)"
                );
                Err(self.error(file.span(), reason))
            }
        }
    }
}
