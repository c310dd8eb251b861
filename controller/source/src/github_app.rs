//! Tokens of a GitHub App: a JWT (RFC 7519, RS256) that the app's key signs is exchanged for an installation's token.
//!
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app>

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::transport::{Asked, Operation, ask};
use crate::url::Target;
use crate::{Auth, Remote, SourceError};

/// GitHub takes a JWT for ten minutes at most; clocks differ.
const EARLIER: u64 = 60;
const LIFE: u64 = 9 * 60;
/// The longest answer that is read, in bytes.
const ANSWER: u64 = 64 << 10;
/// Who the token logs in as over HTTP.
const USER: &str = "x-access-token";

/// An app, and where it is installed.
#[derive(Clone)]
pub struct GitHubApp {
    /// The app's id, or its client id.
    pub id: String,
    /// The installation's number.
    pub installation: String,
    /// The app's private key in PEM.
    pub key_pem: Zeroizing<String>,
    /// The REST API; for github.com and GitHub Enterprise Server it follows from the repository's address.
    pub api: Option<String>,
}

impl fmt::Debug for GitHubApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GitHubApp(..)")
    }
}

/// A token, and until when it is good.
#[derive(Clone)]
pub struct AppToken {
    /// What to log in with.
    pub auth: Auth,
    /// RFC 3339.
    pub expires: String,
}

impl GitHubApp {
    /// Asks for a token. `remote` is the repository: trust, proxy and limits are those of it.
    ///
    /// # Errors
    /// [`SourceError::App`] where the key cannot be used, or GitHub gives no token.
    pub fn token(&self, remote: &Remote) -> Result<AppToken, SourceError> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| now.as_secs());
        if self.installation.is_empty() || !self.installation.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refused("the installation's id is not a number"));
        }
        let mut way = remote.clone();
        way.url = format!(
            "{}/app/installations/{}/access_tokens",
            self.api(&remote.url)?,
            self.installation
        );
        way.auth = Auth::Bearer(self.jwt(now)?);
        let operation = Operation::new(Target::parse(&way)?, &way)?;
        let asked = Asked {
            accept: "application/vnd.github+json",
            github: true,
            query: "",
            body: Some("{}"),
        };
        let (status, body) = ask(&operation, &asked, ANSWER)?;
        if status != 201 {
            return Err(SourceError::App(format!(
                "the API answers with HTTP status {status}"
            )));
        }
        // Its words could repeat the token.
        let answer: serde_json::Value =
            serde_json::from_slice(&body).map_err(|_| refused("the API's answer cannot be read"))?;
        let text = |name: &str| answer.get(name).and_then(serde_json::Value::as_str);
        let token = text("token").ok_or_else(|| refused("the API's answer has no token"))?;
        Ok(AppToken {
            auth: Auth::Basic {
                username: Zeroizing::new(USER.to_owned()),
                password: Zeroizing::new(token.to_owned()),
            },
            expires: text("expires_at").unwrap_or_default().to_owned(),
        })
    }

    /// Where the API is.
    fn api(&self, repository: &str) -> Result<String, SourceError> {
        if let Some(api) = &self.api {
            return Ok(api.trim_end_matches('/').to_owned());
        }
        let host = repository
            .strip_prefix("https://")
            .and_then(|rest| rest.split('/').next())
            .ok_or(refused("a GitHub App logs in over https"))?;
        // What is signed for the API lets its bearer act for every installation of the app: who may write the address and not
        // read the Secret does not choose where it goes.
        match host {
            "github.com" => Ok("https://api.github.com".to_owned()),
            _ => Err(refused(
                "the repository is not on github.com, and the Secret names no githubAppBaseURL",
            )),
        }
    }

    fn jwt(&self, now: u64) -> Result<Zeroizing<String>, SourceError> {
        let unusable = || refused("the private key is no RSA key in PEM");
        let key = match PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).map_err(|_| unusable())? {
            PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err(unusable()),
        };
        let key = key.map_err(|_| unusable())?;
        let head = serde_json::json!({"alg": "RS256", "typ": "JWT"});
        let claims = serde_json::json!({
            "iat": now.saturating_sub(EARLIER), "exp": now.saturating_add(LIFE), "iss": self.id,
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&head), part(&claims));
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            signed.as_bytes(),
            &mut signature,
        )
        .map_err(|_| unusable())?;
        Ok(Zeroizing::new(format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(signature)
        )))
    }
}

fn refused(why: &str) -> SourceError {
    SourceError::App(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::GitHubApp;
    use zeroize::Zeroizing;

    fn app(api: Option<&str>) -> GitHubApp {
        GitHubApp {
            id: "1234".into(),
            installation: "99".into(),
            key_pem: Zeroizing::new("hunter2".into()),
            api: api.map(str::to_owned),
        }
    }

    #[test]
    fn the_api_is_github_coms_or_named() {
        let of = |url: &str| app(None).api(url).unwrap();
        assert_eq!(of("https://github.com/team/app.git"), "https://api.github.com");
        assert!(app(None).api("https://ghe.example.com/team/app").is_err());
        assert!(app(None).api("https://github.com.example.com/team/app").is_err());
        assert!(app(None).api("git@github.com:team/app").is_err());
        assert_eq!(
            app(Some("https://x/api/")).api("ssh://y").unwrap(),
            "https://x/api"
        );
    }

    #[test]
    fn nothing_shows_the_key() {
        assert!(!format!("{:?}", app(None)).contains("hunter2"));
        let why = app(None).jwt(0).unwrap_err().to_string();
        assert!(!why.contains("hunter2"), "{why}");
    }
}
