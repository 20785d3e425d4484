#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The dataplane ends, by order and by force, and starts again: the control plane gives it everything
# back by itself. It leaves nothing behind.
. "$(dirname "$0")/story.sh"
story_begin

say "ended with SIGTERM under load"
t_load_begin ending 10.1.0.80 80
kill -TERM "$(t_pid millraced)"
rc=0
wait "$(t_pid millraced)" || rc=$?
expect "exit status 0" test $rc = 0
expect "it says so" grep -q "stopped" "$T_DIR/millraced.log"
expect "the socket is gone" test ! -e "$T_DIR/dataplane.sock"
expect "the kernel-side interfaces are gone" test -z "$(t_in mr ip -br link | grep k-)"
t_load_end ending
expect "requests failed meanwhile: the test sees what it should" test "$(t_report ending 'a["failed"]')" -gt 0
expect "the daemon says it is away" test "$(t_status "['dataplane']['connected']")" = False
expect_fail "conn show says so too" 7 t_cli conn show
expect "backend show still works" t_cli backend show

say "started again: it gets its configuration by itself"
t_dataplane
t_wait 30 "the daemon to converge" t_in_sync
t_healthy shop 3
t_load again 10.1.0.80 80 --requests 1000
expect_all again

say "killed with SIGKILL, started again"
t_stop millraced KILL
t_dataplane
t_wait 30 "the daemon to converge" t_in_sync
t_healthy shop 3
t_healthy direct6 3
t_load forced 10.1.0.80 80 --requests 1000
expect_all forced
t_load forced6 fd00:1::90 8080 --requests 1000
expect_all forced6

say "changed while the dataplane is away: pending, then in force"
t_stop millraced
is_away() { [ "$(t_status "['dataplane']['connected']")" = False ]; }
t_wait 30 "the daemon to see it" is_away
sed 's/weight: 50/weight: 150/' "$CONFIG" >"$T_DIR/other.yaml"
expect "accepted" t_cli config apply "$T_DIR/other.yaml"
expect "marked pending" test "$(t_status "['daemon']['pending']")" = True
t_dataplane
t_wait 30 "the daemon to converge" t_in_sync
t_healthy shop6 3
t_wait 30 "the last change to be in force" t_in_sync
t_load changed fd00:1::80 80 --requests 700
expect_all changed
expect "100 : 100 : 150" test "$(t_report changed 'a["backends"]')" = "{'web1': 200, 'web2': 200, 'web3': 300}"

say "a second dataplane on the same socket is refused, the first is not disturbed"
# shellcheck disable=SC2046
expect_fail "refused" 1 t_in mr "$T_BUILD/dataplane/millraced" --port a=net_null0 --workers 1 --no-huge \
	--kernel-if none --socket "$T_DIR/dataplane.sock"
expect_says "$T_DIR/dataplane.sock"
t_load undisturbed 10.1.0.80 80 --requests 300
expect_all undisturbed
