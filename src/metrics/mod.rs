//! What happens, in numbers: counted on the broker's thread, told to Prometheus over HTTP and to subscribers over MQTT.
//!
//! `labels.rs` and `counters.rs` are what is counted as it happens; `events/metrics.rs` adds what is so at a moment, and makes
//! the families (`family.rs`) that are told: as text (`exposition.rs`) by a listener of its own thread (`listener/`), and as
//! retained messages (`topics.rs`). Nothing here calls the broker. docs/decisions/0019-metrics.md says why it is so.

mod counters;
mod exposition;
mod family;
mod instance;
mod labels;
mod listener;
mod topics;

pub use counters::{Counters, DENIALS};
pub use family::{Family, Kind, Label, PREFIX, Sample, Value};
pub use instance::Instance;
pub use labels::{End, Holding, Outcome, Waiting, WayIn, Wish};
pub use listener::Source;
pub use topics::{Due, Topics, topic_level};
