//! `TICK`: what happens is told in numbers, to whoever has asked for them and where it is time to publish them.

use std::borrow::Cow;
use std::ffi::CString;
use std::time::Instant;

use ace_profile::Timestamp;
use ace_resource_server::remote::{Counters as Introspection, KeySet, RevocationList};

use crate::broker::{Level, clock};
use crate::metrics::{Family, Holding, Kind, Source, Topics, Value, Waiting};
use crate::plugin::Plugin;

/// How many messages are published in one turn of the broker's loop, at most.
const MESSAGES_IN_A_TURN: usize = 32;
/// The times ahead for which it is told how many sessions' tokens end, in seconds, and what they are called.
const AHEAD: [(&str, u64); 4] = [("1m", 60), ("5m", 300), ("1h", 3_600), ("1d", 86_400)];

impl Plugin {
    /// Heeds a new configuration.
    ///
    /// # Errors
    /// The address that numbers are to be read from cannot be had. What was before stays.
    pub(crate) fn configure_metrics(&self) -> Result<(), String> {
        let configuration = self.configuration();
        self.refusal_log.borrow_mut().set_per_minute(configuration.refusals_per_minute);
        let wanted = configuration.metrics.topics.as_ref();
        let mut topics = self.topics.borrow_mut();
        if topics.as_ref().map(Topics::prefix) != wanted.map(|wanted| wanted.prefix.as_str()) {
            if let Some(mut before) = topics.take() {
                before.retire();
                self.retired_topics.borrow_mut().push(before);
            }
            *topics = wanted.map(|wanted| Topics::new(wanted.prefix.clone(), wanted.interval));
        }
        if let (Some(topics), Some(wanted)) = (topics.as_mut(), wanted) {
            topics.set_interval(wanted.interval);
        }
        let mut source = self.metrics_source.borrow_mut();
        if source.as_ref().map(Source::address) != configuration.metrics.listen {
            // First the new one: without it, the old one stays.
            let new = configuration.metrics.listen.map(|address| {
                Source::open(address, self.instance.number())
                    .map_err(|error| format!("[metrics] listen: {address} cannot be listened at: {error}"))
            });
            *source = new.transpose()?;
        }
        Ok(())
    }

    /// Tells numbers to whoever waits for them, and publishes those for which it is time. Never waits.
    pub(super) fn tell_metrics(&self, now: Instant) {
        self.tell_left_out(now);
        if let Some(source) = self.metrics_source.borrow().as_ref().filter(|source| source.is_wanted()) {
            source.give(self.metrics());
        }
        if let Some(topics) = self.topics.borrow_mut().as_mut().filter(|topics| topics.wants_numbers(now)) {
            let plugin = (!self.instance.is_alone()).then(|| self.instance.number());
            topics.take_up(&self.metrics(), plugin, now);
        }
        for _ in 0..MESSAGES_IN_A_TURN {
            let Some((topic, number)) = self.next_message() else { break };
            if !self.broker.publish_retained(&topic, number.as_bytes()) {
                let topic = topic.to_string_lossy();
                self.broker.log(Level::Warning, &format!("ace: the broker does not publish to {topic}"));
            }
        }
    }

    /// First what is to be taken away: it may be under a prefix that is used again.
    fn next_message(&self) -> Option<(CString, String)> {
        let mut retired = self.retired_topics.borrow_mut();
        while let Some(topics) = retired.first_mut() {
            if let Some(due) = topics.take() {
                return Some(due);
            }
            retired.remove(0);
        }
        self.topics.borrow_mut().as_mut()?.take()
    }

    /// All numbers, as of now.
    #[must_use]
    pub fn metrics(&self) -> Vec<Family> {
        let now = Instant::now();
        let mut families = Vec::from(self.about_the_plugin());
        families.extend(self.about_clients());
        let remote = self.remote.borrow();
        families.extend(about_introspection(&remote.counters()));
        families.extend(about_keys(&remote.key_sets, now));
        families.extend(about_revocation(&remote.revocation_lists, now));
        let (threads, jobs) = remote.workers.load();
        families.push(
            Family::gauge("workers", "Threads that wait for authorization servers, idle ones included.").alone(threads),
        );
        families.push(Family::gauge("worker_jobs_queued", "Requests that wait for such a thread.").alone(jobs));
        families
    }

