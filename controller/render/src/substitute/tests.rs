use proptest::prelude::*;
use serde_json::json;

use super::eval::MAX_BYTES;
use super::parse::MAX_PIECES;
use super::*;

const SECRET: &str = "hunter2";

fn variables() -> Variables {
    let mut variables = Variables::new([7; 32]);
    for (name, value) in [
        ("v", "abcdEFGH28ij"),
        ("caps", "ABC"),
        ("path", "/home/bozo/ideas/thoughts.for.today"),
        ("file", "bash.string.txt"),
        ("z", "abcABC123ABCabc"),
        ("slashes", "foo/bar/baz"),
        ("empty", ""),
        ("other", "foo"),
        ("umlaut", "äöü"),
        ("quote", "\""),
        ("apostrophe", "'"),
        ("n", "80"),
        ("yes", "true"),
        ("colon", "a: b"),
        ("break", "x\nkind: ClusterRole"),
        ("braces", "} { ] [ , # & * ! | > ' \" % @ `"),
        ("dashes", "\n---\napiVersion: v1"),
        ("null", "null"),
        ("more", "${v}"),
    ] {
        variables.set(name, value, false).unwrap();
    }
    variables.set("pin", SECRET, true).unwrap();
    variables
}

fn expand(text: &str) -> Result<String, Fault> {
    let variables = variables();
    let pieces = parse::parse(text)?;
    Evaluation::new(&variables).text(&pieces)
}

/// The objects of a document, or what is wrong with it.
fn document(text: &str) -> Vec<Result<Object, ManifestError>> {
    let limits = Limits::default();
    let value = manifest::read_document(text.as_bytes(), &limits).unwrap();
    let origin = Origin {
        file: "a.yaml".into(),
        document: 1,
        item: None,
        line: 1,
    };
    objects(value, text.as_bytes(), &origin, &limits, Some(&variables()))
}

fn object(fields: &str) -> Value {
    let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\n{fields}");
    let mut found = document(&text);
    assert_eq!(found.len(), 1);
    found
        .remove(0)
        .unwrap_or_else(|error| panic!("{error}"))
        .manifest
        .object
}

fn error(text: &str) -> String {
    let found = document(text).remove(0).map(|_| ());
    let error = found.unwrap_err();
    format!("{} ({})", error.kind, error.hint().unwrap_or_default())
}

