#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What operators see of clients of caches over TCP, and do with them: lists, counts, ends, numbers of TCP, explanations, a trace,
# limits of a service.
. "$(dirname "$0")/story.sh"
CONFIG=$T_TOOLS/tcp_cli.yaml
story_begin
t_in client ip addr add 10.1.0.11/24 dev eth0

HOLDS=()
hold() { # hold NAME HOST KIND N : until release NAME
	t_in client $T_PYTHON "$T_TOOLS/tcp_hold.py" "$2" 11211 "$3" "$4" "$T_DIR/$1.end" >"$T_DIR/$1.out" 2>&1 &
	HOLDS+=($!)
	T_PIDS+=($!)
	t_wait 10 "connections of $1" grep -q open "$T_DIR/$1.out" || fail "$1: $(cat "$T_DIR/$1.out")"
}
release() { # release NAME… : then the last line of NAME.out is what became of its connections
	local name
	for name; do touch "$T_DIR/$name.end"; done
	wait "${HOLDS[@]}" || fail "$*: $(cat "$T_DIR/$1.out")"
	HOLDS=()
}
became() { tail -n 1 "$T_DIR/$1.out"; }
conns() { t_cli -o json conn show "${@:2}" | t_json "$1"; } # conns EXPRESSION FILTER… : over a
count() { t_cli -o json conn count "$@" | t_json '[(i["key"], i["count"]) for i in a["items"]]'; }
number() { t_cli -o json tcp show | t_json "{i['name']: i for i in a['$1']}['$2']['value']"; } # number usage|counters NAME
verdict() { t_cli -o json explain tcp "$@" | t_json '" ".join(str(a["items"][0][k]) for k in ("verdict", "drop"))'; }

say "who is there"
hold idle 10.1.0.100 idle 5
hold six fd00:1::100 idle 2
hold part 10.1.0.100 part 1
hold slow 10.1.0.100 read 1
t_in client $T_PYTHON "$T_TOOLS/hold.py" 10.1.0.80 80 1 "$T_DIR/web.end" >"$T_DIR/web.out" &
HOLDS+=($!)
T_PIDS+=($!)
t_wait 5 "a connection to the web" grep -q 1 "$T_DIR/web.out"
expect "counts: services" test "$(count)" = "[('talk', 7), ('talk6', 2), ('shop', 1)]"
expect "counts: states" test "$(count --by state)" = "[('established', 10)]"
expect "counts: backends, of which a cache has none" test "$(count --by backend | sed 's,web/web[123],web/webN,')" = "[(None, 9), ('web/webN', 1)]"
expect "counts: clients" test "$(count --by client)" = "[('10.1.0.10', 8), ('fd00:1::10', 2)]"
expect "all are in one list" test "$(conns 'len(a["items"])')" = 10
expect "or those to caches alone" test "$(conns 'sorted({i["service"] for i in a["items"]})' --tcp)" = "['talk', 'talk6']"
expect "a filter is for both" test "$(conns 'len(a["items"])' --client 10.1.0.0/24 --younger-than 5m --state established)" = 8
expect "no backend" test "$(conns '{(i["backend"], i["packets"], i["expires_ms"]) for i in a["items"]}' --tcp)" = "{(None, None, None)}"
expect "each has had its request" test "$(conns 'min(i["requests"] for i in a["items"])' --tcp)" = 1
expect "one has sent a part of one" test "$(conns '[i["partial_bytes"] for i in a["items"] if i["partial_bytes"] > 0]' --tcp)" = "[23]"
is_queued() { [ "$(conns '[i["queued_bytes"] > 30000 for i in a["items"]].count(True)' --tcp)" = 1 ]; }
t_wait 5 "answers that are not read" is_queued
expect "as text" t_cli conn show --tcp

