//! Connections: accepted, brought through TLS, served, closed.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::limits::{HEAD_BYTES, Limits};
use super::requests;
use crate::authority::Authority;
use crate::log::{Level, Log};

/// How long to wait after the system could not hand over a connection (out of file descriptors, mostly).
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Takes connections until told to stop, then waits for those that are being served.
pub(super) async fn accept(
    listener: TcpListener,
    authority: Arc<Authority>,
    log: Log,
    limits: Limits,
    mut stopped: oneshot::Receiver<()>,
) {
    let acceptor = TlsAcceptor::from(Arc::clone(&authority.config.tls));
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    loop {
        // A dropped sender means the same as a message: nobody holds the server any more.
        let (stream, peer, place) = tokio::select! {
            _ = &mut stopped => break,
            next = next(&listener, &places) => match next {
                Ok(connection) => connection,
                Err(error) => {
                    log.write(Level::Error, format_args!("cannot accept a connection: {error}"));
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                    continue;
                }
            },
        };
        let connection = Connection {
            router: requests::router(Arc::clone(&authority), log.clone(), limits, peer),
            acceptor: acceptor.clone(),
            log: log.clone(),
            limits,
            watcher: graceful.watcher(),
            peer,
        };
        tokio::spawn(async move {
            connection.serve(stream).await;
            drop(place);
        });
    }
    drop(listener);
    if timeout(limits.shutdown, graceful.shutdown()).await.is_err() {
        log.write(Level::Warn, format_args!("stopping although some requests are still being answered"));
    }
}

/// The next connection, once there is a place for it.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

struct Connection {
    router: Router,
    acceptor: TlsAcceptor,
    log: Log,
    limits: Limits,
    watcher: Watcher,
    peer: SocketAddr,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let (log, limits, peer) = (self.log, self.limits, self.peer);
        let within = async {
            // Answers are small and complete: waiting to fill packets only costs time. If it fails, they are slower.
            let _ = stream.set_nodelay(true);
            let stream = timed(limits.handshake, "TLS handshake", self.acceptor.accept(stream)).await?;
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.head)
                .max_buf_size(HEAD_BYTES)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(self.router));
            self.watcher.watch(connection).await.map_err(|error| error.to_string())
        };
        let outcome = timeout(limits.connection, within).await.unwrap_or_else(|_| Err("open for too long".to_owned()));
        if let Err(reason) = outcome {
            log.write(Level::Debug, format_args!("connection from {peer} failed: {reason}"));
        }
    }
}

async fn timed<T, E: std::fmt::Display>(
    limit: Duration,
    what: &str,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match timeout(limit, step).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("{what}: {error}")),
        Err(_) => Err(format!("{what}: timed out")),
    }
}
