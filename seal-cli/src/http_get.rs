//! Fetching a certificate over HTTP.

use crate::command_error::CommandError;
use crate::output::show;
use rustls::pki_types::CertificateDer;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

const TIMEOUT: Duration = Duration::from_secs(10);
/// A certificate is a few kilobytes. Whatever is larger is something else.
const LARGEST: u64 = 64 * 1024;
const REDIRECTS: u32 = 3;

/// Gets a small text. TLS is checked against the platform's authorities, or against those of `ca_file` alone.
pub(crate) fn small_text(url: &str, ca_file: Option<&Path>) -> Result<String, CommandError> {
    let roots = match ca_file {
        Some(path) => bundle(path)?,
        None => platform(),
    };
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .build();
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .max_redirects(REDIRECTS)
        .https_only(url.starts_with("https://"))
        .user_agent(concat!("signet/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build()
        .into();
    let shown = sealing::Printable(url);
    let fail = |err: ureq::Error| match err {
        ureq::Error::StatusCode(code) => CommandError::user(
            format!("{shown} answered with status {code}"),
            "does the URL lead to the controller's /v1/cert.pem?",
        ),
        ureq::Error::BodyExceedsLimit(_) => CommandError::user(
            format!("what {shown} serves is too large to be a certificate"),
            "does the URL lead to the controller's /v1/cert.pem?",
        ),
        err => CommandError::unreachable(
            format!("cannot fetch {shown}: {err}"),
            "check the URL and the network; --ca-file names the authority of a private server",
        ),
    };
    let mut response = agent.get(url).call().map_err(fail)?;
    response
        .body_mut()
        .with_config()
        .limit(LARGEST)
        .read_to_string()
        .map_err(fail)
}

fn platform() -> Vec<Certificate<'static>> {
    let loaded = rustls_native_certs::load_native_certs();
    loaded
        .certs
        .iter()
        .map(|der: &CertificateDer<'_>| Certificate::from_der(der).to_owned())
        .collect()
}

fn bundle(path: &Path) -> Result<Vec<Certificate<'static>>, CommandError> {
    let hint = "--ca-file takes a file of PEM certificates";
    let pem = fs::read(path)
        .map_err(|err| CommandError::user(format!("cannot read {}: {err}", show(path)), hint))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let Ok(PemItem::Certificate(certificate)) = item {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(CommandError::user(
            format!("there is no certificate in {}", show(path)),
            hint,
        ));
    }
    Ok(certificates)
}
