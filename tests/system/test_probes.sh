#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Checks that go by the path of a service: a server that is healthy, but has no VIP or takes nothing out of its
# tunnel, is told from one that serves. With direct return, IP in IP and GUE, of both families, TCP, HTTP and UDP.
. "$(dirname "$0")/story.sh"
N=${N:-60}
SERVICES="l2 ipip gue six udp"

as_config() { # as_config direct|service : the file with checks of that kind
	sed "s/VIA/$1/" "$T_TOOLS/probes.yaml" >"$T_DIR/$1.yaml"
	echo "$T_DIR/$1.yaml"
}

tunnel() { t_spawn "tunnel$1" "web$1" $T_PYTHON "$T_TOOLS/tunnel_end.py" 6080; }

all_up() {
	local s
	for s in $SERVICES; do
		t_healthy "$s" 3 30 >/dev/null || return 1
	done
	t_wait 5 "the last change to be in force" t_in_sync
}

has_sent() { [ "$(counter probes_sent)" -gt "$1" ]; }

health() { # health POOL/NAME EXPRESSION : of its row b in health.show
	t_cli -o json health show "${1%/*}" | t_json "[$2 for b in a['items'] if b['name'] == sys.argv[1]][0]" "${1#*/}"
}

t_network
for n in 1 2 3; do
	for vip in 91 93; do
		t_in "web$n" ip addr add "10.1.0.$vip/32" dev lo
		t_in "web$n" ip addr add "fd00:1::$vip/128" dev lo nodad
	done
	t_nginx "$n"
	t_spawn "echo$n" "web$n" $T_PYTHON "$T_TOOLS/udp_echo.py" "web$n" 9000
	tunnel "$n"
	t_wait 10 "the tunnel's end in web$n" grep -q ready "$T_DIR/tunnel$n.log"
done
t_dataplane
t_controld "$(as_config direct)"
all_up

say "straight to the backends: a server whose tunnel ends nowhere is up, and clients hang"
expect "nothing went by a service's path" test "$(counter probes_sent)" = 0
t_stop tunnel2
sleep 1
for s in $SERVICES; do
	expect "web2 of $s is up" t_is_state "$s/web2" up
done
t_load broken 10.1.0.91 8080 --requests 6 --concurrency 1
expect "and requests fail" test "$(t_report broken 'a["failed"]')" -gt 0

say "by the path of the service"
expect_fail "the checks change" 5 t_cli config diff "$(as_config service)"
expect_says "via"
t_cli config apply "$T_DIR/service.yaml" >/dev/null
t_wait 10 "web2 of ipip to be taken out" t_is_state ipip/web2 down
t_wait 10 "web2 of gue to be taken out" t_is_state gue/web2 down
t_wait 10 "web2 of udp to be taken out" t_is_state udp/web2 down
for b in l2/web2 six/web2 ipip/web1 ipip/web3 gue/web1 udp/web3; do
	expect "$b is up" t_is_state "$b" up
done
expect "told which way" test "$(health ipip/web2 'b["via"]')" = ipip
expect "from a port of its own" test "$(health ipip/web2 'b["probe_port"]')" -ge 61000
t_wait 5 "the change to be in force" t_in_sync
t_load two 10.1.0.91 8080 --requests "$N"
expect_all two

say "no VIP on the loopback interface"
t_in web3 ip addr del 10.1.0.90/32 dev lo
t_in web3 ip addr del fd00:1::90/128 dev lo
t_wait 10 "web3 of l2 to be taken out" t_is_state l2/web3 down
t_wait 10 "web3 of six to be taken out" t_is_state six/web3 down
expect "its tunnels are fine" t_is_state ipip/web3 up
t_load direct 10.1.0.90 8080 --requests "$N"
expect_all direct

say "put right"
tunnel 2
t_in web3 ip addr add 10.1.0.90/32 dev lo
t_in web3 ip addr add fd00:1::90/128 dev lo nodad
all_up
for s in l2:10.1.0.90 ipip:10.1.0.91 gue:fd00:1::93 six:fd00:1::90; do
	t_load "${s%%:*}" "${s#*:}" 8080 --requests "$N"
	expect_all "${s%%:*}"
	expect "all three servers" test "$(t_report "${s%%:*}" 'len(a["backends"])')" = 3
done

say "probes are no clients"
conns=$(t_cli -o json service show | t_json 'sum(s["conns_total"] for s in a["items"])')
sent=$(counter probes_sent)
t_wait 10 "fifty more" has_sent $((sent + 50))
expect "no connection of a service" \
	test "$(t_cli -o json service show | t_json 'sum(s["conns_total"] for s in a["items"])')" = "$conns"
expect "none was for nobody" test "$(counter probe_unknown)" = 0
expect "none was dropped as a stranger's" test "$(counter bad_ip_source)$(counter backend_source)" = 00
expect_fail "the machine itself is no client of such a VIP" 28 t_in mr curl -s --max-time 1 http://10.1.0.91:8080/
expect "and is told apart" test "$(counter probe_unknown)" -gt 0

say "the dataplane starts again"
t_stop millraced
t_dataplane
t_wait 20 "the daemon to bring it up to date" t_in_sync
sleep 2
all_up
expect "nobody was taken out meanwhile" test "$(grep -c ' is down' "$T_DIR/controld.log")" = 5

say "back to the old way: nothing of it is left on the kernel side"
expect "routes" test "$(t_in mr ip route show | grep -c '^10.1.0.9')" = 2
t_cli config apply "$T_DIR/direct.yaml" >/dev/null
t_wait 5 "the change to be in force" t_in_sync
expect "no routes" test "$(t_in mr ip route show | grep -c '^10.1.0.9')" = 0
expect "no routes, IPv6" test "$(t_in mr ip -6 route show | grep -c '^fd00:1::9')" = 0
expect "no neighbours" test -z "$(t_in mr ip neigh show nud permanent | grep -v '^ff\|^224')"
all_up
