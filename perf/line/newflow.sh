# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
# Every frame is the SYN of another flow, forwarded by direct return: choosing a backend and making an entry. Entries go after a
# second, so the table has some millions of them.
line_about="SYNs, each of a new flow, direct return to 10 backends"
line_config() {
	cat <<-EOT
		version: 1
		network: { ports: { p: { addresses: [10.1.0.1/16] } } }
		$(line_pool)
		services:
		  line: { vip: 10.1.0.80, port: 80, proto: tcp, mode: dsr-l2, scheduler: maglev, pool: ten, timeouts: { syn: 1s } }
	EOT
}
line_dataplane=(--conns 8388608)
line_generator=(flood --target 10.1.0.80:80 --client 10.1.128.0/17 --own 10.1.64.0/24 --proto tcp --new 100 --flows 1)
