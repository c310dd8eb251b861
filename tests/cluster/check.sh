#!/usr/bin/env bash
# Proves that signet-cluster keeps its promises: builds it, starts two clusters at once, uses them, and kills one.
# Needs nothing but bash, coreutils and procps; takes about half a minute once the binary is built. Times are
# reported, never asserted.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
binary=$("$here/build.sh")
work=$(mktemp -d)
started=() # process ids, for the clean-up

cleanup() {
	for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
	wait
	rm -rf "$work"
}
trap cleanup EXIT
trap 'echo "FAILED at line $LINENO" >&2; tail -n 20 "$work"/*.err >&2' ERR

fail() {
	echo "FAILED: $*" >&2
	exit 1
}
ok() { echo "ok    $*"; }
now() { date +%s%N; }
since() { echo "$((($(now) - $1) / 1000000)) ms"; }

# says TEXT COMMAND...: the command's output holds the text, whatever its exit code.
says() {
	local text=$1 output
	shift
	output=$("$@" 2>&1) || true
	[[ $output == *"$text"* ]]
}
# until_true SECONDS COMMAND...: repeats a command until it succeeds.
until_true() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < deadline)) || fail "not within its time: $*"
		sleep 0.05
	done
}
not() { ! "$@"; }
# A process that nobody has waited for yet (state Z) is gone all the same: it holds no port and no memory.
alive() { [[ $(ps -o stat= -p "$1" 2>/dev/null) == [!Z]* ]]; }
listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
# field NAME FILE: a string or number of the report.
field() { sed -E "s/.*\"$1\":\"?([^\",}]*).*/\1/" "$2"; }
# components FILE: the process ids of the parts.
components() { sed -E 's/.*"components":\{([^}]*)\}.*/\1/' "$1" | tr ',' '\n' | sed 's/.*://'; }
port_of() { field "$1" "$2" | sed -E 's/.*:([0-9]+)$/\1/'; }

# up NAME FLAGS...: starts a cluster in the background; its standard input is the pipe "NAME.in". This script holds the
# write ends as descriptors 7 and 8, and nothing that it starts may inherit them.
up() {
	local name=$1
	shift
	mkfifo -m 600 "$work/$name.in"
	"$binary" up --data-dir "$work/$name" --exit-on-stdin-eof "$@" \
		<"$work/$name.in" >"$work/$name.json" 2>>"$work/$name.err" 7>&- 8>&- &
	started+=($!)
}
a() { timeout 30 "$binary" kubectl --kubeconfig "$work/a/kubeconfig" "$@"; }
b() { timeout 30 "$binary" kubectl --kubeconfig "$work/b.kubeconfig" "$@"; }

# --- one cluster, timed -----------------------------------------------------------------------------------------------
began=$(now)
up a --audit-log "$work/audit.log"
a_pid=${started[-1]}
exec 7>"$work/a.in"
until_true 120 test -s "$work/a.json"
ok "ready after $(field ready_seconds "$work/a.json") s"
[[ $(field pid "$work/a.json") == "$a_pid" ]] || fail "the report names another process"
a create deployment web --image=none.invalid/web:1 --replicas=3 >/dev/null
a rollout status deployment/web --timeout=30s >/dev/null
ok "from nothing to a Deployment rolled out: $(since "$began")"
a wait --for=condition=Available deployment/web --timeout=10s >/dev/null

says 'Client Version: v1.36.3' a version || fail "kubectl's version"
says 'Server Version: v1.36.3' a version || fail "the server's version"
ok "kubectl and the server are v1.36.3"
[[ $(a get nodes --no-headers | grep -cw Ready) == 3 ]] || fail "not 3 nodes are ready"
a create job once --image=none.invalid/once >/dev/null
a wait --for=condition=Complete job/once --timeout=20s >/dev/null
ok "3 nodes are ready, and a Job completes"

# --- service accounts and RBAC ----------------------------------------------------------------------------------------
a create serviceaccount reader >/dev/null
token=$(a create token reader)
reader() { timeout 30 "$binary" kubectl --server "$(field server "$work/a.json")" --certificate-authority "$work/a/ca.crt" --kubeconfig /dev/null --token "$token" "$@"; }
[[ $(reader auth whoami -o 'jsonpath={.status.userInfo.username}') == system:serviceaccount:default:reader ]] || fail "whoami"
says Forbidden reader get pods || fail "a service account without rights can read Pods"
a create rolebinding reader --clusterrole=view --serviceaccount=default:reader >/dev/null
until_true 10 reader get pods
says Forbidden reader get secrets || fail "the role view can read Secrets"
[[ $(a create token reader --duration=1h --audience=elsewhere | wc -c) -gt 100 ]] || fail "a token for another audience"
ok "service-account tokens authenticate, and RBAC binds them"

