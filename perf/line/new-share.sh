# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
# Hits, misses and what is between: so many percent of the frames begin a flow. Entries go after a second or two.
line_about="64-byte UDP frames of 100,000 known flows and new ones, direct return to 10 backends"
line_sweep=new-pct
line_points=(0 10 100)
line_point() {
	line_generator=(flood --target 10.1.0.80:80 --client 10.1.128.0/17 --own 10.1.64.0/24 --flows 100000 --new "$1")
}
line_config() {
	cat <<-EOT
		version: 1
		network: { ports: { p: { addresses: [10.1.0.1/16] } } }
		$(line_pool)
		services:
		  line: { vip: 10.1.0.80, port: 80, proto: udp, mode: dsr-l2, scheduler: maglev, pool: ten, timeouts: { udp: 2s } }
	EOT
}
line_dataplane=(--conns 16777216)
