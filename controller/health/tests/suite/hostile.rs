//! Input that means harm: expressions that would run for ever, objects that are nothing of the sort.

use health::{RuleSpec, Rules, Status, Verdict};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn compile(expression: &str) -> Result<Rules, health::RuleError> {
    Rules::compile(&[RuleSpec {
        group: "example.com",
        kind: "Widget",
        in_progress: None,
        failed: None,
        current: Some(expression),
    }])
}

fn widget(status: &Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "status": status})
}

/// About as much as an API server stores: 1.5 MB, in the shapes that cost most.
fn objects() -> Vec<(&'static str, Value)> {
    let deep = (0..100).fold(json!("x"), |inner, _| json!([inner]));
    vec![
        ("numbers", widget(&json!({"list": vec![1; 700_000]}))),
        ("strings", widget(&json!({"list": vec!["a".repeat(100); 14_000]}))),
        (
            "one string",
            widget(&json!({"list": [Value::from("a".repeat(1_400_000))]})),
        ),
        (
            "long strings",
            widget(&json!({"list": vec!["a".repeat(14_000); 100]})),
        ),
        (
            "maps",
            widget(&json!({"list": vec![json!({"type": "Ready", "status": "True"}); 40_000]})),
        ),
        ("lists", widget(&json!({"list": vec![vec![1; 700]; 1000]}))),
        ("deep", widget(&json!({"list": vec![deep; 6000]}))),
    ]
}

/// The same expression joined until it is as long as may be.
fn repeat(part: &str, joint: &str) -> String {
    let times = (2040 + joint.len()) / (part.len() + joint.len());
    vec![part; times].join(joint)
}

fn expressions() -> Vec<String> {
    let filled = |around: &str, part: &str, joint: &str| {
        let times = (2040 - around.len()) / (part.len() + joint.len());
        around.replace('#', &vec![part; times].join(joint))
    };
    let numbers = |n: usize| vec!["1"; n].join(",");
    vec![
        "status.list.all(a, a == a)".into(),
        "status.list.all(a, status.list.all(b, a == b))".into(),
        "status.list.exists(a, status.list.exists(b, a != b))".into(),
        "status.list.filter(a, true).filter(a, true).all(b, status.list.filter(a, true) == status.list)"
            .into(),
        "status.list.all(a, status == status)".into(),
        "status.list.all(a, status.list.size() in status.list)".into(),
        "status.list.all(a, a in status.list)".into(),
        repeat("self==self", "&&"),
        repeat("self!=status", "&&"),
        repeat("status.list.all(a,true)", "&&"),
        filled("status.list.all(a,#)", "a==a", "&&"),
        filled("status.list.all(a,status.list.all(b,#))", "a==b||true", "&&"),
        filled("status.list.all(a,#)", "!a.contains('b')", "&&"),
        filled("status.list.all(a,#)", "size(a)>=0", "&&"),
        filled("status.list.all(a,#)", "string(a)!=''", "&&"),
        filled(
            "status.list.all(a,status.list.all(b,#))",
            "!string(a).contains('b')||true",
            "&&",
        ),
        filled("status.list.all(a,#)", "1<2", "&&"),
        filled("status.list.all(a,#)", "[a]==[a]", "&&"),
        filled("status.list.all(a,#)", "(a<1||true)", "&&"),
        filled("status.list.all(a,#)", "(a.b||true)", "&&"),
        filled("status.list.all(a,[#].all(b,b<2))", "1", ","),
        format!("[{0}].all(a,[{0}].all(b,a<b||true))", numbers(30)),
        format!("status.list.all(a,[{0}].all(b,[{0}].size()>b))", numbers(90)),
        format!("[{0}].all(b,status.list.all(a,a<b||true))", numbers(500)),
        format!("status.list.all(x, x in [{}] || true)", numbers(990)),
    ]
}

/// The times are printed, and are what `expression.rs` speaks of: `cargo test -p health --profile quick hostile --
/// --nocapture`. What is asserted is that it ends, and that the quadratic is refused.
#[test]
fn no_expression_takes_long() {
    let mut all = Vec::new();
    // Unoptimised it takes five times as long, so some have to do.
    let (step, debug) = if cfg!(debug_assertions) {
        (4, true)
    } else {
        (1, false)
    };
    for expression in expressions().into_iter().skip(usize::from(debug)).step_by(step) {
        let rules = compile(&expression).unwrap();
        let some = |name| !debug || name == "maps";
        for (name, object) in objects().into_iter().filter(|(name, _)| some(*name)) {
            let start = Instant::now();
            let verdict = health::of(&object, &rules);
            all.push((start.elapsed(), name, verdict.status, expression.clone()));
        }
    }
    all.sort_by_key(|one| std::cmp::Reverse(one.0));
    for (time, name, status, expression) in all.iter().take(12) {
        println!(
            "{time:>12?} {name:<12} {status:<12} {}",
            expression.get(..80).unwrap_or(expression)
        );
    }
    for (_, name, status, expression) in all {
        let quadratic = expression.starts_with("status.list.all(a, status.list.all");
        assert!(
            !quadratic || !["maps", "strings"].contains(&name) || status == Status::Unknown,
            "{name}"
        );
    }
}

