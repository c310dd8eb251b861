//! A mutating admission webhook: the API server asks it over TLS at each write, and it alters what the test says.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::tls::Tls;

/// A write that the API server asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who writes.
    pub user: String,
    /// `CREATE`, `UPDATE`.
    pub operation: String,
    /// The object's kind and name.
    pub object: (String, String),
    /// Whether nothing is to be stored.
    pub dry_run: bool,
}

type Alter = Box<dyn Fn(&Asked, &Value) -> Vec<Value> + Send + Sync>;

struct Shared {
    alter: Alter,
    asked: Mutex<Vec<Asked>>,
}

/// A webhook on a free port of 127.0.0.1, with a certificate authority of its own.
pub struct Webhook {
    tls: Tls,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Webhook {
    /// Starts one. `alter` is shown each object that is written and gives operations of JSON Patch (RFC 6902).
    pub async fn start(alter: impl Fn(&Asked, &Value) -> Vec<Value> + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            alter: Box::new(alter),
            asked: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let plain = listener.local_addr().expect("its address");
        let app = Router::new()
            .route("/", post(review))
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            // However it ends, it is over.
            let _ = axum::serve(listener, app).await;
        });
        let tls = Tls::start(plain).await;
        Self { tls, shared, serving }
    }

    /// What a webhook configuration says of where it is and whom to trust.
    pub fn client_config(&self) -> Value {
        let authority = BASE64_STANDARD.encode(self.tls.authority());
        json!({"url": format!("{}/", self.tls.url()), "caBundle": authority})
    }

    /// What it was asked about so far, in order.
    pub fn asked(&self) -> Vec<Asked> {
        let asked = self.shared.asked.lock();
        asked.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn review(State(shared): State<Arc<Shared>>, body: Bytes) -> impl IntoResponse {
    let review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let request = &review["request"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let asked = Asked {
        user: text(&request["userInfo"]["username"]),
        operation: text(&request["operation"]),
        object: (
            text(&request["kind"]["kind"]),
            text(&request["object"]["metadata"]["name"]),
        ),
        dry_run: request["dryRun"].as_bool().unwrap_or_default(),
    };
    let patch = (shared.alter)(&asked, &request["object"]);
    let mut response = json!({"uid": request["uid"], "allowed": true});
    if !patch.is_empty() {
        response["patchType"] = json!("JSONPatch");
        response["patch"] = json!(BASE64_STANDARD.encode(Value::from(patch).to_string()));
    }
    let mut seen = shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
    seen.push(asked);
    let answer =
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    ([(CONTENT_TYPE, "application/json")], answer.to_string())
}
