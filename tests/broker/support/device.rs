//! A client with a key and a token, and the ways to come in with them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::authority::{AUDIENCE, Authority, Claims, encode, now};
use super::broker::Broker;
use super::client::{Client, Event};
use super::key::{Key, random};
use super::packet::{self, Connect, Packet, Protocol, binary, kind};
use super::{PATIENCE, secrets};

/// How a device presents its token and proves its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// C2: MQTT 5, proof over the TLS exporter value in CONNECT.
    Exporter,
    /// C3: MQTT 5, proof over two nonces in AUTH.
    Challenge,
    /// V1: token in the user name, exporter proof in the password, in bytes.
    UserName(Protocol),
    /// V2: the same with the proof in base64url.
    UserNameText(Protocol),
    /// V4: JSON in the password, proof over the TLS exporter value.
    Draft00(Protocol),
    /// V4: JSON in the password, proof over a signed time and nonce.
    Draft00Signed(Protocol),
}

/// The ways that bind the proof to the TLS session.
pub const EXPORTER_WAYS: [Way; 4] =
    [Way::Exporter, Way::UserName(Protocol::V311), Way::UserNameText(Protocol::V311), Way::Draft00(Protocol::V311)];

/// What the broker said to a CONNECT.
#[derive(Debug)]
pub enum Reply {
    /// A CONNACK.
    Connack(Packet),
    /// An AUTH.
    Auth(Packet),
    /// It closed without a word.
    Closed,
}

/// A CONNECT and what came of it.
pub struct Attempt {
    /// The connection.
    pub client: Client,
    /// The broker's last word.
    pub reply: Reply,
    /// The client id that the broker's log names.
    pub client_id: String,
    /// Has the client answered a challenge?
    pub has_answered: bool,
}

impl Attempt {
    /// Sends a CONNECT and takes the answer.
    pub fn make(mut client: Client, connect: &Connect) -> Self {
        client.connect(connect);
        let reply = reply(&mut client);
        Self { client, reply, client_id: connect.client_id.clone(), has_answered: false }
    }

    /// Sends an AUTH 0x18 with this data and takes the answer.
    pub fn answer(mut self, data: &[u8]) -> Self {
        secrets::register(data);
        self.client.send(&packet::auth(0x18, Some(data)));
        self.has_answered = true;
        self.reply = reply(&mut self.client);
        self
    }

    /// The nonce of the broker's challenge.
    pub fn nonce(&self) -> Vec<u8> {
        let Reply::Auth(auth) = &self.reply else {
            panic!("no challenge: {:02x?}", self.reply);
        };
        assert_eq!(auth.reason(), 0x18, "continue authentication");
        let nonce = auth.authentication_data().expect("a nonce");
        assert_eq!(nonce.len(), 8, "an RS nonce of eight bytes");
        nonce
    }

    /// Whether the broker has a session of this client's from before.
    pub fn session_present(&self) -> bool {
        matches!(&self.reply, Reply::Connack(connack) if connack.body[0] & 1 == 1)
    }

    /// It was let in.
    pub fn accepted(self) -> Client {
        match &self.reply {
            Reply::Connack(connack) if connack.reason() == 0 => self.client,
            other => panic!("{:?} was not let in: {other:02x?}", self.client_id),
        }
    }

    /// It was refused the way that the RFC asks, and the log says why: gives the CONNACK.
    pub fn refused(mut self, broker: &Broker, code: &str) -> Packet {
        let Reply::Connack(connack) = &self.reply else {
            panic!("not refused by CONNACK: {:02x?}", self.reply);
        };
        let expected = match self.client.protocol {
            Protocol::V5 => 0x87,
            Protocol::V311 => 5,
        };
        assert_eq!(connack.reason(), expected, "CONNACK: {connack:02x?}");
        // Mosquitto from 2.0.12 on puts a DISCONNECT behind the CONNACK that answers a wrong answer: see the
        // case that pins it.
        let mut after = self.client.expect_close();
        after.retain(|packet| !(self.has_answered && packet.kind() == kind::DISCONNECT && packet.reason() == 0x82));
        assert!(after.is_empty(), "after the CONNACK came {after:02x?}");
        broker.expect_refusal(&self.client_id, code);
        connack.clone()
    }
}

/// What a client is told whose token cannot be judged without a server that does not answer.
impl Attempt {
    /// It was told that the server is unavailable, and the log says so.
    pub fn unavailable(self, broker: &Broker) {
        let Reply::Connack(connack) = &self.reply else {
            panic!("not refused by CONNACK: {:02x?}", self.reply);
        };
        let expected = match self.client.protocol {
            Protocol::V5 => 0x88,
            Protocol::V311 => 3,
        };
        assert_eq!(connack.reason(), expected, "CONNACK: {connack:02x?}");
        broker.expect_refusal(&self.client_id, "server-unavailable");
    }
}

