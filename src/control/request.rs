//! Requests: read strictly and within bounds, each command by itself.

use std::ffi::CString;
use std::ops::RangeInclusive;

use ace_profile::json::parse_object;
use ace_profile::{JsonFault, limits};
use serde_json::{Map, Value};
use thiserror::Error;

use super::listing::Filter;

/// Longest request that is read, in bytes.
pub const REQUEST_BYTES: usize = 64 * 1024;
/// Most commands of one request.
pub const COMMANDS_MAX: usize = 16;
/// Most sessions of one page.
const COUNT_MAX: u64 = 100;
/// How much of a name that is not known is repeated in the answer, in characters.
const NAME_SHOWN: usize = 64;
/// What an answer calls a command that could not be made out, as Mosquitto's own plugin does.
const NO_NAME: &str = "Unknown command";

/// One command of a request, or what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its name, for the answer.
    pub name: String,
    /// What the client tells its answer by.
    pub correlation: Option<String>,
    /// The command.
    pub command: Result<Command, Fault>,
}

/// What can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `listSessions`
    ListSessions {
        /// Which.
        filter: Filter,
        /// Where to begin.
        offset: usize,
        /// How many at most.
        count: usize,
    },
    /// `endSession`
    EndSession {
        /// Whose.
        client_id: CString,
    },
    /// `endSubject`
    EndSubject {
        /// `sub` of the tokens.
        subject: String,
        /// `iss` of the tokens, if not any.
        issuer: Option<String>,
        /// Whether tokens of that subject that are held are forgotten, too.
        forget_tokens: bool,
    },
    /// `flushCaches`
    FlushCaches,
    /// `reloadKeys`
    ReloadKeys,
    /// `getStatus`
    GetStatus,
}

/// What is wrong with a request or a command.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// Longer than [`REQUEST_BYTES`].
    #[error("the request has {bytes} bytes, and {REQUEST_BYTES} are read")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Not JSON, or not what is read of it.
    #[error("the request cannot be read: {0}")]
    Json(JsonFault),
    /// No list of commands.
    #[error("the request has no array \"commands\" with a command in it")]
    NoCommands,
    /// More than [`COMMANDS_MAX`].
    #[error("the request has {count} commands, and {COMMANDS_MAX} are taken")]
    TooManyCommands {
        /// How many.
        count: usize,
    },
    /// Not an object with a name.
    #[error("a command is an object with its name in \"command\"")]
    NoName,
    /// No command of that name.
    #[error("there is no such command")]
    UnknownCommand,
    /// A member that the command, or the request, does not have.
    #[error("there is no member {name:?} in it")]
    UnknownMember {
        /// Its name, shortened.
        name: String,
    },
    /// A member that the command needs is not there.
    #[error("it needs {name:?}")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// A member of another type, or out of its bounds.
    #[error("{name:?} is to be {wanted}")]
    Value {
        /// Its name.
        name: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// A command that may take the broker's thread a while comes twice.
    #[error("it can be in a request once")]
    Twice,
}

impl Fault {
    /// A short name that stays the same over versions.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "request-too-large",
            Self::Json(_) => "request-malformed",
            Self::NoCommands => "commands-missing",
            Self::TooManyCommands { .. } => "commands-too-many",
            Self::NoName => "command-malformed",
            Self::UnknownCommand => "command-unknown",
            Self::UnknownMember { .. } => "member-unknown",
            Self::Missing { .. } => "member-missing",
            Self::Value { .. } => "member-unusable",
            Self::Twice => "command-twice",
        }
    }
}

/// Reads a request. One that cannot be read as a whole is one command that could not be made out.
#[must_use]
pub fn read(payload: &[u8]) -> Vec<Asked> {
    let asked = commands(payload).map(|commands| commands.into_iter().map(command).collect());
    let mut asked: Vec<Asked> =
        asked.unwrap_or_else(|fault| vec![Asked { name: NO_NAME.to_owned(), correlation: None, command: Err(fault) }]);
    let (mut flushes, mut reloads) = (0, 0);
    for asked in &mut asked {
        let count = match asked.command {
            Ok(Command::FlushCaches) => &mut flushes,
            Ok(Command::ReloadKeys) => &mut reloads,
            _ => continue,
        };
        *count += 1;
        if *count > 1 {
            asked.command = Err(Fault::Twice);
        }
    }
    asked
}

/// A text: its name, how many bytes it has, and how that is told.
struct Text {
    name: &'static str,
    bytes: RangeInclusive<usize>,
    wanted: &'static str,
}

