#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# memcached.sh — memcached over UDP or TCP: stock memcached, Redis (over TCP) and Millrace in turn, behind the same veth pair, asked by
# the same client.
# perf/README.md says what the table means. Needs root.
set -eu

usage() {
	cat >&2 <<-EOF
		usage: perf/compare/memcached.sh udp|tcp BUILD_DIR [OPTION...] [-- CLIENT_OPTION...]

		  --rounds N       3: of each server, in turn
		  --seconds N      5: of each run
		  --only NAMES     such as memcached, or "redis millrace"
		  --idle MODE      what the worker does without packets: poll (default) or sleep

		  after --: options of mc_udp_load or mc_tcp_load (--help), such as --value 1000 --set 10 --zipf 0
	EOF
	exit 2
}

if [ $# -lt 2 ] || [ ! -d "$2" ]; then usage; fi
case $1 in udp | tcp) ;; *) usage ;; esac
T_ID=mrc$$
T_BUILD=$(realpath "$2")
# shellcheck source=perf/compare/pair.sh
. "$(dirname "$0")/pair.sh"
over=$1
case $over in
udp) servers="memcached millrace" service=", allow: [10.1.0.0/24], reply_rate: 4000000KB" ;;
tcp) servers="memcached redis millrace" service=", allow: [10.1.0.0/24]" ;;
esac
shift 2
rounds=3
seconds=5
while [ $# -gt 0 ]; do
	case $1 in
	--rounds) rounds=$2 && shift 2 ;;
	--seconds) seconds=$2 && shift 2 ;;
	--only) servers=$2 && shift 2 ;;
	--idle) idle=$2 && shift 2 ;;
	--) shift && break ;;
	*) usage ;;
	esac
done
load_options=("$@")
asked="" # the server that answers now
client=$T_BUILD/perf/compare/mc_${over}_load

ask() { # ask OPTION… : the client, on the first CPU
	local redis=()
	[ "$asked" != redis ] || redis=(--redis)
	t_in client taskset -c 0 "$client" --host $vip "${redis[@]}" "${load_options[@]}" "$@"
}

answers() {
	case $over in
	udp) ask --no-load --keys 1 --sockets 1 --window 1 --seconds 0.01 ;;
	tcp) ask --no-load --keys 1 --conns 1 --depth 1 --seconds 0.01 ;;
	esac
}

ticks() { # CPU time of the server, all threads, user and system, in the clock's ticks
	sed 's/.*) //' "/proc/$(t_pid server)/stat" | awk '{ print $12, $13 }'
}

one() { # one SERVER ROUND : a line of the table, and one of the results
	local user system user_end system_end
	asked=$1
	"$1_up"
	ask --load-only 2>"$T_DIR/load" || {
		cat "$T_DIR/load" "$T_DIR/server.log" >&2
		t_die "the keys could not be stored"
	}
	read -r user system < <(ticks)
	ask --no-load --seconds "$seconds" --json >"$T_DIR/result"
	read -r user_end system_end < <(ticks)
	"$1_down"
	t_json '"%s %s %d %.1f %.1f %d %d %d " % (*sys.argv[1:3], a["per_second"], a["p50_us"], a["p99_us"],
		a.get("lost", 0), a["misses"], a.get("refused", 0)) + " ".join("%.3f" % (int(t) * 1e6 / int(sys.argv[3]) / a["requests"]) for t in sys.argv[4:])' \
		"$1" "$2" "$(getconf CLK_TCK)" $((user_end - user)) $((system_end - system)) \
		$((user_end - user + system_end - system)) <"$T_DIR/result" >>"$T_DIR/results"
	tail -n 1 "$T_DIR/results" | awk '{ printf "%-10s %6s %11d %8.1f %8.1f %7d %7d %7d %8.3f %8.3f %8.3f\n",
		$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 }'
}

middle() { # middle SERVER COLUMN
	awk -v s="$1" -v c="$2" '$1 == s { print $c }' "$T_DIR/results" | median
}

needs=memcached
case $servers in *redis*) needs="$needs redis-server" ;; esac
[ -x "$client" ] || t_die "there is no $client; build it: ./dev build release"
# shellcheck disable=SC2086
pair_begin $needs
: >"$T_DIR/results"
pair_head
printf '%98s\n' "CPU us/request"
printf '%-10s %6s %11s %8s %8s %7s %7s %7s %8s %8s %8s\n' server round requests/s "p50 us" "p99 us" lost misses refused user system both
for ((round = 1; round <= rounds; round++)); do
	for server in $servers; do
		one "$server" "$round"
	done
done
for server in $servers; do
	printf '%-10s %6s %11.0f %8.1f %8.1f %7s %7s %7s %8.3f %8.3f %8.3f\n' "$server" median "$(middle "$server" 3)" \
		"$(middle "$server" 4)" "$(middle "$server" 5)" "" "" "" "$(middle "$server" 9)" "$(middle "$server" 10)" "$(middle "$server" 11)"
done
for server in $servers; do
	case " $servers " in *" millrace "*) ;; *) break ;; esac
	[ "$server" != millrace ] || continue
	awk -v name="$server" -v a="$(middle "$server" 3)" -v b="$(middle millrace 3)" -v c="$(middle "$server" 11)" -v d="$(middle millrace 11)" \
		'BEGIN { printf "Millrace / %s: %.2f times the requests, %.2f of the CPU time\n", name, b / a, d / c }'
done
echo "load $(cut -d ' ' -f 1-3 /proc/loadavg) at the end"
