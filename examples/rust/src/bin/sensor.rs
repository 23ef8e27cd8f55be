//! A sensor: publishes a temperature once a second. Run it in the folder trial: `sensor [TOPIC]`

use std::time::{Duration, Instant};

use ace_example_rust::Device;
use ace_mqtt::{Error, Message, Qos, Result};

const PERIOD: Duration = Duration::from_secs(1);

fn main() -> Result<()> {
    let topic = std::env::args().nth(1).unwrap_or_else(|| "sensors/1".to_owned());
    Device::new("sensor")?.run(
        |_| Ok(()),
        |client| {
            // With QoS 1 the broker says whether the token allows the topic.
            match client.publish(&Message::new(topic.as_str(), "21.5").with_qos(Qos::AtLeastOnce)) {
                Ok(()) => println!("published to {topic}"),
                Err(Error::PublishRefused { reason, .. }) => println!("refused: {topic}: {reason}"),
                Err(other) => return Err(other),
            }
            // Waiting in `receive` keeps the connection alive.
            let next = Instant::now() + PERIOD;
            while client.receive(next.saturating_duration_since(Instant::now()))?.is_some() {}
            Ok(())
        },
    )
}
