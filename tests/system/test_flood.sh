#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A flood of SYNs at ten times what the service admits, in full NAT and DNAT: clients get in and are served whole, a
# download that was there goes on, and the flood leaves no entries beyond the rate.
. "$(dirname "$0")/story.sh"
RATE=${RATE:-300}
CONFIG=$T_DIR/flood.yaml
more="timeouts: { syn: 2s }, syn_cookies: $RATE"
sed "s/mode: dnat,/& $more,/; s/^  tcp4:/  full4: { vip: 10.1.0.82, port: 80, mode: full-nat, scheduler: rr, pool: four, $more }\n&/
	s/^    south: .*/&\n  snat: [10.2.0.100]/; s/^    north: { /&gateways: [10.1.0.10], /; /^  udp/d" \
	"$T_TOOLS/dnat.yaml" >"$CONFIG"
story_begin --workers 2
for n in 1 2 3; do
	t_in "web$n" ip route replace 10.1.0.0/24 via 10.2.0.1
	t_in "web$n" ip route replace 10.1.0.0/16 via 10.2.0.1
done
mac=$(t_in mr cat /sys/class/net/mr-n/address)
head -c 300000 /dev/urandom >"$T_DIR/upload"

for to in "full4 10.1.0.82" "tcp4 10.1.0.80"; do
	read -r name vip <<<"$to"
	say "$name: $((10 * RATE)) SYNs in a second, of which it admits $RATE"
	t_download "$name" "$name" "$vip" 80
	rm -f "$T_DIR/end"
	t_spawn "flood-$name" client $T_PYTHON "$T_TOOLS/syn_flood.py" eth0 "$mac" "$vip" 80 $((10 * RATE)) "$T_DIR/end"
	was=$(counter syn_cookies_sent)
	answered() { [ "$(counter syn_cookies_sent)" -gt $((was + 5 * RATE)) ]; }
	t_wait 20 "cookies to be sent" answered
	explained() { t_cli explain tcp 10.1.0.10:1 "$vip:80" | grep -q 'verdict .*answered with a SYN cookie'; }
	t_wait 10 "explain to tell of them" explained # but for when there is a token
	was=$(counter syn_cookies_accepted)
	t_load "$name" "$vip" 80 --requests 200
	expect_all "$name"
	expect "an upload of 300 KB" test "$(t_curl -T "$T_DIR/upload" "http://$vip/put")" = ok
	expect "$(($(counter syn_cookies_accepted) - was)) clients came in by cookie" \
		test "$(counter syn_cookies_accepted)" -gt $((was + 100))
	conns=$(t_cli -o json service show "$name" | t_json 'a["items"][0]["conns"]')
	expect "$conns connections, the flood's of two seconds and ours" test "$conns" -le $((4 * RATE + 500))
	: >"$T_DIR/end"
	expect "the download of before came to its end" t_download_end "$name"
	echo "the flood: $(cat "$T_DIR/flood-$name.log")"
done
expect "no port was wanting" test "$(counter snat_exhausted)$(counter conn_table_full)" = 00
