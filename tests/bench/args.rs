//! The command line.

const USAGE: &str = "usage: bench [--objects N] [--syncs N] [--paths N] [--pushes N] [--commits N] [--seconds N] [--only NAME]... [--output markdown|json]
NAME is one of floor, kubectl, apply, request, commit, drift, rest, restart, lost, sealed, many, ten, paths, push, history, seal, open, bitnami, reseal;
what it needs runs too, unreported";

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Floor,
    Kubectl,
    Apply,
    Request,
    Commit,
    Restart,
    Drift,
    Rest,
    Lost,
    Sealed,
    Many,
    Ten,
    Paths,
    Push,
    History,
    Seal,
    Open,
    Bitnami,
    Reseal,
}

impl Case {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "floor" => Self::Floor,
            "kubectl" => Self::Kubectl,
            "apply" => Self::Apply,
            "request" => Self::Request,
            "commit" => Self::Commit,
            "restart" => Self::Restart,
            "drift" => Self::Drift,
            "rest" => Self::Rest,
            "lost" => Self::Lost,
            "sealed" => Self::Sealed,
            "many" => Self::Many,
            "ten" => Self::Ten,
            "paths" => Self::Paths,
            "push" => Self::Push,
            "history" => Self::History,
            "seal" => Self::Seal,
            "open" => Self::Open,
            "bitnami" => Self::Bitnami,
            "reseal" => Self::Reseal,
            _ => return None,
        })
    }
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Args {
    /// ConfigMaps of the one Sync, and of the ten, and sealed values; a tenth as many SealedSecrets and single edits.
    pub(crate) objects: usize,
    /// Syncs of four objects.
    pub(crate) syncs: usize,
    /// Syncs of one object, of which a commit touches one.
    pub(crate) paths: usize,
    /// Pushes that a webhook tells of; a fifth as many that a poll finds.
    pub(crate) pushes: usize,
    /// Commits of the long history, 10 kB each.
    pub(crate) commits: usize,
    /// How long the controller is watched at rest.
    pub(crate) seconds: u64,
    pub(crate) json: bool,
    only: Vec<Case>,
}

impl Args {
    pub(crate) fn parse(words: &[String]) -> Result<Self, String> {
        let mut args = Self {
            objects: 10_000,
            syncs: 300,
            paths: 1000,
            pushes: 100,
            commits: 10_000,
            seconds: 60,
            json: false,
            only: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = words.next().map(String::as_str);
            match (word.as_str(), value) {
                ("--objects", Some(number)) => args.objects = within(word, number, 50, 100_000)?,
                ("--syncs", Some(number)) => args.syncs = within(word, number, 2, 10_000)?,
                ("--paths", Some(number)) => args.paths = within(word, number, 2, 10_000)?,
                ("--pushes", Some(number)) => args.pushes = within(word, number, 5, 10_000)?,
                ("--commits", Some(number)) => args.commits = within(word, number, 2, 100_000)?,
                ("--seconds", Some(number)) => args.seconds = within(word, number, 1, 3600)? as u64,
                ("--only", Some(name)) => args.only.push(Case::named(name).ok_or_else(|| USAGE.to_owned())?),
                ("--output", Some("json")) => args.json = true,
                ("--output", Some("markdown")) => args.json = false,
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(args)
    }

    pub(crate) fn wants(&self, case: Case) -> bool {
        self.only.is_empty() || self.only.contains(&case)
    }

    /// Whether a cluster without a controller is needed.
    pub(crate) fn plain(&self) -> bool {
        self.wants(Case::Floor) || self.wants(Case::Kubectl)
    }

    /// Whether the controller is needed on the cluster of the floor.
    pub(crate) fn controls(&self) -> bool {
        self.applies() || self.wants(Case::Sealed)
    }

    /// Whether the large Sync is needed.
    pub(crate) fn applies(&self) -> bool {
        use Case::{Apply, Commit, Drift, Lost, Request, Rest, Restart};
        [Apply, Request, Commit, Drift, Rest, Restart, Lost]
            .into_iter()
            .any(|case| self.wants(case))
    }
}

fn within(word: &str, number: &str, least: usize, most: usize) -> Result<usize, String> {
    let parsed = number.parse().ok().filter(|n| (least..=most).contains(n));
    parsed.ok_or_else(|| format!("{word} takes a number from {least} to {most}\n{USAGE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Args::parse(&words)
    }

    #[test]
    fn what_is_asked_for_is_done_and_no_more() {
        let all = parse("").unwrap();
        assert!(all.wants(Case::Drift) && all.applies() && all.plain());
        let some = parse("--objects 200 --only drift --output json").unwrap();
        assert!(some.json && some.objects == 200 && some.applies());
        assert!(some.wants(Case::Drift) && !some.wants(Case::Apply));
        assert!(!parse("--only floor --only kubectl").unwrap().controls());
        let sealed = parse("--only sealed").unwrap();
        assert!(!sealed.applies() && sealed.controls() && !sealed.plain());
        let many = parse("--only many --syncs 20 --seconds 5").unwrap();
        assert!(!many.controls() && !many.plain() && (many.syncs, many.seconds) == (20, 5));
        for bad in [
            "--objects",
            "--objects 3",
            "--syncs 1",
            "--only x",
            "--output yaml",
            "x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
