#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Limits of a service with real clients and servers: connections of a backend and of the service, the rate of one
# source while another is served, packets in a second, lists of who may connect, and a client with a backend's address.
. "$(dirname "$0")/story.sh"

limits() { # limits SERVICE-OPTIONS POOL-OPTIONS [OPTIONS-OF-ECHO]
	sed "s/ LIMITS/ $1/; s/ POOL/ $2/; s/ ECHO/ ${3:-}/" "$T_TOOLS/limits.yaml" >"$T_DIR/limits.yaml"
}

use() { # use SERVICE-OPTIONS POOL-OPTIONS [OPTIONS-OF-ECHO]
	limits "$@"
	t_cli config apply "$T_DIR/limits.yaml" >/dev/null || fail "config apply of $1 $2"
	t_wait 30 "the change to be in force" t_in_sync
}

different() { # different SERVICE-OPTIONS : the file with these is not what runs
	limits "$1" ""
	local rc=0
	t_cli config diff "$T_DIR/limits.yaml" >"$T_DIR/diff" || rc=$?
	cat "$T_DIR/diff"
	[ $rc = 5 ]
}

conns() { t_cli -o json service show shop | t_json 'a["items"][0]["conns"]'; }
has_conns() { [ "$(conns)" = "$1" ]; }
of_backend() { t_cli -o json backend show "web/$1" | t_json 'a["items"][0]["conns"]'; }

hold() { # hold N : N connections that stay open until unhold; says how many came about
	t_in client $T_PYTHON "$T_TOOLS/hold.py" 10.1.0.80 80 "$1" "$T_DIR/unhold" >"$T_DIR/held" &
	T_PIDS+=($!)
	HOLDER=$!
	t_wait 30 "the connections" test -s "$T_DIR/held"
	echo "held: $(cat "$T_DIR/held")"
}

unhold() {
	: >"$T_DIR/unhold"
	wait "$HOLDER"
	rm "$T_DIR/unhold" "$T_DIR/held"
	t_wait 30 "the connections to end" has_conns 0
}

limits "" ""
CONFIG=$T_DIR/limits.yaml
story_begin
t_in client ip addr add 10.1.0.11/24 dev eth0

say "a client with a backend's address is no backend"
t_in client ip addr add 10.2.0.11/32 dev eth0
expect_fail "it is refused" 28 t_curl --interface 10.2.0.11 --max-time 0.5 -o /dev/null http://10.1.0.80/
expect "and counted" test "$(counter backend_source)" -ge 1
t_in client ip addr del 10.2.0.11/32 dev eth0

say "a backend that is full is passed over"
use "" "max_connections: 2,"
hold 5
expect "all came about" test "$(cat "$T_DIR/held")" = 5
use "" "max_connections: 1,"
expect "a lower limit cuts nobody" test "$(conns)" = 5
expect_fail "new ones are refused" 28 t_in client curl -sS --max-time 0.5 -o /dev/null http://10.1.0.80/
expect "and counted" test "$(counter backend_limit)" -ge 1
use "" "max_connections: 4,"
expect "there is room again" t_curl -o /dev/null http://10.1.0.80/
expect "told" test "$(t_cli -o json backend show web/web1 | t_json 'a["items"][0]["max_connections"]')" = 4
unhold

say "a service that is full takes no more"
use "max_connections: 3," ""
hold 5
expect "three came about" test "$(cat "$T_DIR/held")$(conns)" = 33
expect "the others were counted" test "$(counter service_limit)" -ge 2
unhold
expect "ended ones make room" t_curl -o /dev/null http://10.1.0.80/

say "a source over its rate is slowed, another is served"
is_refused() { # its first try, that is
	! t_in client curl -sf --max-time 0.3 -o /dev/null http://10.1.0.80/
}
use "source_rate: 1," ""
t_wait 30 "a connection too early" is_refused
expect "another client is served" t_curl --interface 10.1.0.11 -o /dev/null http://10.1.0.80/
expect "the first is served when it tries again" t_curl -o /dev/null http://10.1.0.80/
expect "refused ones were counted" test "$(counter source_rate)" -ge 1
expect "told" test "$(t_cli -o json service show shop | t_json 'a["items"][0]["source_rate"]')" = 1

