#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Malformed and hostile packets on a port, garbage on the dataplane's socket, while real clients are
# served: counted, refused, and nobody else notices.
. "$(dirname "$0")/story.sh"
story_begin
pid=$(t_status "['dataplane']['pid']")
before=$(t_status "['dataplane']['generation']")

say "40,000 mutated frames"
t_load_begin beside 10.1.0.80 80
t_in client $T_PYTHON "$T_TOOLS/hostile_frames.py" eth0 40000 10.1.0.10 10.1.0.80 fd00:1::10 fd00:1::80 \
	"$(t_cli -o json port show north | t_json 'a["items"][0]["mac"]')"
t_load_end beside
expect_all beside
t_cli drops
for reason in short_frame bad_ip_header bad_ip_checksum bad_l4_header foreign_mac fragment_bad fragment_overlap; do
	expect "$reason was counted" test "$(counter $reason)" -gt 0
done

say "garbage on the socket"
t_load_begin socket fd00:1::80 80
$T_PYTHON "$T_TOOLS/hostile_socket.py" "$T_DIR/dataplane.sock"
t_load_end socket
expect_all socket
expect "the dataplane is the same process" test "$(t_status "['dataplane']['pid']")" = "$pid"
expect "and runs the same generation" test "$(t_status "['dataplane']['generation']")" = "$before"
expect "and still takes changes" t_cli backend weight web/web1 90
t_wait 30 "the change to be in force" t_in_sync
