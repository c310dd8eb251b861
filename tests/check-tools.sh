#!/usr/bin/env bash
# Says what is missing before anything is built. Needed: git with its HTTP backend, ssh-keygen, gpg, a C compiler, Rust and Go.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)

missing=0
need() { # WHAT HOW-TO-GET-IT
	echo "missing: $1" >&2
	echo "   hint: $2" >&2
	missing=1
}
at_least() { # WANTED FOUND
	[[ $(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1) == "$1" ]]
}

if ! command -v git >/dev/null; then
	need "git" "Debian: apt-get install git"
elif [[ ! -x $(git --exec-path)/git-http-backend ]]; then
	need "git http-backend, which serves the repositories of tests and demo" "Debian: part of the package git; elsewhere often git-daemon"
fi

# Signatures of commits are made as people make them.
command -v ssh-keygen >/dev/null || need "ssh-keygen, which signs commits in the tests" "Debian: apt-get install openssh-client"
command -v gpg >/dev/null || need "gpg, which signs commits in the tests" "Debian: apt-get install gnupg"

if ! command -v cc >/dev/null; then
	need "a C compiler (cc)" "Debian: apt-get install build-essential"
elif ! echo '#include <stdlib.h>
int main(void) { return EXIT_SUCCESS; }' | cc -x c -o /dev/null - 2>/dev/null; then
	need "the C library's headers (cc cannot compile an empty program)" "Debian: apt-get install build-essential"
fi

rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$here/../Cargo.toml")
if ! command -v cargo >/dev/null || ! command -v rustc >/dev/null; then
	need "Rust $rust or newer" "https://rustup.rs; the Debian packages cargo and rustc may be too old"
else
	found=$(rustc --version | cut -d ' ' -f 2)
	at_least "$rust" "${found%%-*}" || need "Rust $rust or newer (this is $found)" "rustup update stable"
fi

# From 1.21 on, Go fetches the version that go.mod asks for by itself.
go=$(sed -n 's/^go \(.*\)/\1/p' "$here/cluster/go.mod")
if ! command -v go >/dev/null; then
	need "Go 1.21 or newer, $go for preference" "https://go.dev/dl; Debian: apt-get install golang"
else
	found=$(go env GOVERSION)
	at_least 1.21 "${found#go}" || need "Go 1.21 or newer, $go for preference (this is $found)" "https://go.dev/dl"
fi

# Optional: the tests of Git over SSH have a server of their own, and take OpenSSH's as well where there is one.
if [[ -z ${SIGNET_SSHD:-} && ! -x /usr/sbin/sshd ]]; then
	echo "note: there is no sshd; one test of Git over SSH is skipped (Debian: apt-get install openssh-server)" >&2
fi
if ! command -v ssh-keygen >/dev/null; then
	need "ssh-keygen, which makes the keys of the tests of Git over SSH" "Debian: apt-get install openssh-client"
fi

exit "$missing"
