//! Where the certificate to seal for comes from: a file, a URL, or the cluster.

use crate::cli::GlobalArgs;
use crate::cluster::{self, Cluster};
use crate::command_error::CommandError;
use crate::http_get;
use crate::output::show;
use crate::progress::Progress;
use crate::ui::Ui;
use clap::Args;
use sealing::Certificate;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the controller is.
#[derive(Args)]
#[command(next_help_heading = "Where the certificate comes from")]
pub(crate) struct ControllerArgs {
    /// Namespace of the controller's Service
    #[arg(
        long,
        value_name = "NAME",
        default_value = "signet-system",
        env = "SIGNET_CONTROLLER_NAMESPACE",
        hide_env_values = true
    )]
    controller_namespace: String,
    /// Name of the controller's Service
    #[arg(
        long,
        value_name = "NAME",
        default_value = "signet",
        env = "SIGNET_CONTROLLER_NAME",
        hide_env_values = true
    )]
    controller_name: String,
    /// Trust the authorities in this PEM file, and no others, when a certificate is fetched over https
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl ControllerArgs {
    /// Reads a certificate from a file or fetches it from a URL.
    pub(crate) fn named(&self, ui: &Ui, source: &str) -> Result<Certificate, CommandError> {
        let pem = if source.starts_with("http://") || source.starts_with("https://") {
            self.fetch(ui, source)?
        } else {
            let path = Path::new(source.strip_prefix("file://").unwrap_or(source));
            fs::read_to_string(path).map_err(|err| {
                CommandError::user(
                    format!("cannot read the certificate {}: {err}", show(path)),
                    "get it with `signet cert > cert.pem`",
                )
            })?
        };
        parse(&pem, source)
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

    /// Asks the controller, through the API server's service proxy.
    pub(crate) fn served(&self, ui: &Ui, global: &GlobalArgs) -> Result<Certificate, CommandError> {
        for name in [&self.controller_namespace, &self.controller_name] {
            if manifest::check_name(name).is_err() {
                return Err(CommandError::user(
                    format!(
                        "`{}` is not a name that Kubernetes accepts",
                        sealing::Printable(name)
                    ),
                    "--controller-namespace and --controller-name name the controller's Service",
                ));
            }
        }
        let path = format!(
            "/api/v1/namespaces/{}/services/http:{}:http/proxy/v1/cert.pem",
            self.controller_namespace, self.controller_name
        );
        let _progress = Progress::start(ui, "asking the controller for its certificate");
        let pem = cluster::block_on(async {
            let cluster = Cluster::connect(global).await.map_err(|err| {
                err.hint(
                    "without a cluster, name a certificate with --cert FILE (get one with `signet cert`)",
                )
            })?;
            cluster.get_text(&path).await.map_err(|err| self.explain(&err))
        })??;
        parse(&pem, "the controller's answer")
    }

    fn explain(&self, err: &kube::Error) -> CommandError {
        let service = format!("{}/{}", self.controller_namespace, self.controller_name);
        let code = match err {
            kube::Error::Api(status) => status.code,
            _ => return cluster::explain(err, "ask the controller for its certificate"),
        };
        match code {
            404 => CommandError::user(
                format!("there is no Service {service} in this cluster, or it serves no certificate"),
                "--controller-namespace and --controller-name say where the controller is; or use --cert FILE",
            ),
            403 => CommandError::user(
                format!("you may not reach the Service {service} through the API server"),
                "ask for `get` on services/proxy there, or for the certificate as a file for --cert",
            ),
            502..=504 => CommandError::unreachable(
                format!("the controller behind the Service {service} does not answer"),
                format!("is it running? kubectl -n {} get pods", self.controller_namespace),
            ),
            _ => cluster::explain(err, "ask the controller for its certificate"),
        }
    }
}

fn parse(pem: &str, source: &str) -> Result<Certificate, CommandError> {
    Certificate::from_pem(pem).map_err(|err| {
        CommandError::user(
            format!("cannot seal for {}: {err}", sealing::Printable(source)),
            "get the controller's certificate with `signet cert > cert.pem`",
        )
    })
}

fn is_loopback(url: &str) -> bool {
    let host = url.trim_start_matches("http://");
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|name| {
        host.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    })
}
