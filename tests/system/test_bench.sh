#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The traffic generator against a dataplane, over memif and virtio-user: what it counts adds up and is what the dataplane counted, every
# answer of the cache is right, and where there is nothing to measure it says why and gives no figure. No time is judged here.
. "$(dirname "$0")/story.sh"
T_NS="mr"
bench=$T_BUILD/perf/gen/millrace-bench
[ -x "$bench" ] || skip "millrace-bench is not built (-Dbench=false)"

gen() { # gen OPTION… : its status; the table in T_DIR/table, what it says in T_DIR/said, the document in T_DIR/doc
	local rc=0
	rm -f "$T_DIR/doc"
	timeout -k 5 60 "$bench" "${@:1:1}" --no-huge --memory 96 --late-us 10000000 --json "$T_DIR/doc" "${@:2}" >"$T_DIR/table" 2>"$T_DIR/said" || rc=$?
	return $rc
}

refuses() { # refuses WHAT STATUS TEXT OPTION… : no figure, and the reason
	local what=$1 want=$2 text=$3 rc=0
	shift 3
	gen "$@" || rc=$?
	[ "$rc" = "$want" ] && grep -qF -- "$text" "$T_DIR/said" && [ ! -s "$T_DIR/table" ] || {
		cat "$T_DIR/table" "$T_DIR/said" >&2
		fail "$what: exit status $rc, not $want, or not the words: $text"
	}
	[ ! -e "$T_DIR/doc" ] || [ "$(t_json 'a["figures"]' <"$T_DIR/doc")" = None ] || fail "$what: it has figures"
	echo "ok: $what"
}

doc() { t_json "$@" <"$T_DIR/doc"; } # an expression over the document

measures() { # measures WHAT OPTION… : a figure, and counts that add up
	local what=$1
	shift
	gen "$@" || {
		cat "$T_DIR/said" >&2
		fail "$what: there is no figure"
	}
	[ -s "$T_DIR/table" ] || fail "$what: no table"
	doc '"%s: " % sys.argv[1] + ", ".join("%s %d" % i for i in trial["counts"].items() if i[1]) if (trial := a["trials"][0]) else ""' "$what"
	expect "$what: the document names itself" test "$(doc 'a["schema"]')" = millrace.bench/1
	expect "$what: each answer is in the histogram once" test "$(doc 'all(
		sum(n for _, n in t["latency_ns"]["buckets"]) == t["counts"]["received"] for t in a["trials"])')" = True
	expect "$what: no more came back than was sent, and nothing twice" test "$(doc 'all(
		t["counts"]["received"] <= t["counts"]["offered"] and t["counts"]["duplicates"] == 0 for t in a["trials"])')" = True
	expect "$what: it sent what it was asked to" test "$(doc 'a["trials"][0]["counts"]["offered"]')" = 500
	expect "$what: the generator alone was measured too" test "$(doc 'a["trials"][-1]["purpose"]')" = generator-alone
}

say "usage"
refuses "no options" 2 "the first word says what to do"
refuses "no such device" 1 "no interface nope0 here" flood --port net_af_packet0,iface=nope0 --target 10.1.0.80:80 --client 10.1.128.0/24 --rate 100
refuses "a rate that is none" 2 "--rate fast" flood --port net_ring0 --rate fast

