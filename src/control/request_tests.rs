use proptest::prelude::*;
use serde_json::json;

use super::*;

fn asked(commands: &Value) -> Vec<Asked> {
    read(json!({ "commands": commands }).to_string().as_bytes())
}

fn one(command: &Value) -> Result<Command, Fault> {
    let mut asked = asked(&json!([command]));
    assert_eq!(asked.len(), 1);
    asked.remove(0).command
}

fn whole(payload: &[u8]) -> Fault {
    let mut asked = read(payload);
    assert_eq!(asked.len(), 1, "one answer for the whole");
    let asked = asked.remove(0);
    assert_eq!((asked.name.as_str(), asked.correlation), ("Unknown command", None));
    asked.command.unwrap_err()
}

#[test]
fn commands_are_read_with_what_they_need() {
    let anything = Filter::default();
    for (command, expected) in [
        (json!({"command": "listSessions"}), Command::ListSessions { filter: anything.clone(), offset: 0, count: 100 }),
        (
            json!({"command": "listSessions", "offset": 7, "count": 1, "subject": "s", "issuer": "i", "clientid": "c"}),
            Command::ListSessions {
                filter: Filter { client_id: Some("c".into()), subject: Some("s".into()), issuer: Some("i".into()) },
                offset: 7,
                count: 1,
            },
        ),
        (json!({"command": "endSession", "clientid": "c"}), Command::EndSession { client_id: c"c".into() }),
        (
            json!({"command": "endSubject", "subject": "s"}),
            Command::EndSubject { subject: "s".into(), issuer: None, forget_tokens: false },
        ),
        (
            json!({"command": "endSubject", "subject": "s", "issuer": "i", "forgetTokens": true}),
            Command::EndSubject { subject: "s".into(), issuer: Some("i".into()), forget_tokens: true },
        ),
        (json!({"command": "flushCaches"}), Command::FlushCaches),
        (json!({"command": "reloadKeys"}), Command::ReloadKeys),
        (json!({"command": "getStatus"}), Command::GetStatus),
    ] {
        assert_eq!(one(&command), Ok(expected), "{command}");
    }
}

#[test]
fn what_is_wrong_with_a_command_is_told_of_that_command() {
    for (command, code, member) in [
        (json!({"command": "dropTables"}), "command-unknown", ""),
        (json!({"command": "listsessions"}), "command-unknown", ""),
        (json!({"command": 7}), "command-malformed", ""),
        (json!({}), "command-malformed", ""),
        (json!("listSessions"), "command-malformed", ""),
        (json!([]), "command-malformed", ""),
        (json!(null), "command-malformed", ""),
        (json!({"command": "getStatus", "verbose": true}), "member-unknown", "verbose"),
        (json!({"command": "endSession", "clientid": "c", "clientId": "d"}), "member-unknown", "clientId"),
        (json!({"command": "endSession"}), "member-missing", "clientid"),
        (json!({"command": "endSubject", "issuer": "i"}), "member-missing", "subject"),
        (json!({"command": "endSession", "clientid": ""}), "member-unusable", "clientid"),
        (json!({"command": "endSession", "clientid": null}), "member-unusable", "clientid"),
        (json!({"command": "endSession", "clientid": ["c"]}), "member-unusable", "clientid"),
        (json!({"command": "endSession", "clientid": "a\u{0}b"}), "member-unusable", "clientid"),
        (json!({"command": "endSubject", "subject": "s".repeat(257)}), "member-unusable", "subject"),
        (json!({"command": "endSubject", "subject": "s", "issuer": "i".repeat(2049)}), "member-unusable", "issuer"),
        (json!({"command": "endSubject", "subject": "s", "forgetTokens": 1}), "member-unusable", "forgetTokens"),
        (json!({"command": "listSessions", "count": 0}), "member-unusable", "count"),
        (json!({"command": "listSessions", "count": 101}), "member-unusable", "count"),
        (json!({"command": "listSessions", "count": -1}), "member-unusable", "count"),
        (json!({"command": "listSessions", "count": 1.5}), "member-unusable", "count"),
        (json!({"command": "listSessions", "offset": -1}), "member-unusable", "offset"),
        (json!({"command": "listSessions", "offset": 1_u64 << 32}), "member-unusable", "offset"),
        (json!({"command": "listSessions", "offset": "0"}), "member-unusable", "offset"),
        (json!({"command": "getStatus", "correlationData": 1}), "member-unusable", "correlationData"),
        (json!({"command": "getStatus", "correlationData": "x".repeat(257)}), "member-unusable", "correlationData"),
    ] {
        let fault = one(&command).unwrap_err();
        assert_eq!(fault.code(), code, "{command}");
        assert!(fault.to_string().contains(member), "{command}: {fault}");
    }
}

#[test]
fn commands_stand_by_themselves() {
    let asked = asked(&json!([
        {"command": "getStatus", "correlationData": "a"},
        {"command": "nonsense", "correlationData": ""},
        17,
        {"command": "flushCaches"},
        {"command": "flushCaches", "correlationData": "again"},
        {"command": "reloadKeys"},
        {"command": "reloadKeys"},
    ]));
    let told: Vec<_> = asked.iter().map(|asked| (asked.name.as_str(), asked.correlation.as_deref())).collect();
    let expected = [
        ("getStatus", Some("a")),
        ("nonsense", Some("")),
        ("Unknown command", None),
        ("flushCaches", None),
        ("flushCaches", Some("again")),
        ("reloadKeys", None),
        ("reloadKeys", None),
    ];
    assert_eq!(told, expected);
    let outcomes: Vec<_> = asked.into_iter().map(|asked| asked.command.map_err(|fault| fault.code())).collect();
    let expected = [
        Ok(Command::GetStatus),
        Err("command-unknown"),
        Err("command-malformed"),
        Ok(Command::FlushCaches),
        Err("command-twice"),
        Ok(Command::ReloadKeys),
        Err("command-twice"),
    ];
    assert_eq!(outcomes, expected);
}

