//! The Signet controller's process: memory that is wiped, no core dumps, one TLS provider, then [`controller::run`].

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use controller::config::Config;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tracing::{error, warn};
use zeroizing_alloc::ZeroAlloc;

/// Wipes what is freed: copies of secrets that libraries made go with it.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    let config = Config::parse();
    controller::logging::start(&config);
    if !without_core_dumps() {
        warn!("core dumps could not be turned off: a crash may write secrets to disk");
    }
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        error!("another TLS provider was installed first");
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(128)
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "the runtime cannot start");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(controller::run(config));
    // A fetch that is under way on a blocking thread is not waited for: every step can be repeated.
    runtime.shutdown_timeout(Duration::from_millis(100));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A core dump would hold every key. Being not dumpable also keeps other processes of the same user from reading our
/// memory.
fn without_core_dumps() -> bool {
    let limit = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let limited = setrlimit(Resource::Core, limit).is_ok();
    let hidden = set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok();
    limited && hidden
}
