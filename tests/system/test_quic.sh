#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# QUIC clients that change their address and port with every packet: with `quic` each packet comes to the server of
# its connection, without it most do not. Two workers: the new addresses are anybody's.
. "$(dirname "$0")/story.sh"
CONFIG=$T_TOOLS/quic.yaml
story_begin --workers 2
t_in client ip addr add 10.1.0.11/24 dev eth0
t_in client ip addr add fd00:1::11/64 dev eth0 nodad
for n in 1 2 3; do
	t_spawn "quic$n" "web$n" $T_PYTHON "$T_TOOLS/quic_server.py" "web$n" 443 "00a$n"
	t_wait 30 "the QUIC server $n" grep -q :01BB "/proc/$(t_pid "quic$n")/net/udp6"
done

move() { # move NAME HOST CONNECTIONS TIMES SOURCE…
	local name=$1
	t_in client $T_PYTHON "$T_TOOLS/quic_client.py" "$2" 443 "${@:3}" >"$T_DIR/$name.json"
	echo "$name: $(cat "$T_DIR/$name.json")"
	expect "no packet of $name was lost" test "$(t_report "$name" 'a["lost"]')" = 0
}

move nat4 10.1.0.80 3 100 10.1.0.10 10.1.0.11
expect "no packet came to another server" test "$(t_report nat4 'a["moved"]')" = 0
move dsr6 fd00:1::90 3 100 fd00:1::10 fd00:1::11
expect "no packet came to another server" test "$(t_report dsr6 'a["moved"]')" = 0
expect "each went by its id" test "$(counter quic_by_id)/$(counter quic_unknown_id)" = 600/0

say "the same without"
move plain4 10.1.0.81 3 100 10.1.0.10 10.1.0.11
expect "which server a packet comes to is chance" test "$(t_report plain4 'a["moved"]')" -gt 100
expect "nothing was counted" test "$(counter quic_by_id)/$(counter quic_unknown_id)" = 600/0

say "what the CLI shows, and what is refused"
expect "the service" test "$(t_cli -o json service show nat4 | t_json 'a["items"][0]["quic_server_id_length"]')" = 2
expect "the backend" test "$(t_cli -o json backend show four/web2 | t_json 'a["items"][0]["quic_server_id"]')" = 00a2
sed 's/ip: 10.2.0.12, port: 443, quic_server_id: 00a2/ip: 10.2.0.12, port: 443, quic_server_id: 00a1/' "$CONFIG" \
	>"$T_DIR/twice.yaml"
expect_fail "one id twice" 3 t_cli config apply "$T_DIR/twice.yaml"
expect_says "services.nat4: backend 'web2' has the quic_server_id of 'web1' (line 14)"

say "servers that have other ids than the file says"
sed 's/quic_server_id: 00a/quic_server_id: 00b/' "$CONFIG" >"$T_DIR/other.yaml"
t_cli config apply "$T_DIR/other.yaml" >/dev/null
t_wait 10 "the change to be in force" t_in_sync
move other4 10.1.0.80 3 20 10.1.0.10 10.1.0.11
expect "their connections are not found" test "$(t_report other4 'a["moved"]')" -gt 10
expect "which is counted" test "$(counter quic_by_id)/$(counter quic_unknown_id)" = 600/60
