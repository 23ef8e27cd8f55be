//! `ace-as init`: everything that a trial needs, in one folder: a CA, certificates, keys, secrets, and the
//! configuration of this server and of a broker that trusts it.

mod client_spec;
mod examples;
mod files;
mod keys;
mod pki;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use client_spec::ClientSpec;
pub use keys::SigningAlgorithm;

use files::FileSet;

/// What the trial set is to look like.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder; made if it is not there.
    pub folder: PathBuf,
    /// The issuer; `https://localhost:PORT` of `listen` if not given.
    pub issuer: Option<String>,
    /// Where the authorization server is to listen.
    pub listen: SocketAddr,
    /// Where the broker is to listen.
    pub broker_port: u16,
    /// The broker's name in tokens.
    pub audience: String,
    /// Further DNS names or IP addresses for both certificates, besides `localhost`, `127.0.0.1` and `::1`.
    pub hosts: Vec<String>,
    /// The clients; a sensor and a dashboard if empty.
    pub clients: Vec<ClientSpec>,
    /// How long tokens live, as in `as.toml`.
    pub token_lifetime: String,
    /// What signs tokens.
    pub signing: SigningAlgorithm,
    /// Where the broker finds the plugin.
    pub plugin: PathBuf,
    /// Whether files that are there already are replaced.
    pub force: bool,
}

impl Options {
    /// The defaults for a folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            issuer: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8443)),
            broker_port: 8883,
            audience: "broker.example".to_owned(),
            hosts: Vec::new(),
            clients: Vec::new(),
            token_lifetime: "1h".to_owned(),
            signing: SigningAlgorithm::EdDsa,
            plugin: PathBuf::from("/usr/lib/mosquitto/libmosquitto_ace.so"),
            force: false,
        }
    }
}

/// Why no trial set was made.
#[derive(Debug)]
pub enum InitError {
    /// These files are there already, and `force` was not given. Nothing was written.
    Exists(Vec<PathBuf>),
    /// An option's value cannot be used; a lower-case sentence.
    Option(String),
    /// A key or certificate could not be made.
    Key(String),
    /// A file could not be written.
    Write(PathBuf, io::Error),
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(files) => {
                f.write_str(
                    "these files are there already (--force replaces them, and all keys and secrets with them):",
                )?;
                files.iter().try_for_each(|file| write!(f, "\n  {}", file.display()))
            }
            Self::Option(reason) => f.write_str(reason),
            Self::Key(reason) => write!(f, "a key or certificate could not be made: {reason}"),
            Self::Write(file, error) => write!(f, "{}: {error}", file.display()),
        }
    }
}

impl std::error::Error for InitError {}

/// A trial set that was written.
#[derive(Debug)]
pub struct TrialSet {
    /// The folder, as an absolute path.
    pub folder: PathBuf,
    /// Each file, with what it is for.
    pub files: Vec<(PathBuf, &'static str)>,
    /// Who was made a client.
    pub clients: Vec<ClientSpec>,
    /// The issuer.
    pub issuer: String,
    /// The broker's name in tokens.
    pub audience: String,
    /// Where the broker is to listen.
    pub broker_port: u16,
}

/// Makes a trial set.
///
/// # Errors
/// See [`InitError`]. Files are written one after the other, each of them atomically; a failure leaves those written
/// before.
pub fn init(options: &Options) -> Result<TrialSet, InitError> {
    let clients = if options.clients.is_empty() { ClientSpec::samples() } else { options.clients.clone() };
    check(options, &clients)?;
    let issuer = options.issuer.clone().unwrap_or_else(|| match options.listen.port() {
        443 => "https://localhost".to_owned(),
        port => format!("https://localhost:{port}"),
    });

    let new = !options.folder.exists();
    std::fs::create_dir_all(&options.folder).map_err(|error| InitError::Write(options.folder.clone(), error))?;
    let folder = options.folder.canonicalize().map_err(|error| InitError::Write(options.folder.clone(), error))?;
    let mut files = FileSet::new(&folder);
    pki::add(&mut files, &options.hosts)?;
    keys::add(&mut files, options.signing)?;
    keys::add_secret(&mut files, examples::BROKER_SECRET, "the broker's secret for /introspect")?;
    keys::add_secret(&mut files, examples::ADMINISTRATOR_SECRET, "the administrator's secret for /revoke")?;
    for client in &clients {
        keys::add_secret(&mut files, &client.secret_file(), "a client's secret")?;
    }
    examples::add(&mut files, options, &issuer, &clients, &folder)?;

    if !options.force && !new {
        let existing = files.existing();
        if !existing.is_empty() {
            return Err(InitError::Exists(existing));
        }
    }
    let written = files.write(options.force)?;
    let Options { audience, broker_port, .. } = options.clone();
    Ok(TrialSet { folder, files: written, clients, issuer, audience, broker_port })
}

/// Makes a key that signs tokens, in a file that must not be there yet. Gives the public half, as JSON text.
///
/// # Errors
/// If the key cannot be made or written.
pub fn new_key(file: &Path, signing: SigningAlgorithm) -> Result<String, InitError> {
    keys::write_signing_key(file, signing).map(|public| public.to_string())
}

/// Whether the options make sense, before anything is written. What becomes part of `as.toml` is checked once more by
/// its own reader.
fn check(options: &Options, clients: &[ClientSpec]) -> Result<(), InitError> {
    let mut ids: Vec<&str> = clients.iter().map(ClientSpec::id).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(InitError::Option("two clients have the same id".to_owned()));
    }
    for (id, whose) in [(examples::BROKER_ID, "resource server"), (examples::ADMINISTRATOR_ID, "administrator")] {
        if ids.contains(&id) {
            return Err(InitError::Option(format!("the id {id:?} is the {whose}'s")));
        }
    }
    options.issuer.as_deref().map_or(Ok(()), crate::config::check_issuer).map_err(InitError::Option)?;
    crate::config::check_lifetime(&options.token_lifetime).map_err(InitError::Option)?;
    crate::config::check_name(&options.audience)
        .map_err(|reason| InitError::Option(format!("the audience: {reason}")))?;
    if options.plugin.to_str().is_none_or(|path| path.chars().any(char::is_control)) {
        return Err(InitError::Option("the plugin's path is not plain text".to_owned()));
    }
    Ok(())
}
