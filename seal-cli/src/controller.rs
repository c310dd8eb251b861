//! The controller, reached as kubeseal reaches it: the API server passes requests on to its Service.

mod caller;

pub(crate) use caller::CallerArgs;

use crate::cli::GlobalArgs;
use crate::cluster::{self, Cluster, ConnectionArgs};
use crate::command_error::CommandError;
use crate::key_set;
use clap::Args;
use http_body_util::{BodyExt as _, Limited};
use k8s_openapi::api::core::v1::Service as ServiceObject;
use kube::client::Body;
use kube::{Api, Client};
use std::time::Duration;

/// The Service of Signet's controller (deploy/install.yaml), its namespace first, and the name of its port.
const SIGNET: (&str, &str, &str) = ("signet-system", "signet", "http");
/// The Service that kubeseal looks for by default.
const SEALED_SECRETS: (&str, &str) = ("kube-system", "sealed-secrets-controller");

/// The largest answer that is read: an object is at most 1.5 MiB in etcd, and base64 and JSON stay below twice that.
const LARGEST: usize = 4 << 20;
/// Bitnami's controller answers two such requests a second by default, and says 429 to the others.
const RATE_LIMIT_PAUSE: Duration = Duration::from_secs(1);
const RATE_LIMIT_TRIES: usize = 10;

const WHERE: &str = "Please, use the flag --controller-name and --controller-namespace to set up the name and \
                     namespace of the sealed secrets controller";

/// Where the controller is.
#[derive(Args, Default)]
#[command(next_help_heading = "Where the controller is")]
pub(crate) struct ControllerArgs {
    /// Namespace of the controller's Service [default: signet-system; as kubeseal: kube-system, then signet-system]
    #[arg(
        long,
        value_name = "NAME",
        env = "SIGNET_CONTROLLER_NAMESPACE",
        hide_env_values = true
    )]
    controller_namespace: Option<String>,
    /// Name of the controller's Service [default: signet; as kubeseal: sealed-secrets-controller, then signet]
    #[arg(
        long,
        value_name = "NAME",
        env = "SIGNET_CONTROLLER_NAME",
        hide_env_values = true
    )]
    controller_name: Option<String>,
}

/// A controller that can be asked.
pub(crate) struct Controller {
    client: Client,
    place: Place,
    /// What comes before its own paths.
    prefix: String,
    /// What says who asks.
    token: Option<caller::Token>,
    /// Why it is asked as nobody, where it was to be asked as somebody.
    unknown: Option<String>,
}

/// Where a controller may be.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    namespace: String,
    name: String,
}

/// What the controller, or the API server in its place, answered.
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// The body; a Status object where the API server answers.
    pub(crate) body: Vec<u8>,
}

impl Controller {
    /// Connects, and asks for the Service. Where it may not be read, Signet's own port name is taken.
    ///
    /// `as_kubeseal` looks where kubeseal looks before it looks for Signet's.
    pub(crate) async fn find(
        args: &ControllerArgs,
        as_kubeseal: bool,
        global: &GlobalArgs,
        connection: &ConnectionArgs,
    ) -> Result<Self, CommandError> {
        let places = args.places(as_kubeseal)?;
        let cluster = Cluster::connect_with(global, connection).await?;
        let mut first = None;
        for place in places {
            let services: Api<ServiceObject> = Api::namespaced(cluster.client.clone(), &place.namespace);
            let port = match services.get(&place.name).await {
                Ok(service) => port_name(&service).ok_or_else(|| {
                    CommandError::user(
                        format!("cannot get sealed secret service: {place} has no ports"),
                        WHERE,
                    )
                })?,
                Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => {
                    if status.code == 403
                        && (place.namespace.as_str(), place.name.as_str()) == (SIGNET.0, SIGNET.1)
                    {
                        SIGNET.2.to_owned()
                    } else {
                        first.get_or_insert((place, status.code));
                        continue;
                    }
                }
                Err(err) => return Err(cluster::explain(&err, "get sealed secret service")),
            };
            return Ok(Self {
                client: cluster.client,
                prefix: format!(
                    "/api/v1/namespaces/{}/services/http:{}:{port}/proxy",
                    place.namespace, place.name
                ),
                place,
                token: None,
                unknown: None,
            });
        }
        Err(match first {
            Some((place, 403)) => CommandError::user(
                format!("cannot get sealed secret service: you may not read the Service {place}"),
                format!(
                    "ask for `get` on services there, or for the certificate as a file for --cert. {WHERE}"
                ),
            ),
            Some((place, _)) => CommandError::user(
                format!("cannot get sealed secret service: there is no Service {place} in this cluster"),
                WHERE,
            ),
            None => CommandError::internal("no place to look for the controller"),
        })
    }

    /// Its certificate, as it serves it.
    pub(crate) async fn certificate(&self) -> Result<String, CommandError> {
        let doing = "fetch certificate";
        let answer = self
            .send(http::Method::GET, "/v1/cert.pem", Vec::new(), doing)
            .await?;
        if answer.status != 200 {
            return Err(self.refusal(&answer, doing));
        }
        String::from_utf8(answer.body).map_err(|_| {
            CommandError::user(
                format!(
                    "cannot fetch certificate: the Service {} serves something else",
                    self.place
                ),
                WHERE,
            )
        })
    }

    /// Its key set, as it serves it. Bitnami's controller has none.
    pub(crate) async fn key_set(&self) -> Result<Option<String>, CommandError> {
        let doing = "fetch the key set";
        let answer = self
            .send(http::Method::GET, key_set::PATH, Vec::new(), doing)
            .await?;
        match answer.status {
            200 => Ok(String::from_utf8(answer.body).ok()),
            404 => Ok(None),
            _ => Err(self.refusal(&answer, doing)),
        }
    }

