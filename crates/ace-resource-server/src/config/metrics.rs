//! Where it is told what happens, in numbers: checked here.

use std::net::SocketAddr;
use std::time::Duration;

use super::ConfigError;
use super::document;
use super::load::Source;

/// How often numbers are published, unless the file says otherwise,
const INTERVAL: Duration = Duration::from_secs(10);
/// at least,
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// and at most.
const INTERVAL_MAX: Duration = Duration::from_secs(3600);
/// The longest prefix, in bytes.
const PREFIX_BYTES_MAX: usize = 256;

/// Where it is told what happens, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metrics {
    /// Where Prometheus reads them, a loopback address; `None` if nowhere.
    pub listen: Option<SocketAddr>,
    /// Where they are published; `None` if nowhere.
    pub topics: Option<MetricTopics>,
}

/// The topics with numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricTopics {
    /// What they begin with: the name of a topic, without a slash at its end.
    pub prefix: String,
    /// How often those that have changed are published.
    pub interval: Duration,
}

impl Source<'_> {
    pub(super) fn metrics(&self, written: &document::Metrics) -> Result<Metrics, ConfigError> {
        let listen = match written.listen.as_ref().filter(|listen| !listen.get_ref().is_empty()) {
            None => None,
            Some(text) => {
                let error = |reason: &str| self.error(text.span(), format_args!("listen: {reason}"));
                let address: SocketAddr = text
                    .get_ref()
                    .parse()
                    .map_err(|_| error("must be an address and a port such as \"127.0.0.1:9883\" or \"[::1]:9883\""))?;
                if !address.ip().is_loopback() {
                    return Err(error(
                        "must be a loopback address (127.0.0.1 or [::1]): there is neither TLS nor a password; \
                         for others to read it, put a proxy in front that has them",
                    ));
                }
                if address.port() == 0 {
                    return Err(error("must have a port that others can know, not 0"));
                }
                Some(address)
            }
        };
        let interval = match &written.interval {
            None => INTERVAL,
            Some(interval) if (INTERVAL_MIN..=INTERVAL_MAX).contains(&interval.get_ref().0) => interval.get_ref().0,
            Some(interval) => return Err(self.error(interval.span(), "interval must be between 1s and 3600s")),
        };
        let prefix = written.topic_prefix.as_ref().filter(|prefix| !prefix.get_ref().is_empty());
        let topics = match prefix {
            None => None,
            Some(prefix) => {
                let name = prefix.get_ref();
                let error = |reason: &str| Err(self.error(prefix.span(), format_args!("topic_prefix {reason}")));
                if name.contains(['+', '#']) {
                    return error("must be the beginning of topics' names: it has a wildcard");
                }
                if name.starts_with('$') && !name.starts_with("$SYS/") {
                    return error(
                        "must not begin with $, except for $SYS/: other such topics mean something to brokers",
                    );
                }
                if name.ends_with('/') {
                    return error("must not end with a slash: one is put behind it");
                }
                if name.len() > PREFIX_BYTES_MAX {
                    return error("is longer than 256 bytes");
                }
                if name.contains(char::is_control) {
                    return error("holds a control character");
                }
                Some(MetricTopics { prefix: name.clone(), interval })
            }
        };
        Ok(Metrics { listen, topics })
    }
}
