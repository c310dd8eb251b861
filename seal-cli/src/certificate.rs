//! Where the certificate to seal for comes from: a file, a URL, or the cluster.

use crate::cli::GlobalArgs;
use crate::cluster::{self, ConnectionArgs};
use crate::command_error::CommandError;
use crate::controller::{Controller, ControllerArgs};
use crate::http_get;
use crate::output::{reason, show};
use crate::progress::Progress;
use crate::ui::Ui;
use clap::Args;
use sealing::{Certificate, Printable};
use std::fs;
use std::path::{Path, PathBuf};

/// Whom to trust on the way.
#[derive(Args)]
#[command(next_help_heading = "Where the certificate comes from")]
pub(crate) struct TrustArgs {
    /// Trust the authorities in this PEM file, and no others, when a certificate is fetched over https
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// A certificate, and the text that it stood in.
pub(crate) struct Source {
    /// As it was served or stored.
    pub(crate) text: String,
    /// The first certificate in it.
    pub(crate) certificate: Certificate,
}

impl TrustArgs {
    /// Reads a certificate from a file or fetches it from a URL.
    pub(crate) fn named(&self, ui: &Ui, source: &str) -> Result<Source, CommandError> {
        let text = if source.starts_with("http://") || source.starts_with("https://") {
            self.fetch(ui, source)?
        } else {
            let path = Path::new(source.strip_prefix("file://").unwrap_or(source));
            fs::read_to_string(path).map_err(|err| {
                CommandError::user(
                    format!("cannot read the certificate {}: {}", show(path), reason(&err)),
                    "get it with `signet cert > cert.pem`",
                )
            })?
        };
        parse(text, source)
    }

    fn fetch(&self, ui: &Ui, url: &str) -> Result<String, CommandError> {
        if url.starts_with("http://") && !is_loopback(url) {
            ui.warn(
                "the certificate comes over plain http, where anyone on the way can put in their own",
                "use https, or compare the fingerprint of `signet cert` with the controller's",
            );
        }
        let _progress = Progress::start(ui, "fetching the certificate");
        http_get::small_text(url, self.ca_file.as_deref())
    }
}

/// Asks the controller, through the API server's service proxy.
pub(crate) fn served(
    ui: &Ui,
    controller: &ControllerArgs,
    as_kubeseal: bool,
    global: &GlobalArgs,
    connection: &ConnectionArgs,
) -> Result<Source, CommandError> {
    let _progress = Progress::start(ui, "asking the controller for its certificate");
    let without = "without a cluster, name a certificate with --cert FILE (get one with `signet cert`)";
    let text = cluster::block_on(async {
        let found = Controller::find(controller, as_kubeseal, global, connection).await;
        let found = found.map_err(|err| {
            if err.is_unreachable() {
                err.hint(without)
            } else {
                err
            }
        })?;
        found.certificate().await
    })??;
    parse(text, "the controller's answer")
}

/// The key set that the controller serves, as it serves it; none where it is of a kind that serves none.
pub(crate) fn key_set(
    ui: &Ui,
    controller: &ControllerArgs,
    as_kubeseal: bool,
    global: &GlobalArgs,
    connection: &ConnectionArgs,
) -> Result<Option<String>, CommandError> {
    let _progress = Progress::start(ui, "asking the controller for its keys");
    cluster::block_on(async {
        Controller::find(controller, as_kubeseal, global, connection)
            .await?
            .key_set()
            .await
    })?
}

pub(crate) fn parse(text: String, source: &str) -> Result<Source, CommandError> {
    let certificate = Certificate::from_pem(&text).map_err(|err| {
        CommandError::user(
            format!("cannot seal for {}: {err}", Printable(source)),
            "get the controller's certificate with `signet cert > cert.pem`",
        )
    })?;
    Ok(Source { text, certificate })
}

fn is_loopback(url: &str) -> bool {
    let host = url.trim_start_matches("http://");
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|name| {
        host.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    })
}
