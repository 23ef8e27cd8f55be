//! Hidden commands for packagers: manual pages and shell completions.

use std::path::PathBuf;

use ace_mqtt::Error;
use clap::{Args, Command};
use clap_complete::Shell;

use super::{Exit, Failure, output};

/// Print the main manual page, or write those of all commands into a folder.
#[derive(Args)]
pub(crate) struct Man {
    /// The folder, which must be there
    folder: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, command: Command) -> Result<Exit, Failure> {
        match self.folder {
            Some(folder) => clap_mangen::generate_to(command, &folder)
                .map_err(|error| Error::File { path: folder, reason: error.to_string() })?,
            None => {
                let mut page = Vec::new();
                clap_mangen::Man::new(command)
                    .render(&mut page)
                    .map_err(|error| Failure::Stream("manual page", error))?;
                output::write(&[&page])?;
            }
        }
        Ok(Exit::Done)
    }
}

/// Print a completion script.
#[derive(Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, mut command: Command) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "ace-mqtt", &mut script);
        output::write(&[&script])?;
        Ok(Exit::Done)
    }
}
