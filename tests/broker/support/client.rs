//! A client that sends and receives exact packets, over TLS or without.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};

use super::broker::PATIENCE;
use super::key::random;
use super::packet::{self, Connect, Packet, Protocol, Publish, kind};
use super::psk::{PskStream, Received};
use super::record::Recorder;
use super::secrets;
use super::tls::EXPORTER_LABEL;
use super::websocket::{self, Frame};

/// What came next.
#[derive(Debug)]
pub enum Event {
    /// A packet.
    Packet(Packet),
    /// The broker closed the connection.
    Closed,
    /// Nothing, until the deadline.
    Silence,
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Psk(PskStream),
}

/// One connection to the broker.
pub struct Client {
    transport: Transport,
    /// The protocol of its CONNECT.
    pub protocol: Protocol,
    buffer: Vec<u8>,
    /// What has come of a WebSocket's frames; none if the connection is no WebSocket.
    frames: Option<Vec<u8>>,
    inbox: VecDeque<Packet>,
    last_identifier: u16,
    closed: bool,
    /// Where its packets are recorded, if it is at a broker of the suite's.
    recorder: Option<Recorder>,
}

impl Client {
    fn new(transport: Transport, port: Option<u16>) -> Self {
        Self {
            transport,
            protocol: Protocol::V5,
            buffer: Vec::new(),
            frames: None,
            inbox: VecDeque::new(),
            last_identifier: 0,
            closed: false,
            recorder: port.and_then(Recorder::at),
        }
    }

    /// Opens a connection without TLS.
    pub fn plain(port: u16) -> Self {
        Self::new(Transport::Plain(open(port)), Some(port))
    }

    /// Opens a connection with TLS and finishes the handshake.
    pub fn tls(port: u16, config: Arc<ClientConfig>) -> Self {
        Self::tls_over(open(port), config)
    }