#[test]
fn functions() {
    for (text, expected) in [
        ("abcdEFGH28ij", "abcdEFGH28ij"),
        ("${v}", "abcdEFGH28ij"),
        ("a${other}b${n}c", "afoob80c"),
        ("${#v}", "12"),
        ("${#umlaut}", "3"),
        ("${v^}", "AbcdEFGH28ij"),
        ("${v^^}", "ABCDEFGH28IJ"),
        ("${caps,}", "aBC"),
        ("${caps,,}", "abc"),
        ("${empty^}", ""),
        ("${umlaut^^}", "ÄÖÜ"),
        ("${path:11}", "ideas/thoughts.for.today"),
        ("${path:11:5}", "ideas"),
        ("${path: -5}", "today"),
        ("${path:11:-6}", "ideas/thoughts.for"),
        ("${path:99}", ""),
        ("${caps:1:99}", "BC"),
        ("${caps:1:-3}", ""),
        ("${caps: -9:2}", "AB"),
        ("${umlaut:1:1}", "ö"),
        ("${v=xyz}", "abcdEFGH28ij"),
        ("${unset=xyz}", "xyz"),
        ("${unset:=xyz}", "xyz"),
        ("${unset-xyz}", "xyz"),
        ("${unset:-xyz}", "xyz"),
        ("${unset:-}", ""),
        ("${empty=xyz}", "xyz"),
        ("${empty:-xyz}", "xyz"),
        ("${unset=${other}}", "foo"),
        ("${unset:=a${other}-b}", "afoo-b"),
        ("${unset:-${unset2:-${v^^}}}", "ABCDEFGH28IJ"),
        ("${v:-${unset}}", "abcdEFGH28ij"),
        ("${unset:-a:b/c#d%e}", "a:b/c#d%e"),
        ("${z/%abc/XYZ}", "abcABC123ABCXYZ"),
        ("${z/#abc/XYZ}", "XYZABC123ABCabc"),
        ("${z/#ABC/XYZ}", "abcABC123ABCabc"),
        ("${other/#/a-}", "a-foo"),
        ("${other/%/-a}", "foo-a"),
        ("${z//abc/xyz}", "xyzABC123ABCxyz"),
        ("${z/abc/xyz}", "xyzABC123ABCabc"),
        ("${z//abc}", "ABC123ABC"),
        ("${file/./}", "bashstring.txt"),
        ("${file//./${n}}", "bash80string80txt"),
        ("${z///x}", "abcABC123ABCabc"),
        ("${slashes/\\//-}", "foo-bar/baz"),
        ("${slashes//\\//-}", "foo-bar-baz"),
        ("${slashes/bar/a/b}", "foo/a/b/baz"),
        ("${file#*.}", "string.txt"),
        ("${file##*.}", "txt"),
        ("${file%.*}", "bash.string"),
        ("${file%%.*}", "bash"),
        ("${slashes##*/}", "baz"),
        ("${path#*/}", "home/bozo/ideas/thoughts.for.today"),
        ("${file#${unset:-ba}}", "sh.string.txt"),
        // What is no variable.
        ("$v $(v) $$ $$(v) {v} }", "$v $(v) $$ $$(v) {v} }"),
        ("$${v}", "${v}"),
        ("${n}$${x$${v}$v${n}", "80${x${v}$v80"),
        ("a $${x=${other}}", "a ${x=foo}"),
        ("\\\\a ${other}", "\\\\a foo"),
        // Values are not read again.
        ("${more}", "${v}"),
    ] {
        assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_not_set_or_not_known() {
    let not_set = |name: &str| Fault::NotSet(name.into());
    for text in [
        "${unset}",
        "${#unset}",
        "${unset^^}",
        "${unset,}",
        "${unset:0}",
        "${unset:0:1}",
        "${unset/a/b}",
        "${unset//a/b}",
        "${unset#a}",
        "${unset%%a}",
        "${x:-${unset}}",
    ] {
        assert_eq!(expand(text), Err(not_set("unset")), "{text}");
    }
    for (text, expected) in [
        ("${", Fault::NoName),
        ("${}", Fault::NoName),
        ("${1}", Fault::NoName),
        ("${ v}", Fault::NoName),
        ("${!v}", Fault::NoName),
        ("${#}", Fault::NoName),
        ("${v", Fault::NotClosed),
        ("${v:-x", Fault::NotClosed),
        ("${v:-${other}", Fault::NotClosed),
        ("${v/a/b", Fault::NotClosed),
        ("${v:+x}", Fault::Unsupported("v".into(), ":+")),
        ("${v+x}", Fault::Unsupported("v".into(), "+")),
        ("${v:?x}", Fault::Unsupported("v".into(), ":?")),
        ("${v?x}", Fault::Unsupported("v".into(), "?")),
        ("${v[@]}", Fault::Unknown("v".into())),
        ("${v@Q}", Fault::Unknown("v".into())),
        ("${v^^x}", Fault::Unknown("v".into())),
        ("${v:x}", Fault::NotANumber("v".into())),
        ("${v:}", Fault::NotANumber("v".into())),
        ("${v:1:x}", Fault::NotANumber("v".into())),
        ("${v#[a}", Fault::Pattern("v".into())),
    ] {
        assert_eq!(expand(text), Err(expected), "{text}");
    }
    let deep = |depth: usize| expand(&("${x:-".repeat(depth) + &"}".repeat(depth)));
    assert_eq!(deep(16), Ok(String::new()));
    assert!(matches!(deep(17), Err(Fault::TooDeep { .. })));
    assert!(matches!(deep(100_000), Err(Fault::TooDeep { .. })));
    for many in ["${x:-}", "$${"] {
        assert!(matches!(
            expand(&many.repeat(MAX_PIECES + 1)),
            Err(Fault::TooMany { .. })
        ));
        assert!(expand(&many.repeat(MAX_PIECES / 2)).is_ok());
    }
}

#[test]
fn what_is_not_set_may_be_left_alone() {
    let mut variables = variables();
    variables.allow_unset(true);
    let expand = |text: &str| {
        let pieces = parse::parse(text)?;
        Evaluation::new(&variables).text(&pieces)
    };
    for (text, expected) in [
        ("a ${unset} ${n}", "a ${unset} 80"),
        ("${#unset}${unset/\\//${n}}", "${#unset}${unset/\\//${n}}"),
        ("${x:-${unset^^}}", "${unset^^}"),
        ("${x:-d}", "d"),
        ("${n}ä${unset:1}ä", "80ä${unset:1}ä"),
    ] {
        assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
    }
    assert_eq!(expand("${1}"), Err(Fault::NoName));
}

#[test]
fn output_and_work_are_bounded() {
    let mut variables = Variables::new([0; 32]);
    variables.set("a", &"a".repeat(1 << 20), false).unwrap();
    let expand = |text: &str| {
        let pieces = parse::parse(text).unwrap();
        Evaluation::new(&variables).text(&pieces).map(|text| text.len())
    };
    assert_eq!(expand("${a}${a}${a}"), Ok(3 << 20));
    let too_much = Err(Fault::TooMuch { limit: MAX_BYTES });
    for text in [
        "${a}${a}${a}${a}${a}",
        "${a//a/${a}}",
        "${a//a/xxxxxx}",
        "${a^^}${a^^}",
        "${x:-${a}${a}${a}}${a}${a}",
    ] {
        assert_eq!(expand(text), too_much, "{text}");
    }
    assert_eq!(expand(&format!("${{a##{}b}}", "*a".repeat(1000))), too_much);
}

#[test]
fn numbers_and_strings() {
    let found = object(
        "a: ${n}\nb: \"${n}\"\nc: '${yes}'\nd: ${yes}\ne: 1${n}\nf: |\n  ${n}\ng: ${empty}\nh: ${null}\ni: -${n}\nj: ${unset:=3}\n",
    );
    let expected = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"},
        "a": 80, "b": "80", "c": "true", "d": true, "e": 180, "f": "80\n", "g": null, "h": null, "i": -80, "j": 3});
    assert_eq!(found, expected);
    // The same with the line ends of Windows.
    assert_eq!(
        object("a: ${n}\r\nb: |\r\n  ${other}\r\nc: \"${n}\"\r\n")["c"],
        "80"
    );
    assert_eq!(object("a: ${n}\r\nb: |\r\n  ${other}\r\n")["b"], "foo\n");
    // JSON has quotes around all texts.
    let text = r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "a": "${n}"}"#;
    assert_eq!(
        document(text)
            .remove(0)
            .map(|found| found.manifest.object["a"].clone()),
        Ok(json!("80"))
    );
}

