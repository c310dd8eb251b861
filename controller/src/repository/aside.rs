//! Fall-backs: who is asked while the remote fails, and what is said of it.

use crds::Repository;
use kube::Resource;
use source::{Proxy, Remote};
use tracing::warn;

use super::credentials;
use super::follower::Follower;
use super::look::Looked;
use super::spec::Target;
use super::wanted::Wanted;
use crate::events::Severity;

impl Follower {
    /// The fall-backs with their credentials. One whose Secret cannot be read is left out, and read again at the next look.
    pub(super) async fn fallbacks(
        &mut self,
        target: &Target,
        proxy: Option<&Proxy>,
        wanted: &Wanted,
    ) -> Vec<Remote> {
        if let Some((of, remotes)) = &self.fallbacks
            && of == wanted
        {
            return remotes.clone();
        }
        let mut remotes = Vec::new();
        let (mut left_out, mut may_pass) = (None, false);
        for (remote, secret) in &target.fallbacks {
            let mut remote = remote.clone();
            remote.disk = Some(self.part.clone());
            if remote.url.starts_with("http") {
                remote.proxy = proxy.cloned();
            }
            let Some(secret) = secret else {
                remotes.push(remote);
                continue;
            };
            match credentials::read(self.room.client.clone(), &self.key.0, secret).await {
                // Its tokens end, and these are kept.
                Ok(found) if found.app.is_some() => {
                    left_out = Some("It cannot log in as a GitHub App".to_owned());
                }
                Ok(found) => {
                    (remote.auth, remote.ca_pem, remote.client) = (found.auth, found.ca_pem, found.client);
                    remotes.push(remote);
                }
                Err(problem) => {
                    may_pass = true;
                    left_out = Some(problem.message);
                }
            }
        }
        if let Some(why) = left_out.as_ref().filter(|_| left_out != self.left_out) {
            warn!(
                namespace = self.key.0,
                name = self.key.1,
                "a fall-back is left out: {why}"
            );
        }
        self.left_out = left_out;
        self.fallbacks = (!may_pass).then(|| (wanted.clone(), remotes.clone()));
        remotes
    }

    /// Says once that the remote fails and another one does not, and once that it is back.
    pub(super) fn tell_aside(&mut self, object: &Repository, looked: &Looked) {
        let now = looked
            .aside
            .as_ref()
            .map(|remote| source::display_safe(&remote.url));
        if looked.found.is_err() || now == self.aside {
            return;
        }
        let (severity, reason, message) = match &now {
            Some(url) => (
                Severity::Warning,
                "FellBack",
                format!("The remote fails. It is read from the fall-back {url} meanwhile."),
            ),
            None => (
                Severity::Normal,
                "RemoteBack",
                "The remote is read again.".to_owned(),
            ),
        };
        self.room
            .events
            .publish(&object.object_ref(&()), severity, reason, message);
        self.aside = now;
    }
}
