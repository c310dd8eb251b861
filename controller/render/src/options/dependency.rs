//! `config.kubernetes.io/depends-on`, as kpt and cli-utils write it.

use manifest::{GroupVersionKind, check_name, check_namespace};

use super::OptionError;

/// The annotation's key.
pub(super) const DEPENDS_ON: &str = "config.kubernetes.io/depends-on";

/// Dependencies of one object.
const MAX: usize = 64;

/// An object that another one needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dependency {
    /// API group, empty for the core group.
    pub group: Box<str>,
    /// Kind.
    pub kind: Box<str>,
    /// Namespace; none for a cluster-scoped object.
    pub namespace: Option<Box<str>>,
    /// Name.
    pub name: Box<str>,
}

/// `group/namespaces/namespace/Kind/name` or `group/Kind/name`, separated by commas. cli-utils refuses an object whose
/// annotation it cannot read, and so does this: without it the order would be wrong.
pub(super) fn parse(text: &str) -> Result<Vec<Dependency>, OptionError> {
    let mut found = Vec::new();
    for one in text.split(',') {
        if found.len() == MAX {
            return Err(OptionError::new(
                DEPENDS_ON,
                format!("name at most {MAX} objects"),
            ));
        }
        let one = dependency(one.trim()).ok_or_else(|| {
            OptionError::new(
                DEPENDS_ON,
                "write `group/namespaces/namespace/Kind/name` or `group/Kind/name`, separated by commas; \
                 the core group is empty, as in `/namespaces/shop/ConfigMap/settings`",
            )
        })?;
        if !found.contains(&one) {
            found.push(one);
        }
    }
    Ok(found)
}

fn dependency(text: &str) -> Option<Dependency> {
    let fields: Vec<&str> = text.splitn(6, '/').collect();
    let (group, namespace, kind, name) = match *fields.as_slice() {
        [group, kind, name] => (group, None, kind, name),
        [group, "namespaces", namespace, kind, name] => (group, Some(namespace), kind, name),
        _ => return None,
    };
    let version = if group.is_empty() {
        "v1".to_owned()
    } else {
        format!("{group}/v1")
    };
    GroupVersionKind::parse(&version, kind).ok()?;
    check_name(name).ok()?;
    namespace.map_or(Ok(()), check_namespace).ok()?;
    Some(Dependency {
        group: group.into(),
        kind: kind.into(),
        namespace: namespace.map(Into::into),
        name: name.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(group: &str, namespace: Option<&str>, kind: &str, name: &str) -> Dependency {
        Dependency {
            group: group.into(),
            kind: kind.into(),
            namespace: namespace.map(Into::into),
            name: name.into(),
        }
    }

    #[test]
    fn what_cli_utils_writes() {
        assert_eq!(
            parse(
                "apps/namespaces/shop/Deployment/db, /namespaces/shop/ConfigMap/x,/Namespace/shop,/Namespace/shop"
            ),
            Ok(vec![
                one("apps", Some("shop"), "Deployment", "db"),
                one("", Some("shop"), "ConfigMap", "x"),
                one("", None, "Namespace", "shop"),
            ])
        );
        let role = "rbac.authorization.k8s.io/ClusterRole/system:reader";
        assert_eq!(
            parse(role),
            Ok(vec![one(
                "rbac.authorization.k8s.io",
                None,
                "ClusterRole",
                "system:reader"
            )])
        );
    }

    #[test]
    fn what_it_refuses() {
        for bad in [
            "",
            "x",
            ",",
            "apps/Deployment",
            "apps/Deployment/",
            "//x",
            "apps/ns/shop/Deployment/db",
            "apps/namespaces//Deployment/db",
            "apps/namespaces/Shop/Deployment/db",
            "apps/v1/namespaces/shop/Deployment/db",
            "/Namespace/shop,",
            "a b/Kind/x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let many = |count: usize| {
            let all: Vec<_> = (0..count).map(|number| format!("/Namespace/n{number}")).collect();
            parse(&all.join(","))
        };
        assert_eq!(many(MAX).map(|found| found.len()), Ok(MAX));
        assert!(many(MAX + 1).is_err());
    }
}
