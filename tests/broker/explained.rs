//! The suite asks both: whatever a broker has said in a case about a token, or to a client about a topic, `explain` is asked as well, and
//! has to say the same.
//!
//! This is done when a case is over, by what [`support::record`](crate::support::record) has kept of it, so no case has to do anything
//! for it. It is the one part of the suite that uses the plugin's own crates: it does not test what they decide, the cases do, but that
//! they decide alike without a broker.
//!
//! What a broker says is compared in classes ([`Class`]). A reason that is about token and configuration has to be the very same. One that
//! is about the proof, or the connection under it, says that the token was good: `explain` has to say so, too. Where it depends on what
//! only the broker knows, or on a server, `explain` has to name that, and what the broker made of it has to be one of the outcomes.

mod broker_log;
mod counts;
mod program;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use ace_profile::jose::JwkSet;
use ace_profile::{Refusal, Timestamp};
use ace_resource_server::config::Configuration;
use ace_resource_server::explain::{Dependency, Explanation, Outcome, Question, Servers, Verdict, explain};
use ace_resource_server::rights::Access;

use crate::support::Ctx;
use crate::support::record::{self, BrokerRecord, Connection, Files, Moment, Wish, fingerprint};
use broker_log::{Said, Spoken};
pub use counts::{Class, LeftOut, print, require};

/// How far the time of a line in the log may be from when the token was judged, in milliseconds.
const CLOCK: [i64; 4] = [-1000, 0, 999, 1999];
/// How many requests of a case are asked about. Those beyond are more of the same.
const REQUESTS_MAX: usize = 400;

/// A broker of the case, and what it was configured with.
struct Asked<'a> {
    /// One for each time that it has read its files; none where they could not be read, so that what was before stays in force.
    configurations: Vec<Option<Arc<Configuration>>>,
    tokens: &'a HashMap<String, Vec<u8>>,
    /// Whether several tokens were shown to it: a newer one of the same key counts at once for those who came in without.
    has_several: bool,
}

/// Compares what was said in a case. Gives what does not agree.
pub fn disagreements(ctx: &Ctx) -> Vec<String> {
    let begun = Instant::now();
    let wrong = compare_all(ctx);
    counts::took(begun.elapsed());
    wrong
}

fn compare_all(ctx: &Ctx) -> Vec<String> {
    let records = record::take(ctx);
    // A token may have been sent to one broker, and be used at the one that it was restarted as.
    let mut tokens = HashMap::new();
    for record in &records {
        record.each_connection(|connection| {
            for token in &connection.tokens {
                tokens.insert(fingerprint(token), token.clone());
            }
        });
    }
    let mut wrong = Vec::new();
    for record in &records {
        compare(ctx, record, &tokens, &mut wrong);
    }
    wrong
}

