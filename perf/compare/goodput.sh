#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# goodput.sh — values over TCP where packets are lost: stock memcached on Linux's TCP and Millrace on its own, in turn, behind the same veth
# pair, to the same client. perf/README.md says what the table means. Needs root.
set -eu

usage() {
	cat >&2 <<-EOF
		usage: perf/compare/goodput.sh BUILD_DIR [--rounds N] [--seconds N] [--conns N] [--loss "PER_MILLE..."] [--control NAME]

		defaults: 3 rounds of 5 seconds, 1 connection, loss of 0 1 10 30 packets of a thousand, each way; Linux controls congestion with cubic
	EOF
	exit 2
}

if [ $# -lt 1 ] || [ ! -d "$1" ]; then usage; fi
T_ID=mrg$$
T_BUILD=$(realpath "$1")
# shellcheck source=perf/compare/pair.sh
. "$(dirname "$0")/pair.sh"
shift
rounds=3 seconds=5 conns=1 losses="0 1 10 30" control=cubic
while [ $# -gt 0 ]; do
	[ $# -ge 2 ] || usage
	case $1 in
	--rounds) rounds=$2 ;;
	--seconds) seconds=$2 ;;
	--conns) conns=$2 ;;
	--loss) losses=$2 ;;
	--control) control=$2 ;;
	*) usage ;;
	esac
	shift 2
done
pair_numbers

value=16384

pair_begin memcached nft
# packets are what is lost, not 64 KB at a time
for end in "mr mr-n" "client eth0"; do
	# shellcheck disable=SC2086
	t_in ${end% *} ethtool -K ${end#* } tso off gso off gro off >/dev/null
done

t_in mr sysctl -qw net.ipv4.tcp_congestion_control="$control" 2>/dev/null \
	|| t_die "this host lets no namespace use $control; sysctl -w net.ipv4.tcp_allowed_congestion_control=\"reno $control\", or --control reno"

ask() {
	t_in client taskset -c 0 "$T_BUILD/perf/compare/mc_tcp_load" --host $vip --keys 100 --value $value --zipf 0 --conns "$conns" \
		--depth 128 "$@"
}
answers() { ask --load-only; }

lose() { # lose PER_MILLE
	t_in client nft flush ruleset
	[ "$1" = 0 ] || t_in client nft -f - <<-EOF
		table netdev loss {
			chain in {
				type filter hook ingress device eth0 priority 0
				ip saddr $vip numgen random mod 1000 < $1 drop
			}
		}
		table ip loss {
			chain out {
				type filter hook output priority 0
				ip daddr $vip numgen random mod 1000 < $1 drop
			}
		}
	EOF
}

middle() { # middle SERVER LOSS
	awk -v s="$1" -v l="$2" '$1 == s && $2 == l { print $3 }' "$T_DIR/results" | median
}

: >"$T_DIR/results"
pair_head
echo "Linux controls congestion with $control; $conns connections"
for ((round = 1; round <= rounds; round++)); do
	for server in memcached millrace; do
		"${server}_up"
		for loss in $losses; do
			lose "$loss"
			ask --no-load --seconds "$seconds" --json >"$T_DIR/result"
			lose 0
			t_json '"%s %s %.2f" % (*sys.argv[1:3], a["per_second"] * int(sys.argv[3]) / 1e6)' $server "$loss" $value \
				<"$T_DIR/result" >>"$T_DIR/results"
		done
		"${server}_down"
	done
done
printf '%12s %12s %12s %8s   MB/s of values, median of %d\n' "loss, %" memcached Millrace ratio "$rounds"
for loss in $losses; do
	awk -v l="$loss" -v a="$(middle memcached "$loss")" -v b="$(middle millrace "$loss")" \
		'BEGIN { printf "%12.1f %12.2f %12.2f %8.2f\n", l / 10, a, b, b / a }'
done
