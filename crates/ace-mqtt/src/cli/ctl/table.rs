//! Answers for people: tables. Text from the network is shown without what a terminal would obey.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// How many characters of a text are shown.
const TEXT_SHOWN: usize = 40;
/// How many filters of a scope are shown.
const FILTERS_SHOWN: usize = 3;

/// `listSessions`
pub(super) fn sessions(data: &Value) -> String {
    let sessions = data.as_array().map(Vec::as_slice).unwrap_or_default();
    if sessions.is_empty() {
        return "no sessions".to_owned();
    }
    let now = now();
    let head = ["CLIENT", "SUBJECT", "ADDRESS", "BY", "SINCE", "EXPIRES", "TOKEN", "SCOPE"].map(str::to_owned);
    let rows = sessions.iter().map(|session| {
        let text = |name: &str| text(session.get(name));
        let time = |name: &str| session.get(name).and_then(Value::as_u64);
        let is_with_token = session.get("rights").and_then(Value::as_str) == Some("token");
        let expires = match time("expires") {
            Some(expires) => format!("in {}", span(expires.saturating_sub(now))),
            None if is_with_token => "never".to_owned(),
            None => "-".to_owned(),
        };
        let since =
            time("since").map_or_else(|| "-".to_owned(), |since| format!("{} ago", span(now.saturating_sub(since))));
        let scope = if is_with_token { scope(session) } else { text("rights") };
        [text("clientid"), text("subject"), text("address"), text("how"), since, expires, text("token"), scope]
    });
    table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

/// `reloadKeys`
pub(super) fn reloaded(data: &Value) -> String {
    let fetching = data.get("fetching").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if fetching.is_empty() {
        return "read the key files; there are no keys to fetch".to_owned();
    }
    let issuers: Vec<String> = fetching.iter().map(|issuer| text(Some(issuer))).collect();
    format!("read the key files; fetching the keys of {}", issuers.join(", "))
}

/// `getStatus`
pub(super) fn status(data: &Value) -> String {
    let now = now();
    let number =
        |value: Option<&Value>| value.and_then(Value::as_u64).map_or_else(|| "-".to_owned(), |it| it.to_string());
    let mut told = String::new();
    let mut line = |name: &str, value: &str| told.push_str(&format!("{name:<17} {value}\n"));
    line("version", &text(data.get("version")));
    let since = data.get("since").and_then(Value::as_u64);
    line("loaded", &since.map_or_else(|| "-".to_owned(), |since| format!("{} ago", span(now.saturating_sub(since)))));
    line("sessions", &number(data.get("sessions")));
    line("tokens held", &number(data.get("heldTokens")));
    line("answers known", &number(data.pointer("/introspection/answers")));
    line("servers asked", &number(data.pointer("/introspection/waiting")));
    line("commands done", &number(data.pointer("/commands/done")));
    line("commands failed", &number(data.pointer("/commands/failed")));
    let denied = data.pointer("/commands/denied").and_then(Value::as_object);
    for (code, count) in denied.into_iter().flatten().filter(|(_, count)| count.as_u64() != Some(0)) {
        line("commands denied", &format!("{} {}", number(Some(count)), text(Some(&code.as_str().into()))));
    }
    for set in data.get("keySets").and_then(Value::as_array).into_iter().flatten() {
        let age = set.get("age").and_then(Value::as_u64).map(|age| format!(", fetched {} ago", span(age)));
        let failing = if set.get("failing") == Some(&Value::Bool(true)) { ", cannot be fetched now" } else { "" };
        let keys = number(set.get("keys"));
        line("keys", &format!("{keys} of {}{}{failing}", text(set.get("issuer")), age.unwrap_or_default()));
    }
    told
}

/// A scope in a few words.
fn scope(session: &Value) -> String {
    let entries = session.get("scope").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let entry = |entry: &Value| {
        let words = entry.get(1).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let words: Vec<String> = words.iter().map(|word| text(Some(word))).collect();
        format!("{} {}", words.join("+"), text(entry.get(0)))
    };
    let mut told: Vec<String> = entries.iter().take(FILTERS_SHOWN).map(entry).collect();
    let is_cut = session.get("scopeTruncated") == Some(&Value::Bool(true));
    match entries.len().saturating_sub(FILTERS_SHOWN) {
        0 if is_cut => told.push("and more".to_owned()),
        0 => {}
        more => told.push(format!("and {more}{} more", if is_cut { "+" } else { "" })),
    }
    if told.is_empty() { "-".to_owned() } else { told.join(", ") }
}

/// Lines with columns that stand below each other.
fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..COLUMNS).map(|column| width(column).unwrap_or(0)).collect();
    let mut told = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        told.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        told.push('\n');
    }
    told
}