    /// The same from this address of the loopback, 127.0.0.2 for example.
    pub fn tls_from(address: Ipv4Addr, port: u16, config: Arc<ClientConfig>) -> Self {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(&socket, &SocketAddrV4::new(address, 0)).expect("an address");
        connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).expect("a connection");
        Self::tls_over(prepared(TcpStream::from(socket)), config)
    }

    /// Whether the broker refuses the client in the handshake. With TLS 1.3 it says so only after the client has finished.
    pub fn fails_in_handshake(port: u16, config: Arc<ClientConfig>) -> bool {
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(config, name).expect("a TLS client");
        let mut stream = StreamOwned::new(connection, open(port));
        while stream.conn.is_handshaking() {
            if stream.conn.complete_io(&mut stream.sock).is_err() {
                return true;
            }
        }
        stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::InvalidData)
    }

    fn tls_over(transport: TcpStream, config: Arc<ClientConfig>) -> Self {
        let port = transport.peer_addr().expect("the broker's address").port();
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(config, name).expect("a TLS client");
        let mut stream = StreamOwned::new(connection, transport);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).expect("a TLS handshake");
        }
        Self::new(Transport::Tls(Box::new(stream)), Some(port))
    }

    /// A connection with a pre-shared key. If the handshake fails, it is closed.
    pub fn psk(stream: PskStream) -> Self {
        Self::new(Transport::Psk(stream), None)
    }

    /// Opens a WebSocket over TLS.
    pub fn websocket(port: u16, config: Arc<ClientConfig>) -> Self {
        let mut client = Self::tls(port, config);
        client.send(websocket::UPGRADE.as_bytes());
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(granted) = websocket::take_answer(&mut client.buffer) {
                assert!(granted, "no WebSocket");
                client.frames = Some(std::mem::take(&mut client.buffer));
                return client;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero() && !client.closed, "no answer to the upgrade");
            client.receive(left);
        }
    }

    /// The value that the exporter proof signs: empty context, which is not the same as none.
    pub fn exporter(&self) -> Vec<u8> {
        self.export(Some(b""))
    }

    /// The exporter value with any context, or none.
    pub fn export(&self, context: Option<&[u8]>) -> Vec<u8> {
        let Transport::Tls(stream) = &self.transport else {
            panic!("no TLS, no exporter");
        };
        stream.conn.export_keying_material(vec![0; 32], EXPORTER_LABEL, context).expect("an exporter value")
    }

    /// Was an earlier TLS session resumed?
    pub fn is_resumed(&self) -> bool {
        let Transport::Tls(stream) = &self.transport else {
            return false;
        };
        stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Sends bytes as they are. A connection that the broker has closed already is no error here:
    /// what the test waits for next tells.
    pub fn send(&mut self, bytes: &[u8]) {
        if let Some(recorder) = &self.recorder {
            recorder.sent(bytes);
        }
        let framed = self.frames.is_some().then(|| websocket::frame(bytes));
        let bytes = framed.as_deref().unwrap_or(bytes);
        let sent = match &mut self.transport {
            Transport::Plain(stream) => stream.write_all(bytes),
            Transport::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Transport::Psk(stream) => stream.send(bytes),
        };
        if let Err(error) = sent {
            assert!(is_close(error.kind()), "sending: {error}");
        }
    }

    /// Ends what it sends, and goes on receiving.
    pub fn shut_sending_down(&mut self) {
        let socket = match &self.transport {
            Transport::Plain(stream) => stream,
            Transport::Tls(stream) => stream.get_ref(),
            Transport::Psk(_) => panic!("not for TLS-PSK"),
        };
        socket.shutdown(Shutdown::Write).expect("a connection");
    }

    /// Sends a CONNECT.
    pub fn connect(&mut self, connect: &Connect) {
        self.protocol = connect.protocol;
        for secret in [&connect.password, &connect.data].into_iter().flatten() {
            secrets::register(secret);
        }
        self.send(&connect.encode());
    }

    /// The next packet, of those put aside first.
    pub fn next(&mut self, patience: Duration) -> Event {
        match self.inbox.pop_front() {
            Some(packet) => Event::Packet(packet),
            None => self.read(patience),
        }
    }

    fn read(&mut self, patience: Duration) -> Event {
        let deadline = Instant::now() + patience;
        loop {
            while let Some(frame) = self.frames.as_mut().and_then(websocket::take_frame) {
                match frame {
                    Frame::Data(payload) => self.buffer.extend(payload),
                    Frame::Close => self.closed = true,
                    Frame::Other => {}
                }
            }
            if let Some(packet) = Packet::take(&mut self.buffer) {
                if let Some(recorder) = &self.recorder {
                    recorder.received(&packet);
                }
                return Event::Packet(packet);
            }
            if self.closed {
                return Event::Closed;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Event::Silence;
            }
            self.receive(left);
        }
    }

    /// Reads what there is, or waits for something.
    fn receive(&mut self, patience: Duration) {
        if let Transport::Psk(stream) = &self.transport {
            match stream.receive(patience) {
                Received::Bytes(bytes) => self.buffer.extend(bytes),
                Received::Closed => self.closed = true,
                Received::Nothing => {}
            }
            return;
        }
        let mut chunk = [0; 16 * 1024];
        let (read, socket) = match &mut self.transport {
            Transport::Plain(stream) => {
                stream.set_read_timeout(Some(patience)).expect("a deadline");
                (stream.read(&mut chunk), &*stream)
            }
            Transport::Tls(stream) => {
                stream.sock.set_read_timeout(Some(patience)).expect("a deadline");
                (stream.read(&mut chunk), &stream.sock)
            }
            Transport::Psk(_) => unreachable!("received above"),
        };
        socket.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        match read {
            Ok(0) => self.closed = true,
            Ok(count) => self.frames.as_mut().unwrap_or(&mut self.buffer).extend(&chunk[..count]),
            Err(error) if is_close(error.kind()) => self.closed = true,
            Err(error) if is_timeout(error.kind()) => {}
            // Mosquitto 2.1 ends a WebSocket over TLS with a close frame that is not encrypted.
            Err(error) if self.frames.is_some() && error.kind() == ErrorKind::InvalidData => self.take_rest(),
            Err(error) => panic!("reading: {error}"),
        }
    }

    /// Takes what could be decrypted, and no more.
    fn take_rest(&mut self) {
        self.closed = true;
        let (Transport::Tls(stream), Some(frames)) = (&mut self.transport, &mut self.frames) else { return };
        // It ends with an error, since there is no orderly end; what was read before is kept.
        let _ = stream.conn.reader().read_to_end(frames);
    }

    /// Waits for a packet of one type; others are put aside.
    pub fn expect(&mut self, kind: u8) -> Packet {
        if let Some(at) = self.inbox.iter().position(|packet| packet.kind() == kind) {
            return self.inbox.remove(at).expect("it is there");
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.read(deadline.saturating_duration_since(Instant::now())) {
                Event::Packet(packet) if packet.kind() == kind => return packet,
                Event::Packet(packet) => self.inbox.push_back(packet),
                other => panic!("{other:?} instead of a packet of type {kind}; put aside: {:02x?}", self.inbox),
            }
        }
    }

    /// The broker lets the client in.
    pub fn expect_accepted(&mut self) {
        let connack = self.expect(kind::CONNACK);
        assert_eq!(connack.reason(), 0, "{connack:02x?}");
    }

    /// Waits until the broker closes; gives the packets that came before.
    pub fn expect_close(&mut self) -> Vec<Packet> {
        let deadline = Instant::now() + PATIENCE;
        let mut before: Vec<Packet> = self.inbox.drain(..).collect();
        loop {
            match self.read(deadline.saturating_duration_since(Instant::now())) {
                Event::Packet(packet) => before.push(packet),
                Event::Closed => return before,
                Event::Silence => panic!("the broker did not close; came: {before:02x?}"),
            }
        }
    }

    /// The broker ends the connection as the RFC asks: MQTT 5 clients are told first, by
    /// DISCONNECT 0x87; MQTT 3.1.1 has no such packet. Gives the messages that came before.
    pub fn expect_not_authorized(&mut self) -> Vec<Publish> {
        let protocol = self.protocol;
        let came = self.expect_close();
        let (messages, rest): (Vec<_>, Vec<_>) = came.into_iter().partition(|packet| packet.kind() == kind::PUBLISH);
        match protocol {
            Protocol::V5 => {
                let first = rest
                    .iter()
                    .find(|packet| packet.kind() == kind::DISCONNECT)
                    .unwrap_or_else(|| panic!("closed without DISCONNECT; came: {rest:02x?}"));
                assert_eq!(first.reason(), 0x87, "the first DISCONNECT: {first:02x?}");
            }
            Protocol::V311 => assert!(
                !rest.iter().any(|packet| packet.kind() == kind::DISCONNECT),
                "a DISCONNECT towards MQTT 3.1.1: {rest:02x?}"
            ),
        }
        messages.iter().map(|packet| packet.publish(protocol)).collect()
    }

    fn identifier(&mut self) -> u16 {
        self.last_identifier += 1;
        self.last_identifier
    }

    /// Subscribes at QoS 0, and gives the reason code for each filter.
    pub fn subscribe(&mut self, filters: &[&str]) -> Vec<u8> {
        self.subscribe_at(0, filters)
    }

    /// Subscribes, and gives the reason code for each filter.
    pub fn subscribe_at(&mut self, qos: u8, filters: &[&str]) -> Vec<u8> {
        let identifier = self.identifier();
        self.send(&packet::subscribe(self.protocol, filters, qos, identifier));
        let answer = self.expect(kind::SUBACK);
        assert_eq!(answer.identifier(), identifier);
        answer.granted(self.protocol)
    }

    /// Publishes at QoS 0, to which there is no answer.
    pub fn publish0(&mut self, topic: &str, payload: &[u8]) {
        self.send(&packet::publish(self.protocol, topic, payload, 0, false, 0));
    }

    /// Publishes at QoS 1, retained, and gives the PUBACK's reason code.
    pub fn publish_retained(&mut self, topic: &str, payload: &[u8]) -> u8 {
        let identifier = self.identifier();
        self.send(&packet::publish(self.protocol, topic, payload, 1, true, identifier));
        self.expect(kind::PUBACK).reason()
    }

    /// Publishes at QoS 1 and gives the PUBACK's reason code (0 on MQTT 3.1.1).
    pub fn publish1(&mut self, topic: &str, payload: &[u8]) -> u8 {
        let identifier = self.identifier();
        self.send(&packet::publish(self.protocol, topic, payload, 1, false, identifier));
        let answer = self.expect(kind::PUBACK);
        assert_eq!(answer.identifier(), identifier);
        answer.reason()
    }

    /// Publishes at QoS 2 and gives the PUBREC's reason code; finishes the exchange if it is good.
    pub fn publish2(&mut self, topic: &str, payload: &[u8]) -> u8 {
        let identifier = self.identifier();
        self.send(&packet::publish(self.protocol, topic, payload, 2, false, identifier));
        let answer = self.expect(kind::PUBREC);
        assert_eq!(answer.identifier(), identifier);
        if answer.reason() < 0x80 {
            self.send(&packet::pubrel(identifier));
            self.expect(kind::PUBCOMP);
        }
        answer.reason()
    }

    /// The next message delivered.
    pub fn message(&mut self) -> Publish {
        let packet = self.expect(kind::PUBLISH);
        packet.publish(self.protocol)
    }

    /// The next message delivered, acknowledged if it was sent at QoS 1: the broker may send more, and need not send this one
    /// again.
    pub fn message_acknowledged(&mut self) -> Publish {
        let packet = self.expect(kind::PUBLISH);
        self.acknowledge(&packet);
        packet.publish(self.protocol)
    }

    /// Acknowledges a message that was sent at QoS 1.
    pub fn acknowledge(&mut self, message: &Packet) {
        if let Some(identifier) = message.message_identifier() {
            self.send(&packet::puback(identifier));
        }
    }

    /// Waits until the broker has worked through all that this client sent.
    pub fn ping(&mut self) {
        self.send(&packet::PINGREQ);
        self.expect(kind::PINGRESP);
    }

    /// The messages that have come up to now: a ping's answer is behind all of them.
    pub fn messages_so_far(&mut self) -> Vec<Publish> {
        self.ping();
        let protocol = self.protocol;
        let (messages, rest): (Vec<_>, Vec<_>) =
            self.inbox.drain(..).partition(|packet| packet.kind() == kind::PUBLISH);
        self.inbox = rest.into();
        messages.iter().map(|packet| packet.publish(protocol)).collect()
    }

    /// Subscribes to `topic`, publishes to it and receives just that. What else comes meanwhile is put aside.
    pub fn round_trip(&mut self, topic: &str) {
        let granted = self.subscribe(&[topic]);
        assert_eq!(granted, [0], "subscribing to {topic}");
        let payload = random(16);
        assert_eq!(self.publish1(topic, &payload), 0, "publishing to {topic}");
        let mut others = VecDeque::new();
        loop {
            let packet = self.expect(kind::PUBLISH);
            let message = packet.publish(self.protocol);
            if message.payload == payload {
                assert_eq!(message.topic, topic);
                break;
            }
            others.push_back(packet);
        }
        others.append(&mut self.inbox);
        self.inbox = others;
    }
}

fn open(port: u16) -> TcpStream {
    prepared(TcpStream::connect(("127.0.0.1", port)).expect("a connection to the broker"))
}

fn prepared(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).expect("no delay");
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    stream.set_write_timeout(Some(PATIENCE)).expect("a deadline");
    stream
}

fn is_close(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe
    )
}

fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
