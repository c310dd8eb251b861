//! Being somebody to the controller: a token that is good for it alone, and the way to the listener that takes it.
//!
//! Through the API server's service proxy, as everything else. It takes the Authorization header away and lets others
//! through, and it checks no certificate of what is behind: so the token stands in a header of its own, and is good for
//! nothing but this controller, for a few minutes. With an address, the listener is reached directly, and its certificate is
//! compared with what it publishes in the cluster.

use super::{Controller, ControllerArgs, Place};
use crate::cli::GlobalArgs;
use crate::cluster::{self, Cluster, ConnectionArgs};
use crate::command_error::CommandError;
use crate::output::{reason, show};
use clap::Args;
use crds::listener;
use http::{HeaderName, HeaderValue, Uri, header};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::Api;
use kube::api::PostParams;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The shortest life that the API server gives a token.
const LIFE: i64 = 600;
/// More than any token, or a few certificates.
const LARGEST: u64 = 64 << 10;

/// As whom the controller is asked, and where.
#[derive(Args, Default)]
#[command(next_help_heading = "Asking the controller as somebody")]
pub(crate) struct CallerArgs {
    /// The service account to ask as; a token for the controller alone is made for it [default: signet-client, beside
    /// the controller]
    #[arg(
        long = "controller-account",
        id = "controller_account",
        value_name = "NAMESPACE/NAME"
    )]
    account: Option<String>,
    /// A token for the audience signet.dev, in a file; none is made then
    #[arg(
        long = "controller-token-file",
        id = "controller_token_file",
        value_name = "FILE",
        env = "SIGNET_CONTROLLER_TOKEN_FILE",
        hide_env_values = true
    )]
    token_file: Option<PathBuf>,
    /// Ask the controller at this https URL, and not through the API server
    #[arg(
        long = "controller-url",
        id = "controller_url",
        value_name = "URL",
        env = "SIGNET_CONTROLLER_URL",
        hide_env_values = true
    )]
    url: Option<String>,
    /// The certificate that it has there [default: what it publishes in the cluster]
    #[arg(
        long = "controller-ca",
        id = "controller_ca",
        value_name = "FILE",
        requires = "controller_url"
    )]
    ca: Option<PathBuf>,
}

/// What a request brings.
pub(super) struct Token {
    pub(super) header: HeaderName,
    pub(super) value: HeaderValue,
    /// Whose it is, for a sentence.
    pub(super) whose: String,
}

impl Controller {
    /// The controller, asked as somebody. Where no token can be had, it is asked as nobody, which it may not answer: Bitnami's
    /// takes no tokens.
    pub(crate) async fn ask(
        args: &ControllerArgs,
        caller: &CallerArgs,
        global: &GlobalArgs,
        connection: &ConnectionArgs,
    ) -> Result<Self, CommandError> {
        let place = args.places(false)?.swap_remove(0);
        if let Some(url) = given(caller.url.as_ref()) {
            return direct(&url, &place, caller, global, connection).await;
        }
        let cluster = Cluster::connect_with(global, connection).await?;
        match caller.token(&cluster, &place).await? {
            Ok(token) => Ok(Self {
                client: cluster.client,
                prefix: format!(
                    "/api/v1/namespaces/{}/services/https:{}{}:{}/proxy",
                    place.namespace,
                    place.name,
                    listener::SERVICE_SUFFIX,
                    listener::PORT
                ),
                place,
                token: Some(token.within(HeaderName::from_static(listener::TOKEN_HEADER))?),
                unknown: None,
            }),
            Err(why) => {
                let mut open = Self::find(args, false, global, connection).await?;
                open.unknown = Some(why);
                Ok(open)
            }
        }
    }
}

impl CallerArgs {
    /// A token; or why there is none, where nobody asked for a certain one.
    async fn token(&self, cluster: &Cluster, place: &Place) -> Result<Result<Raw, String>, CommandError> {
        if let Some(file) = &self.token_file {
            return of_file(file).map(Ok);
        }
        let (namespace, name) = self.account(place)?;
        let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), &namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: vec![listener::AUDIENCE.to_owned()],
                expiration_seconds: Some(LIFE),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let made = accounts
            .create_token_request(&name, &PostParams::default(), &request)
            .await;
        match made {
            Ok(made) => {
                let text = Zeroizing::new(made.status.map(|status| status.token).unwrap_or_default());
                Ok(Ok(Raw {
                    text,
                    whose: format!("service account {namespace}/{name}"),
                }))
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) && self.account.is_none() => {
                let what = if status.code == 403 {
                    "you may not make a token of"
                } else {
                    "there is no"
                };
                Ok(Err(format!("{what} service account {namespace}/{name}")))
            }
            Err(err) => Err(cluster::explain(
                &err,
                &format!("get a token of service account {namespace}/{name}"),
            )),
        }
    }

    fn account(&self, place: &Place) -> Result<(String, String), CommandError> {
        let Some(text) = given(self.account.as_ref()) else {
            return Ok((place.namespace.clone(), listener::ACCOUNT.to_owned()));
        };
        let both = text.split_once('/');
        let good = |name: &str| manifest::check_name(name).is_ok();
        match both.filter(|(namespace, name)| good(namespace) && good(name)) {
            Some((namespace, name)) => Ok((namespace.to_owned(), name.to_owned())),
            None => Err(CommandError::user(
                format!("`{}` is no service account", sealing::Printable(&text)),
                "write --controller-account NAMESPACE/NAME",
            )),
        }
    }
}

