//! The cluster, through the user's kubeconfig. Every request has an end.

use crate::cli::GlobalArgs;
use crate::command_error::CommandError;
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::error::Error as _;
use std::future::Future;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(20);
/// The API server sends a bookmark about every minute: a watch that is silent for longer is broken.
const BOOKMARK: Duration = Duration::from_secs(90);

/// A cluster that can be asked.
pub(crate) struct Cluster {
    /// The client, without kube's silent retries, which can go on for minutes.
    pub(crate) client: Client,
    /// The namespace of the kubeconfig's context.
    pub(crate) namespace: String,
}

impl Cluster {
    /// Reads the kubeconfig. No request is made yet.
    pub(crate) async fn connect(global: &GlobalArgs) -> Result<Self, CommandError> {
        Self::with_patience(global, ANSWER).await
    }

    /// The same, for watches, which are silent while nothing happens.
    pub(crate) async fn connect_to_watch(global: &GlobalArgs) -> Result<Self, CommandError> {
        Self::with_patience(global, BOOKMARK).await
    }

    async fn with_patience(global: &GlobalArgs, patience: Duration) -> Result<Self, CommandError> {
        let hint = "--kubeconfig and --context choose the cluster, as with kubectl";
        let mut config = config(global)
            .await
            .map_err(|err| CommandError::unreachable(format!("no cluster to ask: {err}"), hint))?;
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(patience);
        // Without it, time that a connection lies idle between two requests counts against the next answer.
        config.reset_reader_on_write = true;
        config.default_retry = false;
        let namespace = config.default_namespace.clone();
        let client = ClientBuilder::try_from(config)
            .map_err(|err| CommandError::unreachable(format!("cannot use the kubeconfig: {err}"), hint))?
            .build();
        Ok(Self { client, namespace })
    }

    /// Gets a text from a path of the API server.
    pub(crate) async fn get_text(&self, path: &str) -> Result<String, kube::Error> {
        let request = http::Request::get(path)
            .body(Vec::new())
            .map_err(kube::Error::HttpError)?;
        self.client.request_text(request).await
    }
}

/// Runs what is asynchronous. One thread is enough for a command line.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|err| CommandError::internal(format!("cannot start the runtime: {err}")))?;
    Ok(runtime.block_on(future))
}

/// An error of the API server or of the way there, in one line.
pub(crate) fn explain(err: &kube::Error, doing: &str) -> CommandError {
    match err {
        kube::Error::Api(status) => {
            let message = format!("cannot {doing}: {}", sealing::Printable(&status.message));
            match status.code {
                401 => CommandError::user(message, "are your credentials for this cluster still good?"),
                403 => CommandError::user(message, "ask for the right that the message names"),
                404 => CommandError::user(message, "is Signet installed in this cluster?"),
                _ => CommandError::user(message, "see the API server's log for more"),
            }
        }
        other => {
            let mut reason = other.to_string();
            let mut source = other.source();
            while let Some(cause) = source {
                let text = cause.to_string();
                if !reason.contains(&text) {
                    reason = format!("{reason}: {text}");
                }
                source = cause.source();
            }
            CommandError::unreachable(
                format!("cannot {doing}: {}", sealing::Printable(&reason)),
                "is the cluster running, and is it the right context? (kubectl config current-context)",
            )
        }
    }
}

async fn config(global: &GlobalArgs) -> Result<Config, String> {
    let options = KubeConfigOptions {
        context: global.context.clone(),
        ..KubeConfigOptions::default()
    };
    if let Some(path) = &global.kubeconfig {
        let kubeconfig = Kubeconfig::read_from(path).map_err(|err| err.to_string())?;
        return Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|err| err.to_string());
    }
    match Config::from_kubeconfig(&options).await {
        Ok(config) => Ok(config),
        // Without a kubeconfig, the cluster that this process runs in, if it does.
        Err(err) if global.context.is_none() => Config::incluster().map_err(|_| err.to_string()),
        Err(err) => Err(err.to_string()),
    }
}
