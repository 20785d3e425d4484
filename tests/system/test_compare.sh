#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The client and the backends of perf/compare/balancer.sh against each other, and what its tables and documents are made of. Where something is
# wrong it is counted or there is no figure. No time is judged here, and no other program is needed.
. "$(dirname "$0")/story.sh"
T_NS="box"
tools=$T_BUILD/perf/compare
compare=$T_TOOLS/../../perf/compare
[ -x "$tools/lb_load" ] || skip "lb_load is not built (-Dbench=false)"
ip netns add "$T_ID-box"
t_in box ip link set lo up

load() { # load OPTION… : its status; the line in T_DIR/line, what it says in T_DIR/said
	t_in box timeout -k 5 20 "$tools/lb_load" --port 8080 --seconds 0.2 --json "$@" >"$T_DIR/line" 2>"$T_DIR/said"
}

line() { t_json "$@" <"$T_DIR/line"; } # an expression over it

errors='sum(a[e] for e in ("refused", "reset", "closed", "timeout", "wrong", "other", "unsent"))'

measures() { # measures WHAT OPTION… : a figure without an error
	local what=$1
	shift
	load "$@" || fail "$what: $(cat "$T_DIR/said")"
	echo "ok: $what: $(line '"%d requests, %d connections" % (a["requests"], a["conns"])')"
	expect "$what: nothing went wrong" test "$(line "$errors")" = 0
}

refuses() { # refuses WHAT TEXT OPTION… : no figure, and the reason
	local what=$1 text=$2
	shift 2
	if load "$@"; then fail "$what: there is a figure: $(cat "$T_DIR/line")"; fi
	[ ! -s "$T_DIR/line" ] || fail "$what: it ends with an error and has a figure"
	grep -qF -- "$text" "$T_DIR/said" || fail "$what: it does not say '$text' but: $(cat "$T_DIR/said")"
	echo "ok: $what"
}

server_up() { # server_up PORT
	: >"$T_DIR/server$1.log"
	t_spawn "server$1" box "$tools/lb_server" --host :: --port "$1"
	t_wait 5 "lb_server" grep -q ready "$T_DIR/server$1.log"
}

say "lb_load and lb_server"
server_up 8080
measures "kept connections" --conns 50
expect "fifty were opened, and none again" test "$(line 'a["conns"]')" = 50
measures "over IPv6, large requests and the smallest answers" --host ::1 --request 4096 --answer 16
measures "answers longer than any buffer" --conns 3 --answer 5000001
expect "all of their bytes came" test "$(line 'a["mb_per_second"] > 0 and a["requests"] >= 3')" = True
measures "a connection for each request, from addresses in turn" --conns 20 --close --from 127.0.0.10 --addresses 3
expect "as many connections as requests" test "$(line 'a["conns"] - a["requests"]')" = 0
measures "requests at even intervals" --rate 500 --patience-ms 10000
expect "all that were due were sent" test "$(line 'a["requests"]')" = 100
measures "and connections" --rate 500 --close --patience-ms 10000
expect "each its own" test "$(line '(a["requests"], a["conns"])')" = "(100, 100)"

say "a server that goes away, and comes back"
t_in box "$tools/lb_load" --port 8080 --seconds 1.5 --conns 5 --json >"$T_DIR/line" 2>"$T_DIR/said" &
client=$!
T_PIDS+=("$client")
sleep 0.3
t_stop server8080
expect "the server has seen requests, and no wrong one" grep -q '"wrong": 0' "$T_DIR/server8080.log"
server_up 8080
wait "$client" || fail "$(cat "$T_DIR/said")"
expect "broken connections are counted, and opened again" \
	test "$(line 'a["closed"] + a["reset"] >= 5 and a["refused"] >= 0 and a["conns"] >= 10')" = True

say "bytes that change on the way"
cat >"$T_DIR/relay.py" <<-'EOT'
	import socket, sys, threading
	port, way, at = (int(a) for a in sys.argv[1:]) # changes the byte `at` of what goes to the server (0) or to the client (1), or ends before it (2)
	def copy(a, b, changes, ends):
	    n = 0
	    while data := bytearray(a.recv(65536)):
	        if ends and n + len(data) > at:
	            b.sendall(data[:at - n])
	            break
	        if changes and n <= at < n + len(data):
	            data[at - n] ^= 1
	        n += len(data)
	        b.sendall(data)
	    b.shutdown(socket.SHUT_WR)
	s = socket.create_server(("127.0.0.1", port))
	while True:
	    client, _ = s.accept()
	    server = socket.create_connection(("127.0.0.1", 8080))
	    for i, (a, b) in enumerate(((client, server), (server, client))):
	        threading.Thread(target=copy, args=(a, b, i == way, (i, way) == (1, 2)), daemon=True).start()