    fn about_the_plugin(&self) -> [Family; 4] {
        let broker = if self.broker.is_2_1() { "2.1" } else { "2.0" };
        let left_out = [("rate", self.refusal_log.borrow().left_out()), ("queue", self.broker.lines_lost())];
        let (is_in_force, read) = self.configuration_read.get();
        [
            Family::gauge("build_info", "The plugin's version, and the broker's without its last number; always 1.")
                .by_two(["version", "broker"], [(env!("CARGO_PKG_VERSION"), broker, 1_u64)]),
            Family::gauge("configuration_in_force", "Whether the last attempt to read ace.toml succeeded.")
                .alone(is_in_force),
            Family::gauge("configuration_read_timestamp_seconds", "When the configuration in force was read.")
                .alone(seconds(read)),
            Family::counter("log_lines_left_out_total", "Lines that the log was not given, by why.")
                .by("because", left_out),
        ]
    }

    fn about_clients(&self) -> [Family; 15] {
        let counters = &self.counters;
        let sessions = self.sessions.borrow();
        let bounds = AHEAD.map(|(_, ahead)| clock::now().saturating_add(std::time::Duration::from_secs(ahead)));
        let ending = sessions.ending_before(bounds);
        let held = self.held.borrow();
        let waiting = Waiting::ALL.iter().map(|waiting| {
            let number = match waiting {
                Waiting::Challenged => self.challenges.borrow().pending(),
                Waiting::Delayed => self.delayed.borrow().len(),
                Waiting::Arriving => self.arriving.borrow().len(),
            };
            (waiting.label(), number)
        });
        [
            Family::counter("connections_total", "Clients that came, by how and with what outcome.")
                .by_two(["way", "outcome"], counters.connections()),
            Family::counter("refusals_total", "Clients that were refused, by the reason's code.")
                .by("code", counters.refusals.all()),
            Family::counter("denials_total", "What connected clients were denied, by what they wanted and why.")
                .by_two(["access", "code"], counters.denials()),
            Family::counter("control_denials_total", "Requests on $CONTROL/ace/v1 that were not looked at, by code.")
                .by("code", self.commands.denials.all()),
            Family::counter("control_commands_total", "Commands on $CONTROL/ace/v1, by whether they were carried out.")
                .by("outcome", [("done", self.commands.done.get()), ("failed", self.commands.failed.get())]),
            Family::gauge("sessions", "Clients that are connected, by what gives them their rights.")
                .by("rights", Holding::ALL.iter().map(|it| (it.label(), sessions.holding(*it)))),
            Family::counter("session_ends_total", "Sessions that have ended, by why.").by("because", counters.ends()),
            Family::gauge("sessions_ending", "Sessions whose token ends within that time.")
                .by("within", AHEAD.iter().zip(ending).map(|((name, _), number)| (*name, number))),
            Family::counter("published_tokens_total", "Tokens that were taken from the authz-info topic.")
                .alone(counters.tokens_taken.of(0)),
            Family::counter("published_token_refusals_total", "Tokens from that topic that were refused, by code.")
                .by("code", counters.token_refusals.all()),
            Family::gauge("held_tokens", "Tokens that are held.").alone(held.len()),
            Family::gauge("held_token_bytes", "The memory that they take, about.").alone(held.bytes()),
            Family::gauge("publishers", "Clients whose newest token is remembered for their retained messages.")
                .alone(self.publishers.borrow().len()),
            Family::gauge("waiting", "Who waits for a server's word on a token.").by("what", waiting),
            Family::gauge("challenges_open", "Challenges that are not answered yet.")
                .alone(self.challenges.borrow().len()),
        ]
    }
}