#[test]
fn fluxs_way_to_quote() {
    let found = object(
        "a: ${quote}${n}${quote}\nb: ${apostrophe}${yes}${apostrophe}\nc: ${quote}${n}\nd: ${quote}${n}${apostrophe}\ne: \"${quote}${n}${quote}\"\nf: ${quote}${quote}\n",
    );
    for (field, expected) in [
        ("a", "80"),
        ("b", "true"),
        ("c", "\"80"),
        ("d", "\"80'"),
        ("e", "\"80\""),
        ("f", ""),
    ] {
        assert_eq!(found[field], expected, "{field}");
    }
}

#[test]
fn a_value_never_becomes_structure() {
    let found = object(
        "a: ${break}\nb: ${braces}\nc: ${dashes}\nd: ${colon}\ne: [\"${braces}\", x]\n\"${colon}\": 1\n",
    );
    let fields = found.as_object().unwrap();
    let names: Vec<_> = fields.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["a", "a: b", "apiVersion", "b", "c", "d", "e", "kind", "metadata"]
    );
    assert_eq!(found["a"], "xkind: ClusterRole");
    assert_eq!(found["b"], "} { ] [ , # & * ! | > ' \" % @ `");
    assert_eq!(found["c"], "---apiVersion: v1");
    assert_eq!(found["e"].as_array().unwrap().len(), 2);
    assert_eq!(found["kind"], "ConfigMap");
    assert_eq!(
        error("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n${other}: 1\nfoo: 2\n")
            .split(',')
            .next(),
        Some("two keys become the same when variables are replaced")
    );
}

