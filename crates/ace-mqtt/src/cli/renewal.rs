//! Fresh tokens for a connection that outlives its token: fetched ahead of time on a thread of its own, so that an authorization server that is slow or gone
//! never holds up a message, and handed to the broker by re-authentication.

use std::{
    convert::Infallible,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use ace_mqtt::{
    Client, Credentials,
    ace_profile::random::{Random, SystemRandom},
};

use super::{Failure, as_arguments::TokenSource, output};

/// The shortest pause between two requests.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause after a failed request.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// The life of a token, in seconds, of which the server has not told (RFC 6749 §5.1 only recommends it).
const LIFE_UNTOLD: u64 = 3_600;

/// The main loop's end of it. Dropping it ends the thread, though not a request that is under way.
pub(crate) struct Renewal {
    fresh: Receiver<Credentials>,
    /// Held for its end.
    _running: Sender<Infallible>,
    /// Whether the broker has a fresh token to decide on.
    brought: bool,
}

impl Renewal {
    /// Begins, with a token that was asked for at `asked` and lives for `expires_in` seconds.
    pub(crate) fn start(source: TokenSource, asked: Instant, expires_in: Option<u64>) -> Result<Self, Failure> {
        if expires_in.is_none() {
            output::note(&format!(
                "the server does not say how long the token is valid: it is renewed as if it were {LIFE_UNTOLD} seconds"
            ));
        }
        let (sender, fresh) = mpsc::channel();
        let (running, ended) = mpsc::channel();
        let first = asked + pause_before(expires_in, random());
        thread::Builder::new()
            .name("renewal".to_owned())
            .spawn(move || fetch(&source, first, &sender, &ended))
            .map_err(|error| Failure::Stream("a thread for fresh tokens", error))?;
        Ok(Self { fresh, _running: running, brought: false })
    }

    /// To be called each turn: brings the broker a fresh token that has come. `true` once the broker has accepted one.
    pub(crate) fn turn(&mut self, client: &mut Client) -> Result<bool, Failure> {
        if self.brought {
            self.brought = client.is_reauthenticating();
            return Ok(!self.brought);
        }
        if let Some(credentials) = self.fresh.try_iter().last() {
            client.start_reauthentication(&credentials)?;
            self.brought = true;
        }
        Ok(false)
    }
}

/// The thread: waits, asks, hands over.
fn fetch(source: &TokenSource, mut next: Instant, fresh: &Sender<Credentials>, ended: &Receiver<Infallible>) {
    let mut failures = 0;
    loop {
        let wait = next.saturating_duration_since(Instant::now());
        if !matches!(ended.recv_timeout(wait), Err(RecvTimeoutError::Timeout)) {
            return;
        }
        let asked = Instant::now();
        match source.ask() {
            Ok(answer) => {
                failures = 0;
                next = asked + pause_before(answer.expires_in, random());
                if fresh.send(answer.credentials).is_err() {
                    return;
                }
            }
            Err(error) => {
                failures += 1;
                let pause = pause_after(failures, random());
                next = Instant::now() + pause;
                output::note(&format!("no fresh token yet: {error}; next attempt in {:.1} s", pause.as_secs_f64()));
            }
        }
    }
}

/// How long to wait until a token is renewed: about 80 % of its life, with a second left at least. Many clients that start together do not ask together:
/// `spread` makes it anything from 75 to 85 %. Servers count whole seconds, so the last one may not be there.
fn pause_before(expires_in: Option<u64>, spread: u8) -> Duration {
    let life = Duration::from_secs(expires_in.unwrap_or(LIFE_UNTOLD).saturating_sub(1).min(u32::MAX.into()));
    let pause = life * 3 / 4 + life / 10 * spread.into() / 255;
    pause.min(life.saturating_sub(Duration::from_secs(1))).max(PAUSE_MIN)
}

/// How long to wait after so many failed requests in a row: twice as long each time, and up to a half more by `spread`.
fn pause_after(failures: u32, spread: u8) -> Duration {
    let pause = PAUSE_MIN * 2_u32.saturating_pow(failures.saturating_sub(1)).min(60);
    (pause + pause / 2 * spread.into() / 255).min(PAUSE_MAX)
}

/// For the spread only: without random bytes there is none.
fn random() -> u8 {
    let mut byte = [0];
    let _ = SystemRandom.fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_at_about_80_percent_of_its_life_and_never_at_once() {
        let seconds = |expires_in, spread| pause_before(Some(expires_in), spread).as_secs_f64();
        assert!((seconds(3601, 0) - 2700.0).abs() < 0.01);
        assert!((seconds(3601, 255) - 3060.0).abs() < 0.01);
        assert!(seconds(3, 255) <= 1.0, "two seconds may be all, and one is left");
        assert!(seconds(5, 255) <= 3.0);
        for short in [0, 1, 2] {
            assert_eq!(pause_before(Some(short), 0), PAUSE_MIN);
        }
        assert_eq!(pause_before(None, 7), pause_before(Some(LIFE_UNTOLD), 7));
        // Not beyond what a clock can count.
        assert!(Instant::now().checked_add(pause_before(Some(u64::MAX), 255)).is_some());
    }

    #[test]
    fn failures_in_a_row_are_ever_further_apart_up_to_a_minute() {
        let pauses: Vec<_> = (1..8).map(|failures| pause_after(failures, 0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60]);
        assert_eq!(pause_after(u32::MAX, 255), PAUSE_MAX);
        assert!(pause_after(1, 255) <= PAUSE_MIN * 3 / 2);
    }
}
