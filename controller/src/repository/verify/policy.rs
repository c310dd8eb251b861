//! Which commit needs whose signature. Pure.

use crds::{OnRewrite, Verify, VerifyMode};
use proof::{Signer, Verdict};
use source::{RefSpec, RepoPath};

/// `spec.verify`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::repository) struct Policy {
    /// Every commit since the last one.
    pub(super) range: bool,
    /// The tag, and whether its commit too.
    pub(super) tag: bool,
    pub(super) head: bool,
    pub(super) report_rewrites: bool,
    pub(super) since: Option<source::CommitId>,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    path: RepoPath,
    signers: Vec<String>,
}

/// Why a commit is refused. Its text names the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::repository) enum Refusal {
    /// The signature.
    Signature(Verdict),
    /// Signed well, by somebody who may not change this path.
    Path {
        path: String,
        signer: Signer,
        allowed: Vec<String>,
    },
}

/// Reads a specification. The error says what is wrong with it, without its full stop.
pub(in crate::repository) fn parse(spec: &Verify, reference: &RefSpec) -> Result<Policy, String> {
    let tag = matches!(spec.mode, VerifyMode::Tag | VerifyMode::TagAndHead);
    if tag && !matches!(reference, RefSpec::Tag(_) | RefSpec::Versions(_)) {
        return Err("The field spec.verify.mode asks for a signed tag: follow one with spec.ref.tag or spec.ref.semver".into());
    }
    let mut rules = Vec::new();
    for (number, rule) in spec.rules.iter().enumerate() {
        for path in &rule.paths {
            let parsed = RepoPath::parse(path.trim_end_matches('/')).map_err(|error| {
                format!("The path in spec.verify.rules[{number}] cannot be used: {error}")
            })?;
            rules.push(Rule {
                path: parsed,
                signers: rule.signers.clone(),
            });
        }
    }
    let since = spec.since.as_deref().map(str::parse).transpose();
    Ok(Policy {
        range: spec.mode == VerifyMode::Range,
        tag,
        head: spec.mode != VerifyMode::Tag,
        report_rewrites: spec.on_rewrite == OnRewrite::Report,
        since: since.map_err(|_| "The field spec.verify.since is no full commit id".to_owned())?,
        rules,
    })
}

impl Policy {
    /// The paths that rules are about, in their order.
    pub(super) fn paths(&self) -> Vec<RepoPath> {
        self.rules.iter().map(|rule| rule.path.clone()).collect()
    }

    /// Judges one commit. `touches` says for each of [`Policy::paths`] whether it changes it.
    pub(super) fn judge(&self, verdict: Verdict, touches: &[bool]) -> Result<Signer, Refusal> {
        let Verdict::Good(signer) = verdict else {
            return Err(Refusal::Signature(verdict));
        };
        for (rule, touched) in self.rules.iter().zip(touches) {
            if *touched && !rule.signers.iter().any(|allowed| is(&signer, allowed)) {
                return Err(Refusal::Path {
                    path: rule.path.as_str().to_owned(),
                    signer,
                    allowed: rule.signers.clone(),
                });
            }
        }
        Ok(signer)
    }
}

fn is(signer: &Signer, allowed: &str) -> bool {
    signer.key == allowed || signer.names.iter().any(|name| name == allowed)
}

