#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Real clients of memcached over UDP are answered from caches: all verbs, long values, what may not ask, what operators see and
# do, memory that stays what it is, stampedes of a thousand clients with and without what is done about them.
. "$(dirname "$0")/story.sh"
CONFIG=$T_TOOLS/cache.yaml
story_begin --cache-memory 96
t_in client ip addr add 10.1.0.11/24 dev eth0

mc() { t_in client $T_PYTHON "$T_TOOLS/mc_client.py" "$@"; } # mc HOST PORT WHAT…
send() { mc "$1" 11211 send "${@:2}"; }
expect_answer() { # expect_answer WHAT TEXT REQUEST… : over IPv4
	expect "$1" test "$(send 10.1.0.100 "${@:3}" | tr -d '\r' | tr '\n' '|')" = "$2"
}
cache() { t_cli -o json cache show "$1" | t_json "a['items'][0]$2"; } # cache NAME FIELD

say "verbs"
expect_answer "set and get" "STORED|VALUE k 7 3|abc|END|" 'set k 7 0 3\r\nabc' 'get k'
expect "over IPv6 it is the same cache" test "$(send fd00:1::100 'get k' | tr -d '\r' | tr '\n' '|')" = "VALUE k 7 3|abc|END|"
expect_answer "add, replace, append, prepend" "NOT_STORED|STORED|STORED|STORED|VALUE k 0 5|>new<|END|" \
	'add k 0 0 1\r\nx' 'replace k 0 0 3\r\nnew' 'append k 0 0 1\r\n<' 'prepend k 0 0 1\r\n>' 'get k'
expect_answer "incr, decr" "STORED|15|0|" 'set n 0 0 2\r\n10' 'incr n 5' 'decr n 99'
expect_answer "touch, gat, delete" "TOUCHED|VALUE n 0 2|0 |END|DELETED|NOT_FOUND|" 'touch n 60' 'gat 60 n' 'delete n' 'delete n'
expect_answer "meta commands" "HD|VA 2 t-1 c9 Oq|hi|MN|" 'ms m 2 T0 E9\r\nhi' 'mg m t c Oq v' 'mn'
expect_answer "errors are memcached's" "ERROR|CLIENT_ERROR bad command line format|" 'nonsense' 'set k 0 0 -1'
expect "a value of 200 KB comes whole" test "$(mc 10.1.0.100 11211 send "set big 0 0 3\\r\\nabc" >/dev/null
	for _ in $(seq 170); do echo "append big 0 0 1200\\r\\n$(printf '%01200d' 1)"; done \
		| ( mapfile -t r; mc 10.1.0.100 11211 send "${r[@]}" >/dev/null )
	send 10.1.0.100 'get big' | wc -c)" = $((204003 + 27))

say "who may not ask"
denied=$(counter acl)
expect_fail "another client" 1 t_in client $T_PYTHON - <<-EOF2
	import socket, sys
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.bind(("10.1.0.11", 0))
	s.settimeout(0.3)
	s.sendto(b"\0\1\0\0\0\1\0\0get k\r\n", ("10.1.0.100", 11211))
	try:
	    s.recv(100)
	except TimeoutError:
	    sys.exit(1)
EOF2
expect "is counted" test "$(counter acl)" = $((denied + 1))

say "what operators see and do"
mc 10.1.0.100 11211 fill 3000 100 user: >"$T_DIR/fill.json"
expect "3,000 values are stored" test "$(t_report fill 'a["stored"]')" = 3000
is_hot() { [ "$(t_cli -o json cache hotkeys hot | t_json 'len(a["items"])')" -gt 0 ]; }
ask_often() { # rates of hot keys are of the last few whole seconds, and of one lookup in 16: so 800 of one key
	local get
	get="get$(printf ' user:1%.0s' $(seq 100))"
	send 10.1.0.100 "$get" "$get" "$get" "$get" "$get" "$get" "$get" "$get" >/dev/null
	t_wait 5 "a hot key" is_hot
}
for command in "show" "show hot" "stats hot" "get hot user:1" "hotkeys hot" "bigkeys hot" "latency hot"; do
	[ "$command" != "hotkeys hot" ] || ask_often
	# shellcheck disable=SC2086
	t_cli cache $command >"$T_DIR/text" || fail "cache $command"
	expect "cache $command: text" test -s "$T_DIR/text"
	[ "$command" != "hotkeys hot" ] || ask_often
	# shellcheck disable=SC2086
	t_cli -o json cache $command >"$T_DIR/json" || fail "-o json cache $command"
	expect "cache $command: JSON" test "$(t_json 'a["schema"].startswith("millrace.") and len(a["items"]) > 0' <"$T_DIR/json")" = True
