//! What was measured, in figures.

use std::time::Duration;

use crate::crowd::Outcome;

/// Round trips.
#[derive(Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// One more.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The time that so many in a thousand do not exceed.
    fn quantile(&self, thousandths: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * thousandths).div_ceil(1000).max(1) - 1;
        sorted.get(at).copied().unwrap_or_default()
    }

    fn p99(&self) -> Duration {
        self.quantile(990)
    }

    fn figures(&self) -> String {
        let [p50, p99, max] = [500, 990, 1000].map(|quantile| self.quantile(quantile).as_secs_f64() * 1e3);
        format!("{p50:8.2} {p99:8.2} {max:8.2}")
    }
}

/// The rounds of one situation.
pub struct Row {
    names: [String; 3],
    idle: Times,
    loaded: Times,
    ratios: Vec<f64>,
    outcomes: Vec<Outcome>,
    lasted: Vec<Duration>,
    /// How often the server was asked, and how often at a time at most.
    pub asked: Option<(usize, usize)>,
}

/// Prints what the columns are.
pub fn head() {
    println!("Round trips of a client that needs no authorization server, in milliseconds.\n");
    println!(
        "{:<8}{:<6}{:<8}{:>9}{:>9}{:>9} {:>9}{:>9}{:>9} {:>7} {:<22} {:>5} {:>7} {:>6} {:>5} {:>6} {:>9}",
        "broker",
        "way",
        "server",
        "idle p50",
        "p99",
        "max",
        "load p50",
        "p99",
        "max",
        "ratio",
        "(rounds)",
        "in",
        "refused",
        "closed",
        "none",
        "s",
        "asked"
    );
}

impl Row {
    /// One without rounds as yet.
    pub fn new(version: &str, way: &str, situation: &str) -> Self {
        Self {
            names: [version, way, situation].map(str::to_owned),
            idle: Times::default(),
            loaded: Times::default(),
            ratios: Vec::new(),
            outcomes: Vec::new(),
            lasted: Vec::new(),
            asked: None,
        }
    }

    /// One round more.
    pub fn add(&mut self, idle: Times, loaded: Times, outcomes: &[Outcome], lasted: Duration) {
        self.ratios.push(loaded.p99().as_secs_f64() / idle.p99().as_secs_f64());
        self.idle.0.extend(idle.0);
        self.loaded.0.extend(loaded.0);
        self.outcomes.extend_from_slice(outcomes);
        self.lasted.push(lasted);
    }

    /// Prints the line.
    pub fn print(&self) {
        let [version, way, situation] = &self.names;
        let rounds: Vec<_> = self.ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        let counts = [Outcome::Accepted, Outcome::Refused, Outcome::Closed, Outcome::Unanswered]
            .map(|outcome| outcome.count(&self.outcomes));
        let longest = self.lasted.iter().max().copied().unwrap_or_default().as_secs_f64();
        let asked = self.asked.map_or_else(String::new, |(all, at_once)| format!("{all}/{at_once}"));
        println!(
            "{version:<8}{way:<6}{situation:<8} {} {} {:>7.2} {:<22} {:>5} {:>7} {:>6} {:>5} {longest:>6.1} {asked:>9}",
            self.idle.figures(),
            self.loaded.figures(),
            median(&self.ratios),
            format!("({})", rounds.join(" ")),
            counts[0],
            counts[1],
            counts[2],
            counts[3],
        );
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
