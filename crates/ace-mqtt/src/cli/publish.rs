//! `ace-mqtt pub`: publishes one message, or each line of standard input.

use std::{
    fs::File,
    io::{self, BufRead, Read},
    path::PathBuf,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::Duration,
};

use ace_mqtt::{Client, Error, Message, Qos, check_topic};
use clap::{ArgGroup, Args};

use super::{
    Exit, Failure,
    as_arguments::Wanted,
    broker_arguments::{BrokerArguments, Connected},
    interrupt::Interrupt,
    renewal::Renewal,
};

/// Largest message, in bytes: what MQTT can carry.
const PAYLOAD_BYTES: u64 = 268_435_455;
/// How often a waiting client looks after its connection.
const TURN: Duration = Duration::from_millis(100);

const AFTER_HELP: &str = "\
Examples:
  ace-mqtt pub -h broker.example -t room/1/temperature -m 21.5 -q 1 --credentials sensor.credentials
  tail -f /var/log/sensor | ace-mqtt pub -h broker.example -t room/1/log -l -q 1 --credentials sensor.credentials
  ace-mqtt pub -h broker.example -t room/1/temperature -m 21.5 --as https://as.example/token \\
      --client-id sensor --client-secret-file sensor.secret --audience broker.example
  # for ever, with a fresh token whenever one is needed
  tail -f /var/log/sensor | ace-mqtt pub -h broker.example -t room/1/log -l -q 1 --renew --as https://as.example/token \\
      --client-id sensor --client-secret-file sensor.secret --audience broker.example

With -q 0 (the default) MQTT has no answer to a message: use -q 1 to learn whether the broker accepted it.";

/// Publish, like mosquitto_pub
///
/// Connects with a token and a proof of possession, publishes, and waits for the broker's acknowledgement.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
#[command(group = ArgGroup::new("content").required(true).args(["message", "stdin_line", "stdin_file", "null_message", "file"]))]
pub(crate) struct Publish {
    /// Topic
    #[arg(short, long, value_name = "TOPIC")]
    topic: String,

    /// Content of the message
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,

    /// Publish each line of standard input as a message
    #[arg(short = 'l', long)]
    stdin_line: bool,

    /// Publish standard input as one message
    #[arg(short = 's', long)]
    stdin_file: bool,

    /// Publish an empty message
    #[arg(short, long)]
    null_message: bool,

    /// Publish a file's content as one message
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Quality of service
    #[arg(short, long, value_name = "QOS", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    qos: u8,

    /// Have the broker keep the message for later subscribers
    #[arg(short, long)]
    retain: bool,

    #[command(flatten)]
    broker: BrokerArguments,
}

impl Publish {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        check_topic(&self.topic)?;
        if self.broker.renews() && !self.stdin_line {
            return Err(Failure::Usage("--renew is for connections that last: it needs -l".to_owned()));
        }
        let qos = Qos::try_from(self.qos)?;
        // Whatever can be read is read before the broker is bothered.
        let single = self.single_message()?;
        let wanted = Wanted { publish: std::slice::from_ref(&self.topic), subscribe: &[] };
        let Connected { mut client, renewal } = self.broker.connect(&wanted)?;
        let result = match single {
            Some(payload) => self.send(&mut client, payload, qos),
            None => self.send_lines(&mut client, renewal, qos),
        };
        match result {
            Ok(()) => {
                client.disconnect()?;
                Ok(Exit::Done)
            }
            Err(failure) => {
                if matches!(failure, Failure::Library(Error::PublishRefused { .. })) {
                    // Only the message was refused: leave politely. The refusal is what counts.
                    let _ = client.disconnect();
                }
                Err(self.explain(failure))
            }
        }
    }

    fn single_message(&self) -> Result<Option<Vec<u8>>, Failure> {
        if self.stdin_line {
            return Ok(None);
        }
        if let Some(text) = &self.message {
            return Ok(Some(text.clone().into_bytes()));
        }
        if let Some(path) = &self.file {
            let failed = |reason: String| Error::File { path: path.clone(), reason };
            let file = File::open(path).map_err(|error| failed(error.to_string()))?;
            return read_all(file).map(Some).map_err(|error| failed(error.to_string()).into());
        }
        if self.stdin_file {
            return read_all(io::stdin().lock()).map(Some).map_err(|error| Failure::Stream("standard input", error));
        }
        Ok(Some(Vec::new()))
    }

    fn send(&self, client: &mut Client, payload: Vec<u8>, qos: Qos) -> Result<(), Failure> {
        let bytes = payload.len();
        client.publish(&Message::new(self.topic.clone(), payload).with_qos(qos).with_retain(self.retain))?;
        self.broker.say(&format!(
            "{} {bytes} bytes to {:?}",
            if qos == Qos::AtMostOnce { "sent" } else { "the broker took" },
            self.topic
        ));
        Ok(())
    }

    fn send_lines(&self, client: &mut Client, mut renewal: Option<Renewal>, qos: Qos) -> Result<(), Failure> {
        let interrupt = Interrupt::listen()?;
        let lines = read_lines();
        while !interrupt.arrived() {
            match lines.recv_timeout(TURN) {
                Ok(Ok(line)) => self.send(client, line, qos)?,
                Ok(Err(error)) => return Err(Failure::Stream("standard input", error)),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Keep-alive, and news of a connection that the broker has ended. Messages of an earlier session are not for us.
            while client.receive(Duration::ZERO)?.is_some() {}
            if let Some(renewal) = &mut renewal
                && renewal.turn(client)?
            {
                self.broker.say("the broker accepted a fresh token");
            }
        }
        Ok(())
    }

    /// MQTT 3.1.1 brokers answer a message without permission by closing the connection.
    fn explain(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Library(Error::ConnectionLost { step, reason }) if self.broker.is_v311() => {
                Failure::Library(Error::ConnectionLost {
                    step,
                    reason: format!(
                        "{reason} (on MQTT 3.1.1 this may mean that the token does not allow the topic; -V mqttv5 tells)"
                    ),
                })
            }
            other => other,
        }
    }
}

