//! A table of templates, each rendered by Sealed Secrets' own code and by ours, with the same values.

// One way of writing for the whole table.
#![allow(clippy::needless_raw_string_hashes)]

use super::{Case, ours, upstream};
use serde_json::json;

/// Values of every kind that a template can meet: text, bytes that are not text, empty, long, with lines and quotes.
pub(super) fn values() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("pw", b"hunter2".to_vec()),
        ("user", b"eve".to_vec()),
        ("a-b", b"dash".to_vec()),
        ("empty", Vec::new()),
        ("hosts", b"db-1:5432,db-2:5432,,db-3".to_vec()),
        ("port", b"5432".to_vec()),
        ("pem", b"-----BEGIN X-----\nMIIB+/=\n-----END X-----\n".to_vec()),
        (
            "odd",
            b" \"q\" 'a' <b> & \\ %s {{ }} \t\x07\x08\x0b\x0c\r\n\x00\x1b\x7f ".to_vec(),
        ),
        (
            "uni",
            "  äÖß İıŉǆ ὰᾳ 漢字 🔑 e\u{301} \u{a0}\u{2028}\u{feff}\u{200b} "
                .as_bytes()
                .to_vec(),
        ),
        (
            "raw",
            b"\xff\xfe\xe4\xb8 a\xc3\x28\xf0\x9f\x94\x91\xed\xa0\x80\xc0\x80\xf4\x90\x80\x80".to_vec(),
        ),
        ("b64", b"aHVudGVyMg==".to_vec()),
        ("num", b"-0042".to_vec()),
        ("true", b"true".to_vec()),
    ]
}

