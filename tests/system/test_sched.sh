#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Every scheduler with real clients and servers, changed on the running services: full NAT over IPv4 and direct
# return over IPv6. A download that began under the first goes on under all. And slow start.
. "$(dirname "$0")/story.sh"
N=${N:-1000}

use() { # use SCHEDULER [OPTIONS] : both services go over to it
	sed "s/SCHED/$1/" "$T_TOOLS/sched.yaml" >"$T_DIR/sched.yaml"
	t_cli config apply "$T_DIR/sched.yaml" >/dev/null || fail "config apply of $1"
	t_wait 30 "the change to be in force" t_in_sync
}

conns() { t_cli -o json service show "$1" | t_json 'a["items"][0]["conns"]'; }
are_quiet() { [ "$(conns nat)" -le 1 ] && [ "$(conns direct)" = 0 ]; }
quiet() { t_wait 60 "the flows to end" are_quiet; } # but the download

spread() { # spread NAME WEB1 WEB2 WEB3 SLACK : both services, percent of the answers
	local at service
	for service in nat direct; do
		if [ $service = nat ]; then
			t_load "$1" 10.1.0.80 80 --requests "$N"
		else
			t_load "$1" fd00:1::90 8080 --requests "$N"
		fi
		echo "$service: $(t_report_text "$1")"
		expect "all requests of $1 to $service were answered" test "$(t_report "$1" 'a["failed"]')" = 0
		at=$(t_report "$1" '" ".join("%.1f" % (100 * a["backends"].get("web%d" % i, 0) / a["requests"]) for i in (1, 2, 3))')
		expect "$1: $2 : $3 : $4 %, within $5" $T_PYTHON -c "
import sys
sys.exit(any(abs(float(x) - y) > $5 for x, y in zip('$at'.split(), ($2, $3, $4))))"
	done
}

sed 's/SCHED/rr/' "$T_TOOLS/sched.yaml" >"$T_DIR/first.yaml"
CONFIG=$T_DIR/first.yaml
story_begin
t_download long nat 10.1.0.80 80

say "round robin, weights or not"
spread rr 33.3 33.3 33.3 0.2
use wrr
spread wrr 40 40 20 0.2

say "by connections: as many for each, or for each weight"
quiet
use lc
spread lc 33.3 33.3 33.3 4
quiet
use wlc
spread wlc 40 40 20 4
quiet
use p2c
spread p2c 40 40 20 4

say "by hash"
use maglev
spread maglev 40 40 20 8
use rendezvous
spread rendezvous 40 40 20 8
expect "told" test "$(t_cli -o json service show nat | t_json 'a["items"][0]["hash"]')" = flow

say "by the client's address: one client has one server, and another when that dies"
use sh
for to in "10.1.0.80 80" "fd00:1::90 8080"; do
	# shellcheck disable=SC2086
	t_load sh $to --requests 100
	expect "one server answered" test "$(t_report sh 'len(a["backends"])')" = 1
done
t_load sh 10.1.0.80 80 --requests 100
mine=$(t_report sh 'list(a["backends"])[0]')
t_load_begin other 10.1.0.80 80
t_cli backend drain "web/$mine" >/dev/null
t_wait 30 "the change to be in force" t_in_sync
t_load_end other
t_load sh2 10.1.0.80 80 --requests 100
expect "another one" test "$(t_report sh2 'len(a["backends"])')$(t_report sh2 "a['backends'].get('$mine', 0)")" = 10
t_cli backend undrain "web/$mine" >/dev/null
t_wait 30 "the change to be in force" t_in_sync
t_load sh3 10.1.0.80 80 --requests 100
expect "the first one again" test "$(t_report sh3 "a['backends'].get('$mine', 0)")" = 100

say "with a bound on the load"
quiet
use "sh, load_bound: 125%"
for to in "nat 10.1.0.80 80" "direct fd00:1::90 8080"; do
	read -r service host port <<<"$to"
	t_load bound "$host" "$port" --requests "$N"
	expect_all bound
	for n in 1 2 3; do
		expect "$service: web$n has at most 1.25 times its share, and flows that ended meanwhile" test \
			"$(t_report bound "a['backends'].get('web$n', 0) * 100 // a['requests'] <= (25 if $n == 3 else 50) + 8")" = True
	done
	expect "told" test "$(t_cli -o json service show $service | t_json 'a["items"][0]["load_bound_percent"]')" = 125
done

say "no flow was moved by any of it"
expect "the download is whole" t_download_end long

say "slow start: a server that comes back gets little at first"
weight() { t_cli -o json backend show "web/$1" | t_json 'a["items"][0]["effective"]["weight"]'; }
is_weight() { [ "$(weight "$1")" = "$2" ]; }
sed "s/SCHED/wrr/; s/^    check: ok/    check: ok\n    slow_start: 20s/" "$T_TOOLS/sched.yaml" >"$T_DIR/slow.yaml"
expect "slow_start" t_cli config apply "$T_DIR/slow.yaml"
t_wait 60 "the first 20 s of web1 to be over" is_weight web1 100
t_wait 60 "and those of web3" is_weight web3 50
t_stop web2 KILL
t_wait 30 "the check to see that web2 is gone" t_is_state web/web2 down
t_nginx 2
t_healthy nat 3
t_wait 30 "the change to be in force" t_in_sync
t_load slow 10.1.0.80 80 --requests "$N"
expect_all slow
echo "slow: $(t_report_text slow), its weight is $(weight web2) now"
expect "web2 has far less than its 40 %" test "$(t_report slow "0 < a['backends'].get('web2', 0) < 0.25 * a['requests']")" = True
use wrr
expect "all of it without slow start" is_weight web2 100
