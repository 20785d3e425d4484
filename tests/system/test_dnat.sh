#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# DNAT with real clients and servers over both families: the servers see the client itself, and their answers find
# their way by the dataplane. Two workers, one queue: every second answer goes from one to the other.
. "$(dirname "$0")/story.sh"
N=${N:-150}
CONFIG=$T_TOOLS/dnat.yaml
story_begin --workers 2
for n in 1 2 3; do
	# the way back leads by the box, not by the client's second link
	t_in "web$n" ip route replace 10.1.0.0/24 via 10.2.0.1
	t_in "web$n" ip -6 route replace fd00:1::/64 via fd00:2::1
	t_spawn "udp$n" "web$n" $T_PYTHON "$T_TOOLS/udp_echo.py" "web$n" 8080
	t_wait 30 "the UDP server $n" grep -q :1F90 "/proc/$(t_pid "udp$n")/net/udp6"
done
head -c 3000000 /dev/urandom >"$T_DIR/upload"

for to in "tcp4 10.1.0.80 10.1.0.10" "tcp6 fd00:1::80 fd00:1::10"; do
	read -r name vip client <<<"$to"
	url=http://$([[ $vip = *:* ]] && echo "[$vip]" || echo "$vip")
	say "$name"
	t_load "$name" "$vip" 80 --requests "$N"
	expect_all "$name"
	expect "a third each" test "$(t_report "$name" 'min(a["backends"].values())')" -ge $((N / 3 - 2))
	expect "the server sees the client" test "$(t_curl "$url/client")" = "$client"
	expect "an upload of 3 MB" test "$(t_curl -T "$T_DIR/upload" "$url/put")" = ok
	t_download "$name" "$name" "$vip" 80
	t_cli backend drain "$([ "$name" = tcp4 ] && echo four || echo six)/$(t_holder "$name")" >/dev/null
	t_wait 10 "the change to be in force" t_in_sync
	expect "a download of 24 MB, its server drained meanwhile" t_download_end "$name"
done

# the large ones in three fragments, there and back
for to in "udp4 10.1.0.80 900" "udp6 fd00:1::80 900" "big4 10.1.0.80 4000" "big6 fd00:1::80 4000"; do
	read -r name vip bytes <<<"$to"
	t_in client $T_PYTHON "$T_TOOLS/udp_ask.py" "$vip" 53 60 3 "$bytes" >"$T_DIR/$name.json"
	echo "$name: $(cat "$T_DIR/$name.json")"
	expect "$name: none lost, changed or moved" test "$(t_report "$name" 'a["lost"] + a["wrong"] + a["moved"]')" = 0
done
expect "answers went from one worker to the other" test "$(counter handed_over)" -gt 500
expect "no answer was anybody else's" test "$(counter snat_unknown)$(counter no_conn)" = 00

say "one backend, address and port, in two services"
sed 's/^  udp4:/  too: { vip: 10.1.0.81, port: 80, mode: dnat, pool: four }\n  udp4:/' "$CONFIG" >"$T_DIR/too.yaml"
expect_fail "refused" 3 t_cli config apply "$T_DIR/too.yaml"
expect_says "services.too and services.tcp4 are dnat with a backend 10.2.0.11 port 8080 in both"
expect "the running one is as before" test "$(t_curl -o /dev/null -w '%{http_code}' http://10.1.0.80/)" = 200
