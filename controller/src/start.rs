//! Starting every room, and stopping them together.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::calm::Calm;
use crate::config::Config;
use crate::config::SealedScope;
use crate::events::Events;
use crate::histories::Histories;
use crate::http::{self, Listener};
use crate::keys::{self, DigestKey};
use crate::leader::{Candidate, Fence};
use crate::metrics::Metrics;
use crate::ready::Readiness;
use crate::repository::{Heads, Notes, Room};
use crate::shutdown::{self, Shutdown};
use crate::webhook::Webhooks;
use crate::{Context, client, rotation, sealed, sync};

/// How long the rooms may take to stop. Syncs write down what they own.
const STOPPING: Duration = Duration::from_secs(20);

/// Why the controller ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No usable client configuration.
    #[error(
        "there is no way to reach a cluster: {0}. Give --kubeconfig, or run in a pod with a service account"
    )]
    NoCluster(String),
    /// An address is taken or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// A file or directory.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
    /// Another controller acts.
    #[error("another controller has taken the Lease")]
    LeaseLost,
    /// No TLS.
    #[error("TLS cannot be set up")]
    Tls,
    /// A part that runs for ever has ended.
    #[error("{0} ended unexpectedly")]
    RoomEnded(&'static str),
}

/// Runs the controller until it is told to stop (SIGTERM, SIGINT) or a room fails.
pub async fn run(config: Config) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let (trigger, shutdown) = shutdown::channel();
    let fence = Fence::new(&config.namespace);
    let client = connect(config.kubeconfig.as_deref(), &fence).await?;
    let identity = config.identity.clone().unwrap_or_else(instance);
    let mut candidate = Candidate::new(client.clone(), &config.namespace, identity, fence.clone());
    candidate.begin().await;
    let readiness = Readiness::default();
    let mut rooms = start(config, client, &fence, &readiness, shutdown).await?;

    let result = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        () = candidate.run(&readiness) => Err(Error::LeaseLost),
        ended = rooms.join_next() => match ended {
            Some(Ok(name)) => Err(Error::RoomEnded(name)),
            _ => Err(Error::RoomEnded("a part of the controller")),
        },
    };
    info!("stopping");
    trigger.fire();
    candidate.hurry();
    // What is under way is ended and written down under the Lease, unless it is another's.
    let renewed = async {
        match &result {
            Err(Error::LeaseLost) => {}
            _ => candidate.run(&readiness).await,
        }
        std::future::pending::<()>().await;
    };
    let all = async { while rooms.join_next().await.is_some() {} };
    tokio::select! {
        () = all => {}
        () = renewed => {}
        () = tokio::time::sleep(STOPPING) => warn!("not everything stopped in time"),
        // Asked again: at once.
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    candidate.release().await;
    result
}

/// Starts every room; a room that ends yields its name.
async fn start(
    config: Config,
    client: Client,
    fence: &Fence,
    readiness: &Readiness,
    shutdown: Shutdown,
) -> Result<JoinSet<&'static str>, Error> {
    std::fs::create_dir_all(&config.data_dir).map_err(|source| Error::File {
        path: config.data_dir.clone(),
        source,
    })?;
    let public = bind(config.listen).await?;
    let measured = bind(config.listen_metrics).await?;
    let asked = match config.listen_api.0 {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    announce(
        &config,
        public.address(),
        measured.address(),
        asked.as_ref().map(Listener::address),
    )?;

    let readiness = readiness.clone();
    let metrics = Arc::new(Metrics::new(config.metrics_secret_names));
    let heads = Heads::default();
    let histories = Histories::new(config.data_limit);
    let calm = Calm::default();
    let events = Events::start(client.clone(), &instance(), calm.clone(), shutdown.clone());
    let (follower, keys) = keys::first_load(
        client.clone(),
        &config,
        events.clone(),
        Arc::clone(&metrics),
        readiness.gate("the sealing keys"),
        fence.clone(),
    );
    let webhooks = Webhooks::new(
        client.clone(),
        heads.clone(),
        events.clone(),
        Arc::clone(&metrics),
    );
    let notes = Notes::new(client.clone(), &config, events.clone(), shutdown.clone());
    let repositories = Room::new(
        client.clone(),
        &config,
        events.clone(),
        Arc::clone(&metrics),
        heads.clone(),
        webhooks.clone(),
        notes.clone(),
        shutdown.clone(),
    );
    let watching = readiness.gate_to_act("the watch on Repositories");

    let mut rooms = JoinSet::new();
    let mut room = |name: &'static str, work: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
        rooms.spawn(async move {
            work.await;
            name
        });
    };
    room(
        "the HTTP listener",
        Box::pin(http::serve(
            public,
            http::public(
                keys.clone(),
                readiness.clone(),
                Arc::clone(&metrics),
                webhooks,
                &config,
            ),
            shutdown.clone(),
        )),
    );
    room(
        "the metrics listener",
        Box::pin(http::serve(
            measured,
            http::metrics(Arc::clone(&metrics), readiness.clone()),
            shutdown.clone(),
        )),
    );
    if let Some(asked) = asked {
        let serving = http::Serving::default();
        let (metrics, histories) = (Arc::clone(&metrics), histories.clone());
        let router = http::api(client.clone(), keys.clone(), metrics, &config, histories);
        let kept = serving.clone().keep(client.clone(), config.namespace.clone());
        let tls = serving.tls().map_err(|_| Error::Tls)?;
        let stop = shutdown.clone();
        room(
            "the API listener",
            Box::pin(async move {
                let listens = http::serve_tls(asked, router, tls, stop.clone());
                tokio::join!(listens, until_stopped(stop, kept));
            }),
        );
    }
    room(
        "the watch on sealing keys",
        Box::pin(until_stopped(shutdown.clone(), follower.run())),
    );
    let (leads, stops, written) = (fence.clone(), shutdown.clone(), notes.clone());
    room(
        "the notes in Git",
        Box::pin(async move {
            tokio::select! {
                () = stops.requested() => {}
                () = leads.opened() => written.run().await,
            }
        }),
    );
    let (leads, stops) = (fence.clone(), shutdown.clone());
    room(
        "the watch on Repositories",
        Box::pin(async move {
            tokio::select! {
                () = stops.requested() => {}
                () = leads.opened() => repositories.run(watching).await,
            }
        }),
    );
    let (leads, acts) = (fence.clone(), readiness.gate_to_act("the Lease"));
    room(
        "the Syncs",
        Box::pin(async move {
            tokio::select! {
                () = shutdown.requested() => return,
                () = leads.opened() => {}
            }
            let Some(digest_key) = digest_key(&client, &config.namespace, &shutdown).await else {
                return;
            };
            let mut loaded = keys.clone();
            tokio::select! {
                () = shutdown.requested() => return,
                // The first ring is published only once it holds a key.
                _ = loaded.wait_for(|ring| ring.newest().is_some()) => {}
            }
            let context = Context {
                client,
                namespace: config.namespace.clone(),
                heads,
                histories,
                notes,
                keys,
                digest_key,
                metrics,
                events,
                calm,
                readiness,
                fence: leads,
                claims: sealed::Claims::of(&config.sealed_secrets),
                config,
                shutdown,
            };
            acts.open();
            let cluster = context.clone();
            let opened = async {
                if cluster.config.sealed_secrets != SealedScope::Off {
                    sealed::run(cluster).await;
                }
            };
            tokio::join!(sync::run(context.clone()), opened, rotation::run(context));
        }),
    );
    Ok(rooms)
}

