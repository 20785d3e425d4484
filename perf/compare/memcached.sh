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

here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 2 ] || [ ! -d "$2" ]; then usage; fi
over=$1
case $over in
udp) servers="memcached millrace" rate=", reply_rate: 4000000KB" ;;
tcp) servers="memcached redis millrace" rate="" ;;
*) usage ;;
esac
T_BUILD=$(realpath "$2")
shift 2
rounds=3
seconds=5
idle=poll
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

T_ID=mrc$$
# shellcheck source=tests/system/topology.sh
. "$here/../../tests/system/topology.sh"
T_NS="client mr"
client=$T_BUILD/perf/compare/mc_${over}_load
vip=10.1.0.80

[ "$(id -u)" = 0 ] || t_die "network namespaces need root"
[ -x "$client" ] || t_die "there is no $client; build it: ./dev build release"
missing=""
command -v memcached >/dev/null || missing="$missing memcached"
case $servers in *redis*) command -v redis-server >/dev/null || missing="$missing redis-server" ;; esac
command -v ethtool >/dev/null || missing="$missing ethtool"
command -v ip >/dev/null || missing="$missing iproute2"
[ -z "$missing" ] || t_die "missing packages; as root: apt-get install --no-install-recommends$missing"
[ "$(nproc)" -ge 2 ] || t_die "server and client need a CPU each; there is one"

T_DIR=$(mktemp -d)
trap 't_cleanup; rm -rf "$T_DIR"' EXIT
trap 'exit 130' INT TERM

network() {
	for ns in $T_NS; do
		ip netns add "$T_ID-$ns"
		t_in "$ns" ip link set lo up
		t_in "$ns" sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.core.rmem_max=8388608 2>/dev/null || true
	done
	t_link mr mr-n client eth0
	t_in client ip addr add 10.1.0.10/24 dev eth0
}

ask() { # ask OPTION… : the client, on the first CPU
	local redis=()
	[ "$asked" != redis ] || redis=(--redis)
	t_in client taskset -c 0 "$client" --host $vip "${redis[@]}" "${load_options[@]}" "$@"
}

# 32-byte values of 100,000 keys need 20 MB in either; large ones what is asked for
memcached_up() {
	t_in mr ip addr add $vip/24 dev mr-n
	if [ $over = udp ]; then
		t_spawn server mr taskset -c 1 memcached -u nobody -l $vip -U 11211 -t 1 -m 256
	else
		t_spawn server mr taskset -c 1 memcached -u nobody -l $vip -t 1 -m 256 -c 20000
	fi
	t_wait 10 "memcached" answers
}

redis_up() {
	t_in mr ip addr add $vip/24 dev mr-n
	t_spawn server mr taskset -c 1 redis-server --bind $vip --port 11211 --protected-mode no --save "" --appendonly no \
		--maxclients 20000 --dir "$T_DIR"
	t_wait 10 "Redis" answers
}

memcached_down() {
	t_stop server
	t_in mr ip addr flush dev mr-n
}

redis_down() { memcached_down; }

millrace_up() {
	cat >"$T_DIR/millrace.yaml" <<-EOF
		version: 1
		network:
		  ports:
		    north: { addresses: [10.1.0.1/24] }
		caches:
		  hot: { memory: 256MB }
		services:
		  memcached: { kind: cache, vip: $vip, port: 11211, proto: $over, cache: hot, allow: [10.1.0.0/24]$rate }
	EOF
	: >"$T_DIR/server.log"
	# shellcheck disable=SC2046
	t_spawn server mr "$T_BUILD/dataplane/millraced" --port "north=net_af_xdp0,iface=mr-n" --workers 1 \
		--cpus 0,1 --idle "$idle" $(t_memory) --conns 1024 --conns6 1024 --cache-memory 512 \
		--socket "$T_DIR/dataplane.sock"
	t_wait 30 "millraced" grep -q ready "$T_DIR/server.log" || log_of server
	rm -rf "$T_DIR/state"
	t_controld "$T_DIR/millrace.yaml"
	t_wait 15 "the configuration" t_in_sync || log_of controld
	t_wait 10 "Millrace" answers || log_of server
}

millrace_down() {
	t_stop controld
	t_stop server
}

log_of() {
	cat "$T_DIR/$1.log" >&2
	t_die "Millrace does not serve; its log is above"
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
	t_in client ip neigh flush dev eth0
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

median() { # median SERVER COLUMN
	awk -v s="$1" -v c="$2" '$1 == s { print $c }' "$T_DIR/results" | sort -g | awk '{ v[NR] = $1 }
		END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

network
: >"$T_DIR/results"
echo "$(memcached -V) and $("$T_BUILD/dataplane/millraced" --version); $(nproc) CPUs," \
	"$(awk -F ': *' '/^model name/ { print $2; exit }' /proc/cpuinfo); load $(cut -d ' ' -f 1-3 /proc/loadavg)"
printf '%98s\n' "CPU us/request"
printf '%-10s %6s %11s %8s %8s %7s %7s %7s %8s %8s %8s\n' server round requests/s "p50 us" "p99 us" lost misses refused user system both
for ((round = 1; round <= rounds; round++)); do
	for server in $servers; do
		one "$server" "$round"
	done
done
for server in $servers; do
	printf '%-10s %6s %11d %8.1f %8.1f %7s %7s %7s %8.3f %8.3f %8.3f\n' "$server" median "$(median "$server" 3)" \
		"$(median "$server" 4)" "$(median "$server" 5)" "" "" "" "$(median "$server" 9)" "$(median "$server" 10)" "$(median "$server" 11)"
done
for server in $servers; do
	case " $servers " in *" millrace "*) ;; *) break ;; esac
	[ "$server" != millrace ] || continue
	awk -v name="$server" -v a="$(median "$server" 3)" -v b="$(median millrace 3)" -v c="$(median "$server" 11)" -v d="$(median millrace 11)" \
		'BEGIN { printf "Millrace / %s: %.2f times the requests, %.2f of the CPU time\n", name, b / a, d / c }'
done
echo "load $(cut -d ' ' -f 1-3 /proc/loadavg) at the end"
