#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# IP in IP and GUE with real clients and servers, VIPs and backends of both families: the servers take the outer
# headers off and answer the clients themselves. An upload learns by ICMP that its packets do not fit the port. At the
# end a router on the way to the backend has less room than that, and tells it to the balancer alone.
. "$(dirname "$0")/story.sh"
N=${N:-60}
T_NS="$T_NS hop"
CONFIG=$T_TOOLS/tunnel.yaml
story_begin

for n in 1 2 3; do
	for vip in 91 92 93 94; do
		t_in "web$n" ip addr add "10.1.0.$vip/32" dev lo
		t_in "web$n" ip addr add "fd00:1::$vip/128" dev lo nodad
	done
	t_spawn "tunnel$n" "web$n" $T_PYTHON "$T_TOOLS/tunnel_end.py" 6080
	t_wait 10 "the tunnel's end in web$n" grep -q ready "$T_DIR/tunnel$n.log"
	t_spawn "udp$n" "web$n" $T_PYTHON "$T_TOOLS/udp_echo.py" "web$n" 5353
	t_wait 30 "the UDP server $n" grep -q :14E9 "/proc/$(t_pid "udp$n")/net/udp6"
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

say "datagrams"
for to in "ipip-4in4 10.1.0.91" "ipip-6in6 fd00:1::92" "gue-4in6 10.1.0.94" "gue-6in4 fd00:1::93"; do
	read -r name vip <<<"$to"
	t_in client $T_PYTHON "$T_TOOLS/udp_ask.py" "$vip" 5353 12 3 900 >"$T_DIR/udp.json"
	echo "$name: $(cat "$T_DIR/udp.json")"
	expect "$name: none lost, changed or moved" test "$(t_report udp 'a["lost"] + a["wrong"] + a["moved"]')" = 0
	expect "all three servers" test "$(t_report udp 'len(a["backends"])')" = 3
done

say "another port of GUE, changed under a flow"
sed 's/mode: gue,/mode: gue, gue_port: 5555,/' "$CONFIG" >"$T_DIR/port.yaml"
t_cli config apply "$T_DIR/port.yaml" >/dev/null
t_wait 10 "the change to be in force" t_in_sync
expect "told" test "$(t_cli -o json service show gue-4in4 | t_json 'a["items"][0]["gue_port"]')" = 5555
expect_fail "nobody is there" 28 t_curl --max-time 1 http://10.1.0.93:8080/

say "a router on the way, with a link of 1,400 bytes behind it"
t_in hop sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
t_link hop eth0 fab hop
t_in fab ip link set hop master br0
t_link hop eth1 web1 eth1
t_in hop ip link set eth1 mtu 1400
t_in hop ip addr add 10.2.0.20/24 dev eth0
t_in hop ip addr add fd00:2::20/64 dev eth0 nodad
t_in hop ip addr add 10.3.0.1/24 dev eth1
t_in hop ip addr add fd00:3::1/64 dev eth1 nodad
t_in web1 ip addr add 10.3.0.11/24 dev eth1
t_in web1 ip addr add fd00:3::11/64 dev eth1 nodad
t_cli config apply "$T_TOOLS/tunnel_far.yaml" >/dev/null
head -c 1000000 /dev/urandom >"$T_DIR/upload"

path_mtu() { t_cli -o json "$1" show "$2" | t_json 'a["items"][0]["path_mtu"]'; } # path_mtu service|backend NAME

upload() { # upload VIP [SECONDS]
	local host=$1
	case $host in *:*) host="[$host]" ;; esac
	t_curl --max-time "${2:-20}" -T "$T_DIR/upload" "http://$host:8080/put"
}

for to in "ipip-4in4 10.1.0.91 10.2.0.1" "gue-6in6 fd00:1::94 fd00:2::1"; do
	read -r name vip ours <<<"$to"
	t_healthy "$name" 1 >/dev/null
	expect "$name: what fits the port may go" test "$(path_mtu service "$name")" = 1500
	t_in hop ip route add blackhole "$ours"
	expect_fail "an upload stands still while the router is not heard" 28 upload "$vip" 2
	was=$(counter icmp_errors)
	t_in hop ip route del blackhole "$ours"
	expect "and goes through when it is" test "$(upload "$vip")" = ok
	expect "the client was told of the first packet it lost" test "$(counter icmp_errors)" -gt "$was"
	expect "and what fits is known now" test "$(path_mtu service "$name")" = 1400
done
for to in "gue-4in4 10.1.0.93" "ipip-6in6 fd00:1::92"; do
	read -r name vip <<<"$to"
	t_healthy "$name" 1 >/dev/null
	expect "$name knows it, too" test "$(path_mtu service "$name")" = 1400
	expect "an upload to it" test "$(upload "$vip")" = ok
done
expect "of the backends" test "$(path_mtu backend four/web1) $(path_mtu backend six/web1)" = "1400 1400"
expect "two messages said it" test "$(counter pmtu_learned)" = 2
expect "none was refused" test "$(counter pmtu_refused)" = 0
expect "the log tells who" grep -q "backend .* at 10.3.0.11: path MTU 1400, was 1500: ICMP from 10.2.0.20" \
	"$T_DIR/millraced.log"

for n in 1 2 3; do
	pid=$(t_pid "tunnel$n")
	kill -TERM "$pid"
	rc=0
	wait "$pid" || rc=$?
	echo "web$n: $(tail -n 1 "$T_DIR/tunnel$n.log")"
	expect "web$n had nothing to complain of" test $rc = 0
done
