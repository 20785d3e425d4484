# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# topology — the little network that `./dev run` and the system tests share, and what runs in it.
#
#   client ──── north ── [ mr: millraced, controld ] ── south ──── fab ─┬─ web1  10.2.0.11
#   10.1.0.10   10.1.0.0/24                            10.2.0.0/24      ├─ web2  10.2.0.12
#   fd00:1::10  fd00:1::/64                            fd00:2::/64      ├─ web3  10.2.0.13
#        └───────────── 10.2.0.254, the way back of direct return ──────┘
#
# Every namespace is named $T_ID-NAME; every process is started by t_spawn, which remembers its pid.
# t_cleanup ends all of it. Needs root. Sourced, not run: the caller sets T_ID, T_DIR and T_BUILD.

T_PIDS=()
T_DRIVER=net_af_xdp
T_PYTHON=/usr/bin/python3 # the one that has scapy
T_TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/system/hugepages.sh
. "$T_TOOLS/hugepages.sh"
T_NS="client mr fab web1 web2 web3"

t_die() {
	echo "error: $*" >&2
	exit 1
}

t_in() { # t_in NAMESPACE COMMAND… : runs the command there
	local ns=$1
	shift
	ip netns exec "$T_ID-$ns" "$@"
}

t_spawn() { # t_spawn NAME NAMESPACE COMMAND… : in the background, output to T_DIR/NAME.log
	local name=$1 ns=$2
	shift 2
	ip netns exec "$T_ID-$ns" "$@" >>"$T_DIR/$name.log" 2>&1 </dev/null &
	T_PIDS+=($!)
	echo $! >"$T_DIR/$name.pid"
}

t_pid() { cat "$T_DIR/$1.pid"; }

