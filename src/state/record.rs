//! The state file: JSON with a version, one object per client.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ace_profile::revocation::{TokenHash, TokenHashes};
use ace_profile::{Timestamp, base64url};
use ace_resource_server::rights::Origin;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::writer::FILE_BYTES_MAX;

/// The form that is written and read.
const VERSION: u32 = 1;

/// A publisher's newest rights.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Whose they are.
    pub client_id: String,
    /// The user name that the plugin gave it.
    pub user_name: String,
    /// When they end; [`Timestamp::MAX`] if never.
    pub expires: Timestamp,
    /// The scope, as AIF-MQTT.
    pub scope: serde_json::Value,
    /// By what the token is found to be revoked.
    pub origin: Origin,
}

/// A record as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    client_id: String,
    user_name: String,
    /// In milliseconds since the Unix epoch; nothing if never.
    expires: Option<u64>,
    scope: serde_json::Value,
    issuer: Box<str>,
    /// The hashes by which a revocation list names the token, as base64url.
    token_hashes: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    publishers: Vec<Written>,
}

/// Why a state file cannot be used.
#[derive(Debug, Error)]
pub(super) enum FileError {
    /// There is none.
    #[error("there is no such file")]
    Missing,
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    /// Longer than any that was written.
    #[error("it is longer than {FILE_BYTES_MAX} bytes")]
    TooLong,
    /// Not of this form.
    #[error("it is damaged: {0}")]
    Damaged(serde_json::Error),
    /// Of another version of the plugin.
    #[error("it has version {0}, not {VERSION}")]
    OtherVersion(u32),
}

/// The bytes of a file.
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => FileError::Missing,
        _ => FileError::Unreadable(error),
    })?;
    let most = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut text = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut text).map_err(FileError::Unreadable)?;
    if text.len() > FILE_BYTES_MAX { Err(FileError::TooLong) } else { Ok(text) }
}

/// Reads a state file.
pub(super) fn read(path: &Path) -> Result<Vec<Record>, FileError> {
    let text = read_bytes(path)?;
    let document: Document = serde_json::from_slice(&text).map_err(FileError::Damaged)?;
    if document.version != VERSION {
        return Err(FileError::OtherVersion(document.version));
    }
    let records = document.publishers.into_iter().map(Written::into_record).collect::<Option<_>>();
    records.ok_or_else(|| FileError::Damaged(serde_json::Error::custom("a token hash that is none")))
}

/// The text of a state file.
pub(super) fn write<'a>(records: impl Iterator<Item = &'a Record>) -> serde_json::Result<Vec<u8>> {
    let publishers = records.map(Written::from_record).collect();
    serde_json::to_vec(&Document { version: VERSION, publishers })
}

impl Written {
    /// `None` if a token hash is none.
    fn into_record(self) -> Option<Record> {
        let hash = |text: &String| TokenHash::from_sent(&base64url::decode(text.as_bytes()).ok()?);
        let hashes = self.token_hashes.iter().map(hash).collect::<Option<Vec<_>>>()?;
        let hashes = TokenHashes::from_all(&hashes)?;
        Some(Record {
            client_id: self.client_id,
            user_name: self.user_name,
            expires: self.expires.map_or(Timestamp::MAX, Timestamp::from_unix_millis),
            scope: self.scope,
            origin: Origin { issuer: self.issuer, hashes },
        })
    }

    fn from_record(record: &Record) -> Self {
        Self {
            client_id: record.client_id.clone(),
            user_name: record.user_name.clone(),
            expires: (record.expires != Timestamp::MAX).then(|| record.expires.as_unix_millis()),
            scope: record.scope.clone(),
            issuer: record.origin.issuer.clone(),
            token_hashes: record.origin.hashes.all().map(|hash| base64url::encode(&hash.to_sent())).collect(),
        }
    }
}
