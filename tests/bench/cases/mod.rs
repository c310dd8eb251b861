//! What is measured of Signet, in this order, on one cluster.

mod again;
mod apply;
mod bitnami;
mod commit;
mod drift;
mod history;
mod lost;
mod many;
mod open;
mod paths;
mod push;
mod reseal;
mod rest;
mod restart;
mod seal;
mod sealed;

use k8s_openapi::api::core::v1::ConfigMap;
use tests::Cluster;

use crate::args::{Args, Case};
use crate::fleet::Shape;
use crate::follow::Follow;
use crate::ground::Ground;
use crate::objects;
use crate::report::Report;
use crate::team::Team;

/// The large Sync, and who watches its objects.
struct Large {
    team: Team,
    follow: Follow,
    objects: usize,
}

/// Runs what is asked for, stops the controller, and gives the cluster back.
pub(crate) async fn all(cluster: Cluster, args: &Args, report: &mut Report) -> Cluster {
    report.say("starting the controller");
    let mut ground = Ground::start(cluster).await;
    if args.applies() {
        let (client, objects) = (ground.client.clone(), args.objects);
        let large = Large {
            team: Team::create(&ground.cluster, client.clone(), &ground.git, "large").await,
            follow: Follow::start::<ConfigMap>(client, "large", objects::expected(objects)),
            objects,
        };
        apply::measure(&mut ground, &large, args.wants(Case::Apply), report).await;
        if args.wants(Case::Request) {
            again::measure(&mut ground, &large, report).await;
        }
        if args.wants(Case::Commit) {
            commit::measure(&mut ground, &large, report).await;
        }
        if args.wants(Case::Drift) {
            drift::measure(&mut ground, &large, report).await;
        }
        if args.wants(Case::Rest) {
            rest::measure(&mut ground, args.seconds, report).await;
        }
        if args.wants(Case::Restart) {
            restart::measure(&mut ground, "restart", report).await;
            restart::drifted(&mut ground, &large, report).await;
        }
        if args.wants(Case::Lost) {
            lost::measure(&mut ground, &large, report).await;
        }
    }
    if args.wants(Case::Sealed) {
        sealed::measure(
            &mut ground,
            ["sealed", "sealed, restart"],
            args.objects / 10,
            report,
        )
        .await;
    }
    stop(ground)
}

/// Runs what is asked for of many Syncs, each part on a cluster and a controller of its own.
pub(crate) async fn fleets(args: &Args, report: &mut Report) {
    if args.wants(Case::Many) {
        many::measure("many", args.syncs, Shape::Shop, report).await;
    }
    if args.wants(Case::Ten) {
        many::measure("ten", 10, Shape::Maps(args.objects / 10), report).await;
    }
    if args.wants(Case::Paths) {
        paths::measure(args.paths, report).await;
    }
    if args.wants(Case::Push) {
        push::measure(args.pushes, report).await;
    }
    if args.wants(Case::History) {
        history::measure(args.commits, report).await;
    }
}

/// Runs what is asked for beside Sealed Secrets.
pub(crate) async fn peers(args: &Args, report: &mut Report) {
    if args.wants(Case::Seal) {
        seal::measure(args.objects / 10, report);
    }
    if args.wants(Case::Open) {
        open::measure(args.objects, report);
    }
    if args.wants(Case::Bitnami) {
        bitnami::measure(args.objects / 10, report).await;
    }
    if args.wants(Case::Reseal) {
        reseal::measure(args.objects, report).await;
    }
}

fn stop(ground: Ground) -> Cluster {
    let Ground {
        mut controller,
        cluster,
        ..
    } = ground;
    assert!(controller.stop().success(), "the controller ends in order");
    cluster
}
