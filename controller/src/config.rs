//! What the controller is told: flags, each also an environment variable.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Parser, ValueEnum};

use crate::duration;
use crate::keys::{self, KeyOrder};

/// Keeps Kubernetes clusters as Git has them, and opens sealed Secrets on the way.
#[derive(Clone, Debug, Parser)]
#[command(name = "signet-controller", version, about)]
pub struct Config {
    /// The controller's own namespace: sealing keys and records live here.
    #[arg(long, env = "POD_NAMESPACE", default_value = "signet-system", value_parser = namespace)]
    pub namespace: String,

    /// Who this controller is among those of its namespace, of which one acts at a time: the pod's name. Left out: the host's.
    #[arg(long, env = "POD_NAME", value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub identity: Option<String>,

    /// A kubeconfig file. Left out: the pod's service account, or else what kubectl would use.
    #[arg(long, env = "SIGNET_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Address of the public listener: sealing certificate and health. Port 0 takes a free one.
    #[arg(long, env = "SIGNET_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,

    /// Address of the metrics listener.
    #[arg(long, env = "SIGNET_LISTEN_METRICS", default_value = "0.0.0.0:8081")]
    pub listen_metrics: SocketAddr,

    /// Address of the listener that `signet` asks over TLS, with a token: verify, rotate, usage. `off`: none.
    #[arg(long, env = "SIGNET_LISTEN_API", default_value = "0.0.0.0:8443", value_name = "ADDRESS", value_parser = address_or_off)]
    pub listen_api: Listen,

    /// How many requests a second it answers for one identity.
    #[arg(long, env = "SIGNET_API_RATE_LIMIT", default_value_t = 20)]
    pub api_rate_limit: u32,

    /// How many more at once.
    #[arg(long, env = "SIGNET_API_RATE_LIMIT_BURST", default_value_t = 40)]
    pub api_rate_limit_burst: u32,

    /// Writes the actual addresses to this file, as JSON, once all listeners are up.
    #[arg(long, env = "SIGNET_ADDRESSES_FILE", value_name = "FILE")]
    pub addresses_file: Option<PathBuf>,

