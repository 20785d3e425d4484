#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# run.sh — runs the micro-benchmarks of a build and prints one table; perf/README.md says what it means.
set -eu

usage() {
	cat <<-EOT
		usage: perf/micro/run.sh BUILD_DIR [OPTION...] [FILTER]

		  --quick   each benchmark once and briefly: that they work, not how fast they are
		  --large   also what takes 4 GB of memory
		  --json FILE
		            also write Google Benchmark's JSON
		  --compare BASE.json [--metric NAME]
		            afterwards what differs from an earlier --json: of net cycles or, where there
		            are none, cycles; or of the metric, such as ratio
		  --pages auto|huge|thp|4k
		            what the tables live in; auto: the first of reserved hugepages,
		            transparent ones, 4 KB pages that can be had
		  FILTER    regular expression on names, such as '^path/' or 1M
	EOT
}

die() {
	echo "error: $*" >&2
	exit 2
}

build="" filter=. pages=auto json="" base="" metric="" is_quick=no is_large=no
while [ $# -gt 0 ]; do
	case $1 in
	--quick) is_quick=yes ;;
	--large) is_large=yes ;;
	--json | --pages | --compare | --metric)
		[ $# -ge 2 ] || die "$1 needs a value"
		case $1 in
		--json) json=$2 ;;
		--pages) pages=$2 ;;
		--compare) base=$2 ;;
		--metric) metric=$2 ;;
		esac
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
if [ -n "$base" ]; then
	compare=$build/perf/gen/millrace-bench
	[ -x "$compare" ] || die "there is no $compare; build it with ./dev build release"
	[ -r "$base" ] || die "cannot read $base"
	[ $is_quick = no ] || die "--quick measures nothing that could be compared"
	# before a minute has gone: is there anything in it?
	said=$("$compare" compare ${metric:+--metric "$metric"} "$base" "$base" 2>&1 >/dev/null) || die "$said"
	if [ -z "$json" ]; then
		json=$(mktemp --suffix=.json)
		trap 'rm -f "$json"' EXIT
	fi
fi

args=(--pages="$pages" --benchmark_filter="$filter")
if [ $is_quick = yes ]; then
	args+=(--benchmark_min_time=0.001)
else
	# 40 batches for each of nine medians; the table shows the median of these
	args+=(--benchmark_min_time=0.04 --benchmark_repetitions=9)
fi
[ $is_large = no ] || args+=(--large)
[ -z "$json" ] || args+=(--benchmark_out="$json" --benchmark_out_format=json)
"$bench" "${args[@]}"
[ -z "$base" ] || {
	echo
	"$compare" compare ${metric:+--metric "$metric"} "$base" "$json"
}
