//! TLS with a pre-shared key, which rustls does not have: the `openssl` program, fed and read through pipes.

use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Read as _, Result, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// What came of waiting.
pub enum Received {
    Bytes(Vec<u8>),
    Closed,
    Nothing,
}

/// A connection that the `openssl` program holds. It is ended when this goes.
pub struct PskStream {
    child: Child,
    input: ChildStdin,
    output: Receiver<Vec<u8>>,
}

/// How to connect.
#[derive(Clone)]
pub struct Psk {
    /// The identity: no zero byte can be in it.
    pub identity: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
    /// More of the program's options: the TLS version, for example.
    pub options: Vec<OsString>,
}

impl Psk {
    /// With this identity and key.
    pub fn new(identity: &[u8], key: &[u8]) -> Self {
        Self { identity: identity.to_vec(), key: key.to_vec(), options: Vec::new() }
    }

    /// With this option, too.
    pub fn option(mut self, option: impl AsRef<OsStr>) -> Self {
        self.options.push(option.as_ref().to_owned());
        self
    }

    /// Opens a connection. Whether the handshake succeeds shows in what can be read.
    pub fn open(&self, port: u16) -> PskStream {
        let hex: String = self.key.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut child = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}"), "-psk", &hex, "-psk_identity"])
            .arg(OsStr::from_bytes(&self.identity))
            .args(&self.options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the openssl program");
        let input = child.stdin.take().expect("its input");
        let mut output = child.stdout.take().expect("its output");
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut chunk) {
                if sender.send(chunk[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        PskStream { child, input, output: receiver }
    }
}

impl PskStream {
    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.input.write_all(bytes).and_then(|()| self.input.flush())
    }

    /// Waits for bytes.
    pub fn receive(&self, patience: Duration) -> Received {
        match self.output.recv_timeout(patience) {
            Ok(bytes) => Received::Bytes(bytes),
            Err(RecvTimeoutError::Timeout) => Received::Nothing,
            Err(RecvTimeoutError::Disconnected) => Received::Closed,
        }
    }
}

impl Drop for PskStream {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill() {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "ending openssl");
        }
        let _ = self.child.wait();
    }
}
