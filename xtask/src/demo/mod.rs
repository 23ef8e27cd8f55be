//! `cargo xtask demo`: real software does the real thing, on this machine, within a minute.
//!
//! An authorization server, a stock Mosquitto with the plugin, and clients. Whatever is printed has happened and has
//! been checked; where something does not happen, the demonstration stops and fails.

mod child;
mod screen;
mod stage;

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use self::child::{Interrupt, Running};
use self::screen::Screen;
use self::stage::{AUDIENCE, Ended, SOON, Stage, VISIT, VISITOR};
use crate::brokers::{self, Broker};
use crate::{cargo, setup};

/// `ace-mqtt` ends with this when the broker refuses the connection.
const REFUSED: i32 = 5;
/// `ace-mqtt` ends with this when the broker ends the connection.
const LOST: i32 = 7;
/// `ace-mqtt` ends with this when the broker refuses the message or the subscription.
const DENIED: i32 = 12;
/// How MQTT 5 says that something is not allowed.
const NOT_AUTHORIZED: &str = "0x87";

/// Plays the demonstration with this broker version (`2.1` or `2.0.11`); keeps its folder if asked to.
///
/// # Errors
/// Something cannot be built or fetched, or does not happen as it should.
pub fn play(version: &str, keep: bool) -> Result<()> {
    setup::ensure(setup::DEMO)?;
    let wanted = brokers::releases_named(&[version.to_owned()])?;
    println!("building the plugin, the authorization server and the client");
    cargo::build_release()?;
    let all = brokers::fetch(&wanted, false, None)?;
    let chosen = brokers::of_releases(&all, &wanted);
    let broker = chosen.first().context("the broker was fetched and is not there")?;

    let start = Instant::now();
    let stage = Stage::new(Interrupt::listen()?, keep)?;
    let mut screen = Screen::default();
    show(&stage, broker, &mut screen)?;
    println!(
        "\n{} scenes, each checked, in {} s. `cargo xtask test` proves the rest.",
        screen.scenes(),
        start.elapsed().as_secs()
    );
    if keep {
        println!("Everything is still in {}", stage.folder().display());
    }
    Ok(())
}

fn show(stage: &Stage, broker: &Broker, screen: &mut Screen) -> Result<()> {
    screen.scene("Keys, certificates and configuration");
    println!("   $ cd {}", stage.folder().display());
    stage.prepare()?;

    screen.scene("An authorization server");
    let mut authorization_server = stage.start_authorization_server()?;
    let line = stage.log_line(&authorization_server, 0, &["listening on"])?;
    Screen::said("ace-as", &line);

    screen.scene(&format!("A stock Mosquitto {} (Debian {}) with the plugin", broker.version, broker.debian_version));
    let mut mosquitto = stage.start_broker(broker)?;
    let started = format!("mosquitto version {} running", broker.version);
    Screen::said("mosquitto", &stage.log_line(&mosquitto, 0, &[&started])?);

    screen.scene("Two clients get tokens over HTTPS, each bound to a key of its own");
    get_token(
        stage,
        &authorization_server,
        "sensor",
        &["--publish", "home/temperature", "--subscribe", "home/setpoint"],
    )?;
    get_token(
        stage,
        &authorization_server,
        "dashboard",
        &["--publish", "home/setpoint", "--subscribe", "home/temperature"],
    )?;

    screen.scene("They connect over TLS, prove that they hold their keys, and exchange messages");
    exchange(stage, &mosquitto, "sensor", "dashboard", "home/temperature", "21.5")?;
    exchange(stage, &mosquitto, "dashboard", "sensor", "home/setpoint", "19")?;

    screen.scene("Topics that their tokens do not name are closed to them");
    publish_in_vain(stage, "sensor", "home/setpoint")?;
    publish_in_vain(stage, "dashboard", "home/door/unlock")?;
    subscribe_in_vain(stage, "sensor", "home/#")?;
    subscribe_in_vain(stage, "dashboard", "home/setpoint")?;

    screen.scene("A stolen token without its key opens nothing");
    steal(stage, &mosquitto)?;

    screen.scene("A session ends with its token");
    expire(stage, &authorization_server, &mosquitto)?;

    screen.scene("Everything stops");
    stop("mosquitto", &mut mosquitto)?;
    stop("ace-as", &mut authorization_server)
}