say "numbers"
expect "connections" test "$(number usage connections)" = 9
expect "of so many" test "$(t_cli -o json tcp show | t_json 'a["usage"][0]["max"]')" = 4096
expect "buffers are in use" test "$(number usage buffers)" -gt 20
expect "counters" test "$(number counters opens_passive)" = 9
expect "by service" test "$(t_cli -o json tcp show talk | t_json '[(i["name"], i["conns"], i["conns_total"], i["requests"] > 7) for i in a["items"]]')" = "[('talk', 7, 7, True)]"
t_cli tcp show
expect "what is 0 is not shown" test "$(t_cli tcp show | grep -c paws)" = 0
expect "unless it is asked for" test "$(t_cli tcp show --all | grep -c paws)" = 1
expect_fail "a service that is none" 1 t_cli tcp show shop
expect_says "no cache over tcp"

say "explanations and a trace"
expect "a new client" test "$(verdict 10.1.0.12:1000 10.1.0.100:11211)" = "served None"
expect "one that may not" test "$(verdict 10.1.0.11:1000 10.1.0.100:11211)" = "dropped acl"
expect "a segment of no connection" test "$(verdict 10.1.0.12:1000 10.1.0.100:11211 --segment)" = "reset None"
port=$(conns 'a["items"][0]["client_port"]' --tcp --service talk)
expect "one of a connection" test "$(verdict "10.1.0.10:$port" 10.1.0.100:11211 --segment)" = "served None"
t_cli explain tcp "10.1.0.10:$port" 10.1.0.100:11211 --segment
t_cli trace --filter 'tcp dst port 11211' --count 3 --seconds 10 >"$T_DIR/trace" &
tracing=$!
T_PIDS+=($tracing)
ask() { t_in client $T_PYTHON -c 'import socket, sys
s = socket.create_connection((sys.argv[1], 11211), timeout=2); s.sendall(b"mn\r\n"); sys.exit(s.recv(9) != b"MN\r\n")' "$1"; }
asked() { ask 10.1.0.100; ! kill -0 $tracing 2>/dev/null; }
t_wait 10 "three segments" asked
cat "$T_DIR/trace"
expect "segments are taken" test "$(grep -c 'service talk; taken by its cache' "$T_DIR/trace")" = 3

say "an end"
expect_fail "which?" 2 t_cli conn kill
killed() { t_cli -o json conn kill "$@" | t_json 'a["items"][0]["killed"]'; }
expect "those of IPv6" test "$(killed --client fd00:1::/64)" = 2
expect "the others" test "$(killed --service talk --state established)" = 7
expect "none is left" test "$(number usage connections)" = 0
expect "the flow to the web is" test "$(count)" = "[('shop', 1)]"
touch "$T_DIR/web.end"
release idle six part slow
expect "they were told" test "$(became idle), $(became six), $(became part), $(became slow)" = "0 5 0, 0 2 0, 0 1 0, 0 1 0"

say "limits of a service"
hold few 10.1.0.101 idle 3
expect "no more than three" test "$(verdict 10.1.0.10:9 10.1.0.101:11211)" = "dropped service_limit"
before=$(counter service_limit)
expect_fail "a fourth" 1 ask 10.1.0.101
expect "is counted" test "$(counter service_limit)" -gt "$before"
expect "they go" test "$(killed --service few)" = 3
expect "there is room" ask 10.1.0.101
release few
hold short 10.1.0.102 idle 1
is_none() { [ "$(conns 'len(a["items"])' --service short)" = 0 ]; }
t_wait 5 "the idle one to be reset" is_none
release short
expect "it was told" test "$(became short)" = "0 1 0"
sed 's/established: 1s/established: 1h/; s/max_connections: 3/max_connections: 30/; s/, deny: .10.1.0.11.//' "$CONFIG" >"$T_DIR/other.yaml"
expect_fail "a difference" 5 t_cli config diff "$T_DIR/other.yaml"
expect_says "connections of clients that it keeps out end"
expect "can be applied" t_cli config apply "$T_DIR/other.yaml"
hold long 10.1.0.102 idle 1
sleep 2
expect "idle for longer" test "$(conns '[i["expires_ms"] > 3500000 for i in a["items"]]' --service short)" = "[True]"
expect "who was denied may ask" test "$(verdict 10.1.0.11:1000 10.1.0.100:11211)" = "served None"
release long
expect "it is whole" test "$(became long)" = "1 0 0"