#[test]
fn names_hold_variables_and_annotations_turn_them_off() {
    let named = document(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"web-${other}\", namespace: \"${other}\"}\n",
    );
    assert_eq!(
        named[0]
            .as_ref()
            .map(|found| found.manifest.id.to_string())
            .unwrap(),
        "ConfigMap foo/web-foo"
    );
    for off in [
        "annotations: {signet.dev/substitute: disabled}",
        "annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}",
        "labels: {kustomize.toolkit.fluxcd.io/substitute: disabled}",
    ] {
        let found = object(&format!(
            "data: {{a: \"${{unset}}\"}}\nmetadata: {{name: x, {off}}}\n"
        ));
        assert_eq!(found["data"]["a"], "${unset}", "{off}");
    }
    let list = "apiVersion: v1\nkind: List\nitems:\n\
                - {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {x: \"${other}\"}}\n\
                - {apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: {x: \"${unset}\"}}\n\
                - {apiVersion: v1, kind: ConfigMap, metadata: {name: c, annotations: {signet.dev/substitute: disabled}}, data: {x: \"${unset}\"}}\n";
    let found = document(list);
    let data: Vec<_> = found
        .iter()
        .map(|found| {
            found
                .as_ref()
                .ok()
                .map(|found| found.manifest.object["data"]["x"].clone())
        })
        .collect();
    assert_eq!(data, [Some(json!("foo")), None, Some(json!("${unset}"))]);
    assert_eq!(
        found[1].as_ref().map(|_| ()).unwrap_err().to_string(),
        "a.yaml document 1 item 2: the variable `unset` is not set, in data.x"
    );
}

#[test]
fn what_is_sealed_natively_is_left_alone() {
    let sealed = |api_version: &str| {
        let text = format!(
            "apiVersion: {api_version}\nkind: SealedSecret\nmetadata: {{name: \"${{other}}\"}}\nspec: {{template: {{data: {{url: \"${{password}}\"}}}}}}\n"
        );
        document(&text).remove(0).map(|found| {
            (
                found.manifest.id.name,
                found.manifest.object["spec"]["template"]["data"]["url"].clone(),
            )
        })
    };
    assert_eq!(
        sealed("signet.dev/v1alpha1"),
        Ok(("foo".into(), json!("${password}")))
    );
    assert!(sealed("bitnami.com/v1alpha1").is_err());
}

#[test]
fn secrets_are_known_and_stay_out_of_what_is_shown() {
    let text = |field: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata:\n  a: \"{field}\"\n")
    };
    for (field, secret) in [
        ("${pin}", true),
        ("${#pin}", true),
        ("${x:-${pin}}", true),
        ("${pin:-x}", true),
        ("${v}", false),
        ("${v:-${pin}}", false),
        ("$${pin}", false),
    ] {
        let found = document(&text(field)).remove(0).ok().unwrap();
        assert_eq!(found.secret, secret, "{field}");
    }
    for shown in [
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"${pin}\"}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: \"${pin}\"}\n",
        "apiVersion: v1\nkind: \"${pin}\"\nmetadata: {name: x}\n",
        "apiVersion: \"${pin}\"\nkind: ConfigMap\nmetadata: {name: x}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {\"${pin}\": x}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, annotations: {signet.dev/wave: \"${pin}\"}}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, labels: {kustomize.toolkit.fluxcd.io/prune: \"${pin}\"}}\n",
    ] {
        let error = error(shown);
        assert!(
            error.contains("the variable `pin` is secret") && !error.contains(SECRET),
            "{error}"
        );
    }
    let allowed = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, annotations: {host: \"${pin}\"}}\n";
    assert!(document(allowed).remove(0).is_ok_and(|found| found.secret));
}

