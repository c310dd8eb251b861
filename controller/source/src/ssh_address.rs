//! SSH addresses: `ssh://git@host:22/path` and `git@host:path`.

use crate::SourceError;

/// Who is asked for where no user is named: every Git host knows it.
const DEFAULT_USER: &str = "git";
const DEFAULT_PORT: u16 = 22;

/// Where a repository is on an SSH host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SshAddress {
    pub(crate) user: String,
    /// A name in small letters, or an address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// As the host's `git-upload-pack` is told.
    pub(crate) path: String,
}

impl SshAddress {
    /// `user@host:path`, the form that `scp` takes; `None` for anything else.
    pub(crate) fn parse_short(text: &str) -> Option<Result<Self, SourceError>> {
        let (authority, path) = text.split_once(':')?;
        if authority.contains('/') || path.starts_with(':') {
            return None; // a path, or `ext::command`
        }
        let (user, host) = authority.split_once('@')?;
        Some(Self::checked(user, host, DEFAULT_PORT, path))
    }

    /// What stands behind `ssh://`.
    pub(crate) fn parse_long(rest: &str) -> Result<Self, SourceError> {
        let (authority, path) = rest
            .find('/')
            .map(|at| rest.split_at(at))
            .ok_or(SourceError::BadUrl("it has no path"))?;
        let (user, host) = authority.rsplit_once('@').unwrap_or((DEFAULT_USER, authority));
        if user.contains(':') {
            return Err(SourceError::BadUrl("it holds a password, which SSH is not given"));
        }
        let after_host = host.find(']').map_or(0, |at| at + 1);
        let (host, port) = match host[after_host..].rfind(':') {
            Some(at) => {
                let (host, port) = host.split_at(after_host + at);
                let port = port[1..].parse().ok().filter(|port| *port != 0);
                (host, port.ok_or(SourceError::BadUrl("its port is not a number"))?)
            }
            None => (host, DEFAULT_PORT),
        };
        // As git: `/~ann/x` is a path in somebody's home.
        let path = if path.starts_with("/~") { &path[1..] } else { path };
        Self::checked(user, host, port, path)
    }

    fn checked(user: &str, host: &str, port: u16, path: &str) -> Result<Self, SourceError> {
        let word = |text: &str, extra: &str| {
            !text.is_empty()
                && !text.starts_with('-')
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
        };
        if !word(user, "._-") {
            return Err(SourceError::BadUrl("its user is not a plain name"));
        }
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .map_or_else(
                || word(host, ".-_").then_some(host),
                |v6| word(v6, ":.").then_some(v6),
            )
            .ok_or(SourceError::BadUrl("its host is not a name or an address"))?;
        if path.trim_matches('/').is_empty() {
            return Err(SourceError::BadUrl("it has no path"));
        }
        // Where the host's own command would read an option.
        if path.starts_with('-') {
            return Err(SourceError::BadUrl("its path begins with a dash"));
        }
        if path.split('/').any(|part| part == "." || part == "..") {
            return Err(SourceError::BadUrl("its path holds `.` or `..`"));
        }
        Ok(Self {
            user: user.to_owned(),
            host: bare.to_ascii_lowercase(),
            port,
            path: path.to_owned(),
        })
    }

    /// The host as known_hosts names it.
    pub(crate) fn known_as(&self) -> String {
        if self.port == DEFAULT_PORT {
            self.host.clone()
        } else {
            format!("[{}]:{}", self.host, self.port)
        }
    }

    /// The command for the host's shell, the path quoted as git quotes it.
    pub(crate) fn command(&self, service: &str) -> String {
        let mut quoted = String::with_capacity(self.path.len() + 2);
        for c in self.path.chars() {
            match c {
                '\'' | '!' => {
                    quoted.push_str("'\\");
                    quoted.push(c);
                    quoted.push('\'');
                }
                c => quoted.push(c),
            }
        }
        format!("{service} '{quoted}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(text: &str) -> SshAddress {
        SshAddress::parse_long(text).expect(text)
    }

    #[test]
    fn both_forms_are_read() {
        let short = SshAddress::parse_short("git@Git.Example:team/app.git")
            .unwrap()
            .unwrap();
        assert_eq!(
            (short.host.as_str(), short.path.as_str()),
            ("git.example", "team/app.git")
        );
        assert_eq!(short.known_as(), "git.example");
        let address = long("ann@[::1]:2222/team/app.git");
        assert_eq!((address.user.as_str(), address.port), ("ann", 2222));
        assert_eq!(address.known_as(), "[::1]:2222");
        assert_eq!(long("git.example/~ann/x").path, "~ann/x");
        assert_eq!(long("git.example/x").user, "git");
        assert_eq!(long("[::1]/x").port, 22);
    }

    #[test]
    fn what_could_become_an_option_or_a_password_is_refused() {
        for bad in [
            "git:hunter2@git.example/x",
            "-oProxyCommand=id/x",
            "git@-oProxyCommand=id/x",
            "git.example",
            "git.example/",
            "git.example:0/x",
            "git.example:ssh/x",
            "git.example:99999/x",
            "git.example/../x",
            "@git.example/x",
            "a b@git.example/x",
            "[::1/x",
            "git.example;id/x",
        ] {
            assert!(SshAddress::parse_long(bad).is_err(), "{bad}");
        }
        assert!(SshAddress::parse_short("git@git.example:-x").unwrap().is_err());
        for other in ["ext::sh", "/etc/passwd", "git.example:x", "a/b@c:d", "git@x::y"] {
            assert!(SshAddress::parse_short(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_path_stays_one_word() {
        let address = long("git.example/a'; id; 'b!c");
        assert_eq!(
            address.command("git-upload-pack"),
            r"git-upload-pack '/a'\''; id; '\''b'\!'c'"
        );
    }
}
