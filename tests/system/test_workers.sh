#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# More workers than queues, and another driver: flows are spread in software and handed over to their
# owner, return packets find it by their port, and nothing else changes.
. "$(dirname "$0")/story.sh"

both_work() {
	t_cli worker show
	expect "both workers have connections" test \
		"$(t_cli -o json worker show | t_json 'sum(w["conns"] > 0 for w in a["items"])')" = 2
	t_cli worker stages
	expect "it is known where their time goes" test "$(t_cli -o json worker show |
		t_json 'all(w["timed_packets"] > 0 and w["rx_cycles"] > 0 and w["tx_cycles"] > 0 for w in a["items"]) and
			sum(w["balance_cycles"] for w in a["items"]) > 0')" = True
	expect "packets were handed over" test "$(counter handed_over)" -gt 1000
	expect "none was lost on the way" test "$(counter mailbox_full)" = 0
}

serve_all() {
	t_load shop 10.1.0.80 80 --requests 2000
	expect_all shop
	t_load shop6 fd00:1::80 80 --requests 2000
	expect_all shop6
	t_load direct 10.1.0.90 8080 --requests 2000
	expect_all direct
	t_load direct6 fd00:1::90 8080 --requests 2000
	expect_all direct6
}

say "two workers on ports with one queue"
story_begin --workers 2
expect "ports are spread in software" test \
	"$(t_cli -o json port show | t_json 'sorted(set(p["spread"] for p in a["items"]))')" = "['software']"
serve_all
both_work
t_download long shop 10.1.0.80 80
busy=$(t_holder shop)
t_cli backend drain "web/$busy"
expect "a download over a drained backend comes to its end" t_download_end long
t_cli backend undrain "web/$busy"

say "net_af_packet, two workers"
t_stop millraced
T_DRIVER=net_af_packet
t_dataplane --workers 2
t_wait 30 "the daemon to converge" t_in_sync
for s in shop shop6 direct direct6; do
	t_healthy $s 3 >/dev/null
done
t_wait 30 "the last change to be in force" t_in_sync
expect "it is net_af_packet" test \
	"$(t_cli -o json port show north | t_json 'a["items"][0]["driver"]')" = net_af_packet
serve_all
both_work

say "one worker that polls without a pause"
t_stop millraced
T_DRIVER=net_af_xdp
t_dataplane --idle poll
t_wait 30 "the daemon to converge" t_in_sync
t_healthy shop 3 >/dev/null
t_load polling 10.1.0.80 80 --requests 1000
expect_all polling
expect "it never slept" test "$(t_cli -o json worker show | t_json 'a["items"][0]["sleeps"]')" = 0
t_stop millraced
