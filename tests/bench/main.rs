//! `make bench`: what Signet costs, beside the floor that the API server sets on the same machine in the same run.
//!
//! Everything is real: the API server, the Git server, the controller's own binary. Timings are printed and never
//! asserted; counts that the design promises are, and a broken promise is an exit code.

#![forbid(unsafe_code)]
// What fails ends the run, with what was seen; the result goes to standard output, progress to standard error.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod apiserver;
mod args;
mod cases;
mod client;
mod fleet;
mod floor;
mod follow;
mod ground;
mod host;
mod kubectl;
mod numbers;
mod objects;
mod process;
mod report;
mod team;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::time::Duration;

use args::{Args, Case};
use report::Report;
use tests::Cluster;

/// No run is longer: whatever it waits for will not come.
const BOUND: Duration = Duration::from_mins(75);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(order) = floor::Order::parse(&words) {
        tests::run(order.serve());
        return ExitCode::SUCCESS;
    }
    let args = match Args::parse(&words) {
        Ok(args) => args,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let work = || tests::run(async { tokio::time::timeout(BOUND, measure(&args)).await });
    let Ok(Ok(report)) = panic::catch_unwind(AssertUnwindSafe(work)) else {
        eprintln!("bench: nothing is reported: the run failed or took longer than {BOUND:?}");
        return ExitCode::FAILURE;
    };
    if args.json {
        println!("{}", report.json());
    } else {
        println!("{}", report.markdown());
    }
    for broken in report.broken() {
        eprintln!("bench: PROMISE BROKEN: {broken}");
    }
    if report.broken().is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn measure(args: &Args) -> Report {
    let mut report = Report::new(args.objects);
    if args.plain() || args.controls() {
        report.say("starting a cluster");
        let cluster = Cluster::own().await;
        if args.wants(Case::Floor) {
            floor::measure(&cluster, args.objects, &mut report).await;
        }
        if args.wants(Case::Kubectl) {
            let files = objects::files(args.objects);
            kubectl::measure(&cluster, "kubectl", files, args.objects, &mut report);
        }
        if args.controls() {
            let cluster = cases::all(cluster, args, &mut report).await;
            // Once more, with nothing else running: machines drift.
            if args.wants(Case::Floor) {
                floor::measure(&cluster, args.objects, &mut report).await;
            }
        }
    }
    cases::fleets(args, &mut report).await;
    cases::peers(args, &mut report).await;
    report.finish();
    report
}
