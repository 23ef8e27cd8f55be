//! Clients as they are named on the command line: `id:publish:subscribe`.

use std::str::FromStr;

use ace_profile::scope::TopicFilter;

/// A client of the trial set, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSpec {
    id: String,
    publish: Vec<String>,
    subscribe: Vec<String>,
}

impl ClientSpec {
    /// The two that a trial gets if no others are named: a sensor that publishes and a dashboard that subscribes.
    pub fn samples() -> Vec<Self> {
        let filters = || vec!["sensors/#".to_owned()];
        vec![
            Self { id: "sensor".to_owned(), publish: filters(), subscribe: Vec::new() },
            Self { id: "dashboard".to_owned(), publish: Vec::new(), subscribe: filters() },
        ]
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The topic filters that it may publish to.
    pub fn publish(&self) -> &[String] {
        &self.publish
    }

    /// The topic filters that it may subscribe to.
    pub fn subscribe(&self) -> &[String] {
        &self.subscribe
    }

    /// The name of the file with its secret.
    pub fn secret_file(&self) -> String {
        format!("{}.secret", self.id)
    }
}

/// `id:publish:subscribe`, where the latter two are topic filters separated by commas, or nothing.
impl FromStr for ClientSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, ':');
        let (Some(id), Some(publish), Some(subscribe)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("a client is written ID:PUBLISH:SUBSCRIBE, as in \"sensor:sensors/#:\"".to_owned());
        };
        let plain = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
        if id.is_empty() || id.len() > 64 || id.starts_with('.') || !id.chars().all(plain) {
            return Err(
                "a client's id here has 1 to 64 letters, digits, dots, dashes and underscores, and no dot in front"
                    .to_owned(),
            );
        }
        Ok(Self { id: id.to_owned(), publish: filters(publish)?, subscribe: filters(subscribe)? })
    }
}

fn filters(list: &str) -> Result<Vec<String>, String> {
    list.split(',')
        .filter(|filter| !filter.is_empty())
        .map(|filter| match TopicFilter::parse(filter) {
            Ok(_) => Ok(filter.to_owned()),
            Err(error) => Err(format!("{filter:?} is not a topic filter: {error}")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_read() {
        let spec: ClientSpec = "hall-3:hall/3/+,log:commands/#".parse().unwrap();
        assert_eq!(spec.id(), "hall-3");
        assert_eq!(spec.publish(), ["hall/3/+", "log"]);
        assert_eq!(spec.subscribe(), ["commands/#"]);
        assert_eq!(spec.secret_file(), "hall-3.secret");
        assert!("x::".parse::<ClientSpec>().unwrap().publish().is_empty());
    }

    #[test]
    fn what_is_no_client_is_refused() {
        for text in ["", "x", "x:a", ":a:b", "../x:a:b", ".x:a:b", "x/y:a:b", "x:a#:b", "x:a:b/#/c"] {
            assert!(text.parse::<ClientSpec>().is_err(), "{text:?}");
        }
    }
}
