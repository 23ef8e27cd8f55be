//! The keys about the form of a server's scopes.

use ace_profile::scope::{ScopeFormat, ScopeFormatName};
use toml::Spanned;

use super::load::Source;
use super::{ConfigError, document};

impl Source<'_> {
    /// In which form a server's tokens carry their scope.
    pub(super) fn scope_format(&self, server: &document::AuthorizationServer) -> Result<ScopeFormat, ConfigError> {
        let name = server.scope_format.as_ref();
        let claim = server.scope_claim.as_ref();
        if let Some(empty) = claim.filter(|claim| claim.get_ref().is_empty()) {
            return Err(self.error(empty.span(), "scope_claim is empty: it names a claim"));
        }
        match (name.map_or(ScopeFormatName::Aif, |name| name.get_ref().0), claim) {
            (ScopeFormatName::Aif, None) => Ok(ScopeFormat::Aif),
            (ScopeFormatName::Words, claim) => {
                Ok(ScopeFormat::Words { claim: claim.map(|claim| claim.get_ref().clone()) })
            }
            (ScopeFormatName::Claim, Some(claim)) => Ok(ScopeFormat::Claim(claim.get_ref().clone())),
            (ScopeFormatName::Aif, Some(claim)) => {
                Err(self.error(claim.span(), "scope_claim needs scope_format = \"words\" or \"claim\""))
            }
            (ScopeFormatName::Claim, None) => {
                let span = name.map_or(0..0, Spanned::span);
                Err(self.error(span, "scope_format = \"claim\" needs a scope_claim"))
            }
        }
    }
}
