//! Every input with every set of flags that seals whole Secrets.

use super::inputs::{Input, SECRETS, STREAMS};
use super::{Departure, Line};

type Flags = (&'static [&'static str], &'static [(&'static str, &'static str)]);

const FLAGS: [Flags; 21] = [
    (&[], &[]),
    (&["-o", "json"], &[]),
    (&["-oyaml"], &[]),
    (&["--format=YAML"], &[]),
    (&["--scope", "strict"], &[]),
    (&["--scope=namespace-wide"], &[]),
    (&["--scope", "cluster-wide", "-o", "yaml"], &[]),
    (&["--scope", ""], &[]),
    (&["--namespace", "shop"], &[]),
    (&["-nother", "--scope", "cluster-wide"], &[]),
    (&["--context", "bare"], &[]),
    (&["--name", "renamed"], &[]),
    (&["--allow-empty-data"], &[]),
    (
        &[
            "--allow-empty-data=false",
            "-v",
            "5",
            "--logtostderr=false",
            "--stderrthreshold=2",
        ],
        &[],
    ),
    (&["-w", "out.yaml", "-o", "json"], &[]),
    (&["-w", "out.json"], &[]),
    (&["--sealed-secret-file=out", "--format", "yaml"], &[]),
    (
        &[],
        &[
            ("SEALED_SECRETS_SCOPE", "cluster-wide"),
            ("SEALED_SECRETS_FORMAT", "yaml"),
        ],
    ),
    (
        &["--scope", "namespace-wide"],
        &[
            ("SEALED_SECRETS_SCOPE", "cluster-wide"),
            ("SEALED_SECRETS_NAMESPACE", "shop"),
        ],
    ),
    (
        &[],
        &[
            ("SEALED_SECRETS_SCOPE", "wide"),
            ("SEALED_SECRETS_ALLOW_EMPTY_DATA", "perhaps"),
            ("SEALED_SECRETS_V", "x"),
        ],
    ),
    (
        &[],
        &[
            ("SEALED_SECRETS_ALLOW_EMPTY_DATA", "1"),
            ("SEALED_SECRETS_CONTEXT", "bare"),
            ("SEALED_SECRETS_NAME", "renamed"),
        ],
    ),
];

/// Inputs that meet every set of flags; the others meet some of them.
const EVERYWHERE: usize = 8;
const SOME: [usize; 5] = [0, 2, 5, 6, 14];

pub(super) fn all() -> Vec<Line> {
    let mut lines = Vec::new();
    for (number, (args, env)) in FLAGS.iter().enumerate() {
        let inputs = if SOME.contains(&number) {
            SECRETS.len()
        } else {
            EVERYWHERE
        };
        for input in &SECRETS[..inputs] {
            lines.push(line(args, env, input));
        }
        for input in &STREAMS {
            let mut line = line(args, env, input);
            let renames =
                args.contains(&"--name") || env.iter().any(|(name, _)| *name == "SEALED_SECRETS_NAME");
            if renames {
                line.departs = Some((
                    "two Secrets of one name would overwrite each other",
                    Departure::Refuses("--name gives one name, but there are 2 Secrets"),
                ));
            }
            lines.push(line);
        }
    }
    lines
}

fn line(args: &[&str], env: &[(&'static str, &'static str)], input: &Input) -> Line {
    let mut line = Line::new(&[&["--cert", "cert.pem"], args].concat(), input.text);
    line.env.extend(env.iter().copied());
    line.departs = input.departs;
    line
}
