#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# run.sh — line-rate benchmarks: a millraced with one worker and millrace-bench, two processes joined by shared memory, no kernel between them.
# Each scenario is a file beside this one; perf/README.md says how to read what they print. Needs no root.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

names() { # what can be run
	local f
	for f in "$here"/*.sh; do
		f=${f##*/}
		[ "$f" = run.sh ] || echo "${f%.sh}"
	done
}

usage() {
	cat <<-EOT
		usage: perf/line/run.sh BUILD_DIR [OPTION...] [NAME...]

		  --rate N      one measurement at this rate, instead of a search for NDR and PDR
		  --seconds N   10: of a measurement, and of a search's longest trials
		  --repeat N    5 searches; 1 measurement
		  --link NAME   memif (default), memif-zc (without a copy), virtio
		  --json DIR    also write DIR/NAME.json for each
		  --quick       each at 5,000 frames a second for a second, on whatever CPU: that they work
		  --list        the scenarios

	EOT
	names | sed 's/^/  /'
}

die() {
	echo "error: $*" >&2
	exit 1
}

build="" rate="" seconds=10 repeat="" link=memif json="" is_quick=no is_list=no steady=4 chosen=()
while [ $# -gt 0 ]; do
	case $1 in
	--rate | --seconds | --repeat | --link | --json)
		[ $# -ge 2 ] || die "$1 needs a value"
		case $1 in
		--rate) rate=$2 ;;
		--seconds) seconds=$2 ;;
		--repeat) repeat=$2 ;;
		--link) link=$2 ;;
		--json) json=$2 ;;
		esac
		shift
		;;
	--quick) is_quick=yes ;;
	--list) is_list=yes ;;
	-h | --help)
		usage
		exit 0
		;;
	-*)
		usage >&2
		exit 2
		;;
	*) if [ -z "$build" ]; then build=$1; else chosen+=("$1"); fi ;;
	esac
	shift
done
if [ $is_list = yes ]; then
	names
	exit 0
fi
[ -n "$build" ] || {
	usage >&2
	exit 2
}
build=$(realpath "$build")
dataplane=$build/dataplane/millraced bench=$build/perf/gen/millrace-bench
for program in "$dataplane" "$bench" "$build/control/daemon/millrace-controld" "$build/control/cli/millrace"; do
	[ -x "$program" ] || die "there is no $program; build it: ./dev build release"
