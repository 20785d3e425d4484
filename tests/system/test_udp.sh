#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# UDP services in both modes over both families: every datagram comes back unchanged from the backend its
# socket was given first; a flow that is silent for the service's UDP timeout ends.
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

say "idle flows end"
none_of_nat4() { [ "$(t_cli -o json service show nat4 | t_json 'a["items"][0]["conns"]')" = 0 ]; }
expect "after 2 s, as configured" t_wait 30 "flows to end" none_of_nat4
expect "those of the default timeout are there" test \
	"$(t_cli -o json service show nat6 | t_json 'a["items"][0]["conns"]')" = 100
