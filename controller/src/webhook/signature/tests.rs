//! Each provider's way, right and wrong.

use std::cell::Cell;
use std::fmt::Write as _;

use super::{BASE64, Mark, Refusal, spend};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use crds::WebhookProvider::{
    self, AzureDevOps, BitbucketCloud, BitbucketServer, Generic, GitHub, GitLab, Gitea,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use proptest::prelude::*;
use sha2::Sha256;

const TOKEN: &[u8] = b"It's a Secret to Everybody";
const NOW: i64 = 1_700_000_000;

thread_local! {
    /// How often a body was hashed on this thread.
    pub(super) static HASHED: Cell<usize> = const { Cell::new(0) };
}

fn check(
    provider: WebhookProvider,
    token: &[u8],
    headers: &HeaderMap,
    body: &[u8],
    now: i64,
) -> Result<Vec<Mark>, Refusal> {
    super::check(&[provider], token, headers, body, now).map(|(_, marks)| marks)
}

/// How often a body is hashed meanwhile.
fn hashed(work: impl FnOnce()) -> usize {
    HASHED.set(0);
    work();
    HASHED.get()
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

/// What a host sends that knows `token`.
fn signed(provider: WebhookProvider, token: &[u8], body: &[u8]) -> HeaderMap {
    let digest = hex(&mac(token, &[body]));
    let token_text = String::from_utf8_lossy(token);
    match provider {
        GitHub => headers(&[
            ("x-hub-signature-256", &format!("sha256={digest}")),
            ("x-github-delivery", "d1"),
        ]),
        Gitea => headers(&[("x-gitea-signature", &digest), ("x-gitea-delivery", "d1")]),
        BitbucketCloud | BitbucketServer => headers(&[("x-hub-signature", &format!("sha256={digest}"))]),
        GitLab => headers(&[("x-gitlab-token", &token_text), ("x-gitlab-event-uuid", "d1")]),
        AzureDevOps => {
            let pair = BASE64.encode(format!("any:{token_text}"));
            headers(&[("authorization", &format!("Basic {pair}"))])
        }
        Generic => headers(&[("x-signature", &format!("sha256={digest}"))]),
    }
}

const ALL: [WebhookProvider; 7] = [
    GitHub,
    GitLab,
    Gitea,
    BitbucketCloud,
    BitbucketServer,
    AzureDevOps,
    Generic,
];

/// GitHub's own example: the digest in its documentation of webhooks.
#[test]
fn githubs_documented_example_fits() {
    let headers = headers(&[(
        "x-hub-signature-256",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    )]);
    assert!(check(GitHub, TOKEN, &headers, b"Hello, World!", NOW).is_ok());
}

#[test]
fn who_knows_the_token_is_let_in_and_nobody_else() {
    for provider in ALL {
        let good = signed(provider, TOKEN, b"{}");
        assert!(check(provider, TOKEN, &good, b"{}", NOW).is_ok(), "{provider:?}");
        let wrong = signed(provider, b"It's a Secret to Everybodz", b"{}");
        assert_eq!(
            check(provider, TOKEN, &wrong, b"{}", NOW),
            Err(Refusal::Wrong),
            "{provider:?}"
        );
        assert!(
            matches!(
                check(provider, TOKEN, &HeaderMap::new(), b"{}", NOW),
                Err(Refusal::Unsigned(_))
            ),
            "{provider:?}"
        );
        if !matches!(provider, GitLab | AzureDevOps) {
            assert_eq!(
                check(provider, TOKEN, &good, b"{} ", NOW),
                Err(Refusal::Wrong),
                "{provider:?}"
            );
        }
    }
}

#[test]
fn sha1_is_refused_by_name() {
    for (provider, name) in [
        (GitHub, "x-hub-signature-256"),
        (BitbucketCloud, "x-hub-signature"),
        (Generic, "x-signature"),
    ] {
        let sha1 = headers(&[(name, "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59")]);
        assert!(
            matches!(
                check(provider, TOKEN, &sha1, b"Hello, World!", NOW),
                Err(Refusal::Algorithm(_))
            ),
            "{provider:?}"
        );
    }
    // GitHub sends the old header beside the new one: it alone does not count.
    let old = headers(&[("x-hub-signature", "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59")]);
    assert_eq!(
        check(GitHub, TOKEN, &old, b"Hello, World!", NOW),
        Err(Refusal::Unsigned("X-Hub-Signature-256"))
    );
    let bare = headers(&[("x-gitea-signature", "01dc10d0c83e72ed246219cdd91669667fe2ca59")]);
    assert!(matches!(
        check(Gitea, TOKEN, &bare, b"x", NOW),
        Err(Refusal::Algorithm(_))
    ));
}

/// The example of the Standard Webhooks specification's reference libraries.
#[test]
fn standard_webhooks_fit_within_five_minutes() {
    let secret = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let (id, time, body) = (
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        br#"{"test": 2432232314}"#,
    );
    let all = headers(&[
        ("webhook-id", id),
        ("webhook-timestamp", "1614265330"),
        (
            "webhook-signature",
            "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ]);
    for provider in [Generic, GitLab] {
        assert!(check(provider, secret, &all, body, time + 300).is_ok());
        assert_eq!(
            check(provider, secret, &all, body, time + 301),
            Err(Refusal::Stale)
        );
        assert_eq!(
            check(provider, secret, &all, body, time - 301),
            Err(Refusal::Stale)
        );
        assert_eq!(check(provider, secret, &all, b"{}", time), Err(Refusal::Wrong));
    }
    let mut other = all.clone();
    other.insert("webhook-signature", HeaderValue::from_static("v1a,AAAA"));
    assert!(matches!(
        check(Generic, secret, &other, body, time),
        Err(Refusal::Algorithm(_))
    ));
}

/// How long a refusal takes does not tell whether there is a receiver: a body may be large.
#[test]
fn every_refusal_hashes_the_body_once() {
    assert_eq!(hashed(|| spend(b"{}")), 1, "where there is nobody");
    let pairs = |provider| -> Vec<(&str, &str)> {
        match provider {
            GitHub => vec![
                ("x-hub-signature-256", "sha256=00"),
                ("x-hub-signature-256", "sha1=00"),
            ],
            Gitea => vec![("x-gitea-signature", "00"), ("x-forgejo-signature", "sha256=00")],
            BitbucketCloud | BitbucketServer => {
                vec![("x-hub-signature", "sha256=00"), ("x-hub-signature", "00")]
            }
            GitLab => vec![("x-gitlab-token", "wrong"), ("webhook-signature", "v1,AAAA")],
            AzureDevOps => vec![("authorization", "Basic YTpi"), ("authorization", "Bearer b")],
            Generic => vec![("x-signature", "sha256=00"), ("webhook-signature", "v2,AAAA")],
        }
    };
    let hex = "0".repeat(64);
    let long = [
        ("x-hub-signature-256", &*format!("sha256={hex}")),
        ("x-gitea-signature", &hex),
        ("x-hub-signature", &format!("sha256={hex}")),
        ("x-signature", &format!("sha256={hex}")),
    ];
    for provider in ALL {
        let mut all: Vec<HeaderMap> = pairs(provider).iter().map(|pair| headers(&[*pair])).collect();
        all.extend([HeaderMap::new(), headers(&long)]);
        all.push(headers(&[
            ("webhook-id", "1"),
            ("webhook-timestamp", "1700000000"),
            ("webhook-signature", "v1,AAAA v1,AAAB v1,AAAC v1,AAAD"),
        ]));
        for wrong in all {
            let work = || assert!(check(provider, TOKEN, &wrong, b"{}", NOW).is_err());
            assert_eq!(hashed(work), 1, "{provider:?} {wrong:?}");
        }
    }
    // One address for several providers.
    let work = || assert!(super::check(&ALL, TOKEN, &headers(&long), b"{}", NOW).is_err());
    assert_eq!(hashed(work), 1);
    let work = || assert!(super::check(&ALL, TOKEN, &HeaderMap::new(), b"{}", NOW).is_err());
    assert_eq!(hashed(work), 1);
}

/// A token in the clear does not stand in for a signature that is there and wrong.
#[test]
fn gitlabs_signature_goes_before_its_token() {
    let mut both = signed(GitLab, TOKEN, b"{}");
    for (name, value) in [
        ("webhook-id", "1"),
        ("webhook-timestamp", "1700000000"),
        ("webhook-signature", "v1,AAAA"),
    ] {
        both.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    assert_eq!(check(GitLab, TOKEN, &both, b"{}", NOW), Err(Refusal::Wrong));
}

#[test]
fn a_header_that_is_there_twice_counts_as_missing() {
    let mut twice = signed(GitHub, TOKEN, b"{}");
    twice.append("x-hub-signature-256", HeaderValue::from_static("sha256=00"));
    assert!(matches!(
        check(GitHub, TOKEN, &twice, b"{}", NOW),
        Err(Refusal::Unsigned(_))
    ));
}

#[test]
fn a_delivery_is_known_again_by_its_body_under_any_id() {
    let first = check(GitHub, TOKEN, &signed(GitHub, TOKEN, b"{}"), b"{}", NOW).unwrap();
    let mut renamed = signed(GitHub, TOKEN, b"{}");
    renamed.insert("x-github-delivery", HeaderValue::from_static("d2"));
    let second = check(GitHub, TOKEN, &renamed, b"{}", NOW).unwrap();
    assert!(first.iter().any(|mark| second.contains(mark)));
}

#[test]
fn refusals_quote_nothing() {
    for refusal in [
        Refusal::Unsigned("X"),
        Refusal::Algorithm("X"),
        Refusal::Wrong,
        Refusal::Stale,
    ] {
        assert!(
            !refusal.to_string().ends_with('.'),
            "it becomes a sentence elsewhere"
        );
    }
}

proptest! {
    /// Whatever the headers hold: no panic, and nobody gets in.
    #[test]
    fn rubbish_is_refused(value in "[ -~]{0,100}", prefix in "(sha256=|v1,|Basic |)", body in proptest::collection::vec(any::<u8>(), 0..64)) {
        let value = format!("{prefix}{value}");
        for provider in ALL {
            let mut all = HeaderMap::new();
            for name in ["x-hub-signature-256", "x-hub-signature", "x-signature", "x-gitea-signature", "x-forgejo-signature",
                "x-gitlab-token", "authorization"] {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    all.insert(name, value);
                }
            }
            prop_assert!(check(provider, TOKEN, &all, &body, NOW).is_err());
            for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    all.insert(name, value);
                }
            }
            prop_assert!(check(provider, TOKEN, &all, &body, NOW).is_err());
        }
    }
}
