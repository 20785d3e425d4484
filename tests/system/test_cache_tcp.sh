#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Unmodified clients of memcached over TCP are answered from caches: libraries and tools, large values, deep pipelines, the same
# answers as a stock memcached to random requests, many connections, packets lost, and services that go while clients are there.
. "$(dirname "$0")/story.sh"
CONFIG=$T_TOOLS/cache_tcp.yaml
story_begin --cache-memory 96
t_in client ip addr add 10.1.0.11/24 dev eth0

mc() { t_in client $T_PYTHON "$T_TOOLS/mc_tcp.py" "$@"; } # mc HOST PORT WHAT…
report() { # report NAME COMMAND… : its last line is kept for t_report
	local name=$1
	shift
	"$@" >"$T_DIR/$name.out" 2>"$T_DIR/$name.err" || { cat "$T_DIR/$name.err" >&2; fail "$name: $*"; }
	tail -n 1 "$T_DIR/$name.out" >"$T_DIR/$name.json"
	echo "$name: $(cat "$T_DIR/$name.json")"
}
expect_answer() { # expect_answer WHAT TEXT REQUEST…
	expect "$1" test "$(mc 10.1.0.100 11211 ask "${@:3}" | tr -d '\r' | tr '\n' '|')" = "$2"
}
has_conns() { [ "$(service "$1" "['conns']")" = "$2" ]; } # has_conns SERVICE N
service() { t_cli -o json service show "$1" | t_json "a['items'][0]$2"; } # service NAME FIELD

say "libraries and tools as they come"
report library mc 10.1.0.100 11211 library
report library6 mc fd00:1::100 11211 library
expect "memccapable: text" t_in client memccapable -h 10.1.0.100 -p 11211 -a
expect "memccapable: binary" t_in client memccapable -h 10.1.0.100 -p 11211 -b
printf 'copied by a tool' >"$T_DIR/a-file"
expect "memccp" t_in client memccp --servers=10.1.0.100:11211 "$T_DIR/a-file"
expect "memccat" test "$(t_in client memccat --servers=10.1.0.100:11211 a-file)" = "copied by a tool"
expect "over UDP it is the same cache" test "$(t_in client $T_PYTHON "$T_TOOLS/mc_client.py" 10.1.0.100 11211 send 'get a-file' |
	tr -d '\r' | sed -n 2p)" = "copied by a tool"

say "protocol"
expect_answer "many requests in one segment" "STORED|VALUE k 7 3|abc|END|HD|ERROR|" 'set k 7 0 3\r\nabc' 'get k' 'md k' 'nonsense'
expect_answer "quit" "STORED|" 'set k 0 0 1\r\nx' 'quit' 'get k'
expect_answer "shutdown is refused" "ERROR: shutdown not enabled|" 'shutdown'
report depth mc 10.1.0.100 11211 depth 50000

say "values over many segments, and back"
report values mc 10.1.0.100 11211 values 20 1000000
report values6 mc fd00:1::100 11211 values 5 1000000
report small mc 10.1.0.100 11211 values 3000 1500

say "the same random requests to a stock memcached"
command -v memcached >/dev/null || fail "memcached is not installed; it is one of the packages of ./dev"
memcached -u root -s "$T_DIR/memcached" -t 1 -m 256 -o no_lru_maintainer,no_lru_crawler \
	>"$T_DIR/memcached.log" 2>&1 </dev/null &
T_PIDS+=($!)
t_wait 5 "memcached" test -S "$T_DIR/memcached"
expect_answer "emptied" "OK|" flush_all
export DIFFER_SEED=${DIFFER_SEED:-3} DIFFER_REQUESTS=${DIFFER_REQUESTS:-6000}
expect "all answers are equal" t_in client "$T_PYTHON" -B "$T_TOOLS/mc_differ.py" "$T_DIR/memcached" 10.1.0.100:11211

say "many clients"
report threads mc 10.1.0.100 11211 threads 20 100
expect "no client saw another's value" test "$(t_report threads 'a["right"]')" = True
t_in client $T_PYTHON "$T_TOOLS/mc_tcp.py" 10.1.0.100 11211 hold 1000 4 >"$T_DIR/hold.out" 2>&1 &
held=$!
T_PIDS+=($held)
t_wait 20 "1,000 connections" grep -q open "$T_DIR/hold.out"
expect "they are counted" test "$(service hot4 "['conns']")" -ge 1000
wait $held || fail "hold: $(cat "$T_DIR/hold.out")"
tail -n 1 "$T_DIR/hold.out" >"$T_DIR/hold.json"
expect "all were answered, and again after a pause" test "$(t_report hold '(a["first"], a["second"])')" = "(1000, 1000)"
t_wait 10 "them to be gone" has_conns hot4 0

say "one packet in fifty is lost, each way"
t_in client nft -f - <<-EOF2
	table netdev loss {
		chain in {
			type filter hook ingress device eth0 priority 0
			ip saddr 10.1.0.100 numgen random mod 50 == 0 drop
		}
	}
	table ip loss {
		chain out {
			type filter hook output priority 0
			ip daddr 10.1.0.100 numgen random mod 50 == 0 drop
		}
	}
EOF2
report lossy mc 10.1.0.100 11211 values 20 300000
report lossy_depth mc 10.1.0.100 11211 depth 5000
t_in client nft flush ruleset

say "who may not ask, and services that go"
denied=$(counter acl)
expect "the one that is allowed" test "$(mc 10.1.0.101 11211 ask 'mn' | tr -d '\r')" = MN
expect_fail "another one does not get through" 1 t_in client $T_PYTHON - <<-EOF2
	import socket, sys
	try:
	    socket.create_connection(("10.1.0.101", 11211), timeout=0.5, source_address=("10.1.0.11", 0))
	except TimeoutError:
	    sys.exit(1)
EOF2
expect "is counted" test "$(counter acl)" -gt "$denied"
t_in client $T_PYTHON "$T_TOOLS/mc_tcp.py" 10.1.0.100 11211 hold 10 6 >"$T_DIR/stay.out" 2>&1 &
stay=$!
t_in client $T_PYTHON "$T_TOOLS/mc_tcp.py" 10.1.0.101 11211 hold 10 6 >"$T_DIR/go.out" 2>&1 &
go=$!
T_PIDS+=($stay $go)
t_wait 10 "connections" grep -q open "$T_DIR/stay.out"
t_wait 10 "connections" grep -q open "$T_DIR/go.out"
grep -v '^  few:' "$CONFIG" >"$T_DIR/without.yaml"
expect "a service goes" t_cli config apply "$T_DIR/without.yaml"
expect_fail "its connections end at once" 1 wait $go
expect "they are told" grep -q ConnectionResetError "$T_DIR/go.out"
t_stop controld KILL
expect "the others stay, without the control plane too" wait $stay
t_controld "$T_DIR/without.yaml"
t_wait 30 "the daemon to converge" t_in_sync
expect_answer "and new ones come" "MN|" mn
