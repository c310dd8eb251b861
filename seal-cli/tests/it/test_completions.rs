//! `signet completions` and `signet man`.

use crate::support::TestEnvironment;

#[test]
fn every_shell_gets_a_script() {
    let env = TestEnvironment::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = env.signet(&["completions", shell]).success();
        assert!(script.contains("namespace-wide"), "{shell}");
        let script = env.signet(&["completions", shell, "--kubeseal"]).success();
        assert!(
            script.contains("recovery-unseal") && script.contains("kubeseal"),
            "{shell}"
        );
    }
}

#[test]
fn manual_pages_are_written() {
    let env = TestEnvironment::new();
    std::fs::create_dir(env.path("man")).unwrap();
    let output = env.signet(&["man", "--out", "man"]);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (0, "Manual pages are in man.\n")
    );
    assert!(env.read("man/signet-seal.1").contains("namespace"));
    assert!(env.read("man/kubeseal.1").contains("recovery"));
    env.signet(&["man", "--out", "gone"]).assert_failure(
        1,
        "error: cannot write manual pages to gone: No such file or directory (os error 2)\n\
         hint: is the directory there, and may you write to it?\n",
    );
}
