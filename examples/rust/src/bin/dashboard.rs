//! A dashboard: prints what the sensors publish. Run it in the folder trial: `dashboard [FILTER]`

use std::time::Duration;

use ace_example_rust::Device;
use ace_mqtt::{Qos, Result, Subscription};

const PERIOD: Duration = Duration::from_secs(1);

fn main() -> Result<()> {
    let filter = std::env::args().nth(1).unwrap_or_else(|| "sensors/#".to_owned());
    Device::new("dashboard")?.run(
        |client| {
            for answer in client.subscribe(&[Subscription::new(filter.as_str(), Qos::AtLeastOnce)])? {
                match answer.result {
                    Ok(_) => println!("subscribed to {filter}"),
                    Err(reason) => println!("refused: {filter}: {reason}"),
                }
            }
            Ok(())
        },
        |client| {
            if let Some(message) = client.receive(PERIOD)? {
                println!("{} {}", message.topic, String::from_utf8_lossy(&message.payload));
            }
            Ok(())
        },
    )
}