/// Has a client get a token and save it together with its key.
fn get_token(stage: &Stage, authorization_server: &Running, who: &str, filters: &[&str]) -> Result<()> {
    let before = authorization_server.said().len();
    let mut command = stage.program("ace-mqtt");
    command.args(["token", "--as", &stage.token_url(), "--as-ca", "ca-cert.pem", "--audience", AUDIENCE]);
    command.args(["--client-id", who, "--client-secret-file", &format!("{who}.secret")]).args(filters);
    command.args(["--out", &format!("{who}.credentials")]);
    let ended = stage.run(command, who)?;
    ensure!(ended.status.success(), "{who} got no token: {}", ended.status);
    ensure!(stage.file(&format!("{who}.credentials")).is_file(), "{who} saved no token");
    Screen::said("ace-as", &stage.log_line(authorization_server, before, &[&format!("client=\"{who}\""), "granted"])?);
    Ok(())
}

/// One client publishes what the other one receives.
fn exchange(stage: &Stage, mosquitto: &Running, from: &str, to: &str, topic: &str, message: &str) -> Result<()> {
    let before = mosquitto.said().len();
    let mut listen = stage.client("sub");
    listen.args(["--id", to, "--credentials", &format!("{to}.credentials"), "-t", topic, "-v", "-C", "1", "-d"]);
    let mut listener = stage.start(listen, to)?;
    listener.wait_until_it_says("subscribed to", SOON)?;
    Screen::said(to, &listener.said());
    let mut speak = stage.client("pub");
    speak.args(["--id", from, "--credentials", &format!("{from}.credentials"), "-t", topic, "-m", message, "-q", "1"]);
    let spoken = stage.run(speak, from)?;
    ensure!(spoken.status.success(), "{from} could not publish: {}", spoken.status);
    let status = listener.wait(SOON)?;
    let received = listener.output();
    ensure!(status.success() && received == format!("{topic} {message}\n"), "{to} received {received:?}: {status}");
    Screen::said(to, &received);
    for who in [to, from] {
        let words = ["New client connected", &format!(" as {who} ")];
        Screen::said("mosquitto", &stage.log_line(mosquitto, before, &words)?);
    }
    Ok(())
}

fn publish_in_vain(stage: &Stage, who: &str, topic: &str) -> Result<()> {
    let mut speak = stage.client("pub");
    speak.args(["--id", who, "--credentials", &format!("{who}.credentials"), "-t", topic, "-m", "0", "-q", "1"]);
    let ended = stage.run(speak, who)?;
    ensure_denied(&ended, DENIED)?;
    Screen::seen(&format!("{who} may not publish to {topic}"));
    Ok(())
}

fn subscribe_in_vain(stage: &Stage, who: &str, filter: &str) -> Result<()> {
    let mut listen = stage.client("sub");
    listen.args(["--id", who, "--credentials", &format!("{who}.credentials"), "-t", filter, "-C", "1", "-W", "10"]);
    let ended = stage.run(listen, who)?;
    ensure_denied(&ended, DENIED)?;
    Screen::seen(&format!("{who} may not subscribe to {filter}"));
    Ok(())
}

