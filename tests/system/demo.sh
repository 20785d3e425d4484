#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# demo — what `./dev run` shows: real clients served through the dataplane, and what operators do to it.
#
# usage: demo.sh BUILD [--keep | --shell | --stop]
#
# The network and its processes are those of topology.sh. Everything it says is checked: a step that
# does not hold ends the demo with an error and a non-zero exit.
set -eu
cd "$(dirname "$0")/../.."

T_BUILD=$PWD/$1
shift
T_ID=mrdemo
T_DIR=/run/millrace-demo
. tests/system/topology.sh

CONFIG=$PWD/examples/demo.yaml
MODE=${1:-}

BOLD="" PLAIN=""
[ ! -t 1 ] || [ -n "${NO_COLOR:-}" ] || BOLD=$'\e[1m' PLAIN=$'\e[0m'

say() { printf '\n%s%s%s\n' "$BOLD" "$*" "$PLAIN"; }

show() { # show COMMAND… : prints a command line of the CLI, then runs it
	echo "\$ millrace $*"
	t_cli "$@"
}

check() { # check WHAT COMMAND… : the command must succeed
	local what=$1
	shift
	"$@" || t_die "$what"
	echo "ok: $what"
}

load() { # load NAME HOST PORT N : N requests at concurrency 50, all of which must be answered
	t_load "$1" "$2" "$3" --requests "$4"
	report "$1"
}

report() { # report NAME
	echo "$1: $(t_report_text "$1")"
	check "no request failed" test "$(t_report "$1" 'a["failed"]')" = 0
}

hugepages() { # 300 MB of them if they can be had; millraced runs without as well
	if hugepages_take 160 "$T_DIR/hugepages"; then
		echo "reserved hugepages: $(hugepages_free) free"
	else
		echo "no hugepages could be reserved (vm.nr_hugepages): running without"
	fi
}

