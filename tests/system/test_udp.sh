#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# UDP services in both modes over both families: every datagram comes back unchanged from the backend its
# socket was given first; a flow that is silent for the service's UDP timeout ends. Then, with the same servers:
# checks that are no TCP connection or HTTP request, and a service in panic.
. "$(dirname "$0")/story.sh"
CONFIG=$T_TOOLS/udp.yaml
for n in 1 2 3; do
	: >"$T_DIR/udp$n.log"
done
story_begin
for n in 1 2 3; do
	t_spawn "udp$n" "web$n" $T_PYTHON "$T_TOOLS/udp_echo.py" "web$n" 5353
	t_wait 30 "the UDP server $n" grep -q :14E9 "/proc/$(t_pid "udp$n")/net/udp6"
done

ask() { # ask NAME HOST PORT BYTES
	t_in client $T_PYTHON "$T_TOOLS/udp_ask.py" "$2" "$3" 100 3 "$4" >"$T_DIR/$1.json"
	echo "$1: $(cat "$T_DIR/$1.json")"
	expect "no datagram of $1 was lost" test "$(t_report "$1" 'a["lost"]')" = 0
	expect "none was changed" test "$(t_report "$1" 'a["wrong"]')" = 0
	expect "no socket changed its backend" test "$(t_report "$1" 'a["moved"]')" = 0
}

ask nat4 10.1.0.80 53 32
expect "100 : 100 : 50" test "$(t_report nat4 'a["backends"]')" = "{'web1': 40, 'web2': 40, 'web3': 20}"
ask nat6 fd00:1::80 53 1200
ask dsr4 10.1.0.90 5353 1400
ask dsr6 fd00:1::90 5353 0
# in three fragments, there and back
ask big-nat4 10.1.0.80 53 4000
ask big-dsr6 fd00:1::90 5353 4000
expect "two of each three follow the first" test "$(counter fragments)" -ge 1800

say "idle flows end"
none_of_nat4() { [ "$(t_cli -o json service show nat4 | t_json 'a["items"][0]["conns"]')" = 0 ]; }
expect "after 2 s, as configured" t_wait 30 "flows to end" none_of_nat4
expect "those of the default timeout are there" test \
	"$(t_cli -o json service show nat6 | t_json 'a["items"][0]["conns"]')" = 100

say "every kind of check sees who is up and who is not"
cat >"$T_DIR/script" <<-EOF
	#!/bin/sh
	[ "\$MILLRACE_BACKEND_PORT\$MILLRACE_SERVICE" = 8080exec ] || exit 2
	[ ! -e "$T_DIR/\$1-\$MILLRACE_BACKEND_ADDRESS" ] # down-10.2.0.13
EOF
chmod +x "$T_DIR/script"
sed "s:COMMAND:$T_DIR/script:" "$T_TOOLS/checks.yaml" >"$T_DIR/checks.yaml"
lines() { # lines N : memcached and Redis in webN, as far as checks ask
	: >"$T_DIR/lines$1.log"
	t_spawn "lines$1" "web$1" $T_PYTHON "$T_TOOLS/line_server.py"
	t_wait 30 "the line server $1" grep -q ready "$T_DIR/lines$1.log"
}
for n in 1 2 3; do
	lines "$n"
done
expect_fail "a daemon that was not told to runs no commands" 3 t_cli config apply "$T_DIR/checks.yaml"
expect_says "checks.yaml:13:17: error: checks.exec would run a command"
expect_says "--allow-exec-checks"
t_stop controld
t_controld "$CONFIG" --allow-exec-checks
t_cli config apply "$T_DIR/checks.yaml" >/dev/null
each() { # each STATE : what all kinds of checks see of web3
	local kind
	for kind in memcached redis udp icmp exec; do
		t_wait 30 "$kind to see web3 $1" t_is_state "$kind/web3" "$1"
	done
	echo "ok: all see web3 $1"
}
answers() { # answers NAME : which servers answer requests to the first service
	t_wait 30 "the change to be in force" t_in_sync
	t_load "$1" 10.1.0.80 8080 --requests 30
	expect_all "$1"
	t_report "$1" '" ".join(sorted(a["backends"]))' >"$T_DIR/answers"
}
t_healthy memcached 3
each up
t_stop lines3
t_stop udp3
t_in web3 sysctl -qw net.ipv4.icmp_echo_ignore_all=1
: >"$T_DIR/down-10.2.0.13"
each down
t_cli health show
expect "the exec check says why" test \
	"$(t_cli -o json health show exec | t_json 'a["items"][1]["result"]')" = "exit status 1"
answers some
expect "its web server gets nothing" test "$(cat "$T_DIR/answers")" = "web1 web2"

say "a service in panic uses all"
panics() { [ "$(t_cli -o json service show memcached | t_json 'a["items"][0]["panic_since"] is not None')" = "$1" ]; }
expect "two of three are enough" panics False
t_stop lines2
t_wait 30 "the panic to begin" panics True
answers panic
expect "all web servers get requests" test "$(cat "$T_DIR/answers")" = "web1 web2 web3"
expect "the log says it" grep -q "memcached panics: 2 of 3 backends are down" "$T_DIR/controld.log"
expect "by health one is up" test "$(t_cli -o json service show memcached | t_json 'a["items"][0]["backends_up"]')" = 1
t_cli service show memcached | grep -i panic
lines 2
t_wait 30 "the panic to end" panics False
answers after
expect "web3 gets nothing again" test "$(cat "$T_DIR/answers")" = "web1 web2"
lines 3
t_spawn udp3 web3 $T_PYTHON "$T_TOOLS/udp_echo.py" web3 5353
t_in web3 sysctl -qw net.ipv4.icmp_echo_ignore_all=0
rm "$T_DIR/down-10.2.0.13"
each up
