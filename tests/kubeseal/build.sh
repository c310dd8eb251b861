#!/usr/bin/env bash
# Builds the real Sealed Secrets, which tests and benchmarks hold Signet against: kubeseal, the controller
# (sealed-secrets-controller), and our small program over its packages (peer/). Prints the path of kubeseal.
#
# usage: build.sh [OUTPUT]      (default: target/cluster/kubeseal in the repository; the others go beside it)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
output=${1:-$here/../../target/cluster/kubeseal}
mkdir -p "$(dirname "$output")"
folder=$(cd "$(dirname "$output")" && pwd)
output=$folder/$(basename "$output")
stamp=$output.stamp
programs=("$output" "$folder/sealed-secrets-controller" "$folder/sealed-secrets-peer")

# Two builds of the same output take turns, and the second finds nothing to do.
if command -v flock >/dev/null; then
	exec 9>"$output.lock"
	flock 9
fi

cd "$here"
sources=$(go version && cat go.mod go.sum build.sh peer/*.go | cksum)
built() { for program in "${programs[@]}"; do [[ -x $program ]] || return 1; done; }
if ! built || [[ ! -f $stamp || $(<"$stamp") != "$sources" ]]; then
	echo "tests/kubeseal: building; the first time this takes a minute or two" >&2
	module=github.com/bitnami/sealed-secrets
	version=$(go list -m -f '{{.Version}}' $module)
	build() { # OUTPUT PACKAGE
		CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.VERSION=${version#v}" -o "$1.new" "$2" >&2 9>&-
		mv "$1.new" "$1"
	}
	build "${programs[0]}" $module/cmd/kubeseal
	build "${programs[1]}" $module/cmd/controller
	build "${programs[2]}" ./peer
	echo "$sources" >"$stamp"
fi
echo "$output"
