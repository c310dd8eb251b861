//! The token of a receiver: read when a delivery comes, kept, and read again where it does not fit.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use zeroize::Zeroizing;

use crate::request::bounded;

/// The Secret's field.
const FIELD: &str = "token";
/// Bytes of a token: shorter ones can be guessed, longer ones are a mistake.
const SHORTEST: usize = 16;
const LONGEST: usize = 1024;
/// A token that does not fit, or a failure, is read again after so long: whoever sends rubbish cannot make us ask more
/// often.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no token. Quotes nothing but the Secret's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

pub(super) type Token = Zeroizing<Vec<u8>>;

/// What is known of the token.
#[derive(Default)]
pub(super) struct Cached {
    read: Option<(Instant, Result<Token, Problem>)>,
}

impl Cached {
    /// The token. With `again`, it is read anew if it was read a while ago, and `None` says that it was not.
    pub(super) async fn get(
        &mut self,
        client: &Client,
        namespace: &str,
        name: &str,
        again: bool,
    ) -> Option<Result<Token, Problem>> {
        let now = Instant::now();
        if let Some((at, known)) = &self.read {
            let old = now.duration_since(*at) >= PATIENCE;
            if !old || (known.is_ok() && !again) {
                return (!again).then(|| known.clone());
            }
        }
        let fresh = read(client, namespace, name).await;
        self.read = Some((now, fresh.clone()));
        Some(fresh)
    }
}

async fn read(client: &Client, namespace: &str, name: &str) -> Result<Token, Problem> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let problem = |reason, message| Err(Problem { reason, message });
    match bounded(api.get(name)).await {
        Ok(secret) => parse(&secret).map_err(|what| Problem {
            reason: "WebhookSecretUnusable",
            message: format!("Secret {name} {what}"),
        }),
        Err(error) if error.is_not_found() => problem(
            "WebhookSecretMissing",
            format!(
                "Secret {name} of spec.webhook.secretRef does not exist in namespace {namespace}. Create it with a \
                 field {FIELD}"
            ),
        ),
        Err(error) if error.is_forbidden() => problem(
            "WebhookSecretForbidden",
            format!(
                "the controller may not read Secret {name} in namespace {namespace}. Grant it with a Role (see \
                 deploy/README.md)"
            ),
        ),
        Err(error) => problem(
            "WebhookSecretUnread",
            format!("Secret {name} cannot be read: {error}"),
        ),
    }
}

fn parse(secret: &Secret) -> Result<Token, String> {
    let data = secret.data.as_ref().and_then(|data| data.get(FIELD));
    let Some(bytes) = data else {
        return Err(format!(
            "has no field {FIELD}. Put the value there that the Git host signs with"
        ));
    };
    match bytes.0.len() {
        0..SHORTEST => Err(format!(
            "has a {FIELD} of less than {SHORTEST} bytes, which can be guessed. Make one with: openssl rand -hex 32"
        )),
        SHORTEST..=LONGEST => Ok(Zeroizing::new(bytes.0.clone())),
        _ => Err(format!("has a {FIELD} of more than {LONGEST} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::keys::test_secret as secret;

    #[test]
    fn only_a_token_that_cannot_be_guessed_is_taken() {
        assert_eq!(
            parse(&secret(&[("token", "0123456789abcdef")])).unwrap().len(),
            16
        );
        for fields in [
            vec![],
            vec![("password", "0123456789abcdef")],
            vec![("token", "hunter2")],
        ] {
            let why = parse(&secret(&fields)).unwrap_err();
            assert!(
                !why.contains("hunter2") && !why.contains("0123456789abcdef"),
                "{why}"
            );
        }
        assert!(parse(&secret(&[("token", &"x".repeat(2000))])).is_err());
    }
}
