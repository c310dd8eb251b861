//! `signet cert`.

use crate::support::{
    ApiServer, CERTIFICATE, Response, TestEnvironment, behind_service, expired_certificate,
};

const SERVICE: &str = "/api/v1/namespaces/signet-system/services/signet";
const PROXY: &str = "/api/v1/namespaces/signet-system/services/http:signet:http/proxy/v1/cert.pem";
const KEY: &str =
    "Key SHA256:T2fIIetCYEwRtXNWXg8cq5J6i/dOXuzjIIgf+Z8OrtM (2048 bits), valid until 2036-11-18.\n";

#[test]
fn from_the_cluster() {
    let server = ApiServer::start(behind_service(|_| {
        Response::text(format!("{CERTIFICATE}{}", expired_certificate()))
    }));
    let mut env = TestEnvironment::new();
    env.use_cluster(&server);
    let output = env.signet(&["cert"]);
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr.as_str()),
        (0, CERTIFICATE, KEY)
    );
    let _ = env.signet(&[
        "cert",
        "--controller-namespace",
        "kube-system",
        "--controller-name",
        "keys",
    ]);
    assert_eq!(
        server.requests(),
        [
            format!("GET {SERVICE}"),
            format!("GET {PROXY}"),
            "GET /api/v1/namespaces/kube-system/services/keys".to_owned(),
        ]
    );
    assert_eq!(env.signet(&["cert", "--quiet"]).success(), CERTIFICATE);
}

#[test]
fn what_the_cluster_refuses_is_explained() {
    let place = "hint: Please, use the flag --controller-name and --controller-namespace to set up the name and \
                 namespace of the sealed secrets controller\n";
    for (status, code, stderr) in [
        (
            404,
            1,
            format!("error: cannot fetch certificate: the Service signet-system/signet serves no such thing\n{place}"),
        ),
        (
            403,
            1,
            "error: cannot fetch certificate: you may not reach the Service signet-system/signet through the API server\n\
             hint: ask for `get` and `create` on services/proxy there, or for the certificate as a file for --cert\n"
                .to_owned(),
        ),
        (
            503,
            4,
            "error: cannot fetch certificate: the controller behind the Service signet-system/signet does not answer\n\
             hint: is it running? kubectl -n signet-system get pods\n"
                .to_owned(),
        ),
        (
            500,
            1,
            "error: cannot fetch certificate: the controller answered with status 500\n\
             hint: see the controller's log for more\n"
                .to_owned(),
        ),
    ] {
        let server = ApiServer::start(behind_service(move |_| Response::error(status, "no\u{1b}")));
        let mut env = TestEnvironment::new();
        env.use_cluster(&server);
        env.signet(&["cert"]).assert_failure(code, &stderr);
        assert_eq!(server.requests().len(), 2, "no silent retries");
    }
    let server = ApiServer::start(|_| Response::error(404, "no"));
    let mut env = TestEnvironment::new();
    env.use_cluster(&server);
    env.signet(&["cert"]).assert_failure(
        1,
        &format!(
            "error: cannot get sealed secret service: there is no Service signet-system/signet in this cluster\n{place}"
        ),
    );
}

#[test]
fn who_may_not_read_the_service_gets_the_certificate_nevertheless() {
    let server = ApiServer::start(|request| match request.path.as_str() {
        PROXY => Response::text(CERTIFICATE),
        _ => Response::error(403, "no"),
    });
    let mut env = TestEnvironment::new();
    env.use_cluster(&server);
    assert_eq!(env.signet(&["cert", "-q"]).success(), CERTIFICATE);
}

#[test]
fn without_a_cluster() {
    let mut env = TestEnvironment::new();
    let output = env.signet(&["cert"]);
    assert_eq!((output.code, output.stdout.as_str()), (4, ""));
    assert!(
        output.stderr.starts_with("error: no cluster to ask: "),
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.ends_with(
            "hint: --kubeconfig and --context choose the cluster, as with kubectl\n\
             hint: without a cluster, name a certificate with --cert FILE (get one with `signet cert`)\n"
        ),
        "{}",
        output.stderr
    );
    // Port 9 is discard: nobody listens there.
    env.use_url("http://127.0.0.1:9");
    let output = env.signet(&["cert"]);
    assert_eq!(output.code, 4);
    assert!(output.stderr.contains("Connection refused"), "{}", output.stderr);
}

#[test]
fn from_a_url() {
    let env = TestEnvironment::new();
    let server = ApiServer::start(|request| match request.path.as_str() {
        "/v1/cert.pem" => Response::text(CERTIFICATE),
        "/old" => Response::text(expired_certificate()),
        "/large" => Response::text("x".repeat(100_000)),
        "/html" => Response::text("<html>"),
        _ => Response::error(404, "no"),
    });
    let url = |path: &str| format!("{}{path}", server.url());
    let output = env.signet(&["cert", "--url", &url("/v1/cert.pem")]);
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr.as_str()),
        (0, CERTIFICATE, KEY)
    );

    let output = env.signet(&["cert", "--url", &url("/old")]);
    assert_eq!(output.code, 0);
    assert!(
        output.stderr.contains("warning: the certificate has expired\n"),
        "{}",
        output.stderr
    );

    let leads = "hint: does the URL lead to the controller's /v1/cert.pem?\n";
    for (path, message) in [
        (
            "/gone",
            format!("error: {} answered with status 404\n{leads}", url("/gone")),
        ),
        (
            "/large",
            format!(
                "error: what {} serves is too large to be a certificate\n{leads}",
                url("/large")
            ),
        ),
        (
            "/html",
            format!(
                "error: cannot seal for {}: no PEM block `CERTIFICATE` in it\n\
                 hint: get the controller's certificate with `signet cert > cert.pem`\n",
                url("/html")
            ),
        ),
    ] {
        env.signet(&["cert", "--url", &url(path)])
            .assert_failure(1, &message);
    }
    env.signet(&["cert", "--url", "cert.pem"]).assert_failure(
        1,
        "error: --url takes an http or https URL\n\
         hint: signet cert --url https://signet.example.com/v1/cert.pem\n",
    );
    let output = env.signet(&["cert", "--url", "http://127.0.0.1:9/"]);
    assert_eq!(output.code, 4);
    assert!(
        output
            .stderr
            .starts_with("error: cannot fetch http://127.0.0.1:9/: "),
        "{}",
        output.stderr
    );
}

#[test]
fn whom_to_trust_is_named_by_a_file() {
    let env = TestEnvironment::new();
    env.write("empty.pem", "");
    let hint = "hint: --ca-file takes a file of PEM certificates\n";
    for (file, message) in [
        ("empty.pem", "there is no certificate in empty.pem"),
        (
            "gone.pem",
            "cannot read gone.pem: No such file or directory (os error 2)",
        ),
    ] {
        env.signet(&["cert", "--url", "https://127.0.0.1:9/", "--ca-file", file])
            .assert_failure(1, &format!("error: {message}\n{hint}"));
    }
}

#[test]
fn names_that_would_leave_the_path_are_refused() {
    let env = TestEnvironment::new();
    env.signet(&["cert", "--controller-name", "a/../../b"])
        .assert_failure(
            1,
            "error: `a/../../b` is not a name that Kubernetes accepts\n\
         hint: --controller-namespace and --controller-name name the controller's Service\n",
        );
}
