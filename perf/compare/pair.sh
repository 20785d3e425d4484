# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# pair — a client and a server behind one veth pair, where the server is stock memcached, Redis or Millrace in turn. Sourced by the
# comparisons here, which set T_ID and T_BUILD, may set the following, and have a function `answers`: whether the server does.

over=tcp      # what Millrace's service takes
service=""    # more of its fields, each with a comma before it
idle=poll     # what the worker does without packets
vip=10.1.0.80 # of every server

# shellcheck source=tests/system/topology.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../tests/system/topology.sh"
T_NS="client mr"

pair_begin() { # pair_begin TOOL… : the network; ends with the script
	local tool ns
	[ "$(id -u)" = 0 ] || t_die "network namespaces need root"
	for tool in "$@" ethtool ip; do
		command -v "$tool" >/dev/null || t_die "$tool is missing; ./dev deps installs what Millrace needs; redis-server is a package of that name"
	done
	[ "$(nproc)" -ge 2 ] || t_die "server and client need a CPU each; there is one"
	T_DIR=$(mktemp -d)
	trap 't_cleanup; rm -rf "$T_DIR"' EXIT
	trap 'exit 130' INT TERM
	for ns in $T_NS; do
		ip netns add "$T_ID-$ns"
		t_in "$ns" ip link set lo up
		t_in "$ns" sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.core.rmem_max=8388608 2>/dev/null || true
	done
	t_link mr mr-n client eth0
	t_in client ip addr add 10.1.0.10/24 dev eth0
}

pair_head() { # what is compared, and where
	echo "$(memcached -V), Linux $(uname -r) and $("$T_BUILD/dataplane/millraced" --version); $(nproc) CPUs," \
		"$(awk -F ': *' '/^model name/ { print $2; exit }' /proc/cpuinfo); load $(cut -d ' ' -f 1-3 /proc/loadavg)"
}

median() { # of numbers on standard input
	sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

log_of() {
	cat "$T_DIR/$1.log" >&2
	t_die "Millrace does not serve; its log is above"
}

# --- NAME_up [OPTION…] and NAME_down; 32-byte values of 100,000 keys need 20 MB, large ones what is asked for

memcached_up() {
	local udp=()
	[ "$over" = tcp ] || udp=(-U 11211)
	t_in client ip neigh flush dev eth0
	t_in mr ip addr add $vip/24 dev mr-n
	t_spawn server mr taskset -c 1 memcached -u nobody -l $vip "${udp[@]}" -t 1 -m 256 -c 20000 "$@"
	t_wait 10 "memcached" answers
}

memcached_down() {
	t_stop server
	t_in mr ip addr flush dev mr-n
}

redis_up() {
	t_in client ip neigh flush dev eth0
	t_in mr ip addr add $vip/24 dev mr-n
	t_spawn server mr taskset -c 1 redis-server --bind $vip --port 11211 --protected-mode no --save "" --appendonly no \
		--maxclients 20000 --dir "$T_DIR" "$@"
	t_wait 10 "Redis" answers
}

redis_down() { memcached_down; }

millrace_up() {
	t_in client ip neigh flush dev eth0
	cat >"$T_DIR/millrace.yaml" <<-EOF
		version: 1
		network:
		  ports:
		    north: { addresses: [10.1.0.1/24] }
		caches:
		  hot: { memory: 256MB }
		services:
		  memcached: { kind: cache, vip: $vip, port: 11211, proto: $over, cache: hot$service }
	EOF
	: >"$T_DIR/server.log"
	# shellcheck disable=SC2046
	t_spawn server mr "$T_BUILD/dataplane/millraced" --port "north=net_af_xdp0,iface=mr-n" --workers 1 \
		--cpus 0,1 --idle "$idle" $(t_memory) --conns 1024 --conns6 1024 --cache-memory 512 \
		--socket "$T_DIR/dataplane.sock" "$@"
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
