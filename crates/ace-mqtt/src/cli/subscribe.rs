//! `ace-mqtt sub`: prints the messages of one or more topic filters.

use std::time::{Duration, Instant};

use ace_mqtt::{Client, Message, Qos, RetainedMessages, Subscription, check_filter};
use clap::{Args, ValueEnum};

use super::{
    Exit, Failure,
    as_arguments::Wanted,
    broker_arguments::{BrokerArguments, Connected},
    interrupt::Interrupt,
    output,
    renewal::Renewal,
};

/// How often a waiting client looks for signals.
const TURN: Duration = Duration::from_millis(200);

const AFTER_HELP: &str = "\
Examples:
  ace-mqtt sub -h broker.example -t 'room/1/#' -v --credentials display.credentials
  ace-mqtt sub -h broker.example -t a/b -t c/d -C 1 -W 10 --credentials display.credentials
  ace-mqtt sub -h broker.example -t 'room/1/#' --as https://as.example/token \\
      --client-id display --client-secret-file display.secret --audience broker.example --renew

With --renew it gets a fresh token whenever one is needed, and goes on. A server that does not answer is asked again, with a line on standard error each
time, until the broker ends the connection.

A refused filter is reported, and the others stay. If the broker ends the connection (as when the token expires), its reason is
printed, and the exit code is 7.";

/// Subscribe, like mosquitto_sub
///
/// Connects with a token and a proof of possession, subscribes, and prints what arrives.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Subscribe {
    /// Topic filter; several may be given
    #[arg(short, long, value_name = "FILTER", required = true)]
    topic: Vec<String>,

    /// Highest quality of service
    #[arg(short, long, value_name = "QOS", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    qos: u8,

    /// Print the topic before each message
    #[arg(short, long)]
    verbose: bool,

    /// No line end after a message
    #[arg(short = 'N')]
    no_line_end: bool,

    /// Leave out retained messages from before
    #[arg(short = 'R')]
    no_stale: bool,

    /// MQTT 5: when the broker sends retained messages
    #[arg(long, value_enum, value_name = "WHEN", default_value = "always")]
    retain_handling: RetainHandlingArgument,

    /// MQTT 5: keep the retain flag as the publisher set it
    #[arg(long)]
    retain_as_published: bool,

    /// End after this many messages
    #[arg(short = 'C', value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// End with exit code 27 after this many seconds
    #[arg(short = 'W', value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    timeout: Option<u64>,

    /// End when the subscriptions are made
    #[arg(short = 'E')]
    exit_when_subscribed: bool,

    #[command(flatten)]
    broker: BrokerArguments,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RetainHandlingArgument {
    /// At each subscribe
    Always,
    /// If the subscription is new
    New,
    /// Never
    Never,
}

impl Subscribe {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        for filter in &self.topic {
            check_filter(filter)?;
        }
        let subscriptions = self.subscriptions()?;
        let interrupt = Interrupt::listen()?;
        // As with mosquitto_sub, the time counts from the start.
        let end = self.timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let wanted = Wanted { publish: &[], subscribe: &self.topic };
        let Connected { mut client, renewal } = self.broker.connect(&wanted)?;
        if !self.subscribe(&mut client, &subscriptions)? {
            client.disconnect()?;
            return Ok(Exit::Denied);
        }
        if self.exit_when_subscribed {
            client.disconnect()?;
            return Ok(Exit::Done);
        }
        let exit = self.print_messages(&mut client, renewal, &interrupt, end)?;
        client.disconnect()?;
        Ok(exit)
    }

    fn subscriptions(&self) -> Result<Vec<Subscription>, Failure> {
        let qos = Qos::try_from(self.qos)?;
        Ok(self
            .topic
            .iter()
            .map(|filter| {
                let mut subscription = Subscription::new(filter.clone(), qos);
                subscription.retain_as_published = self.retain_as_published;
                subscription.retained = match self.retain_handling {
                    RetainHandlingArgument::Always => RetainedMessages::Always,
                    RetainHandlingArgument::New => RetainedMessages::IfNew,
                    RetainHandlingArgument::Never => RetainedMessages::Never,
                };
                subscription
            })
            .collect())
    }

    /// The same subscriptions once more, without the retained messages, after a fresh token: the answers tell whether it allows less than the old one, and
    /// Mosquitto sends what it has held back during the re-authentication.
    fn subscriptions_again(&self) -> Result<Vec<Subscription>, Failure> {
        let mut subscriptions = self.subscriptions()?;
        subscriptions.iter_mut().for_each(|subscription| subscription.retained = RetainedMessages::Never);
        Ok(subscriptions)
    }

    /// Subscribes, and reports each refusal. `false` if nothing was granted.
    fn subscribe(&self, client: &mut Client, subscriptions: &[Subscription]) -> Result<bool, Failure> {
        let mut granted = false;
        for answer in client.subscribe(subscriptions)? {
            match answer.result {
                Ok(qos) => {
                    granted = true;
                    self.broker.say(&format!("subscribed to {:?} with QoS {qos}", answer.filter));
                }
                Err(reason) => {
                    output::note(&format!("the broker refused the subscription to {:?}: {reason}", answer.filter));
                }
            }
        }
        Ok(granted)
    }

    fn print_messages(
        &self,
        client: &mut Client,
        mut renewal: Option<Renewal>,
        interrupt: &Interrupt,
        end: Option<Instant>,
    ) -> Result<Exit, Failure> {
        let mut printed = 0;
        loop {
            if interrupt.arrived() {
                return Ok(Exit::Done);
            }
            if let Some(renewal) = &mut renewal
                && renewal.turn(client)?
            {
                self.broker.say("the broker accepted a fresh token");
                self.subscribe(client, &self.subscriptions_again()?)?;
            }
            let now = Instant::now();
            if end.is_some_and(|end| now >= end) {
                return Ok(Exit::Timeout);
            }
            let wait = end.map_or(TURN, |end| end.saturating_duration_since(now).min(TURN));
            let Some(message) = client.receive(wait)? else { continue };
            if self.no_stale && message.retain && !self.retain_as_published {
                continue;
            }
            if !self.print(&message)? {
                // Whoever read our output has gone.
                return Ok(Exit::Done);
            }
            printed += 1;
            if self.count.is_some_and(|count| printed >= count) {
                return Ok(Exit::Done);
            }
        }
    }

    fn print(&self, message: &Message) -> Result<bool, Failure> {
        let end: &[u8] = if self.no_line_end { b"" } else { b"\n" };
        if self.verbose {
            output::write(&[message.topic.as_bytes(), b" ", &message.payload, end])
        } else {
            output::write(&[&message.payload, end])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn mosquittos_flags_are_taken() {
        assert!(
            parse(&[
                "sub",
                "-h",
                "b",
                "-t",
                "a",
                "-t",
                "b/#",
                "-q",
                "2",
                "-C",
                "3",
                "-W",
                "10",
                "-v",
                "-N",
                "-R",
                "-E",
                "-d",
                "-i",
                "id",
                "-V",
                "mqttv311",
                "--credentials",
                "c",
            ])
            .is_ok()
        );
        assert!(parse(&["sub", "-h", "b"]).is_err());
        assert!(parse(&["sub", "-h", "b", "-t", "a", "-C", "0"]).is_err());
        assert!(parse(&["sub", "-t", "a", "--credentials", "c", "--token", "t"]).is_err());
    }
}