EOT
t_spawn relay1 box $T_PYTHON "$T_DIR/relay.py" 8081 1 1100
t_spawn relay0 box $T_PYTHON "$T_DIR/relay.py" 8082 0 70
t_spawn relay2 box $T_PYTHON "$T_DIR/relay.py" 8083 1 1000000
t_spawn relay3 box $T_PYTHON "$T_DIR/relay.py" 8084 2 1100
t_listens() { t_in box ss -ltnH "sport = :$1" | grep -q .; }
for p in 8081 8082 8083 8084; do t_wait 5 "the relay" t_listens $p; done
measures "through a relay that changes nothing yet" --port 8083 --conns 2
refuses "an answer with one bit changed" "bytes that nobody asked for" --port 8081 --conns 1
load --port 8082 --conns 1 || fail "$(cat "$T_DIR/said")"
expect "a request with one bit changed: the server closes" test "$(line 'a["closed"] + a["reset"] > 0')" = True
expect "and says so" grep -q "^wrong: a request that has changed" "$T_DIR/server8080.log"
load --port 8084 --conns 1 || fail "$(cat "$T_DIR/said")"
expect "an answer that ends too early: counted at once" test "$(line 'a["closed"] > 0 and a["timeout"] == 0')" = True
refuses "nobody listens" "0 of 5 connections are open after 100 ms: 5 refused" --port 8089 --conns 5 --patience-ms 100
refuses "nobody listens, connections one after the other" "no request was answered" --port 8089 --conns 5 --close
rc=0
t_pid server8080 | xargs kill
wait "$(t_pid server8080)" || rc=$?
expect "the server's status tells of it" test $rc = 1

say "tables and documents"
ticks() { printf '%s\n' "$1" "$2" "$3" "cpu0 $4 0 0 $5 0 0 0 0" "cpu1 $6 0 0 $7 0 0 0 0"; } # server, backends, client; busy and idle of two CPUs
ticks "100 50" "0 0" "0m0.000s 0m0.000s" 0 0 0 0 >"$T_DIR/before"
ticks "180 70" "10 10" "0m0.500s 0m0.200s" 90 110 100 100 >"$T_DIR/after"
for n in 3 1 2; do
	for peer in haproxy millrace; do
		scale=1
		[ $peer = haproxy ] || scale=2
		echo "{\"requests\": 1000, \"per_second\": $((n * 100 * scale)), \"p50_us\": 1, \"p99_us\": 2, \"sent_late\": 0, \"reset\": 0}" \
			| $T_PYTHON -B "$compare/compare.py" sample balancer "$T_DIR/samples" $peer requests $n "$T_DIR/before" "$T_DIR/after" >"$T_DIR/row"
	done
done
printf '%s\n' "haproxy: 1.0" "millrace: 2.0" >"$T_DIR/versions"
printf '%s\n' "rounds: 3" >"$T_DIR/config"
$T_PYTHON -B "$compare/compare.py" table balancer "$T_DIR/versions" <"$T_DIR/samples" >"$T_DIR/table"
cat "$T_DIR/table"
expect "the table has the median, both ends and the ratio" grep -Eq "^millrace +400 .* 200 +600 +2\.00" "$T_DIR/table"
expect "and CPU time by requests" grep -Eq "^haproxy .* 800.000 +200.000 1000.000" "$T_DIR/table"
$T_PYTHON -B "$compare/compare.py" document balancer "$T_DIR/versions" "$T_BUILD" "$T_DIR/config" "0 0 0" <"$T_DIR/samples" >"$T_DIR/doc"
doc() { t_json "$@" <"$T_DIR/doc"; }
expect "the document names itself, its build and its machine" test "$(doc 'a["schema"], a["name"], a["build"]["version"], a["machine"]["load"]')" = \
	"millrace.compare/1 balancer $("$T_BUILD/dataplane/millraced" --version | cut -d ' ' -f 2) 0 0 0"
expect "and has every sample" test "$(doc '[(p["name"], [s["per_second"] for s in p["samples"]]) for p in a["peers"]]')" = \
	"[('haproxy', [300, 100, 200]), ('millrace', [600, 200, 400])]"

say "usage"
for words in "--rounds none" "--seconds 0" "--rate fast" "--test nothing" "--only nobody" "--rounds" "--fast" "--test rate --rate " "--test "; do
	read -ra options <<<"$words"
	[ "${words% }" = "$words" ] || options+=("")
	expect_fail "balancer.sh $words" 2 "$compare/balancer.sh" "$T_BUILD" "${options[@]}"
	expect_says "error: "
done
