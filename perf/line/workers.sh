# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034,SC2154
# One worker and more, each on a CPU of its own beside the generator's. The link has a queue for each, to which frames go in turn: with more
# than one, workers hand over what belongs to others, as on a NIC that cannot spread flows. What one thread can generate bounds it (--generators).
line_about="64-byte UDP frames of 100,000 known flows, direct return to 10 backends"
line_sweep=workers
mapfile -t line_points < <(seq 1 $((${#cpus[@]} > generators + 2 ? ${#cpus[@]} - generators : 2)))
line_point() { line_workers=$1; }
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
