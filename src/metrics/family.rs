//! Metrics as they are told: families of samples, each a number with its labels.

use std::borrow::Cow;
use std::fmt;

/// What every name begins with.
pub const PREFIX: &str = "mosquitto_ace_";

/// What kind of number a family has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows, until the plugin is loaded anew.
    Counter,
    /// As of now.
    Gauge,
    /// How many observations there were up to each bound, and their sum.
    Histogram,
}

impl Kind {
    /// What the text format calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A label's name and value.
pub type Label = (&'static str, Cow<'static, str>);

/// A number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A whole one.
    Number(u64),
    /// A time in seconds.
    Seconds(f64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Seconds(seconds) => seconds.fmt(f),
        }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl From<bool> for Value {
    fn from(is_so: bool) -> Self {
        Self::Number(u64::from(is_so))
    }
}

/// One number of a family.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What stands behind the family's name: only histograms have such parts.
    pub suffix: &'static str,
    /// What tells it from the family's other numbers.
    pub labels: [Option<Label>; 2],
    /// The number.
    pub value: Value,
}

impl Sample {
    /// The labels that there are.
    pub fn labels(&self) -> impl Iterator<Item = &Label> {
        self.labels.iter().flatten()
    }
}

/// Numbers of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// The name, without [`PREFIX`].
    pub name: &'static str,
    /// What it tells, in one sentence.
    pub help: &'static str,
    /// What kind of number.
    pub kind: Kind,
    /// The numbers.
    pub samples: Vec<Sample>,
}

impl Family {
    /// Without a number yet.
    #[must_use]
    pub const fn new(kind: Kind, name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind, samples: Vec::new() }
    }

    /// A family of counters.
    #[must_use]
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Counter, name, help)
    }

    /// A family of gauges.
    #[must_use]
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Gauge, name, help)
    }

    /// With one number that has no label.
    #[must_use]
    pub fn alone(self, value: impl Into<Value>) -> Self {
        self.with_sample("", [None, None], value.into())
    }

    /// With these numbers, by one label.
    #[must_use]
    pub fn by<L: Into<Cow<'static, str>>, V: Into<Value>>(
        self,
        label: &'static str,
        samples: impl IntoIterator<Item = (L, V)>,
    ) -> Self {
        samples.into_iter().fold(self, |family, (value, number)| {
            family.with_sample("", [Some((label, value.into())), None], number.into())
        })
    }

    /// With these numbers, by two labels.
    #[must_use]
    pub fn by_two<K: Into<Cow<'static, str>>, L: Into<Cow<'static, str>>, V: Into<Value>>(
        self,
        labels: [&'static str; 2],
        samples: impl IntoIterator<Item = (K, L, V)>,
    ) -> Self {
        let [first, second] = labels;
        samples.into_iter().fold(self, |family, (one, other, number)| {
            family.with_sample("", [Some((first, one.into())), Some((second, other.into()))], number.into())
        })
    }

    /// With one number.
    #[must_use]
    pub fn with_sample(mut self, suffix: &'static str, labels: [Option<Label>; 2], value: Value) -> Self {
        self.samples.push(Sample { suffix, labels, value });
        self
    }
}