done
expect "the largest key is found" test "$(t_cli -o json cache bigkeys hot | t_json 'a["items"][0]["key"]')" = big
expect "it says what there is" test "$(cache hot "['items']")" -ge 3002
expect "a purge by prefix" t_cli cache purge hot --prefix user:
mc 10.1.0.100 11211 check 3000 100 user: >"$T_DIR/check.json"
expect "takes all of these" test "$(t_report check 'a["found"]')" = 0
expect_answer "and no others" "VALUE k 0 5|>new<|END|" 'get k'
expect_fail "no such cache" 1 t_cli cache show hut
expect_says "did you mean 'hot'"
expect_fail "a purge of what?" 2 t_cli cache purge hot
expect "explain knows it" test "$(t_cli -o json explain udp 10.1.0.10:1000 10.1.0.100:11211 | t_json 'a["items"][0]["verdict"]')" = served

say "memory stays what it is, and what is newest stays"
rss() { awk '/^VmRSS/ {print $2}' "/proc/$(t_pid millraced)/status"; }
before=$(rss)
mc 10.1.0.100 11211 fill 30000 1000 f: >"$T_DIR/fill.json"
mc 10.1.0.100 11211 check 30000 1000 f: >"$T_DIR/check.json"
echo "of 30,000 values of 1,000 bytes $(t_report check 'a["found"]') are in 16 MB; RSS before $before KB, now $(rss) KB"
expect "nothing is wrong" test "$(t_report check 'a["wrong"]')" = 0
expect "12,000 or more are there" test "$(t_report check 'a["found"]')" -gt 12000
expect "and no more than fit" test "$(t_report check 'a["found"]')" -lt 16500
expect "the process has not grown" test $(($(rss) - before)) -lt 20000

say "the control plane dies, comes back, changes what may be changed: the cache goes on"
send 10.1.0.100 'set stay 0 0 2\r\nok' >/dev/null
t_stop controld KILL
expect_answer "without it" "VALUE stay 0 2|ok|END|" 'get stay'
t_controld "$CONFIG"
t_wait 30 "the daemon to converge" t_in_sync
sed 's/hot: {/& serve_stale: 20s,/' "$CONFIG" >"$T_DIR/other.yaml"
t_cli config apply "$T_DIR/other.yaml" >/dev/null
expect_answer "with another setting" "VALUE stay 0 2|ok|END|" 'get stay'
sed 's/ allow: .*10.1.0.10.*\]//' "$CONFIG" >"$T_DIR/open.yaml"
expect_fail "a cache for everybody is refused" 3 t_cli config check "$T_DIR/open.yaml"
expect_says "allow"
sed 's/hot: { memory: 16MB/hot: { memory: 200MB/' "$CONFIG" >"$T_DIR/large.yaml"
expect_fail "more than there is" 3 t_cli config apply "$T_DIR/large.yaml"
expect_says "cache-memory"
expect_answer "nothing is lost by it" "VALUE stay 0 2|ok|END|" 'get stay'

say "a thousand clients and one key of three seconds that takes 300 ms to compute"
for name in none stale early; do
	case $name in none) vip=10.1.0.101 ;; stale) vip=10.1.0.102 ;; *) vip=10.1.0.103 ;; esac
	mc $vip 11211 stampede 1000 8 >"$T_DIR/$name.json"
	echo "$name: $(cat "$T_DIR/$name.json")"
done
expect "without anything many compute at once" test "$(t_report none 'a["most_at_once"]')" -gt 20
expect "with a stale value to serve one does" test "$(t_report stale 'a["most_at_once"]')" = 1
expect "with early refresh one does" test "$(t_report early 'a["most_at_once"]')" = 1
expect "it is counted: leases" test "$(cache stale "['leases']")" -ge 2
expect "stale values" test "$(cache stale "['stale_served']")" -gt 100
