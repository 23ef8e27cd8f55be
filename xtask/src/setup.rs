//! `cargo xtask setup`: installs from Debian's packages what the other commands need and the machine lacks.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

/// Something that a command needs, and the Debian package that has it.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// The Debian package.
    pub package: &'static str,
    /// What it is for, as an operator would say it.
    purpose: &'static str,
    /// What is there when the package is installed, or something else serves as well.
    sign: Sign,
}

#[derive(Clone, Copy, Debug)]
enum Sign {
    Program(&'static str),
    File(&'static str),
    Library(&'static str),
    /// Any whose name begins so, a version follows.
    LibraryNamed(&'static str),
    PythonModule(&'static str),
}

/// A C compiler: for the cryptographic library and the check of the broker's interface.
pub const COMPILER: Need = Need { package: "gcc", purpose: "a C compiler", sign: Sign::Program("cc") };
/// The headers of the C library.
pub const HEADERS: Need =
    Need { package: "libc6-dev", purpose: "the headers of the C library", sign: Sign::File("/usr/include/stdio.h") };
/// Makes bindings.
pub const BINDGEN: Need =
    Need { package: "bindgen", purpose: "the program that makes bindings", sign: Sign::Program("bindgen") };
/// What it reads C with, and loads when it starts: Debian's package of it does not ask for that.
pub const LIBCLANG: Need =
    Need { package: "libclang1", purpose: "the library that reads C", sign: Sign::LibraryNamed("libclang-") };
/// Watches the C host's memory.
pub const VALGRIND: Need =
    Need { package: "valgrind", purpose: "the program that finds misuse of memory", sign: Sign::Program("valgrind") };
/// What the C host makes its proofs and its TLS connections with.
pub const OPENSSL: Need = Need { package: "libssl3", purpose: "OpenSSL 3", sign: Sign::Library("libssl.so.3") };
/// The client with pre-shared keys that the brokers are tested with.
pub const OPENSSL_PROGRAM: Need =
    Need { package: "openssl", purpose: "OpenSSL's program", sign: Sign::Program("openssl") };

/// Runs oidc-provider, an authorization server that tokens are asked for.
pub const NODE: Need = Need { package: "nodejs", purpose: "what runs JavaScript", sign: Sign::Program("node") };
/// Fetches it.
pub const NPM: Need = Need { package: "npm", purpose: "what installs JavaScript packages", sign: Sign::Program("npm") };
/// Runs containers.
pub const DOCKER: Need = Need { package: "docker.io", purpose: "Docker", sign: Sign::Program("dockerd") };
/// Talks to Docker: in a package of its own since Debian 13.
pub const DOCKER_CLIENT: Need =
    Need { package: "docker-cli", purpose: "Docker's program", sign: Sign::Program("docker") };
/// Starts several containers together.
pub const DOCKER_COMPOSE: Need =
    Need { package: "docker-compose", purpose: "docker-compose", sign: Sign::Program("docker-compose") };
/// Makes programs small.
pub const BINUTILS: Need = Need {
    package: "binutils",
    purpose: "the programs that read and strip compiled files",
    sign: Sign::Program("objdump"),
};
/// Makes minimal Debian systems.
pub const MMDEBSTRAP: Need =
    Need { package: "mmdebstrap", purpose: "what makes minimal Debian systems", sign: Sign::Program("mmdebstrap") };

/// Runs the example in Python, in an environment of its own.
pub const PYTHON: Need = Need {
    package: "python3-venv",
    purpose: "what makes environments for Python",
    sign: Sign::PythonModule("ensurepip"),
};
/// Compiles the example that a microcontroller would run.
pub const CPP_COMPILER: Need = Need { package: "g++", purpose: "a C++ compiler", sign: Sign::Program("c++") };
/// Builds the example in C.
pub const MAKE: Need = Need { package: "make", purpose: "make", sign: Sign::Program("make") };
/// What the example in C connects with.
pub const LIBMOSQUITTO: Need = Need {
    package: "libmosquitto-dev",
    purpose: "Mosquitto's client library",
    sign: Sign::File("/usr/include/mosquitto.h"),
};
/// What the examples in C and C++ make proofs with.
pub const LIBSSL: Need =
    Need { package: "libssl-dev", purpose: "the headers of OpenSSL", sign: Sign::File("/usr/include/openssl/evp.h") };
/// What the example in C reads JSON with.
pub const LIBCJSON: Need = Need {
    package: "libcjson-dev",
    purpose: "a library that reads JSON",
    sign: Sign::File("/usr/include/cjson/cJSON.h"),
};

/// Reads what a package depends on, and writes that down.
pub const DPKG_DEV: Need =
    Need { package: "dpkg-dev", purpose: "Debian's own tools for packages", sign: Sign::Program("dpkg-shlibdeps") };
/// Packages are tried in a network of their own.
pub const IPROUTE: Need =
    Need { package: "iproute2", purpose: "the program that sets up networks", sign: Sign::Program("ip") };

/// What `package` needs.
pub const PACKAGE: &[Need] = &[COMPILER, HEADERS, DPKG_DEV, BINUTILS];
/// What `demo` needs.
pub const DEMO: &[Need] = &[COMPILER, HEADERS];
/// What `test` needs.
pub const TEST: &[Need] = &[
    COMPILER,
    HEADERS,
    BINDGEN,
    VALGRIND,
    OPENSSL,
    OPENSSL_PROGRAM,
    NODE,
    NPM,
    PYTHON,
    CPP_COMPILER,
    MAKE,
    LIBMOSQUITTO,
    LIBSSL,
    LIBCJSON,
];

impl Need {
    fn is_met(&self) -> bool {
        match self.sign {
            Sign::Program(name) => process::exists(name),
            Sign::File(path) => Path::new(path).exists(),
            Sign::Library(name) => has_library(name),
            Sign::LibraryNamed(beginning) => has_library_named(beginning),
            Sign::PythonModule(name) => has_python_module(name),
        }
    }
}

/// Whether Python can load a module of its own library: Debian has some of them in packages apart.
fn has_python_module(name: &str) -> bool {
    process::exists("python3")
        && process::output_of(Command::new("python3").args(["-c", &format!("import {name}")])).is_ok()
}

/// Whether a shared library is where Debian puts them: in a folder named after the architecture.
fn has_library(name: &str) -> bool {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    folders.map(|folder| folder.join(name)).any(|library| library.exists())
}

/// The same for any version: `libclang-14.so.1`, and not `libclang-cpp.so.14`.
fn has_library_named(beginning: &str) -> bool {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut files = folders.filter_map(|folder| fs::read_dir(folder.path()).ok()).flatten().flatten();
    files.any(|file| {
        let name = file.file_name();
        let version = name.to_str().and_then(|name| name.strip_prefix(beginning));
        version.is_some_and(|it| it.starts_with(|first: char| first.is_ascii_digit()) && it.contains(".so"))
    })
}

/// Installs what is missing of these; says and does nothing when nothing is.
///
/// As root it uses apt-get, else sudo with apt-get.
///
/// # Errors
/// Something is missing and cannot be installed; the error has the one command to run as root.
pub fn ensure(needs: &[Need]) -> Result<()> {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    let wanted: Vec<String> = missing.iter().map(|need| format!("{} ({})", need.purpose, need.package)).collect();
    eprintln!("missing on this machine: {}", wanted.join(", "));
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let by_hand = format!("apt-get update && apt-get install --yes {}", packages.join(" "));
    if !process::exists("apt-get") {
        bail!("this machine is not Debian-like (there is no apt-get): install {} yourself", wanted.join(", "));
    }
    let Some(prefix) = privilege() else {
        bail!("neither root nor sudo without a password: run this as root, then try again:\n  {by_hand}");
    };
    for arguments in [&["update", "--quiet=2"][..], &["install", "--yes", "--quiet=2", "--no-install-recommends"][..]] {
        let mut command = as_root(prefix, "apt-get");
        command.args(arguments);
        if arguments.first() == Some(&"install") {
            command.args(&packages);
        }
        eprintln!("+ {}", process::shown(&command));
        // What apt-get has to say is of interest only when it fails.
        process::output_of(&mut command).map_err(|error| {
            error.context(format!("cannot install {}: as root, run\n  {by_hand}", packages.join(" ")))
        })?;
    }
    let still: Vec<&str> = self::missing(needs).iter().map(|need| need.package).collect();
    if !still.is_empty() {
        bail!("installed {}, and what it should bring is still missing", still.join(", "));
    }
    Ok(())
}

fn missing(needs: &[Need]) -> Vec<Need> {
    needs.iter().filter(|need| !need.is_met()).copied().collect()
}

/// The program that gives us root's rights: none needed, or sudo if it asks for no password.
fn privilege() -> Option<Option<&'static str>> {
    let id = process::output_of(Command::new("id").arg("-u")).ok()?;
    if id.trim() == "0" {
        return Some(None);
    }
    let sudo = process::exists("sudo") && process::output_of(Command::new("sudo").args(["-n", "true"])).is_ok();
    sudo.then_some(Some("sudo"))
}

fn as_root(prefix: Option<&str>, program: &str) -> Command {
    let mut command = match prefix {
        Some(prefix) => {
            let mut command = Command::new(prefix);
            command.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", program]);
            command
        }
        None => Command::new(program),
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_missing() {
        let there = Need { package: "dash", purpose: "a shell", sign: Sign::Program("sh") };
        let absent = Need { package: "x", purpose: "x", sign: Sign::File("/nonexistent/file") };
        let found: Vec<&str> = missing(&[there, absent]).iter().map(|need| need.package).collect();
        assert_eq!(found, ["x"]);
        assert!(ensure(&[there]).is_ok());
    }

    #[test]
    fn libraries_are_found_where_debian_has_them() {
        assert!(has_library("libc.so.6"));
        assert!(!has_library("libnone.so.0"));
        assert!(!has_library_named("libnone-"));
    }

    #[test]
    fn python_is_asked_for_its_modules() {
        assert!(has_python_module("json"));
        assert!(!has_python_module("no_such_module_of_that_name"));
    }

    #[test]
    fn sudo_is_asked_not_to_ask() {
        let shown = process::shown(&as_root(Some("sudo"), "apt-get"));
        assert_eq!(shown, "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get");
        assert_eq!(process::shown(&as_root(None, "apt-get")), "apt-get");
    }
}
