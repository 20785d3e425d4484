# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
# What so many broken and unwanted frames a second do to a well-behaved stream.
line_about="a stream of 200,000 UDP frames a second, direct return, beside a flood of garbage"
line_sweep=flood
line_points=(0 500000 2000000)
line_rate=200000
line_point() { [ "$1" = 0 ] || line_generator+=(--beside garbage --beside-rate "$1"); }
line_config() {
	cat <<-EOT
		version: 1
		network: { ports: { p: { addresses: [10.1.0.1/16] } } }
		$(line_pool)
		services:
		  line: { vip: 10.1.0.80, port: 80, proto: udp, mode: dsr-l2, scheduler: maglev, pool: ten, timeouts: { udp: 10m } }
	EOT
}
line_generator=(flood --target 10.1.0.80:80 --client 10.1.128.0/20 --own 10.1.64.0/24 --flows 10000)