fn compare(ctx: &Ctx, record: &BrokerRecord, tokens: &HashMap<String, Vec<u8>>, wrong: &mut Vec<String>) {
    let log = std::fs::read(&record.log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let spoken = broker_log::read(&log);
    // By command the files are read at moments that are not recorded.
    if record.has_several_configurations || log.contains(" reloads the keys") {
        counts::leave_out(LeftOut::SeveralConfigurations, spoken.len());
        return;
    }
    if spoken.is_empty() {
        return;
    }
    let good = spoken.iter().filter(|said| !matches!(said.said, Said::Refused(_)));
    let has_several = good.filter_map(|said| said.token.as_ref()).collect::<BTreeSet<_>>().len() > 1;
    let asked = Asked { configurations: configurations(record), tokens, has_several };
    if asked.configurations.first().is_none_or(Option::is_none) {
        wrong.push("the broker runs with a configuration that explain cannot read".to_owned());
        return;
    }
    let mut sample = program::wants(ctx);
    for said in &spoken {
        match said.token.as_ref().map(|token| tokens.get(token)) {
            None => counts::leave_out(LeftOut::NoToken, 1),
            Some(None) => counts::leave_out(LeftOut::TokenNotSeen, 1),
            Some(Some(token)) => {
                if let Err(reason) = asked.verdict(said, token) {
                    wrong.push(reason);
                }
                let is_last = said.configuration + 1 == asked.configurations.len();
                if std::mem::take(&mut sample) && is_last && asked.configuration(said.configuration).is_some() {
                    let configuration = asked.configuration(said.configuration);
                    wrong.extend(
                        configuration
                            .and_then(|it| program::compare(ctx, record.folder.path(), &it, said, token).err()),
                    );
                }
            }
        }
    }
    let admitted = admitted(&spoken);
    let mut left = REQUESTS_MAX;
    record.each_connection(|connection| {
        if let Err(reason) = asked.requests(connection, &admitted, &mut left) {
            wrong.push(reason);
        }
    });
}

/// The tokens with which each client has been let in.
fn admitted(spoken: &[Spoken]) -> BTreeMap<&str, Vec<&str>> {
    let mut admitted: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for said in spoken.iter().filter(|said| said.said == Said::Admitted) {
        let of_client = admitted.entry(&said.client_id).or_default();
        of_client
            .extend(said.token.as_deref().filter(|token| !of_client.contains(token)).map(Some).unwrap_or_default());
    }
    admitted
}

impl Asked<'_> {
    /// The configuration that was in force.
    fn configuration(&self, number: usize) -> Option<Arc<Configuration>> {
        let up_to = self.configurations.get(..=number.min(self.configurations.len().checked_sub(1)?))?;
        up_to.iter().rev().flatten().next().cloned()
    }

    /// Compares one line of the log.
    fn verdict(&self, said: &Spoken, token: &[u8]) -> Result<(), String> {
        let Some(class) = Class::of(&said.said) else {
            counts::leave_out(LeftOut::NotOfToken, 1);
            return Ok(());
        };
        let at = CLOCK.map(|shift| (said.seconds * 1000).saturating_add_signed(shift));
        // Between the signal and the reading, either may be in force.
        let numbers = [said.configuration, said.configuration + 1];
        let mut outcomes = Vec::new();
        for configuration in numbers.iter().filter_map(|number| self.configuration(*number)) {
            for millis in at {
                let question = Question {
                    token,
                    client_id: Some(&said.client_id),
                    at: Timestamp::from_unix_millis(millis),
                    requests: &[],
                };
                outcomes.extend(
                    told(&configuration, &question, class != Class::Server)
                        .into_iter()
                        .map(|explanation| explanation.verdict),
                );
            }
            // The other is asked only if this one does not say what the broker has said.
            if outcomes.iter().any(|verdict| class.agrees(&said.said, verdict) == Some(true)) {
                break;
            }
        }
        counts::verdict(class, said, &outcomes)
    }

    /// Compares what a client was allowed and denied.
    fn requests(
        &self,
        connection: &Connection,
        admitted: &BTreeMap<&str, Vec<&str>>,
        left: &mut usize,
    ) -> Result<(), String> {
        if !connection.is_accepted {
            return Ok(());
        }
        let of_client = admitted.get(connection.client_id.as_str()).map(Vec::as_slice).unwrap_or_default();
        let only = match of_client {
            [only] if !self.has_several => self.tokens.get(*only),
            _ => None,
        };
        let mut wrong = Vec::new();
        for (request, moments) in &connection.requests {
            let own = request.token.and_then(|token| connection.tokens.get(token));
            // Where TLS gives the user name, what stands there is not looked at.
            let own = own.filter(|own| of_client.contains(&fingerprint(own).as_str()));
            let Some(token) = own.or(only.filter(|_| request.token.is_none())) else {
                counts::leave_out(LeftOut::SessionWithoutToken, 1);
                continue;
            };
            if *left == 0 {
                counts::leave_out(LeftOut::MoreOfTheSame, 1);
                continue;
            }
            *left -= 1;
            let access = match request.wish {
                Wish::Publish => Access::Publish,
                Wish::Subscribe => Access::Subscribe,
                Wish::Receive => Access::Receive,
            };
            let mut outcomes = self.outcomes(token, connection, (access, request.topic.clone()), *moments);
            if request.wish == Wish::Receive {
                // It may have been sent before the client had its new token.
                for before in connection.tokens_before(request.token) {
                    outcomes.extend(self.outcomes(before, connection, (access, request.topic.clone()), *moments));
                }
            }
            let what = format!("{}: {:?} {:?}", connection.client_id, request.wish, request.topic);
            wrong.extend(counts::request(&what, request.is_allowed, &outcomes).err());
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }

    /// What explain says at the moments between which the request was made, and with the rights of when the client came in.
    fn outcomes(
        &self,
        token: &[u8],
        connection: &Connection,
        request: (Access, String),
        (first, last): (Moment, Moment),
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut moments = vec![first, last];
        moments.extend(connection.entered);
        moments.dedup();
        let requests = [request];
        for Moment { millis, configuration } in moments {
            let Some(configuration) = self.configuration(configuration) else { continue };
            let at = Timestamp::from_unix_millis(millis);
            let client_id = Some(connection.client_id.as_str());
            let question = Question { token, client_id, at, requests: &requests };
            for explanation in told(&configuration, &question, true) {
                outcomes.extend(explanation.requests.into_iter().map(|answered| answered.outcome));
            }
        }
        outcomes
    }
}

/// What explain says, offline; and where that depends on a server of the suite's, and `may_tell` says so, what it says by each of the
/// answers that the server has given, if it has given any.
fn told(configuration: &Configuration, question: &Question<'_>, may_tell: bool) -> Vec<Explanation> {
    let mut servers = Servers::unasked(configuration);
    let explanation = explain(configuration, &mut servers, question);
    let Verdict::Depends(on) = &explanation.verdict else { return vec![explanation] };
    let mut told = Vec::new();
    for dependency in on.iter().filter(|_| may_tell) {
        match dependency {
            Dependency::Introspection { servers: asked } => {
                for (issuer, url) in asked {
                    for answer in answers(url, question.token) {
                        let mut servers = Servers::unasked(configuration);
                        if servers.told(question.token, issuer, &answer).is_ok() {
                            told.push(explain(configuration, &mut servers, question));
                        }
                    }
                }
            }
            Dependency::Keys { issuer, url } => {
                for keys in record::answers_of(port(url)).other {
                    if let Ok(keys) = JwkSet::from_published_json(&keys) {
                        let mut servers = Servers::unasked(configuration);
                        servers.told_keys(issuer, &keys);
                        told.push(explain(configuration, &mut servers, question));
                    }
                }
            }
            _ => {}
        }
    }
    // A server that does not know a token is not the last that is asked.
    let is_inactive = |told: &Explanation| told.verdict == Verdict::Refused(Refusal::TokenInactive.into());
    if !told.iter().all(is_inactive)
        && on.iter().any(|on| matches!(on, Dependency::Introspection { servers } if servers.len() > 1))
    {
        told.retain(|told| !is_inactive(told));
    }
    if told.is_empty() { vec![explanation] } else { told }
}

/// What the server at this URL has answered about a token.
fn answers(url: &str, token: &[u8]) -> Vec<Vec<u8>> {
    let record = record::answers_of(port(url));
    let as_text = crate::support::encode(token).into_bytes();
    record.about.get(token).or_else(|| record.about.get(&as_text)).cloned().unwrap_or_default()
}

fn port(url: &str) -> u16 {
    let place = url.strip_prefix("https://").unwrap_or(url);
    let authority = place.split('/').next().unwrap_or_default();
    authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(443)
}

/// What the plugin made of the folder each time that it has read it. The folder is put back to what it was.
fn configurations(record: &BrokerRecord) -> Vec<Option<Arc<Configuration>>> {
    let load = |files: &Files| {
        restore(record.folder.path(), files);
        Configuration::load(&configuration_file(record.folder.path())).ok().map(Arc::new)
    };
    record.snapshots().iter().map(load).collect()
}

/// The plugin's file: the one that `mosquitto.conf` names.
fn configuration_file(folder: &Path) -> PathBuf {
    let conf = std::fs::read_to_string(folder.join("mosquitto.conf")).expect("mosquitto.conf");
    let named = conf.lines().find_map(|line| line.strip_prefix("plugin_opt_config_file "));
    named.map_or_else(|| folder.join("ace.toml"), PathBuf::from)
}

fn restore(folder: &Path, files: &Files) {
    for (name, content) in files {
        std::fs::write(folder.join(name), content).expect("a file of the broker's folder");
    }
}
