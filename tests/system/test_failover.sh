#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A server dies under load, in each mode: until the check sees it, only what went to that server fails;
# after that, nothing. It comes back and gets its share again.
. "$(dirname "$0")/story.sh"
story_begin

fail_over() { # fail_over POOL HOST PORT SIGNAL : kills web2 under load
	local pool=$1 host=$2 port=$3 signal=$4
	say "$pool: web2 dies of SIG$signal under load"
	t_load_begin "$pool-dies" "$host" "$port"
	t_stop web2 "$signal"
	t_wait 30 "$pool/web2 to be taken out" t_is_state "$pool/web2" down
	t_load_end "$pool-dies"
	echo "until detection: $(t_report_text "$pool-dies")"
	expect "only refused or reset connections failed" test "$(t_report "$pool-dies" \
		'sum(n for r, n in a["reasons"].items() if not r.startswith("Connection"))')" = 0
	t_wait 30 "the change to be in force" t_in_sync
	t_load "$pool-after" "$host" "$port" --requests 1000
	expect_all "$pool-after"
	expect "none went to web2" test "$(t_report "$pool-after" 'a["backends"].get("web2", 0)')" = 0
	t_nginx 2
	t_healthy "$service" 3
	t_wait 30 "the change to be in force" t_in_sync
	t_load "$pool-back" "$host" "$port" --requests 500
	expect_all "$pool-back"
	expect "web2 is in use again" test "$(t_report "$pool-back" 'a["backends"].get("web2", 0)')" -gt 50
}

service=shop fail_over web 10.1.0.80 80 KILL
service=shop6 fail_over web6 fd00:1::80 80 TERM
service=direct fail_over direct 10.1.0.90 8080 KILL
service=direct6 fail_over direct6 fd00:1::90 8080 TERM

say "no check, but traffic tells: web2 is ejected by what clients see of it"
sed -e 's/^pools:$/&\n  blind:\n    passive: { failures: 3, ejection: 2s }\n    backends:\n&3/' "$CONFIG" \
	| awk '/^pools:3$/ { for (n = 1; n <= 3; n++) printf "      - { name: web%d, ip: 10.2.0.1%d, port: 8080 }\n", n, n; next }
		{ print } /^services:$/ { print "  blind: { vip: 10.1.0.85, port: 80, mode: full-nat, scheduler: rr, pool: blind }" }' \
		>"$T_DIR/blind.yaml"
expect "applied" t_cli config apply "$T_DIR/blind.yaml"
t_wait 10 "the change to be in force" t_in_sync
health_of() { t_cli -o json backend show "$1" | t_json 'a["items"][0]["operational"]["state"]'; }
is_health() { [ "$(health_of "$1")" = "$2" ]; }
sleep 1.1 # the counters have been read once: what comes now is news
t_load_begin blind-dies 10.1.0.85 80
t_stop web2 KILL
t_wait 20 "blind/web2 to be ejected" is_health blind/web2 ejected
t_wait 10 "the change to be in force" t_in_sync
t_load blind-after 10.1.0.85 80 --requests 300
t_load_end blind-dies
echo "until ejection: $(t_report_text blind-dies)"
expect_all blind-after
expect "none went to web2" test "$(t_report blind-after 'a["backends"].get("web2", 0)')" = 0
t_cli backend show blind/web2 | grep -E "ejected|failed" || true
t_nginx 2
t_wait 20 "blind/web2 to be in again" is_health blind/web2 unchecked
t_wait 10 "the change to be in force" t_in_sync
t_load blind-back 10.1.0.85 80 --requests 300
expect_all blind-back
expect "web2 is in use again" test "$(t_report blind-back 'a["backends"].get("web2", 0)')" -gt 50
t_wait 20 "web/web2 to be up" t_is_state web/web2 up

say "all servers die: clients are refused, not left hanging; the box lives"
t_stop web1
t_stop web2
t_stop web3
for n in 1 2 3; do
	t_wait 30 "web$n to be taken out" t_is_state "web/web$n" down
done
t_wait 30 "the change to be in force" t_in_sync
expect_fail "a request finds no backend" 28 t_in client curl -s --max-time 1 http://10.1.0.80/
expect "that is counted" test "$(counter no_backend)" -gt 0
for n in 1 2 3; do
	t_nginx "$n"
done
t_healthy shop 3
t_wait 30 "the change to be in force" t_in_sync
expect "and works again when they are back" t_curl -o /dev/null http://10.1.0.80/
