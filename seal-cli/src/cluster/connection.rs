//! kubectl's flags about which cluster is asked, and as whom.

use clap::Args;
use kube::config::{AuthInfo, Cluster, Context, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext};
use std::path::PathBuf;
use std::time::Duration;

/// The context that the flags make up.
const CONTEXT: &str = "signet-flags";

/// kubectl's connection flags (client-go, `clientcmd.RecommendedConfigOverrideFlags`); each wins over the kubeconfig.
#[derive(Args, Default)]
#[command(next_help_heading = "Connection, as with kubectl")]
pub(crate) struct ConnectionArgs {
    /// Take this cluster of the kubeconfig
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Take this user of the kubeconfig
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The API server's URL
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Bearer token for the API server
    #[arg(long, value_name = "TOKEN", hide_env = true)]
    token: Option<String>,
    /// User name for basic authentication
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Password for basic authentication
    #[arg(long, value_name = "PASSWORD", hide_env = true)]
    password: Option<String>,
    /// Act as this user
    #[arg(long = "as", value_name = "NAME")]
    impersonate: Option<String>,
    /// Act as a member of this group; may be repeated
    #[arg(long, value_name = "NAME")]
    as_group: Vec<String>,
    /// Act as the user with this uid
    #[arg(long, value_name = "UID")]
    as_uid: Option<String>,
    /// The API server's certificate authority
    #[arg(long, value_name = "FILE")]
    certificate_authority: Option<PathBuf>,
    /// Client certificate
    #[arg(long, value_name = "FILE")]
    client_certificate: Option<PathBuf>,
    /// The client certificate's key
    #[arg(long, value_name = "FILE")]
    client_key: Option<PathBuf>,
    /// Do not check the API server's certificate: whoever is on the way can put in a sealing key of their own
    #[arg(long)]
    insecure_skip_tls_verify: bool,
    /// Check the API server's certificate for this name
    #[arg(long, value_name = "NAME")]
    tls_server_name: Option<String>,
    /// Connect through this proxy
    #[arg(long, value_name = "URL")]
    proxy_url: Option<String>,
    /// Ask for answers without compression
    #[arg(long)]
    disable_compression: bool,
    /// How long one request may take, such as 30s; 0 is the default
    #[arg(long, value_name = "DURATION", value_parser = request_timeout)]
    request_timeout: Option<Duration>,
}

