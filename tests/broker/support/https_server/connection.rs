//! One connection: one request, one answer.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustls::{ServerConnection, Stream};

use super::Shared;
use super::answer::{Answer, Manner, Moment};
use super::request::Request;
use crate::support::PATIENCE;

/// How often a connection that waits looks whether the other side, or the server, is gone.
const LOOK: Duration = Duration::from_millis(50);
/// How long a connection may be open: longer than any case waits.
const LIFE: Duration = Duration::from_secs(60);
/// What an endless answer comes to at most: far more than anybody should read.
const ENDLESS_BYTES: usize = 256 * 1024 * 1024;

pub(super) fn serve(mut socket: TcpStream, shared: &Shared) {
    let _ = socket.set_read_timeout(Some(PATIENCE));
    let _ = socket.set_write_timeout(Some(PATIENCE));
    let _ = socket.set_nodelay(true);
    let Ok(mut tls) = ServerConnection::new(shared.config.clone()) else { return };
    let mut stream = Stream::new(&mut tls, &mut socket);
    let Some(request) = Request::read(&mut stream) else { return };
    let (answer, asking) = shared.answered(request);
    if !wait(&answer.moment, &mut stream, shared) {
        return;
    }
    let is_whole = send(&answer, &mut stream, shared).unwrap_or(false);
    drop(asking);
    if is_whole {
        tls.send_close_notify();
        let _ = tls.complete_io(&mut socket);
    }
    let _ = socket.shutdown(Shutdown::Both);
}

/// Waits for the answer's moment; tells whether there is still somebody to answer.
fn wait(moment: &Moment, stream: &mut Stream<'_, ServerConnection, TcpStream>, shared: &Shared) -> bool {
    let start = Instant::now();
    loop {
        let is_due = match moment {
            Moment::AtOnce => true,
            Moment::After(delay) => {
                let left = delay.saturating_sub(start.elapsed());
                std::thread::sleep(left.min(LOOK));
                start.elapsed() >= *delay
            }
            Moment::When(gate) => gate.wait(LOOK),
            Moment::Never => {
                std::thread::sleep(LOOK);
                false
            }
        };
        if is_due {
            return true;
        }
        if shared.is_over() || is_gone(stream) || start.elapsed() > LIFE {
            return false;
        }
    }
}

/// Whether the other side has closed the connection.
fn is_gone(stream: &mut Stream<'_, ServerConnection, TcpStream>) -> bool {
    let is_there = stream.sock.set_nonblocking(true).is_ok()
        && match stream.read(&mut [0; 64]) {
            Ok(length) => length > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
    stream.sock.set_nonblocking(false).is_err() || !is_there
}

/// Sends the answer; tells whether it came to an orderly end.
fn send(answer: &Answer, stream: &mut (impl Read + Write), shared: &Shared) -> std::io::Result<bool> {
    let Answer { status, headers, body, manner, .. } = answer;
    let head = |length: &str| format!("HTTP/1.1 {status} x\r\nConnection: close\r\n{length}\r\n{headers}\r\n");
    let chunked = "Transfer-Encoding: chunked";
    let whole = || [head(&format!("Content-Length: {}", body.len())).as_bytes(), body].concat();
    match *manner {
        Manner::Closed => return Ok(true),
        Manner::Whole => stream.write_all(&whole())?,
        Manner::Chunked(bytes) => {
            stream.write_all(head(chunked).as_bytes())?;
            for chunk in body.chunks(bytes.max(1)) {
                stream.write_all(&in_chunk(chunk))?;
            }
            stream.write_all(b"0\r\n\r\n")?;
        }
        Manner::Declaring(length) => {
            stream.write_all(head(&format!("Content-Length: {length}")).as_bytes())?;
            stream.write_all(body)?;
            stream.flush()?;
            // Until the other side has enough of waiting.
            let _ = stream.read(&mut [0; 1])?;
            return Ok(false);
        }
        Manner::Cut(bytes) => {
            let whole = whole();
            stream.write_all(whole.get(..bytes).unwrap_or(&whole))?;
            stream.flush()?;
            return Ok(false);
        }
        Manner::Endless => {
            stream.write_all(head(chunked).as_bytes())?;
            let chunk = in_chunk(body);
            let mut sent = 0;
            while sent < ENDLESS_BYTES && !shared.is_over() {
                stream.write_all(&chunk)?;
                sent += chunk.len();
            }
            return Ok(false);
        }
        Manner::Dripping(pause) => {
            for byte in whole() {
                std::thread::sleep(pause);
                if shared.is_over() {
                    return Ok(false);
                }
                stream.write_all(&[byte])?;
                stream.flush()?;
            }
        }
    }
    stream.flush()?;
    Ok(true)
}

fn in_chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
