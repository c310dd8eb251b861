//! Where a submodule is, and who may be asked for it.

use crate::url::Target;
use crate::{Auth, Remote, SourceError};

/// The remote of a submodule that is listed with this address in the repository at `of`.
///
/// Credentials, certificates and authorities go to where the Repository itself is, each to its own place, and nowhere else.
/// `homes` are its addresses; the first is where this commit of it comes from.
pub(super) fn remote(
    of: &Remote,
    homes: &[Remote],
    url: &str,
    hosts: &[String],
) -> Result<Remote, &'static str> {
    const AROUND: &str = "the address of the repository around it cannot be used";
    const RELATIVE: &str = "its relative address leaves the host";
    let relative = url.starts_with("./") || url.starts_with("../");
    let address = if relative {
        resolved(&of.url, url).ok_or(RELATIVE)?
    } else {
        url.to_owned()
    };
    let own = homes.first().ok_or(AROUND)?;
    let mut remote = own.clone();
    remote.url = address;
    // What is read of it is read whole.
    remote.sparse = Vec::new();
    let place = |remote: &Remote| Target::parse(remote).map(|target| Place::of(&target));
    let there = place(&remote).map_err(|error| match error {
        SourceError::BadUrl(why) => why,
        _ => "repositories on the controller's own disk are not allowed",
    })?;
    let (Ok(parent), Ok(home)) = (place(of), place(own)) else {
        return Err(AROUND);
    };
    if relative && there != parent {
        return Err(RELATIVE);
    }
    let lives_there = |home: &&Remote| place(home).is_ok_and(|home| home == there);
    if let Some(home) = homes.iter().find(lives_there) {
        let url = remote.url;
        return Ok(Remote {
            url,
            sparse: Vec::new(),
            ..home.clone()
        });
    }
    if there.scheme == "http" && home.scheme != "http" {
        return Err("it is to be read over http://, which nobody protects");
    }
    if there.scheme == "file" {
        return Err("repositories on the controller's own disk are not allowed");
    }
    let is_home = |home: &Remote| place(home).is_ok_and(|home| home.host == there.host);
    let named = hosts.iter().any(|host| host.eq_ignore_ascii_case(&there.host));
    if !named && !homes.iter().any(is_home) {
        return Err("its host is not the Repository's, nor one of spec.submodules.hosts");
    }
    remote.auth = Auth::None;
    (remote.client, remote.ca_pem) = (None, None);
    if there.scheme == "ssh" {
        return Err("SSH needs a key, and the Repository's goes to its own host alone: use https://");
    }
    Ok(remote)
}

/// What two addresses have in common that one login is for.
#[derive(PartialEq, Eq)]
struct Place {
    scheme: &'static str,
    /// In small letters.
    host: String,
    /// As it is written, or the scheme's.
    port: u16,
    user: String,
}

impl Place {
    fn of(target: &Target) -> Self {
        match target {
            Target::Http { base, tls } => {
                let authority = base.split('/').nth(2).unwrap_or_default();
                let after_host = authority.find(']').map_or(0, |at| at + 1);
                let (host, port) = match authority[after_host..].find(':') {
                    Some(at) => (
                        &authority[..after_host + at],
                        authority[after_host + at + 1..].parse().ok(),
                    ),
                    None => (authority, None),
                };
                let (scheme, default) = if *tls { ("https", 443) } else { ("http", 80) };
                Self {
                    scheme,
                    // A dot at the end makes another name of it: one that no search domain is added to.
                    host: host.to_ascii_lowercase(),
                    port: port.unwrap_or(default),
                    user: String::new(),
                }
            }
            Target::Ssh(address) => Self {
                scheme: "ssh",
                host: address.host.to_ascii_lowercase(),
                port: address.port,
                user: address.user.clone(),
            },
            Target::File(_) => Self {
                scheme: "file",
                host: String::new(),
                port: 0,
                user: String::new(),
            },
        }
    }
}

