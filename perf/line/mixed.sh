# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
# As of a busy service: IMIX, a tenth of the frames is of new flows, the known ones are drawn by Zipf 0.9. Direct return, as in a tunnel the longest
# frames would be longer than the MTU of the link.
line_about="IMIX of 100,000 flows by Zipf 0.9, 10 % new, direct return to 10 backends"
line_config() {
	cat <<-EOT
		version: 1
		network: { ports: { p: { addresses: [10.1.0.1/16] } } }
		$(line_pool)
		services:
		  line: { vip: 10.1.0.80, port: 80, proto: udp, mode: dsr-l2, scheduler: maglev, pool: ten, timeouts: { udp: 2s } }
	EOT
}
line_dataplane=(--conns 4194304)
line_generator=(flood --target 10.1.0.80:80 --client 10.1.128.0/20 --own 10.1.64.0/24 --flows 100000 --size imix --zipf 0.9 --new 10)