impl Refusal {
    /// One word for programs.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Path { .. } => "SignerNotAllowed",
            Self::Signature(verdict) => match verdict {
                Verdict::Unsigned => "CommitUnsigned",
                Verdict::Unknown(_) => "SignerUnknown",
                Verdict::Expired(_) => "SignerExpired",
                Verdict::Early(_) => "SignerNotYetValid",
                Verdict::Revoked(_) => "SignerRevoked",
                _ => "SignatureBad",
            },
        }
    }

    /// What is wrong, as a clause.
    pub(super) fn clause(&self) -> String {
        match self {
            Self::Signature(verdict) => verdict.to_string(),
            Self::Path {
                path,
                signer,
                allowed,
            } => format!(
                "it changes {path}, and {signer} may not: only {} may",
                allowed.join(", ")
            ),
        }
    }

    /// What to do, as a sentence.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Path { .. } => "Have somebody who may make the change, or change spec.verify.rules",
            Self::Signature(verdict) => match verdict {
                Verdict::Unsigned => {
                    "Sign it (git commit --amend -S, or git rebase --exec for several), and push"
                }
                Verdict::Unknown(_) => {
                    "Add the key to the allowed signers if it is to be trusted, or sign with one that is"
                }
                Verdict::Expired(_) | Verdict::Early(_) => {
                    "Renew the key's validity in the allowed signers, or sign anew with a valid key"
                }
                Verdict::Revoked(_) => {
                    "Find out what else was signed with this key, and sign anew with another"
                }
                _ => "Do not trust this commit: find out where it comes from",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Refusal, parse};
    use crds::Verify;
    use proof::{Signer, Verdict};
    use source::RefSpec;

    fn spec(extra: &str) -> Verify {
        let text = format!("{{\"signersRef\":{{\"name\":\"team\"}}{extra}}}");
        serde_json::from_str(&text).unwrap()
    }

    fn main() -> RefSpec {
        RefSpec::Branch("main".into())
    }

    fn good(name: &str) -> Verdict {
        Verdict::Good(Signer {
            names: vec![name.into()],
            key: "SHA256:x".into(),
        })
    }

    #[test]
    fn a_path_is_changed_by_its_signers_only() {
        let rules = ",\"rules\":[{\"paths\":[\"infra/\",\"keys\"],\"signers\":[\"ada\"]},{\"paths\":[\"infra/prod\"],\"signers\":[\"SHA256:x\"]}]";
        let policy = parse(&spec(rules), &main()).unwrap();
        let paths: Vec<_> = policy
            .paths()
            .iter()
            .map(|path| path.as_str().to_owned())
            .collect();
        assert_eq!(paths, ["infra", "keys", "infra/prod"]);
        let none = [false, false, false];
        assert!(policy.judge(good("bob"), &none).is_ok());
        assert!(policy.judge(good("ada"), &[true, true, true]).is_ok());
        assert!(
            policy.judge(good("bob"), &[false, false, true]).is_ok(),
            "by his key"
        );
        let refused = policy.judge(good("bob"), &[false, true, false]).unwrap_err();
        assert_eq!(refused.reason(), "SignerNotAllowed");
        assert_eq!(
            refused.clause(),
            "it changes keys, and bob (SHA256:x) may not: only ada may"
        );
    }

    #[test]
    fn every_verdict_has_its_word_and_what_to_do() {
        let policy = parse(&spec(""), &main()).unwrap();
        let key = || "K".to_owned();
        let mut words = std::collections::BTreeSet::new();
        for verdict in [
            Verdict::Unsigned,
            Verdict::Unknown(key()),
            Verdict::Expired(key()),
            Verdict::Early(key()),
            Verdict::Revoked(key()),
            Verdict::Bad("x"),
        ] {
            let refused = policy.judge(verdict.clone(), &[]).unwrap_err();
            assert_eq!(refused, Refusal::Signature(verdict));
            assert!(!refused.hint().is_empty() && words.insert(refused.reason()));
        }
    }

    #[test]
    fn nonsense_is_named() {
        let why = parse(
            &spec(",\"rules\":[{\"paths\":[\"../x\"],\"signers\":[\"a\"]}]"),
            &main(),
        )
        .unwrap_err();
        assert!(why.contains("rules[0]"), "{why}");
        let why = parse(&spec(",\"mode\":\"Tag\""), &main()).unwrap_err();
        assert!(why.contains("spec.ref.tag"), "{why}");
        assert!(
            parse(&spec(",\"since\":\"abc\""), &main())
                .unwrap_err()
                .contains("since")
        );
    }
}
