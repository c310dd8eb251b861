//! What was opened is gone from the controller's memory: read from this process, as whoever may trace it could.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sealing::Scope;
use tests::random::Random;
use tests::{Stage, objects, run};

use crate::leak::memory;
use crate::native::{published, seal};

const SECRETS: usize = 20;
/// The last request's buffers are freed when its answer has been dealt with.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn nothing_that_was_opened_stays_in_the_controllers_memory() {
    run(async {
        let mut stage = Stage::own().await;
        let team = stage.space("heap");
        let repo = stage.git.repository(team.name());
        let mut random = Random::begin("heap");
        // Twenty of each format: those of v2 have an odd number.
        let values: Vec<String> = (0..2 * SECRETS)
            .map(|_| format!("{:016x}{:016x}", random.number(), random.number()))
            .collect();
        let to = published(&stage).await;
        for (index, value) in values.iter().enumerate() {
            let secret = objects::secret(team.name(), &format!("s-{index:02}"), &[("password", value)]);
            let sealed = if index % 2 == 0 {
                stage.seal(&secret)
            } else {
                seal(&secret, &to, Scope::Strict).to_string()
            };
            repo.write(&format!("app/{index:02}.yaml"), sealed);
        }
        let commit = repo.commit("Forty secrets");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        let namespace = team.keep();

        let id = stage.controller.process().id();
        let Some(regions) = memory::writable(id) else {
            // The controller forbids it to everybody but root. Where it counts, it has to be shown.
            assert!(
                std::env::var_os("CI").is_none(),
                "in CI this has to be run as root"
            );
            eprintln!("NOT SHOWN: only root can read the controller's memory");
            return;
        };
        // The search finds what is there.
        assert!(
            holds(&regions, namespace.as_bytes()),
            "the namespace's name is in memory"
        );
        let mut left = remaining(&regions, &values);
        let began = std::time::Instant::now();
        while !left.is_empty() && began.elapsed() < SOON {
            tokio::time::sleep(Duration::from_millis(500)).await;
            left = remaining(&memory::writable(id).unwrap(), &values);
        }
        assert!(
            left.is_empty(),
            "{} of {} values are left: {left:?}",
            left.len(),
            values.len()
        );
    });
}

/// Which values are left, and in which form.
fn remaining(regions: &[Vec<u8>], values: &[String]) -> Vec<(usize, &'static str)> {
    let mut left = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let base64 = STANDARD_NO_PAD.encode(value);
        // The last character may stand for less than a whole byte.
        let base64 = &base64[..base64.len() - 1];
        for (form, text) in [("raw", value.as_str()), ("base64", base64)] {
            if holds(regions, text.as_bytes()) {
                left.push((index, form));
            }
        }
    }
    left
}

fn holds(regions: &[Vec<u8>], wanted: &[u8]) -> bool {
    let (first, rest) = wanted.split_first().expect("something to look for");
    regions.iter().any(|region| {
        let mut from = 0;
        while let Some(at) = region[from..].iter().position(|byte| byte == first) {
            from += at + 1;
            if region[from..].starts_with(rest) {
                return true;
            }
        }
        false
    })
}
