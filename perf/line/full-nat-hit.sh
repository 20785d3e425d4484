# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
# Known flows of UDP both ways: a frame passes the balancer twice, so a rate here is half of the packets it forwards.
# Answers go by the gateway, which is the generator too.
line_about="64-byte UDP frames of 100,000 known flows, full NAT to 10 backends and back"
line_config() {
	cat <<-EOT
		version: 1
		network: { ports: { p: { addresses: [10.1.0.1/16], gateways: [10.1.65.1] } }, snat: [10.1.0.100-10.1.0.103] }
		$(line_pool)
		services:
		  line: { vip: 10.1.0.80, port: 80, proto: udp, mode: full-nat, scheduler: maglev, pool: ten, timeouts: { udp: 10m } }
	EOT
}
line_generator=(flood --target 10.1.0.80:80 --client 10.9.0.0/20 --own 10.1.64.0/23 --flows 100000 --return)