t_stop() { # t_stop NAME [SIGNAL] : ends what t_spawn NAME started, and waits for it
	local pid
	pid=$(t_pid "$1")
	kill "-${2:-TERM}" "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

t_wait() { # t_wait SECONDS WHAT COMMAND… : until the command succeeds
	local limit=$1 what=$2 start=$SECONDS
	shift 2
	until "$@" >/dev/null 2>&1; do
		[ $((SECONDS - start)) -lt "$limit" ] || {
			echo "error: waited $limit s for $what" >&2
			return 1
		}
		sleep 0.05
	done
}

t_cleanup() { # ends every process of t_spawn and in T_PIDS, last first, and removes the namespaces
	local pid ns i
	for ((i = ${#T_PIDS[@]} - 1; i >= 0; i--)); do
		kill -TERM "${T_PIDS[i]}" 2>/dev/null || true
	done
	for pid in "${T_PIDS[@]}"; do
		for ((i = 0; i < 60; i++)); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.05
		done
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	for ns in $T_NS; do
		# shellcheck disable=SC2046 # a shell in there may have started more
		kill -KILL $(ip netns pids "$T_ID-$ns" 2>/dev/null) 2>/dev/null || true
		ip netns del "$T_ID-$ns" 2>/dev/null || true
	done
}

t_plain() { # t_plain NAMESPACE INTERFACE : whole checksums and no super-frames, as AF_XDP needs
	t_in "$1" ethtool -K "$2" tx off rx off tso off gso off gro off >/dev/null 2>&1 || true
	t_in "$1" ip link set "$2" up
}

t_link() { # t_link NS1 IF1 NS2 IF2 : a veth pair between two namespaces, one queue each way
	ip link add "$2" netns "$T_ID-$1" numtxqueues 1 numrxqueues 1 type veth \
		peer name "$4" netns "$T_ID-$3" numtxqueues 1 numrxqueues 1
	t_plain "$1" "$2"
	t_plain "$3" "$4"
}

t_network() {
	local ns n
	for ns in $T_NS; do
		ip netns add "$T_ID-$ns"
		t_in "$ns" ip link set lo up
		t_in "$ns" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
			net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
			net.ipv6.conf.default.router_solicitations=0
	done
	t_in mr sysctl -qw net.ipv6.conf.default.disable_ipv6=1 # the ports; the kernel side is put back below
	t_link mr mr-n client eth0
	t_link mr mr-s fab south
	t_in mr sysctl -qw net.ipv6.conf.default.disable_ipv6=0
	t_in client ip addr add 10.1.0.10/24 dev eth0
	t_in client ip addr add fd00:1::10/64 dev eth0 nodad
	t_in fab ip link add br0 type bridge
	t_in fab ip link set br0 up
	t_in fab ip link set south master br0
	t_link client ret0 fab ret0
	t_in fab ip link set ret0 master br0
	t_in client ip addr add 10.2.0.254/24 dev ret0
	t_in client ip addr add fd00:2::fe/64 dev ret0 nodad
	# many short connections from few addresses
	t_in client sysctl -qw net.ipv4.ip_local_port_range="1024 65000" net.ipv4.tcp_tw_reuse=1
	for n in 1 2 3; do
		t_link "web$n" eth0 fab "web$n"
		t_in fab ip link set "web$n" master br0
		t_in "web$n" ip addr add "10.2.0.1$n/24" dev eth0
		t_in "web$n" ip addr add "fd00:2::1$n/64" dev eth0 nodad
		t_in "web$n" ip route add 10.1.0.0/24 via 10.2.0.254
		t_in "web$n" ip -6 route add fd00:1::/64 via fd00:2::fe
		# direct return: the VIPs live on lo and answer no ARP
		t_in "web$n" sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
		t_in "web$n" ip addr add 10.1.0.90/32 dev lo
		t_in "web$n" ip addr add fd00:1::90/128 dev lo nodad
	done
	# what the dataplane's SNAT addresses send is answered to the dataplane, on the bridge
	for n in 1 2 3; do
		t_in "web$n" sysctl -qw net.core.somaxconn=4096
	done
}

t_nginx() { # t_nginx N : a real web server in webN, port 8080
	local n=$1 dir=$T_DIR/web$1
	mkdir -p "$dir/www"
	[ -e "$dir/www/big" ] || head -c $T_BIG_BYTES /dev/urandom >"$dir/www/big"
	cat >"$dir/nginx.conf" <<-EOF
		daemon off;
		master_process off; # one process: killing it kills the server
		user root; # the files are in a directory of root alone
		pid $dir/nginx.pid;
		error_log $dir/error.log;
		events { worker_connections 8192; }
		http {
		    access_log off;
		    client_body_temp_path $dir/body;
		    proxy_temp_path $dir/proxy;
		    fastcgi_temp_path $dir/fastcgi;
		    uwsgi_temp_path $dir/uwsgi;
		    scgi_temp_path $dir/scgi;
		    server {
		        listen 8080 backlog=4096;
		        listen [::]:8080 backlog=4096;
		        add_header X-Backend web$n;
		        client_max_body_size 100m;
		        location = /health { return 200 "ok\n"; }
		        location = / { return 200 "web$n\n"; }
		        location = /client { return 200 "\$remote_addr\n"; }
		        location = /put {
		            proxy_pass http://127.0.0.1:8080/health;
		            add_header X-Got \$request_length;
		        }
		        location = /big { root $dir/www; }
		    }
		}
	EOF
	t_spawn "web$n" "web$n" nginx -p "$dir" -c "$dir/nginx.conf" -e "$dir/error.log"
	t_wait 30 "nginx $n" t_in "web$n" curl -sf -o /dev/null http://127.0.0.1:8080/health
}

t_memory() { # options for millraced: hugepages when 300 MB of them are free
	[ "$(hugepages_free)" -ge 160 ] || echo --no-huge
}

t_dataplane() { # t_dataplane [OPTIONS…] : millraced on the two veth ports, with the driver in T_DRIVER
	: >"$T_DIR/millraced.log"
	# shellcheck disable=SC2046
	t_spawn millraced mr "$T_BUILD/dataplane/millraced" --port "north=${T_DRIVER}0,iface=mr-n" \
		--port "south=${T_DRIVER}1,iface=mr-s" --workers 1 --idle sleep $(t_memory) \
		--conns 65536 --conns6 65536 --cache-memory 32 --tcp-conns 4096 --tcp-buffers 8192 --socket "$T_DIR/dataplane.sock" "$@"
	t_wait 30 "millraced" grep -q "ready" "$T_DIR/millraced.log" || {
		cat "$T_DIR/millraced.log" >&2
		return 1
	}
}

t_controld() { # t_controld CONFIG [OPTION…]
	t_spawn controld mr "$T_BUILD/control/daemon/millrace-controld" --config "$1" \
		--state-dir "$T_DIR/state" --socket "$T_DIR/control.sock" --dataplane "$T_DIR/dataplane.sock" \
		"${@:2}"
	t_wait 30 "millrace-controld" t_cli status || {
		cat "$T_DIR/controld.log" >&2
		return 1
	}
}

t_cli() { # the CLI
	"$T_BUILD/control/cli/millrace" -s "$T_DIR/control.sock" "$@"
}

t_healthy() { # t_healthy SERVICE N [SECONDS] : waits until N backends of the service are up
	t_cli --timeout "${3:-15}s" wait healthy "$1" "$2"
}

t_curl() { # t_curl URL… : one request from the client
	t_in client curl -sSf --max-time 5 "$@"
}

t_json() { # t_json PYTHON [ARGUMENT…] : value of an expression over the JSON document `a` on standard input
	$T_PYTHON -c "import json, sys; a = json.load(sys.stdin); print($1)" "${@:2}"
}

t_status() { t_cli -o json status | t_json "a['items'][0]$1"; } # t_status "['dataplane']['generation']"

t_in_sync() { [ "$(t_status "['dataplane']['in_sync']")" = True ]; }

t_is_state() { # t_is_state POOL/NAME STATE : the effective state of the backend
	[ "$(t_cli -o json backend show "$1" | t_json 'a["items"][0]["effective"]["state"]')" = "$2" ]
}

t_load() { # t_load NAME HOST PORT ARGUMENT… : load.py; its report goes to T_DIR/NAME.json
	t_in client $T_PYTHON "$T_TOOLS/load.py" "${@:2}" >"$T_DIR/$1.json" || t_die "load.py failed"
}

t_load_begin() { # t_load_begin NAME HOST PORT : the same in the background until t_load_end
	rm -f "$T_DIR/$1.end"
	ip netns exec "$T_ID-client" $T_PYTHON "$T_TOOLS/load.py" --concurrency 20 "${@:2}" --until "$T_DIR/$1.end" \
		>"$T_DIR/$1.json" &
	T_PIDS+=($!)
	echo $! >"$T_DIR/$1.load"
	t_wait 30 "the first connections of the load" t_has_conns
}

t_has_conns() { [ "$(t_status "['dataplane']['conns']")" -gt 0 ]; }

t_load_end() { # t_load_end NAME
	: >"$T_DIR/$1.end"
	wait "$(cat "$T_DIR/$1.load")" || t_die "load.py failed"
}

t_report() { # t_report NAME EXPRESSION : a value of the load's report
	t_json "$2" <"$T_DIR/$1.json"
}

t_report_text() { # t_report_text NAME
	t_report "$1" '"%d requests, %d failed%s, answered by %s" % (a["requests"], a["failed"],
		" %s" % a["reasons"] if a["failed"] else "",
		", ".join("%s %d" % b for b in a["backends"].items()))'
}

t_holder() { # name of the backend that holds the first established connection of the service, or nothing
	t_cli -o json conn show --service "${1:-shop}" --state established \
		| t_json '"".join(c["backend"].split("/")[1] for c in a["items"][:1])'
}

t_is_held() { [ -n "$(t_holder "$@")" ]; }

T_BIG_BYTES=24000000

t_download() { # t_download NAME SERVICE HOST PORT : of 24 MB, in the background, begun when this returns
	rm -f "$T_DIR/$1.end"
	ip netns exec "$T_ID-client" $T_PYTHON "$T_TOOLS/download.py" "$3" "$4" /big "$T_DIR/$1.big" \
		"$T_DIR/$1.end" 2>"$T_DIR/$1.log" &
	T_PIDS+=($!)
	echo $! >"$T_DIR/$1.download"
	t_wait 30 "the download to begin" t_is_held "$2"
}

t_download_goes_on() { kill -0 "$(cat "$T_DIR/$1.download")" 2>/dev/null; }

t_download_end() { # t_download_end NAME : lets it run to its end; fails when it broke or is not whole
	t_download_goes_on "$1" || return 1
	: >"$T_DIR/$1.end"
	wait "$(cat "$T_DIR/$1.download")" && [ "$(stat -c %s "$T_DIR/$1.big")" = $T_BIG_BYTES ]
}