/// A text, without anything that a terminal would obey, and cut.
fn text(value: Option<&Value>) -> String {
    let Some(text) = value.and_then(Value::as_str) else { return "-".to_owned() };
    let safe: String = text.chars().map(|it| if is_plain(it) { it } else { '\u{fffd}' }).take(TEXT_SHOWN + 1).collect();
    match safe.char_indices().nth(TEXT_SHOWN) {
        Some((at, _)) => format!("{}…", safe.get(..at).unwrap_or_default()),
        None if safe.is_empty() => "\"\"".to_owned(),
        None => safe,
    }
}

/// Neither a control character nor one that changes in which direction or whether others are shown.
fn is_plain(it: char) -> bool {
    !it.is_control()
        && !matches!(it, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A span of time in two units at most.
fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m{:02}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h{minutes:02}m"),
        (days, hours, _) => format!("{days}d{hours:02}h"),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_has_a_line_for_each_session() {
        let now = now();
        let shown = sessions(&json!([
            {
                "clientid": "a", "subject": "s", "address": "192.0.2.7", "rights": "token", "how": "challenge", "since": now - 90,
                "expires": now + 7_300, "token": "0123456789abcdef",
                "scope": [["a/#", ["pub", "sub"]], ["b", ["sub"]], ["c", ["pub"]], ["d", ["pub"]], ["e", ["pub"]]],
            },
            { "clientid": "with\u{1b}[31mcolour", "rights": "public", "how": "public topics only", "since": now, "address": null },
        ]));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("CLIENT ") && lines[0].ends_with("SCOPE"));
        let columns = |line: &str| {
            line.split("  ").map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let first = columns(lines[1]);
        assert_eq!(first[..5], ["a", "s", "192.0.2.7", "challenge", "1m30s ago"]);
        assert!(first[5] == "in 2h01m" && first[6] == "0123456789abcdef", "{first:?}");
        assert_eq!(first[7], "pub+sub a/#, sub b, pub c, and 2 more");
        assert!(!shown.contains('\u{1b}') && lines[2].contains("with\u{fffd}[31mcolour"));
        assert_eq!(
            lines[0].find("SUBJECT"),
            lines[1].find(" s ").map(|at| at + 1),
            "the columns stand below each other"
        );
        assert_eq!(sessions(&json!([])), "no sessions");
    }

    #[test]
    fn whatever_the_broker_says_is_shown() {
        for nonsense in [
            json!(null),
            json!(7),
            json!({"sessions": 1}),
            json!([1, "a", null, {}, {"scope": [1, [], [[]]], "rights": "token"}]),
        ] {
            let _ = (sessions(&nonsense), status(&nonsense), reloaded(&nonsense));
        }
        assert!(text(Some(&json!("x".repeat(1_000)))).chars().count() <= TEXT_SHOWN + 1);
        assert_eq!(text(Some(&json!("a\u{202e}b\nc"))), "a\u{fffd}b\u{fffd}c");
    }

    #[test]
    fn spans_have_two_units_at_most() {
        for (seconds, told) in
            [(0, "0s"), (59, "59s"), (60, "1m00s"), (3_599, "59m59s"), (3_600, "1h00m"), (90_000, "1d01h")]
        {
            assert_eq!(span(seconds), told);
        }
    }
}