fn about_introspection(counters: &Introspection) -> [Family; 9] {
    let answers = [
        ("active", counters.active),
        ("inactive", counters.inactive),
        ("unreachable", counters.unreachable),
        ("tls", counters.tls),
        ("timed-out", counters.timed_out),
        ("credentials", counters.credentials),
        ("overloaded", counters.overloaded),
        ("status", counters.status),
        ("unusable", counters.unusable),
    ];
    let unsent = [("late", counters.late), ("paused", counters.paused), ("full", counters.full)];
    let lookups = [("hit", counters.hits), ("miss", counters.misses), ("waited", counters.coalesced)];
    [
        Family::counter("introspection_answers_total", "What came of asking servers about tokens.")
            .by("outcome", answers),
        Family::counter("introspection_unsent_total", "Requests that were not sent or given up, by why.")
            .by("because", unsent),
        Family::counter("introspection_renewals_total", "Requests about tokens that sessions rest on.")
            .alone(counters.asked_again),
        Family::counter("introspection_lookups_total", "Judgements that needed an answer, by whether it was known.")
            .by("outcome", lookups),
        latencies(counters),
        Family::counter("introspection_evictions_total", "Answers that were forgotten for want of room.")
            .alone(counters.evictions),
        Family::gauge("introspection_entries", "Tokens that something is known of.").alone(counters.entries),
        Family::gauge("introspection_bytes", "The memory that this takes, about.").alone(counters.bytes),
        Family::gauge("introspection_requests", "Requests by where they are.")
            .by("state", [("queued", counters.queued), ("under-way", counters.in_flight)]),
    ]
}

/// A histogram's numbers are of all observations up to a bound.
fn latencies(counters: &Introspection) -> Family {
    let mut family = Family::new(Kind::Histogram, "introspection_duration_seconds", "How long answers took.");
    let mut so_far = 0;
    for (bound, number) in Introspection::LATENCY_BOUNDS.iter().zip(counters.latencies) {
        so_far += number;
        let le = Cow::Owned(Value::Seconds(from_millis(*bound)).to_string());
        family = family.with_sample("_bucket", [Some(("le", le)), None], Value::Number(so_far));
    }
    family
        .with_sample("_bucket", [Some(("le", Cow::Borrowed("+Inf"))), None], Value::Number(counters.latency_count))
        .with_sample("_sum", [None, None], Value::Seconds(from_millis(counters.latency_sum)))
        .with_sample("_count", [None, None], Value::Number(counters.latency_count))
}

fn about_keys(sets: &[KeySet], now: Instant) -> [Family; 5] {
    let issuer = |set: &KeySet| set.issuer().to_owned();
    let fetches = |set: &KeySet| {
        let counters = set.counters();
        [(issuer(set), "succeeded", counters.succeeded), (issuer(set), "failed", counters.failed)]
    };
    [
        Family::gauge("keys", "Keys of a server that are in force, of those that are fetched.")
            .by("issuer", sets.iter().map(|set| (issuer(set), set.keys().map_or(0, |keys| keys.keys().len())))),
        Family::gauge("keys_age_seconds", "How old they are. Missing while none have come.")
            .by("issuer", sets.iter().filter_map(|set| Some((issuer(set), set.age(now)?.as_secs())))),
        Family::counter("key_fetches_total", "Attempts to fetch them, by outcome.")
            .by_two(["issuer", "outcome"], sets.iter().flat_map(fetches)),
        Family::counter(
            "key_fetches_for_unknown_keys_total",
            "Of those, the ones for a token whose key was not known.",
        )
        .by("issuer", sets.iter().map(|set| (issuer(set), set.counters().for_unknown_keys))),
        Family::counter("key_fetches_limited_total", "Tokens that had to wait since such fetches have a limit.")
            .by("issuer", sets.iter().map(|set| (issuer(set), set.counters().limited))),
    ]
}