    /// Where Git repositories are kept. What is lost here is fetched again.
    #[arg(
        long,
        env = "SIGNET_DATA_DIR",
        default_value = "/var/lib/signet",
        value_name = "DIR"
    )]
    pub data_dir: PathBuf,

    /// How much of the disk the stores of all Repositories may take together: bytes, or such as `512Mi` and `4Gi`. Where all is
    /// taken, each namespace may have as much as the others. What is read of long histories may take as much again.
    #[arg(long, env = "SIGNET_DATA_LIMIT", default_value = "4Gi", value_name = "SIZE", value_parser = size)]
    pub data_limit: u64,

    /// Allows `file://` repositories below this directory. May be given several times; by default none are allowed.
    #[arg(
        long,
        env = "SIGNET_ALLOW_FILE_REMOTES",
        value_delimiter = ':',
        value_name = "DIR"
    )]
    pub allow_file_remotes: Vec<PathBuf>,

    /// Size in bits of a sealing key that is made here.
    #[arg(long, env = "SIGNET_KEY_SIZE", default_value_t = 4096, value_parser = key_size)]
    pub key_size: usize,

    /// How long the certificate of a sealing key that is made here is valid.
    #[arg(long, env = "SIGNET_KEY_TTL", default_value = "87600h", value_parser = duration::parse)]
    pub key_ttl: Duration,

    /// A new sealing key of each format is made when its newest is as old as this, such as 720h. 0: never; old keys stay in
    /// any case.
    #[arg(long, env = "SIGNET_KEY_RENEW_PERIOD", default_value = "0", value_parser = renew_period)]
    pub key_renew_period: Duration,

    /// A new sealing key of each format is made where its newest is from before this time, written as `date -R` does.
    #[arg(long, env = "SIGNET_KEY_CUTOFF_TIME", value_name = "TIME", value_parser = keys::cutoff)]
    pub key_cutoff_time: Option<SystemTime>,

    /// Which sealing key of format v1 is the newest, and sealed for: by CertNotBefore or SecretCreationTimestamp. Those of
    /// format v2 go by the latter.
    #[arg(
        long,
        env = "SIGNET_KEY_ORDER_PRIORITY",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub key_order_priority: KeyOrder,

    /// Common name in the certificates of sealing keys that are made here.
    #[arg(long, env = "SIGNET_MY_CN", default_value = "", value_name = "NAME")]
    pub my_cn: String,

    /// Labels for the Secrets of sealing keys that are made here, as key=value,key=value.
    #[arg(long = "privatekey-labels", env = "SIGNET_PRIVATEKEY_LABELS", default_value = "", value_name = "LABELS", value_parser = pairs)]
    pub private_key_labels: Pairs,

    /// Annotations for them.
    #[arg(long = "privatekey-annotations", env = "SIGNET_PRIVATEKEY_ANNOTATIONS", default_value = "", value_name = "ANNOTATIONS", value_parser = pairs)]
    pub private_key_annotations: Pairs,

    /// First part of the names of sealing keys that are made here; a number follows.
    #[arg(long, env = "SIGNET_KEY_PREFIX", default_value = "sealed-secrets-key", value_parser = key_prefix)]
    pub key_prefix: String,

    /// Which SealedSecret objects of the cluster are opened, as Bitnami's controller does: off, all, or namespaces
    /// separated by commas. What comes from Git needs none of it.
    #[arg(long, env = "SIGNET_SEALED_SECRETS", default_value = "off", value_name = "WHERE", value_parser = sealed_scope)]
    pub sealed_secrets: SealedScope,

    /// Of those, only the ones whose labels match, such as `team in (a,b)`.
    #[arg(long, env = "SIGNET_SEALED_SECRETS_SELECTOR", value_name = "SELECTOR")]
    pub sealed_secrets_selector: Option<String>,

    /// Puts names of SealedSecrets into metrics (`sealed_secrets_controller_condition_info`), as Bitnami's controller does.
    #[arg(long, env = "SIGNET_METRICS_SECRET_NAMES", default_value_t = false, action = clap::ArgAction::Set,
        num_args = 0..=1, default_missing_value = "true")]
    pub metrics_secret_names: bool,

    /// Answers `/v1/verify`, which `kubeseal --validate` asks: whether a SealedSecret can be opened here.
    #[arg(long, env = "SIGNET_SERVE_VERIFY", default_value_t = false, action = clap::ArgAction::Set,
        num_args = 0..=1, default_missing_value = "true")]
    pub serve_verify: bool,

    /// Answers `/v1/rotate`, which `kubeseal --re-encrypt` asks: a SealedSecret sealed for the newest key.
    #[arg(long, env = "SIGNET_SERVE_ROTATE", default_value_t = false, action = clap::ArgAction::Set,
        num_args = 0..=1, default_missing_value = "true")]
    pub serve_rotate: bool,

    /// How many requests a second both answer together, whoever asks.
    #[arg(long, env = "SIGNET_RATE_LIMIT", default_value_t = 2)]
    pub rate_limit: u32,

    /// How many more at once.
    #[arg(long, env = "SIGNET_RATE_LIMIT_BURST", default_value_t = 2)]
    pub rate_limit_burst: u32,

    /// How many requests and fetches each room may have under way.
    #[arg(long, env = "SIGNET_CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,

    /// How log lines look.
    #[arg(long, env = "SIGNET_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// How much is logged.
    #[arg(long, env = "SIGNET_LOG_LEVEL", value_enum, default_value_t)]
    pub log_level: LogLevel,
}

/// Bytes, as Kubernetes writes them with a power of two.
fn size(text: &str) -> Result<u64, String> {
    let units = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40)];
    let unit = units
        .iter()
        .find_map(|(unit, power)| Some((text.strip_suffix(unit)?, *power)));
    let (number, power) = unit.unwrap_or((text, 0));
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(1 << power))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "write a number of bytes, or one such as 512Mi or 4Gi".into())
}

