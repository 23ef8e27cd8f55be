//! A sensor that runs for ever on one connection: it gets a token for its own key, publishes once a minute, and brings the broker a fresh token before the
//! old one runs out.
//!
//! ```text
//! cargo run -p ace-mqtt --example sensor -- https://as.example/token sensor sensor.secret broker.example
//! ```

use std::{
    path::Path,
    time::{Duration, Instant},
};

use ace_mqtt::{
    Client, ConnectOptions, Error, Message, Qos, RequestedKey, Result, TokenClient, TokenRequest,
    ace_profile::{jose::Jwk, random::SystemRandom, scope::Scope},
    read_secret,
};

const TOPIC: &str = "room/1/temperature";
const PAUSE: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [token_endpoint, client_id, secret_file, broker] = arguments.as_slice() else {
        return Err(Error::Invalid("usage: sensor TOKEN_ENDPOINT CLIENT_ID SECRET_FILE BROKER".to_owned()));
    };
    let secret = read_secret(Path::new(secret_file))?;
    let tokens = TokenClient::new(token_endpoint, &Default::default())?.with_client(client_id, &secret);
    let invalid = |error: &dyn std::fmt::Display| Error::Invalid(error.to_string());

    // The key lives as long as the device; here it is made at the start.
    let key = Jwk::generate_ed25519(&mut SystemRandom).map_err(|error| invalid(&error))?;
    let scope = Scope::from_aif_value(&serde_json::json!([[TOPIC, ["pub"]]])).map_err(|error| invalid(&error))?;

    let request = TokenRequest {
        audience: Some(broker.clone()),
        scope: Some(scope.to_claim()),
        key: RequestedKey::Own(Box::new(key)),
    };

    let mut answer = tokens.request(&request)?;
    let mut client = Client::connect(&ConnectOptions::new(broker.clone()), Some(&answer.credentials))?;
    loop {
        // Well before the broker would end the session.
        let life = Duration::from_secs(answer.expires_in.unwrap_or(3600).max(10));
        let renew = Instant::now() + life * 4 / 5;
        while Instant::now() < renew {
            client.publish(&Message::new(TOPIC, "21.5").with_qos(Qos::AtLeastOnce))?;
            // Waiting in `receive` keeps the connection alive.
            while client.receive(PAUSE.min(renew.saturating_duration_since(Instant::now())))?.is_some() {}
        }
        answer = tokens.request(&request)?;
        client.reauthenticate(&answer.credentials)?;
    }
}