/// A thief has the dashboard's token, and a key of its own.
fn steal(stage: &Stage, mosquitto: &Running) -> Result<()> {
    let credentials =
        fs::read_to_string(stage.file("dashboard.credentials")).context("no credentials to steal from")?;
    let token = token_in(&credentials)?;
    fs::write(stage.file("stolen.token"), token).context("cannot steal")?;
    Screen::seen("stolen.token: the token of dashboard.credentials, without the key");
    let mut keygen = stage.program("ace-mqtt");
    keygen.args(["keygen", "--out", "thief.key"]);
    let made = stage.run(keygen, "thief")?;
    ensure!(made.status.success(), "no key for the thief: {}", made.status);
    let before = mosquitto.said().len();
    let mut listen = stage.client("sub");
    listen.args(["--id", "thief", "--token-file", "stolen.token", "--key", "thief.key"]);
    listen.args(["-t", "home/temperature", "-C", "1", "-W", "10"]);
    let ended = stage.run(listen, "thief")?;
    ensure_denied(&ended, REFUSED)?;
    Screen::said("mosquitto", &stage.log_line(mosquitto, before, &["ace: refused", "thief"])?);
    Ok(())
}

/// The token in a file that `ace-mqtt token --out` has written.
fn token_in(credentials: &str) -> Result<String> {
    let file: serde_json::Value = serde_json::from_str(credentials).context("the credentials are not JSON")?;
    let token = file.get("access_token").and_then(serde_json::Value::as_str);
    Ok(token.context("there is no token in the credentials")?.to_owned())
}

/// A client stays connected until its short-lived token runs out.
fn expire(stage: &Stage, authorization_server: &Running, mosquitto: &Running) -> Result<()> {
    let issued = Instant::now();
    get_token(stage, authorization_server, VISITOR, &["--subscribe", "home/temperature"])?;
    let before = mosquitto.said().len();
    let mut listen = stage.client("sub");
    listen.args(["--id", VISITOR, "--credentials", "visitor.credentials", "-t", "home/temperature", "-W", "30", "-d"]);
    let mut listener = stage.start(listen, VISITOR)?;
    listener.wait_until_it_says("subscribed to", SOON)?;
    let status = listener.wait(SOON)?;
    let lasted = issued.elapsed();
    Screen::said(VISITOR, &listener.said());
    ensure_denied(&Ended { status, said: listener.said() }, LOST)?;
    Screen::said("mosquitto", &stage.log_line(mosquitto, before, &["ace: ", VISITOR, "expired"])?);
    // The token's times are whole seconds, so it may end up to a second early; the plugin has a second to notice.
    let (shortest, longest) = (Duration::from_secs(VISIT - 1), Duration::from_secs(VISIT + 2));
    ensure!(
        (shortest..longest).contains(&lasted),
        "the session of a token that lives {VISIT} s ended after {:.1} s",
        lasted.as_secs_f64()
    );
    Screen::seen(&format!("disconnected {:.1} s after it asked for a token of {VISIT} s", lasted.as_secs_f64()));
    Ok(())
}

/// The client must have ended so, and must have been told why.
fn ensure_denied(ended: &Ended, code: i32) -> Result<()> {
    ensure!(
        ended.status.code() == Some(code) && ended.said.contains(NOT_AUTHORIZED),
        "expected a refusal with {NOT_AUTHORIZED} and exit code {code}; got {} and: {}",
        ended.status,
        ended.said.trim()
    );
    Ok(())
}

fn stop(name: &str, server: &mut Running) -> Result<()> {
    let Some(status) = server.stop() else { bail!("{name} had ended before; it said:\n{}", server.said()) };
    ensure!(status.success(), "{name} did not end well: {status}; it said:\n{}", server.said());
    Screen::seen(&format!("{name} was asked to end, and ended well"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    #[test]
    fn a_refusal_is_known_by_code_and_words() {
        let ended = |code: i32, said: &str| Ended { status: ExitStatus::from_raw(code << 8), said: said.into() };
        assert!(ensure_denied(&ended(5, "not authorized (0x87)"), REFUSED).is_ok());
        assert!(ensure_denied(&ended(0, "not authorized (0x87)"), REFUSED).is_err());
        assert!(ensure_denied(&ended(5, "lost"), REFUSED).is_err());
    }

    #[test]
    fn the_token_is_found_in_the_credentials() {
        assert_eq!(token_in(r#"{"access_token":"a.b.c","key":{}}"#).unwrap(), "a.b.c");
        assert!(token_in("{}").is_err());
        assert!(token_in("a.b.c").is_err());
    }
}
