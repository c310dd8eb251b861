//! Cases of format v2: opened and applied, and refused in every way that is there; from Git, and in the cluster.

use crds::NativeSealedSecret;
use sealing::Scope;
use sealing::v2::{Identities, Identity, Recipients, SealedSecret, Suite};
use serde_json::{Value, json};
use tests::Space;

use super::case::{Case, End, secret};
use super::values::Values;
use crate::native::seal;

/// All of them, for one namespace.
pub(super) fn cases(namespace: &str, to: &Recipients, values: &mut Values) -> Vec<Case> {
    let mut cases = Vec::new();
    for scope in Scope::ALL {
        let name = format!("native-{}", scope.as_str());
        let plain = secret(namespace, &name, &values.sealed(&name));
        cases.push(Case::sealed(&name, End::Applied, &seal(&plain, to, scope)));
    }
    // A text with the value in it, made by who holds a key.
    let team = Identity::generate(Suite::MlKem768X25519).unwrap();
    let both = Recipients::new(to.iter().cloned().chain([team.recipient().clone()])).unwrap();
    let plain = secret(namespace, "native-text", &values.sealed("native-text"));
    let sealed = SealedSecret::parse(&seal(&plain, &both, Scope::Strict))
        .ok()
        .unwrap();
    let unlocked = sealed.unlock(&Identities::new([team])).ok().unwrap();
    let text = unlocked
        .retemplate(
            &json!({"data": {"config.ini": "[db]\npassword = ${password}\n"}, "omit": ["password"]}),
            &both,
        )
        .unwrap()
        .to_value();
    cases.push(Case::sealed("native-text", End::Applied, &text));

    let mut spoiled = |name: &str, spoil: &dyn Fn(&mut Value)| {
        let mut sealed = seal(&secret(namespace, name, &values.sealed(name)), to, Scope::Strict);
        spoil(&mut sealed);
        cases.push(Case::sealed(name, End::Failed, &sealed));
    };
    spoiled("native-renamed", &|sealed| {
        sealed["metadata"]["name"] = "native-another".into();
    });
    spoiled("native-typed", &|sealed| {
        sealed["spec"]["template"] = json!({"type": "example.com/other"});
    });
    spoiled("native-exfiltrated", &|sealed| {
        sealed["spec"]["template"] = json!({"data": {"index.html": "${password}"}});
    });
    spoiled("native-reference", &|sealed| {
        sealed["spec"]["template"] = json!({"data": {"x": "${nothing}"}});
    });
    spoiled("native-cut", &|sealed| {
        let text = sealed["spec"]["values"]["password"].as_str().unwrap().to_owned();
        sealed["spec"]["values"]["password"] = text[..text.len() - 8].into();
    });
    spoiled("native-unknown", &|sealed| sealed["spec"]["extra"] = json!({}));
    // What the API server says of an opened value is not repeated.
    let plain = |name: &str, values: &mut Values| secret(namespace, name, &values.sealed(name));
    let mut tls = plain("native-tls", values);
    tls["type"] = "kubernetes.io/tls".into();
    cases.push(Case::sealed(
        "native-tls",
        End::Failed,
        &seal(&tls, to, Scope::Strict),
    ));
    let stranger = Identity::generate(Suite::X25519).unwrap();
    let stranger = Recipients::new([stranger.recipient().clone()]).unwrap();
    let foreign = plain("native-foreign", values);
    cases.push(Case::sealed(
        "native-foreign",
        End::Failed,
        &seal(&foreign, &stranger, Scope::Strict),
    ));
    cases
}

/// Objects in the cluster, each opened or refused before this returns.
pub(super) async fn objects(team: &Space<'_>, to: &Recipients, values: &mut Values) {
    let stranger = Identity::generate(Suite::X25519).unwrap();
    let stranger = Recipients::new([stranger.recipient().clone()]).unwrap();
    let mut made = Vec::new();
    let mut make = |name: &str, to: &Recipients, type_: &str, spoil: &dyn Fn(&mut Value)| {
        let mut plain = secret(team.name(), name, &values.sealed(name));
        plain["type"] = type_.into();
        let mut sealed = seal(&plain, to, Scope::Strict);
        spoil(&mut sealed);
        team.stage()
            .cluster
            .kubectl_with(
                ["create", "--namespace", team.name(), "-f", "-"],
                &sealed.to_string(),
            )
            .ok();
        made.push(name.to_owned());
    };
    make("native-object", to, "Opaque", &|_| {});
    make("native-object-typed", to, "Opaque", &|sealed| {
        sealed["spec"]["template"] = json!({"type": "example.com/other"});
    });
    make("native-object-cut", to, "Opaque", &|sealed| {
        let text = sealed["spec"]["values"]["password"].as_str().unwrap().to_owned();
        sealed["spec"]["values"]["password"] = text[..text.len() - 8].into();
    });
    make("native-object-foreign", &stranger, "Opaque", &|_| {});
    // The API server refuses what was opened.
    make("native-object-tls", to, "kubernetes.io/tls", &|_| {});
    for name in made {
        team.until(
            &name,
            "the controller to have said something",
            |sealed: &NativeSealedSecret| {
                let conditions = sealed
                    .status
                    .as_ref()
                    .and_then(|status| status.conditions.as_ref());
                conditions.is_some_and(|conditions| !conditions.is_empty())
            },
        )
        .await;
    }
}
