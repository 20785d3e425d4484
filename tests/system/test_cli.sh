#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Every command of the CLI against running daemons: aligned text, valid JSON of the promised shape, exit
# codes, completion in a real bash.
. "$(dirname "$0")/story.sh"
story_begin
t_curl -o /dev/null http://10.1.0.80/

say "text and JSON"
for command in "status" "service show" "service show shop" "backend show" "backend show web" "backend show web/web1" \
	"health show" "health show web" "conn show" "conn show --service shop --limit 1" "conn count" \
	"conn show --client 10.1.0.0/24 --backend web1 --younger-than 1h --idle-shorter-than 1h" \
	"conn count --by backend" "conn count --by state" "conn count --by client --prefix 24" "conn kill --state udp" "port show" "port show north" "port stats" \
	"neigh show" "worker show" "worker stages" "drops" "drops --all" "config export" "version"; do
	# shellcheck disable=SC2086
	t_cli $command >"$T_DIR/text" || fail "$command"
	expect "$command: text" test -s "$T_DIR/text"
	[ "$command" != version ] || continue
	# shellcheck disable=SC2086
	t_cli -o json $command >"$T_DIR/json" || fail "-o json $command"
	expect "$command: JSON" $T_PYTHON - "$T_DIR/json" <<-EOF
		import json, sys
		a = json.load(open(sys.argv[1]))
		assert a["schema"].startswith("millrace."), a
		assert isinstance(a["generation"], int) and isinstance(a["items"], list) and a["time"].endswith("Z"), a
		assert all(k == k.lower() for i in a["items"] for k in i), a
	EOF
done

say "exit codes"
expect_fail "usage" 2 t_cli backend drian web/web1
expect_says "did you mean"
expect_fail "not found" 1 t_cli service show shp
expect_says "did you mean 'shop'"
expect_fail "no file" 2 t_cli config check "$T_DIR/nosuch.yaml" || true
expect_fail "unreachable" 7 "$T_BUILD/control/cli/millrace" -s "$T_DIR/nosuch.sock" status
expect_says "$T_DIR/nosuch.sock"
expect_fail "waiting takes too long" 9 t_cli --timeout 1s wait healthy shop 9
expect_fail "denied" 8 setpriv --reuid nobody --regid nogroup --clear-groups \
	"$T_BUILD/control/cli/millrace" -s "$T_DIR/control.sock" backend drain web/web1
expect_fail "killing is denied too" 8 setpriv --reuid nobody --regid nogroup --clear-groups \
	"$T_BUILD/control/cli/millrace" -s "$T_DIR/control.sock" conn kill --all

say "connections: two of 10.1.0.10, three of 10.1.0.11, held open"
t_in client ip addr add 10.1.0.11/24 dev eth0
hold() { # hold NAME ADDRESS N : N kept-alive connections to the shop from ADDRESS, each of them answered once
	t_spawn "$1" client $T_PYTHON -u -c '
import socket, sys
held = [socket.create_connection(("10.1.0.80", 80), 5, (sys.argv[1], 0)) for _ in range(int(sys.argv[2]))]
def ask(s):
    s.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    return s.recv(999).startswith(b"HTTP/1.1 200")
print("held" if all(map(ask, held)) else "not answered")
sys.stdin = open(sys.argv[3])  # opened for writing when it is time to ask again
sys.stdin.read()
def again(s):
    s.settimeout(0.5)
    try:
        return ask(s)
    except TimeoutError:
        return False
print("answered again:", sum(map(again, held)))' "$2" "$3" "$T_DIR/$1.go"
	t_wait 10 "connections of $2" grep -q "^held$" "$T_DIR/$1.log"
}
again() { # again NAME : asks on all of its connections once more; how many were answered
	: >"$T_DIR/$1.go"
	t_wait 10 "the second answers of $1" grep -q "^answered again" "$T_DIR/$1.log"
	sed -n 's/^answered again: //p' "$T_DIR/$1.log"
}
conns() { t_cli -o json conn show "$@" | t_json 'len(a["items"])'; } # conns FILTER… : how many it shows
counted() { # counted KEY FILTER… : what conn count says of the key
	t_cli -o json conn count "${@:2}" | t_json 'sum(i["count"] for i in a["items"] if i["key"] == sys.argv[1])' "$1"
}
mkfifo "$T_DIR/one.go" "$T_DIR/two.go"
hold one 10.1.0.10 2
hold two 10.1.0.11 3
live="--service shop --state established"
# shellcheck disable=SC2086
{
	expect "5 are established" test "$(conns $live)" = 5
	expect "3 are of 10.1.0.11" test "$(conns $live --client 10.1.0.11)" = 3
	expect "none is of 10.1.0.12/30" test "$(conns $live --client 10.1.0.12/30)" = 0
	expect "none has lived for an hour" test "$(conns $live --older-than 1h)" = 0
	expect "all have lived for a millisecond" test "$(conns $live --older-than 1ms --idle-shorter-than 1h)" = 5
	expect "by client" test "$(counted 10.1.0.11 $live --by client)" = 3
	expect "by network" test "$(counted 10.1.0.8/30 $live --by client --prefix 30)" = 5
	expect_fail "the limit is said" 0 t_cli conn show $live --limit 4
	expect_says "there are more: only the first 4 are shown"
}
t_cli conn kill --client 10.1.0.11 --service shop --state established >"$T_DIR/out"
expect "3 were killed" grep -qx " *3" "$T_DIR/out"
expect "the log says by whom" grep -q "connections: 3 killed by root: .*10.1.0.11" "$T_DIR/controld.log"
expect "the counter says so" test "$(counter conn_killed)" = 3
# shellcheck disable=SC2086
expect "2 are left" test "$(conns $live)" = 2
expect "they go on" test "$(again one)" = 2
dropped=$(counter no_conn)
expect "the killed ones do not" test "$(again two)" = 0
expect "their packets are dropped: no_conn" test "$(counter no_conn)" -gt "$dropped"
expect "10.1.0.11 may begin new ones" t_curl --interface 10.1.0.11 -o /dev/null http://10.1.0.80/
t_cli conn kill --all >/dev/null
expect "no client has a connection" test "$(t_cli -o json conn count --by client | t_json 'a["items"]')" = "[]"
expect "the service has none" test "$(t_cli -o json service show shop | t_json 'a["items"][0]["conns"]')" = 0

