//! The native format on a laptop, `verify` and `migrate`: used well and used wrongly, with secrets and private keys at hand.

use sealing::v2::{Identity, Suite};

use super::case::secret;
use super::cli::Cli;
use super::values::{Class, Values};

/// All of it keeps quiet.
pub(super) fn use_them(namespace: &str, values: &mut Values, cli: &mut Cli) {
    let identity = Identity::generate(Suite::default()).expect("a key");
    let recipient = identity.recipient().to_string();
    let private = identity.to_text().to_string();
    // What comes before is the same in every identity, and stands in the controller's own key Secret.
    let (_, secret_part) = private.rsplit_once('1').expect("Bech32 has a separator");
    values.text("age identity", Class::Sealed, secret_part.to_owned());
    let key = cli.input("identity.txt", &private);
    let plain = |name: &str, values: &mut Values| {
        let value = values.sealed(&format!("native, {name}"));
        secret(namespace, name, &value).to_string()
    };

    let sealed = cli.output("native.yaml");
    let seal = ["seal", "--recipient", &recipient, "-w", &sealed];
    cli.run(&seal, plain("native", values)).ok();
    let merge = ["seal", "--recipient", &recipient, "--merge-into", &sealed];
    cli.run(&merge, plain("native", values)).ok();
    // With the key at hand, and one value changed.
    cli.run(&[&seal[..], &["--key", &key]].concat(), plain("native", values))
        .ok();
    for wrong in [
        &["seal", "--format", "v2", "--raw", "-n", "x", "--name", "y"][..],
        &["seal", "--format", "v2", "--recipient", "age1nothing"],
        &["seal", "--format", "v1", "--recipient", &recipient],
        &["seal", "--keys", &key],
        // A private key where a public one belongs.
        &["seal", "--recipient", &private],
    ] {
        cli.run(wrong, plain("wrong", values)).refused();
    }

    for arguments in [
        &[][..],
        &["--key", &key],
        &["-o", "json"],
        &["--key", &key, "-o", "json"],
    ] {
        cli.run(&[&["verify", &sealed], arguments].concat(), "").ok();
    }
    let moved = std::fs::read_to_string(&sealed).expect("what was sealed");
    let elsewhere = cli.output("moved.yaml");
    std::fs::write(&elsewhere, moved.replace("name: native", "name: moved")).expect("a file");
    for arguments in [
        &["--key", &key][..],
        &[],
        &["--controller"],
        &["--key", "/nonexistent"],
    ] {
        cli.run(&[&["verify", &elsewhere], arguments].concat(), "")
            .refused();
    }
    let broken = cli.input("broken.txt", private.to_lowercase());
    cli.run(&["verify", &sealed, "--key", &broken], "").refused();

    // Keys are read; nothing is changed.
    cli.run(&["migrate", "sealed-secrets"], "").refused();
    for arguments in [&[][..], &["-o", "json"], &["--apply"], &["--undo"]] {
        let place = ["migrate", "sealed-secrets", "--from-namespace", "signet-system"];
        cli.run(&[&place[..], arguments].concat(), "");
    }
}