#[test]
fn faults_hold_no_values() {
    for bad in [
        "${pin:x${pin}}",
        "${pin:${pin}}",
        "${pin#[${pin}}",
        "${pin:1:${pin}}",
        "${pin+${pin}}",
        "${pin}${unset}",
        "${pin}${",
    ] {
        let error = error(&format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata: {{a: '{bad}'}}\n"
        ));
        assert!(error.contains("data.a") && !error.contains(SECRET), "{error}");
    }
    // A secret where a mapping has to be: the type is said, not the value.
    let error = error("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, labels: \"${pin}\"}\n");
    assert!(
        error.contains("metadata.labels") && !error.contains(SECRET),
        "{error}"
    );
}

#[test]
fn digests_of_secrets_are_keyed() {
    let value = json!({"a": SECRET});
    let plain = manifest::digest(&value);
    let set = variables();
    assert_eq!(digest(&value, false, Some(&set)), plain);
    assert_eq!(digest(&value, true, None), plain);
    let keyed = digest(&value, true, Some(&set));
    assert_ne!(keyed, plain);
    assert_ne!(keyed, digest(&value, true, Some(&Variables::new([8; 32]))));
    assert_ne!(keyed, digest(&json!({"a": "x"}), true, Some(&set)));
}

proptest! {
    #[test]
    fn any_text_is_expanded_or_refused(text in r"([$]{1,2}[{]|[}#%/:^,=+?*\\-]|\[|\]|!|v|pin|unset|z|[a-z0-9 äß]|\PC){0,40}") {
        match expand(&text) {
            Ok(out) => prop_assert!(out.len() <= MAX_BYTES),
            Err(fault) => prop_assert!(!fault.to_string().contains(SECRET) && !fault.hint().is_empty()),
        }
    }

    #[test]
    fn a_text_without_variables_is_itself(text in r"([$][^{]|[^$]){0,60}") {
        prop_assume!(!text.contains(manifest::VARIABLE));
        prop_assert_eq!(expand(&text), Ok(text));
    }

    #[test]
    fn any_value_stays_in_its_place(value in r#"(\PC|[\n\t{}\[\]:#&*!|>'"%@`$-]){0,40}"#) {
        let mut variables = Variables::new([0; 32]);
        variables.set("v", &value, false).unwrap();
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\na: ${v}\nb: \"${v}\"\nc: 'x${v}y'\nd:\n- ${v}\n- |\n  ${v}\n";
        let limits = Limits::default();
        let read = manifest::read_document(text.as_bytes(), &limits).unwrap();
        let origin = Origin { file: "a".into(), document: 1, item: None, line: 1 };
        let mut found = objects(read, text.as_bytes(), &origin, &limits, Some(&variables));
        prop_assert_eq!(found.len(), 1);
        let object = found.remove(0).ok().unwrap().manifest.object;
        let line = value.replace("\r\n", "").replace('\n', "");
        prop_assert_eq!(object.as_object().unwrap().len(), 7);
        prop_assert!(!object["a"].is_object() && !object["a"].is_array());
        prop_assert_eq!(object["b"].as_str(), Some(line.as_str()));
        let between = format!("x{line}y");
        prop_assert_eq!(object["c"].as_str(), Some(between.as_str()));
        prop_assert_eq!(object["d"].as_array().map(Vec::len), Some(2));
        prop_assert_eq!(&object["d"][0], &object["a"]);
    }
}
