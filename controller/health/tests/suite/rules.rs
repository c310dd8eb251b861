//! Rules of users: what compiles, what an expression sees, which verdict follows.

use health::{RuleSpec, Rules, Status};
use serde_json::{Value, json};

fn rule<'a>(in_progress: Option<&'a str>, failed: Option<&'a str>, current: Option<&'a str>) -> RuleSpec<'a> {
    RuleSpec {
        group: "example.com",
        kind: "Widget",
        in_progress,
        failed,
        current,
    }
}

fn widget(status: &Value) -> Value {
    json!({
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "a", "generation": 3, "labels": {"a.b/c": "d"}},
        "spec": {"replicas": 2},
        "status": status,
    })
}

fn status() -> Value {
    json!({
        "observedGeneration": 3,
        "phase": "Good",
        "replicas": 2,
        "ratio": 0.5,
        "huge": u64::MAX,
        "nothing": null,
        "empty": [],
        "names": ["a", "b"],
        "pair": {"x": [1, {"y": "z"}]},
        "conditions": [
            {"type": "Ready", "status": "True", "observedGeneration": 3},
            {"type": "Slow", "status": "False"},
        ],
        "parents": [
            {"conditions": [{"type": "Accepted", "status": "True"}]},
            {"conditions": [{"type": "Accepted", "status": "False"}]},
        ],
    })
}

/// What an expression makes of the widget when it stands for `current`.
fn current(expression: &str) -> Status {
    let rules = Rules::compile(&[rule(None, None, Some(expression))]).unwrap();
    health::of(&widget(&status()), &rules).status
}

#[test]
fn true_expressions() {
    for expression in [
        "status.phase == 'Good'",
        "'Good' == status.phase",
        "self.status.phase == status.phase && self.kind == 'Widget'",
        "status.replicas == spec.replicas",
        "status.replicas + 1 == 3 && status.replicas * 2 - 1 == 3 && -status.replicas == -2",
        "status.ratio + 0.5 == 1.0 && status.ratio < 1",
        "status.huge > 9223372036854775807",
        "status.nothing == null",
        "metadata.labels['a.b/c'] == 'd'",
        "has(status.phase) && !has(status.other)",
        "'phase' in status && !('other' in status)",
        "'a' in status.names && !('c' in status.names)",
        "status.phase in ['Good', 'Better']",
        "size(status.names) == 2 && status.names.size() == 2 && size(status.phase) == 4",
        "status.names[1] == 'b'",
        "status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')",
        "status.conditions.filter(c, c.type == 'Ready').all(c, c.observedGeneration == metadata.generation)",
        "status.conditions.exists_one(c, c.status == 'True')",
        "!status.conditions.all(c, c.status == 'True')",
        "status.parents.exists(p, p.conditions.all(c, c.type == 'Accepted' && c.status == 'True'))",
        "['Ready', 'Slow'].all(t, status.conditions.exists(c, c.type == t))",
        "status.pair.exists(key, key == 'x')",
        // Two of ours, ours and CEL's, CEL's and ours.
        "status.pair == self.status.pair && status.pair != spec",
        "status.pair == {'x': [1, {'y': 'z'}]} && {'x': [1, {'y': 'z'}]} == status.pair",
        "status.names == ['a', 'b'] && ['a', 'b'] == status.names && ['b', 'a'] != status.names",
        "status.names.filter(n, true) == ['a', 'b'] && status.names == status.names.filter(n, true)",
        "[] == status.empty && status.empty == [] && status.empty != {}",
        "type(status.names) == list && type(status.pair) == map && type(status.phase) == string",
        "string(status.replicas) == '2' && int('2') == status.replicas && double(status.replicas) == 2.0",
        "status.phase.startsWith('Go') && status.phase.endsWith('od') && status.phase.contains('oo')",
        "has(status.other) ? status.other == 1 : true",
        "status.other == 1 || true",
    ] {
        assert_eq!(current(expression), Status::Current, "{expression}");
    }
}

