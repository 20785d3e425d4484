#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Draining from the CLI: flows that a backend has go on to their end, new ones go elsewhere, and the
# operator's word survives a restart of the daemon. The same with a weight of 0 and other weights.
. "$(dirname "$0")/story.sh"
story_begin

say "drain under load, with a download over the drained backend"
t_download long shop 10.1.0.80 80
busy=$(t_holder shop)
t_load_begin through 10.1.0.80 80
expect "drain web/$busy" t_cli backend drain "web/$busy"
expect "it is shown" t_is_state "web/$busy" drain
t_wait 30 "the change to be in force" t_in_sync
t_load_end through
expect_all through
t_load drained 10.1.0.80 80 --requests 1000
expect_all drained
expect "no new flow went to $busy" test "$(t_report drained "a['backends'].get('$busy', 0)")" = 0
expect "the download goes on" t_download_goes_on long

say "the daemon restarts: still drained, by the same operator"
t_stop controld
t_controld "$CONFIG"
t_wait 30 "the daemon to converge" t_in_sync
expect "still drained" t_is_state "web/$busy" drain
t_load restarted 10.1.0.80 80 --requests 300
expect_all restarted
expect "no new flow went to $busy" test "$(t_report restarted "a['backends'].get('$busy', 0)")" = 0
expect "the download came to its end" t_download_end long
expect "drained" t_cli --timeout 15s wait drained "web/$busy"

say "the drained server is stopped and started: nobody notices"
t_load_begin maintenance 10.1.0.80 80
t_stop "$busy"
t_nginx "${busy#web}"
t_load_end maintenance
expect_all maintenance

say "undrain"
expect "undrain web/$busy" t_cli backend undrain "web/$busy"
t_healthy shop 3
t_wait 30 "the change to be in force" t_in_sync
t_load back 10.1.0.80 80 --requests 600
expect_all back
expect "$busy is in use again" test "$(t_report back "a['backends'].get('$busy', 0)")" -gt 50

say "weights"
expect "weight 0" t_cli backend weight web6/web1 0
t_wait 30 "the change to be in force" t_in_sync
t_load zero fd00:1::80 80 --requests 300
expect_all zero
expect "2 of 3 in use" test "$(t_report zero 'sorted(a["backends"])')" = "['web2', 'web3']"
expect "weight 300" t_cli backend weight web6/web1 300
t_wait 30 "the change to be in force" t_in_sync
t_load heavy fd00:1::80 80 --requests 900
expect_all heavy
expect "300 : 100 : 50" test "$(t_report heavy 'a["backends"]')" = "{'web1': 600, 'web2': 200, 'web3': 100}"
expect "back to the file's" t_cli backend weight web6/web1 default

say "a drain with a deadline: what is left then is reset"
t_download late shop 10.1.0.80 80
busy=$(t_holder shop)
expect "drain web/$busy for one second" t_cli backend drain "web/$busy" --deadline 1s
t_wait 10 "the deadline" t_is_state "web/$busy" evict
expect "no connection is left" t_cli --timeout 20s wait drained "web/$busy"
: >"$T_DIR/late.end"
expect_fail "the download was reset" 1 wait "$(cat "$T_DIR/late.download")"
expect "the client was told" grep -q "Connection reset by peer" "$T_DIR/late.log"
expect "by us" test "$(counter resets_sent)" -gt 0
expect "back" t_cli backend undrain "web/$busy"
t_healthy shop 3

say "a server dies under a service with on_backend_down: reset"
sed 's/^  shop:.*{/&on_backend_down: reset, /; s/^  shop:$/&\n    on_backend_down: reset/' "$CONFIG" >"$T_DIR/reset.yaml"
expect "applied" t_cli config apply "$T_DIR/reset.yaml"
expect "shown" test "$(t_cli -o json service show shop | t_json 'a["items"][0]["on_backend_down"]')" = reset
t_download dies shop 10.1.0.80 80
busy=$(t_holder shop)
kill -STOP "$(t_pid "$busy")" # it says nothing any more, as when its machine is gone
t_wait 20 "the check to see it" t_is_state "web/$busy" down
t_wait 10 "the change to be in force" t_in_sync
: >"$T_DIR/dies.end"
expect_fail "its client is reset" 1 wait "$(cat "$T_DIR/dies.download")"
kill -CONT "$(t_pid "$busy")"
t_healthy shop 3

say "a drained server dies there: its clients are told as well, and it still counts as drained"
t_download drained-dies shop 10.1.0.80 80
busy=$(t_holder shop)
expect "drain web/$busy for an hour" t_cli backend drain "web/$busy" --deadline 1h
t_wait 10 "the change to be in force" t_in_sync
expect "its flows go on" t_download_goes_on drained-dies
kill -STOP "$(t_pid "$busy")"
t_wait 20 "the check to see it" t_is_state "web/$busy" down
t_wait 10 "the change to be in force" t_in_sync
expect "drained, not down" test "$(t_cli -o json service show shop \
	| t_json '[a["items"][0]["backends_" + k] for k in ("up", "drain", "down")]')" = "[2, 1, 0]"
expect "nobody waits for it" t_cli --timeout 5s wait healthy shop
: >"$T_DIR/drained-dies.end"
expect_fail "its client is reset" 1 wait "$(cat "$T_DIR/drained-dies.download")"
expect "the client was told" grep -q "Connection reset by peer" "$T_DIR/drained-dies.log"
kill -CONT "$(t_pid "$busy")"
t_wait 20 "the check to see that it is back" t_is_state "web/$busy" drain
expect "back" t_cli backend undrain "web/$busy"
t_healthy shop 3

say "bad words"
expect_fail "no such backend" 1 t_cli backend drain web/web9
expect_says web9
expect_fail "no such weight" 2 t_cli backend weight web/web1 1001
expect_says "1000"
