//! The room as a whole, before an API server that answers as it is told.

use super::*;
use crate::shutdown;
use ::health::{RuleSpec, Status};
use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use std::time::Duration;
use tower::{BoxError, service_fn};

/// What the server answers to listings, and what it was asked.
#[derive(Default)]
struct Script {
    /// So many listings fail.
    failures: u32,
    /// With this status.
    status: u16,
    /// The objects of every other listing.
    objects: Vec<Value>,
    /// The `Accept` header of each listing.
    listings: Vec<String>,
}

type Shared = Arc<Mutex<Script>>;

fn observer(script: &Shared) -> (Observer, shutdown::Trigger) {
    let script = Arc::clone(script);
    let service = service_fn(move |request: Request<Body>| {
        let script = Arc::clone(&script);
        async move {
            if !request
                .uri()
                .query()
                .unwrap_or_default()
                .contains("sendInitialEvents")
            {
                return std::future::pending::<Result<_, BoxError>>().await;
            }
            let mut script = lock(&script);
            let accept = request.headers().get(http::header::ACCEPT);
            let accept = accept.and_then(|accept| accept.to_str().ok()).unwrap_or_default();
            script.listings.push(accept.to_owned());
            if script.failures > 0 {
                script.failures -= 1;
                let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
                    "reason": "InternalError", "message": "quoted", "code": script.status});
                return Ok(Response::builder()
                    .status(script.status)
                    .body(Body::from(body.to_string().into_bytes()))?);
            }
            let mut body = String::new();
            for object in &script.objects {
                body += &json!({"type": "ADDED", "object": object}).to_string();
                body.push('\n');
            }
            body += &json!({"type": "BOOKMARK", "object": {"kind": "ConfigMap", "apiVersion": "v1",
                "metadata": {"resourceVersion": "100", "creationTimestamp": null,
                    "annotations": {"k8s.io/initial-events-end": "true"}}}})
            .to_string();
            body.push('\n');
            Ok(Response::new(Body::from(body.into_bytes())))
        }
    });
    let (trigger, shutdown) = shutdown::channel();
    (Observer::new(Client::new(service, "default"), shutdown), trigger)
}

fn config_maps() -> Arc<KindInfo> {
    Arc::new(KindInfo {
        kind: Arc::new(GroupKind::new("", "ConfigMap")),
        version: "v1".into(),
        plural: "configmaps".into(),
        namespaced: true,
        watchable: true,
    })
}

fn key(info: &KindInfo) -> Key {
    Key {
        kind: Arc::clone(&info.kind),
        namespace: Some("n".into()),
        name: "a".into(),
    }
}

fn object() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"ready": "no"},
        "metadata": {"namespace": "n", "name": "a", "uid": "u", "resourceVersion": "7",
            "labels": {"applyset.kubernetes.io/part-of": "applyset-abc-v1"}}})
}