/// A relative address, as git-submodule(1) resolves it against the address of the repository around it. `None` where it goes
/// above the host.
fn resolved(base: &str, url: &str) -> Option<String> {
    // What is before the path cannot be taken away: `https://host/`, `git@host:`.
    let mut root = match base.find("://") {
        Some(at) => at + 3 + base[at + 3..].find('/')? + 1,
        None => base.find(':')? + 1,
    };
    root += usize::from(base[root..].starts_with('/'));
    let (root, path) = base.split_at(root);
    let mut path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let mut rest = url;
    loop {
        if let Some(after) = rest.strip_prefix("../") {
            path.pop()?;
            rest = after;
        } else if let Some(after) = rest.strip_prefix("./") {
            rest = after;
        } else {
            break;
        }
    }
    let rest = rest.trim_end_matches('/');
    if rest.is_empty() || rest.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return None;
    }
    path.push(rest);
    Some(format!("{root}{}", path.join("/")))
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn relative_addresses_are_resolved_as_git_does() {
        for (base, url, expected) in [
            (
                "https://git.example/team/app.git",
                "../lib.git",
                Some("https://git.example/team/lib.git"),
            ),
            (
                "https://git.example/team/app.git/",
                "../../other/lib",
                Some("https://git.example/other/lib"),
            ),
            (
                "https://git.example/team/app",
                "./lib",
                Some("https://git.example/team/app/lib"),
            ),
            ("https://git.example/team/app", "../../../evil.example/x", None),
            ("https://git.example/app", "../../x", None),
            (
                "git@git.example:team/app.git",
                "../lib.git",
                Some("git@git.example:team/lib.git"),
            ),
            (
                "git@git.example:team/app.git",
                "../../lib.git",
                Some("git@git.example:lib.git"),
            ),
            (
                "git@git.example:app.git",
                "../lib.git",
                Some("git@git.example:lib.git"),
            ),
            ("git@git.example:app.git", "../../lib.git", None),
            (
                "ssh://git@git.example:22/team/app",
                "../lib",
                Some("ssh://git@git.example:22/team/lib"),
            ),
            ("https://git.example/team/app", "../", None),
        ] {
            assert_eq!(resolved(base, url).as_deref(), expected, "{base} {url}");
        }
    }

    fn own(url: &str) -> Remote {
        let mut own = Remote::new(url);
        own.auth = Auth::Bearer(Zeroizing::new("hunter2".into()));
        own.ca_pem = Some("pem".into());
        own
    }

    #[test]
    fn the_login_goes_to_its_own_host_alone() {
        let own = own("https://git.example/team/app");
        let hosts = ["GIT.other.example".to_owned()];
        let found = |url: &str| remote(&own, std::slice::from_ref(&own), url, &hosts);
        for same in ["../lib", "https://git.example/x", "https://GIT.example:443/x"] {
            let found = found(same).unwrap();
            assert!(
                matches!(found.auth, Auth::Bearer(_)) && found.ca_pem.is_some(),
                "{same}"
            );
        }
        for other in ["https://git.other.example/x", "https://git.example:8443/x"] {
            let found = found(other).unwrap();
            assert!(
                matches!(found.auth, Auth::None) && found.ca_pem.is_none(),
                "{other}"
            );
        }
    }

    #[test]
    fn each_address_of_the_repository_is_shown_its_own_login() {
        let mut mirror = own("https://mirror.example/copies/app");
        mirror.auth = Auth::Bearer(Zeroizing::new("for-the-mirror".into()));
        mirror.ca_pem = None;
        let homes = [mirror.clone(), own("https://git.example/team/app")];
        let login = |url: &str| {
            let found = remote(&mirror, &homes, url, &[]).unwrap();
            let login = match found.auth {
                Auth::Bearer(token) => token.to_string(),
                _ => String::new(),
            };
            (found.url, login, found.ca_pem.is_some())
        };
        let expected = |url: &str, login: &str, ca| (url.to_owned(), login.to_owned(), ca);
        assert_eq!(
            login("../lib"),
            expected("https://mirror.example/copies/lib", "for-the-mirror", false)
        );
        let there = "https://git.example/team/lib";
        assert_eq!(login(there), expected(there, "hunter2", true));
        let port = "https://git.example:8443/team/lib";
        assert_eq!(login(port), expected(port, "", false));
        assert!(remote(&mirror, &homes, "https://other.example/lib", &[]).is_err());
        assert!(remote(&mirror, &homes[..1], there, &[]).is_err());
    }

    #[test]
    fn what_nobody_allowed_is_refused() {
        let own = own("https://git.example/team/app");
        for url in [
            "https://evil.example/x",
            "https://git.example.evil.example/x",
            "https://git.example@evil.example/x",
            "https://git.example./x",
            "https://169.254.169.254/latest",
            "http://git.example/x",
            "git@git.example:x",
            "ssh://git@git.example/x",
            "file:///etc",
            "/etc",
            "ext::sh -c id",
            "-u./payload",
            "--upload-pack=id",
            "../../../evil.example/x",
            "./../..",
            "git://git.example/x",
            "",
        ] {
            assert!(
                remote(&own, std::slice::from_ref(&own), url, &[]).is_err(),
                "{url}"
            );
        }
    }
}