/// An error is false, so the object is still in progress.
#[test]
fn expressions_that_are_false_or_fail() {
    for expression in [
        "status.phase == 'Bad'",
        "status.other == 'x'",
        "status.names[2] == 'c'",
        "status.names[-1] == 'c'",
        "status.phase[0] == 'G'",
        "status.conditions < 1",
        "status.conditions + 1 == 2",
        "status.phase + status.phase == 'GoodGood'",
        "status.names + status.names == []",
        "status.replicas / 0 == 1",
        "9223372036854775807 + status.replicas > 0",
        "int(status.phase) == 1",
        "status.replicas.all(x, true)",
        "status.phase && true",
        "!status.phase",
        "bytes(status.names) == b''",
        "status.conditions.exists_one(c, has(c.type))",
        "status.empty.exists(x, true)",
        "metadata.name.names == 'x'",
    ] {
        assert_eq!(current(expression), Status::InProgress, "{expression}");
    }
}

#[test]
fn a_result_that_is_no_boolean_is_unknown() {
    for expression in [
        "status.phase",
        "1",
        "status.conditions",
        "null",
        "status",
        "[true]",
        "type(1)",
    ] {
        let rules = Rules::compile(&[rule(None, None, Some(expression))]).unwrap();
        let verdict = health::of(&widget(&status()), &rules);
        assert_eq!(verdict.status, Status::Unknown, "{expression}");
        assert_eq!(&*verdict.reason, "RuleFailed");
        assert!(verdict.message.contains("current") && verdict.message.contains("neither true nor false"));
    }
}

#[test]
fn the_order_is_in_progress_failed_current() {
    let (yes, no, fails) = (Some("true"), Some("false"), Some("status.other"));
    for (spec, want) in [
        (rule(yes, yes, yes), Status::InProgress),
        (rule(no, yes, yes), Status::Failed),
        (rule(fails, yes, yes), Status::Failed),
        (rule(no, no, yes), Status::Current),
        (rule(fails, fails, yes), Status::Current),
        (rule(no, no, no), Status::InProgress),
        (rule(fails, fails, fails), Status::InProgress),
        (rule(None, None, yes), Status::Current),
        // Without `current`, the condition Ready decides.
        (rule(no, no, None), Status::Current),
        (rule(None, yes, None), Status::Failed),
    ] {
        let rules = Rules::compile(&[spec]).unwrap();
        assert_eq!(health::of(&widget(&status()), &rules).status, want, "{spec:?}");
    }
}

#[test]
fn an_older_status_and_deletion_come_first() {
    let rules = Rules::compile(&[rule(None, Some("true"), Some("true"))]).unwrap();
    let mut old = widget(&json!({"observedGeneration": 2}));
    assert_eq!(health::of(&old, &rules).status, Status::InProgress);
    old["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z".into();
    assert_eq!(health::of(&old, &rules).status, Status::Terminating);
}

#[test]
fn a_rule_goes_before_what_is_known_of_a_kind() {
    let spec = RuleSpec {
        group: "apps",
        kind: "Deployment",
        in_progress: None,
        failed: None,
        current: Some("spec.x == 1"),
    };
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"x": 1, "paused": true}});
    assert_eq!(health::of(&object, &Rules::default()).status, Status::Suspended);
    assert_eq!(
        health::of(&object, &Rules::compile(&[spec]).unwrap()).status,
        Status::Current
    );
}

#[test]
fn without_a_status_there_is_no_variable() {
    let rules = Rules::compile(&[rule(None, None, Some("!has(status.error)"))]).unwrap();
    let object = json!({"apiVersion": "example.com/v1", "kind": "Widget"});
    assert_eq!(health::of(&object, &rules).status, Status::InProgress);
}

#[test]
fn what_does_not_compile() {
    let long = format!("'{}' == ''", "a".repeat(2048));
    let deep = format!("{}true{}", "(".repeat(40), ")".repeat(40));
    let tall = format!("{}true == true", "!".repeat(33));
    let chain = format!("status{} == 1", ".a".repeat(40));
    for (source, part) in [
        ("", "not CEL"),
        ("status.phase ==", "line 1"),
        ("status.phase = 'x'", "not CEL"),
        ("phase == 'x'", "no variable phase"),
        ("status.all(x, y)", "no variable y"),
        ("status.all(x, true) && x", "no variable x"),
        ("status.phase.matches('a*')", "no function matches"),
        ("optional.of(1) == 1", "no function of"),
        ("now() > 1", "no function now"),
        ("status.all(x)", "wrong number"),
        ("status.names.map(n, n) == []", "map() is not supported"),
        (
            "status.names.map(n, true, [n, n]) == []",
            "map() is not supported",
        ),
        ("a.all(x, true)", "no variable a"),
        ("status.all(a, a.all(b, b.all(c, true)))", "loops nest deeper"),
        ("Widget{a: 1} == 1", "messages"),
        (&long, "longer than"),
        (&deep, "brackets nest"),
        (&tall, "true == true"),
        (&chain, "nests deeper"),
    ] {
        let Err(error) = Rules::compile(&[rule(None, Some(source), Some("true"))]) else {
            // An even number of `!` is none at all.
            assert_eq!(part, "true == true", "{source} compiles");
            continue;
        };
        assert_eq!((error.index, error.field), (0, "failed"));
        assert!(error.message.contains(part), "{source}: {}", error.message);
        assert!(error.message.len() <= 256 && !error.message.contains(char::is_control));
    }
}