done
[ ${#chosen[@]} -gt 0 ] || mapfile -t chosen < <(names)
for name in "${chosen[@]}"; do
	[ -f "$here/$name.sh" ] && [ "$name" != run ] || die "there is no scenario '$name'; --list names them"
done
if [ $is_quick = yes ]; then
	rate=5000 seconds=1 repeat=1 steady=0
else
	mapfile -t cpus < <(taskset -pc $$ | sed 's/.*: //' | tr , '\n' | awk -F - '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) print i }')
	[ ${#cpus[@]} -ge 2 ] || die "the generator and the worker need a CPU each; there is one (--quick works)"
fi

dir=$(mktemp -d)
pids=() zero_copy=() near="" far="" generator=0
cleanup() {
	local pid i
	for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
		kill -TERM "${pids[i]}" 2>/dev/null || true
	done
	for pid in "${pids[@]}"; do
		for ((i = 0; i < 200; i++)); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.05
		done
		kill -KILL -- "-$pid" 2>/dev/null || true # timeout's group: what it runs too
		wait "$pid" 2>/dev/null || true
	done
	pids=()
}
trap 'cleanup; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM HUP

are_alive() { # every process that was started, but for a generator that is done
	local pid
	for pid in "${pids[@]}"; do
		[ "$pid" = "$generator" ] || kill -0 "$pid" 2>/dev/null || return 1
	done
}

wait_for() { # wait_for SECONDS WHAT COMMAND...
	local limit=$1 what=$2 start=$SECONDS
	shift 2
	until "$@" >/dev/null 2>&1; do
		[ $((SECONDS - start)) -lt "$limit" ] && are_alive || {
			tail -n 20 "$dir"/*.log >&2
			die "waited for $what, $((SECONDS - start)) s; the logs are above"
		}
		sleep 0.05
	done
}

cli() { "$build/control/cli/millrace" -s "$dir/control.sock" "$@"; }

is_in_sync() {
	cli -o json status | python3 -c 'import json, sys; sys.exit(not json.load(sys.stdin)["items"][0]["dataplane"]["in_sync"])'
}

huge() { # --no-huge, unless there are hugepages for both: 1.5 GB
	local free
	free=$(awk '/^HugePages_Free/ {print $2}' /proc/meminfo)
	[ "${free:-0}" -ge 768 ] && [ "$(awk '/^Hugepagesize/ {print $2}' /proc/meminfo)" = 2048 ] || echo --no-huge
}

# How long a run may take at most, whatever happens: nothing that polls stays behind.
limit_s() { python3 -c 'import sys; s, r, is_search = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == ""
print(int(120 + (r * 40 * (s + 1) + 3 * (s + 3) if is_search else r * (s + 5)) * 2))' "$seconds" "${repeat:-5}" "$rate"; }

case $link in # the generator's end is there first; zero copy is a client's
memif)
	near=net_memif0,role=server,socket=$dir/line.s,socket-abstract=no,rsize=11
	far=net_memif0,role=client,socket=$dir/line.s,socket-abstract=no,rsize=11
	;;
memif-zc)
	near=net_memif0,role=server,socket=$dir/line.s,socket-abstract=no,rsize=11
	far=net_memif0,role=client,socket=$dir/line.s,socket-abstract=no,rsize=11,zero-copy=yes
	zero_copy=(--single-file-segments)
	;;
virtio)
	near=net_vhost0,iface=$dir/line.s,queues=1
	far=net_virtio_user0,path=$dir/line.s,queues=1,queue_size=1024,packed_vq=1
	;;
*) die "--link $link: must be memif, memif-zc or virtio" ;;
esac

up() { # the dataplane
	local pin=() eal=()
	if [ $is_quick = no ] && [ ${#cpus[@]} -ge 3 ]; then
		pin=(--cpus "${cpus[2]},${cpus[1]}")
	elif [ $is_quick = no ]; then # the manager, which sleeps nearly always, on either
		eal=(--lcores "0@(${cpus[0]},${cpus[1]}),1@${cpus[1]}")
	fi
	line_config >"$dir/line.yaml"
	# shellcheck disable=SC2046
	timeout -k 5 "$(limit_s)" "$dataplane" --port "p=$far" --workers 1 "${pin[@]}" --kernel-if none $(huge) \
		--socket "$dir/dataplane.sock" $([ $is_quick = no ] || echo --idle sleep) "${line_dataplane[@]}" -- "${eal[@]}" "${zero_copy[@]}" \
		>"$dir/millraced.log" 2>&1 </dev/null &
	pids+=($!)
}

configure() {
	wait_for 60 "millraced" grep -q "notice: ready" "$dir/millraced.log"
	rm -rf "$dir/state"
	timeout -k 5 "$(limit_s)" "$build/control/daemon/millrace-controld" --config "$dir/line.yaml" --state-dir "$dir/state" \
		--socket "$dir/control.sock" --dataplane "$dir/dataplane.sock" >"$dir/controld.log" 2>&1 </dev/null &
	pids+=($!)
	wait_for 30 "the configuration" is_in_sync
}

has_socket() { [ -S "$dir/line.s" ] || ! kill -0 "$generator"; }

generate() { # generate OPTION... : in the background; its status is that of `wait $generator`
	local pin=()
	[ $is_quick = yes ] && pin=(--late-us 10000000 --keys 20000 --flows 1024) || pin=(--cpu "${cpus[0]}")
	# shellcheck disable=SC2046
	timeout -k 5 "$(limit_s)" "$bench" "${line_generator[@]}" --port "$near" --rxd 2048 --wait 60 $(huge) "${pin[@]}" "$@" \
		>"$dir/table" 2>"$dir/bench.log" </dev/null &
	generator=$!
	pids+=("$generator")
}

# The worker's counts in the midst of a run at one rate, after everything was measured: to ask for them takes CPU, which makes frames late.
look_at_worker() {
	wait_for "$(limit_s)" "the end of the measurement" has_said "^steady: 1 s:"
	grep -q "^steady: 1 s:" "$dir/bench.log" || return 0
	sample before
	sleep 1
	sample after
}

has_said() { grep -q "$1" "$dir/bench.log" || ! kill -0 "$generator"; }

sample() {
	cli -o json worker show >"$dir/$1.workers"
	cli -o json drops --all >"$dir/$1.counters"
	date +%s.%N >"$dir/$1.time"
}

one() { # one NAME
	local status=0 search=(--search) times=()
	line_about="" line_dataplane=() line_generator=()
	# shellcheck disable=SC1090
	. "$here/$1.sh"
	[ -z "$rate" ] || search=(--rate "$rate")
	[ -z "$repeat" ] || times=(--repeat "$repeat")
	echo "== $1: $line_about"
	generate "${search[@]}" "${times[@]}" --seconds "$seconds" --json "$dir/result.json" --steady $steady
	wait_for 60 "the generator's socket" has_socket
	[ -S "$dir/line.s" ] || {
		cat "$dir/bench.log" >&2
		die "the generator ended; what it said is above"
	}
	up
	configure
	[ $steady = 0 ] || look_at_worker
	wait "$generator" || status=$?
	if [ $status != 0 ]; then
		grep -v '^[a-z -]*: [0-9]* s: \|: search ' "$dir/bench.log" | tail -n 15 >&2
		cli drops >&2 || true
		echo "== $1: no figure (status $status)" >&2
		[ $status != 124 ] || echo "   it took longer than $(limit_s) s" >&2
	else
		cat "$dir/table"
		cli drops | sed 's/^/  /'
		[ $steady = 0 ] || python3 "$here/worker.py" "$dir/before" "$dir/after" "$dir/result.json"
	fi
	[ -z "$json" ] || [ ! -e "$dir/result.json" ] || {
		mkdir -p "$json"
		cp "$dir/result.json" "$json/$1.json"
	}
	cleanup
	rm -rf "${dir:?}"/*
	return $status
}

echo "$("$dataplane" --version), $("$bench" --version); link $link; $(nproc) CPUs," \
	"$(awk -F ': *' '/^model name/ { print $2; exit }' /proc/cpuinfo); load $(cut -d ' ' -f 1-3 /proc/loadavg)"
[ $is_quick = no ] || echo "quick: it works, or not; nothing here is a figure to keep"
failed=""
for name in "${chosen[@]}"; do
	one "$name" || failed="$failed $name"
done
echo "load $(cut -d ' ' -f 1-3 /proc/loadavg) at the end"
[ -z "$failed" ] || die "no figure of:$failed"
