//! Commands given with the project's own client, with a token of the project's own server.

use serde_json::Value;

use crate::support::case::cases;
use crate::support::packet::kind;
use crate::support::programs::{AuthorizationServer, CLIENT, ace_mqtt};
use crate::support::{Broker, Ctx, Setup, Way};

cases! {
    Accept "" control_command_line_asks_and_shows;
    Refuse "" control_command_line_says_what_is_missing;
    Refuse "" control_command_line_tells_a_broker_without_the_plugin;
}

/// A server whose client may do these things besides.
fn server(ctx: &Ctx, publish: &str, subscribe: &str) -> AuthorizationServer {
    let mut server = AuthorizationServer::start(ctx, "5m");
    for (key, filter) in [("publish", publish), ("subscribe", subscribe)] {
        let usual = format!("{key} = [\"dev/#\"]");
        server.change(&usual, &format!("{key} = [\"dev/#\", \"{filter}\"]"));
    }
    server.stop();
    server.go_on(ctx);
    server
}

/// `ace-mqtt ctl` with these arguments: the exit code, what was printed and what was said.
fn ctl(ctx: &Ctx, broker: &Broker, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut client = ace_mqtt(ctx, broker, "ctl", arguments);
    (client.ended(), client.output(), client.errors())
}

fn control_command_line_asks_and_shows(ctx: &Ctx) {
    let server = server(ctx, "$CONTROL/ace/#", "$CONTROL/ace/#");
    let broker = server.setup().start(ctx);
    let credentials = server.arguments();
    let ask = |more: &[&str]| {
        let (exit, output, errors) = ctl(ctx, &broker, &[&credentials[..], more].concat());
        assert_eq!((exit, errors.as_str()), (Some(0), ""), "{more:?}: {output}");
        output
    };
    let json = |more: &[&str]| -> Value { serde_json::from_str(&ask(&[&["--json"], more].concat())).expect("JSON") };

    let device = broker.device("device");
    let mut client = device.enter(&broker, Way::Challenge);
    let shown = ask(&["sessions"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 3, "{shown}");
    assert!(lines[0].starts_with("CLIENT") && lines.iter().any(|line| line.starts_with("device ")), "{shown}");
    let mine = json(&["sessions", "--subject", "device"]);
    assert_eq!((mine.as_array().map(Vec::len), &mine[0]["clientid"]), (Some(1), &"device".into()), "{mine}");
    assert_eq!(json(&["sessions", "--client", "nobody"]), Value::Array(Vec::new()));
    assert_eq!(ask(&["sessions", "--client", "nobody"]), "no sessions\n");
    // Over MQTT 3.1.1, and by the challenge.
    assert!(ask(&["-V", "mqttv311", "sessions"]).contains("device"));
    assert!(ask(&["--auth", "challenge", "sessions"]).contains("challenge"));

    assert_eq!(ask(&["end", "device"]), "ended the session of client \"device\"\n");
    assert!(client.expect_close().iter().any(|packet| packet.kind() == kind::DISCONNECT && packet.reason() == 0x98));
    let (exit, _, errors) = ctl(ctx, &broker, &[&credentials[..], &["end", "device"]].concat());
    assert_eq!(exit, Some(12));
    assert!(
        errors.contains("no session of a client with this id is known") && errors.contains("session-missing"),
        "{errors}"
    );
    let mut client = device.enter(&broker, Way::Challenge);
    assert_eq!(
        ask(&["end-subject", "device", "--forget-tokens"]),
        "ended 1 sessions of subject \"device\", and forgot 1 tokens that were held for it\n"
    );
    client.expect_close();
    assert!(ask(&["flush"]).starts_with("flushed 0 answers about tokens"));
    assert_eq!(ask(&["reload-keys"]), "read the key files; there are no keys to fetch\n");
    let status = json(&["status"]);
    assert!(status["commands"]["done"].as_u64().is_some_and(|done| done > 8), "{status}");
    assert!(ask(&["status"]).lines().any(|line| line.starts_with("sessions ")));
    // Ended by oneself, one is told all the same.
    assert_eq!(ask(&["end-subject", CLIENT]), format!("ended 1 sessions of subject {CLIENT:?}\n"));
    broker.stop();
}

fn control_command_line_says_what_is_missing(ctx: &Ctx) {
    const NEEDS: &str = "the token's scope needs \"pub\" and \"sub\" on $CONTROL/ace/#";
    for (publish, subscribe, refused) in [
        ("#", "#", "the subscription to $CONTROL/ace/v1/response"),
        ("$CONTROL/ace/v1", "other", "the subscription to $CONTROL/ace/v1/response"),
        ("other", "$CONTROL/ace/#", "the command"),
    ] {
        let server = server(ctx, publish, subscribe);
        let broker = server.setup().start(ctx);
        let credentials = server.credentials(ctx).display().to_string();
        // What is asked for is narrowed to what the client may have; with nothing left, there is no token.
        let asked =
            [&server.arguments()[..], &["--scope", "[[\"dev/#\",[\"pub\"]],[\"$CONTROL/ace/#\",[\"pub\",\"sub\"]]]"]]
                .concat();
        for arguments in [&asked[..], &["--credentials", &credentials]] {
            let (exit, output, errors) = ctl(ctx, &broker, &[arguments, &["flush"]].concat());
            assert_eq!((exit, output.as_str()), (Some(12), ""), "{publish} {subscribe}: {errors}");
            assert!(errors.contains(&format!("the broker refused {refused}")) && errors.contains(NEEDS), "{errors}");
        }
        let old = ["-V", "mqttv311", "--credentials", &credentials, "flush"];
        let (exit, _, errors) = ctl(ctx, &broker, &old);
        let expected = if refused == "the command" { 7 } else { 12 };
        assert_eq!(exit, Some(expected), "{errors}");
        assert!(errors.contains(NEEDS), "{errors}");
        assert!(!broker.log().contains("ace: command of"));
        broker.stop();
    }
    // Nor without a token at all, where the anonymous are let in.
    let broker = Setup::new().mqtt("allow_anonymous = true").start(ctx);
    let (exit, _, errors) = ctl(ctx, &broker, &["--auth", "none", "status"]);
    assert_eq!(exit, Some(12), "{errors}");
    broker.stop();
}

fn control_command_line_tells_a_broker_without_the_plugin(ctx: &Ctx) {
    let mut setup = Setup::new().conf("allow_anonymous true");
    setup.has_plugin = false;
    let broker = setup.start(ctx);
    let (exit, _, errors) = ctl(ctx, &broker, &["--auth", "none", "-W", "1", "status"]);
    if ctx.version.number.starts_with("2.0.") {
        assert_eq!(exit, Some(27), "{errors}");
        assert!(errors.contains("no answer on $CONTROL/ace/v1/response within 1 s"), "{errors}");
    } else {
        assert_eq!(exit, Some(12), "{errors}");
        assert!(errors.contains("no mosquitto-ace"), "{errors}");
    }
    broker.stop();
}
