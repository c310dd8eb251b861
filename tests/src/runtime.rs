//! One runtime per process. A Kubernetes client lives on the runtime that made it, and tests share clients.

use std::future::Future;
use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    // Another provider cannot be installed: nothing else in this process does it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
});

/// Runs a test, or a demo, to its end.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    RUNTIME.block_on(work)
}