const CORRELATION: Text = Text { name: "correlationData", bytes: 0..=256, wanted: "a text of 256 bytes at most" };
const CLIENT_ID: Text = Text { name: "clientid", bytes: 1..=65_535, wanted: "a text of 1 to 65535 bytes, without NUL" };
const SUBJECT: Text = Text { name: "subject", bytes: 1..=limits::SUBJECT_BYTES, wanted: "a text of 1 to 256 bytes" };
const ISSUER: Text = Text { name: "issuer", bytes: 1..=2048, wanted: "a text of 1 to 2048 bytes" };

fn commands(payload: &[u8]) -> Result<Vec<Value>, Fault> {
    if payload.len() > REQUEST_BYTES {
        return Err(Fault::TooLarge { bytes: payload.len() });
    }
    let mut request = parse_object(payload).map_err(Fault::Json)?;
    let commands = request.remove("commands");
    if let Some((name, _)) = request.into_iter().next() {
        return Err(unknown_member(&name));
    }
    match commands {
        Some(Value::Array(commands)) if commands.len() > COMMANDS_MAX => {
            Err(Fault::TooManyCommands { count: commands.len() })
        }
        Some(Value::Array(commands)) if !commands.is_empty() => Ok(commands),
        _ => Err(Fault::NoCommands),
    }
}

fn command(value: Value) -> Asked {
    let malformed = |correlation| Asked { name: NO_NAME.to_owned(), correlation, command: Err(Fault::NoName) };
    let Value::Object(members) = value else { return malformed(None) };
    let mut members = Members(members);
    let (correlation, fault) = match members.text(&CORRELATION) {
        Ok(correlation) => (correlation, None),
        Err(fault) => (None, Some(fault)),
    };
    let Some(Value::String(name)) = members.0.remove("command") else { return malformed(correlation) };
    let command = fault.map_or_else(|| read_command(&name, members), Err);
    Asked { name: shortened(&name), correlation, command }
}

fn read_command(name: &str, mut members: Members) -> Result<Command, Fault> {
    let command = match name {
        "listSessions" => {
            let filter = Filter {
                client_id: members.text(&CLIENT_ID)?,
                subject: members.text(&SUBJECT)?,
                issuer: members.text(&ISSUER)?,
            };
            let offset = members.number("offset", 0..=u64::from(u32::MAX), "a number from 0 to 4294967295")?;
            let count = members.number("count", 1..=COUNT_MAX, "a number from 1 to 100")?.unwrap_or(COUNT_MAX);
            let size = |number| usize::try_from(number).unwrap_or(usize::MAX);
            Command::ListSessions { filter, offset: size(offset.unwrap_or(0)), count: size(count) }
        }
        "endSession" => {
            let client_id = members.text(&CLIENT_ID)?.ok_or(Fault::Missing { name: CLIENT_ID.name })?;
            let unusable = |_| Fault::Value { name: CLIENT_ID.name, wanted: CLIENT_ID.wanted };
            Command::EndSession { client_id: CString::new(client_id).map_err(unusable)? }
        }
        "endSubject" => Command::EndSubject {
            subject: members.text(&SUBJECT)?.ok_or(Fault::Missing { name: SUBJECT.name })?,
            issuer: members.text(&ISSUER)?,
            forget_tokens: members.flag("forgetTokens")?,
        },
        "flushCaches" => Command::FlushCaches,
        "reloadKeys" => Command::ReloadKeys,
        "getStatus" => Command::GetStatus,
        _ => return Err(Fault::UnknownCommand),
    };
    match members.0.into_iter().next() {
        Some((name, _)) => Err(unknown_member(&name)),
        None => Ok(command),
    }
}

/// What a command has beside its name.
struct Members(Map<String, Value>);

impl Members {
    fn text(&mut self, Text { name, bytes, wanted }: &Text) -> Result<Option<String>, Fault> {
        match self.0.remove(*name) {
            None => Ok(None),
            Some(Value::String(text)) if bytes.contains(&text.len()) => Ok(Some(text)),
            Some(_) => Err(Fault::Value { name, wanted }),
        }
    }

    fn number(
        &mut self,
        name: &'static str,
        bounds: RangeInclusive<u64>,
        wanted: &'static str,
    ) -> Result<Option<u64>, Fault> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        let number = value.as_u64().filter(|number| bounds.contains(number));
        number.map(Some).ok_or(Fault::Value { name, wanted })
    }

    fn flag(&mut self, name: &'static str) -> Result<bool, Fault> {
        match self.0.remove(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(Fault::Value { name, wanted: "true or false" }),
        }
    }
}

fn unknown_member(name: &str) -> Fault {
    Fault::UnknownMember { name: shortened(name) }
}

fn shortened(name: &str) -> String {
    name.chars().take(NAME_SHOWN).collect()
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
