#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# balancer.sh — HAProxy in TCP mode, nginx stream and Millrace in turn, between the same client and the same backends, over the same veth
# pairs. perf/README.md says what the tables mean. Needs root.
#
#   client ──── mr-n [ mr: the balancer, CPU 1 ] mr-s ──── back: lb_server, 10.2.0.11, .12, .13
#   10.1.0.10 .. .13                                         │
#        └────────────────── ret0, the way back of direct return ──┘
set -eu

usage() {
	cat <<-EOT
		usage: perf/compare/balancer.sh BUILD_DIR [OPTION...]

		  --rounds N       5: of each balancer, in turn
		  --seconds N      2: of each measurement
		  --test NAMES     "requests connections bulk rate" or some of them
		  --rate NUMBERS   10000: of the test rate, requests a second; several in quotes
		  --only NAMES     "haproxy nginx millrace" or some of them
		  --idle MODE      sleep: neither Millrace nor HAProxy polls when there is nothing to do; poll (default)
		  --conns N        64, of the client
		  --json DIR       also writes DIR/balancer.json
		  --quick          one short round: that it works
	EOT
}

T_ID=mrb$$
here=$(dirname "$0")
# shellcheck source=perf/compare/pair.sh
. "$here/pair.sh"
T_NS="client mr back"
peers="haproxy nginx millrace"
tests="requests connections bulk rate"
rate=10000
conns=64
case ${1:-} in -h | --help) pair_usage ;; esac
if [ $# -lt 1 ] || [ ! -d "$1" ]; then pair_usage "the first word is a build directory"; fi
T_BUILD=$(realpath "$1")
shift
while [ $# -gt 0 ]; do
	case $1 in
	--conns)
		[ $# -ge 2 ] || pair_usage "$1 needs a value"
		conns=$2
		taken=2
		;;
	*) pair_option "$@" ;;
	esac
	shift $taken
done
pair_numbers
[[ $conns =~ ^[1-9][0-9]{0,3}$ ]] || pair_usage "--conns $conns: a number from 1 to 9999"
pair_choose test "$tests" "requests connections bulk rate"
pair_choose balancer "$only" "$peers"
[ -z "$only" ] || peers=$only

nginx_module=/usr/lib/nginx/modules/ngx_stream_module.so # of libnginx-mod-stream
vip=10.1.0.80  # of whatever holds both connections or translates
dvip=10.1.0.90 # of direct return
port=8080
bulk_port=8081 # of HAProxy, which has other options for it
backends="10.2.0.11 10.2.0.12 10.2.0.13"
files=$(ulimit -Hn) # of a process
[ "$files" != unlimited ] && [ "$files" -lt 65536 ] || files=65536
ulimit -n "$files"
most=$(((files - 1000) / 2)) # connections, with one to a backend for each
[ "$conns" -le "$most" ] || t_die "--conns $conns: at most $most with $files open files (ulimit -Hn)"
back_cpu=$(($(nproc) > 2 ? 2 : 0))

network() {
	local b
	t_link mr mr-n client eth0
	t_link mr mr-s back eth0
	t_link client ret0 back ret0
	for b in 10 11 12 13; do
		t_in client ip addr add 10.1.0.$b/24 dev eth0
	done
	t_in client ip addr add 10.3.0.1/24 dev ret0
	for b in $backends; do
		t_in back ip addr add "$b/24" dev eth0
	done
	t_in back ip addr add 10.3.0.2/24 dev ret0
	t_in back ip addr add $dvip/32 dev lo # direct return: it is there, and answers no ARP
	t_in back sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
	t_in back ip route add 10.1.0.0/24 via 10.3.0.1
	# many connections that end: as many ports as there are, and soon again
	for b in client mr back; do
		t_in $b sysctl -qw net.ipv4.ip_local_port_range="1024 65000" net.ipv4.tcp_tw_reuse=1 net.core.somaxconn=16384 \
			net.ipv4.tcp_max_syn_backlog=16384 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
	done
	t_in mr sysctl -qw net.ipv4.conf.mr-n.rp_filter=0 net.ipv4.conf.mr-s.rp_filter=0
}

neighbours_anew() {
	t_in client ip neigh flush dev eth0
	t_in back ip neigh flush dev eth0
}

kernel_addresses() { # of the balancers that use Linux's TCP
	neighbours_anew
	t_in mr ip addr add 10.1.0.1/24 dev mr-n
	t_in mr ip addr add $vip/24 dev mr-n
	t_in mr ip addr add 10.2.0.1/24 dev mr-s
}

kernel_down() {
	t_stop server
	t_in mr ip addr flush dev mr-n
	t_in mr ip addr flush dev mr-s
}

offload() { # offload on|off : checksums and 64 KB at a time, as Linux has it by default, at all ends
	local end
	for end in "mr mr-n" "mr mr-s" "client eth0" "back eth0"; do
		# shellcheck disable=SC2086
		t_in ${end% *} ethtool -K ${end#* } tx "$1" rx "$1" sg "$1" tso "$1" gso "$1" gro "$1" >/dev/null
	done
}

load() { # load VIP OPTION… : the client
	t_in client taskset -c 0 "$T_BUILD/perf/compare/lb_load" --host "$1" --port $port "${@:2}"
}

answers() { load $vip --conns 1 --seconds 0.01; }
answers_directly() { load $dvip --conns 1 --seconds 0.01; }

up() { # up NAME : waits until it answers
	t_wait 10 "$1" answers || {
		load $vip --conns 1 --seconds 0.01 >&2 || true
		cat "$T_DIR/server.log" >&2
		t_die "$1 does not balance; what it said is above"
	}
}

haproxy_up() {
	local b s polling=""
	kernel_addresses
	[ "$idle" = sleep ] || polling=busy-polling
	{
		cat <<-EOT
			global
			    nbthread 1
			    maxconn $most
			    tune.bufsize 65536
			    maxpipes 256
			    $polling
			defaults
			    mode tcp
			    balance roundrobin
			    maxconn $most
			    backlog 16384
			    option tcp-smart-connect
			    timeout connect 5s
			    timeout client 60s
			    timeout server 60s
		EOT
		for s in "short $port" "bulk $bulk_port"; do
			echo "listen ${s% *}"
			echo "    bind $vip:${s#* }"
			# halves the CPU time of long answers, but short ones take a fifth more
			[ "${s% *}" = short ] || echo "    option splice-response"
			for b in $backends; do
				echo "    server s${b##*.} $b:$port"
			done
		done
	} >"$T_DIR/haproxy.cfg"
	: >"$T_DIR/server.log"
	t_spawn server mr taskset -c 1 haproxy -db -f "$T_DIR/haproxy.cfg"
	up HAProxy
}

haproxy_down() { kernel_down; }

nginx_up() {
	local b
	kernel_addresses
	{
		cat <<-EOT
			load_module $nginx_module;
			daemon off;
			user root;
			worker_processes 1;
			worker_cpu_affinity 10;
			worker_rlimit_nofile $files;
			pid $T_DIR/nginx.pid;
			error_log $T_DIR/server.log warn;
			events { worker_connections $((files - 50)); multi_accept on; accept_mutex off; }
			stream {
			    access_log off;
			    upstream back {
		EOT
		for b in $backends; do
			echo "        server $b:$port max_fails=0;"
		done
		cat <<-EOT
			    }
			    server {
			        listen $vip:$port reuseport backlog=16384;
			        proxy_pass back;
			        proxy_buffer_size 64k;
			        tcp_nodelay on;
			    }
			}
		EOT
	} >"$T_DIR/nginx.conf"
	: >"$T_DIR/server.log"
	t_spawn server mr taskset -c 1 nginx -p "$T_DIR" -c "$T_DIR/nginx.conf" -e "$T_DIR/server.log"
	up nginx
}

nginx_down() { kernel_down; }

millrace_up() {
	local b
	neighbours_anew
	{
		cat <<-EOT
			version: 1
			network:
			  ports:
			    north: { addresses: [10.1.0.1/24] }
			    south: { addresses: [10.2.0.1/24] }
			  snat: [10.2.0.100-10.2.0.103]
			pools:
			  back:
			    backends:
		EOT
		for b in $backends; do
			echo "      - { name: b${b##*.}, ip: $b, port: $port }"
		done
		cat <<-EOT
			services:
			  nat: { vip: $vip, port: $port, proto: tcp, mode: full-nat, scheduler: rr, pool: back }
			  direct: { vip: $dvip, port: $port, proto: tcp, mode: dsr-l2, scheduler: rr, pool: back }
		EOT
	} >"$T_DIR/millrace.yaml"
	: >"$T_DIR/server.log"
	# shellcheck disable=SC2086
	t_spawn server mr "$T_BUILD/dataplane/millraced" --port north=net_af_xdp0,iface=mr-n --port south=net_af_xdp1,iface=mr-s \
		--workers 1 --cpus 0,1 --idle "$idle" $pair_memory --conns 262144 --conns6 1024 --cache-memory 32 \
		--socket "$T_DIR/dataplane.sock"
	t_wait 30 "millraced" grep -q ready "$T_DIR/server.log" || log_of server
	rm -rf "$T_DIR/state"
	t_controld "$T_DIR/millrace.yaml"
	t_wait 15 "the configuration" t_in_sync || log_of controld
	up Millrace
	t_wait 10 "direct return" answers_directly || log_of server
}

millrace_down() {
	if grep '"peer": "millrace' "$T_DIR/samples" | grep -qv '"errors": 0,'; then
		echo "what Millrace dropped, and why:"
		t_cli drops
	fi
	t_stop controld
	t_stop server
}

measure() { # measure PEER TEST ROUND : a warm-up, and a sample
	local to=$vip options=(--conns "$conns" --from 10.1.0.10 --addresses 4 --patience-ms 5000)
	[ "$1" != millrace-direct ] || to=$dvip
	case $2 in
	requests) ;;
	connections) options+=(--close) ;;
	bulk) options+=(--answer 1000000 --conns 16) ;;
	rate-*) options+=(--rate "${2#rate-}") ;;
	esac
	case $1-$2 in haproxy*-bulk) options+=(--port "$bulk_port") ;; esac
	load $to "${options[@]}" --seconds 0.2 >/dev/null 2>&1 || true # the measurement says what is wrong
	pair_measure balancer "$1" "$2" "$3" load $to "${options[@]}" --seconds "$seconds"
}