say "explain says beforehand where a flow goes, and afterwards why"
explained() { t_cli -o json explain "$@" | t_json 'a["items"][0][sys.argv[1]]' "$KEY"; }
flow="10.1.0.10:40404 10.1.0.80:80"
# shellcheck disable=SC2086
{
	to=$(KEY=backend explained tcp $flow)
	expect "nothing has come of it" test "$(conns --client 10.1.0.10)" = 0
	expect "the client is served" t_curl --local-port 40404 -o /dev/null http://10.1.0.80/
	expect "by the backend it said" test "$(t_cli -o json conn show --client 10.1.0.10 \
		| t_json '[i["backend"] for i in a["items"] if i["client_port"] == 40404][0]')" = "$to"
	expect "and now it knows the flow" test "$(KEY=conn_backend explained tcp $flow --segment)" = "$to"
	t_cli explain tcp $flow >"$T_DIR/out"
	expect "in text" grep -q "^verdict  *forwarded to web/" "$T_DIR/out"
	t_cli explain tcp 10.1.0.10:1 10.1.0.80:81 >"$T_DIR/out"
	expect "a port without a service" grep -q "^verdict  *dropped: no_service (virtual address" "$T_DIR/out"
	expect "it says so where it goes" grep -q "^destination  *a VIP without a service" "$T_DIR/out"
	t_cli explain tcp 0.0.0.0:1 10.1.0.80:80 >"$T_DIR/out"
	expect "one that is dropped before was going to a VIP" grep -q "^destination  *a VIP$" "$T_DIR/out"
}
expect_fail "datagrams have no segments" 2 t_cli explain udp 10.1.0.10:1 10.1.0.80:80 --segment
expect_says "segment is for tcp"
expect_fail "families must agree" 2 t_cli explain tcp 10.1.0.10:1 '[fd00:1::80]:80'
expect_says "of different families"

say "packets to a file"
millrace=$T_BUILD/control/cli/millrace
has_begun() { [ "$(grep -c "begins to capture" "$T_DIR/millraced.log")" = "$1" ]; }
captures() { # captures N NAME OPTION… : the Nth capture begins in the background, to NAME.pcapng
	"$millrace" -s "$T_DIR/control.sock" capture -w "$T_DIR/$2.pcapng" "${@:3}" >"$T_DIR/$2.log" 2>&1 &
	CAPTURE=$!
	T_PIDS+=($!)
	t_wait 10 "the capture" has_begun "$1"
}
captures 1 web --filter "tcp port 80 and host 10.1.0.10" --port north --count 8
expect_fail "one at a time" 1 t_cli capture -w "$T_DIR/no.pcapng" --count 1
expect_says "another capture is under way"
expect "which leaves no file" test ! -e "$T_DIR/no.pcapng"
expect "the client is served meanwhile" t_curl -o /dev/null http://10.1.0.80/
expect "it ends after 8" wait "$CAPTURE"
expect "and says so" grep -q "^millrace: 8 packets written, 0 missed" "$T_DIR/web.log"
expect "scapy reads them" $T_PYTHON - "$T_DIR/web.pcapng" <<-EOF
	import sys
	from scapy.all import TCP, rdpcap
	p = rdpcap(sys.argv[1])
	assert len(p) == 8 and all(80 in (i[TCP].sport, i[TCP].dport) for i in p), p.summary()
	assert sorted(str(i[TCP].flags) for i in p[:2]) == ["S", "SA"], p.summary()
