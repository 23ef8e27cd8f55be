//! The HTTP listener that metrics are read from: docs/decisions/0019-metrics.md.
//!
//! This is the broker's end of it. The plugins of one process that have the same address share one listener.

mod connection;
mod request;
mod server;

use std::cell::RefCell;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use self::server::{Notice, Server};
use super::family::Family;

thread_local! {
    // With `per_listener_settings` the broker loads the plugin once per listener.
    static SHARED: RefCell<Vec<Weak<Listener>>> = const { RefCell::new(Vec::new()) };
}

/// A thread that listens at an address.
#[derive(Debug)]
struct Listener {
    address: SocketAddr,
    notices: Sender<Notice>,
    wake: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    fn start(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let (notices, incoming) = mpsc::channel();
        let server = Server::new(listener, woken, incoming);
        let thread = thread::Builder::new().name("ace-metrics".into()).spawn(move || server.run())?;
        Ok(Self { address, notices, wake, thread: Some(thread) })
    }

    fn shared(address: SocketAddr) -> io::Result<Rc<Self>> {
        SHARED.with_borrow_mut(|shared| {
            shared.retain(|listener| listener.strong_count() > 0);
            if let Some(known) = shared.iter().filter_map(Weak::upgrade).find(|known| known.address == address) {
                return Ok(known);
            }
            let listener = Rc::new(Self::start(address)?);
            shared.push(Rc::downgrade(&listener));
            Ok(listener)
        })
    }

    fn tell(&self, notice: Notice) {
        // A thread that has ended cannot be told, and one that is full of wakes will wake.
        let _ = self.notices.send(notice);
        let _ = (&self.wake).write(&[1]);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.tell(Notice::Stop);
        // It never waits for anybody, so it ends at once, and the port is free.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One plugin's part in a listener. The port is closed with the last one.
#[derive(Debug)]
pub struct Source {
    listener: Rc<Listener>,
    number: usize,
    wanted: Arc<AtomicBool>,
}

impl Source {
    /// Listens at an address, for the plugin of this number.
    ///
    /// # Errors
    /// The system does not give the address, or no thread.
    pub fn open(address: SocketAddr, number: usize) -> io::Result<Self> {
        let (listener, wanted) = (Listener::shared(address)?, Arc::new(AtomicBool::new(false)));
        listener.tell(Notice::Here(number, Arc::clone(&wanted)));
        Ok(Self { listener, number, wanted })
    }

    /// Where.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address
    }

    /// Whether somebody waits for the plugin's numbers. Asked once, it is `false` until somebody does so again.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) && self.wanted.swap(false, Ordering::Relaxed)
    }

    /// Hands the numbers over. Never waits.
    pub fn give(&self, page: Vec<Family>) {
        self.listener.tell(Notice::Page(self.number, page));
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.listener.tell(Notice::Gone(self.number));
    }
}

#[cfg(test)]
mod tests;