say "several CPUs"
mapfile -t cpus < <(taskset -pc $$ | sed 's/.*: //' | tr , '\n' | awk -F - '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) print i }')
ring=(flood --port net_ring0 --target 10.1.0.80:80 --target-mac 02:00:00:00:00:01 --client 10.1.128.0/24 --rate 1000 --seconds 0.5 --warm-up 0.1 --flows 200)
refuses "a CPU given twice" 2 "is there twice" "${ring[@]}" --cpu "${cpus[0]},${cpus[0]}"
refuses "a CPU that is not there" 1 "is not there, is offline" "${ring[@]}" --cpu 1023
if [ ${#cpus[@]} -ge 2 ]; then
	two=${cpus[0]},${cpus[1]}
	refuses "more CPUs than queues" 1 "has at most 1 queues to send" "${ring[@]}" --port net_af_packet0,iface=lo --cpu "$two"
	refuses "more CPUs than queues that were asked for" 2 "at least 2" "${ring[@]}" --cpu "$two" --queues 1
	refuses "more CPUs than clients" 1 "needs one of its own" cache-udp "${ring[@]:1}" --flows 2 --client 10.1.128.7/32 --cpu "$two"
	measures "two of them" "${ring[@]}" --cpu "$two"
	expect "all came back, by the queue of the thread that had sent it" \
		test "$(doc '(t := a["trials"][0]["counts"])["received"] == 500 and t["handed"] == 0 and a["config"]["threads"] == 2')" = True
	"$(dirname "$0")/../../perf/line/run.sh" "$T_BUILD" --quick --generators 2 --json "$T_DIR" dsr-l2-hit cache-get cache-tcp >"$T_DIR/line" 2>&1 || {
		cat "$T_DIR/line" >&2
		fail "two of them and a dataplane with one worker, whose one queue has the answers of both"
	}
	for name in dsr-l2-hit cache-get cache-tcp; do
		mv "$T_DIR/$name.json" "$T_DIR/doc"
		doc '"%s: " % sys.argv[1] + ", ".join("%s %d" % i for i in a["trials"][0]["counts"].items() if i[1])' "$name"
		expect "$name by two threads: what was asked for was sent, and each answer counted once" test "$(doc 'all(
			(n := t["counts"])["offered"] >= n["received"] == sum(b for _, b in t["latency_ns"]["buckets"]) > 0
			and n["duplicates"] + n["hand_no_room"] == 0 for t in a["trials"]) and a["trials"][0]["counts"]["offered"]')" = 5000
		expect "$name by two threads: half of the answers were handed over, and none was wrong" test "$(doc '(n := (t := a["trials"][0])["counts"])["handed"]
			>= n["received"] / 2 and t.get("answers", {"wrong": 0})["wrong"] == 0')" = True
	done
fi

say "nobody at the other end"
memif=net_memif0,role=client,socket=$T_DIR/m.s,socket-abstract=no,rsize=13
refuses "a link that does not come up" 1 "the link did not come up in 1 s" flood --port "net_memif0,role=server,socket=$T_DIR/alone.s,socket-abstract=no" \
	--target 10.1.0.80:80 --client 10.1.128.0/24 --rate 100 --wait 1

ip netns add "$T_ID-mr"
t_spawn millraced mr timeout -k 5 120 "$T_BUILD/dataplane/millraced" --port "m=net_memif0,role=server,socket=$T_DIR/m.s,socket-abstract=no" \
	--port "v=net_vhost0,iface=$T_DIR/v.s" --workers 1 --idle sleep --no-huge --kernel-if none --conns 4096 --conns6 4096 --cache-memory 32 \
	--socket "$T_DIR/dataplane.sock"
t_wait 30 "millraced" grep -q "notice: ready" "$T_DIR/millraced.log"
t_controld "$T_TOOLS/bench.yaml"
t_wait 10 "the configuration" t_in_sync
common=(--port "$memif" --client 10.1.128.0/24 --own 10.1.64.0/24 --rate 1000 --seconds 0.5 --rxd 1024 --warm-up 0.1 --flows 200)
cache=(cache-udp --port "net_virtio_user0,path=$T_DIR/v.s,queue_size=1024" --target 10.5.0.80:11211 --client 10.5.128.0/24 --rate 1000 --seconds 0.5 --rxd 1024 --warm-up 0.1)

say "flows through a balancer"
hits=$(counter conn_hits)
created=$(counter conn_created)
measures "IP in IP" flood "${common[@]}" --target 10.1.0.80:80
expect "all of it came to backends through the tunnel" \
	test "$(doc '(t := a["trials"][0])["backends"]["tunnelled"] == t["backends"]["arrived"] == t["counts"]["received"] > 0')" = True
expect "the dataplane made an entry for each flow and no other" test $(($(counter conn_created) - created)) = 200
expect "and found them again" test $(($(counter conn_hits) - hits)) -ge "$(doc 'a["trials"][0]["counts"]["received"]')"
created=$(counter conn_created)
measures "a tenth of new flows, IMIX, there and back" flood "${common[@]}" --target 10.1.0.81:80 --size imix --new 10 --return
expect "what came to backends went back" \
	test "$(doc '(t := a["trials"][0])["backends"]["arrived"] >= t["counts"]["received"] > 0 and t["backends"]["tunnelled"] == 0')" = True
expect "new flows were new to the dataplane" test $(($(counter conn_created) - created)) -ge 230
measures "a SYN flood beside it" flood "${common[@]}" --target 10.1.0.80:80 --beside syn --beside-rate 5000
expect "the flood was sent and is in no count of the stream" \
	test "$(doc '(n := a["trials"][0]["counts"])["beside"] > 1000 and n["received"] == n["offered"] == 500')" = True
bad=$(counter bad_ip_checksum)
measures "garbage beside it" flood "${common[@]}" --target 10.1.0.80:80 --beside garbage --beside-rate 4000
expect "a quarter of it has a wrong checksum" test $(($(counter bad_ip_checksum) - bad)) -gt 250
measures "TCP over IPv6 through GUE" flood --port "$memif" --target "[fd00:1::80]:80" --client fd00:1::1:0/112 --own fd00:1::64:0/112 \
	--proto tcp --size 128 --rate 1000 --seconds 0.5 --rxd 1024 --warm-up 0.1 --flows 100
expect "through the tunnel" test "$(doc '(t := a["trials"][0])["backends"]["tunnelled"] == t["counts"]["received"] > 0')" = True

say "a cache"
measures "gets and sets of values of 10 to 300 bytes" "${cache[@]}" --keys 3000 --value 10-300 --set 30
expect "every answer was right, and every get a hit" test "$(doc '(n := (t := a["trials"][0])["answers"])["wrong"] + n["refused"] + n["misses"] == 0
	and n["hits"] + n["stored"] == t["counts"]["received"] > 0 and n["stored"] > 75')" = True
measures "keys that nobody stored, and others later" "${cache[@]}" --keys 6000 --value 10-300 --no-load --zipf 0 --shift 0.2
expect "half of them missed" test "$(doc '(n := a["trials"][0]["answers"])["misses"] > 75 and n["hits"] > 75 and n["wrong"] == 0')" = True
refuses "values that are others'" 1 "were wrong" "${cache[@]}" --keys 3000 --value 20-200 --no-load

for depth in 1 16; do
	conns=$(t_cli -o json tcp show | t_json 'a["items"][0]["conns_total"]')
	measures "over TCP, $depth at a time" cache-tcp "${cache[@]:1}" --flows 50 --depth $depth --keys 3000 --value 10-300 --set 30
	expect "every answer was right, and every get a hit" test "$(doc '(n := (t := a["trials"][0])["answers"])["wrong"] + n["refused"] + n["misses"] == 0
		and n["hits"] + n["stored"] == t["counts"]["received"] == 500')" = True
	expect "no connection broke, and no segment was wrong" test "$(doc '(t := a["trials"][0]["tcp"])["resets"] + t["closed"] + t["bad_checksum"]
		+ t["bad_header"] + t["unacceptable"]')" = 0
	expect "fifty connections were opened" test $(($(t_cli -o json tcp show | t_json 'a["items"][0]["conns_total"]') - conns)) = 50
done

conns=$(t_cli -o json tcp show | t_json 'a["items"][0]["conns_total"]')
measures "over TCP, a connection for each" cache-tcp "${cache[@]:1}" --flows 400 --once --keys 500 --deadline-ms 5000
expect "every get was a hit" test "$(doc '(n := (t := a["trials"][0])["answers"])["hits"] == t["counts"]["received"] == 500')" = True
expect "the generator knows of them" test "$(doc '(t := a["trials"][0]["tcp"])["opened"] >= 500 and t["resets"] + t["closed"] == 0')" = True
expect "as many connections were opened" test $(($(t_cli -o json tcp show | t_json 'a["items"][0]["conns_total"]') - conns)) -ge 500

say "trials that are thrown away"
spin() { # nobody's CPU: two of these want the same one
	exec taskset -c "$1" timeout 60 python3 -c 'while True: pass'
}
cpu=$(taskset -pc $$ | sed 's/.*: //; s/[-,].*//')
spin "$cpu" &
T_PIDS+=($!)
spin "$cpu" &
T_PIDS+=($!)
child_of() { tr -d ' ' <"/proc/$1/task/$1/children" >"$T_DIR/watched" && [ -s "$T_DIR/watched" ]; }
t_wait 10 "a thread to watch" child_of $!
refuses "a target that has to wait for its CPU" 3 "too many trials were thrown away" flood "${common[@]}" --target 10.1.0.80:80 \
	--watch-pid "$T_DIR/watched" --void-max 2
expect "three of them" test "$(doc 'a["trials_voided"]["target"]')" = 3
expect "and none counts" test "$(doc 'a["trials_counted"]')" = 0
kill "${T_PIDS[-1]}" "${T_PIDS[-2]}"
refuses "nobody to watch" 1 "--watch-pid" flood "${common[@]}" --target 10.1.0.80:80 --watch-pid "$T_DIR/nobody"

say "nothing to measure"
refuses "TCP to a port where nobody listens" 1 "do not open" cache-tcp "${cache[@]:1}" --flows 50 --target 10.5.0.80:11212 --wait 1
refuses "an address that nobody has" 1 "nobody answered ARP" flood "${common[@]}" --target 10.1.7.7:80 --wait 1
refuses "backends that are not there" 1 "nothing came back" flood "${common[@]}" --target 10.1.0.82:80 --wait 1
refuses "a service that is not there" 1 "nothing came back" flood "${common[@]}" --target 10.1.0.80:81 --wait 1
refuses "a generator that is too slow" 3 "the generator is the bottleneck" flood "${common[@]}" --target 10.1.0.80:80 --late-us 100 --rate 900M
rm "$T_DIR/said" # what the run before said is not this one's
"$bench" flood "${common[@]}" --target 10.1.0.80:80 --no-huge --late-us 10000000 --seconds 20 >"$T_DIR/table" 2>"$T_DIR/said" &
T_PIDS+=($!)
t_wait 20 "the run" grep -q "flood: 1 s" "$T_DIR/said"
kill -TERM $!
rc=0
wait $! || rc=$?
expect "a run that was stopped" test "$rc" = 1
expect "has no figure" test ! -s "$T_DIR/table"
expect "and says so" grep -q "stopped by a signal: no figure" "$T_DIR/said"
expect "the dataplane is still there" kill -0 "$(t_pid millraced)"