/// What people write, and what the language has. Each must be accepted, and become the same bytes.
pub(super) const ACCEPTED: &[&str] = &[
    // What is seen in repositories: connection strings, docker configurations, configuration files.
    "postgres://{{ .user }}:{{ .pw | urlquery }}@db:{{ .port }}/app",
    r#"{"auths":{"ghcr.io":{"username":"{{ .user }}","password":"{{ .pw }}","auth":"{{ printf "%s:%s" .user .pw | b64enc }}"}}}"#,
    r#"{"auth":"{{ (print .user ":" .pw) | b64enc }}"}"#,
    r#"{"auth":"{{ list .user .pw | join ":" | b64enc }}"}"#,
    r#"{{ dict "auths" (dict "ghcr.io" (dict "username" .user "password" .pw)) | toJson }}"#,
    "password: {{ toJson .odd }}\nuser: {{ .user | quote }}\n",
    "password: {{ .odd | toRawJson }}",
    "cert: |\n{{ .pem | indent 2 }}",
    "cert: |{{ .pem | nindent 4 }}",
    "cert: |\n  {{- .pem | trim | nindent 2 }}\n",
    r#"{{ index . "a-b" }}"#,
    "{{ if .empty }}yes{{ else }}no{{ end }}",
    "{{- if and .user .pw -}}both{{- end -}}",
    r#"{{ if eq .user "eve" }}hello{{ else if eq .user "adam" }}hi{{ else }}who{{ end }}"#,
    r#"{{ if eq .user "x" "eve" }}one of{{ end }}"#,
    r#"{{ with .empty }}{{ . }}{{ else }}{{ .pw }}{{ end }}"#,
    r#"{{ with $x := .user }}{{ $x }}{{ . }}{{ $.pw }}{{ end }}"#,
    r#"{{ with .empty }}a{{ else with .user }}{{ . }}{{ else }}c{{ end }}"#,
    r#"{{ range $i, $h := splitList "," .hosts }}{{ $i }}={{ $h }};{{ end }}"#,
    r#"{{ range splitList "," .hosts }}- {{ . | default "none" }}{{ "\n" }}{{ else }}none{{ end }}"#,
    r#"{{ $first := true }}{{ range splitList "," .hosts }}{{ if not $first }}|{{ end }}{{ . }}{{ $first = false }}{{ end }}"#,
    r#"{{ range $k, $v := . }}{{ $k }}={{ len $v }} {{ end }}"#,
    r#"{{ range $v := . }}{{ len $v }} {{ end }}"#,
    r#"{{ range $k, $v := dict "b" 1 "a" "x" }}{{ $k }}{{ $v }}{{ end }}"#,
    r#"{{ range list }}x{{ else }}empty{{ end }}"#,
    r#"{{ $x := "a" }}{{ range $x := list }}x{{ else }}{{ $x }}{{ end }}{{ $x }}"#,
    r#"{{ $x := "a" }}{{ range $i, $x := list }}x{{ else }}{{ $i }}{{ $x }}{{ end }}{{ $x }}"#,
    r#"{{ $u := .user }}{{ $p := .pw }}{{ printf "%s:{SHA256}%s" $u (sha256sum $p) }}"#,
    r#"{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}"#,
    r#"{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}"#,
    r#"{{ $m := dict "a" (dict "b" .pw) }}{{ $m.a.b }}{{ (index $m "a").b }}{{ $.user }}"#,
    "{{/* a comment }} */}}x{{- /* and\nanother */ -}} y",
    "a \n {{- .pw -}} \t\r\n b",
    "{{\n.pw\n|\nb64enc\n}}",
    "plain } text { here }} and }}",
    "{{ \"{{\" }} {{ `}} \\` }} {{ \"\\\"\\n\\t\\\\\\x41\\u00e4\\U0001F511\\101\\a\" }}",
    "{{ .sibling }}",
    "{{ len .sibling }}",
    "{{ .self }}",
    "{{ true }} {{ false }} {{ 5 }} {{ -7 }} {{ 0 }} {{ \"x\" }}",
    "{{.pw}}{{.user}}",
    "{{.pw|b64enc}}",
    "{{ ( .pw ) }}",
    "{{ ((.pw) | b64enc) }}",
    "{{ print (print .pw) (.user) }}",
    // Choosing.
    r#"{{ default "x" .empty }} {{ default "x" .pw }} {{ .missing | default "x" }} {{ default "x" }}"#,
    r#"{{ default 5 .empty }} {{ default false .pw }}"#,
    r#"{{ coalesce .empty .missing .pw "z" }}|{{ coalesce .empty }}|{{ coalesce .empty "" 0 }}"#,
    r#"{{ ternary "a" "b" true }}{{ eq .pw "x" | ternary "a" "b" }}"#,
    r#"{{ or .empty .pw }} {{ or .empty "" }} {{ and .pw .user }} {{ and .empty .user }} {{ or .missing .pw }} {{ and true 0 }}"#,
    r#"{{ not .empty }} {{ not 5 }} {{ empty .pw }} {{ empty .empty }} {{ empty .missing }} {{ empty 0 }} {{ empty list }}"#,
    r#"{{ if .missing }}a{{ else }}b{{ end }}{{ with .missing }}a{{ else }}b{{ end }}"#,
    // Comparing.
    r#"{{ eq .pw "hunter2" }} {{ ne .pw "x" }} {{ lt .pw .user }} {{ le 1 1 }} {{ gt 2 1 }} {{ ge "a" "b" }} {{ eq true false }}"#,
    r#"{{ contains "unt" .pw }} {{ hasPrefix "hun" .pw }} {{ hasSuffix "2" .pw }} {{ .pw | contains "" }} {{ contains .pw "" }}"#,
    r#"{{ eq (len .pw) 7 }} {{ gt (len .pem) 10 }}"#,
    // Numbers.
    r#"{{ len .uni }} {{ len . }} {{ len (list 1 2) }} {{ len "" }}"#,
    r#"{{ atoi .port }} {{ atoi .num }} {{ atoi .pw }} {{ atoi "+3" }} {{ atoi "" }} {{ atoi "99999999999999999999" }} {{ atoi "-99999999999999999999" }} {{ atoi "1_0" }}"#,
    r#"{{ add 1 2 3 }} {{ add1 5 }} {{ sub 3 5 }} {{ mul 2 3 }} {{ add (atoi .port) 1 }} {{ add }} {{ mul 9223372036854775807 2 }}"#,
    // Formats.
    r#"{{ printf "%s|%10s|%-10s|%.3s|%8.2s|%v" .pw .pw .pw .pw .uni .pw }}"#,
    r#"{{ printf "%d|%5d|%-5d|%05d|%+d|%+05d|%v|%3v" 42 42 42 42 42 42 42 42 }}"#,
    r#"{{ printf "%d|%05d|%-05d" -42 -42 -42 }}"#,
    r#"{{ printf "%q %x %t %% %v %v" .odd .raw true false (list 1 .pw) }}"#,
    r#"{{ printf "%5s|%.1s|%-4s|" .raw .raw "ä" }}"#,
    r#"{{ printf "%v" . }}"#,
    r#"{{ .pw | printf "%s-%s" .user }}"#,
    r#"{{ print 1 2 .pw 3 4 true false }}|{{ print }}|{{ println .pw 1 2 }}|{{ println }}"#,
    r#"{{ cat .pw 5 "x" true }}|{{ cat }}|{{ toString 5 }}|{{ toString .pw }}|{{ toString (list 1 "a") }}"#,
    // Quoting, encoding.
    r#"{{ quote .pw .user 5 }} {{ quote }} {{ squote .pw 5 true }} {{ .empty | quote }}"#,
    "{{ html .odd }}",
    "{{ urlquery .odd }}{{ urlquery .uni }}",
    "{{ .pw | sha1sum }} {{ .pw | sha256sum }} {{ .pw | sha512sum }}",
    r#"{{ .b64 | b64dec }} {{ .raw | b64enc | b64dec | b64enc }}"#,
    // Lists and maps.
    r#"{{ list 1 "a" true (list .pw) }} {{ list }} {{ dict "b" 1 "a" .pw }} {{ dict }}"#,
    r#"{{ first (list .pw .user) }} {{ last (splitList ":" "a:b") }} {{ first list | default "none" }} {{ splitList "," .empty }} {{ splitList "--" "a--b----c" }}"#,
    r#"{{ has .pw (list .user .pw) }} {{ has "x" (splitList "," .hosts) }} {{ sortAlpha (splitList "," .hosts) }}"#,
    r#"{{ join "," (list 1 .pw true) }} {{ splitList "," .hosts | join "\n" }} {{ list | join "-" }}"#,
    r#"{{ toJson . }}"#,
    r#"{{ toPrettyJson . }}"#,
    r#"{{ toRawJson . }}"#,
    r#"{{ toJson (list 1 .odd true (dict)) }} {{ toPrettyJson (dict "a" (list 1 (list) (dict)) "<" (dict "b" .odd)) }} {{ toRawJson "<&>" }} {{ toJson 5 }} {{ toJson true }}"#,
    // Texts.
    r#"{{ repeat 3 .pw }} {{ repeat 0 .pw }} {{ replace "e" "" .pw }} {{ .hosts | replace "," "\n" }} {{ replace "" "-" .uni }} {{ replace "aa" "b" "aaaaa" }}"#,
    r#"{{ trunc 3 .pw }} {{ trunc -3 .pw }} {{ trunc 0 .pw }} {{ trunc 99 .pw }} {{ trunc -99 .pw }} {{ trunc -7 .pw }} {{ trunc 3 .uni }}"#,
    r#"{{ substr 0 3 .pw }} {{ substr 0 99 .pw }} {{ substr 0 -1 .pw }} {{ substr 0 0 .pw }}"#,
    r#"{{ trimSuffix "2" .pw }} {{ trimPrefix "hun" .pw }} {{ trimAll "h2" .pw }} {{ trimall "-" "--a--" }} {{ trimPrefix "x" .pw }} {{ trimAll "" .pw }} {{ trimAll "äß " "ä ßaß ä" }}"#,
    "[{{ trim .odd }}]",
    "[{{ trim .uni }}]",
    "[{{ trim .raw }}]",
    "{{ indent 0 .pem }}{{ indent 3 .empty }}{{ nindent 2 .pem }}",
];

