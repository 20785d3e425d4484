#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# idle.sh — many connections that say nothing: what they cost stock memcached and Millrace, and the clients beside them.
# perf/README.md says what the table means. Needs root.
set -eu

usage() {
	cat >&2 <<-EOF
		usage: perf/compare/idle.sh BUILD_DIR [--conns N] [--rounds N] [--seconds N]

		defaults: 200000 connections, 3 rounds of 3 seconds for each server
	EOF
	exit 2
}

if [ $# -lt 1 ] || [ ! -d "$1" ]; then usage; fi
T_ID=mri$$
T_BUILD=$(realpath "$1")
# shellcheck source=perf/compare/pair.sh
. "$(dirname "$0")/pair.sh"
shift
conns=200000 rounds=3 seconds=3
while [ $# -gt 0 ]; do
	[ $# -ge 2 ] || usage
	case $1 in
	--conns) conns=$2 ;;
	--rounds) rounds=$2 ;;
	--seconds) seconds=$2 ;;
	*) usage ;;
	esac
	shift 2
done
pair_numbers

ask() { t_in client taskset -c 0 "$T_BUILD/perf/compare/mc_tcp_load" --host $vip --conns 20 --depth 1 "$@"; }
answers() { ask --no-load --keys 1 --conns 1 --seconds 0.01; }

rate() { # the clients' requests a second
	ask --no-load --seconds "$seconds" --json | t_json 'round(a["per_second"])'
}

rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$(t_pid server)/status"; }
kernel_kb() { awk '/^Slab/ { print $2 }' /proc/meminfo; }

hold() { # opens them, in the background
	local i=0 left=$conns n
	mkfifo "$T_DIR/hold"
	while [ "$left" -gt 0 ]; do
		n=$((left < per_process ? left : per_process))
		: >"$T_DIR/idle$i.log"
		t_spawn "idle$i" client taskset -c 0 sh -c \
			"exec '$T_BUILD/perf/compare/idle_conns' --host $vip --from 10.1.0.$((100 + i)) --conns $n <'$T_DIR/hold'"
		left=$((left - n)) i=$((i + 1))
	done
	exec 9>"$T_DIR/hold"
	t_wait 300 "$conns connections" are_open || {
		cat "$T_DIR"/idle*.log >&2
		exit 1
	}
}

sum() { cat "$T_DIR"/idle*.log | awk -v what="$1" '$1 == what { n += $2 } END { print n + 0 }'; } # sum opened|answered
slowest() { cat "$T_DIR"/idle*.log | awk '$1 == "opened" && $3 > s { s = $3 } END { print s }'; }
are_open() { [ "$(sum opened)" = "$conns" ]; }

release() { # asks them, and closes them
	local i
	exec 9>&-
	rm "$T_DIR/hold"
	for ((i = 0; i < n_processes; i++)); do
		wait "$(t_pid "idle$i")" || true
	done
}

one() { # one SERVER ROUND [OPTION…] : a line of the table, and one of the results
	local server=$1 round=$2 alone beside rss kernel opened
	shift 2
	"${server}_up" "$@"
	ask --load-only
	alone=$(rate)
	rss=$(rss_kb) kernel=$(kernel_kb)
	hold
	rss=$((($(rss_kb) - rss) * 1024 / conns)) kernel=$((($(kernel_kb) - kernel) * 1024 / conns))
	beside=$(rate)
	opened=$(awk -v n="$conns" -v s="$(slowest)" 'BEGIN { printf "%d", n / s }')
	release
	"${server}_down"
	echo "$server $round $alone $beside $opened $(sum answered) $rss $kernel" >>"$T_DIR/results"
	show "$(tail -n 1 "$T_DIR/results")"
	grep -h "no answer" "$T_DIR"/idle*.log || true
}

show() { # show LINE
	echo "$1" | awk '{ printf "%-10s %6s %10d %10d %6.2f %10d %10d %8d %8d\n", $1, $2, $3, $4, $4 / $3, $5, $6, $7, $8 }'
}

for tool in idle_conns mc_tcp_load; do
	[ -x "$T_BUILD/perf/compare/$tool" ] || t_die "there is no $T_BUILD/perf/compare/$tool; build it: ./dev build release"
done
files=$(ulimit -Hn)
[ "$files" != unlimited ] || files=1000000
ulimit -n "$files"
# each has an address, of whose ports Linux looks at every second one first; those of the server before are in TIME-WAIT
per_process=$((files - 1000 < 14000 ? files - 1000 : 14000))
n_processes=$(((conns + per_process - 1) / per_process))
[ "$n_processes" -le 100 ] || t_die "$conns connections: at most $((100 * per_process)), with $files open files for a process (ulimit -Hn)"
servers="memcached millrace"
pair_begin memcached
pair_memory=--no-huge # hugepages are in no process's resident memory, which is what is compared
t_in client sysctl -qw net.ipv4.ip_local_port_range="1024 65500"
for ((i = 0; i < n_processes; i++)); do
	t_in client ip addr add 10.1.0.$((100 + i))/24 dev eth0
done
: >"$T_DIR/results"
pair_head
echo "$conns connections that say nothing, 20 clients at depth 1 beside them"
printf '%17s %21s %28s %17s\n' "" "requests/s of clients" "" "bytes/connection"
printf '%-10s %6s %10s %10s %6s %10s %10s %8s %8s\n' server round alone beside ratio opened/s answered server kernel
if [ $((conns + 100)) -gt "$files" ]; then
	servers=millrace
	echo "memcached is left out: it is one process, which may have $files open files here (ulimit -Hn)"
fi
for ((round = 1; round <= rounds; round++)); do
	[ "$servers" = millrace ] || one memcached "$round" -c $((conns + 100))
	one millrace "$round" --tcp-conns $((conns + 100))
done
for server in $servers; do
	line="$server median"
	for column in 3 4 5 6 7 8; do
		line="$line $(awk -v s="$server" -v c=$column '$1 == s { print $c }' "$T_DIR/results" | median)"
	done
	show "$line"
done
