#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# run.sh — the comparisons with other programs, one after the other, as ./dev bench compare does once these are installed. Each is a script
# beside this one, with more options. perf/README.md says what they measure. Needs root, but for memory.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
NAMES="balancer memcached-udp memcached-tcp goodput idle memory"
SHORT="balancer memcached-udp memcached-tcp" # without a name

usage() {
	cat <<-EOT
		usage: perf/compare/run.sh BUILD_DIR [OPTION...] [NAME...]

		  --quick       a short round of each: that it works, not how fast anything is
		  --json DIR    also writes DIR/NAME.json, of all but goodput, idle and memory
		  --rounds N, --seconds N, --rate N, --only NAMES, --test NAMES, --idle MODE
		                of all but goodput, idle and memory: see the scripts
		  --control NAME
		                of goodput: how Linux controls congestion: cubic
		  --packages    only prints the Debian packages that the comparisons need

		names: $NAMES
		without one: $SHORT
	EOT
}

die() {
	echo "error: $*" >&2
	exit "${status:-1}"
}

build="" is_quick=no is_packages=no options=() goodput=() chosen=()
while [ $# -gt 0 ]; do
	case $1 in
	--json | --rounds | --seconds | --rate | --only | --test | --idle)
		[ $# -ge 2 ] || status=2 die "$1 needs a value"
		options+=("$1" "$2")
		shift
		;;
	--control)
		[ $# -ge 2 ] || status=2 die "$1 needs a value"
		goodput=("$1" "$2")
		shift
		;;
	--quick) is_quick=yes ;;
	--packages) is_packages=yes ;;
	-h | --help)
		usage
		exit 0
		;;
	-*) usage >&2 && status=2 die "there is no option '$1'" ;;
	*) if [ -z "$build" ]; then build=$1; else chosen+=("$1"); fi ;;
	esac
	shift
done
[ ${#chosen[@]} -gt 0 ] || read -ra chosen <<<"$SHORT"
for name in "${chosen[@]}"; do
	case " $NAMES " in
	*" $name "*) ;;
	*) status=2 die "there is no comparison '$name', but: $NAMES" ;;
	esac
done

if [ $is_packages = yes ]; then
	for name in "${chosen[@]}"; do
		case $name in
		balancer) echo haproxy nginx-light libnginx-mod-stream ;;
		memcached-tcp | memory) echo memcached redis-server redis-tools ;;
		*) echo memcached ;;
		esac
	done | tr ' ' '\n' | sort -u
	exit 0
fi
[ -d "$build" ] || status=2 die "the first word is a build directory"
[ $is_quick = no ] || {
	options=(--quick "${options[@]}")
	echo "quick: it works, or not; nothing here is a figure to keep"
}

one() { # one NAME
	local quick=()
	case $1 in
	balancer) "$here/balancer.sh" "$build" "${options[@]}" ;;
	memcached-*) "$here/memcached.sh" "${1#memcached-}" "$build" "${options[@]}" ;;
	goodput)
		[ $is_quick = no ] || quick=(--rounds 1 --seconds 0.5)
		"$here/goodput.sh" "$build" "${quick[@]}" "${goodput[@]}"
		;;
	idle)
		[ $is_quick = no ] || quick=(--rounds 1 --seconds 0.5 --conns 1000)
		"$here/idle.sh" "$build" "${quick[@]}"
		;;
	memory)
		[ $is_quick = no ] || quick=(20000)
		"$here/memory.sh" "$build" "${quick[@]}"
		;;
	esac
}

trap 'exit 130' INT TERM HUP # the script that runs cleans up by itself
failed=""
for name in "${chosen[@]}"; do
	echo "== $name"
	one "$name" || failed="$failed $name"
done
[ -z "$failed" ] || die "no figure of:$failed"
