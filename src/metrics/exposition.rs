//! The text that Prometheus reads, in version 0.0.4 of its format: what a family is, then its numbers, a line each.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::fmt::{self, Write};

use super::family::{Family, PREFIX};

/// The text's media type.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The label that tells the plugins of one broker apart.
const PLUGIN: &str = "plugin";

/// The numbers of one plugin, and which of several in the process it is.
pub(super) type Page<'a> = (usize, &'a [Family]);

/// The text with the numbers of these plugins. A single one needs no label.
pub(super) fn text(pages: &[Page<'_>]) -> String {
    let mut text = String::new();
    // What is written to a String is never refused.
    let _ = write_pages(&mut text, pages);
    text
}

/// Each family stands in one place, whoever its numbers are from. All plugins have the same families.
fn write_pages(text: &mut String, pages: &[Page<'_>]) -> fmt::Result {
    let Some((_, families)) = pages.first() else { return Ok(()) };
    for family in *families {
        let Family { name, help, kind, .. } = family;
        writeln!(text, "# HELP {PREFIX}{name} {}", Escaped { text: help, quote: false })?;
        writeln!(text, "# TYPE {PREFIX}{name} {}", kind.name())?;
        for (number, page) in pages {
            let same = page.iter().find(|other| other.name == *name);
            write_samples(text, same.unwrap_or(family), (pages.len() > 1).then_some(*number))?;
        }
    }
    Ok(())
}

fn write_samples(text: &mut String, family: &Family, plugin: Option<usize>) -> fmt::Result {
    for sample in &family.samples {
        write!(text, "{PREFIX}{}{}", family.name, sample.suffix)?;
        let mut before = '{';
        let mut label = |name: &str, value: &str| -> fmt::Result {
            write!(text, "{before}{name}=\"{}\"", Escaped { text: value, quote: true })?;
            before = ',';
            Ok(())
        };
        if let Some(number) = plugin {
            label(PLUGIN, &number.to_string())?;
        }
        for (name, value) in sample.labels() {
            label(name, value)?;
        }
        let end = if before == ',' { "}" } else { "" };
        writeln!(text, "{end} {}", sample.value)?;
    }
    Ok(())
}

/// A text in which backslashes and ends of lines, and where it stands in quotes those, are written so that they end nothing.
struct Escaped<'a> {
    text: &'a str,
    quote: bool,
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.text.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' if self.quote => f.write_str("\\\"")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::family::{Kind, Value};

    fn families(number: u64) -> Vec<Family> {
        vec![
            Family::counter("things_total", "Things\\so far.").alone(number),
            Family::gauge("age_seconds", "How old.").by("issuer", [("a\"b\\c\nd", Value::Seconds(1.5))]),
            Family::gauge("none", "Nothing of it."),
            Family::new(Kind::Histogram, "took_seconds", "How long.").with_sample(
                "_bucket",
                [Some(("le", "+Inf".into())), None],
                Value::Number(3),
            ),
        ]
    }

    #[test]
    fn a_family_is_described_once_and_labels_are_escaped() {
        let text = text(&[(1, &families(7))]);
        assert_eq!(
            text,
            "# HELP mosquitto_ace_things_total Things\\\\so far.\n\
             # TYPE mosquitto_ace_things_total counter\n\
             mosquitto_ace_things_total 7\n\
             # HELP mosquitto_ace_age_seconds How old.\n\
             # TYPE mosquitto_ace_age_seconds gauge\n\
             mosquitto_ace_age_seconds{issuer=\"a\\\"b\\\\c\\nd\"} 1.5\n\
             # HELP mosquitto_ace_none Nothing of it.\n\
             # TYPE mosquitto_ace_none gauge\n\
             # HELP mosquitto_ace_took_seconds How long.\n\
             # TYPE mosquitto_ace_took_seconds histogram\n\
             mosquitto_ace_took_seconds_bucket{le=\"+Inf\"} 3\n"
        );
    }

    #[test]
    fn several_plugins_are_told_apart_by_a_label() {
        let text = text(&[(1, &families(7)), (2, &families(9))]);
        assert_eq!(text.matches("# TYPE mosquitto_ace_things_total").count(), 1);
        assert!(text.contains("counter\nmosquitto_ace_things_total{plugin=\"1\"} 7\n"), "{text}");
        assert!(text.contains("\nmosquitto_ace_things_total{plugin=\"2\"} 9\n"), "{text}");
        assert!(text.contains("{plugin=\"2\",issuer=\"a\\\"b"), "{text}");
    }
}
