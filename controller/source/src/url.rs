//! Remote addresses: parsed once, refused early, printed without secrets.

use std::path::{Path, PathBuf};

use ureq::http::Uri;

use crate::ssh_address::SshAddress;
use crate::{FileRemotes, Remote, SourceError};

/// A checked address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Base URL without trailing slash; `/info/refs` and the services are appended.
    Http { base: String, tls: bool },
    /// A repository on an SSH host.
    Ssh(SshAddress),
    /// A directory that exists, links resolved.
    File(PathBuf),
}

impl Target {
    pub(crate) fn parse(remote: &Remote) -> Result<Self, SourceError> {
        let url = remote.url.as_str();
        if url.len() > 2048 || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(SourceError::BadUrl(
                "it is too long, or holds spaces or control characters",
            ));
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return SshAddress::parse_short(url)
                .unwrap_or(Err(SourceError::BadUrl(
                    "it has no scheme, and is not git@host:path",
                )))
                .map(Target::Ssh);
        };
        match scheme.to_ascii_lowercase().as_str() {
            "http" => http(rest, false),
            "https" => http(rest, true),
            "file" => file(rest, &remote.files),
            "ssh" => SshAddress::parse_long(rest).map(Target::Ssh),
            _ => Err(SourceError::BadUrl("only https, http and ssh are supported")),
        }
    }
}

fn http(rest: &str, tls: bool) -> Result<Target, SourceError> {
    let scheme = if tls { "https" } else { "http" };
    let uri: Uri = format!("{scheme}://{rest}")
        .parse()
        .map_err(|_| SourceError::BadUrl("it is not a URL"))?;
    let authority = uri
        .authority()
        .ok_or(SourceError::BadUrl("it has no host"))?
        .as_str();
    if authority.contains('@') {
        return Err(SourceError::BadUrl(
            "it holds credentials, which belong in a Secret",
        ));
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(SourceError::BadUrl("it has no host"));
    }
    if rest.contains(['?', '#', '\\']) {
        return Err(SourceError::BadUrl("it has a query, a fragment or a backslash"));
    }
    let path = uri.path().trim_end_matches('/');
    if path.is_empty() {
        return Err(SourceError::BadUrl("it has no path"));
    }
    if path.split('/').any(|part| part == "." || part == "..") {
        return Err(SourceError::BadUrl("its path holds `.` or `..`"));
    }
    Ok(Target::Http {
        base: format!("{scheme}://{authority}{path}"),
        tls,
    })
}

fn file(rest: &str, allowed: &FileRemotes) -> Result<Target, SourceError> {
    let FileRemotes::Below(prefixes) = allowed else {
        return Err(SourceError::FilesRefused);
    };
    if !rest.starts_with('/') {
        return Err(SourceError::BadUrl("file:// takes an absolute path and no host"));
    }
    // The same answer for "outside" and "not there": no oracle for what is on the disk.
    let path = Path::new(rest)
        .canonicalize()
        .map_err(|_| SourceError::FilesRefused)?;
    let inside = |prefix: &PathBuf| prefix.canonicalize().is_ok_and(|prefix| path.starts_with(prefix));
    if prefixes.iter().any(inside) {
        Ok(Target::File(path))
    } else {
        Err(SourceError::FilesRefused)
    }
}

/// Where a redirect points, fit to print: scheme, host and path, no userinfo, no query.
pub(crate) fn redirect_target(location: Option<&str>) -> String {
    let Some(uri) = location.and_then(|location| location.parse::<Uri>().ok()) else {
        return "an unknown address".into();
    };
    let path = uri.path().strip_suffix("/info/refs").unwrap_or(uri.path());
    let text = match (uri.scheme_str(), uri.host()) {
        (Some(scheme), Some(host)) => {
            let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
            format!("{scheme}://{host}{port}{path}")
        }
        _ => path.to_owned(),
    };
    crate::display_safe(crate::text::bounded(&text, 200))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Target, SourceError> {
        Target::parse(&Remote::new(url))
    }

    #[test]
    fn http_addresses_are_normalised() {
        let expect = Target::Http {
            base: "https://git.example:8443/a/b.git".into(),
            tls: true,
        };
        assert_eq!(parse("HTTPS://git.example:8443/a/b.git/"), Ok(expect));
        assert!(matches!(
            parse("http://[::1]:80/r"),
            Ok(Target::Http { tls: false, .. })
        ));
    }

    #[test]
    fn dangerous_addresses_are_refused() {
        for url in [
            "https://user:hunter2@git.example/r",
            "https://token@git.example/r",
            "git.example:r",
            "git+ssh://git.example/r",
            "ssh://git:hunter2@git.example/r",
            "ext::sh -c id",
            "ext::sh",
            "git://git.example/r",
            "https://git.example/r?x=1",
            "https://git.example/r#x",
            "https://git.example/../r",
            "https://git.example",
            "https:///r",
            "https://git.example/r\nHost: x",
            "/etc/passwd",
        ] {
            let error = parse(url).expect_err(url);
            assert!(matches!(error, SourceError::BadUrl(_)), "{url}: {error}");
            assert!(!error.to_string().contains("hunter2"));
        }
        assert_eq!(parse("file:///etc"), Err(SourceError::FilesRefused));
    }

    #[test]
    fn files_only_below_a_prefix() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("in");
        std::fs::create_dir(&inside).unwrap();
        std::os::unix::fs::symlink("/etc", inside.join("out")).unwrap();
        let mut remote = Remote::new(format!("file://{}", inside.display()));
        remote.files = FileRemotes::Below(vec![inside.clone()]);
        assert!(matches!(Target::parse(&remote), Ok(Target::File(_))));
        for outside in [
            format!("{}/out", inside.display()),
            dir.path().display().to_string(),
        ] {
            remote.url = format!("file://{outside}");
            assert_eq!(Target::parse(&remote), Err(SourceError::FilesRefused));
        }
    }

    #[test]
    fn redirects_print_without_userinfo() {
        let shown = redirect_target(Some(
            "https://u:hunter2@other.example/x.git/info/refs?service=git-upload-pack",
        ));
        assert_eq!(shown, "https://other.example/x.git");
        assert_eq!(redirect_target(Some("/x.git/info/refs")), "/x.git");
        assert_eq!(redirect_target(None), "an unknown address");
    }
}
