#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The exception path: what is not ours reaches the kernel and its answers leave by the same port, so that
# probes, a web server or ssh on the box work although the ports belong to the dataplane. And echo.
. "$(dirname "$0")/story.sh"
story_begin

say "echo to own addresses and to virtual ones"
for to in 10.1.0.1 10.1.0.80 10.1.0.90 fd00:1::1 fd00:1::80; do
	expect "ping $to" t_in client ping -q -c 3 -i 0.05 -W 2 "$to"
done
expect "ping with 1,400 bytes" t_in client ping -q -c 2 -i 0.05 -W 2 -s 1400 10.1.0.80
expect "virtual addresses are answered by the dataplane" test "$(counter echo_replies)" -ge 8
expect_fail "no echo from an address that is nobody's" 1 t_in client ping -q -c 1 -W 1 10.1.0.77

say "a server of the box itself, over its port address"
mkdir "$T_DIR/own"
cp "$T_DIR/web1/www/big" "$T_DIR/own/"
t_spawn own mr $T_PYTHON -m http.server --directory "$T_DIR/own" --bind :: 7000
t_wait 30 "the box's own server" t_in mr curl -sf -o /dev/null http://127.0.0.1:7000/
for host in 10.1.0.1 '[fd00:1::1]'; do
	t_curl --max-time 60 -o "$T_DIR/got" "http://$host:7000/big"
	expect "24 MB from $host are whole" cmp "$T_DIR/got" "$T_DIR/own/big"
done
expect "the box reaches out as well" t_in mr curl -sf --max-time 5 -o /dev/null http://10.2.0.11:8080/health
expect "over IPv6 too" t_in mr curl -sf --max-time 5 -o /dev/null 'http://[fd00:2::11]:8080/health'
expect "over interfaces of the dataplane" test -n "$(t_in mr ip -br addr show k-north | grep 10.1.0.1/24)"

say "addresses follow the configuration"
sed 's/10.1.0.1\/24, /10.1.0.1\/24, 10.1.0.2\/24, /' "$CONFIG" >"$T_DIR/more.yaml"
expect "another address" t_cli config apply "$T_DIR/more.yaml"
t_wait 30 "the change to be in force" t_in_sync
expect "ping 10.1.0.2" t_in client ping -q -c 2 -i 0.05 -W 2 10.1.0.2
expect "without it" t_cli config apply "$CONFIG"
t_wait 30 "the change to be in force" t_in_sync
expect_fail "no ping" 1 t_in client ping -q -c 1 -W 1 10.1.0.2

expect "another one instead of the first" t_cli config apply <(sed 's/10.1.0.1\/24, /10.1.0.3\/24, /' "$CONFIG")
t_wait 30 "the change to be in force" t_in_sync
expect "ping 10.1.0.3" t_in client ping -q -c 2 -i 0.05 -W 2 10.1.0.3
expect "the kernel has it, and not the first" test "$(t_in mr ip -4 -br addr show k-north | awk '{print $3}')" = 10.1.0.3/24
t_cli config apply "$CONFIG"
t_wait 30 "the change to be in force" t_in_sync

say "behind a gateway"
t_in client ip addr add 10.99.0.1/32 dev lo
t_in client ip addr add fd00:99::1/128 dev lo
t_in client ip addr add 10.1.0.11/24 dev eth0
t_in client ip addr add fd00:1::11/64 dev eth0 nodad
t_spawn far client $T_PYTHON -m http.server --directory "$T_DIR/own" --bind :: 7001
t_wait 30 "the far server" t_in client curl -sf -o /dev/null http://127.0.0.1:7001/
beyond() { # beyond FAMILY : the kernel beside the dataplane reaches what is not on a connected network
	local url=http://10.99.0.1:7001/
	[ "$1" = 4 ] || url='http://[fd00:99::1]:7001/'
	t_in mr curl -sf --max-time 5 -o /dev/null "$url"
}
sed 's/^\( *north: { \)/\1gateways: [10.1.0.10, "fd00:1::10"], /' "$CONFIG" >"$T_DIR/far.yaml"
expect_fail "not without one" 7 beyond 4
expect "with gateways" t_cli config apply "$T_DIR/far.yaml"
t_wait 30 "the change to be in force" t_in_sync
expect "over IPv4" beyond 4
expect "over IPv6" beyond 6
expect "over the dataplane" test -n "$(t_in mr ip route show default dev k-north metric 4096)"
sed 's/^\( *north: { \)/\1gateways: [10.1.0.11, "fd00:1::11"], /' "$CONFIG" >"$T_DIR/other.yaml"
expect "with others instead" t_cli config apply "$T_DIR/other.yaml"
t_wait 30 "the change to be in force" t_in_sync
expect "over the other one" test "$(t_in mr ip route show default dev k-north metric 4096 | awk '{print $2, $3}')" = "via 10.1.0.11"
expect "over IPv6 too" test "$(t_in mr ip -6 route show default dev k-north metric 4096 | awk '{print $2, $3}')" = "via fd00:1::11"
expect "it works" beyond 4
expect "it works over IPv6" beyond 6
expect "without them again" t_cli config apply "$CONFIG"
t_wait 30 "the change to be in force" t_in_sync
expect "the routes are gone" test -z "$(t_in mr ip route show default)$(t_in mr ip -6 route show default)"

say "a virtual address does not let the kernel's ports through"
expect_fail "port 7000 of a virtual address" 28 t_in client curl -s --max-time 1 http://10.1.0.80:7000/
expect "counted as no_service" test "$(counter no_service)" -gt 0

say "many packets for the kernel do not disturb the balanced ones"
t_load_begin beside 10.1.0.80 80
t_in client ping -q -f -c 20000 10.1.0.1 >"$T_DIR/flood" 2>&1 || true
t_load_end beside
expect_all beside

say "somebody deletes an interface"
t_load_begin without 10.1.0.90 8080
expect "ip link del k-north" t_in mr ip link del k-north
t_wait 30 "the dataplane to notice" grep -q "k-north: cannot be read" "$T_DIR/millraced.log"
expect_fail "no way to the kernel" 28 t_in client curl -s --max-time 1 http://10.1.0.1:7000/
expect "counted" test "$(counter punt_disabled)" -gt 0
t_load_end without
expect_all without
expect "it said so once" test "$(grep -c "cannot be read" "$T_DIR/millraced.log")" = 1
