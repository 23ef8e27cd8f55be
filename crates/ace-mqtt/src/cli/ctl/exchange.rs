//! One request after the other over one connection: published, and its answer waited for.

use std::time::{Duration, Instant};

use ace_mqtt::{
    Client, Error, Message, Qos, Subscription,
    ace_profile::{
        base64url, json,
        random::{Random, SystemRandom},
    },
};
use serde_json::{Value, json as value};

use super::Failure;

/// Where the plugin takes requests, and
pub(super) const REQUEST_TOPIC: &str = "$CONTROL/ace/v1";
/// where it answers.
pub(super) const RESPONSE_TOPIC: &str = "$CONTROL/ace/v1/response";

/// What is said of a refusal.
const SCOPE: &str = "the token's scope needs \"pub\" and \"sub\" on $CONTROL/ace/#; \"#\" does not mean it";

/// A connection that commands go over.
pub(super) struct Exchange<'a> {
    client: &'a mut Client,
    is_v311: bool,
    patience: Duration,
}

/// What came of a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It was done, and this was answered.
    Done(Value),
    /// It was not.
    Failed {
        /// Why,
        error: String,
        /// in a word.
        code: String,
    },
}

impl<'a> Exchange<'a> {
    /// Subscribes to the answers.
    pub(super) fn begin(client: &'a mut Client, is_v311: bool, seconds: u64) -> Result<Self, Failure> {
        let answers = client.subscribe(&[Subscription::new(RESPONSE_TOPIC.to_owned(), Qos::AtMostOnce)])?;
        if let Some(reason) = answers.into_iter().find_map(|answer| answer.result.err()) {
            return Err(Failure::Denied(format!(
                "the broker refused the subscription to {RESPONSE_TOPIC}: {reason}; {SCOPE}"
            )));
        }
        Ok(Self { client, is_v311, patience: Duration::from_secs(seconds) })
    }

    /// Gives a command, and waits for its answer.
    pub(super) fn ask(&mut self, command: &Value) -> Result<Said, Failure> {
        let end = Instant::now() + self.patience;
        let ours = correlation()?;
        let mut command = command.clone();
        super::set(&mut command, "correlationData", ours.as_str().into());
        let request = value!({ "commands": [command] }).to_string();
        let message = Message::new(REQUEST_TOPIC, request).with_qos(Qos::AtLeastOnce);
        self.client.publish(&message).map_err(|error| self.explain(error))?;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let message = self.client.receive(left).map_err(|error| self.explain(error))?;
            let Some(message) = message else {
                if left.is_zero() {
                    return Err(self.no_answer());
                }
                continue;
            };
            if message.topic != RESPONSE_TOPIC {
                continue;
            }
            if let Some(said) = answer_to(&ours, &message.payload)? {
                return Ok(said);
            }
        }
    }

    fn no_answer(&self) -> Failure {
        Failure::NoAnswer(format!(
            "no answer on {RESPONSE_TOPIC} within {} s: the broker has no mosquitto-ace that takes commands, or another of its plugins has let the command \
             through and the token does not allow it; the broker's log may say why",
            self.patience.as_secs()
        ))
    }

    /// MQTT 3.1.1 brokers answer a message without permission by closing the connection.
    fn explain(&self, error: Error) -> Failure {
        match error {
            Error::PublishRefused { reason, .. } => {
                Failure::Denied(format!("the broker refused the command: {reason}; {SCOPE}"))
            }
            Error::ConnectionLost { step, reason } if self.is_v311 => Failure::Library(Error::ConnectionLost {
                step,
                reason: format!(
                    "{reason} (on MQTT 3.1.1 this may mean that the command was refused: {SCOPE}; -V mqttv5 tells)"
                ),
            }),
            other => other.into(),
        }
    }
}

/// The answer among the responses, if it is there. What others have asked for, and what was asked for earlier, is passed over.
fn answer_to(correlation: &str, payload: &[u8]) -> Result<Option<Said>, Failure> {
    let unusable = |what: String| Failure::from(Error::Protocol { step: "waiting for the answer", what });
    let answer =
        json::parse_object(payload).map_err(|fault| unusable(format!("the answer cannot be read: {fault}")))?;
    // Mosquitto 2.1 itself, where no plugin takes the topic.
    if answer.get("error").and_then(Value::as_str).is_some_and(|error| error.contains("endpoint not available")) {
        return Err(Failure::Denied(format!(
            "the broker has nobody who takes commands on {REQUEST_TOPIC}: no mosquitto-ace, or an old one"
        )));
    }
    let Some(Value::Array(responses)) = answer.get("responses") else {
        return Err(unusable("the answer has no responses".to_owned()));
    };
    let text = |response: &Value, name: &str| response.get(name).and_then(Value::as_str).map(str::to_owned);
    for response in responses {
        if text(response, "correlationData").as_deref() != Some(correlation) {
            continue;
        }
        return Ok(Some(match text(response, "error") {
            Some(error) => Said::Failed { error, code: text(response, "code").unwrap_or_default() },
            None => Said::Done(response.get("data").cloned().unwrap_or(Value::Null)),
        }));
    }
    Ok(None)
}

/// What tells our answers from those to requests of earlier connections of this client's.
fn correlation() -> Result<String, Failure> {
    let mut bytes = [0; 12];
    SystemRandom.fill(&mut bytes).map_err(|_| Error::Invalid("no randomness".to_owned()))?;
    Ok(base64url::encode(&bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn answer(payload: &Value) -> Result<Option<Said>, Failure> {
        answer_to("ours", payload.to_string().as_bytes())
    }

    #[test]
    fn our_answer_is_found_among_others() {
        let answered = value!({ "responses": [
            { "command": "getStatus", "data": 1 },
            { "command": "getStatus", "correlationData": "theirs", "error": "no" },
            { "command": "getStatus", "correlationData": "ours", "data": { "a": 1 } },
        ]});
        assert_eq!(answer(&answered).unwrap(), Some(Said::Done(value!({ "a": 1 }))));
        let failed = value!({ "responses": [{ "correlationData": "ours", "error": "no such", "code": "missing" }] });
        let expected = Said::Failed { error: "no such".to_owned(), code: "missing".to_owned() };
        assert_eq!(answer(&failed).unwrap(), Some(expected));
        assert_eq!(answer(&value!({ "responses": [] })).unwrap(), None);
    }

    #[test]
    fn a_broker_without_the_plugin_is_told_from_one_that_answers_nonsense() {
        let Err(Failure::Denied(said)) = answer(&value!({ "error": "endpoint not available" })) else { unreachable!() };
        assert!(said.contains("no mosquitto-ace"), "{said}");
        for nonsense in
            [&b"{"[..], b"[]", b"{}", br#"{"responses":{}}"#, br#"{"responses":[],"responses":[]}"#, b"\xff"]
        {
            assert!(
                matches!(answer_to("ours", nonsense), Err(Failure::Library(Error::Protocol { .. }))),
                "{nonsense:?}"
            );
        }
    }
}