stop_kept() { # ends what --keep left: the pids it wrote down that still are in its namespaces
	local f pid
	[ -d "$T_DIR" ] || return 0
	T_PIDS=()
	for f in "$T_DIR"/*.pid; do
		[ -e "$f" ] || continue
		pid=$(cat "$f")
		case $(ip netns identify "$pid" 2>/dev/null) in
		"$T_ID"-*) T_PIDS+=("$pid") ;;
		esac
	done
	t_cleanup
	hugepages_back "$T_DIR/hugepages"
	rm -rf "$T_DIR"
}

end() {
	local rc=$?
	trap - EXIT
	if [ "$rc" != 0 ]; then
		echo "--- last lines of millraced and millrace-controld" >&2
		tail -n 15 "$T_DIR/millraced.log" "$T_DIR/controld.log" >&2 || true
	fi
	t_cleanup
	hugepages_back "$T_DIR/hugepages"
	rm -rf "$T_DIR"
	exit $rc
}

commands() {
	cat <<-EOF

		It is running. The client side is the network namespace $T_ID-client, the box $T_ID-mr.

		  export MILLRACE_SOCKET=$T_DIR/control.sock PATH=$T_BUILD/control/cli:\$PATH
		  millrace status
		  millrace service show
		  millrace backend drain web/web1      # and: undrain, weight web/web1 10
		  millrace conn show --service shop
		  millrace help
		  ip netns exec $T_ID-client curl http://10.1.0.80/            # full NAT, Maglev
		  ip netns exec $T_ID-client curl 'http://[fd00:1::80]/'       # the same over IPv6, weighted round robin
		  ip netns exec $T_ID-client curl http://10.1.0.90:8080/       # direct return
		  ip netns exec $T_ID-client memcstat --servers=10.1.0.100:11211
		  ip netns exec $T_ID-client $T_PYTHON tests/system/mc_client.py 10.1.0.100 11211 send 'get greeting'
		  millrace cache show

		Logs, sockets and state are in $T_DIR. ./dev stop ends it.
	EOF
}

start() {
	say "A client, the balancer, three nginx, in network namespaces of their own"
	mkdir -m 0750 "$T_DIR"
	t_network
	hugepages
	for n in 1 2 3; do
		t_nginx $n
	done
	t_dataplane
	t_controld "$CONFIG"
	tail -n 1 "$T_DIR/millraced.log"
	for s in shop shop6 direct direct6; do
		show --timeout 15s wait healthy $s 3
	done
	show status
	show port show
}

show_balancing() {
	local i url
	say "Requests with curl, spread by each service's scheduler"
	for url in http://10.1.0.80/ 'http://[fd00:1::80]/' http://10.1.0.90:8080/ 'http://[fd00:1::90]:8080/'; do
		printf '$ curl %-26s ' "$url"
		for i in 1 2 3 4 5 6 7 8; do
			printf '%s ' "$(t_curl "$url")"
		done
		echo
	done
	say "2,000 requests to each service at concurrency 50"
	load shop 10.1.0.80 80 2000
	load shop6 fd00:1::80 80 2000
	load direct 10.1.0.90 8080 2000
	load direct6 fd00:1::90 8080 2000
	show service show
	show backend show
	show health show web
	show conn show --limit 5
	show conn count
	show port stats
}

mc() { t_in client $T_PYTHON tests/system/mc_client.py 10.1.0.100 11211 "$@"; }
mc_tcp() { t_in client $T_PYTHON tests/system/mc_tcp.py 10.1.0.100 11211 "$@"; }

show_cache() {
	say "memcached over TCP, answered by the box: clients as they come"
	mc_tcp library 200000 >"$T_DIR/library.json"
	check "pymemcache gets what it expects of a memcached" test "$(t_report library 'a["right"]')" = True
	echo '$ memccp motd; memccat motd'
	printf 'served by the box\n' >"$T_DIR/motd"
	t_in client memccp --servers=10.1.0.100:11211 "$T_DIR/motd"
	t_in client memccat --servers=10.1.0.100:11211 motd
	check "memccat shows what memccp stored" test "$(t_in client memccat --servers=10.1.0.100:11211 motd)" = "served by the box"
	mc_tcp values 20 200000 >"$T_DIR/values.json"
	echo "20 values of 200,000 bytes stored and read back: $(cat "$T_DIR/values.json")"
	mc_tcp depth 20000 >"$T_DIR/depth.json"
	echo "20,000 requests in one pipeline: $(cat "$T_DIR/depth.json")"
	show service show cache
	say "memcached over UDP, the same items"
	check "what came by TCP" test "$(mc send 'get motd' | tr -d '\r' | sed -n 2p)" = "served by the box"
	echo '$ set greeting 0 0 5 / get greeting / incr visits 1 / mg greeting v t'
	mc send 'set greeting 0 0 5\r\nhello' 'get greeting' 'set visits 0 0 1\r\n0' 'incr visits 1' 'mg greeting v t'
	mc fill 5000 100 user: >"$T_DIR/fill.json"
	mc check 5000 100 user: >"$T_DIR/check.json"
	check "5,000 values of 100 bytes are stored" test "$(t_report fill 'a["stored"]')" = 5000
	check "and read back as they were" test "$(t_report check '(a["found"], a["wrong"])')" = "(5000, 0)"
	show cache show
	show cache get sessions greeting
	show cache purge sessions --prefix user:
	mc check 5000 100 user: >"$T_DIR/check.json"
	check "none of them is left" test "$(t_report check 'a["found"]')" = 0
	check "others are" test "$(mc send 'get visits' | tr -d '\r' | sed -n 2p)" = 1
}

show_failover() {
	say "nginx web2 stops: its check takes it out"
	t_stop web2
	t_wait 30 "web2 to be taken out" t_is_state web/web2 down
	show backend show web
	load after-detection 10.1.0.80 80 1000
	say "nginx web2 comes back: it is put in again"
	t_nginx 2
	show --timeout 15s wait healthy shop 3
	show --timeout 15s wait healthy direct 3
}

show_drain() {
	local busy
	say "A backend is drained while a long download over it goes on"
	t_download drain shop 10.1.0.80 80
	busy=$(t_holder)
	show backend drain "web/$busy"
	show conn show --backend "web/$busy" --state established
	load new-requests 10.1.0.80 80 1000
	check "none went to the drained $busy" test "$(t_report new-requests "a['backends'].get('$busy', 0)")" = 0
	check "the download still goes on" t_download_goes_on drain
	check "the download is whole" t_download_end drain
	show --timeout 30s wait drained "web/$busy"
	show backend undrain "web/$busy"
}

show_control_loss() {
	local before
	say "millrace-controld is killed (SIGKILL) under load, and started again"
	before=$(t_status "['dataplane']['generation']")
	t_download control shop 10.1.0.80 80
	t_load_begin meanwhile 10.1.0.80 80
	t_stop controld KILL
	echo "killed; requests go on"
	sleep 2
	t_controld "$CONFIG"
	t_wait 30 "the daemon to converge" t_in_sync
	t_load_end meanwhile
	report meanwhile
	check "it converged without a new generation" test "$(t_status "['dataplane']['generation']")" = "$before"
	check "a download that began before is whole" t_download_end control
}

summary() {
	say "Summary"
	show drops
	show service show
	echo "Real clients were served through the dataplane: balancing over IPv4 and IPv6, full NAT and direct"
	echo "return, fail-over, draining and the loss of the control plane, without a failed request; and a cache was served"
	echo "by the box itself."
	echo "took $SECONDS s"
}

[ "$(id -u)" = 0 ] || t_die "network namespaces and AF_XDP need root: run this as root"
case $MODE in
"" | --keep | --shell) ;;
--stop)
	stop_kept
	echo "stopped"
	exit 0
	;;
*) t_die "'$MODE' is not an option; there are --keep and --shell" ;;
esac
[ ! -e "$T_DIR" ] || t_die "$T_DIR exists: a demo is running, or was cut off; ./dev stop ends it and cleans up"

trap end EXIT
trap 'exit 130' INT TERM HUP PIPE
start
case $MODE in
--keep)
	trap - EXIT INT TERM
	commands
	;;
--shell)
	say "A shell on the client side; leave it to end everything"
	echo "try: curl http://10.1.0.80/ ; curl 'http://[fd00:1::80]/' ; curl http://10.1.0.90:8080/ ; millrace backend show"
	MILLRACE_SOCKET=$T_DIR/control.sock PATH=$T_BUILD/control/cli:$PATH t_in client "${SHELL:-bash}" || true
	;;
*)
	show_balancing
	show_cache
	show_failover
	show_drain
	show_control_loss
	summary
	;;
esac
