#!/usr/bin/env bash
# Builds signet-cluster and prints the path of the binary on standard output; everything else goes to standard error.
# The first build compiles all of Kubernetes: minutes. Later ones take seconds, and nothing at all if no source changed.
#
# usage: build.sh [OUTPUT]      (default: target/cluster/signet-cluster in the repository)
set -euo pipefail

kubernetes=v1.36.3 # kubectl cannot parse the server's version if it is not set; keep in step with go.mod

here=$(cd "$(dirname "$0")" && pwd)
output=${1:-$here/../../target/cluster/signet-cluster}
mkdir -p "$(dirname "$output")"
output=$(cd "$(dirname "$output")" && pwd)/$(basename "$output")
stamp=$output.stamp
log=$output.log

say() { echo "tests/cluster: $*" >&2; }

# Two builds of the same output take turns, and the second finds nothing to do.
if command -v flock >/dev/null; then
	exec 9>"$output.lock"
	flock 9
fi

cd "$here"
sources=$(go version && cat ./*.go go.mod go.sum build.sh | cksum)
if [[ -x $output && -f $stamp && $(<"$stamp") == "$sources" ]]; then
	echo "$output"
	exit
fi

export CGO_ENABLED=0
say "building; the first time this takes several minutes"
go mod download 2>&1 9>&- | sed 's/^/tests\/cluster: /' >&2
total=$(go list -deps . | wc -l)

# -v below names each package as it is compiled, which is the only sign of life that go build gives.
# The second version is the one in the User-Agent of clients, and so in the audit log.
ldflags="-s -w -X k8s.io/component-base/version.gitVersion=$kubernetes"
ldflags+=" -X k8s.io/client-go/pkg/version.gitVersion=$kubernetes -X k8s.io/client-go/pkg/version.gitCommit="
go build -v -trimpath -ldflags "$ldflags" \
	-o "$output.new" . >"$log" 2>&1 9>&- &
build=$!
trap 'kill "$build" 2>/dev/null || true' EXIT
while sleep 1 && kill -0 "$build" 2>/dev/null; do
	((SECONDS % 10)) || say "${SECONDS}s: compiled $(wc -l <"$log") packages, of at most $total"
done
if ! wait "$build"; then
	grep -E '^#|[: ]' "$log" | tail -n 40 >&2
	say "build failed; all output is in $log"
	exit 1
fi
trap - EXIT

mv "$output.new" "$output"
echo "$sources" >"$stamp"
rm -f "$log"
say "built in ${SECONDS}s"
echo "$output"
