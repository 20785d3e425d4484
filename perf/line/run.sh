#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# run.sh — line-rate benchmarks: a millraced and millrace-bench, two processes joined by shared memory, no kernel between them.
# Each scenario is a file beside this one; perf/README.md says how to read what they print. Needs no root.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/system/hugepages.sh
. "$here/../../tests/system/hugepages.sh"
HUGEPAGES=1280 # of both programs: 2.5 GB, which new-share needs

names() { # what can be run
	local f
	for f in "$here"/*.sh; do
		f=${f##*/}
		[ "$f" = run.sh ] || echo "${f%.sh}"
	done
}

usage() {
	cat <<-EOT
		usage: perf/line/run.sh BUILD_DIR [OPTION...] [NAME...] [-- GENERATOR OPTION...]

		  --rate N      one measurement at this rate, instead of a search for NDR and PDR
		  --seconds N   of a measurement, and of each latency (default 1)
		  --trial N     seconds of a search's longest trials, and of the parts of a measurement (default 0.1)
		  --repeat N    searches (default 3; 1 for each point of a sweep, and over TCP), or measurements (default 1)
		  --width PCT   how near a search's bounds have to come (default 1)
		  --thorough    10 searches each, trials of 1 s, 10 s for latencies, 0.5 %: hours
		  --generators N  CPUs that send and receive (default 1): where one is what limits
		  --link NAME   memif (default), memif-zc (the dataplane does not copy), virtio
		  --json DIR    also write DIR/NAME.json for each, DIR/NAME-VALUE.json for the points of a sweep
		  --no-fifo     even as root: generator and workers are threads as others are (not SCHED_FIFO)
		  --quick       each at 5,000 frames a second for a second, on whatever CPU: that they work
		  --list        the scenarios

	EOT
	names | sed 's/^/  /'
}

die() {
	echo "error: $*" >&2
	exit 1
}

build="" rate="" seconds="" trial="" repeat="" width="" link=memif generators=1 json="" is_quick=no is_thorough=no is_fifo=yes is_list=no steady=2 chosen=() more=()
while [ $# -gt 0 ]; do
	case $1 in
	--rate | --seconds | --trial | --repeat | --width | --link | --json | --generators)
		[ $# -ge 2 ] || die "$1 needs a value"
		printf -v "${1#--}" %s "$2"
		shift
		;;
	--quick) is_quick=yes ;;
	--no-fifo) is_fifo=no ;;
	--thorough) is_thorough=yes ;;
	--list) is_list=yes ;;
	-h | --help)
		usage
		exit 0
		;;
	--)
		shift
		more=("$@")
		break
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
case $link in
memif | memif-zc | virtio) ;;
*) die "--link $link: must be memif, memif-zc or virtio" ;;
esac
[[ $generators =~ ^([1-9]|1[0-6])$ ]] || die "--generators $generators: must be a number from 1 to 16"
[ -n "$build" ] || {
	usage >&2
	exit 2
}
build=$(realpath "$build")
dataplane=$build/dataplane/millraced bench=$build/perf/gen/millrace-bench
for program in "$dataplane" "$bench" "$build/control/daemon/millrace-controld" "$build/control/cli/millrace"; do
	[ -x "$program" ] || die "there is no $program; build it: ./dev build release line"
