#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# memcached.sh — memcached over UDP or TCP: stock memcached, Redis (over TCP) and Millrace in turn, behind the same veth pair, asked by
# the same client.
# perf/README.md says what the tables mean. Needs root.
set -eu

usage() {
	cat <<-EOT
		usage: perf/compare/memcached.sh udp|tcp BUILD_DIR [OPTION...] [-- CLIENT_OPTION...]

		  --rounds N       5: of each server, in turn
		  --seconds N      2: of each measurement
		  --test NAMES     "windows rate" over UDP, "pipeline one rate" over TCP, or some of them
		  --rate NUMBERS   20000: of the test rate, requests a second; several in quotes
		  --only NAMES     such as memcached, or "redis millrace"
		  --idle MODE      what the worker does without packets: poll (default) or sleep
		  --json DIR       also writes DIR/memcached-udp.json or -tcp.json
		  --quick          one short round: that it works

		  after --: options of mc_udp_load or mc_tcp_load (--help), such as --value 1000 --set 10 --zipf 0
	EOT
}

T_ID=mrc$$
# shellcheck source=perf/compare/pair.sh
. "$(dirname "$0")/pair.sh"
over=${1:-}
case $over in
udp) peers="memcached millrace" tests="windows rate" service=", allow: [10.1.0.0/24], reply_rate: 4000000KB" ;;
tcp) peers="memcached redis millrace" tests="pipeline one rate" service=", allow: [10.1.0.0/24]" ;;
-h | --help) pair_usage ;;
*) pair_usage "the first word is udp or tcp" ;;
esac
if [ $# -lt 2 ] || [ ! -d "$2" ]; then pair_usage "the second word is a build directory"; fi
T_BUILD=$(realpath "$2")
shift 2
rate=20000
all_tests=$tests
while [ $# -gt 0 ]; do
	if [ "$1" = -- ]; then
		shift
		break
	fi
	pair_option "$@"
	shift $taken
done
load_options=("$@")
pair_numbers
pair_choose test "$tests" "$all_tests"
pair_choose server "$only" "$peers"
[ -z "$only" ] || peers=$only
asked="" # the server that answers now
client=$T_BUILD/perf/compare/mc_${over}_load

ask() { # ask OPTION… : the client, on the first CPU
	local redis=()
	[ "$asked" != redis ] || redis=(--redis)
	t_in client taskset -c 0 "$client" --host $vip "${redis[@]}" "$@"
}

answers() {
	case $over in
	udp) ask --no-load --keys 1 --sockets 1 --window 1 --seconds 0.01 ;;
	tcp) ask --no-load --keys 1 --conns 1 --depth 1 --seconds 0.01 ;;
	esac
}

one() { # one SERVER ROUND : all tests
	local t options
	asked=$1
	"$1_up"
	ask "${load_options[@]}" --load-only 2>"$T_DIR/load" || {
		cat "$T_DIR/load" "$T_DIR/server.log" >&2
		t_die "the keys could not be stored"
	}
	# shellcheck disable=SC2086
	for t in $(expand $tests); do
		case $over-$t in
		udp-windows) options=(--sockets 8 --window 16) ;;
		udp-rate-*) options=(--sockets 8 --window 16 --rate "${t#rate-}") ;;
		tcp-pipeline) options=(--conns 16 --depth 16) ;;
		tcp-one) options=(--conns 64 --depth 1) ;;
		tcp-rate-*) options=(--conns 64 --depth 1 --rate "${t#rate-}") ;;
		esac
		pair_measure "memcached-$over" "$1" "$t" "$2" ask "${options[@]}" "${load_options[@]}" --no-load --seconds "$seconds"
	done
	"$1_down"
}

needs=""
for p in $peers; do
	case $p in
	memcached) needs="$needs memcached" ;;
	redis) needs="$needs redis-server" ;;
	esac
done
[ -x "$client" ] || t_die "there is no $client; build it: ./dev build release compare"
# shellcheck disable=SC2086
pair_begin $needs
: >"$T_DIR/samples"
for p in $peers; do
	case $p in
	memcached) echo "$p: $(memcached -V)" ;;
	redis) echo "$p: $(redis-server --version | sed 's/.*v=\([0-9.]*\).*/Redis \1/')" ;;
	millrace) echo "$p: $("$T_BUILD/dataplane/millraced" --version)" ;;
	esac
done >"$T_DIR/versions"
printf '%s: %s\n' over "$over" rounds "$rounds" seconds "$seconds" tests "$tests" rate "$rate" idle "$idle" client_options "${load_options[*]}" client_cpu 0 \
	server_cpu 1 >"$T_DIR/config"
pair_head
sed 's/^/  /' "$T_DIR/versions"
for ((round = 1; round <= rounds; round++)); do
	# shellcheck disable=SC2086
	for peer in $(in_turn "$round" $peers); do
		one "$peer" "$round"
	done
done
pair_report "memcached-$over"