/// Keys and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(pub Vec<(String, String)>);

/// Where a listener listens, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(pub Option<SocketAddr>);

/// Where SealedSecret objects are opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SealedScope {
    /// Nowhere.
    #[default]
    Off,
    /// In every namespace.
    All,
    /// In these namespaces.
    In(Vec<String>),
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What needs somebody.
    Error,
    /// And what will be tried again.
    Warn,
    /// And what was done.
    #[default]
    Info,
    /// And why.
    Debug,
}

impl LogLevel {
    /// The level as `tracing` names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

fn namespace(text: &str) -> Result<String, &'static str> {
    dns_label(text, 63).ok_or("a namespace has at most 63 characters of a-z, 0-9 and -")
}

fn address_or_off(text: &str) -> Result<Listen, &'static str> {
    match text {
        "off" => Ok(Listen(None)),
        address => address
            .parse()
            .map(|address| Listen(Some(address)))
            .map_err(|_| "write off, or an address and a port such as 0.0.0.0:8443"),
    }
}

fn pairs(text: &str) -> Result<Pairs, &'static str> {
    keys::pairs(text).map(Pairs)
}

fn renew_period(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    duration::parse(text).map_err(|error| error.to_string())
}

fn sealed_scope(text: &str) -> Result<SealedScope, &'static str> {
    match text.trim() {
        "off" | "" => Ok(SealedScope::Off),
        "all" | "*" => Ok(SealedScope::All),
        names => {
            let names: Result<Vec<_>, _> = names.split(',').map(|name| namespace(name.trim())).collect();
            let mut names = names.map_err(|_| "write off, all, or namespaces separated by commas")?;
            names.sort_unstable();
            names.dedup();
            Ok(SealedScope::In(names))
        }
    }
}

fn key_prefix(text: &str) -> Result<String, &'static str> {
    // Five digits follow; 245 is Bitnami's limit.
    dns_label(text, 245).ok_or("a key prefix has at most 245 characters of a-z, 0-9 and -")
}

fn dns_label(text: &str, limit: usize) -> Option<String> {
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let fits = !text.is_empty() && text.len() <= limit && !text.starts_with('-');
    (plain && fits).then(|| text.to_owned())
}

fn key_size(text: &str) -> Result<usize, &'static str> {
    match text {
        "2048" => Ok(2048),
        "3072" => Ok(3072),
        "4096" => Ok(4096),
        "8192" => Ok(8192),
        _ => Err("a key has 2048, 3072, 4096 or 8192 bits"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, SealedScope, sealed_scope};
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_sound() {
        Config::command().debug_assert();
    }

    #[test]
    fn directories_repeat() {
        let config = Config::try_parse_from([
            "signet-controller",
            "--allow-file-remotes=/a",
            "--allow-file-remotes=/b",
            "--listen=127.0.0.1:0",
            "--data-limit=512Mi",
        ])
        .unwrap();
        assert_eq!(config.data_limit, 512 << 20);
        assert_eq!(config.allow_file_remotes.len(), 2);
        assert_eq!(config.listen.port(), 0);
    }

    #[test]
    fn sealed_secrets_are_opened_where_one_says() {
        assert_eq!(sealed_scope("off"), Ok(SealedScope::Off));
        assert_eq!(sealed_scope("*"), Ok(SealedScope::All));
        let two = SealedScope::In(vec!["a".into(), "b".into()]);
        assert_eq!(sealed_scope("b, a,b"), Ok(two));
        assert!(sealed_scope("a,,b").is_err() && sealed_scope("A").is_err());
    }

    #[test]
    fn nonsense_is_refused() {
        for argument in [
            "--namespace=A",
            "--key-size=1024",
            "--key-ttl=soon",
            "--key-prefix=x_y",
            "--concurrency=0",
            "--data-limit=0",
            "--data-limit=4GB",
            "--data-limit=99999999999Gi",
        ] {
            assert!(
                Config::try_parse_from(["signet-controller", argument]).is_err(),
                "{argument}"
            );
        }
    }
}
