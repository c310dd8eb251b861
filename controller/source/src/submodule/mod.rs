//! Submodules (gitsubmodules(7)): their trees in the place of the links to them.
//!
//! A link names a commit. That commit is fetched into the store of the repository around it, and a tree is written that is the
//! repository's own but for the links, which are the directories that they stand for. Everybody who reads it reads directories; the
//! same commit gives the same tree, so what did not change still has the same ids.
//!
//! What `.gitmodules` says is untrusted: see [`address`] for whom it can have asked, and [`listing`] for what is read of it.

mod address;
mod carry;
mod listing;

use git2::{ObjectType, Repository};

use crate::path::RepoPath;
use crate::session::Session;
use crate::store::{Generation, fetch, held, problem, record};
use crate::tree::{self, Node};
use crate::{Budget, Commit, CommitId, PathError, RefSpec, Remote, SourceError, TreeId, display_safe, text};
pub(crate) use carry::carry;
use listing::Listed;

/// Submodules of one commit, those of submodules too.
const MOST: usize = 64;
/// Submodules in submodules.
const DEEPEST: usize = 4;

/// Which submodules are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Submodules {
    /// Hosts beside the Repository's own. They are asked without its credentials.
    pub hosts: Vec<String>,
}

/// A link that is listed.
struct Link {
    url: String,
    path: RepoPath,
    commit: CommitId,
}

/// One commit whose links are followed.
pub(crate) struct Graft<'a> {
    generation: &'a Generation,
    /// Where the commit comes from, and other addresses of the same repository.
    homes: Vec<Remote>,
    fetches: bool,
    wanted: &'a Submodules,
    /// What is left of the bounds.
    left: usize,
    budget: Budget,
}

impl<'a> Graft<'a> {
    pub(crate) fn new(
        generation: &'a Generation,
        own: &Remote,
        others: &[Remote],
        wanted: &'a Submodules,
        fetches: bool,
    ) -> Self {
        // All of them together are one look.
        let budget = own.cost();
        let mut homes: Vec<Remote> = [own].into_iter().chain(others).cloned().collect();
        for home in &mut homes {
            home.budget = Some(budget.clone());
        }
        Self {
            generation,
            homes,
            fetches,
            wanted,
            left: MOST,
            budget,
        }
    }

    /// The tree with its submodules in it.
    pub(crate) fn tree(&mut self, root: TreeId) -> Result<TreeId, SourceError> {
        let [own, ..] = self.homes.as_slice() else {
            return Ok(root);
        };
        let own = own.clone();
        self.grown(root, &own, 0, "")
    }

    /// The tree of what lies at `place` in the Repository, and comes from `of`.
    fn grown(&mut self, root: TreeId, of: &Remote, depth: usize, place: &str) -> Result<TreeId, SourceError> {
        let mut grown = root;
        for Link { url, path, commit } in links(self.generation, root, place, &self.budget)? {
            let place = format!("{place}{path}");
            if depth == DEEPEST || self.left == 0 {
                return Err(SourceError::TooLarge(format!(
                    "over {MOST} submodules, or over {DEEPEST} in each other, at {}",
                    shown(&place)
                )));
            }
            self.left -= 1;
            let remote = address::remote(of, &self.homes, &url, &self.wanted.hosts)
                .map_err(|why| SourceError::BadSubmodule(shown(&place), why))?;
            let tree = self.fetched(&remote, commit).map_err(|why| match why {
                SourceError::Store(_) | SourceError::NoSuchCommit => why,
                why => SourceError::Submodule {
                    path: shown(&place),
                    why: Box::new(why),
                },
            })?;
            let tree = self.grown(tree, &remote, depth + 1, &format!("{place}/"))?;
            let repository = self.generation.open()?;
            grown = placed(&repository, grown, &path, tree)?.ok_or_else(|| {
                let why = "a directory on the way to it has a name twice, or a mode that git does not write";
                SourceError::BadSubmodule(shown(&place), why)
            })?;
        }
        Ok(grown)
    }

    /// The tree of a submodule's commit, which is fetched unless it is here.
    fn fetched(&self, remote: &Remote, commit: CommitId) -> Result<TreeId, SourceError> {
        if let Some(known) = known(self.generation, commit)? {
            return Ok(known);
        }
        if !self.fetches {
            return Err(SourceError::NoSuchCommit);
        }
        let session = Session::open(remote)?;
        let (_, found) = fetch::head(self.generation, &session, &RefSpec::Commit(commit), None, 1)?;
        record(self.generation, &key(commit)?, commit)?;
        Ok(found.tree)
    }
}

/// The tree of a submodule's commit, if it was fetched before.
fn known(generation: &Generation, commit: CommitId) -> Result<Option<TreeId>, SourceError> {
    let key = key(commit)?;
    let known = generation.with(|repository| {
        let odb = repository.odb().map_err(|error| problem(&error))?;
        match held(repository, &key) {
            Some(_) => Commit::read(&odb, commit),
            None => Ok(None),
        }
    })??;
    Ok(known.map(|known| known.tree))
}

