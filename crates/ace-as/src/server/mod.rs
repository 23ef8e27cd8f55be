//! The HTTPS server: takes connections, bounds them in number and time, and stops when told to.
//!
//! What is answered is the business of [`crate::endpoints`].

mod connection;
mod limits;
mod requests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::authority::Authority;
use crate::config::Config;
use crate::ledger::StateError;
use crate::log::{Level, Log};
use limits::Limits;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its state file cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// It cannot listen where it is to.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// The system gives it no threads.
    #[error("cannot start its threads: {0}")]
    Threads(io::Error),
}

/// A running authorization server. Stops when [`shutdown`](Self::shutdown) is called or the value is dropped.
pub struct Server {
    local_addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server in threads of its own. It accepts connections as soon as this returns.
    ///
    /// `listen` goes before the configuration's `listen`; port 0 takes a free port, which
    /// [`local_addr`](Self::local_addr) tells.
    ///
    /// # Errors
    /// If the state file cannot be used, the address cannot be listened on, or no threads can be had.
    pub fn start(config: Config, listen: SocketAddr, log: Log) -> Result<Self, StartError> {
        Self::start_with_limits(config, listen, log, Limits::default())
    }

    fn start_with_limits(config: Config, listen: SocketAddr, log: Log, limits: Limits) -> Result<Self, StartError> {
        let cannot_listen = |error| StartError::Listen(listen, error);
        let authority = Arc::new(Authority::new(config, &log)?);
        let listener = TcpListener::bind(listen).map_err(cannot_listen)?;
        listener.set_nonblocking(true).map_err(cannot_listen)?;
        let local_addr = listener.local_addr().map_err(cannot_listen)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(StartError::Threads)?;
        let listener = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(cannot_listen)?
        };
        let (stop, stopped) = oneshot::channel();
        log.write(Level::Info, format_args!("listening on {local_addr}: {}", authority.config.summary()));
        let serve = move || {
            runtime.block_on(connection::accept(listener, authority, log.clone(), limits, stopped));
            runtime.shutdown_timeout(limits.shutdown);
            log.write(Level::Info, format_args!("stopped"));
        };
        let thread = std::thread::Builder::new().name("ace-as".to_owned()).spawn(serve).map_err(StartError::Threads)?;
        Ok(Self { local_addr, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Takes no more connections, lets requests that are being answered finish, and returns when all is closed: after
    /// some seconds at most.
    pub fn shutdown(mut self) {
        self.stop_and_wait();
    }

    fn stop_and_wait(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The server may have gone already; then there is nobody to tell.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic in there has been reported by its own thread.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop_and_wait();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}
