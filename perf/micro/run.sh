#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# run.sh — runs the micro-benchmarks of a build and prints one table; perf/README.md says what it means.
set -eu

usage() {
	cat <<-EOT
		usage: perf/micro/run.sh BUILD_DIR [--quick] [--large] [--json FILE] [--pages auto|huge|thp|4k] [FILTER]

		  --quick   each benchmark once and briefly: that they work, not how fast they are
		  --large   also what takes 4 GB of memory
		  --json    also write Google Benchmark's JSON
		  --pages   what the tables live in; auto: the first of reserved hugepages,
		            transparent ones, 4 KB pages that can be had
		  FILTER    regular expression on names, such as '^path/' or 1M
	EOT
}

die() {
	echo "error: $*" >&2
	exit 2
}

build="" filter=. pages=auto json="" is_quick=no is_large=no
while [ $# -gt 0 ]; do
	case $1 in
	--quick) is_quick=yes ;;
	--large) is_large=yes ;;
	--json | --pages)
		[ $# -ge 2 ] || die "$1 needs a value"
		[ "$1" = --json ] && json=$2 || pages=$2
		shift
		;;
	-h | --help)
		usage
		exit 0
		;;
	-*)
		usage >&2
		exit 2
		;;
	*) if [ -z "$build" ]; then build=$1; else filter=$1; fi ;;
	esac
	shift
done
[ -n "$build" ] || {
	usage >&2
	exit 2
}
bench=$build/perf/micro/micro_bench
[ -x "$bench" ] || die "there is no $bench; build it with ./dev build release"

args=(--pages="$pages" --benchmark_filter="$filter")
if [ $is_quick = yes ]; then
	args+=(--benchmark_min_time=0.001)
else
	# 40 batches for each of nine medians; the table shows the median of these
	args+=(--benchmark_min_time=0.04 --benchmark_repetitions=9)
fi
[ $is_large = no ] || args+=(--large)
[ -z "$json" ] || args+=(--benchmark_out="$json" --benchmark_out_format=json)
exec "$bench" "${args[@]}"