/// A token as it was had.
struct Raw {
    text: Zeroizing<String>,
    whose: String,
}

impl Raw {
    fn within(self, header: HeaderName) -> Result<Token, CommandError> {
        let text = if header == header::AUTHORIZATION {
            Zeroizing::new(format!("Bearer {}", &*self.text))
        } else {
            self.text
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            CommandError::user(
                "the token is none",
                "a token is one line of letters, digits and dots",
            )
        })?;
        value.set_sensitive(true);
        Ok(Token {
            header,
            value,
            whose: self.whose,
        })
    }
}

/// The listener at an address, with the certificate that it has to have. The cluster is asked for what was not given.
async fn direct(
    url: &str,
    place: &Place,
    caller: &CallerArgs,
    global: &GlobalArgs,
    connection: &ConnectionArgs,
) -> Result<Controller, CommandError> {
    let shown = sealing::Printable(url).to_string();
    let hint = "--controller-url is such as https://signet.example.com:8443";
    let address: Uri = url
        .parse()
        .ok()
        .filter(|address: &Uri| address.scheme_str() == Some("https") && address.host().is_some())
        .ok_or_else(|| CommandError::user(format!("{shown} is no https URL"), hint))?;
    let needs_cluster = caller.ca.is_none() || caller.token_file.is_none();
    let cluster = if needs_cluster {
        Some(Cluster::connect_with(global, connection).await?)
    } else {
        None
    };
    let pem = match (&caller.ca, &cluster) {
        (Some(file), _) => small_file(file)?,
        (None, Some(cluster)) => published(cluster, place).await?,
        (None, None) => return Err(CommandError::internal("no certificate and no cluster")),
    };
    let trusted: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .filter_map(|found| found.ok().map(|der| der.to_vec()))
        .collect();
    if trusted.is_empty() {
        return Err(CommandError::user(
            "there is no certificate to compare the controller's with",
            "--controller-ca takes a file of PEM certificates",
        ));
    }
    let token = match (&caller.token_file, &cluster) {
        (Some(file), _) => of_file(file)?,
        (None, Some(cluster)) => caller.token(cluster, place).await?.map_err(|why| {
            CommandError::user(
                format!("the controller takes nobody without a token: {why}"),
                "--controller-account NAMESPACE/NAME names another; --controller-token-file brings one",
            )
        })?,
        (None, None) => return Err(CommandError::internal("no token and no cluster")),
    };
    let client = cluster::client_of(address, trusted, listener::server_name(&place.namespace))?;
    Ok(Controller {
        client,
        place: place.clone(),
        prefix: String::new(),
        token: Some(token.within(header::AUTHORIZATION)?),
        unknown: None,
    })
}

/// What the controller publishes.
async fn published(cluster: &Cluster, place: &Place) -> Result<Zeroizing<String>, CommandError> {
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &place.namespace);
    let found = maps.get(listener::CERTIFICATE).await;
    let found = found.map_err(|err| {
        cluster::explain(&err, "get the controller's certificate")
            .hint("--controller-ca FILE names one that you have")
    })?;
    let text = found
        .data
        .and_then(|mut data| data.remove(listener::CERTIFICATE_FIELD));
    Ok(Zeroizing::new(text.unwrap_or_default()))
}

fn of_file(file: &Path) -> Result<Raw, CommandError> {
    let text = small_file(file)?;
    Ok(Raw {
        text: Zeroizing::new(text.trim().to_owned()),
        whose: format!("the token in {}", show(file)),
    })
}

fn small_file(file: &Path) -> Result<Zeroizing<String>, CommandError> {
    let fail = |problem: String| {
        CommandError::user(
            format!("cannot read {}: {problem}", show(file)),
            "is it the right file?",
        )
    };
    let size = std::fs::metadata(file)
        .map_err(|err| fail(reason(&err).clone()))?
        .len();
    if size > LARGEST {
        return Err(fail("it is too large".to_owned()));
    }
    let text = std::fs::read_to_string(file).map_err(|err| fail(reason(&err).clone()))?;
    Ok(Zeroizing::new(text))
}

fn given(flag: Option<&String>) -> Option<String> {
    flag.filter(|text| !text.is_empty()).cloned()
}
