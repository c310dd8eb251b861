//! Logging in as a GitHub App: its token is kept until shortly before it ends.

use std::time::Duration;

use jiff::Timestamp;
use source::{Auth, GitHubApp, Remote};

use super::failure::Failure;

/// Before a token ends, another one is asked for.
const EARLIER: Duration = Duration::from_mins(5);
/// A token whose end is not said, or far away: GitHub's live an hour.
const LIFE: Duration = Duration::from_mins(50);

/// A token of an app, for whom it was asked, and when another one is due.
#[derive(Default)]
pub(super) struct AppLogin(Option<(Whose, Auth, Timestamp)>);

/// Where a token goes, and whose it is: one that was given for another is not sent.
type Whose = [String; 4];

fn whose(app: &GitHubApp, remote: &Remote) -> Whose {
    let api = app.api.clone().unwrap_or_default();
    [remote.url.clone(), api, app.id.clone(), app.installation.clone()]
}

impl AppLogin {
    /// What to log in with. Asks GitHub where no token is held that is good for a while.
    pub(super) async fn auth(&mut self, app: &GitHubApp, remote: &Remote) -> Result<Auth, Failure> {
        let now = Timestamp::now();
        let asked_for = whose(app, remote);
        if let Some((known, auth, due)) = &self.0
            && *known == asked_for
            && now < *due
        {
            return Ok(auth.clone());
        }
        let (app, remote) = (app.clone(), remote.clone());
        let asked = tokio::task::spawn_blocking(move || app.token(&remote)).await;
        let token = asked
            .map_err(|_| Failure {
                reason: "AppRefused",
                message: "The GitHub App could not ask for a token. It is tried again.".into(),
                temporary: true,
            })?
            .map_err(|error| Failure::from(&error))?;
        self.0 = Some((asked_for, token.auth.clone(), due(now, &token.expires)));
        Ok(token.auth)
    }

    /// The next look asks anew.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}

fn due(now: Timestamp, expires: &str) -> Timestamp {
    let latest = now + LIFE;
    let said = expires.parse::<Timestamp>().ok().map(|end| end - EARLIER);
    said.map_or(latest, |said| said.min(latest))
}

#[cfg(test)]
mod tests {
    use super::due;
    use jiff::Timestamp;

    #[test]
    fn another_token_is_due_before_the_old_one_ends() {
        let now: Timestamp = "2026-11-29T06:00:00Z".parse().unwrap();
        let at = |expires: &str| due(now, expires).to_string();
        assert_eq!(at("2026-11-29T06:30:00Z"), "2026-11-29T06:25:00Z");
        for far in ["2030-01-01T00:00:00Z", "soon", ""] {
            assert_eq!(at(far), "2026-11-29T06:50:00Z");
        }
        assert!(
            due(now, "2026-11-29T06:01:00Z") < now,
            "asked for at every look, and not used when it has ended"
        );
    }
}
