# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
# Every frame chooses a backend, among few or many; the generator is all of them.
line_about="SYNs, each of a new flow, direct return to so many backends"
line_sweep=backends
line_points=(10 100 1000)
n_backends=10
line_point() { n_backends=$1; }
line_config() {
	cat <<-EOT
		version: 1
		network: { ports: { p: { addresses: [10.1.0.1/16] } } }
		pools:
		  many:
		    backends:
		$(for ((n = 0; n < n_backends; n++)); do echo "      - { name: b$n, ip: 10.1.$((64 + n / 250)).$((n % 250 + 1)), port: 80 }"; done)
		services:
		  line: { vip: 10.1.0.80, port: 80, proto: tcp, mode: dsr-l2, scheduler: maglev, pool: many, timeouts: { syn: 1s } }
	EOT
}
line_dataplane=(--conns 8388608)
line_generator=(flood --target 10.1.0.80:80 --client 10.1.128.0/17 --own 10.1.64.0/20 --proto tcp --new 100 --flows 1)