#[test]
fn rules_that_make_no_sense() {
    let fine = rule(None, None, Some("true"));
    let secret = RuleSpec {
        group: "",
        kind: "Secret",
        ..fine
    };
    for (specs, index, field) in [
        (vec![secret], 0, "kind"),
        (vec![fine, fine], 1, "kind"),
        (vec![rule(None, None, None)], 0, "current"),
        (
            vec![
                fine,
                RuleSpec {
                    kind: "Other",
                    current: Some("("),
                    ..fine
                },
            ],
            1,
            "current",
        ),
        (
            vec![RuleSpec {
                in_progress: Some("("),
                ..fine
            }],
            0,
            "inProgress",
        ),
    ] {
        let error = Rules::compile(&specs).unwrap_err();
        assert_eq!((error.index, error.field), (index, field), "{error}");
    }
    let names: Vec<_> = (0..257).map(|n| format!("Kind{n}")).collect();
    let many: Vec<_> = names.iter().map(|kind| RuleSpec { kind, ..fine }).collect();
    assert!(Rules::compile(&many[..256]).is_ok());
    assert_eq!(Rules::compile(&many).unwrap_err().index, 256);
}

#[test]
fn which_kinds_have_a_rule() {
    let fine = rule(None, None, Some("false"));
    let rules = Rules::compile(&[
        fine,
        RuleSpec {
            kind: "",
            current: Some("true"),
            ..fine
        },
        RuleSpec {
            group: "",
            kind: "",
            ..fine
        },
    ])
    .unwrap();
    assert!(rules.has("example.com", "Widget") && rules.has("example.com", "Other"));
    assert!(rules.has("", "ConfigMap") && !rules.has("", "Secret") && !rules.has("apps", "Deployment"));
    let of = |version: &str, kind: &str| {
        health::of(
            &json!({"apiVersion": version, "kind": kind, "data": {"a": "b"}}),
            &rules,
        )
        .status
    };
    assert_eq!(of("example.com/v1", "Widget"), Status::InProgress);
    assert_eq!(of("example.com/v2", "Other"), Status::Current);
    assert_eq!(of("v1", "Secret"), Status::Current);
    assert_eq!(of("v1", "ConfigMap"), Status::InProgress);
}

#[test]
fn equal_rules_have_equal_digests() {
    let a = rule(None, Some("false"), Some("true"));
    let b = RuleSpec { kind: "Other", ..a };
    let digest = |specs: &[RuleSpec<'_>]| Rules::compile(specs).unwrap().digest();
    assert_eq!(digest(&[a, b]), digest(&[b, a]));
    assert_eq!(digest(&[]), Rules::default().digest());
    let all = [
        digest(&[]),
        digest(&[a]),
        digest(&[a, b]),
        digest(&[rule(Some("false"), None, Some("true"))]),
        digest(&[rule(None, None, Some("true"))]),
        digest(&[RuleSpec {
            group: "example.co",
            kind: "mWidget",
            ..a
        }]),
    ];
    for (i, x) in all.iter().enumerate() {
        assert!(all[i + 1..].iter().all(|y| x != y), "digest {i} is there twice");
    }
}

#[test]
fn a_verdict_by_a_rule_quotes_the_condition() {
    let rules = Rules::compile(&[rule(None, Some("true"), None)]).unwrap();
    let object =
        widget(&json!({"conditions": [{"type": "Ready", "status": "False", "message": "no\nluck"}]}));
    let verdict = health::of(&object, &rules);
    assert_eq!((verdict.status, &*verdict.reason), (Status::Failed, "Rule"));
    assert_eq!(&*verdict.message, "The rule's expression failed is true. no luck");
}

#[test]
fn rules_are_shared_between_threads() {
    fn shared<T: Send + Sync + Clone + 'static>(_: &T) {}
    shared(&Rules::default());
}
