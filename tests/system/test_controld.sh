#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The control plane is killed, hangs, starts again, is told something else meanwhile: traffic never
# notices, both sides converge by difference, and flows are not touched.
. "$(dirname "$0")/story.sh"
story_begin
are_saved() { [ "$(grep -o '"up"' "$T_DIR/state/observed.json" | wc -l)" = 12 ]; }
t_wait 5 "the states of 12 backends to be saved" are_saved # half a second after the last change
instance=$(t_status "['dataplane']['pid']")

say "killed with SIGKILL under load, started again, five times"
before=$(t_status "['dataplane']['generation']")
t_download long shop 10.1.0.80 80
t_load_begin killed 10.1.0.80 80
for _ in 1 2 3 4 5; do
	t_stop controld KILL
	t_controld "$CONFIG"
	t_wait 30 "the daemon to converge" t_in_sync
done
t_load_end killed
expect_all killed
expect "the dataplane still runs generation $before" test "$(t_status "['dataplane']['generation']")" = "$before"
expect "it is the same process" test "$(t_status "['dataplane']['pid']")" = "$instance"

say "stopped (SIGSTOP) for three seconds under load"
t_load_begin hung fd00:1::80 80
kill -STOP "$(t_pid controld)"
expect_fail "the CLI says that the daemon does not answer" 9 t_cli --timeout 1s status
sleep 2
kill -CONT "$(t_pid controld)"
t_wait 30 "the daemon to answer" t_in_sync
t_load_end hung
expect_all hung
expect "the download is whole" t_download_end long

say "a server dies while the daemon is away: taken out once it is back"
t_stop controld KILL
t_stop web3
t_controld "$CONFIG"
t_wait 30 "web3 to be taken out" t_is_state web/web3 down
t_wait 30 "the change to be in force" t_in_sync
t_load out 10.1.0.80 80 --requests 500
expect_all out
t_nginx 3
t_healthy shop 3

say "a file that differs from what was applied is not taken, but told"
sed 's/weight: 50/weight: 70/' "$CONFIG" >"$T_DIR/other.yaml"
t_stop controld
t_controld "$T_DIR/other.yaml"
expect "told in status" test "$(t_status "['daemon']['config_differs']")" = True
expect "not applied" test "$(t_cli -o json backend show web/web3 | t_json 'a["items"][0]["desired"]["weight"]')" = 50

say "garbage in the state directory"
t_stop controld
for f in overrides.json observed.json; do
	echo '{"half' >"$T_DIR/state/$f"
done
t_controld "$CONFIG"
t_healthy shop 3
expect "the daemon says what it did not understand" grep -q "observed.json" "$T_DIR/controld.log"
t_wait 30 "the change to be in force" t_in_sync
t_load garbage 10.1.0.80 80 --requests 300
expect_all garbage
