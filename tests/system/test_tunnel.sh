#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# IP in IP and GUE with real clients and servers, VIPs and backends of both families: the servers take the outer
# headers off and answer the clients themselves. An upload learns by ICMP that its packets do not fit.
. "$(dirname "$0")/story.sh"
N=${N:-60}
CONFIG=$T_TOOLS/tunnel.yaml
story_begin

for n in 1 2 3; do
	for vip in 91 92 93 94; do
		t_in "web$n" ip addr add "10.1.0.$vip/32" dev lo
		t_in "web$n" ip addr add "fd00:1::$vip/128" dev lo nodad
	done
	t_spawn "tunnel$n" "web$n" $T_PYTHON "$T_TOOLS/tunnel_end.py" 6080
	t_wait 10 "the tunnel's end in web$n" grep -q ready "$T_DIR/tunnel$n.log"
done
head -c 300000 /dev/urandom >"$T_DIR/upload"

ask() { # ask SERVICE VIP : requests, and an upload whose packets do not fit at first
	local host=$2
	t_load "$1" "$host" 8080 --requests "$N"
	expect_all "$1"
	expect "all three servers" test "$(t_report "$1" 'len(a["backends"])')" = 3
	case $host in *:*) host="[$host]" ;; esac
	expect "an upload to $1" test "$(t_curl -T "$T_DIR/upload" "http://$host:8080/put")" = ok
}

n_messages=0
for outer in 4 6; do
	for inner in 4 6; do
		for mode in ipip gue; do
			at=$((outer == 4 ? 91 : 92))
			[ $mode = ipip ] || at=$((at + 2))
			say "$mode, IPv$inner in IPv$outer"
			ask "$mode-${inner}in$outer" "$([ $inner = 4 ] && echo 10.1.0.$at || echo fd00:1::$at)"
			was=$n_messages
			n_messages=$(counter too_big_replies)
			expect "it was told that its packets do not fit: $((n_messages - was)) messages" \
				test "$n_messages" -gt "$was"
		done
	done
done
expect "nothing else was dropped for its size" test "$(counter too_big)$(counter no_headroom)" = 00

say "another port of GUE, changed under a flow"
sed 's/mode: gue,/mode: gue, gue_port: 5555,/' "$CONFIG" >"$T_DIR/port.yaml"
t_cli config apply "$T_DIR/port.yaml" >/dev/null
t_wait 10 "the change to be in force" t_in_sync
expect "told" test "$(t_cli -o json service show gue-4in4 | t_json 'a["items"][0]["gue_port"]')" = 5555
expect_fail "nobody is there" 28 t_curl --max-time 1 http://10.1.0.93:8080/

for n in 1 2 3; do
	pid=$(t_pid "tunnel$n")
	kill -TERM "$pid"
	rc=0
	wait "$pid" || rc=$?
	echo "web$n: $(tail -n 1 "$T_DIR/tunnel$n.log")"
	expect "web$n had nothing to complain of" test $rc = 0
done
