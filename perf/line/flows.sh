# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
# How the rate falls as the connection table outgrows the CPU's caches.
line_about="64-byte UDP frames of known flows, direct return to 10 backends"
line_sweep=flows
line_points=(1 1000 100000 1000000)
line_point() { line_generator=(flood --target 10.1.0.80:80 --client 10.1.128.0/19 --own 10.1.64.0/24 --flows "$1"); }
line_config() {
	cat <<-EOT
		version: 1
		network: { ports: { p: { addresses: [10.1.0.1/16] } } }
		$(line_pool)
		services:
		  line: { vip: 10.1.0.80, port: 80, proto: udp, mode: dsr-l2, scheduler: maglev, pool: ten, timeouts: { udp: 10m } }
	EOT
}
line_dataplane=(--conns 4194304)