/// Every function over every value: on one text, and as the second of two.
fn swept() -> Vec<Vec<String>> {
    let one = [
        "b64enc",
        "b64dec",
        "html",
        "urlquery",
        "sha1sum",
        "sha256sum",
        "sha512sum",
        "toJson",
        "toRawJson",
        "toPrettyJson",
        "quote",
        "squote",
        "upper",
        "lower",
        "trim",
        "len",
        "atoi",
        "print",
        "println",
        "toString",
        "cat",
        "not",
        "empty",
        "list",
        "default \"d\"",
        "trunc 2",
        "trunc -2",
        "substr 0 2",
        "repeat 2",
        "indent 2",
        "nindent 2",
        "trimAll \" \\x00\"",
        "trimPrefix \" \"",
        "trimSuffix \" \"",
        "replace \"a\" \"bb\"",
        "replace \"\" \"-\"",
        "splitList \":\"",
        "contains \"a\"",
        "hasPrefix \" \"",
        "hasSuffix \" \"",
        "eq \"x\"",
        "lt \"m\"",
        "printf \"%q|%%\"",
        "printf \"%x\"",
        "printf \"%12.4s|\"",
        "printf \"%-3s|\"",
        "printf \"%v\"",
        "coalesce .empty",
        "and .pw",
        "or .empty",
        "sha256sum | trunc 8",
        "splitList \",\" | first",
        "splitList \",\" | last",
        "splitList \"\\n\" | join \"\\\\n\"",
        "b64enc | b64dec",
        "trim | quote",
        "upper | lower",
    ];
    one.map(|call| {
        let text = |name| format!("{{{{ index . \"{name}\" | {call} }}}}");
        values().into_iter().map(|(name, _)| text(name)).collect()
    })
    .to_vec()
}

