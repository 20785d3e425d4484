#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Echo, discard and chargen over our TCP for the kernel's: tens of megabytes both ways with every byte compared, half-closes, a client that does
# not read, and packets lost each way; over AF_PACKET on a veth pair, where checksums are made in software, and over a TAP, whose driver writes
# checksums and cuts frames into segments.
. "$(dirname "$0")/story.sh"
ip netns add "$T_ID-client"
t_in client ip link set lo up
t_in client sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0

app() { t_in client timeout 300 "$T_PYTHON" "$T_TOOLS/tcp_apps.py" "$@"; }
counted() { awk -v name="$1" '$1 == name {print $2}' "$T_DIR/$RUN.log"; }
uses() { # buffers in use now
	local before
	before=$(grep -c ^uses "$T_DIR/$RUN.log" || true)
	kill -USR1 "$(t_pid "$RUN")"
	t_wait 5 "an answer" eval "[ \$(grep -c ^uses '$T_DIR/$RUN.log') -gt $before ]"
	grep ^uses "$T_DIR/$RUN.log" | tail -1 | awk '{print $2}'
}

serve() { # serve NAME INTERFACE DEVICE MTU [cut] : the services, and the way to them by that interface
	RUN=$1
	t_spawn "$RUN" client "$T_BUILD/tests/system/tcpappsd" "$3" 8192 262144 1048576 ${5:+"$5"}
	t_wait 30 "$RUN" grep -q ^ready "$T_DIR/$RUN.log" || { cat "$T_DIR/$RUN.log"; fail "$RUN does not start"; }
	grep ^ready "$T_DIR/$RUN.log"
	local mac
	mac=$(awk '/^ready/ {print $2}' "$T_DIR/$RUN.log")
	t_in client ip link set "$2" mtu "$4" up
	t_in client ip addr add 10.9.0.1/24 dev "$2"
	t_in client ip addr add fd00:9::1/64 dev "$2" nodad
	t_in client ip neigh replace 10.9.0.2 lladdr "$mac" dev "$2"
	t_in client ip neigh replace fd00:9::2 lladdr "$mac" dev "$2"
}

lose() { # one packet in fifty each way
	t_in client nft -f - <<-EOF2
		table inet loss {
			chain in {
				type filter hook input priority 0
				meta l4proto tcp ip saddr 10.9.0.2 numgen random mod 50 == 0 drop
				meta l4proto tcp ip6 saddr fd00:9::2 numgen random mod 50 == 0 drop
			}
			chain out {
				type filter hook output priority 0
				ip daddr 10.9.0.2 numgen random mod 50 == 0 drop
				ip6 daddr fd00:9::2 numgen random mod 50 == 0 drop
			}
		}
	EOF2
}

all() {
	expect "echo of 32 MB over IPv4" app 10.9.0.2 echo 32000000 1
	expect "echo of 8 MB on each of four connections over IPv6" app fd00:9::2 echo 8000000 4
	expect "discard of 32 MB" app 10.9.0.2 discard 32000000
	expect "chargen, 32 MB" app fd00:9::2 chargen 32000000 0
	app 10.9.0.2 chargen 4000000 3 >"$T_DIR/unread" 2>&1 &
	local unread=$!
	T_PIDS+=($unread)
	sleep 1.5
	expect "of who does not read, no more than the limit waits" test "$(uses)" -le $((262144 / 1300 + 64))
	expect "others are served meanwhile" app 10.9.0.2 echo 1000000 2
	expect "it comes whole when it is read" wait $unread
	expect "a client that goes in the middle" app 10.9.0.2 leave 1000000
	lose
	expect "echo of 1 MB with losses" app 10.9.0.2 echo 1000000 4
	expect "over IPv6" app fd00:9::2 echo 1000000 2
	expect "discard with losses" app fd00:9::2 discard 2000000
	expect "chargen with losses" app 10.9.0.2 chargen 2000000 0
	t_in client nft flush ruleset
	t_wait 10 "buffers to be given back" eval '[ "$(uses)" = 0 ]'
	kill -TERM "$(t_pid "$RUN")"
	wait "$(t_pid "$RUN")" || { tail -20 "$T_DIR/$RUN.log"; fail "$RUN did not end well"; }
	expect "some was lost, and sent again" test "$(counted retransmits)" -gt 0
	expect "no checksum was wrong" test "$(counted bad_checksum)" = 0
	expect "no buffer is lost" grep -q "^lost 0 buffers" "$T_DIR/$RUN.log"
}

say "AF_PACKET: checksums in software"
t_in client ip link add eth0 type veth peer name dp0
for i in eth0 dp0; do t_plain client $i; done
serve packet eth0 net_af_packet0,iface=dp0 1500
all
expect "nothing was cut" test "$(counted frames_cut)" = 0
t_in client ip link del eth0

say "TAP: the driver writes checksums and cuts frames"
serve tap dtap0 net_tap0,iface=dtap0 1480 cut
expect "it is asked to" grep -q "csums 1 chains 1 tso 40" "$T_DIR/tap.log"
all
expect "frames were cut" test "$(counted frames_cut)" -gt 100
expect "and taken" test "$(counted unsent)" -lt $(($(counted frames_cut) / 10))
