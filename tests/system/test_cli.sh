#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Every command of the CLI against running daemons: aligned text, valid JSON of the promised shape, exit
# codes, completion in a real bash.
. "$(dirname "$0")/story.sh"
story_begin
t_curl -o /dev/null http://10.1.0.80/

say "text and JSON"
for command in "status" "service show" "service show shop" "backend show" "backend show web" "backend show web/web1" \
	"health show" "health show web" "conn show" "conn show --service shop --limit 1" "conn count" \
	"conn count --by backend" "conn count --by state" "port show" "port show north" "port stats" \
	"neigh show" "worker show" "drops" "drops --all" "config export" "version"; do
	# shellcheck disable=SC2086
	t_cli $command >"$T_DIR/text" || fail "$command"
	expect "$command: text" test -s "$T_DIR/text"
	[ "$command" != version ] || continue
	# shellcheck disable=SC2086
	t_cli -o json $command >"$T_DIR/json" || fail "-o json $command"
	expect "$command: JSON" $T_PYTHON - "$T_DIR/json" <<-EOF
		import json, sys
		a = json.load(open(sys.argv[1]))
		assert a["schema"].startswith("millrace."), a
		assert isinstance(a["generation"], int) and isinstance(a["items"], list) and a["time"].endswith("Z"), a
		assert all(k == k.lower() for i in a["items"] for k in i), a
	EOF
done

say "exit codes"
expect_fail "usage" 2 t_cli backend drian web/web1
expect_says "did you mean"
expect_fail "not found" 1 t_cli service show shp
expect_says "did you mean 'shop'"
expect_fail "no file" 2 t_cli config check "$T_DIR/nosuch.yaml" || true
expect_fail "unreachable" 7 "$T_BUILD/control/cli/millrace" -s "$T_DIR/nosuch.sock" status
expect_says "$T_DIR/nosuch.sock"
expect_fail "waiting takes too long" 9 t_cli --timeout 1s wait healthy shop 9
expect_fail "denied" 8 setpriv --reuid nobody --regid nogroup --clear-groups \
	"$T_BUILD/control/cli/millrace" -s "$T_DIR/control.sock" backend drain web/web1

say "completion"
cat >"$T_DIR/complete" <<-EOF
	PATH=$T_BUILD/control/cli:\$PATH
	source <(millrace completion bash)
	COMP_WORDS=(millrace backend dr)
	COMP_CWORD=2
	COMP_LINE="millrace backend dr"
	COMP_POINT=19
	\$(complete -p millrace | sed 's/.*-F \([^ ]*\).*/\1/') millrace dr backend
	echo "\${COMPREPLY[*]}"
EOF
expect "backend dr → drain" test "$(bash "$T_DIR/complete")" = "drain"