/// Base64 that is none, in every way.
const BROKEN: &[&str] = &[
    "",
    "=",
    "==",
    "a",
    "ab",
    "abc",
    "a=",
    "ab=",
    "abc=",
    "abcd=",
    "ab==",
    "ab=c",
    "ab= =",
    "ab\\n=\\n=\\n",
    "ab=\\n",
    "ab=\\n\\n",
    "a\\nb\\nc",
    "YQ==YQ==",
    "YQ==\\nx",
    "YQ== ",
    "Y Q==",
    "_-A=",
    "a\\n=",
    "ab\\nc",
    "abc\\n",
    "abc=\\n\\nd",
    "YWJj!",
    "!",
    "YW!j",
    "\\xff",
    "abcde",
    "abcd\\n",
    "\\n\\n",
    "\\r\\n=",
    "YR==",
];

#[test]
fn what_is_accepted_becomes_what_upstream_makes_of_it() {
    let broken = BROKEN
        .iter()
        .map(|text| format!("[{{{{ b64dec \"{text}\" }}}}]"))
        .collect();
    let accepted = ACCEPTED.iter().map(|text| vec![(*text).to_owned()]);
    let cases: Vec<Case> = accepted
        .chain(swept())
        .chain([broken])
        .map(|texts| {
            let mut template = json!({"sibling": "{{ .pw }} as it stands", "self": "{{ len .self }}"});
            for (index, text) in texts.into_iter().enumerate() {
                template[format!("out-{index}")] = text.into();
            }
            Case {
                values: values(),
                template,
            }
        })
        .collect();
    let mut different = Vec::new();
    let mut compared = 0;
    for (case, theirs) in cases.iter().zip(upstream(&cases)) {
        let theirs = theirs.unwrap_or_else(|err| panic!("upstream refuses {}: {err}", case.template));
        let ours = ours(case).unwrap_or_else(|errors| panic!("we refuse {}: {errors:?}", case.template));
        assert!(ours.keys().eq(theirs.keys()), "{}", case.template);
        for (key, ours) in &ours {
            compared += usize::from(key.starts_with("out-"));
            if *ours != theirs[key] {
                let [ours, theirs] = [ours, &theirs[key]].map(|bytes| bytes.escape_ascii().to_string());
                different.push(format!(
                    "{}\n  ours   {ours}\n  theirs {theirs}",
                    case.template[key]
                ));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(compared > 750, "only {compared} are compared");
}

/// Who wins, and what is left out.
#[test]
fn keys_meet_as_upstream_has_them_meet() {
    let cases: Vec<Case> = [
        json!({}),
        json!({"pw": "sealed wins over {{ .user }}", "x": "{{ .pw }}"}),
        json!({"pw": null, "x": "{{ .pw }}"}),
        json!({"pw": null, "user": null}),
        json!({"missing": null}),
        json!({"a": "{{ .b }}", "b": "{{ .a }}"}),
        json!({"x": ""}),
    ]
    .into_iter()
    .map(|template| Case {
        values: vec![("pw", b"hunter2".to_vec()), ("user", b"eve".to_vec())],
        template,
    })
    .collect();
    for (case, theirs) in cases.iter().zip(upstream(&cases)) {
        assert_eq!(ours(case), Ok(theirs.unwrap()), "{}", case.template);
    }
}
