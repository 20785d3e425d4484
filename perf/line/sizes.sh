# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
# Frames of the lengths of RFC 2544 and of IMIX. What memif copies grows with them; a NIC does not.
line_about="UDP frames of so many bytes, 100,000 known flows, direct return to 10 backends"
line_sweep=size
line_points=(64 128 256 512 1024 1518 imix)
line_point() { line_generator=(flood --target 10.1.0.80:80 --client 10.1.128.0/20 --own 10.1.64.0/24 --flows 100000 --size "$1"); }
line_config() {
	cat <<-EOT
		version: 1
		network: { ports: { p: { addresses: [10.1.0.1/16] } } }
		$(line_pool)
		services:
		  line: { vip: 10.1.0.80, port: 80, proto: udp, mode: dsr-l2, scheduler: maglev, pool: ten, timeouts: { udp: 10m } }
	EOT
}