/// Links that `.gitmodules` lists. The others stay links, and so does what is listed and not there.
fn links(
    generation: &Generation,
    root: TreeId,
    place: &str,
    budget: &Budget,
) -> Result<Vec<Link>, SourceError> {
    let bad = |path: &str, why| SourceError::BadSubmodule(shown(&format!("{place}{path}")), why);
    generation.with(|repository| {
        let odb = repository.odb().map_err(|error| problem(&error))?;
        let entries = read(&odb, root)?;
        let Some(file) = entries.iter().find(|entry| entry.name == ".gitmodules") else {
            return Ok(Vec::new());
        };
        let Node::File { blob, .. } = file.node else {
            return Err(bad(".gitmodules", "it is not a file"));
        };
        let header = odb.read_header(blob.oid()).map_err(|error| problem(&error))?;
        if header.1 != ObjectType::Blob || header.0 > listing::LONGEST {
            return Err(bad(".gitmodules", "it is no file, or a very long one"));
        }
        let text = odb.read(blob.oid()).map_err(|error| problem(&error))?;
        let listed = listing::read(text.data()).map_err(|why| bad(".gitmodules", why))?;
        let mut links: Vec<Link> = Vec::new();
        for Listed { path: at, url } in listed {
            // Each of a thousand lines may name a path through large directories.
            budget.remaining()?;
            let path = RepoPath::parse(&at)
                .ok()
                .filter(|path| path.components().next().is_some() && !at.starts_with('-'))
                .ok_or_else(|| bad(&at, "its path leaves the repository"))?;
            if path.components().count() > tree::DEEPEST {
                return Err(bad(&at, "its path goes through too many directories"));
            }
            if links.iter().any(|other| other.path.meets(&path)) {
                return Err(bad(&at, "its path is that of another, or inside it"));
            }
            if let Some(commit) = link(&odb, root, &path).map_err(|why| bad(&at, why))? {
                links.push(Link { url, path, commit });
            }
        }
        Ok(links)
    })?
}

/// A commit is the same wherever it came from.
fn key(commit: CommitId) -> Result<String, SourceError> {
    crate::store::local_ref(&format!("submodule\0{commit}"))
}

fn read(odb: &git2::Odb<'_>, tree: TreeId) -> Result<Vec<tree::Entry>, SourceError> {
    tree::read(odb, tree).map_err(|_| unreadable())
}

fn unreadable() -> SourceError {
    SourceError::Store("a tree cannot be read".into())
}

/// The directory that a path lies in, and its name there.
fn split(path: &RepoPath) -> (&str, &str) {
    path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()))
}

/// The commit that is linked to at a path; none where there is something else, or nothing.
fn link(odb: &git2::Odb<'_>, root: TreeId, path: &RepoPath) -> Result<Option<CommitId>, &'static str> {
    let (parent, name) = split(path);
    let parent = RepoPath::parse(parent).map_err(|_| "its path leaves the repository")?;
    let tree = match tree::resolve(odb, root, &parent) {
        Ok(tree) => tree,
        Err(PathError::NotFound | PathError::NotADirectory) => return Ok(None),
        Err(PathError::Symlink) => return Err("its path goes through a symbolic link"),
        Err(_) => return Err("its path cannot be followed"),
    };
    let entries = tree::read(odb, tree).map_err(|_| "its path cannot be followed")?;
    Ok(entries
        .iter()
        .find(|entry| entry.name == name)
        .and_then(|entry| match entry.node {
            Node::Submodule(commit) => Some(commit),
            _ => None,
        }))
}

/// The tree with a directory at `path`, where it has a link; nothing where more would change by writing it.
fn placed(
    repository: &Repository,
    root: TreeId,
    path: &RepoPath,
    new: TreeId,
) -> Result<Option<TreeId>, SourceError> {
    fn put(
        repository: &Repository,
        tree: git2::Oid,
        path: &[&str],
        new: git2::Oid,
    ) -> Result<git2::Oid, git2::Error> {
        let [name, rest @ ..] = path else { return Ok(new) };
        let tree = repository.find_tree(tree)?;
        let below = if rest.is_empty() {
            new
        } else {
            let entry = tree.get_name(name);
            let entry = entry.ok_or_else(|| git2::Error::from_str("a directory is gone"))?;
            put(repository, entry.id(), rest, new)?
        };
        let mut builder = repository.treebuilder(Some(&tree))?;
        builder.insert(name, below, 0o40_000)?;
        builder.write()
    }
    let (parent, _) = split(path);
    let parent = RepoPath::parse(parent).map_err(|_| unreadable())?;
    let odb = repository.odb().map_err(|error| problem(&error))?;
    if !tree::is_rewritable(&odb, root, &parent).map_err(|_| unreadable())? {
        return Ok(None);
    }
    let path: Vec<&str> = path.components().collect();
    let tree = put(repository, root.oid(), &path, new.oid()).map_err(|error| problem(&error))?;
    Ok(Some(TreeId::of(tree)))
}

fn shown(path: &str) -> String {
    display_safe(text::bounded(path, 200))
}
