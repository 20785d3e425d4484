# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# hugepages — reserves hugepages of 2 MB for a while. Sourced.

hugepages_free() { awk '/^HugePages_Free/ { free = $2 } /^Hugepagesize/ { kb = $2 } END { print kb == 2048 ? free + 0 : 0 }' /proc/meminfo; }

hugepages_take() { # hugepages_take N FILE : so that N are free; how many there were is kept in FILE, if there were less. Fails when they cannot be had
	local path=/proc/sys/vm/nr_hugepages free before
	free=$(hugepages_free)
	[ "$free" -lt "$1" ] || return 0
	before=$(cat $path 2>/dev/null) || return 1
	{ echo $((before + $1 - free)) >$path; } 2>/dev/null || return 1
	echo "$before" >"$2"
	[ "$(hugepages_free)" -ge "$1" ]
}

hugepages_back() { # hugepages_back FILE : as many as there were
	[ ! -e "$1" ] || { cat "$1" >/proc/sys/vm/nr_hugepages; } 2>/dev/null || true
}
