//! The command line.

const USAGE: &str = "usage: bench [--objects N] [--only NAME]... [--output markdown|json]
NAME is one of floor, apply, request, commit, restart, drift, sealed; what it needs runs too, unreported";

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Floor,
    Apply,
    Request,
    Commit,
    Restart,
    Drift,
    Sealed,
}

impl Case {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "floor" => Self::Floor,
            "apply" => Self::Apply,
            "request" => Self::Request,
            "commit" => Self::Commit,
            "restart" => Self::Restart,
            "drift" => Self::Drift,
            "sealed" => Self::Sealed,
            _ => return None,
        })
    }
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Args {
    /// ConfigMaps of the one Sync; a tenth as many SealedSecrets, a fiftieth as many edits.
    pub(crate) objects: usize,
    pub(crate) json: bool,
    only: Vec<Case>,
}

impl Args {
    pub(crate) fn parse(words: &[String]) -> Result<Self, String> {
        let mut args = Self {
            objects: 10_000,
            json: false,
            only: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = words.next().map(String::as_str);
            match (word.as_str(), value) {
                ("--objects", Some(number)) => {
                    args.objects = number
                        .parse()
                        .ok()
                        .filter(|n| (50..=100_000).contains(n))
                        .ok_or_else(|| format!("--objects takes a number from 50 to 100000\n{USAGE}"))?;
                }
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

    pub(crate) fn only_floor(&self) -> bool {
        !self.only.is_empty() && self.only.iter().all(|case| *case == Case::Floor)
    }

    /// Whether the large Sync is needed.
    pub(crate) fn applies(&self) -> bool {
        self.only.is_empty()
            || self
                .only
                .iter()
                .any(|case| !matches!(case, Case::Floor | Case::Sealed))
    }
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
        assert!(all.wants(Case::Drift) && all.applies() && !all.only_floor());
        let some = parse("--objects 200 --only drift --output json").unwrap();
        assert!(some.json && some.objects == 200 && some.applies());
        assert!(some.wants(Case::Drift) && !some.wants(Case::Apply));
        assert!(parse("--only floor").unwrap().only_floor());
        assert!(!parse("--only sealed").unwrap().applies());
        for bad in ["--objects", "--objects 3", "--only x", "--output yaml", "x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
