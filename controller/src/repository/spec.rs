//! A Repository's specification, parsed.

use std::time::Duration;

use crds::RepositorySpec;
use source::{Auth, FileRemotes, RefSpec, Remote, RemoteLimits, RepoPath, Submodules, display_safe};

use super::reference;
use super::verify::{self, Policy};
use crate::duration;

/// Polling more often than this is refused.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
const LONGEST_TIMEOUT: Duration = Duration::from_mins(30);
/// Directories in each other that one of `spec.sparsePaths` may name.
const MOST_COMPONENTS: usize = 32;

/// What to follow, and how.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Without credentials: see [`super::credentials`].
    pub(super) remote: Remote,
    /// Where to look while that one fails, and with the credentials of which Secret.
    pub(super) fallbacks: Vec<(Remote, Option<String>)>,
    pub(super) reference: RefSpec,
    /// Which submodules are read, if any.
    pub(super) submodules: Option<Submodules>,
    pub(super) interval: Duration,
    pub(super) secret: Option<String>,
    /// Whose signatures are asked for.
    pub(super) policy: Option<Policy>,
    /// The Secret of the proxy.
    pub(super) proxy: Option<String>,
    /// known_hosts for the deploy key that the controller makes.
    pub(super) deploy_key: Option<String>,
}

/// What a head is of: URL, ref, the submodules that are read with it, and the paths that are read of it.
pub(super) type Origin = (String, RefSpec, Option<Submodules>, Vec<RepoPath>);

impl Target {
    pub(super) fn origin(&self) -> Origin {
        (
            self.remote.url.clone(),
            self.reference.clone(),
            self.submodules.clone(),
            self.remote.sparse.clone(),
        )
    }
}

/// What is wrong with a specification, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) message: String,
}

pub(super) fn parse(spec: &RepositorySpec, files: &FileRemotes) -> Result<Target, Problem> {
    let interval = read("interval", &spec.interval)?;
    if interval < SHORTEST_INTERVAL {
        return Err(problem(
            "The field spec.interval is less than one second: write 1s or more",
        ));
    }
    let timeout = read("timeout", &spec.timeout)?;
    if timeout < Duration::from_secs(1) || timeout > LONGEST_TIMEOUT {
        return Err(problem("The field spec.timeout is not between 1s and 30m"));
    }
    let default = RemoteLimits::default();
    let limits = RemoteLimits {
        connect: default.connect.min(timeout),
        read: default.read.min(timeout),
        total: timeout,
        ..default
    };
    let sparse = sparse(&spec.sparse_paths)?;
    let remote = |url: &str| {
        let mut remote = Remote::new(url);
        remote.auth = Auth::None;
        remote.files = files.clone();
        remote.limits = limits;
        remote.sparse.clone_from(&sparse);
        remote
    };
    let fallbacks = spec.fallbacks.iter().map(|fallback| {
        let secret = fallback
            .secret_ref
            .as_ref()
            .map(|reference| reference.name.clone());
        (remote(&fallback.url), secret)
    });
    let reference = reference::parse(&spec.reference).map_err(|message| Problem { message })?;
    let policy = spec
        .verify
        .as_ref()
        .map(|verify| verify::parse(verify, &reference));
    Ok(Target {
        fallbacks: fallbacks.collect(),
        remote: remote(&spec.url),
        reference,
        submodules: spec.submodules.as_ref().map(|wanted| Submodules {
            hosts: wanted.hosts.clone(),
        }),
        policy: policy.transpose().map_err(|message| Problem { message })?,
        interval,
        proxy: spec
            .proxy_secret_ref
            .as_ref()
            .map(|reference| reference.name.clone()),
        deploy_key: spec.deploy_key.as_ref().map(|key| key.known_hosts.clone()),
        secret: spec.secret_ref.as_ref().map(|reference| reference.name.clone()),
    })
}

/// What is read of the repository, each path once, in order.
fn sparse(paths: &[String]) -> Result<Vec<RepoPath>, Problem> {
    let mut parsed = Vec::new();
    for text in paths {
        let shown = display_safe(text);
        let path = RepoPath::parse(text).map_err(|_| Problem {
            message: format!(
                "The path {shown} of spec.sparsePaths leaves the repository: name directories from its root"
            ),
        })?;
        match path.components().count() {
            0 => {
                return Err(problem(
                    "The field spec.sparsePaths names the whole repository: leave it out to read all of it",
                ));
            }
            1..=MOST_COMPONENTS => parsed.push(path),
            _ => {
                return Err(Problem {
                    message: format!(
                        "The path {shown} of spec.sparsePaths has over {MOST_COMPONENTS} directories in each other: \
                         name one that holds it"
                    ),
                });
            }
        }
    }
    parsed.sort_unstable();
    parsed.dedup();
    Ok(parsed)
}

fn read(field: &str, text: &str) -> Result<Duration, Problem> {
    duration::parse(text).map_err(|error| problem(&format!("The field spec.{field} cannot be read: {error}")))
}

fn problem(message: &str) -> Problem {
    Problem {
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crds::RepositorySpec;
    use source::{FileRemotes, RefSpec};
    use std::time::Duration;

    fn spec(extra: &str) -> RepositorySpec {
        serde_json::from_str(&format!("{{\"url\":\"https://git.example/r\"{extra}}}")).unwrap()
    }

    #[test]
    fn defaults_are_filled_in() {
        let target = parse(&spec(""), &FileRemotes::Refused).unwrap();
        assert_eq!(
            (target.interval, target.reference),
            (Duration::from_mins(1), RefSpec::Branch("main".into()))
        );
        assert_eq!(target.remote.limits.total, Duration::from_mins(1));
        assert_eq!(target.secret, None);
    }

    #[test]
    fn nonsense_is_named() {
        let why = |extra: &str| parse(&spec(extra), &FileRemotes::Refused).unwrap_err().message;
        assert!(why(",\"interval\":\"soon\"").contains("spec.interval"));
        assert!(why(",\"interval\":\"100ms\"").contains("one second"));
        assert!(why(",\"timeout\":\"0s\"").contains("spec.timeout"));
        assert!(why(",\"timeout\":\"48h\"").contains("spec.timeout"));
        for whole in ["", ".", "./"] {
            assert!(why(&format!(",\"sparsePaths\":[{whole:?}]")).contains("leave it out"));
        }
        for outside in ["../a", "/etc", "a/../b", "a\\\\b"] {
            assert!(why(&format!(",\"sparsePaths\":[\"{outside}\"]")).contains("leaves the repository"));
        }
        let deep = "a/".repeat(33);
        assert!(why(&format!(",\"sparsePaths\":[{deep:?}]")).contains("in each other"));
    }

    #[test]
    fn paths_that_are_read_are_each_there_once() {
        let target = parse(
            &spec(",\"sparsePaths\":[\"web/\",\"./api/deploy\",\"web\"]"),
            &FileRemotes::Refused,
        )
        .unwrap();
        let paths: Vec<&str> = target
            .remote
            .sparse
            .iter()
            .map(source::RepoPath::as_str)
            .collect();
        assert_eq!(paths, ["api/deploy", "web"]);
    }
}
