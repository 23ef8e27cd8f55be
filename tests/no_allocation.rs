//! `ACL_CHECK` and `MESSAGE` take no memory: the broker's thread must not wait for an allocator once per message.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use ace_profile::Timestamp;
use ace_profile::scope::Scope;
use ace_resource_server::rights::Access;
use mosquitto_ace::broker::fake::{Fake, FakeClient};
use mosquitto_ace::metrics::{Sample, Value};
use mosquitto_ace::plugin::Plugin;

#[global_allocator]
static COUNTING: dhat::Alloc = dhat::Alloc;

const ALLOWED: i32 = 0;
const DENIED: i32 = 12;

fn load(folder: &tempfile::TempDir) -> Fake<Plugin> {
    let jwks = r#"{"keys":[{"kty":"oct","kid":"1","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]}"#;
    std::fs::write(folder.path().join("jwks.json"), jwks).unwrap();
    let config = "audience = \"broker\"\n[[authorization_server]]\nissuer = \"as\"\njwks = \"jwks.json\"\n\
                  [mqtt]\npublic_publish = [\"hello/#\"]\nauthz_info_topic = \"authz-info\"\n\
                  [metrics]\ntopic_prefix = \"metrics\"\n";
    let path = folder.path().join("ace.toml");
    std::fs::write(&path, config).unwrap();
    Fake::load(&[("config_file", path.to_str().unwrap())]).unwrap_or_else(|(_, log)| panic!("{log:?}"))
}

#[test]
fn a_decision_allocates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let fake = load(&folder);
    let aif = serde_json::json!([["a/+/c", ["pub", "sub"]], ["b/#", ["sub"]], ["+/x", ["pub"]]]);
    let scope = Scope::from_aif_value(&aif).unwrap();
    let [mut client, mut expired, unknown] = ["client", "expired", "unknown"].map(FakeClient::new);
    fake.plugin().admit_with_scope(&mut client, &scope, Timestamp::MAX);
    fake.plugin().admit_with_scope(&mut expired, &scope, Timestamp::EPOCH);
    let mut clients = [client, expired, unknown];
    let (client, expired, unknown) = (0, 1, 2);
    let deep = "a/".repeat(30_000);

    let _profiler = dhat::Profiler::builder().testing().build();
    for (client, access, topic, expected) in [
        (client, Access::Publish, "a/b/c", ALLOWED),
        // As long as the name of the topic that takes tokens.
        (client, Access::Publish, "a/123456/c", ALLOWED),
        (client, Access::Receive, "authz-info", DENIED),
        (client, Access::Publish, "hello/all", ALLOWED),
        (client, Access::Receive, "b/1/2/3", ALLOWED),
        (client, Access::Subscribe, "a/+/c", ALLOWED),
        (client, Access::Subscribe, "$share/group/b/+", ALLOWED),
        (client, Access::Publish, "elsewhere", DENIED),
        (client, Access::Publish, &deep, DENIED),
        (expired, Access::Publish, "a/b/c", DENIED),
        (unknown, Access::Publish, "a/b/c", DENIED),
        (unknown, Access::Publish, "hello/all", ALLOWED),
    ] {
        let topic = std::ffi::CString::new(topic).unwrap();
        let mut call = fake.prepare_acl_check(&mut clients[client], access, &topic, 1);
        // The first denial of a client is logged, which takes memory.
        call.call();
        let before = dhat::HeapStats::get().total_blocks;
        for _ in 0..100 {
            assert_eq!(call.call(), expected, "{access:?} {topic:?}");
        }
        let blocks = dhat::HeapStats::get().total_blocks - before;
        assert_eq!(blocks, 0, "{access:?} {topic:?}");
    }

    for (topic, emptied) in [("a/b/c", false), ("a/123456/c", false), (deep.as_str(), false), ("authz-info", true)] {
        let mut name = [topic.as_bytes(), b"\0"].concat();
        let mut call = fake.prepare_message(&mut name, b"payload");
        let before = dhat::HeapStats::get().total_blocks;
        for _ in 0..100 {
            assert_eq!(call.call(), ALLOWED, "{topic:?}");
        }
        assert_eq!(dhat::HeapStats::get().total_blocks - before, 0, "{topic:?}");
        assert_eq!(call.is_empty(), emptied, "{topic:?}");
        assert_eq!(name.starts_with(b"$"), emptied, "{topic:?}");
    }

    // What is counted was counted, without a place for it having had to be found.
    let metrics = fake.plugin().metrics();
    let denials = metrics.iter().find(|family| family.name == "denials_total").unwrap();
    let of = |access: &str, code: &str| {
        let values = |sample: &Sample| sample.labels().map(|(_, value)| value.to_string()).collect::<Vec<_>>();
        denials.samples.iter().find(|sample| values(sample) == [access, code]).map(|sample| sample.value)
    };
    assert_eq!(of("publish", "outside-scope"), Some(Value::Number(202)));
    assert_eq!(of("publish", "token-expired"), Some(Value::Number(101)));
    assert_eq!(of("publish", "no-session"), Some(Value::Number(101)));

    // What counts can count.
    let before = dhat::HeapStats::get().total_blocks;
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(dhat::HeapStats::get().total_blocks - before, 1);
}