fn about_revocation(lists: &[RevocationList], now: Instant) -> [Family; 3] {
    let issuer = |list: &RevocationList| list.issuer().to_owned();
    let requests = |list: &RevocationList| {
        let counters = list.counters();
        [(issuer(list), "succeeded", counters.succeeded), (issuer(list), "failed", counters.failed)]
    };
    [
        Family::gauge("revocation_list_tokens", "Tokens on a server's revocation list.")
            .by("issuer", lists.iter().map(|list| (issuer(list), list.entries()))),
        Family::gauge("revocation_list_age_seconds", "How old it is. Missing while none has come.")
            .by("issuer", lists.iter().filter_map(|list| Some((issuer(list), list.age(now)?.as_secs())))),
        Family::counter("revocation_list_requests_total", "Requests for it, by outcome.")
            .by_two(["issuer", "outcome"], lists.iter().flat_map(requests)),
    ]
}

const fn seconds(time: Timestamp) -> u64 {
    time.as_unix_millis() / 1000
}

/// Exact: there are few milliseconds beside what a double holds.
fn from_millis(millis: u64) -> f64 {
    std::time::Duration::from_millis(millis).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::fake::Fake;

    fn load(folder: &tempfile::TempDir, more: &str) -> Fake<Plugin> {
        let jwks = r#"{"keys":[{"kty":"oct","kid":"1","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]}"#;
        std::fs::write(folder.path().join("jwks.json"), jwks).unwrap();
        let config =
            format!("audience = \"b\"\n[[authorization_server]]\nissuer = \"as\"\njwks = \"jwks.json\"\n{more}");
        let path = folder.path().join("ace.toml");
        std::fs::write(&path, config).unwrap();
        Fake::load(&[("config_file", path.to_str().unwrap())]).unwrap_or_else(|(_, log)| panic!("{log:?}"))
    }

    #[test]
    fn nothing_is_published_unless_it_is_configured() {
        let folder = tempfile::tempdir().unwrap();
        let fake = load(&folder, "");
        for _ in 0..10 {
            fake.tick();
        }
        assert_eq!(fake.published(), []);
    }

    /// However many there are, a turn of the broker's loop publishes few, and all come in the end.
    #[test]
    fn a_turn_publishes_so_many_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let fake = load(&folder, "[metrics]\ntopic_prefix = \"m\"\ninterval = \"1h\"\n");
        for (number, code) in ace_profile::Refusal::CODES.iter().enumerate() {
            for _ in 0..=number {
                fake.plugin().counters.refusals.count(code);
            }
        }
        let mut all = Vec::new();
        for turn in 0..50 {
            fake.tick();
            let published = fake.published();
            assert!(published.len() <= MESSAGES_IN_A_TURN);
            assert!(turn > 1 || published.len() == MESSAGES_IN_A_TURN, "there is more than one turn's");
            all.extend(published);
        }
        for (number, code) in ace_profile::Refusal::CODES.iter().enumerate() {
            let message = (format!("m/refusals_total/{code}"), (number + 1).to_string());
            assert_eq!(all.iter().filter(|published| **published == message).count(), 1, "{message:?}");
        }
        assert!(!all.iter().any(|(topic, _)| topic == "m/sessions/token"), "it has never been anything else than 0");
        assert!(all.contains(&("m/held_tokens".into(), "0".into())));
    }

    #[test]
    fn each_family_is_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let fake = load(&folder, "");
        let families = fake.plugin().metrics();
        let names: std::collections::BTreeSet<_> = families.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), families.len());
        for family in &families {
            let is_total = family.name.ends_with("_total");
            assert_eq!(is_total, family.kind == Kind::Counter, "{}", family.name);
            assert!(family.help.ends_with('.'), "{}", family.name);
            let labels: std::collections::BTreeSet<_> =
                family.samples.iter().map(|sample| format!("{}{:?}", sample.suffix, sample.labels)).collect();
            assert_eq!(labels.len(), family.samples.len(), "{}", family.name);
        }
    }
}
