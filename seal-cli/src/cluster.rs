//! The cluster, through the user's kubeconfig. Every request has an end.

mod connection;

pub(crate) use connection::ConnectionArgs;

use crate::cli::GlobalArgs;
use crate::command_error::CommandError;
use crate::output::{reason, show};
use http::Uri;
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use std::error::Error as _;
use std::future::Future;
use std::io;
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
        Self::with_patience(global, &ConnectionArgs::default(), ANSWER).await
    }

    /// The same, with what kubectl's other flags say.
    pub(crate) async fn connect_with(
        global: &GlobalArgs,
        connection: &ConnectionArgs,
    ) -> Result<Self, CommandError> {
        Self::with_patience(global, connection, connection.timeout().unwrap_or(ANSWER)).await
    }

    /// The same, for watches, which are silent while nothing happens.
    pub(crate) async fn connect_to_watch(global: &GlobalArgs) -> Result<Self, CommandError> {
        Self::with_patience(global, &ConnectionArgs::default(), BOOKMARK).await
    }

    async fn with_patience(
        global: &GlobalArgs,
        connection: &ConnectionArgs,
        patience: Duration,
    ) -> Result<Self, CommandError> {
        let hint = "--kubeconfig and --context choose the cluster, as with kubectl";
        let mut config = config(global, connection)
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
}

/// A client of one server that is no API server: with these certificates and no others, under this name.
pub(crate) fn client_of(address: Uri, trusted: Vec<Vec<u8>>, name: String) -> Result<Client, CommandError> {
    let mut config = Config::new(address);
    config.root_cert = Some(trusted);
    config.tls_server_name = Some(name);
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(ANSWER);
    config.default_retry = false;
    let builder = ClientBuilder::try_from(config);
    let builder = builder.map_err(|err| {
        CommandError::user(
            format!(
                "the controller's certificate cannot be used: {}",
                sealing::Printable(&err.to_string())
            ),
            "--controller-ca takes a file of PEM certificates",
        )
    })?;
    Ok(builder.build())
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

async fn config(global: &GlobalArgs, connection: &ConnectionArgs) -> Result<Config, String> {
    let text = |err: KubeconfigError| said(&err);
    if connection.says_something() {
        let kubeconfig = read(global)?.unwrap_or_default();
        let kubeconfig = connection.over(kubeconfig, global.context.as_deref())?;
        return Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .map_err(text);
    }
    let options = KubeConfigOptions {
        context: global.context.clone(),
        ..KubeConfigOptions::default()
    };
    if let Some(path) = &global.kubeconfig {
        let kubeconfig = Kubeconfig::read_from(path).map_err(text)?;
        return Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(text);
    }
    match Config::from_kubeconfig(&options).await {
        Ok(config) => Ok(config),
        // Without a kubeconfig, the cluster that this process runs in, if it does.
        Err(err) if global.context.is_none() => Config::incluster().map_err(|_| err.to_string()),
        Err(err) => Err(said(&err)),
    }
}

/// The namespace that kubeseal takes for a Secret that names none: the context's, else that of the Pod that this runs
/// in, else `default`; none where there is no kubeconfig either. No cluster is asked.
pub(crate) fn context_namespace(
    global: &GlobalArgs,
    connection: &ConnectionArgs,
) -> Result<Option<String>, CommandError> {
    let hint = "--namespace names it; --kubeconfig and --context say where it is looked up";
    let fail = |err: String| CommandError::user(format!("cannot read the kubeconfig: {err}"), hint);
    let Some(kubeconfig) = read(global).map_err(fail)? else {
        return Ok(pod_namespace());
    };
    let kubeconfig = connection
        .over(kubeconfig, global.context.as_deref())
        .map_err(fail)?;
    let context = kubeconfig
        .contexts
        .into_iter()
        .next()
        .and_then(|named| named.context);
    let named = context
        .and_then(|context| context.namespace)
        .filter(|name| !name.is_empty());
    Ok(named
        .or_else(pod_namespace)
        .or_else(|| Some("default".to_owned())))
}

/// As client-go knows the namespace of the Pod that it runs in.
fn pod_namespace() -> Option<String> {
    const FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
    std::env::var_os("KUBERNETES_SERVICE_HOST")?;
    let from_env = std::env::var("POD_NAMESPACE").ok();
    let named = from_env.or_else(|| std::fs::read_to_string(FILE).ok())?;
    Some(named.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The kubeconfig, or none where no file is: as with kubectl, that is no error by itself.
fn read(global: &GlobalArgs) -> Result<Option<Kubeconfig>, String> {
    let found = match &global.kubeconfig {
        Some(path) => {
            return Kubeconfig::read_from(path)
                .map(Some)
                .map_err(|err| err.to_string());
        }
        None => Kubeconfig::read(),
    };
    match found {
        Ok(kubeconfig) => Ok(Some(kubeconfig)),
        Err(KubeconfigError::FindPath) => Ok(None),
        Err(KubeconfigError::ReadConfig(err, _)) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(said(&err)),
    }
}

fn said(err: &KubeconfigError) -> String {
    match err {
        KubeconfigError::ReadConfig(err, path) => format!("cannot read {}: {}", show(path), reason(err)),
        err => err.to_string(),
    }
}
