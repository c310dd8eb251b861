//! What the engine alone has to show; equality with the real thing is shown by the crate's tests.

use super::*;
use proptest::prelude::*;

const VALUES: [(&str, &str); 3] = [("pw", "hunter2"), ("a-b", "dash"), ("hosts", "a,b,c")];

fn known() -> Known {
    Known::new(VALUES.map(|(key, value)| (key, value.len())))
}

fn render(text: &str) -> Result<String, String> {
    let template = Template::read(text, &known()).map_err(|err| err.to_string())?;
    let values = Values::new(VALUES.map(|(key, value)| (key, value.as_bytes())));
    let out = template.render(&values);
    assert!(
        out.len() <= template.bound(),
        "{text}: {} > {}",
        out.len(),
        template.bound()
    );
    Ok(String::from_utf8(out.to_vec()).unwrap())
}

#[test]
fn what_is_refused_is_named_with_its_line_and_never_quoted() {
    let not_run = |name: &str, why: WhyNot| format!("`{name}` {why}");
    let arguments = |name: &str| format!("`{name}` is given other arguments than it takes here");
    let syntax = "not an action that templates have";
    let unclosed = "an action is not closed";
    let unknown_key = "it refers to a key that neither encryptedData nor template.data has";
    for (text, problem) in [
        ("{{ fail .pw }}", not_run("fail", WhyNot::Fails)),
        (
            "{{ .pw | mustToDate \"x\" }}",
            not_run("mustToDate", WhyNot::Fails),
        ),
        ("{{ randAlphaNum 8 }}", not_run("randAlphaNum", WhyNot::Changes)),
        ("{{ htpasswd .pw .pw }}", not_run("htpasswd", WhyNot::Changes)),
        ("{{ keys . }}", not_run("keys", WhyNot::Changes)),
        ("{{ env \"HOME\" }}", not_run("env", WhyNot::NotUpstream)),
        ("{{ toYaml . }}", not_run("toYaml", WhyNot::NotUpstream)),
        ("{{ define \"x\" }}{{ end }}", not_run("define", WhyNot::Unused)),
        (
            "{{ hunter2 }}",
            "it calls a function that Sealed Secrets does not have either".into(),
        ),
        ("{{ .hunter2 }}", unknown_key.into()),
        ("{{ .hunter2 | b64enc }}", unknown_key.into()),
        ("{{ .hunter2.x }}", unknown_key.into()),
        ("{{ index . \"hunter2\" }}", unknown_key.into()),
        (
            "{{ $hunter2 }}",
            "it uses a variable that is not declared there".into(),
        ),
        (
            "{{ if .pw }}{{ $x := 1 }}{{ end }}{{ $x }}",
            "it uses a variable that is not declared there".into(),
        ),
        (
            "{{ $x = 1 }}",
            "it uses a variable that is not declared there".into(),
        ),
        ("{{ }}", syntax.into()),
        ("{{ .a-b }}", syntax.into()),
        ("{{ .pw .pw }}", syntax.into()),
        ("{{ \"a\"\"b\" }}", syntax.into()),
        ("{{ .pw | .pw }}", syntax.into()),
        ("{{ 'x' }}", syntax.into()),
        ("{{ 010 }}", syntax.into()),
        ("{{ 1.5 }}", syntax.into()),
        ("{{ \"\\q\" }}", syntax.into()),
        ("{{ break }}", not_run("break", WhyNot::Unused)),
        (
            "{{ .pw.x }}",
            "only the object's keys and what `dict` makes have fields".into(),
        ),
        ("{{ .pw", unclosed.into()),
        ("{{ \"}}", unclosed.into()),
        ("{{/* x }}", unclosed.into()),
        ("{{ (.pw }}", unclosed.into()),
        ("{{ if .pw }}x", unclosed.into()),
        ("{{ end }}", "`end` stands where nothing is to be ended".into()),
        ("{{ else }}", "`else` stands where nothing is to be ended".into()),
        ("{{ b64enc 5 }}", arguments("b64enc")),
        ("{{ b64enc }}", arguments("b64enc")),
        ("{{ .pw | trunc \"5\" }}", arguments("trunc")),
        ("{{ eq .pw 5 }}", arguments("eq")),
        ("{{ printf \"%d\" .pw }}", arguments("printf")),
        ("{{ printf \"%s\" }}", arguments("printf")),
        ("{{ printf \"\" .pw }}", arguments("printf")),
        (
            "{{ printf .pw }}",
            "`printf` takes this argument only where it is written out in the template".into(),
        ),
        (
            "{{ repeat (len .pw) \"x\" }}",
            "`repeat` takes this argument only where it is written out in the template".into(),
        ),
        ("{{ range .pw }}{{ end }}", arguments("range")),
        ("{{ coalesce .pw | b64enc }}", arguments("b64enc")),
    ] {
        assert_eq!(render(text), Err(format!("line 1: {problem}")), "{text}");
        let below = render(&format!("\n{{{{ .pw }}}}\n{text}"));
        assert_eq!(below, Err(format!("line 3: {problem}")), "{text}");
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}

/// A few kilobytes of template can ask for gigabytes, or for hours.
#[test]
fn what_could_grow_or_take_long_is_refused_before_it_runs() {
    let large =
        "with values of these lengths the result could be larger than 1 MiB, the most that Kubernetes takes";
    let long = "with values of these lengths it could take too long";
    let deep = "too deeply nested";
    let unsteady = "a variable is set to something that cannot be known beforehand";
    let nested = |open: &str, close: &str, times: usize| open.repeat(times) + &close.repeat(times);
    let over = |inner: &str, times: usize| {
        let (open, close) = (r#"{{ range splitList "," $.hosts }}"#, "{{ end }}");
        open.repeat(times) + inner + &close.repeat(times)
    };
    let doubling = format!("{{{{ $x := .pw }}}}{}", "{{ $x = print $x $x }}".repeat(80));
    for (text, problem) in [
        ("{{ repeat 200000 .pw }}".to_owned(), large),
        (
            r#"{{ $x := repeat 100000 "x" }}{{ repeat 100000 $x }}"#.to_owned(),
            long,
        ),
        ("{{ .pw }}".repeat(200_000), large),
        ("{{/* x */}}{{ \"\" }}".repeat(20_000), ""),
        (doubling, long),
        (over(&"x".repeat(300_000), 1), large),
        (over("x", 4), deep),
        (
            r#"{{ $x := "" }}{{ range splitList "," .hosts }}{{ $x = print $x . }}{{ end }}{{ $x }}"#
                .to_owned(),
            unsteady,
        ),
        (nested("{{ if .pw }}", "{{ end }}", 41), deep),
        (nested("{{ if .pw }}", "{{ end }}", 100_000), deep),
        (
            format!("{{{{ {}.pw{} }}}}", "(".repeat(100_000), ")".repeat(100_000)),
            deep,
        ),
        (
            format!("{{{{ .pw{} }}}}", ".x".repeat(100_000)),
            "not an action that templates have",
        ),
        ("{{ $x := 1 }}".repeat(100_000), long),
        (
            format!(
                "{{{{ if .pw }}}}{}{{{{ end }}}}",
                "{{ else if .pw }}x".repeat(100)
            ),
            deep,
        ),
    ] {
        let result = render(&text);
        if problem.is_empty() {
            assert_eq!(result, Ok(String::new()));
        } else {
            assert_eq!(
                result,
                Err(format!("line 1: {problem}")),
                "{}",
                &text[..text.len().min(80)]
            );
        }
    }
}

/// Whether a template is accepted does not depend on a value: it cannot, since no value is there when it is read. What
/// is left to show is that running it never fails, and that the result is never larger than was said.
#[test]
fn keys_that_are_not_there_can_be_asked_for() {
    for (text, result) in [
        ("{{ default \"x\" .missing }}", "x"),
        ("{{ .missing | default \"x\" | upper }}", "X"),
        ("{{ if .missing }}{{ .missing }}{{ else }}none{{ end }}", "none"),
        ("{{ with .missing }}{{ .x }}{{ else }}none{{ end }}", "none"),
        ("{{ or .missing .pw | b64enc }}", "aHVudGVyMg=="),
        ("{{ coalesce .missing .pw \"x\" | b64enc }}", "aHVudGVyMg=="),
    ] {
        assert_eq!(render(text).as_deref(), Ok(result), "{text}");
    }
}

/// A reader of a status may write templates: none of them may keep a controller busy, checked or run.
#[test]
fn hostile_templates_take_no_time() {
    let large = |text: &str| {
        let known = Known::new([("s", 500_000), ("t", 500_000), ("u", 0)]);
        let template = Template::read(text, &known)?;
        let (s, t) = (vec![b'a'; 499_999], vec![b'a'; 500_000]);
        let part = [&s[..250_000], b"b"].concat();
        let values = Values::new([("s", &part[..]), ("t", &t[..]), ("u", &b""[..])]);
        Ok::<_, TemplateError>(template.render(&values).len())
    };
    let too_much = |text: &str| {
        let problem = large(text).err().map(|err| err.problem);
        let refused = matches!(
            problem,
            Some(TemplateProblem::TooMuchWork | TemplateProblem::TooDeep | TemplateProblem::TooLarge)
        );
        assert!(refused, "{problem:?}: {}", &text[..text.len().min(80)]);
    };
    // Nothing, very often.
    too_much("{{ repeat 9223372036854775807 \"\" }}");
    too_much("{{ repeat 9223372036854775807 .u }}");
    // Each is linear in both texts.
    for text in [
        "{{ if trimAll .s .t }}x{{ end }}",
        "{{ if trimAll .s (replace \"a\" \"b\" .t) }}x{{ end }}",
        "{{ if contains .s .t }}x{{ end }}",
        "{{ if contains .s .t }}{{ end }}{{ if trimall .t .s }}{{ end }}{{ len (trimAll .t .t) }}",
    ] {
        assert!(large(text).is_ok(), "{text}");
    }
    // A map of itself twice, and a list of itself.
    let doubled = "{{ $x = dict \"a\" $x \"b\" $x }}";
    let asked = "{{ if .u }}{{ end }}".repeat(1000);
    too_much(&format!("{{{{ $x := .u }}}}{}{asked}", doubled.repeat(30)));
    too_much(&format!(
        "{{{{ $x := .u }}}}{}",
        "{{ $x = list $x }}".repeat(7000)
    ));
    too_much(&format!(
        "{{{{ $x := .u }}}}{}",
        "{{ $x = ternary (list $x) $x true }}".repeat(7000)
    ));
    let many: Vec<_> = (0..5000).map(|index| format!("(dict \"k{index}\" 1)")).collect();
    let many = many.join(" ");
    too_much(&format!("{{{{ if coalesce {many} 1 }}}}{{{{ end }}}}"));
}

/// One object's templates share one budget.
#[test]
fn many_templates_take_no_more_than_one() {
    let known = Known::new([("s", 1 << 20)]);
    let text = "{{ len (upper .s) }}";
    let read = (0..1000)
        .take_while(|_| Template::read(text, &known).is_ok())
        .count();
    assert!((1..100).contains(&read), "{read}");
}

#[test]
fn an_empty_range_holds_the_list_in_its_variable() {
    for (text, result) in [
        (
            "{{ $x := \"a\" }}{{ range $x := list }}{{ else }}{{ $x }}{{ end }}{{ $x }}",
            "[]a",
        ),
        (
            "{{ range $i, $x := dict }}{{ else }}{{ $i }}{{ $x }}{{ end }}",
            "map[]map[]",
        ),
    ] {
        assert_eq!(render(text).as_deref(), Ok(result), "{text}");
    }
}

/// The lists of refused names and the table of functions have no name in common, and none twice.
#[test]
fn every_name_has_one_answer() {
    let refused = refused::lists()
        .into_iter()
        .flat_map(|(names, _)| names.split_ascii_whitespace());
    let mut names: Vec<_> = functions::all()
        .map(|function| function.name)
        .chain(refused)
        .collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(
        text in "(\\{\\{-?|-?\\}\\}|[ .\"`*/|$a-z0-9():=,%\\\\\n]|if|end|range|with|else|index|printf|\\.pw|\\PC){0,40}"
    ) {
        let _ = render(&text);
    }

    #[test]
    fn words_of_the_language_never_panic(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "{{", "}}", "{{-", "-}}", " ", ".pw", ".", "$x", ":=", "=", "|", "(", ")", "\"a\"", "3", "if", "else",
                "end", "range", "with", "print", "trunc", "splitList", "toJson", "default", "eq", ".hosts", "$", ",",
                "repeat", "b64dec", "quote", "dict", "list", "first", ".missing", "%s", "printf", "\"%5d\"",
            ]),
            0..40,
        )
    ) {
        let _ = render(&words.concat());
        let _ = render(&words.join(" "));
    }
}
