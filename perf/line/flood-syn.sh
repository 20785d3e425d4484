# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
# What a SYN flood of so many a second does to a well-behaved stream to another port of the same address: its share that is lost, and its
# latency. Above 5,000 SYNs a second they are answered with cookies.
line_about="a stream of 200,000 UDP frames a second, direct return, beside a SYN flood to a full-NAT service"
line_sweep=flood
line_points=(0 500000 2000000)
line_rate=200000
line_point() { [ "$1" = 0 ] || line_generator+=(--beside syn --beside-rate "$1"); }
line_config() {
	cat <<-EOT
		version: 1
		network: { ports: { p: { addresses: [10.1.0.1/16], gateways: [10.1.65.1] } }, snat: [10.1.0.100] }
		$(line_pool)
		services:
		  line: { vip: 10.1.0.80, port: 80, proto: udp, mode: dsr-l2, scheduler: maglev, pool: ten, timeouts: { udp: 10m } }
		  flooded: { vip: 10.1.0.80, port: 80, mode: full-nat, pool: ten, syn_cookies: 5000 }
	EOT
}
line_generator=(flood --target 10.1.0.80:80 --client 10.1.128.0/20 --own 10.1.64.0/23 --flows 10000)