fn reply(client: &mut Client) -> Reply {
    match client.next(PATIENCE) {
        Event::Packet(packet) if packet.kind() == kind::CONNACK => Reply::Connack(packet),
        Event::Packet(packet) if packet.kind() == kind::AUTH => Reply::Auth(packet),
        Event::Closed => Reply::Closed,
        other => panic!("{other:02x?} instead of CONNACK or AUTH"),
    }
}

/// A client of the broker's.
#[derive(Clone)]
pub struct Device {
    /// Its client id.
    pub id: String,
    /// The key that it proves.
    pub key: Key,
    /// The token that it shows.
    pub token: String,
}

impl Device {
    /// One whose token binds its key and grants `dev/#`, changed as the test wants it.
    pub fn new(authority: &Authority, id: &str, key: Key, change: impl FnOnce(Claims) -> Claims) -> Self {
        let claims = change(authority.claims(id, &key));
        Self { id: id.to_owned(), token: authority.token(&claims), key }
    }

    /// The same with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// The same with another key, which the token does not name.
    pub fn with_key(&self, key: Key) -> Self {
        Self { key, ..self.clone() }
    }

    /// The token where bytes may stand: a CWT, which is kept in base64url, is none itself.
    fn token_bytes(&self) -> Vec<u8> {
        match URL_SAFE_NO_PAD.decode(&self.token) {
            Ok(cwt) if matches!(cwt.as_slice(), [0xd8, 0x3d, ..] | [0xd0..=0xd2, 0x83 | 0x84, ..]) => cwt,
            _ => self.token.as_bytes().to_vec(),
        }
    }

    /// The CONNECT for a way in, on this connection. For the challenge: without the answer.
    pub fn connect(&self, client: &Client, way: Way) -> Connect {
        let exporter_proof = || self.key.sign(&client.exporter());
        // A JWT is base64url already; a CWT and an opaque token have to be made it (RFC 9431, section 6).
        let is_jwt = self.token.starts_with("eyJ") && self.token.contains('.');
        let text = if is_jwt { self.token.clone() } else { encode(&self.token_bytes()) };
        let user_name = || format!("ace{text}").into_bytes();
        match way {
            Way::Exporter => {
                let data = [binary(&self.token_bytes()), exporter_proof()].concat();
                Connect::ace(&self.id, data)
            }
            Way::Challenge => Connect::ace(&self.id, binary(&self.token_bytes())),
            Way::UserName(protocol) => Connect::credentials(protocol, &self.id, &user_name(), &exporter_proof()),
            Way::UserNameText(protocol) => {
                let text = encode(&exporter_proof());
                Connect::credentials(protocol, &self.id, &user_name(), text.as_bytes())
            }
            Way::Draft00(protocol) => {
                let proof = encode(&exporter_proof());
                let password = json!({ "access_token": self.token, "mac": proof });
                self.draft00(protocol, &password)
            }
            Way::Draft00Signed(protocol) => {
                let nonce = encode(&random(16));
                self.draft00(protocol, &self.signed_password(now().as_secs(), &nonce))
            }
        }
    }

    /// User name `ace` and this JSON.
    pub fn draft00(&self, protocol: Protocol, password: &Value) -> Connect {
        Connect::credentials(protocol, &self.id, b"ace", password.to_string().as_bytes())
    }

    /// The password of V4 for TLS libraries without an exporter.
    pub fn signed_password(&self, ts: u64, nonce: &str) -> Value {
        let text = ["ace-mqtt-v0", &self.id, AUDIENCE, &ts.to_string(), nonce].join("\n");
        let mac = encode(&self.key.sign(text.as_bytes()));
        json!({ "access_token": self.token, "mac": mac, "ts": ts, "nonce": nonce })
    }

    /// The answer to a challenge: a nonce of the client's and the proof over both.
    pub fn challenge_answer(&self, broker_nonce: &[u8]) -> Vec<u8> {
        let client_nonce = random(8);
        let proof = self.key.sign(&[broker_nonce, &client_nonce].concat());
        [client_nonce, proof].concat()
    }

    /// Tries to come in over an open connection.
    pub fn attempt_over(&self, client: Client, way: Way) -> Attempt {
        self.attempt_changed(client, way, |_| ())
    }

    /// The same with a CONNECT that is changed as the test wants it.
    pub fn attempt_changed(&self, client: Client, way: Way, change: impl FnOnce(&mut Connect)) -> Attempt {
        let mut connect = self.connect(&client, way);
        change(&mut connect);
        let attempt = Attempt::make(client, &connect);
        if way == Way::Challenge && matches!(attempt.reply, Reply::Auth(_)) {
            let answer = self.challenge_answer(&attempt.nonce());
            return attempt.answer(&answer);
        }
        attempt
    }

    /// Tries to come in over TLS 1.3.
    pub fn attempt(&self, broker: &Broker, way: Way) -> Attempt {
        self.attempt_over(broker.open(), way)
    }

    /// Comes in over TLS 1.3.
    pub fn enter(&self, broker: &Broker, way: Way) -> Client {
        self.attempt(broker, way).accepted()
    }
}