say "a service takes so many packets in a second, of known flows too, and no more"
for n in 1 2 3; do
	t_spawn "echo$n" "web$n" $T_PYTHON "$T_TOOLS/udp_echo.py" "web$n" 5353
done
stream() { # stream VIP N PER_SECOND : what udp_stream.py says, in T_DIR/stream
	t_in client $T_PYTHON "$T_TOOLS/udp_stream.py" "$1" 53 "$2" "$3" >"$T_DIR/stream"
	cat "$T_DIR/stream"
}
streamed() { t_json "$1" <"$T_DIR/stream"; }
echoes() { stream "$1" 1 1 && [ "$(streamed 'a["answered"]')" = 1 ]; }
echo_row() { t_cli -o json service show echo | t_json "a['items'][0]['$1']"; }
use "" "" "packets_per_second: 200,"
t_wait 30 "the echo" echoes 10.1.0.80
expect "another service is served" echoes 10.1.0.81
expect "the limit is told" test "$(echo_row packets_per_second)" = 200
was=$(counter service_packets)
stream 10.1.0.80 3000 1000
lost=$(($(counter service_packets) - was))
# a burst of 20, and 200 in each second; the pace of who asks is 1000 at most
expect "not more is answered" test "$(streamed 'a["answered"] <= 20 + 200 * a["seconds"] + 1')" = True
expect "not less than a burst" test "$(streamed 'a["answered"] >= 20')" = True
expect "$lost were dropped for it" test "$lost" -gt 1000
expect "they are the service's drops" test "$(echo_row drops)" -ge "$lost"
stream 10.1.0.81 300 1000
expect "another service has all" test "$(streamed 'a["answered"]')" = 300
expect "nothing of it counted" test "$(($(counter service_packets) - was))" = "$lost"
expect "explain tells what is left" \
	test "$(t_cli -o json explain udp 10.1.0.10:9 10.1.0.80:53 | t_json 'a["items"][0]["packets_left"]')" = 20
limits "" "" "packets_per_second: 100000,"
expect_fail "a file with another rate differs" 5 t_cli config diff "$T_DIR/limits.yaml"
expect_says "packets_per_second: 200 -> 100000"
use "" "" "packets_per_second: 100000,"
stream 10.1.0.80 300 1000
expect "a higher rate counts at once" test "$(streamed 'a["answered"]')" = 300
use "" "" ""
expect "without one there is none" test "$(echo_row packets_per_second)" = None
expect "and all is answered" echoes 10.1.0.80

say "a client that a list keeps out is refused, another is served"
acl_drops() { t_cli -o json service show shop | t_json 'a["items"][0]["acl_drops"]'; }
use "" ""
hold 1
use "allow: [10.1.0.0\/24], deny: [10.1.0.10, 10.1.0.128\/25]," ""
expect "its connection goes on, and those of before end" t_wait 15 "one connection" has_conns 1
expect_fail "it begins no other" 28 t_curl --max-time 0.5 -o /dev/null http://10.1.0.80/
expect "another is served" t_curl --interface 10.1.0.11 -o /dev/null http://10.1.0.80/
expect "the refused ones were counted" test "$(counter acl)" -ge 1
expect "for the service too" test "$(acl_drops)" = "$(counter acl)"
expect "the lists are told" test "$(t_cli -o json service show shop | t_json 'a["items"][0]["deny"]')" = "['10.1.0.10', '10.1.0.128/25']"
expect "a file with another list differs" different "deny: [10.1.0.11],"
unhold
use "deny: [10.1.0.11]," ""
expect "the first is let in" t_curl -o /dev/null http://10.1.0.80/
expect_fail "and the other out" 28 t_curl --interface 10.1.0.11 --max-time 0.5 -o /dev/null http://10.1.0.80/