fn read_all(input: impl Read) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    input.take(PAYLOAD_BYTES + 1).read_to_end(&mut content)?;
    if content.len() as u64 > PAYLOAD_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "larger than MQTT can carry"));
    }
    Ok(content)
}

/// Reads lines on a thread of its own: reading blocks, and the connection wants attention meanwhile.
fn read_lines() -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::sync_channel(64);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            match next_line(&mut input) {
                Ok(Some(line)) => {
                    if sender.send(Ok(line)).is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    // The receiver may be gone by now.
                    let _ = sender.send(Err(error));
                    return;
                }
            }
        }
    });
    receiver
}

/// A line without its end; `None` at the end of the input.
fn next_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if input.take(PAYLOAD_BYTES + 1).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() as u64 > PAYLOAD_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line larger than MQTT can carry"));
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    Ok(Some(line))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{super::parse, *};

    #[test]
    fn lines_lose_their_ends_only() {
        let mut input = io::Cursor::new(b"one\r\n\ntwo \nlast".to_vec());
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut input).unwrap() {
            lines.push(String::from_utf8(line).unwrap());
        }
        assert_eq!(lines, ["one", "", "two ", "last"]);
    }

    #[test]
    fn exactly_one_source_of_content() {
        let base = ["pub", "-h", "b", "-t", "a"];
        let with = |more: &[&str]| parse(&[&base[..], more].concat()).is_ok();
        for content in [&["-m", "x"][..], &["-l"], &["-s"], &["-n"], &["-f", "file"]] {
            assert!(with(content), "{content:?}");
        }
        assert!(!with(&[]));
        assert!(!with(&["-m", "x", "-l"]));
        assert!(!with(&["-m", "x", "-q", "3"]));
    }

    #[test]
    fn mosquittos_flags_are_taken() {
        assert!(
            parse(&[
                "pub",
                "-h",
                "b",
                "-p",
                "8884",
                "-t",
                "a",
                "-m",
                "x",
                "-q",
                "1",
                "-r",
                "-i",
                "id",
                "-k",
                "30",
                "-c",
                "-x",
                "60",
                "--cafile",
                "ca",
                "--capath",
                "d",
                "--will-topic",
                "w",
                "--will-payload",
                "p",
                "--will-qos",
                "1",
                "--will-retain",
                "-V",
                "mqttv5",
                "-d",
                "--tls-version",
                "1.2",
                "--auth",
                "challenge",
                "--token-file",
                "t",
                "--key",
                "k",
            ])
            .is_ok()
        );
        assert!(parse(&["pub", "-t", "a", "-m", "x", "--will-retain"]).is_err());
        assert!(parse(&["pub", "-t", "a", "-m", "x", "-c"]).is_err());
    }
}