/// Waits for a wake of any sort. The clock is paused, so this takes no time.
async fn woken(mailbox: &Mailbox) -> Pending {
    let pending = mailbox.take(Some(Duration::from_mins(10))).await;
    pending.expect("nobody was woken")
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_cannot_list_says_so_and_comes_back() {
    let script = Shared::default();
    (lock(&script).failures, lock(&script).status) = (3, 500);
    let (observer, _trigger) = observer(&script);
    let (info, mailbox) = (config_maps(), Arc::default());
    assert_eq!(observer.follow(&info, &mailbox), WatchState::Starting);
    assert!(woken(&mailbox).await.whole);
    let WatchState::Failing(words) = observer.follow(&info, &mailbox) else {
        panic!("{:?}", observer.follow(&info, &mailbox));
    };
    assert!(words.contains("500") && !words.contains("quoted"), "{words}");
    assert_eq!(observer.seen(&key(&info)), Seen::Unwatched);
    assert!(woken(&mailbox).await.whole);
    assert_eq!(observer.follow(&info, &mailbox), WatchState::Following);
    assert_eq!(observer.seen(&key(&info)), Seen::Absent);
    assert_eq!(
        lock(&script).listings.len(),
        4,
        "and it was said twice, not each time"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_watch_is_tried_again_when_kinds_change() {
    let script = Shared::default();
    (lock(&script).failures, lock(&script).status) = (1, 404);
    let (observer, _trigger) = observer(&script);
    let (info, mailbox) = (config_maps(), Arc::default());
    observer.follow(&info, &mailbox);
    woken(&mailbox).await;
    assert_eq!(observer.follow(&info, &mailbox), WatchState::Refused);
    observer.retry_refused();
    woken(&mailbox).await;
    assert_eq!(observer.follow(&info, &mailbox), WatchState::Following);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_nobody_wants_ends_once_nobody_holds_its_objects() {
    let script = Shared::default();
    let (observer, _trigger) = observer(&script);
    let info = config_maps();
    let (one, two) = (Arc::<Mailbox>::default(), Arc::<Mailbox>::default());
    observer.follow(&info, &one);
    observer.follow(&info, &two);
    woken(&one).await;
    let live = LiveMeta {
        uid: "u".into(),
        resource_version: 200,
        owned: None,
        deleting: false,
        generation: None,
    };
    observer.finish(&key(&info), &one, Some(&live));
    let running = || lock(&observer.kinds).len();
    let minute = || tokio::time::sleep(Duration::from_mins(1));
    observer.keep_only(&one, &[]);
    minute().await;
    assert_eq!(running(), 1, "another wants it");
    observer.keep_only(&two, &[Arc::clone(&info)]);
    minute().await;
    assert_eq!(running(), 1, "it is kept");
    // A worker that fell leaves its interest behind; any other Sync's pass finds that.
    drop(two);
    observer.keep_only(&one, &[]);
    minute().await;
    assert_eq!(running(), 1, "somebody holds an object");
    observer.release(&key(&info), &one);
    minute().await;
    assert_eq!(running(), 0);
    assert_eq!(observer.seen(&key(&info)), Seen::Unwatched);
    assert_eq!(lock(&script).listings.len(), 1);
    // Taken up again within the grace, it goes on; later, it begins anew.
    assert_eq!(observer.follow(&info, &one), WatchState::Starting);
    woken(&one).await;
    observer.keep_only(&one, &[]);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(observer.follow(&info, &one), WatchState::Following);
    minute().await;
    assert_eq!((running(), lock(&script).listings.len()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_rule_has_content_watched_and_judges_at_once() {
    let script = Shared::default();
    lock(&script).objects.push(object());
    let (observer, _trigger) = observer(&script);
    let (info, mailbox) = (config_maps(), Arc::default());
    observer.follow(&info, &mailbox);
    woken(&mailbox).await;
    let expected = LiveMeta {
        uid: "u".into(),
        resource_version: 7,
        owned: None,
        deleting: false,
        generation: None,
    };
    observer.finish(&key(&info), &mailbox, Some(&expected));
    assert_eq!(observer.health(&key(&info)), Health::Current);
    let rules = |current| {
        let spec = RuleSpec {
            group: "",
            kind: "ConfigMap",
            in_progress: None,
            failed: None,
            current: Some(current),
        };
        Some(Rules::compile(&[spec]).unwrap())
    };
    observer.rules("signet/abc", rules("self.data.ready == 'yes'"));
    assert!(woken(&mailbox).await.health);
    assert_eq!(observer.health(&key(&info)).status(), Some(Status::InProgress));
    observer.rules("signet/abc", rules("self.data.ready == 'no'"));
    assert!(woken(&mailbox).await.health);
    assert_eq!(observer.health(&key(&info)), Health::Current);
    // Another Sync's rules judge nothing of this one's.
    observer.rules("signet/other", rules("false"));
    observer.rules("signet/abc", None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(observer.health(&key(&info)), Health::Current);
    observer.rules("signet/other", None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let whole: Vec<bool> = lock(&script)
        .listings
        .iter()
        .map(|accept| !accept.contains("PartialObjectMetadata"))
        .collect();
    assert_eq!(whole, [false, true, true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn secrets_are_watched_without_their_content_whatever_rules_say() {
    let script = Shared::default();
    let (observer, _trigger) = observer(&script);
    let mut info = KindInfo::clone(&config_maps());
    info.kind = Arc::new(GroupKind::new("", "Secret"));
    let (info, mailbox) = (Arc::new(info), Arc::default());
    let everything = RuleSpec {
        group: "",
        kind: "",
        in_progress: None,
        failed: None,
        current: Some("true"),
    };
    observer.rules("signet/abc", Some(Rules::compile(&[everything]).unwrap()));
    observer.follow(&info, &mailbox);
    woken(&mailbox).await;
    for accept in &lock(&script).listings {
        assert!(accept.contains("PartialObjectMetadata"), "{accept}");
    }
}
