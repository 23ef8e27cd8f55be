//! What a broker's log says about tokens.

/// A line about a token, or a client with one.
#[derive(Debug)]
pub struct Spoken {
    /// The second in which it was written, since 1970.
    pub seconds: u64,
    /// How often the broker had read its configuration again by then.
    pub configuration: usize,
    /// The client.
    pub client_id: String,
    /// The token's fingerprint.
    pub token: Option<String>,
    /// What was said.
    pub said: Said,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The client was let in.
    Admitted,
    /// The token that it has published was taken.
    Taken,
    /// It was not, for the reason with this code.
    Refused(String),
}

/// Reads a log.
pub fn read(log: &str) -> Vec<Spoken> {
    let mut configuration = 0;
    let mut spoken = Vec::new();
    for line in log.lines() {
        if line.contains("Reloading config") {
            configuration += 1;
        }
        let Some((time, rest)) = line.split_once(": ace: ") else { continue };
        let Ok(seconds) = time.trim().parse() else { continue };
        spoken.extend(said(rest).map(|(client_id, token, said)| Spoken {
            seconds,
            configuration,
            client_id,
            token,
            said,
        }));
    }
    spoken
}

fn said(line: &str) -> Option<(String, Option<String>, Said)> {
    let starts = [
        ("admitted client ", Some(Said::Admitted)),
        ("took a token from client ", Some(Said::Taken)),
        ("refused client ", None),
        ("refused a token of client ", None),
    ];
    let (rest, good) = starts.into_iter().find_map(|(start, good)| Some((line.strip_prefix(start)?, good)))?;
    let (client_id, rest) = quoted(rest)?;
    let token = rest.rsplit_once(" (token ").and_then(|(_, token)| token.strip_suffix(')')).map(str::to_owned);
    if let Some(said) = good {
        return Some((client_id, token, said));
    }
    let code = rest.split(": ").nth(1)?.to_owned();
    Some((client_id, token, Said::Refused(code)))
}

/// The text in quotes at the beginning, and what follows. One with anything escaped in it is none of the suite's client ids with a token
/// of its own.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (quoted, rest) = text.strip_prefix('"')?.split_once('"')?;
    (!quoted.contains('\\')).then(|| (quoted.to_owned(), rest))
}
