//! klog's flags, which kubeseal has by way of its libraries. There is nothing that they would log: they are accepted.

use clap::Args;

/// The flags of klog (k8s.io/klog/v2). All are read, checked, and mean nothing.
#[derive(Args)]
#[allow(dead_code)] // for compatibility alone
pub(super) struct KlogArgs {
    #[arg(long = "v", short = 'v', hide = true, value_name = "LEVEL")]
    verbosity: Option<i32>,
    #[arg(long, hide = true)]
    vmodule: Option<String>,
    #[arg(long, hide = true)]
    logtostderr: bool,
    #[arg(long, hide = true)]
    alsologtostderr: bool,
    #[arg(long, hide = true)]
    stderrthreshold: Option<String>,
    #[arg(long = "log_dir", alias = "log-dir", hide = true)]
    log_dir: Option<String>,
    #[arg(long = "log_file", alias = "log-file", hide = true)]
    log_file: Option<String>,
    #[arg(long = "log_file_max_size", alias = "log-file-max-size", hide = true)]
    log_file_max_size: Option<u64>,
    #[arg(long = "log_backtrace_at", alias = "log-backtrace-at", hide = true)]
    log_backtrace_at: Option<String>,
    #[arg(long = "skip_headers", alias = "skip-headers", hide = true)]
    skip_headers: bool,
    #[arg(long = "skip_log_headers", alias = "skip-log-headers", hide = true)]
    skip_log_headers: bool,
    #[arg(long = "add_dir_header", alias = "add-dir-header", hide = true)]
    add_dir_header: bool,
    #[arg(long = "one_output", alias = "one-output", hide = true)]
    one_output: bool,
    #[arg(long = "alsologtostderrthreshold", hide = true)]
    alsologtostderrthreshold: Option<String>,
    #[arg(long = "legacy_stderr_threshold_behavior", hide = true)]
    legacy_stderr_threshold_behavior: bool,
}
