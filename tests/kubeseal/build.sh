#!/usr/bin/env bash
# Builds the real kubeseal, which the tests hold Signet against, and prints its path on standard output.
#
# usage: build.sh [OUTPUT]      (default: target/cluster/kubeseal in the repository)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
output=${1:-$here/../../target/cluster/kubeseal}
mkdir -p "$(dirname "$output")"
output=$(cd "$(dirname "$output")" && pwd)/$(basename "$output")
stamp=$output.stamp

# Two builds of the same output take turns, and the second finds nothing to do.
if command -v flock >/dev/null; then
	exec 9>"$output.lock"
	flock 9
fi

cd "$here"
sources=$(go version && cat go.mod go.sum build.sh | cksum)
if [[ ! -x $output || ! -f $stamp || $(<"$stamp") != "$sources" ]]; then
	echo "tests/kubeseal: building; the first time this takes a minute or two" >&2
	version=$(go list -m -f '{{.Version}}' github.com/bitnami/sealed-secrets)
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.VERSION=${version#v}" \
		-o "$output.new" github.com/bitnami/sealed-secrets/cmd/kubeseal >&2 9>&-
	mv "$output.new" "$output"
	echo "$sources" >"$stamp"
fi
echo "$output"