    /// Posts an object, and tries again a while where the controller limits its rate.
    pub(crate) async fn post(&self, path: &str, body: Vec<u8>, doing: &str) -> Result<Answer, CommandError> {
        for _ in 1..RATE_LIMIT_TRIES {
            let answer = self.send(http::Method::POST, path, body.clone(), doing).await?;
            if answer.status != 429 {
                return Ok(answer);
            }
            tokio::time::sleep(RATE_LIMIT_PAUSE).await;
        }
        self.send(http::Method::POST, path, body, doing).await
    }

    /// Asks for something, of at most so many bytes.
    pub(crate) async fn get(&self, path: &str, largest: usize, doing: &str) -> Result<Answer, CommandError> {
        self.send_for(http::Method::GET, path, Vec::new(), largest, doing)
            .await
    }

    /// Whether it is asked as somebody.
    pub(crate) fn is_somebody(&self) -> bool {
        self.token.is_some()
    }

    /// An answer that is no success, in words.
    pub(crate) fn refusal(&self, answer: &Answer, doing: &str) -> CommandError {
        let place = &self.place;
        let problem = |what: String| format!("cannot {doing}: {what}");
        // The API server answers with an object, and the controller with a sentence.
        if let Some(token) = self.token.as_ref().filter(|_| !answer.body.starts_with(b"{")) {
            let whose = &token.whose;
            match answer.status {
                401 => {
                    return CommandError::user(
                        problem(format!("the controller does not take the token of {whose}")),
                        "it has to be for the audience signet.dev, and not expired",
                    );
                }
                403 => {
                    return CommandError::user(
                        problem(format!("{whose} may not do that in this namespace")),
                        "bind the ClusterRole signet-verify to it there, with a RoleBinding; or ask as another, with \
                         --controller-account NAMESPACE/NAME",
                    );
                }
                _ => {}
            }
        }
        match answer.status {
            404 if self.unknown.is_some() => CommandError::user(
                problem(format!(
                    "the controller answers that to nobody without a token, and {}",
                    self.unknown.as_deref().unwrap_or_default()
                )),
                "ask for the Role signet-client beside the controller, or name a service account of your own with \
                 --controller-account NAMESPACE/NAME",
            ),
            401 => CommandError::user(
                problem("the API server does not know you".to_owned()),
                "are your credentials for this cluster still good?",
            ),
            403 => CommandError::user(
                problem(format!(
                    "you may not reach the Service {place} through the API server"
                )),
                "ask for `get` and `create` on services/proxy there, or for the certificate as a file for --cert",
            ),
            404 => CommandError::user(
                problem(format!("the Service {place} serves no such thing")),
                WHERE,
            ),
            429 => CommandError::user(
                problem("the controller limits the rate of such requests".to_owned()),
                "try again later, or with fewer documents",
            ),
            502..=504 => CommandError::unreachable(
                problem(format!(
                    "the controller behind the Service {place} does not answer"
                )),
                format!("is it running? kubectl -n {} get pods", place.namespace),
            ),
            status => CommandError::user(
                problem(format!("the controller answered with status {status}")),
                "see the controller's log for more",
            ),
        }
    }

    async fn send(
        &self,
        method: http::Method,
        path: &str,
        body: Vec<u8>,
        doing: &str,
    ) -> Result<Answer, CommandError> {
        self.send_for(method, path, body, LARGEST, doing).await
    }

    async fn send_for(
        &self,
        method: http::Method,
        path: &str,
        body: Vec<u8>,
        largest: usize,
        doing: &str,
    ) -> Result<Answer, CommandError> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.prefix))
            .header("Accept", "application/x-pem-file, */*")
            .body(Body::from(body))
            .map_err(|err| CommandError::internal(format!("cannot make a request: {err}")))?;
        if let Some(token) = &self.token {
            request
                .headers_mut()
                .insert(token.header.clone(), token.value.clone());
        }
        let sent = self.client.send(request).await;
        let answer = sent.map_err(|err| cluster::explain(&err, doing))?;
        let status = answer.status().as_u16();
        let read = Limited::new(answer.into_body(), largest).collect().await;
        let read = read.map_err(|err| {
            CommandError::unreachable(
                format!("cannot {doing}: {}", sealing::Printable(&err.to_string())),
                "is the network sound, and is it the right Service?",
            )
        })?;
        let body = read.to_bytes().to_vec();
        Ok(Answer { status, body })
    }
}

impl ControllerArgs {
    /// The namespace of Signet's controller, in which its keys are.
    pub(crate) fn namespace(&self) -> &str {
        self.controller_namespace
            .as_deref()
            .filter(|text| !text.is_empty())
            .unwrap_or(SIGNET.0)
    }

    fn places(&self, as_kubeseal: bool) -> Result<Vec<Place>, CommandError> {
        let place = |namespace: &str, name: &str| Place {
            namespace: given(self.controller_namespace.as_ref(), namespace),
            name: given(self.controller_name.as_ref(), name),
        };
        let mut places = vec![place(SIGNET.0, SIGNET.1)];
        if as_kubeseal {
            places.insert(0, place(SEALED_SECRETS.0, SEALED_SECRETS.1));
            places.dedup();
        }
        for name in places.iter().flat_map(|place| [&place.namespace, &place.name]) {
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
        Ok(places)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

fn given(flag: Option<&String>, default: &str) -> String {
    flag.filter(|text| !text.is_empty())
        .map_or(default, String::as_str)
        .to_owned()
}

/// The name of the first port, as kubeseal takes it; a port may be without one.
fn port_name(service: &ServiceObject) -> Option<String> {
    let port = service.spec.as_ref()?.ports.as_ref()?.first()?;
    Some(port.name.clone().unwrap_or_default())
}
