# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034 # what it sets is the scripts'
# pair — a client and a server behind one veth pair, where the server is stock memcached, Redis or Millrace in turn; and how what is compared is
# measured. Sourced by the comparisons here, which set T_ID and T_BUILD, may set the following, and have the functions `answers`: whether
# the server does, and `usage`.

over=tcp      # what Millrace's service takes
service=""    # more of its fields, each with a comma before it
idle=poll     # what the worker does without packets
vip=10.1.0.80 # of every server
PAIR_HUGEPAGES=640 # for Millrace: 1.25 GB

# shellcheck source=tests/system/topology.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../tests/system/topology.sh"
T_NS="client mr"

# --- options that comparisons have in common, with their defaults; a script sets others, and `tests`

rounds=5
seconds=2
rate=""   # of the tests at equal load, one after the other
only=""   # peers; "": all
json=""   # where the document goes

taken=0
pair_option() { # pair_option OPTION [VALUE…] : one of them; `taken` is how many words it was
	case $1 in
	--rounds | --seconds | --rate | --only | --json | --idle | --test)
		[ $# -ge 2 ] || pair_usage "$1 needs a value"
		if [ "$1" = --test ]; then tests=$2; else printf -v "${1#--}" %s "$2"; fi
		taken=2
		;;
	--quick)
		rounds=1 seconds=0.2
		taken=1
		;;
	-h | --help) pair_usage ;;
	*) pair_usage "there is no option '$1'" ;;
	esac
}

pair_usage() { # pair_usage [WHAT IS WRONG] : ends
	if [ $# = 0 ]; then
		usage
		exit 0
	fi
	usage >&2
	echo "error: $*" >&2
	exit 2
}

pair_choose() { # pair_choose WHAT CHOSEN EXISTING : words of CHOSEN that are not of EXISTING are an error
	local w
	for w in $2; do
		case " $3 " in
		*" $w "*) ;;
		*) pair_usage "there is no $1 '$w', but: $3" ;;
		esac
	done
}

pair_numbers() { # what the options have to be
	local r
	[[ $rounds =~ ^[1-9][0-9]{0,3}$ ]] || pair_usage "--rounds $rounds: a number from 1 to 9999"
	if [[ ! $seconds =~ ^[0-9]+([.][0-9]+)?$ ]] || [[ $seconds =~ ^[0.]+$ ]]; then pair_usage "--seconds $seconds: a number above 0"; fi
	for r in $rate; do
		[[ $r =~ ^[1-9][0-9]{0,8}$ ]] || pair_usage "--rate $r: a whole number of requests a second"
	done
	case " ${tests-one} $rate " in
	*" rate "*[0-9]*) ;;
	*" rate "*) pair_usage "--rate: the test rate needs one" ;;
	*[a-z]*) ;;
	*) pair_usage "--test: which ones?" ;;
	esac
	case $idle in
	poll | sleep) ;;
	*) pair_usage "--idle $idle: poll or sleep" ;;
	esac
}

# --- the network

pair_need() { # pair_need TOOL… : or the end, with what to do
	local tool missing=""
	[ "$(id -u)" = 0 ] || t_die "network namespaces and AF_XDP need root"
	[ "$(nproc)" -ge 2 ] || t_die "server and client need a CPU each; there is one"
	for tool in ethtool ip "$@"; do
		command -v "$tool" >/dev/null || [ -e "$tool" ] || missing="$missing $tool"
	done
	[ -z "$missing" ] || t_die "missing:$missing; './dev bench compare' installs it, or (Debian): apt-get install --no-install-recommends" \
		"haproxy nginx-light libnginx-mod-stream memcached redis-server ethtool iproute2"
	for tool in dataplane/millraced control/daemon/millrace-controld control/cli/millrace; do
		[ -x "$T_BUILD/$tool" ] || t_die "there is no $T_BUILD/$tool; build it: ./dev build release compare"
	done
}

pair_namespaces() { # those of T_NS; they end with the script, and so does all that runs in them
	local ns
	T_DIR=$(mktemp -d)
	trap 'trap "" INT TERM HUP PIPE; t_cleanup; hugepages_back "$T_DIR/hugepages"; rm -rf "$T_DIR"' EXIT
	trap 'exit 130' INT TERM HUP PIPE
	pair_memory=""
	hugepages_take $PAIR_HUGEPAGES "$T_DIR/hugepages" || {
		echo "$PAIR_HUGEPAGES hugepages cannot be had (vm.nr_hugepages): Millrace has 4 KB pages, and is slower"
		pair_memory=--no-huge
	}
	for ns in $T_NS; do
		ip netns add "$T_ID-$ns"
		t_in "$ns" ip link set lo up
		t_in "$ns" sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.core.rmem_max=8388608 2>/dev/null || true
	done
}

pair_begin() { # pair_begin TOOL… : the network of a client and a server; ends with the script
	pair_need "$@"
	pair_namespaces
	t_link mr mr-n client eth0
	t_in client ip addr add 10.1.0.10/24 dev eth0
}

load_now() { cut -d ' ' -f 1-3 /proc/loadavg; }

pair_head() { # what is compared, and where
	pair_load=$(load_now)
	echo "$("$T_BUILD/dataplane/millraced" --version), Linux $(uname -r), $(nproc) CPUs," \
		"$(awk -F ': *' '/^model name/ { print $2; exit }' /proc/cpuinfo); load $pair_load"
}

