//! `signet cert`.

use crate::certificate::TrustArgs;
use crate::cli::GlobalArgs;
use crate::cluster::ConnectionArgs;
use crate::command_error::CommandError;
use crate::controller::ControllerArgs;
use crate::key_source::KeySource;
use crate::trust::{KeyArgs, PinArgs};
use crate::ui::Ui;
use clap::Args;
use jiff::Timestamp;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

/// Print the certificate that values are sealed for
///
/// It is fetched from the controller, through the API server of the current
/// kubeconfig context, or from a URL. It holds the public key only: it may be
/// committed, published and kept, and `signet seal --cert` seals with it where
/// there is no cluster.
///
/// In a repository whose .signet.yaml pins a key, another one is refused unless
/// the pinned one endorses it, or a person confirms it.
///
/// Example: fetch it once, seal anywhere
///
///     signet cert > cert.pem
///     signet seal --cert cert.pem secret.yaml -w sealed.yaml
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct CertArgs {
    /// Fetch it from this http or https URL instead of from the cluster
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    pins: PinArgs,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    controller: ControllerArgs,
}

impl CertArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if self.url.as_ref().is_some_and(|url| !is_url(url)) {
            return Err(CommandError::user(
                "--url takes an http or https URL",
                "signet cert --url https://signet.example.com/v1/cert.pem",
            ));
        }
        let source = KeySource {
            ui,
            global,
            cert: self.url.as_deref(),
            keys: &KeyArgs::default(),
            pins: &self.pins,
            trust: &self.trust,
            controller: &self.controller,
            connection: &ConnectionArgs::default(),
            as_kubeseal: false,
            writes: false,
        };
        let certificate = source.certificate(Path::new("."))?.certificate;
        ui.write(certificate.to_pem())?;
        ui.status(format!(
            "Key {} ({} bits), valid until {}.",
            certificate.fingerprint(),
            certificate.bits(),
            day(certificate.not_after())
        ));
        if certificate.not_after() < SystemTime::now() {
            ui.warn(
                "the certificate has expired",
                "nothing can be sealed for it; has the controller renewed its key?",
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn day(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(
        |_| "an unknown day".to_owned(),
        |time| time.strftime("%F").to_string(),
    )
}
