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

here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 1 ] || [ ! -d "$1" ]; then usage; fi
T_BUILD=$(realpath "$1")
shift
rounds=3 seconds=5 conns=1 losses="0 1 10 30" control=cubic
while [ $# -gt 0 ]; do
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

T_ID=mrg$$
# shellcheck source=tests/system/topology.sh
. "$here/../../tests/system/topology.sh"
T_NS="client mr"
vip=10.1.0.80
value=16384

[ "$(id -u)" = 0 ] || t_die "network namespaces need root"
for tool in memcached ethtool nft ip; do
	command -v $tool >/dev/null || t_die "$tool is missing; ./dev deps installs its package"
done
T_DIR=$(mktemp -d)
trap 't_cleanup; rm -rf "$T_DIR"' EXIT
trap 'exit 130' INT TERM

for ns in $T_NS; do
	ip netns add "$T_ID-$ns"
	t_in "$ns" ip link set lo up
	t_in "$ns" sysctl -qw net.ipv6.conf.default.disable_ipv6=1 2>/dev/null || true
done
t_link mr mr-n client eth0
t_in client ip addr add 10.1.0.10/24 dev eth0
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

memcached_up() {
	t_in mr ip addr add $vip/24 dev mr-n
	t_spawn server mr taskset -c 1 memcached -u nobody -l $vip -t 1 -m 256
	t_wait 10 "memcached" answers
}

memcached_down() {
	t_stop server
	t_in mr ip addr flush dev mr-n
}

millrace_up() {
	cat >"$T_DIR/millrace.yaml" <<-EOF
		version: 1
		network:
		  ports:
		    north: { addresses: [10.1.0.1/24] }
		caches:
		  hot: { memory: 256MB }
		services:
		  memcached: { kind: cache, vip: $vip, port: 11211, cache: hot }
	EOF
	: >"$T_DIR/server.log"
	# shellcheck disable=SC2046
	t_spawn server mr "$T_BUILD/dataplane/millraced" --port "north=net_af_xdp0,iface=mr-n" --workers 1 \
		--cpus 0,1 $(t_memory) --conns 1024 --conns6 1024 --cache-memory 512 --socket "$T_DIR/dataplane.sock"
	t_wait 30 "millraced" grep -q ready "$T_DIR/server.log"
	rm -rf "$T_DIR/state"
	t_controld "$T_DIR/millrace.yaml"
	t_wait 15 "the configuration" t_in_sync
	t_wait 10 "Millrace" answers
}

millrace_down() {
	t_stop controld
	t_stop server
}

median() { # median SERVER LOSS
	awk -v s="$1" -v l="$2" '$1 == s && $2 == l { print $3 }' "$T_DIR/results" | sort -g | awk '{ v[NR] = $1 }
		END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

: >"$T_DIR/results"
echo "$(memcached -V), Linux $(uname -r), $control; $("$T_BUILD/dataplane/millraced" --version);" \
	"$conns connections; load $(cut -d ' ' -f 1-3 /proc/loadavg)"
for ((round = 1; round <= rounds; round++)); do
	for server in memcached millrace; do
		t_in client ip neigh flush dev eth0
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
	awk -v l="$loss" -v a="$(median memcached "$loss")" -v b="$(median millrace "$loss")" \
		'BEGIN { printf "%12.1f %12.2f %12.2f %8.2f\n", l / 10, a, b, b / a }'
done
