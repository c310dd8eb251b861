//! Templates made at random from the language: what we accept, upstream accepts, and the result is the same.

use super::templates::values;
use super::{Case, ours, upstream};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::json;

const COUNT: usize = 200;

/// Something of any type, or of none.
fn any() -> BoxedStrategy<String> {
    let rare = prop::sample::select(vec![
        ".missing",
        ".",
        "$",
        "0",
        "-2",
        "3",
        "true",
        "false",
        "list",
        "(list .pw \"b\" 3)",
        "(dict \"a\" .pw \"b\" 2)",
    ]);
    prop_oneof![3 => text(), 1 => truth(), 1 => rare.prop_map(str::to_owned)].boxed()
}

fn text() -> BoxedStrategy<String> {
    let names = vec![
        ".pw",
        ".user",
        ".empty",
        ".hosts",
        ".port",
        ".pem",
        ".odd",
        ".uni",
        ".raw",
        ".b64",
        "\"x\"",
        "\"\"",
        "`,`",
        "$x",
        "$.pw",
        "(index . \"a-b\")",
        "(first (splitList \",\" .hosts))",
    ];
    prop::sample::select(names).prop_map(str::to_owned).boxed()
}

fn truth() -> BoxedStrategy<String> {
    (
        prop::sample::select(vec!["eq", "ne", "lt", "ge", "contains", "hasPrefix"]),
        text(),
        text(),
    )
        .prop_map(|(name, a, b)| format!("({name} {a} {b})"))
        .boxed()
}

/// A call whose last argument is a text, without it.
fn text_call() -> BoxedStrategy<String> {
    let plain = prop::sample::select(vec![
        "b64enc",
        "b64dec",
        "html",
        "urlquery",
        "sha256sum",
        "toJson",
        "toPrettyJson",
        "toRawJson",
        "quote",
        "squote",
        "trim",
        "upper",
        "lower",
        "trunc 3",
        "trunc -3",
        "substr 0 4",
        "repeat 2",
        "indent 2",
        "nindent 1",
        "toString",
        "printf \"%s\"",
        "printf \"%q\"",
        "printf \"%6.2s\"",
        "splitList \",\" | join \"-\"",
        "replace \"a\" \"bc\"",
    ]);
    let with_text = (
        prop::sample::select(vec![
            "default",
            "trimAll",
            "trimPrefix",
            "trimSuffix",
            "print",
            "cat",
            "or",
            "and",
            "coalesce",
        ]),
        text(),
    );
    let with_two = (text(), text()).prop_map(|(a, b)| format!("replace {a} {b}"));
    prop_oneof![
        4 => plain.prop_map(str::to_owned),
        2 => with_text.prop_map(|(name, a)| format!("{name} {a}")),
        1 => with_two,
        1 => truth().prop_map(|truth| format!("print {truth}")),
    ]
    .boxed()
}

fn pipeline() -> BoxedStrategy<String> {
    let wild = (
        prop::sample::select(vec![
            "len",
            "not",
            "default \"d\"",
            "list 1",
            "toJson",
            "printf \"%v\"",
            "print 1",
        ]),
        any(),
    );
    prop_oneof![
        6 => (text(), prop::collection::vec(text_call(), 0..4)).prop_map(|(start, calls)| {
            calls.iter().fold(start, |all, call| format!("{all} | {call}"))
        }),
        1 => wild.prop_map(|(name, operand)| format!("{name} {operand}")),
        1 => any(),
    ]
    .boxed()
}

fn template() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        3 => pipeline().prop_map(|pipeline| format!("{{{{ {pipeline} }}}}")),
        1 => pipeline().prop_map(|pipeline| format!(" {{{{- {pipeline} -}}}} \n")),
        1 => pipeline().prop_map(|pipeline| format!("{{{{ $x = {pipeline} }}}}")),
        1 => pipeline().prop_map(|pipeline| format!("{{{{ $x := {pipeline} }}}}")),
        1 => Just("text\n".to_owned()),
    ];
    let node = leaf.prop_recursive(2, 8, 3, |inner| {
        let head = prop_oneof![
            pipeline().prop_map(|pipeline| format!("if {pipeline}")),
            pipeline().prop_map(|pipeline| format!("with {pipeline}")),
            pipeline().prop_map(|pipeline| format!("with $x := {pipeline}")),
            Just("range splitList \",\" $.hosts".to_owned()),
            Just("range $i, $x := list .pw .user".to_owned()),
            Just("range $i, $x := $".to_owned()),
        ];
        let block = (
            head,
            prop::collection::vec(inner.clone(), 0..3),
            prop::option::of(prop::collection::vec(inner, 0..2)),
        );
        block.prop_map(|(head, then, otherwise)| {
            let otherwise =
                otherwise.map_or_else(String::new, |nodes| "{{ else }}".to_owned() + &nodes.concat());
            format!("{{{{ {head} }}}}{}{otherwise}{{{{ end }}}}", then.concat())
        })
    });
    prop::collection::vec(node, 1..4).prop_map(|nodes| format!("{{{{ $x := .user }}}}{}", nodes.concat()))
}

#[test]
fn generated_templates_become_what_upstream_makes_of_them() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = template();
    let mut cases = Vec::new();
    let mut results = Vec::new();
    for _ in 0..COUNT * 10 {
        let text = strategy.new_tree(&mut runner).unwrap().current();
        let case = Case {
            values: values(),
            template: json!({"out": text}),
        };
        // What we refuse needs no equal.
        if let Ok(data) = ours(&case) {
            cases.push(case);
            results.push(data);
        }
        if cases.len() == COUNT {
            break;
        }
    }
    assert_eq!(cases.len(), COUNT, "too few are accepted");
    for ((case, ours), theirs) in cases.iter().zip(results).zip(upstream(&cases)) {
        let text = &case.template["out"];
        let theirs = theirs.unwrap_or_else(|err| panic!("upstream refuses {text}: {err}"));
        let show = |data: &super::Data| data.get("out").map(|out| out.escape_ascii().to_string());
        assert_eq!(show(&ours), show(&theirs), "{text}");
    }
}