one() { # one PEER ROUND : all tests
	local t also=""
	"${1}_up"
	[ "$1" != millrace ] || also=millrace-direct
	# shellcheck disable=SC2086
	for t in $(expand $tests); do
		for p in $1 $also; do
			measure "$p" "$t" "$2"
		done
	done
	case "$1 $tests" in
	millrace*) ;;
	*bulk*)
		offload on
		measure "$1-offload" bulk "$2"
		offload off
		;;
	esac
	"${1}_down"
}

needs=""
case $peers in *haproxy*) needs="$needs haproxy" ;; esac
case $peers in *nginx*) needs="$needs nginx $nginx_module" ;; esac
# shellcheck disable=SC2086
pair_need $needs
for tool in lb_load lb_server; do
	[ -x "$T_BUILD/perf/compare/$tool" ] || t_die "there is no $T_BUILD/perf/compare/$tool; build it: ./dev build release compare"
done
pair_namespaces
network
: >"$T_DIR/samples"
{
	for p in $peers; do
		case $p in
		haproxy) version=$(haproxy -v | sed -n '1s/^HAProxy version \([^ ]*\).*/HAProxy \1/p') ;;
		nginx) version=$(nginx -v 2>&1 | sed 's|.*/|nginx |') ;;
		millrace) version=$("$T_BUILD/dataplane/millraced" --version) ;;
		esac
		echo "$p: $version"
		case $p in
		millrace) echo "millrace-direct: $version, dsr-l2" ;;
		*) echo "$p-offload: $version, Linux's offloads on" ;;
		esac
	done
} >"$T_DIR/versions"
printf '%s: %s\n' rounds "$rounds" seconds "$seconds" tests "$tests" rate "$rate" idle "$idle" conns "$conns" request_bytes 64 answer_bytes 128 \
	bulk_bytes 1000000 backends 3 client_cpu 0 server_cpu 1 backends_cpu "$back_cpu" >"$T_DIR/config"
pair_head
sed 's/^/  /' "$T_DIR/versions"
t_spawn backends back taskset -c "$back_cpu" "$T_BUILD/perf/compare/lb_server" --port $port
t_wait 10 "the backends" grep -q ready "$T_DIR/backends.log" || t_die "the backends do not start: $(cat "$T_DIR/backends.log")"
for ((round = 1; round <= rounds; round++)); do
	# shellcheck disable=SC2086
	for peer in $(in_turn "$round" $peers); do
		one "$peer" "$round"
	done
done
if grep -q "^wrong" "$T_DIR/backends.log"; then
	cat "$T_DIR/backends.log" >&2
	t_die "requests came to the backends that no client sent: no figure"
fi
pair_report balancer