done
[ ${#chosen[@]} -gt 0 ] || mapfile -t chosen < <(names)
for name in "${chosen[@]}"; do
	[ -f "$here/$name.sh" ] && [ "$name" != run ] || die "there is no scenario '$name'; --list names them"
done
mapfile -t cpus < <(taskset -pc $$ | sed 's/.*: //' | tr , '\n' | awk -F - '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) print i }')
[ $is_quick = yes ] || [ ${#cpus[@]} -gt "$generators" ] ||
	die "$generators CPUs of the generator and one of the worker are needed; there are ${#cpus[@]} (--quick works with fewer)"
[ "$generators" = 1 ] || [ ${#cpus[@]} -ge "$generators" ] || die "--generators $generators: there are ${#cpus[@]} CPUs"
if [ $is_thorough = yes ]; then
	: "${seconds:=10}" "${trial:=1}" "${width:=0.5}" "${repeat:=10}"
fi
: "${seconds:=1}" "${trial:=0.1}" "${width:=1}"
[ $is_quick = no ] || steady=0 is_fifo=no
[ "$(id -u)" = 0 ] || is_fifo=no
[ -z "$json" ] || mkdir -p "$json"

# In memory, as what is written to a disk is written by a thread of the kernel on some CPU
dir=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")")
pids=() generator=0
cleanup() {
	local pid i
	for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
		kill -TERM "${pids[i]}" 2>/dev/null || true
	done
	for pid in "${pids[@]}"; do
		for ((i = 0; i < 600; i++)); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.05
		done
		kill -KILL -- "-$pid" 2>/dev/null || true # timeout's group: what it runs too
		wait "$pid" 2>/dev/null || true
	done
	pids=()
}
trap 'trap "" INT TERM HUP; cleanup; throttle_back; hugepages_back "$dir.hugepages"; rm -rf "$dir" "$dir.hugepages"' EXIT
trap 'exit 130' INT TERM HUP

# SCHED_FIFO threads lose their CPU for a twentieth of each second, whether others want it or not. Since Linux 6.12 others have that time by
# another way (the fair server), if they want it, so this one can go meanwhile. With kernels before, a machine would hang that is all polled.
throttle=/proc/sys/kernel/sched_rt_runtime_us throttle_was=""
throttle_off() {
	[ "$(printf '%s\n' 6.12 "$(uname -r)" | sort -V | head -n 1)" = 6.12 ] || return 0
	throttle_was=$(<$throttle)
	echo -1 >$throttle || throttle_was=""
}
throttle_back() {
	[ -z "$throttle_was" ] || echo "$throttle_was" >$throttle
}

are_alive() { # every process that was started, but for a generator that is done
	local pid
	for pid in "${pids[@]}"; do
		[ "$pid" = "$generator" ] || kill -0 "$pid" 2>/dev/null || return 1
	done
}

wait_for() { # wait_for SECONDS WHAT COMMAND... : before anything is measured, as it takes CPU
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

# How long a run may take at most, whatever happens: nothing that polls stays behind.
limit_s() { python3 -c 'import sys; s, t, r, is_search = float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == ""
print(int(180 + (r * 60 * 4 * (t + 0.3) + 3 * (s + 3) if is_search else r * (s + 5)) * 3))' "$seconds" "$trial" "$n_repeats" "$line_rate"; }

# The generator's end is there first; zero copy is a memif client's. One end has as many queues to send as the other has to receive (a server of
# memif with more than its client reads memory that is not there): to the dataplane one for each worker and for each thread that generates,
# from it one for each worker, as it has no more to send. A generator without copies makes the dataplane slower, which then reads buffers that
# are all over memory.
devices() {
	queues=$((line_workers > generators ? line_workers : generators))
	local memif=socket=$dir/line.s,socket-abstract=no,rsize=11
	far_eal=()
	case $link in
	memif) # both copy
		near=net_memif0,role=server,$memif
		far=net_memif0,role=client,$memif
		;;
	memif-zc) # the dataplane does not copy
		near=net_memif0,role=server,$memif
		far=net_memif0,role=client,$memif,zero-copy=yes
		far_eal=(--single-file-segments)
		;;
	virtio) # the generator copies, for both
		near=net_vhost0,iface=$dir/line.s,queues=$queues
		far=net_virtio_user0,path=$dir/line.s,queues=$queues,queue_size=1024,packed_vq=1
		;;
	esac
}

# Who runs where: the generator on the first CPUs, the workers on the next ones, all that sleeps nearly always (the dataplane's manager, the
# control daemon, this script) on one more, or else beside the generator, which is faster than a worker.
place() {
	local i
	helper=${cpus[0]} lcores="" watched=()
	[ ${#cpus[@]} -le $((line_workers + generators)) ] || helper=${cpus[line_workers + generators]}
	lcores="0@$helper"
	for ((i = 1; i <= line_workers; i++)); do
		lcores+=",$i@${cpus[i + generators - 1]}"
		watched+=(--watch-cpu "${cpus[i + generators - 1]}")
	done
	taskset -pc "$helper" $$ >/dev/null
}

# The workers of a dataplane, before all others. The kernel gives those a twentieth of each second all the same.
poll_first() { # poll_first PID
	local task
	for task in /proc/"$1"/task/*; do
		[[ $(<"$task/comm") != rte-worker* ]] || chrt -f -p 1 "${task##*/}"
	done
}

child_of() { # what timeout runs
	tr -d ' ' <"/proc/$1/task/$1/children"
}

line_pool() { # what line_config may have as its pools: one of ten backends
	local n
	printf 'pools:\n  ten:\n    backends:\n'
	for n in 1 2 3 4 5 6 7 8 9 10; do
		echo "      - { name: b$n, ip: 10.1.64.$n, port: 80 }"
	done
}

up() { # the dataplane
	local eal=() child=""
	[ $is_quick = yes ] || eal=(--lcores "$lcores")
	line_config >"$dir/line.yaml"
	# shellcheck disable=SC2046
	taskset -c "$(IFS=,; echo "${cpus[*]}")" timeout -k 20 "$(limit_s)" "$dataplane" --port "p=$far" --workers "$line_workers" --rx-queues "$queues" \
		--kernel-if none "${memory[@]}" --socket "$dir/dataplane.sock" $([ $is_quick = no ] || echo --idle sleep) "${line_dataplane[@]}" \
		-- "${eal[@]}" "${far_eal[@]}" >"$dir/millraced.log" 2>&1 </dev/null &
	pids+=($!)
	wait_for 60 "millraced" grep -q "notice: ready" "$dir/millraced.log"
	child=$(child_of $!)
	[ $is_fifo = no ] || [ $line_is_fifo = no ] || poll_first "$child"
	echo "$child" >"$dir/millraced.pid.new"
	mv "$dir/millraced.pid.new" "$dir/millraced.pid"
}

configure() {
	rm -rf "$dir/state"
	timeout -k 20 "$(limit_s)" "$build/control/daemon/millrace-controld" --config "$dir/line.yaml" --state-dir "$dir/state" \
		--socket "$dir/control.sock" --dataplane "$dir/dataplane.sock" >"$dir/controld.log" 2>&1 </dev/null &
	pids+=($!)
	wait_for 30 "the configuration" is_in_sync
}

has_socket() { [ -S "$dir/line.s" ] || ! kill -0 "$generator"; }

generate() { # generate OPTION... : in the background; its status is that of `wait $generator`
	local pin=() on=() n=1 own
	own=$(IFS=,; echo "${cpus[*]:0:generators}")
	if [ $is_quick = yes ]; then
		while [ $((n * 2 * generators)) -le 1024 ]; do n=$((n * 2)); done
		pin=(--late-us 10000000 --keys 20000 --flows $((n * generators)))
		[ "$generators" = 1 ] || pin+=(--cpu "$own")
	else
		pin=(--cpu "$own" --watch-pid "$dir/millraced.pid" "${watched[@]}")
		[ $is_fifo = no ] || [ $line_is_fifo = no ] || pin+=(--fifo)
		on=(taskset -c "$own,$helper")
	fi
	"${on[@]}" timeout -k 20 "$(limit_s)" "$bench" "${line_generator[0]}" --rate-max 16M "${line_generator[@]:1}" --port "$near" --rxd 2048 --queues "$queues" --rx-queues "$line_workers" --wait 60 "${memory[@]}" "${pin[@]}" "$@" \
		"${more[@]}" >"$dir/table" 2>"$dir/bench.log" </dev/null &
	generator=$!
	pids+=("$generator")
}

# Blocks until the generator says a line like this, or ends. To ask again and again would take the CPU of what is measured.
# In the background, as a signal to the script waits for what is in the foreground.
until_said() {
	grep -q -m 1 -- "$1" < <(exec tail -q -n +1 -f --pid="$generator" "$dir/bench.log" 2>/dev/null) &
	wait $!
}

# The worker's counts in the midst of a run at one rate, after everything was measured: to ask for them takes CPU, which makes frames late.
look_at_worker() {
	until_said "steady: " || return 0
	sample before
	sleep 1
	sample after
}

sample() {
	cli -o json worker show >"$dir/$1.workers"
	cli -o json drops --all >"$dir/$1.counters"
	date +%s.%N >"$dir/$1.time"
}

one() { # one NAME [OF VALUE] : a scenario, or a point of its sweep
	local status=0 search=(--search --at-least --width "$width") beside="" n_repeats label=$1${3:+-$3}
	line_about="" line_dataplane=() line_generator=() line_rate="" line_workers=1 line_beside="" line_is_fifo=yes line_repeat=3
	# shellcheck disable=SC1090
	. "$here/$1.sh"
	[ $# -eq 1 ] || line_point "$3"
	[ $# -eq 1 ] || line_repeat=1
	n_repeats=${repeat:-$line_repeat}
	[ -z "$rate" ] || line_rate=$rate
	[ $is_quick = no ] || line_rate=5000
	[ -z "$line_rate" ] || n_repeats=${repeat:-1} search=(--rate "$line_rate")
	echo "== $label: $line_about${2:+; $2: $3}"
	if [ $is_quick = no ] && [ ${#cpus[@]} -lt $((line_workers + generators)) ]; then
		echo "   not measured: the generator and $line_workers workers need $((line_workers + generators)) CPUs, and there are ${#cpus[@]}"
		return 0
	fi
	[ $is_quick = yes ] || place
	devices
	search+=(--repeat "$n_repeats" --seconds "$seconds" --trial "$trial" --json "$dir/result.json" --steady "$steady")
	generate "${search[@]}"
	wait_for 60 "the generator's socket" has_socket
	[ -S "$dir/line.s" ] || {
		cat "$dir/bench.log" >&2
		die "the generator ended; what it said is above"
	}
	up
	configure
	if [ -n "$line_beside" ]; then
		until_said "^flood: \|measuring: " && $line_beside &
		beside=$!
	fi
	[ $steady = 0 ] || look_at_worker
	wait "$generator" || status=$?
	[ -z "$beside" ] || { kill "$beside" 2>/dev/null || true; }
	if [ $status != 0 ]; then
		grep -v '^[a-z -]*: [0-9]* s: \|: search ' "$dir/bench.log" | tail -n 15 >&2
		cli drops >&2 || true
		echo "== $label: no figure (status $status)" >&2
		[ $status != 124 ] || echo "   it took longer than $(limit_s) s" >&2
	else
		cat "$dir/table"
		cli drops | sed 's/^/  /'
	fi
	if [ -e "$dir/result.json" ]; then
		python3 "$here/worker.py" "$dir" "$1" "${@:2}"
		[ -z "$json" ] || cp "$dir/result.json" "$json/$label.json"
	fi
	cleanup
	rm -rf "${dir:?}"/*
	return $status
}

all_of() { # all_of NAME : the scenario, or its points one after the other
	local status=0 value line_sweep="" line_points=()
	# shellcheck disable=SC1090
	. "$here/$1.sh"
	[ -n "$line_sweep" ] || {
		one "$1"
		return
	}
	for value in "${line_points[@]}"; do
		one "$1" "$line_sweep" "$value" || status=$?
	done
	return $status
}

echo "$("$dataplane" --version), $("$bench" --version); link $link; $(nproc) CPUs," \
	"$(awk -F ': *' '/^model name/ { print $2; exit }' /proc/cpuinfo); load $(cut -d ' ' -f 1-3 /proc/loadavg)"
memory=(--no-huge)
if [ $is_quick = no ] && [ $link != memif ]; then # which pass memory to each other, and do not come up with hugepages here
	echo "link $link: both programs have 4 KB pages, and are slower than over memif"
elif [ $is_quick = no ]; then
	if hugepages_take $HUGEPAGES "$dir.hugepages"; then
		memory=()
	else
		echo "$HUGEPAGES hugepages cannot be had (vm.nr_hugepages=$HUGEPAGES, as root): both programs have 4 KB pages, and are slower"
	fi
fi
[ $is_fifo = no ] || throttle_off
[ $is_quick = no ] || echo "quick: it works, or not; nothing here is a figure to keep"
failed=""
for name in "${chosen[@]}"; do
	all_of "$name" || failed="$failed $name"
done
echo "load $(cut -d ' ' -f 1-3 /proc/loadavg) at the end; it took $SECONDS s"
[ -z "$failed" ] || die "no figure of:$failed"
