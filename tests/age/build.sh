#!/usr/bin/env bash
# Builds the stock `age` and `age-keygen` (Go), and writes C2SP's test vectors out, for the tests to hold format v2 against.
#
# usage: build.sh [DIRECTORY]      (default: target/cluster in the repository; the vectors go to DIRECTORY/cctv-age)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
output=${1:-$here/../../target/cluster}
mkdir -p "$output"
output=$(cd "$output" && pwd)
stamp=$output/age.stamp

# Two builds of the same output take turns, and the second finds nothing to do.
if command -v flock >/dev/null; then
	exec 9>"$output/age.lock"
	flock 9
fi

cd "$here"
sources=$(go version && cat go.mod go.sum build.sh main.go | cksum)
if [[ ! -x $output/age || ! -x $output/age-keygen || ! -d $output/cctv-age || ! -f $stamp || $(<"$stamp") != "$sources" ]]; then
	echo "tests/age: building" >&2
	for tool in age age-keygen; do
		CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$output/$tool.new" "filippo.io/age/cmd/$tool" >&2 9>&-
		mv "$output/$tool.new" "$output/$tool"
	done
	rm -rf "$output/cctv-age"
	mkdir "$output/cctv-age"
	go run . "$output/cctv-age" >&2 9>&-
	echo "$sources" >"$stamp"
fi
echo "$output/age"
