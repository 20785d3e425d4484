# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# story — how a system test begins and ends. Sourced first by every test_*.sh here, which are run as
# `test_NAME.sh BUILD`. Makes the names of topology.sh, removes everything at the end and, when the test
# failed, says what the daemons and the counters said. STORY_STOP=1 in the environment waits for Enter
# before the clean-up, so that one can look around.
set -eu

T_BUILD=$(realpath "$1")
T_ID=mr$$
# shellcheck source=tests/system/topology.sh
. "$(dirname "${BASH_SOURCE[0]}")/topology.sh"

skip() {
	echo "SKIP: $*"
	exit 77 # what meson calls a skipped test
}

say() { echo "-- $*"; }

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

expect() { # expect WHAT COMMAND… : the command must succeed
	local what=$1
	shift
	"$@" || fail "$what: $*"
	echo "ok: $what"
}

expect_fail() { # expect_fail WHAT STATUS COMMAND… : it must end with that exit status; output in T_DIR/out
	local what=$1 want=$2 rc=0
	shift 2
	"$@" >"$T_DIR/out" 2>&1 || rc=$?
	[ "$rc" = "$want" ] || {
		cat "$T_DIR/out" >&2
		fail "$what: exit status $rc, not $want: $*"
	}
	echo "ok: $what"
}

expect_says() { # expect_says TEXT : the output of the last expect_fail has it
	grep -qF -- "$1" "$T_DIR/out" || {
		cat "$T_DIR/out" >&2
		fail "the message does not say: $1"
	}
}

expect_all() { # expect_all NAME : every request of the load was answered
	echo "$1: $(t_report_text "$1")"
	expect "all requests of $1 were answered" test "$(t_report "$1" 'a["failed"]')" = 0
}

counter() { # counter NAME : its value, all workers
	t_cli -o json drops --all | t_json 'sum(c["value"] for c in a["items"] if c["name"] == sys.argv[1])' "$1"
}

story_tell() {
	local f
	echo "---- status, drops" >&2
	t_cli status >&2 || true
	t_cli drops >&2 || true
	for f in "$T_DIR"/*.log; do
		[ -s "$f" ] || continue
		echo "---- ${f##*/}" >&2
		tail -n 30 "$f" >&2
	done
}

story_end() {
	local rc=$?
	trap - EXIT
	[ $rc = 0 ] || [ $rc = 77 ] || story_tell
	if [ -n "${STORY_STOP:-}" ]; then
		echo "namespaces $T_ID-*, files in $T_DIR; Enter cleans up"
		read -r _ </dev/tty || true
	fi
	t_cleanup
	rm -rf "$T_DIR"
	exit $rc
}

[ "$(id -u)" = 0 ] || skip "needs root: network namespaces and AF_XDP"
ip netns add "$T_ID-probe" 2>/dev/null || skip "no network namespaces can be made here"
ip netns del "$T_ID-probe"
T_DIR=$(mktemp -d)
trap story_end EXIT
trap 'exit 130' INT TERM HUP PIPE

CONFIG=$T_TOOLS/../../examples/demo.yaml

story_begin() { # story_begin [DATAPLANE OPTION…] : everything of topology.sh up, all services healthy
	local n s
	t_network
	for n in 1 2 3; do
		t_nginx "$n"
	done
	t_dataplane "$@"
	t_controld "$CONFIG"
	for s in $(t_cli -o json service show | t_json '" ".join(s["name"] for s in a["items"] if s["mode"] != "cache")'); do
		t_healthy "$s" 3 >/dev/null
	done
	t_wait 5 "the last change to be in force" t_in_sync
}
