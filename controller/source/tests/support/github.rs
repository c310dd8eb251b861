//! The one call of GitHub's REST API that an app logs in with: `POST /app/installations/ID/access_tokens`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// An app's key, and a server that knows it. It ends with the test process.
pub struct GitHub {
    pub url: String,
    pub key_pem: String,
    shared: Arc<Shared>,
}

struct Shared {
    app: String,
    installation: String,
    public: Vec<u8>,
    token: Mutex<String>,
    asked: Mutex<Vec<String>>,
}

impl GitHub {
    pub fn start(app: &str, installation: &str, token: &str) -> Self {
        let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = key.as_der().unwrap();
        let der: &[u8] = der.as_ref();
        let shared = Arc::new(Shared {
            app: app.to_owned(),
            installation: installation.to_owned(),
            public: key.public_key().as_ref().to_vec(),
            token: Mutex::new(token.to_owned()),
            asked: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/api/v3", listener.local_addr().unwrap());
        let told = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let told = Arc::clone(&told);
                thread::spawn(move || answer(stream, &told));
            }
        });
        let lines: Vec<String> = STANDARD
            .encode(der)
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
            .collect();
        let key_pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            lines.join("\n")
        );
        Self { url, key_pem, shared }
    }

    /// From now on this token is given.
    pub fn give(&self, token: &str) {
        token.clone_into(&mut self.shared.token.lock().unwrap());
    }

    /// What was answered to each request: its status, and why.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut jwt, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => value.trim_start_matches("Bearer ").clone_into(&mut jwt),
            "content-length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let wanted = format!(
        "POST /api/v3/app/installations/{}/access_tokens HTTP/1.1",
        shared.installation
    );
    let (status, body) = if first.trim_end() != wanted {
        (404, "{\"message\": \"Not Found\"}".to_owned())
    } else if let Err(why) = check(&jwt, shared) {
        (401, format!("{{\"message\": \"{why}\"}}"))
    } else {
        let token = shared.token.lock().unwrap().clone();
        (
            201,
            format!("{{\"token\": \"{token}\", \"expires_at\": \"2099-01-01T00:00:00Z\"}}"),
        )
    };
    let told = if status == 201 {
        "201".to_owned()
    } else {
        format!("{status} {body}")
    };
    shared.asked.lock().unwrap().push(told);
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// As GitHub's pages have it: RS256, issued by the app, good for ten minutes at most.
fn check(jwt: &str, shared: &Shared) -> Result<(), String> {
    let (signed, signature) = jwt.rsplit_once('.').ok_or("no JWT")?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "no base64url")?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &shared.public)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| "A JSON web token could not be decoded")?;
    let part = |index: usize| -> Result<serde_json::Value, String> {
        let part = signed.split('.').nth(index).ok_or("no part")?;
        let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| "no base64url")?;
        serde_json::from_slice(&bytes).map_err(|_| "no JSON".to_owned())
    };
    let (head, claims) = (part(0)?, part(1)?);
    let number = |name: &str| claims[name].as_u64().unwrap_or(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    match () {
        () if head["alg"] != "RS256" => Err("the algorithm".into()),
        () if claims["iss"] != shared.app.as_str() => Err("Integration not found".into()),
        () if number("iat") > now => Err("'Issued at' claim is in the future".into()),
        () if number("exp") > now + 600 || number("exp") <= now => Err("'Expiration time' claim".into()),
        () => Ok(()),
    }
}