EOF
captures 2 drops --at drop --filter "tcp dst port 81" --count 1
expect_fail "no service there" 28 t_in client curl -sS --max-time 0.5 -o /dev/null http://10.1.0.80:81/
expect "the dropped packet was caught" wait "$CAPTURE"
expect "with the reason" grep -aq "dropped: no_service" "$T_DIR/drops.pcapng"
captures 3 all
t_curl -o /dev/null http://10.1.0.80/
kill -INT "$CAPTURE"
expect "an interrupt ends it well" wait "$CAPTURE"
expect_fail "no such port" 1 t_cli capture -w "$T_DIR/no.pcapng" --port nosuch
expect_says "there is no port 'nosuch'"
expect_fail "no such filter" 2 t_cli capture -w "$T_DIR/no.pcapng" --filter "tcp prt 80"
expect_says "syntax error"
# only of what begins now: the kernel still sends what the connections above left behind
"$millrace" -s "$T_DIR/control.sock" trace --filter "tcp src portrange 50001-50003" --count 8 >"$T_DIR/trace" &
TRACE=$!
T_PIDS+=($!)
has_traced() { [ "$(grep -c "begins to trace" "$T_DIR/millraced.log")" = "$1" ]; }
t_wait 10 "the trace" has_traced 1
expect_fail "nor beside a trace" 1 t_cli capture -w "$T_DIR/no.pcapng" --count 1
expect_says "another capture is under way"
expect_fail "no service there" 28 t_in client curl -sS --local-port 50001 --max-time 0.2 -o /dev/null http://10.1.0.80:81/
for port in 50002 50003; do t_curl --local-port $port -o /dev/null http://10.1.0.80/; done
expect "it ends after 8" wait "$TRACE"
expect "a drop has its reason" grep -Eq "north tcp 10\.1\.0\.10:[0-9]+ > 10\.1\.0\.80:81 len 74: dropped: no_service$" "$T_DIR/trace"
flow='north tcp 10\.1\.0\.10:[0-9]+ > 10\.1\.0\.80:80 len [0-9]+: service [a-z]+; (handed over; )?'
expect "a flow begins" grep -Eq "$flow""new flow; backend web/web[0-9] [a-z0-9-]+; sent [a-z]+$" "$T_DIR/trace"
expect "and goes on" grep -Eq "$flow""known flow; backend web/web[0-9] [a-z0-9-]+; sent [a-z]+$" "$T_DIR/trace"
"$millrace" -s "$T_DIR/control.sock" -o json trace --filter "tcp src port 50004" --count 1 >"$T_DIR/trace.json" &
TRACE=$!
T_PIDS+=($!)
t_wait 10 "the trace" has_traced 2
t_curl --local-port 50004 -o /dev/null http://10.1.0.80/
expect "it ends after 1" wait "$TRACE"
expect "in JSON" test "$(t_json 'a["flow"], a["verdict"], a["kind"]' <"$T_DIR/trace.json")" = "new forwarded service"
expect_fail "a trace of no port" 1 t_cli trace --port nosuch
expect_says "there is no port 'nosuch'"
expect_fail "packets are not for everybody" 8 setpriv --reuid nobody --regid nogroup --clear-groups \
	"$millrace" -s "$T_DIR/control.sock" capture -w /dev/null --count 1

say "a trace to a full disk"
traced() { t_cli trace --seconds 10 2>&1 >/dev/full; }
expect_fail "is no success" 1 traced
expect_says "standard output: No space left on device"

say "completion"
cat >"$T_DIR/complete" <<-EOF
	PATH=$T_BUILD/control/cli:\$PATH
	source <(millrace completion bash)
	COMP_WORDS=(millrace backend dr)
	COMP_CWORD=2
	COMP_LINE="millrace backend dr"
	COMP_POINT=19
	\$(complete -p millrace | sed 's/.*-F \([^ ]*\).*/\1/') millrace dr backend
	echo "\${COMPREPLY[*]}"
EOF
expect "backend dr → drain" test "$(bash "$T_DIR/complete")" = "drain"