impl ConnectionArgs {
    /// How long an answer may take, where it was said.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.request_timeout.filter(|timeout| !timeout.is_zero())
    }

    /// Lays the flags over a kubeconfig: the result has one context, of the cluster and the user that are meant.
    pub(super) fn over(
        &self,
        mut kubeconfig: Kubeconfig,
        context: Option<&str>,
    ) -> Result<Kubeconfig, String> {
        let wanted = context
            .map(ToOwned::to_owned)
            .or(kubeconfig.current_context.take());
        let mut meant = match wanted.filter(|name| !name.is_empty()) {
            None => Context::default(),
            Some(name) => {
                let found = kubeconfig.contexts.iter().find(|named| named.name == name);
                found
                    .and_then(|named| named.context.clone())
                    .ok_or_else(|| format!("context \"{}\" does not exist", sealing::Printable(&name)))?
            }
        };
        if let Some(name) = given(self.cluster.as_ref()) {
            meant.cluster = name;
        }
        if let Some(name) = given(self.user.as_ref()) {
            meant.user = Some(name);
        }

        let index = kubeconfig
            .clusters
            .iter()
            .position(|named| named.name == meant.cluster);
        let mut cluster = match index {
            Some(index) => kubeconfig.clusters.swap_remove(index).cluster.unwrap_or_default(),
            None if self.cluster.is_some() => return Err(missing("cluster", &meant.cluster)),
            None => Cluster::default(),
        };
        self.set_cluster(&mut cluster);
        let user = meant.user.clone().unwrap_or_default();
        let index = kubeconfig.auth_infos.iter().position(|named| named.name == user);
        let mut auth = match index {
            Some(index) => kubeconfig
                .auth_infos
                .swap_remove(index)
                .auth_info
                .unwrap_or_default(),
            None if self.user.is_some() => return Err(missing("auth info", &user)),
            None => AuthInfo::default(),
        };
        self.set_auth(&mut auth);

        CONTEXT.clone_into(&mut meant.cluster);
        meant.user = Some(CONTEXT.to_owned());
        kubeconfig.clusters = vec![NamedCluster {
            name: CONTEXT.to_owned(),
            cluster: Some(cluster),
            ..NamedCluster::default()
        }];
        kubeconfig.auth_infos = vec![NamedAuthInfo {
            name: CONTEXT.to_owned(),
            auth_info: Some(auth),
            ..NamedAuthInfo::default()
        }];
        kubeconfig.contexts = vec![NamedContext {
            name: CONTEXT.to_owned(),
            context: Some(meant),
            ..NamedContext::default()
        }];
        kubeconfig.current_context = Some(CONTEXT.to_owned());
        Ok(kubeconfig)
    }

    /// Whether any flag says something that the kubeconfig does not.
    pub(super) fn says_something(&self) -> bool {
        let texts = [
            &self.cluster,
            &self.user,
            &self.server,
            &self.token,
            &self.username,
            &self.password,
            &self.impersonate,
            &self.as_uid,
            &self.tls_server_name,
            &self.proxy_url,
        ];
        let files = [
            &self.certificate_authority,
            &self.client_certificate,
            &self.client_key,
        ];
        texts.iter().any(|text| text.is_some())
            || files.iter().any(|file| file.is_some())
            || !self.as_group.is_empty()
            || self.insecure_skip_tls_verify
            || self.disable_compression
    }

    fn set_cluster(&self, cluster: &mut Cluster) {
        if let Some(server) = given(self.server.as_ref()) {
            cluster.server = Some(if server.contains("://") {
                server
            } else {
                format!("http://{server}")
            });
        }
        if let Some(file) = path(self.certificate_authority.as_ref()) {
            cluster.certificate_authority = Some(file);
            cluster.certificate_authority_data = None;
        }
        if self.insecure_skip_tls_verify {
            cluster.insecure_skip_tls_verify = Some(true);
            cluster.certificate_authority = None;
            cluster.certificate_authority_data = None;
        }
        if let Some(name) = given(self.tls_server_name.as_ref()) {
            cluster.tls_server_name = Some(name);
        }
        if let Some(url) = given(self.proxy_url.as_ref()) {
            cluster.proxy_url = Some(url);
        }
        if self.disable_compression {
            cluster.disable_compression = Some(true);
        }
    }

    fn set_auth(&self, auth: &mut AuthInfo) {
        if let Some(token) = given(self.token.as_ref()) {
            auth.token = Some(token.into());
            auth.token_file = None;
            auth.exec = None;
            auth.auth_provider = None;
        }
        if let Some(username) = given(self.username.as_ref()) {
            auth.username = Some(username);
            auth.token = None;
            auth.token_file = None;
        }
        if let Some(password) = given(self.password.as_ref()) {
            auth.password = Some(password.into());
        }
        if let Some(file) = path(self.client_certificate.as_ref()) {
            auth.client_certificate = Some(file);
            auth.client_certificate_data = None;
        }
        if let Some(file) = path(self.client_key.as_ref()) {
            auth.client_key = Some(file);
            auth.client_key_data = None;
        }
        if let Some(user) = given(self.impersonate.as_ref()) {
            auth.impersonate = Some(user);
        }
        if let Some(uid) = given(self.as_uid.as_ref()) {
            auth.impersonate_uid = Some(uid);
        }
        if !self.as_group.is_empty() {
            auth.impersonate_groups = Some(self.as_group.clone());
        }
    }
}

fn given(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

fn path(file: Option<&PathBuf>) -> Option<String> {
    let file = file.filter(|file| !file.as_os_str().is_empty())?;
    Some(file.to_string_lossy().into_owned())
}

fn missing(what: &str, name: &str) -> String {
    format!("{what} \"{}\" does not exist", sealing::Printable(name))
}

/// A duration as client-go reads it: `0`, a number of seconds, or a number with its unit.
fn request_timeout(text: &str) -> Result<Duration, String> {
    match text.parse::<u64>() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => crate::args::duration(text),
    }
}