#[test]
fn loops_over_literals_are_counted_before() {
    let list = |n: usize| vec!["1"; n].join(",");
    for (source, fine) in [
        (format!("[{0}].all(a,[{0}].all(b,a<b||true))", list(30)), true),
        (format!("[{0}].all(a,[{0}].all(b,a<b||true))", list(400)), false),
        (
            format!("[{0}].filter(c,true).all(a,[{0}].all(b,a<b||true))", list(400)),
            false,
        ),
        (
            format!("[{0}].all(a,[a,a].all(b,[[{0}]][0].size()>b))", list(400)),
            false,
        ),
    ] {
        assert_eq!(compile(&source).is_ok(), fine, "{}", &source[..40]);
    }
}

#[test]
fn too_costly_is_said() {
    let rules = compile("status.list.all(a, status.list.all(b, a == b))").unwrap();
    let verdict = health::of(&widget(&json!({"list": vec![1; 5000]})), &rules);
    assert_eq!(
        (verdict.status, &*verdict.reason),
        (Status::Unknown, "RuleFailed")
    );
    assert!(
        verdict.message.contains("too long over this object"),
        "{}",
        verdict.message
    );
    let verdict = health::of(&widget(&json!({"list": vec![1; 200]})), &rules);
    assert_eq!(verdict.status, Status::Current);
    // A long body that reads nothing is paid for by the turn.
    let rules = compile(&format!("status.list.all(a,{})", ["1<2"; 400].join("&&"))).unwrap();
    let verdict = health::of(&widget(&json!({"list": vec![1; 5000]})), &rules);
    assert_eq!(verdict.status, Status::Unknown);
}

#[test]
fn no_source_takes_long_to_compile() {
    let mut worst = (Duration::ZERO, String::new());
    let parts = [
        "(",
        "[",
        "{",
        "!",
        "-",
        "a.",
        "a?",
        "a?b:",
        "1+",
        "a&&",
        "'",
        "\"\\",
        "!(",
        "a(",
        "\u{1f600}",
    ];
    let repeated = parts
        .iter()
        .flat_map(|part| [repeat(part, ""), repeat(part, " "), repeat(part, "1")]);
    for source in repeated.chain(expressions()) {
        let start = Instant::now();
        let _ = compile(&source);
        worst = worst.max((start.elapsed(), source));
    }
    println!("{:?} to compile {}", worst.0, worst.1.get(..20).unwrap_or(""));
}

fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        "[a-zA-Z]{0,8}",
        ".{0,300}",
        Just("True".to_owned()),
        Just("False".to_owned()),
        Just("Ready".to_owned()),
        Just("Running".to_owned()),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    let key = prop_oneof![
        word,
        proptest::sample::select(vec![
            "metadata",
            "spec",
            "status",
            "conditions",
            "type",
            "reason",
            "message",
            "generation",
            "observedGeneration",
            "replicas",
            "updateStrategy",
            "rollingUpdate",
            "partition",
            "phase",
            "containerStatuses",
            "state",
            "waiting",
            "terminated",
            "exitCode",
            "parents",
            "listeners",
            "annotations",
            "suspend",
            "paused",
            "readyReplicas",
            "updatedReplicas",
            "availableReplicas",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(6, 96, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..8)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

fn kinds() -> Vec<(&'static str, &'static str)> {
    vec![
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "ReplicaSet"),
        ("v1", "Pod"),
        ("v1", "Service"),
        ("v1", "Secret"),
        ("batch/v1", "Job"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("argoproj.io/v1alpha1", "Rollout"),
        ("cert-manager.io/v1", "Certificate"),
        ("cluster.x-k8s.io/v1beta1", "Machine"),
        ("flagger.app/v1beta1", "Canary"),
        ("gateway.networking.k8s.io/v1", "HTTPRoute"),
        ("gateway.networking.k8s.io/v1", "Gateway"),
        ("kafka.strimzi.io/v1", "Kafka"),
        ("postgresql.cnpg.io/v1", "Cluster"),
        ("example.com/v1", "Widget"),
    ]
}

fn is_sound(verdict: &Verdict) -> bool {
    verdict.message.len() <= 256
        && !verdict.message.contains(char::is_control)
        && !verdict.reason.is_empty()
        && verdict.reason.len() <= 64
        && verdict.reason.bytes().all(|b| b.is_ascii_alphanumeric())
}

proptest! {
    #[test]
    fn any_value_has_a_verdict(object in any_json()) {
        prop_assert!(is_sound(&health::of(&object, &Rules::default())));
    }

    #[test]
    fn any_object_of_a_known_kind_has_a_verdict(
        kind in proptest::sample::select(kinds()),
        metadata in any_json(),
        spec in any_json(),
        status in any_json(),
    ) {
        let object = json!({
            "apiVersion": kind.0, "kind": kind.1, "metadata": metadata, "spec": spec, "status": status,
        });
        let rules = compile("status.conditions.all(c, c.type == spec.x || c == metadata)").unwrap();
        for rules in [Rules::default(), rules] {
            prop_assert!(is_sound(&health::of(&object, &rules)));
        }
    }

    /// The parser's panics, if it has any, stay inside.
    #[test]
    fn any_text_compiles_or_not(source in "[a-z0-9.'\"\\\\()\\[\\]{}?:!&|+ -]{0,60}") {
        if let Err(error) = compile(&source) {
            prop_assert!(error.message.len() <= 256 && !error.message.contains(char::is_control));
        }
    }

    #[test]
    fn any_bytes_compile_or_not(source in ".{0,40}") {
        let _ = compile(&source);
    }
}
