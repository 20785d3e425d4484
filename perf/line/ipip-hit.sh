# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
# Known flows of UDP through IP in IP: what a packet of a connection costs.
line_about="64-byte UDP frames of 100,000 known flows, IP in IP to 10 backends"
line_config() {
	cat <<-EOT
		version: 1
		network: { ports: { p: { addresses: [10.1.0.1/16] } } }
		$(line_pool)
		services:
		  line: { vip: 10.1.0.80, port: 80, proto: udp, mode: ipip, scheduler: maglev, pool: ten, timeouts: { udp: 10m } }
	EOT
}
line_generator=(flood --target 10.1.0.80:80 --client 10.1.128.0/20 --own 10.1.64.0/24 --flows 100000)