# --- the audit log ----------------------------------------------------------------------------------------------------
for i in {1..20}; do a get configmap "counted-$i" >/dev/null 2>&1 || true; done
[[ $(grep -c '"stage":"RequestReceived".*/configmaps/counted-' "$work/audit.log") == 20 ]] || fail "the audit log does not hold 20 requests"
ok "20 requests are 20 lines of the audit log, at once"
grep -q '"userAgent":"kube-controller-manager/v1.36.3' "$work/audit.log" || fail "components are not told apart in the audit log"

# --- a second cluster beside it ---------------------------------------------------------------------------------------
up b --kubeconfig "$work/b.kubeconfig" --nodes 1
b_pid=${started[-1]}
exec 8>"$work/b.in"
until_true 120 test -s "$work/b.json"
ok "a second cluster beside it: ready after $(field ready_seconds "$work/b.json") s"
[[ $(b get nodes --no-headers | grep -cw Ready) == 1 ]] || fail "not 1 node is ready"
[[ -z $(b get deployments -o name) && -n $(a get deployments -o name) ]] || fail "the clusters are not apart"

# --- the service proxy ------------------------------------------------------------------------------------------------
mkdir "$work/www"
echo "from outside" >"$work/www/page"
"$binary" kubectl proxy --kubeconfig "$work/b.kubeconfig" --port=0 --www="$work/www" --www-prefix=/ --api-prefix=/api/ >"$work/www.out" 2>&1 7>&- 8>&- &
started+=($!)
until_true 10 grep -q 'Starting to serve' "$work/www.out"
www=$(sed -E 's/.*127.0.0.1:([0-9]+).*/\1/' "$work/www.out")
a create namespace outside >/dev/null
timeout 30 "$binary" expose --data-dir "$work/a" -n outside --service local --port 8080 --to "$www" 2>/dev/null
[[ $(a get --raw /api/v1/namespaces/outside/services/http:local:http/proxy/page) == "from outside" ]] || fail "the service proxy"
a expose deployment web --port=80 >/dev/null
timeout 30 "$binary" expose --data-dir "$work/a" --service web --to "127.0.0.1:$www" 2>/dev/null
[[ $(a get --raw /api/v1/namespaces/default/services/web/proxy/page) == "from outside" ]] || fail "the proxy of a Service with Pods"
a get --raw "/api/v1/namespaces/default/pods/$(a get pods -l app=once -o name | head -n 1)/proxy/" >/dev/null 2>&1 && fail "an address that is not mapped leads somewhere"
ok "the service proxy reaches a process on this machine"

# --- the end of the input, and of the parent --------------------------------------------------------------------------
b_parts=$(components "$work/b.json")
began=$(now)
exec 8>&-
until_true 10 not alive "$b_pid"
for pid in $b_parts; do until_true 5 not alive "$pid"; done
not listening "$(port_of server "$work/b.json")" || fail "B still listens"
[[ -d $work/b/etcd ]] || fail "the data went without --rm"
ok "a closed input stops a cluster: $(since "$began")"

a_parts=$(components "$work/a.json")
[[ $(wc -w <<<"$a_parts") == 5 ]] || fail "there are not five parts"
for pid in $a_parts; do alive "$pid" || fail "part $pid does not run"; done
began=$(now)
kill -9 "$a_pid"
{ wait "$a_pid" || true; } 2>/dev/null # bash would announce it otherwise
until_true 10 not alive "$a_pid"
for pid in $a_parts; do until_true 10 not alive "$pid"; done
for port in "$(port_of server "$work/a.json")" "$(port_of etcd "$work/a.json")"; do
	not listening "$port" || fail "port $port is still open"
done
exec 7>&-
ok "kill -9 of the parent leaves no child and no port: $(since "$began")"

# --- again from the same data -----------------------------------------------------------------------------------------
rm "$work/a.in" "$work/a.json"
up a --rm
a_pid=${started[-1]}
exec 7>"$work/a.in"
until_true 120 test -s "$work/a.json"
a get deployment web >/dev/null
[[ $(reader auth whoami -o 'jsonpath={.status.userInfo.username}') == system:serviceaccount:default:reader ]] || fail "the token of before"
ok "a killed cluster starts again with its objects and tokens, after $(field ready_seconds "$work/a.json") s"
says 'in use' "$binary" up --data-dir "$work/a" || fail "two clusters in one directory"
port=$(port_of server "$work/a.json")
says 'address already in use' "$binary" up --data-dir "$work/c" --port "$port" || fail "two clusters on one port"
says 'neither empty nor' "$binary" up --data-dir "$work/www" --rm || fail "a foreign directory is taken"
[[ -f $work/www/page ]] || fail "a foreign directory was removed"
a_parts=$(components "$work/a.json")
began=$(now)
kill -TERM "$a_pid"
until_true 10 not alive "$a_pid"
for pid in $a_parts; do not alive "$pid" || fail "part $pid outlived the stop"; done
[[ ! -e $work/a ]] || fail "--rm left the data"
ok "SIGTERM stops a cluster, and --rm removes its data: $(since "$began")"
echo "all well"