median() { # of numbers on standard input
	sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# --- measurements: compare.py makes tables and the document of them

pair_py() { $T_PYTHON -B "$(dirname "${BASH_SOURCE[0]}")/compare.py" "$@"; }

ticks() { # ticks NAME : CPU time of what t_spawn NAME started and the processes that has started, all threads, user and system, in the clock's ticks
	local pid
	pid=$(t_pid "$1")
	# shellcheck disable=SC2046
	cat "/proc/$pid/stat" $(sed 's|[0-9]\+|/proc/&/stat|g' "/proc/$pid/task/$pid/children") | sed 's/.*) //' \
		| awk '{ u += $12; s += $13 } END { print u, s }'
}

look() { # look FILE : CPU time of the server, of the backends, of this shell's children that have ended, and of each CPU; see compare.py
	ticks server >"$1"
	if [ -e "$T_DIR/backends.pid" ]; then ticks backends; else echo 0 0; fi >>"$1"
	times >"$T_DIR/times"
	tail -n 1 "$T_DIR/times" >>"$1"
	grep '^cpu[0-9]' /proc/stat >>"$1"
}

pair_measure() { # pair_measure NAME PEER TEST ROUND COMMAND… : the client's run, which prints JSON with --json: one sample, and a row of a table
	look "$T_DIR/before"
	"${@:5}" --json >"$T_DIR/client.json" 2>"$T_DIR/client.log" || {
		cat "$T_DIR/client.log" "$T_DIR/server.log" >&2
		t_die "$2, $3: no figure; what the client and the server said is above"
	}
	look "$T_DIR/after"
	pair_py sample "$1" "$T_DIR/samples" "$2" "$3" "$4" "$T_DIR/before" "$T_DIR/after" <"$T_DIR/client.json"
}

pair_report() { # pair_report NAME : tables, and the document if it is wanted; T_DIR/versions and T_DIR/config are there
	local load
	pair_py table "$1" "$T_DIR/versions" <"$T_DIR/samples"
	load=$(load_now)
	echo "load $load at the end"
	[ -n "$json" ] || return 0
	mkdir -p "$json"
	pair_py document "$1" "$T_DIR/versions" "$T_BUILD" "$T_DIR/config" "$pair_load" <"$T_DIR/samples" >"$T_DIR/document"
	cp "$T_DIR/document" "$json/$1.json"
	echo "written: $json/$1.json"
}

in_turn() { # in_turn ROUND WORD… : the words, in every second round the last one first
	local round=$1 i
	shift
	[ $((round % 2)) = 0 ] || {
		echo "$@"
		return
	}
	for ((i = $#; i > 0; i--)); do
		echo "${!i}"
	done
}

expand() { # expand TEST… : rate is one test for each of --rate
	local t r
	for t; do
		[ "$t" = rate ] || {
			echo "$t"
			continue
		}
		for r in $rate; do
			echo "rate-$r"
		done
	done
}

log_of() {
	cat "$T_DIR/$1.log" >&2
	t_die "Millrace does not serve; its log is above"
}

# --- NAME_up [OPTION…] and NAME_down; 32-byte values of 100,000 keys need 20 MB, large ones what is asked for

memcached_up() {
	local udp=()
	[ "$over" = tcp ] || udp=(-U 11211)
	t_in client ip neigh flush dev eth0
	t_in mr ip addr add $vip/24 dev mr-n
	t_spawn server mr taskset -c 1 memcached -u nobody -l $vip "${udp[@]}" -t 1 -m 256 -c 20000 "$@"
	t_wait 10 "memcached" answers
}

memcached_down() {
	t_stop server
	t_in mr ip addr flush dev mr-n
}

redis_up() {
	t_in client ip neigh flush dev eth0
	t_in mr ip addr add $vip/24 dev mr-n
	t_spawn server mr taskset -c 1 redis-server --bind $vip --port 11211 --protected-mode no --save "" --appendonly no \
		--maxclients 20000 --dir "$T_DIR" "$@"
	t_wait 10 "Redis" answers
}

redis_down() { memcached_down; }

millrace_up() {
	t_in client ip neigh flush dev eth0
	cat >"$T_DIR/millrace.yaml" <<-EOF
		version: 1
		network:
		  ports:
		    north: { addresses: [10.1.0.1/24] }
		caches:
		  hot: { memory: 256MB }
		services:
		  memcached: { kind: cache, vip: $vip, port: 11211, proto: $over, cache: hot$service }
	EOF
	: >"$T_DIR/server.log"
	# shellcheck disable=SC2086
	t_spawn server mr "$T_BUILD/dataplane/millraced" --port "north=net_af_xdp0,iface=mr-n" --workers 1 \
		--cpus 0,1 --idle "$idle" $pair_memory --conns 1024 --conns6 1024 --cache-memory 512 \
		--socket "$T_DIR/dataplane.sock" "$@"
	t_wait 30 "millraced" grep -q ready "$T_DIR/server.log" || log_of server
	rm -rf "$T_DIR/state"
	t_controld "$T_DIR/millrace.yaml"
	t_wait 15 "the configuration" t_in_sync || log_of controld
	t_wait 10 "Millrace" answers || log_of server
}

millrace_down() {
	t_stop controld
	t_stop server
}
