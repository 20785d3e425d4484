#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# memory.sh — what an item of 16 bytes of key and 32 of value costs in memcached, Redis and Millrace's cache engine, with and without a
# time of expiry. perf/README.md says what the table means.
set -eu

usage="usage: perf/compare/memory.sh BUILD_DIR [ITEMS]"
if [ $# -lt 1 ] || [ $# -gt 2 ]; then
	echo "$usage" >&2
	exit 2
fi
build=$(realpath "$1")
items=${2:-1000000}
value=32
ttl=3600

die() { echo "error: $*" >&2; exit 1; }

for program in mc_udp_load kv_fill; do
	[ -x "$build/perf/compare/$program" ] || die "there is no $build/perf/compare/$program; build it: ./dev build release"
done
missing=""
command -v memcached >/dev/null || missing="$missing memcached"
command -v redis-server >/dev/null || missing="$missing redis-server"
command -v redis-cli >/dev/null || missing="$missing redis-tools"
[ -z "$missing" ] || die "missing packages; as root: apt-get install --no-install-recommends$missing"
# a network of its own: nobody else is there, and any port is free
[ -n "${MEMORY_SH_INSIDE:-}" ] || exec env MEMORY_SH_INSIDE=1 unshare --net --map-root-user "$0" "$@"
ip link set lo up

dir=$(mktemp -d)
pid=""
stop() {
	[ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || true
	pid=""
}
trap 'stop; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM

wait_for() { # wait_for COMMAND… : until it succeeds
	local i
	for ((i = 0; i < 200; i++)); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.05
	done
	cat "$dir/log" >&2
	die "waited 10 s for: $*"
}

rss() { awk '/^VmRSS/ { print $2 * 1024 }' "/proc/$pid/status"; }

settled() { # the resident memory once it stays for two seconds: tables are resized in the background
	local now last=0 same=0
	while [ $same -lt 8 ]; do
		now=$(rss)
		[ "$now" = "$last" ] && same=$((same + 1)) || same=0
		last=$now
		sleep 0.25
	done
	echo "$last"
}

report() { # report NAME TTL BYTES [WHEN_FULL] : a row; BYTES of all items
	awk -v name="$1" -v ttl="$2" -v bytes="$3" -v full="${4:-}" -v n="$items" -v own=$((16 + value)) '
		BEGIN { printf "%-22s %8s %10.1f %10.1f %10s\n", name, ttl ? ttl " s" : "none", bytes / n, bytes / n - own, full }'
}

memcached_row() { # memcached_row TTL
	local before
	memcached -u root -l 127.0.0.1 -p 11211 -U 11211 -t 1 -m 4096 >"$dir/log" 2>&1 &
	pid=$!
	wait_for "$build/perf/compare/mc_udp_load" --no-load --keys 1 --seconds 0.01 --sockets 1
	before=$(settled)
	"$build/perf/compare/mc_udp_load" --load-only --keys "$items" --value $value --ttl "$1" --loss-ms 500 2>"$dir/log" ||
		die "$(cat "$dir/log")"
	report "$(memcached -V)" "$1" $(($(settled) - before))
	stop
}

redis_row() { # redis_row TTL
	local before
	redis-server --bind 127.0.0.1 --port 6379 --save '' --appendonly no --dir "$dir" >"$dir/log" 2>&1 &
	pid=$!
	wait_for redis-cli ping
	before=$(settled)
	awk -v n="$items" -v ttl="$1" -v len=$value 'BEGIN {
		for (i = 0; i < n; i++)
			printf "SET key:%012u %0*d%s\r\n", i, len, i, ttl ? " EX " ttl : ""
	}' | redis-cli --pipe >"$dir/pipe" || die "$(cat "$dir/pipe")"
	[ "$(redis-cli dbsize)" = "$items" ] || die "Redis has $(redis-cli dbsize) items of $items"
	report "$(redis-server --version | sed 's/.*v=\([0-9.]*\).*/Redis \1/')" "$1" $(($(settled) - before))
	stop
}

millrace_row() { # millrace_row TTL
	local bytes full
	read -r bytes _ full < <("$build/perf/compare/kv_fill" "$items" $value "$1")
	report Millrace "$1" "$bytes" "$full"
}

echo "$items items, keys of 16 bytes and values of $value; load $(cut -d ' ' -f 1-3 /proc/loadavg)"
printf '%-22s %8s %10s %10s %10s\n' "" TTL B/item overhead "when full"
for t in 0 $ttl; do
	memcached_row "$t"
	redis_row "$t"
	millrace_row "$t"
done
