#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Real clients, real servers, both modes over both families: every request is answered, the spread
# follows scheduler and weights, large answers arrive whole, the counters tell the same story.
. "$(dirname "$0")/story.sh"
N=${N:-3000}

share() { # share NAME BACKEND LOW HIGH : percent of the answers
	local pct
	pct=$(t_report "$1" "100 * a['backends'].get('$2', 0) / a['requests']")
	expect "$2 answered ${pct:0:5} % of $1, $3 to $4 expected" \
		$T_PYTHON -c "import sys; sys.exit(not $3 <= $pct <= $4)"
}

story_begin

say "the first packets wait for the neighbours' addresses"
for url in http://10.1.0.80/ 'http://[fd00:1::80]/' http://10.1.0.90:8080/ 'http://[fd00:1::90]:8080/'; do
	t_curl -o /dev/null "$url"
done
expect "none was dropped for that" test "$(counter neigh_hold_full)" = 0

say "full NAT, Maglev, IPv4: 100:100:50"
t_load shop 10.1.0.80 80 --requests "$N"
expect_all shop
share shop web1 36 44
share shop web2 36 44
share shop web3 16 24

say "full NAT, weighted round robin, IPv6: exact"
t_load shop6 fd00:1::80 80 --requests "$N"
expect_all shop6
share shop6 web1 39.9 40.1
share shop6 web2 39.9 40.1
share shop6 web3 19.9 20.1

say "direct return, weighted round robin, IPv4"
t_load direct 10.1.0.90 8080 --requests "$N"
expect_all direct
share direct web1 33.2 33.5
share direct web2 33.2 33.5
share direct web3 33.2 33.5

say "direct return, Maglev, IPv6"
t_load direct6 fd00:1::90 8080 --requests "$N"
expect_all direct6
share direct6 web1 29 38
share direct6 web2 29 38
share direct6 web3 29 38

say "one connection stays on one backend, and what it carries is not changed"
for url in http://10.1.0.80/big 'http://[fd00:1::80]/big' http://10.1.0.90:8080/big; do
	t_curl --max-time 30 -o "$T_DIR/got" -D "$T_DIR/head" "$url" &
	T_PIDS+=($!)
	wait $! || fail "download of $url"
	backend=$(tr -d '\r' <"$T_DIR/head" | awk 'tolower($1) == "x-backend:" {print $2}')
	expect "$url is byte for byte that of $backend" cmp "$T_DIR/got" "$T_DIR/$backend/www/big"
done
for url in http://10.1.0.80/put 'http://[fd00:1::80]/put' http://10.1.0.90:8080/put; do
	t_curl --max-time 30 -T "$T_DIR/web1/www/big" -o /dev/null -D "$T_DIR/head" "$url"
	got=$(tr -d '\r' <"$T_DIR/head" | awk 'tolower($1) == "x-got:" {print $2}')
	expect "$url got all of an upload, and its headers ($got bytes)" test "$got" -gt $T_BIG_BYTES
done

say "counters"
conns=$(t_cli -o json service show shop | t_json 'a["items"][0]["conns_total"]')
expect "the service counted every connection ($conns)" test "$conns" = $((N + 3))
sum=$(t_cli -o json backend show web | t_json 'sum(b["conns_total"] for b in a["items"])')
expect "its backends counted the same" test "$sum" = "$conns"
expect "no packet of a service was dropped" test \
	"$(t_cli -o json service show | t_json 'sum(s["drops"] for s in a["items"])')" = 0
expect "direct return sends nothing to clients" test \
	"$(t_cli -o json service show direct | t_json 'a["items"][0]["tx_packets"]')" = 0

say "connections end"
none_of_shop() { [ "$(t_cli -o json service show shop | t_json 'a["items"][0]["conns"]')" = 0 ]; }
expect "closed connections leave the table" t_wait 30 "an empty table" none_of_shop
