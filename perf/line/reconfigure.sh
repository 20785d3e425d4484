# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034,SC2154
# Weights change and backends are drained and come back while frames flow, so many times a second; 0 is the same without. Each change is a
# whole new configuration with its Maglev table.
#
# Where the generator has no CPU but the one that makes the changes (two CPUs), they delay its frames, which are not called late here: that
# is in the latency. What is lost is the target's all the same, as long as the generator's ring lasts.
line_about="100,000 UDP frames of 100,000 known flows a second, direct return to 10 backends, so many changes a second"
line_sweep=changes
line_points=(0 5)
line_rate=100000
changes=0
line_point() {
	changes=$1
	[ "$1" = 0 ] || line_beside=change
	[ ${#cpus[@]} -gt 2 ] || line_generator+=(--late-us 50000) line_is_fifo=no
}
change() { # until it is ended
	local n=0
	while :; do
		case $((n % 4)) in
		0) cli backend weight ten/b1 20 ;;
		1) cli backend drain ten/b2 ;;
		2) cli backend weight ten/b1 default ;;
		3) cli backend undrain ten/b2 ;;
		esac >/dev/null || return 1
		n=$((n + 1))
		echo $n >"$dir/changes"
		sleep "$(awk "BEGIN { print 1 / $changes }")"
	done
}
line_config() {
	cat <<-EOT
		version: 1
		network: { ports: { p: { addresses: [10.1.0.1/16] } } }
		$(line_pool)
		services:
		  line: { vip: 10.1.0.80, port: 80, proto: udp, mode: dsr-l2, scheduler: maglev, pool: ten, timeouts: { udp: 10m } }
	EOT
}
line_generator=(flood --target 10.1.0.80:80 --client 10.1.128.0/20 --own 10.1.64.0/24 --flows 100000)