#[test]
fn what_cannot_be_read_as_a_whole_does_nothing() {
    let nested = |depth: usize| format!("{{\"commands\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let valid = r#"{"command":"flushCaches"}"#;
    let json = |text: &str, fault| assert_eq!(whole(text.as_bytes()), Fault::Json(fault), "{text:.60}");
    json("", JsonFault::Syntax);
    json("\u{feff}{}", JsonFault::Syntax);
    json(&format!("{{\"commands\":[{valid}]}} x"), JsonFault::Syntax);
    json(&format!("[{valid}]"), JsonFault::NotAnObject);
    json("\"commands\"", JsonFault::NotAnObject);
    json(&nested(10_000), JsonFault::TooDeep);
    json(&"{\"a\":".repeat(5_000), JsonFault::TooDeep);
    json(&format!("{{\"commands\":[{valid}],\"commands\":[]}}"), JsonFault::DuplicateMember);
    json(r#"{"commands":[{"command":"getStatus","command":"flushCaches"}]}"#, JsonFault::DuplicateMember);
    json(r#"{"commands":[{"command":"endSession","clientid":"a","\u0063lientid":"b"}]}"#, JsonFault::DuplicateMember);
    assert_eq!(whole(b"{\"commands\":[{\"command\":\"\xff\"}]}"), Fault::Json(JsonFault::Syntax));

    for text in
        ["{}", r#"{"commands":[]}"#, r#"{"commands":{}}"#, r#"{"commands":null}"#, r#"{"commands":"getStatus"}"#]
    {
        assert_eq!(whole(text.as_bytes()), Fault::NoCommands, "{text}");
    }
    let text = format!("{{\"commands\":[{valid}],\"more\":1}}");
    assert_eq!(whole(text.as_bytes()), Fault::UnknownMember { name: "more".into() });
}

#[test]
fn sizes_and_numbers_are_bounded() {
    let many = |count: usize| json!({ "commands": vec![json!({"command": "getStatus"}); count] }).to_string();
    assert_eq!(read(many(COMMANDS_MAX).as_bytes()).len(), COMMANDS_MAX);
    assert_eq!(whole(many(COMMANDS_MAX + 1).as_bytes()), Fault::TooManyCommands { count: COMMANDS_MAX + 1 });
    let ten_thousand = format!("{{\"commands\":[{}7]}}", "7,".repeat(9_999));
    assert_eq!(whole(ten_thousand.as_bytes()), Fault::TooManyCommands { count: 10_000 });
    let padded = |bytes: usize| {
        let text = r#"{"commands":[{"command":"getStatus"}]}"#;
        format!("{text}{}", " ".repeat(bytes - text.len()))
    };
    assert_eq!(read(padded(REQUEST_BYTES).as_bytes())[0].command, Ok(Command::GetStatus));
    let too_large = whole(padded(REQUEST_BYTES + 1).as_bytes());
    assert_eq!(too_large, Fault::TooLarge { bytes: REQUEST_BYTES + 1 });
    let name = "é".repeat(10_000);
    let asked = asked(&json!([{ "command": name, "correlationData": "kept" }]));
    assert_eq!((asked[0].name.chars().count(), asked[0].correlation.as_deref()), (NAME_SHOWN, Some("kept")));
}

/// JSON of the kind that requests are made of, right and wrong.
fn anything() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("command"),
        Just("listSessions"),
        Just("endSession"),
        Just("endSubject"),
        Just("flushCaches"),
        Just("clientid"),
        Just("subject"),
        Just("correlationData"),
        Just("count"),
        Just("commands"),
        Just(""),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((word.clone(), inner), 0..6).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    /// Whatever comes, there is at least one answer and no more than commands are taken, and what is not understood does nothing.
    #[test]
    fn arbitrary_requests_are_answered(value in anything(), in_commands in any::<bool>()) {
        let request = if in_commands { json!({ "commands": [value] }) } else { value };
        let asked = read(request.to_string().as_bytes());
        prop_assert!((1..=COMMANDS_MAX).contains(&asked.len()));
        for asked in asked {
            prop_assert!(asked.name.chars().count() <= NAME_SHOWN);
            prop_assert!(asked.correlation.is_none_or(|correlation| correlation.len() <= 256));
            if let Err(fault) = asked.command {
                prop_assert!(!fault.code().is_empty() && fault.to_string().len() < 512);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let asked = read(&bytes);
        prop_assert!(asked.len() == 1 && asked[0].command.is_err());
    }

    /// A good request with a byte changed does what it says, or nothing: no command comes about that is not written there.
    #[test]
    fn a_changed_byte_makes_no_other_command(at in 0_usize..75, byte in any::<u8>()) {
        let mut request = br#"{"commands":[{"command":"endSession","clientid":"c"},{"command":"getStatus"}]}"#.to_vec();
        request[at] = byte;
        for asked in read(&request) {
            let is_expected = match asked.command {
                Ok(Command::EndSession { client_id }) => request.windows(client_id.count_bytes()).any(|part| part == client_id.to_bytes()),
                Ok(Command::GetStatus) | Err(_) => true,
                Ok(_) => false,
            };
            prop_assert!(is_expected);
        }
    }
}