async fn until_stopped(shutdown: Shutdown, work: impl Future<Output = ()>) {
    tokio::select! {
        () = shutdown.requested() => {}
        () = work => {}
    }
}

/// Asks for the digest key until the API server gives it.
async fn digest_key(client: &Client, namespace: &str, shutdown: &Shutdown) -> Option<DigestKey> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let mut pause = Duration::from_millis(200);
    let mut said = None;
    loop {
        match keys::digest_key(&api).await {
            Ok(key) => return Some(key),
            Err(error) if said.as_ref() == Some(&error) => {}
            Err(error) => {
                warn!(%error, "the digest key is not there yet; nothing is applied before it is");
                said = Some(error);
            }
        }
        tokio::select! {
            () = shutdown.requested() => return None,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(10)),
        }
    }
}

/// The text of a configuration error can quote a kubeconfig, and with it a token: it is dropped.
async fn connect(kubeconfig: Option<&Path>, fence: &Fence) -> Result<Client, Error> {
    let config = if let Some(path) = kubeconfig {
        let unusable = || Error::NoCluster(format!("{} is not a usable kubeconfig", path.display()));
        let kubeconfig = Kubeconfig::read_from(path).map_err(|_| unusable())?;
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .map_err(|_| unusable())?
    } else if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        kube::Config::incluster()
            .map_err(|_| Error::NoCluster("the pod's service account cannot be used".into()))?
    } else {
        kube::Config::infer()
            .await
            .map_err(|_| Error::NoCluster("neither kubeconfig nor service account can be used".into()))?
    };
    client::build(config, fence.clone())
        .map_err(|_| Error::NoCluster("its certificates or credentials cannot be used".into()))
}

async fn bind(address: SocketAddr) -> Result<Listener, Error> {
    Listener::bind(address)
        .await
        .map_err(|source| Error::Listen { address, source })
}

/// Tells where we listen: port 0 is answered here.
fn announce(
    config: &Config,
    http: SocketAddr,
    metrics: SocketAddr,
    api: Option<SocketAddr>,
) -> Result<(), Error> {
    let api = api.map_or_else(|| "off".to_owned(), |address| address.to_string());
    info!(%http, %metrics, api, "listening");
    let Some(path) = &config.addresses_file else {
        return Ok(());
    };
    let text = format!(
        "{}\n",
        json!({"http": http.to_string(), "metrics": metrics.to_string(), "api": api})
    );
    // Whoever waits for the file reads all of it or nothing.
    let mut partial = path.clone().into_os_string();
    partial.push(".partial");
    std::fs::write(&partial, text)
        .and_then(|()| std::fs::rename(&partial, path))
        .map_err(|source| Error::File {
            path: path.clone(),
            source,
        })
}

/// The pod's name, for events and for the Lease: no two controllers of one namespace may have the same.
fn instance() -> String {
    let host = std::env::var("HOSTNAME").ok();
    let host = host.or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok());
    let host = host.map(|name| name.trim().to_owned());
    host.filter(|name| !name.is_empty())
        .unwrap_or_else(|| "signet-controller".into())
}
