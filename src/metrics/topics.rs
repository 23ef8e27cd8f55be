//! Metrics as retained messages: which topics have a new number. Publishing them is `events/metrics.rs`'s.

use std::collections::{HashMap, VecDeque};
use std::ffi::CString;
use std::fmt::Write;
use std::time::{Duration, Instant};

use super::family::{Family, Sample, Value};

/// A message to be published, retained: its topic, and the number. An empty one takes a topic away.
pub type Due = (CString, String);

/// The topics below one prefix.
#[derive(Debug)]
pub struct Topics {
    prefix: String,
    interval: Duration,
    next: Option<Instant>,
    /// What was published last, and in which round it was there last. There are as many as metrics have labels: few, and known.
    known: HashMap<String, (Value, u64)>,
    round: u64,
    due: VecDeque<Due>,
}

impl Topics {
    /// None is published yet.
    #[must_use]
    pub fn new(prefix: String, interval: Duration) -> Self {
        Self { prefix, interval, next: None, known: HashMap::new(), round: 0, due: VecDeque::new() }
    }

    /// What all of them begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// How often from now on.
    pub const fn set_interval(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// Whether it is time for new numbers. Not before all that is due has been taken.
    #[must_use]
    pub fn wants_numbers(&self, now: Instant) -> bool {
        self.due.is_empty() && self.next.is_none_or(|next| next <= now)
    }

    /// Takes numbers up: those that are not as before are due. `plugin` is the plugin's number, where there are several.
    ///
    /// What has labels appears with its first number that is not 0: there are many, and most of them never happen.
    pub fn take_up(&mut self, families: &[Family], plugin: Option<usize>, now: Instant) {
        self.next = Some(now + self.interval);
        self.round += 1;
        let Self { prefix, known, round, due, .. } = self;
        for family in families {
            for sample in &family.samples {
                let topic = topic(prefix, plugin, family.name, sample);
                match known.get_mut(&topic) {
                    Some((value, seen)) => {
                        *seen = *round;
                        if *value == sample.value {
                            continue;
                        }
                        *value = sample.value;
                    }
                    None if sample.labels().next().is_some() && is_zero(sample.value) => continue,
                    None => drop(known.insert(topic.clone(), (sample.value, *round))),
                }
                due.extend(CString::new(topic).ok().map(|topic| (topic, sample.value.to_string())));
            }
        }
        known.retain(|topic, (_, seen)| {
            let is_there = *seen == *round;
            if !is_there {
                due.extend(CString::new(topic.as_str()).ok().map(|topic| (topic, String::new())));
            }
            is_there
        });
    }

    /// The next message.
    pub fn take(&mut self) -> Option<Due> {
        self.due.pop_front()
    }

    /// Takes all of them away: what is then due are empty messages, and nothing after them.
    pub fn retire(&mut self) {
        let topics = self.known.drain().filter_map(|(topic, _)| CString::new(topic).ok());
        self.due = topics.map(|topic| (topic, String::new())).collect();
    }
}

/// The prefix, the plugin's number where there are several, the metric's name, and its labels' values.
fn topic(prefix: &str, plugin: Option<usize>, name: &str, sample: &Sample) -> String {
    let mut topic = String::from(prefix);
    if let Some(number) = plugin {
        // What is written to a String is never refused.
        let _ = write!(topic, "/{number}");
    }
    let _ = write!(topic, "/{name}{}", sample.suffix);
    for (_, value) in sample.labels() {
        topic.push('/');
        topic.push_str(&topic_level(value));
    }
    topic
}

/// A text as one level of a topic: what may not stand there, and `%`, as `%` and two hexadecimal digits.
#[must_use]
pub fn topic_level(text: &str) -> String {
    let mut level = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '/' | '+' | '#' | '%' => {
                let _ = write!(level, "%{:02X}", u32::from(character));
            }
            control if control.is_control() => {
                let mut bytes = [0; 4];
                for byte in control.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(level, "%{byte:02X}");
                }
            }
            other => level.push(other),
        }
    }
    level
}

fn is_zero(value: Value) -> bool {
    match value {
        Value::Number(number) => number == 0,
        Value::Seconds(seconds) => seconds == 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(alone: u64, labelled: u64) -> Vec<Family> {
        vec![
            Family::gauge("held_tokens", "Held.").alone(alone),
            Family::counter("refusals_total", "Refused.").by("code", [("proof-wrong", labelled), ("other", 0)]),
        ]
    }

    fn due(topics: &mut Topics) -> Vec<(String, String)> {
        let mut due: Vec<_> =
            std::iter::from_fn(|| topics.take()).map(|(topic, text)| (topic.into_string().unwrap(), text)).collect();
        due.sort();
        due
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(topic, text)| ((*topic).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn what_changes_is_due_and_what_has_never_happened_is_not() {
        let (mut topics, start) = (Topics::new("m/ace".into(), Duration::from_secs(10)), Instant::now());
        assert!(topics.wants_numbers(start));
        topics.take_up(&page(0, 0), None, start);
        assert!(!topics.wants_numbers(start + Duration::from_secs(20)), "there are messages to be published first");
        assert_eq!(due(&mut topics), pairs(&[("m/ace/held_tokens", "0")]));
        assert!(!topics.wants_numbers(start + Duration::from_secs(9)));
        let later = start + Duration::from_secs(10);
        assert!(topics.wants_numbers(later));
        topics.take_up(&page(0, 2), None, later);
        assert_eq!(due(&mut topics), pairs(&[("m/ace/refusals_total/proof-wrong", "2")]));
        topics.take_up(&page(1, 2), None, later);
        assert_eq!(due(&mut topics), pairs(&[("m/ace/held_tokens", "1")]));
        topics.take_up(&page(1, 0), None, later);
        assert_eq!(due(&mut topics), pairs(&[("m/ace/refusals_total/proof-wrong", "0")]), "a number may fall");
    }

    #[test]
    fn what_is_gone_is_taken_away() {
        let (mut topics, now) = (Topics::new("m".into(), Duration::from_secs(10)), Instant::now());
        topics.take_up(&page(1, 1), Some(2), now);
        assert_eq!(due(&mut topics), pairs(&[("m/2/held_tokens", "1"), ("m/2/refusals_total/proof-wrong", "1")]));
        topics.take_up(&page(1, 1)[..1], Some(2), now);
        assert_eq!(due(&mut topics), pairs(&[("m/2/refusals_total/proof-wrong", "")]));
        topics.retire();
        assert_eq!(due(&mut topics), pairs(&[("m/2/held_tokens", "")]));
        assert!(topics.known.is_empty());
    }

    #[test]
    fn any_text_is_one_level() {
        assert_eq!(topic_level("https://as.example/a+b#c%"), "https:%2F%2Fas.example%2Fa%2Bb%23c%25");
        assert_eq!(topic_level("a\0\u{85}é"), "a%00%C2%85é");
    }
}
