//! A controller's Service, as the API server shows it.

use super::{Request, Response};
use serde_json::json;

/// Answers who asks for a Service, and leaves to `answer` what goes to the controller behind it. Every Service exists that
/// is called `signet`; its port has the name `http`. No service account exists: the controller is asked as nobody.
pub(crate) fn behind_service(
    answer: impl Fn(&Request) -> Response + Send + 'static,
) -> impl Fn(&Request) -> Response + Send + 'static {
    move |request| {
        if request.path.contains("/serviceaccounts/") {
            return Response::error(404, "serviceaccounts not found");
        }
        let asked = request.path.split_once("/services/").map(|(_, name)| name);
        match asked {
            Some("signet") => Response::json(&json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": "signet"},
                "spec": {"ports": [{"name": "http", "port": 8080}, {"name": "other", "port": 1}]},
            })),
            Some(name) if !name.contains('/') => Response::error(404, "services not found"),
            _ => answer(request),
        }
    }
}
