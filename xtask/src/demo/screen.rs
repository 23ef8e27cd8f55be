//! What the demonstration prints: what is about to be shown, the commands, and what the programs said.

use std::process::Command;

use crate::process;

/// Numbers the scenes.
#[derive(Debug, Default)]
pub(super) struct Screen {
    scenes: usize,
}

impl Screen {
    /// Begins a scene.
    pub(super) fn scene(&mut self, title: &str) {
        self.scenes += 1;
        println!("\n{}. {title}", self.scenes);
    }

    /// How many scenes there were.
    pub(super) fn scenes(&self) -> usize {
        self.scenes
    }

    /// A command as a reader can type it, with the program's name instead of its path.
    pub(super) fn command(command: &Command) {
        let shown = process::shown(command);
        let (program, rest) = shown.split_once(' ').unwrap_or((&shown, ""));
        let name = program.rsplit('/').next().unwrap_or(program);
        println!("   $ {name} {rest}");
    }

    /// What a program said, line by line.
    pub(super) fn said(who: &str, text: &str) {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            println!("     {who}: {line}");
        }
    }

    /// What we have seen.
    pub(super) fn seen(text: &str) {
        println!("   → {text}");
    }
}
