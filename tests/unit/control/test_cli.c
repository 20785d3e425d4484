/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_cli — the program `millrace`, run in this process with its output caught: exit codes of README's
 * table, help and completion of every command, JSON where JSON was asked for. It talks to the real daemon
 * in a child process, or to a child that answers with given bytes. The argument is the program itself, for
 * bash to complete with.
 */
#include "cli/cli.h"
#include "ctlfix.h"
#include "daemon/ctlsrv.h"
#include "daemon/logline.h"
#include "daemon/loop.h"
#include "fakedp.h"
#include "unit.h"

#include <event2/event.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 24

static const char *program;
static char dir[64], socket_path[96], odd_path[96];
static pid_t daemon_pid;

/* What a run of the CLI left. */
static int code;
static char *out, *err;

static const char conf_text[] = "# as applied, comments and all\n"
				"version: 1\n"
				"network:\n"
				"  ports: { north: { addresses: [10.1.0.1/24] } }\n"
				"  snat: [10.1.0.100]\n"
				"pools:\n"
				"  web:\n"
				"    backends:\n"
				"      - { name: web1, ip: 10.1.0.11, port: 80 }\n"
				"      - { name: web2, ip: 10.1.0.12, port: 80 }\n"
				"caches: { hot: { memory: 64MB } }\n"
				"services:\n"
				"  memo: { kind: cache, vip: 10.1.0.90, port: 11211, proto: udp, "
				"cache: hot, allow: [10.0.0.0/8] }\n"
				"  talk: { kind: cache, vip: 10.1.0.90, port: 11211, cache: hot }\n"
				"  shop: { vip: 10.1.0.80, port: 80, mode: full-nat, pool: web }\n";

/* --- the other side */

static const struct mr_service_row service_rows[] = {{.name = "talk", .conns = 3, .requests = 77}};
static const struct mr_explain_row explain_row = {.verdict = MR_VERDICT_SERVED,
	.address = "virtual",
	.service = "talk",
	.mode = MR_MODE_CACHE,
	.n_workers = 2,
	.has_entry = 1,
	.conn_state = MR_CONN_ESTABLISHED,
	.age_ms = 9000,
	.idle_ms = 500,
	.expires_ms = MR_CONN_EXPIRES_NEVER,
	.service_conns = 4,
	.service_conns_max = 10,
	.flows_left = MR_EXPLAIN_NO_LIMIT,
	.source_left = 3};
static const struct mr_tcp_row tcp_rows[] = {
	{.name = "connections", .group = MR_TCP_USAGE, .value = 3, .max = 12, .help = "open"},
	{.name = "time_waits", .group = MR_TCP_USAGE, .max = 12, .help = "ended"},
	{.name = "syns", .group = MR_TCP_STACK, .value = 5, .help = "SYN taken"},
	{.name = "paws", .group = MR_TCP_STACK, .help = "old"}};

static void run_daemon(const char *dp_socket, const char *state_dir, const char *config, int ready)
{
	const struct loop_params params = {
		.config_file = config, .state_dir = state_dir, .dataplane = dp_socket};
	struct ctlsrv_params sp = {.socket = socket_path};
	struct event_base *base = event_base_new();
	struct ctlsrv *server = NULL;
	struct fakedp *dp;

	logline_set_level(LOGLINE_ERR);
	dp = fakedp_start(base, dp_socket);
	dp->rows[MR_REQ_SERVICES] =
		(struct fakedp_rows){.msg = &mr_service_row_msg, .rows = service_rows, .n = 1};
	dp->rows[MR_REQ_EXPLAIN] =
		(struct fakedp_rows){.msg = &mr_explain_row_msg, .rows = &explain_row, .n = 1};
	dp->rows[MR_REQ_TCP] =
		(struct fakedp_rows){.msg = &mr_tcp_row_msg, .rows = tcp_rows, .n = 4};
	if (loop_create(&sp.loop, base, &params) != 0 || ctlsrv_create(&server, base, &sp) != 0
		|| write(ready, "r", 1) != 1)
		_exit(1);
	event_base_dispatch(base);
	_exit(0);
}

static int start_daemon(void **state)
{
	char dp_socket[96], state_dir[96], config[96], byte;
	int ready[2];

	ctlfix_dir(dir);
	snprintf(socket_path, sizeof(socket_path), "%s/control.sock", dir);
	snprintf(odd_path, sizeof(odd_path), "%s/odd.sock", dir);
	snprintf(dp_socket, sizeof(dp_socket), "%s/dp.sock", dir);
	snprintf(state_dir, sizeof(state_dir), "%s/state", dir);
	snprintf(config, sizeof(config), "%s/conf.yaml", dir);
	ctlfix_write(dir, "conf.yaml", conf_text);
	if (chdir(dir) != 0 || pipe(ready) != 0)
		return -1;
	daemon_pid = fork();
	if (daemon_pid == 0)
		run_daemon(dp_socket, state_dir, config, ready[1]);
	close(ready[1]);
	if (daemon_pid < 0 || read(ready[0], &byte, 1) != 1)
		return -1;
	close(ready[0]);
	return 0;
}

static int stop_daemon(void **state)
{
	kill(daemon_pid, SIGKILL);
	waitpid(daemon_pid, NULL, 0);
	if (chdir("/") != 0)
		return -1;
	ctlfix_rm(dir);
	free(out);
	free(err);
	return 0;
}

/* A child that takes one connection at odd_path, reads a line and answers with text; NULL: it is silent
 * until the client goes. */
static pid_t answer_with(const char *text)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char buf[65536];
	pid_t pid;
	int peer;

	memcpy(sun.sun_path, odd_path, strlen(odd_path) + 1);
	unlink(odd_path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 4), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		peer = accept(fd, NULL, NULL);
		while (read(peer, buf, sizeof(buf)) > 0) {
			if (text == NULL)
				continue;
			if (write(peer, text, strlen(text)) < 0)
				_exit(1);
			break;
		}
		_exit(0);
	}
	close(fd);
	return pid;
}

/* --- running it */

/* Words are separated by blanks; nothing is quoted. */
static void run_with(const char *in_text, const char *line)
{
	char copy[1024], *argv[ARGS_MAX + 1] = {(char *)(uintptr_t) "millrace"}, *rest = copy,
					  *word;
	size_t out_len, err_len;
	struct cmd_io io = {.in = *in_text == '\0'
			? fopen("/dev/null", "r")
			: fmemopen((void *)(uintptr_t)in_text, strlen(in_text), "r")};
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	while ((word = strsep(&rest, " ")) != NULL) {
		assert_true(argc < ARGS_MAX);
		if (*word != '\0')
			argv[argc++] = word;
	}
	free(out);
	free(err);
	io.out = open_memstream(&out, &out_len);
	io.err = open_memstream(&err, &err_len);
	assert_true(io.in != NULL && io.out != NULL && io.err != NULL);
	code = cli_run(argc, argv, &io);
	fclose(io.in);
	fclose(io.out);
	fclose(io.err);
}

static void run(const char *line)
{
	run_with("", line);
}

static void expect(const char *line, int wanted, const char *in_out, const char *in_err)
{
	run(line);
	if (code != wanted || (in_out != NULL && strstr(out, in_out) == NULL)
		|| (in_err != NULL && strstr(err, in_err) == NULL))
		fail_msg("millrace %s: exit %d, wanted %d\nout: %s\nerr: %s", line, code, wanted,
			out, err);
	if (wanted == EXIT_DONE)
		assert_string_equal(err, "");
}

/* --- command lines */

static const struct {
	const char *line;
	const char *message, *hint; /* parts of standard error */
} mistakes[] = {
	{"", "no command given", "millrace help"},
	{"bogus", "unknown command 'bogus'", "see: millrace help"},
	{"statsu", "unknown command 'statsu'", "did you mean 'status'?"},
	{"servce show", "unknown command 'servce'", "did you mean 'service'?"},
	{"backend drian web/web1", "unknown command 'backend drian'",
		"did you mean 'backend drain'?"},
	{"backend", "the rest of the command is missing", "millrace help backend"},
	{"backend drain", "POOL/NAME is missing", "millrace help backend drain"},
	{"backend drain web1", "'web1' is not POOL/NAME", "for example web/web1"},
	{"backend drain web/", "'web/' is not POOL/NAME", NULL},
	{"backend drain web/a/b", "is not POOL/NAME", NULL},
	{"backend drain web/web1 web/web2", "one argument too many", NULL},
	{"backend weight web/web1 1001", "0...1000 or default, got '1001'", NULL},
	{"backend weight web/web1 -1", "unknown option '-1'", NULL},
	{"backend weight web/web1 5.5", "got '5.5'", NULL},
	{"backend weight web/web1 18446744073709551617", "got '18446744073709551617'", NULL},
	{"conn show --tcp=1", "--tcp takes no value", NULL},
	{"conn kill --tcp", "unknown option '--tcp'", NULL},
	{"conn show --limit 0", "--limit must be 1...20000, got '0'", NULL},
	{"conn show --limit", "--limit needs a value: N", NULL},
	{"conn show --limit 5 --limit 6", "--limit is given twice", NULL},
	{"conn show --limt 5", "unknown option '--limt'", "did you mean '--limit'?"},
	{"conn show --state establshed", "is not one of", "did you mean 'established'?"},
	{"conn show --client 10.1.0", "'10.1.0' is not an IP address", NULL},
	{"conn show --client 10.1.0.0/33",
		"--client: the prefix length of 10.1.0.0 must be 1...32, got '33'", NULL},
	{"conn show --client 10.1.0.0/0", "must be 1...32, got '0'", NULL},
	{"conn show --client 10.1.0.0/-1", "must be 1...32, got '-1'", NULL},
	{"conn show --client fd00::/129", "must be 1...128, got '129'", NULL},
	{"conn show --client fd00::/", "must be 1...128, got ''", NULL},
	{"conn show --client 10.1.0.7/24", "for the network write 10.1.0.0/24", NULL},
	{"conn show --client fd00::1/64", "for the network write fd00::/64", NULL},
	{"conn show --backend web/web1/x", "'web/web1/x' is not NAME or POOL/NAME", NULL},
	{"conn show --older-than 5", "--older-than: '5' is not a duration above 0",
		"for example 500ms"},
	{"conn show --older-than 0", "--older-than: '0' is not", NULL},
	{"conn show --idle-longer-than -5s", "--idle-longer-than: '-5s' is not", NULL},
	{"conn show --younger-than 31d", "up to 30d", NULL},
	{"conn show --older-than 5s --younger-than 5s",
		"--older-than must be less than --younger-than", NULL},
	{"conn kill --idle-longer-than 2m --idle-shorter-than 1m",
		"conn kill: --idle-longer-than must be less than --idle-shorter-than", NULL},
	{"cache get hot", "KEY is missing", "millrace help cache get"},
	{"cache get hot a\\q", "KEY: '\\q' is no escape", "a backslash is \\\\"},
	{"cache get h/t a", "'h/t' cannot be a name", NULL},
	{"cache purge hot", "which keys? Give --prefix, or --all", "millrace help cache purge"},
	{"cache purge hot --all --prefix a", "--all goes without --prefix", NULL},
	{"cache purge hot --prefix=", "--prefix must have 1...250 bytes, got 0", NULL},
	{"cache purge", "NAME is missing", NULL},
	{"cache hotkeys hot --limit 257", "--limit must be 1...256, got '257'", NULL},
	{"conn kill", "which connections? Give a filter, or --all", "millrace help conn kill"},
	{"conn kill --all --state syn", "--all goes without a filter", NULL},
	{"conn kill --limit 5", "unknown option '--limit'", NULL},
	{"conn kill --all=1", "--all takes no value", NULL},
	{"conn count --by=color", "'color' is not one of service, backend, state, client", NULL},
	{"conn count --by client --prefix 33", "--prefix must be 1...32, got '33'", NULL},
	{"conn count --by client --prefix6 0", "--prefix6 must be 1...128, got '0'", NULL},
	{"conn count --prefix 24", "--prefix and --prefix6 need --by client", NULL},
	{"conn count --top -1", "--top must be 1...20000, got '-1'", NULL},
	{"explain tcp 10.1.0.10:4000", "VIP is missing", "millrace help explain"},
	{"explain icmp 10.1.0.10:1 10.1.0.80:1", "'icmp' is not one of tcp, udp", NULL},
	{"explain tcp 10.1.0.10 10.1.0.80:80",
		"CLIENT: '10.1.0.10' has no port: write ADDRESS:PORT", "for example 192.0.2.7:80"},
	{"explain tcp 10.1.0.10:1 fd00::80", "VIP: 'fd00::80' has no port: write [ADDRESS]:PORT",
		NULL},
	{"explain tcp 10.1.0.10:1 fd00::80:x", "'fd00::80:x' needs brackets", NULL},
	{"explain tcp 10.1.0:1 10.1.0.80:80", "'10.1.0:1' does not begin with an IP address", NULL},
	{"explain tcp [10.1.0.10]:1 10.1.0.80:80", "'[10.1.0.10]:1' has brackets", NULL},
	{"explain tcp [fd00::1] [fd00::80]:80", "'[fd00::1]' is not ADDRESS:PORT", NULL},
	{"explain tcp [fd00::1:1 [fd00::80]:80", "'[fd00::1:1' is not ADDRESS:PORT", NULL},
	{"explain tcp 10.1.0.10:0 10.1.0.80:80", "'10.1.0.10:0' has no port of 1...65535", NULL},
	{"explain tcp 10.1.0.10:65536 10.1.0.80:80", "'10.1.0.10:65536' has no port of", NULL},
	{"explain udp 10.1.0.10:53 [fd00::53]:53",
		"client and VIP are of different families: 10.1.0.10:53 and [fd00::53]:53", NULL},
	{"capture", "capture: --write is missing", "millrace help capture"},
	{"capture -w", "-w needs a value: FILE", NULL},
	{"capture -x a", "unknown option '-x'", NULL},
	{"capture -w a.pcapng --at nowhere", "'nowhere' is not one of rx, tx, drop", NULL},
	{"capture -w a.pcapng --filter foo", "--filter: 'foo': ", "see pcap-filter(7)"},
	{"capture -w a.pcapng --filter=tcp[", "syntax error", NULL},
	{"capture -w a.pcapng --snaplen 2049", "--snaplen must be 14...2048, got '2049'", NULL},
	{"capture -w a.pcapng --count 0", "--count must be 1...", NULL},
	{"capture -w nosuch/a.pcapng", "nosuch/a.pcapng: No such file or directory", NULL},
	{"trace --filter foo", "--filter: 'foo': ", "see pcap-filter(7)"},
	{"trace --count 0", "--count must be 1...", NULL},
	{"trace web", "web", NULL},
	{"-o json capture -w -", "standard output cannot take packets", NULL},
	{"-o xml status", "'xml' is not one of text, json", NULL},
	{"--timeout 0 status", "'0' is not a duration above 0", "500ms"},
	{"--timeout 5 status", "'5' is not a duration", NULL},
	{"--help=yes", "--help takes no value", NULL},
	{"config apply", "FILE is missing", NULL},
	{"config apply x.yaml --if-generation x", "got 'x'", NULL},
	{"service show a/b", "'a/b' cannot be a name", NULL},
	{"completion zsh", "'zsh' is not one of bash", NULL},
	{"help config bogus", "no command 'config bogus'", "millrace help"},
	{"drops all", "one argument too many", NULL},
	{"wait healthy shop 0", "must be 1...", NULL},
	{"config check none.yaml", "none.yaml: No such file", NULL},
	{"config check .", "Is a directory", NULL},
};

static void mistakes_are_named_and_exit_2(void **state)
{
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		char line[256];

		snprintf(line, sizeof(line), "-s %s %s", socket_path, mistakes[i].line);
		expect(line, EXIT_USAGE, "", mistakes[i].message);
		if (mistakes[i].hint != NULL)
			assert_non_null(strstr(err, mistakes[i].hint));
		assert_string_equal(out, "");
	}
}

static void assert_width(const char *text)
{
	while (*text != '\0') {
		const size_t n = strcspn(text, "\n");

		if (n > 80)
			fail_msg("%zu columns: %.*s", n, (int)n, text);
		text += n + (text[n] == '\n');
	}
}

/* Each runs a command that exists, and one of them the command it is an example of. */
static void check_examples(const struct cmd *cmd)
{
	bool is_shown = false;

	for (const char *e = cmd->examples; *e != '\0'; e += strcspn(e, "\n") + 1) {
		const char *at = strstr(e, "millrace "), *words[2];
		char first[32] = "", second[32] = "";

		assert_non_null(at);
		at += strlen("millrace ");
		at += strncmp(at, "-o json ", 8) == 0 ? 8 : 0;
		sscanf(at, "%31[^ \n)] %31[^ \n)]", first, second);
		words[0] = first;
		words[1] = second;
		if (cmd_table_find(words, 2) == NULL)
			assert_string_equal(first, "help"); /* of everything */
		is_shown = is_shown || cmd_table_find(words, 2) == cmd;
	}
	assert_true(is_shown);
}

static void every_command_explains_itself(void **state)
{
	char line[128], usage[128], *first;

	expect("help", EXIT_DONE, "Exit status:", NULL);
	assert_width(out);
	for (unsigned f = 0; f < cmd_table_n_families; f++) {
		for (unsigned i = 0; i < cmd_table[f]->n_cmds; i++) {
			const struct cmd *cmd = &cmd_table[f]->cmds[i];

			expect("help", EXIT_DONE, cmd->path, NULL);
			snprintf(usage, sizeof(usage), "usage: millrace %s", cmd->path);
			snprintf(line, sizeof(line), "help %s", cmd->path);
			expect(line, EXIT_DONE, usage, NULL);
			assert_width(out);
			assert_non_null(strstr(out, "\nExamples:\n"));
			assert_non_null(strstr(out, "--timeout"));
			first = strdup(out);
			snprintf(line, sizeof(line), "%s --help", cmd->path);
			expect(line, EXIT_DONE, usage, NULL);
			assert_string_equal(out, first);
			free(first);
			check_examples(cmd);
		}
		if (cmd_table[f]->name == NULL)
			continue;
		snprintf(line, sizeof(line), "help %s", cmd_table[f]->name);
		expect(line, EXIT_DONE, cmd_table[f]->cmds[0].path, NULL);
		assert_width(out);
	}
}

/* --- configuration files, offline */

static const char bad_conf[] = "version: 1\n"
			       "netwrk: {}\n"
			       "checks:\n"
			       "  ok: { type: htp, interval: 1 }\n"
			       "pools:\n"
			       "  web:\n"
			       "    check: okk\n"
			       "    backends:\n"
			       "      - { name: a, ip: 10.1.0.300, weigth: 5 }\n"
			       "      - { name: a, ip: 10.1.0.12, port: 70000 }\n"
			       "  web:\n"
			       "    backends: []\n"
			       "services:\n"
			       "  s: { vip: 10.1.0.80, port: 80, mode: full-nat, pool: wep }\n";

static const char *const bad_places[] = {
	"bad.yaml:2:1: error: unknown key 'netwrk'",
	"did you mean 'network'?",
	"bad.yaml:4:15: error: checks.ok.type must be 'tcp', 'http', ",
	"did you mean 'http'?",
	"bad.yaml:4:30: error: checks.ok.interval must be a duration",
	"bad.yaml:7:12: error: pools.web.check: there is no 'okk' in checks",
	"did you mean 'ok'?",
	"bad.yaml:9:24: error: ",
	"bad.yaml:9:36: error: unknown key 'weigth'",
	"did you mean 'weight'?",
	"bad.yaml:10:17: error: pools.web has a backend 'a' already (line 9)",
	"bad.yaml:10:41: error: ",
	"bad.yaml:11:3: error: ",
	"bad.yaml:14:56: error: ",
	"did you mean 'web'?",
};

static void all_errors_of_a_file_are_shown_at_once(void **state)
{
	const char *at;
	json_t *v;

	ctlfix_write(dir, "bad.yaml", bad_conf);
	expect("config check bad.yaml", EXIT_INVALID, "", "bad.yaml: ");
	at = err;
	for (size_t i = 0; i < sizeof(bad_places) / sizeof(bad_places[0]); i++) {
		const char *hit = strstr(at, bad_places[i]);

		if (hit == NULL)
			fail_msg("'%s' is not told, or not in its order:\n%s", bad_places[i], err);
		at = hit;
	}
	expect("-o json config check bad.yaml", EXIT_INVALID, NULL, "");
	v = json_loads(out, 0, NULL);
	assert_true(json_is_false(json_object_get(v, "valid")));
	assert_int_equal(json_integer_value(json_object_get(v, "errors")), 11);
	assert_int_equal(json_integer_value(json_object_get(v, "warnings")), 2);
	assert_int_equal(json_array_size(json_object_get(v, "items")), 13);
	json_decref(v);
	/* the daemon says the same, for diff and for apply */
	for (unsigned i = 0; i < 2; i++) {
		char line[256];

		snprintf(line, sizeof(line), "-s %s config %s bad.yaml", socket_path,
			i == 0 ? "diff" : "apply");
		expect(line, EXIT_INVALID, "", bad_places[0]);
		for (size_t k = 0; k < sizeof(bad_places) / sizeof(bad_places[0]); k++)
			assert_non_null(strstr(err, bad_places[k]));
	}
}

static void warnings_fail_only_under_strict(void **state)
{
	ctlfix_write(dir, "odd.yaml",
		"version: 1\n"
		"network: { ports: { north: { addresses: [10.1.0.1/24] } }, snat: [10.1.0.9] }\n"
		"pools: { web: { backends: [{ name: a, ip: 10.7.0.11, port: 80 }] } }\n"
		"services: { s: { vip: 10.1.0.80, port: 80, mode: full-nat, pool: web } }\n");
	run("config check odd.yaml");
	assert_int_equal(code, EXIT_DONE);
	assert_non_null(strstr(out, "odd.yaml: valid: 1 service, 1 pool"));
	assert_non_null(strstr(err, "warning: "));
	expect("config check odd.yaml --strict", EXIT_WARNINGS, "", "0 errors, 1 warning");
	run_with(conf_text, "config check - --strict");
	assert_int_equal(code, EXIT_DONE);
	assert_string_equal(out, "<stdin>: valid: 3 services, 1 pool, 1 cache\n");
	run_with("version: 2\n", "config check -");
	assert_int_equal(code, EXIT_INVALID);
	assert_non_null(strstr(err, "<stdin>:1:10: error: "));
}

/* --- with the daemon */

static void ask(const char *line, int wanted, const char *in_out, const char *in_err)
{
	char whole[512];

	snprintf(whole, sizeof(whole), "-s %s %s", socket_path, line);
	expect(whole, wanted, in_out, in_err);
}

static void exit_codes_with_a_daemon(void **state)
{
	ctlfix_write(dir, "new.yaml", "version: 1\npools: { web: { backends: [] } }\n");
	ctlfix_write(dir, "nul.yaml", "version: 1\n# x\n");
	ask("wait generation 1", EXIT_DONE, "generation 1 is in force", NULL);
	ask("wait healthy shop 2", EXIT_DONE, "service shop has 2 of 2 backends up", NULL);
	ask("config diff conf.yaml", EXIT_DONE, "no difference", NULL);
	ask("config apply conf.yaml --dry-run", EXIT_DONE, "no difference", NULL);
	ask("config diff new.yaml", EXIT_DIFFERENT, "- services.shop", "");
	ask("config apply new.yaml --dry-run", EXIT_DIFFERENT, "- services.shop", "");
	ask("config apply new.yaml --if-generation 0", EXIT_CONFLICT, "",
		"the applied generation is 1, not the expected one");
	ask("config apply new.yaml --if-generation 9", EXIT_CONFLICT, "",
		"the applied generation is 1");
	ask("service show", EXIT_DONE, "cache hot", NULL);
	ask("service show memo", EXIT_DONE, "max reply bytes/s", NULL);
	ask("wait healthy memo", EXIT_FAILED, "",
		"service memo is served from a cache: it has no backends");
	ask("cache show", EXIT_DONE, "67108864", NULL);
	ask("cache show hot", EXIT_DONE, "value bytes, at most", NULL);
	ask("cache show hut", EXIT_FAILED, "", "did you mean 'hot'?");
	ask("cache stats hot", EXIT_FAILED, "", "the dataplane has no cache 'hot' yet");
	ask("cache get hot a\\x00", EXIT_FAILED, "", "cache 'hot' has no key 'a\\x00'");
	ask("cache purge hot --prefix a", EXIT_DONE, "keys that begin with 'a'", NULL);
	ask("cache hotkeys hot", EXIT_DONE, "no key is asked for", NULL);
	ask("cache bigkeys hot", EXIT_DONE, "no items", NULL);
	ask("cache latency hot", EXIT_DONE, "no requests yet", NULL);
	ask("cache purge hot --all", EXIT_DONE, "all keys", NULL);
	ask("tcp show memo", EXIT_FAILED, "", "service 'memo' is no cache over tcp");
	ask("service show shpo", EXIT_FAILED, "", "did you mean 'shop'?");
	ask("backend drain web/web9", EXIT_FAILED, "", "did you mean 'web1'?");
	ask("port show west", EXIT_FAILED, "", "no port 'west'");
	ask("wait healthy shpo", EXIT_FAILED, "", "there is no service 'shpo'");
	ask("wait generation 99 --timeout 100ms", EXIT_TIMEOUT, "", "the generation is 1");
	ask("wait healthy shop 3 --timeout 100ms", EXIT_TIMEOUT, "", "2 of 2 backends up");
	ask("wait drained web/web1", EXIT_FAILED, "", "first: millrace backend drain web/web1");
	ask("backend drain web/web1 --deadline 0s", EXIT_USAGE, "", "--deadline");
	ask("backend drain web/web1 --deadline 31d", EXIT_USAGE, "", "up to 30d");
	ask("backend drain web/web1 --deadline 30s", EXIT_DONE, "drained", NULL);
	ask("backend drain web/web1", EXIT_DONE, "drained", NULL);
	ask("backend weight web/web1 7", EXIT_DONE, "drained, weight 7", NULL);
	ask("wait healthy shop 1", EXIT_DONE, "1 of 2 backends up", NULL);
	ask("backend weight web/web1 default", EXIT_DONE, "drained", NULL);
	ask("backend undrain web/web1", EXIT_DONE, "up", NULL);
	ask("config export", EXIT_DONE, NULL, NULL);
	assert_string_equal(out, conf_text); /* byte for byte */
	ask("config apply new.yaml --if-generation 1 --comment because", EXIT_DONE,
		"generation 2 applied", NULL);
	ask("config apply conf.yaml", EXIT_DONE, "generation 3 applied", NULL);
	ask("wait generation 3", EXIT_DONE, "generation 3 is in force", NULL);
}

/* A NUL byte cannot travel as JSON text of the daemon's: the place is what one wants to know. */
/* Of the whole dataplane unless a service is named, and without zeroes unless all is asked for. */
static void tcp_is_shown_in_tables(void **state)
{
	ask("tcp show", EXIT_DONE,
		"SERVICE  VIP              CACHE  CONNS  CONNS MAX  CONNS EVER  REQUESTS  RX PKTS  "
		"RX BYTES  TX PKTS  TX BYTES  DROPPED PKTS\n"
		"talk     10.1.0.90:11211  hot        3          -           0        77        0  "
		"       0        0         0             0\n"
		"\n"
		"RESOURCE     USED  MAX  USED %  MEANING\n"
		"connections     3   12    25.0  open\n"
		"time_waits      0   12     0.0  ended\n"
		"\n"
		"COUNTER  VALUE  MEANING\n"
		"syns         5  SYN taken\n",
		"");
	ask("tcp show talk", EXIT_DONE, "requests", NULL);
	assert_null(strstr(out, "RESOURCE"));
	assert_null(strstr(out, "COUNTER"));
	ask("tcp show talk --all", EXIT_DONE, "requests", NULL);
	assert_non_null(strstr(out, "connections     3"));
	assert_non_null(strstr(out, "paws         0  old"));
}

static void a_segment_to_a_cache_is_explained_in_lines(void **state)
{
	ask("explain tcp 10.1.0.7:4000 10.1.0.90:11211", EXIT_DONE,
		"destination  service talk\n"
		"owner        worker 0 of 2, by Toeplitz hash 0x00000000\n"
		"entry        established, age 9.0s, idle 500ms\n"
		"limits       connections 4 of 10, for 3 of this source\n"
		"flow         goes on\n"
		"verdict      answered here, from cache hot\n",
		NULL);
	ask("explain udp 10.1.0.7:4000 10.1.0.90:11211", EXIT_DONE,
		"destination  service talk\n"
		"owner        worker 0 of 2, by Toeplitz hash 0x00000000\n"
		"verdict      answered here, from cache hot\n",
		NULL);
}

static void a_file_with_a_nul_byte_is_invalid(void **state)
{
	FILE *f = fopen("nul.yaml", "w");

	assert_non_null(f);
	fwrite("version: 1\n\0\n", 1, 13, f);
	fclose(f);
	expect("config check nul.yaml", EXIT_INVALID, "", "nul.yaml:2:1: error: ");
	ask("config diff nul.yaml", EXIT_INVALID, "", "millrace config check");
	ask("config apply nul.yaml", EXIT_INVALID, "", "millrace config check");
}

static const char *const json_lines[] = {"version", "status", "service show", "service show shop",
	"backend show", "backend show web", "backend show web/web1", "backend drain web/web1",
	"backend undrain web/web1", "backend weight web/web1 5", "backend weight web/web1 default",
	"health show", "health show web", "conn show", "conn show --service shop --limit 3",
	"conn show --tcp --client 10.1.0.7", "conn show --backend web/web1",
	"conn show --backend web1 --older-than 2s --idle-shorter-than 1m", "conn count",
	"conn count --by backend",
	"conn count --by client --prefix 24 --prefix6 64 --top 3 --client 10.0.0.0/8",
	"conn kill --client 10.1.0.7", "conn kill --all", "cache show", "cache show hot",
	"cache purge hot --all", "tcp show", "tcp show talk --all", "service show memo",
	"port show", "port stats", "neigh show", "worker show", "worker stages", "drops",
	"drops --all", "config check conf.yaml", "config diff conf.yaml",
	"config apply conf.yaml --dry-run", "config export", "wait generation 1",
	"wait healthy shop"};

static void json_is_json(void **state)
{
	char line[256];

	for (size_t i = 0; i < sizeof(json_lines) / sizeof(json_lines[0]); i++) {
		json_t *v;

		snprintf(line, sizeof(line), "-o json %s", json_lines[i]);
		ask(line, EXIT_DONE, NULL, NULL);
		v = json_loads(out, JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(v) || !json_is_array(json_object_get(v, "items"))
			|| strncmp(json_string_value(json_object_get(v, "schema")), "millrace.", 9)
				!= 0)
			fail_msg("%s: %s", json_lines[i], out);
		json_decref(v);
	}
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		json_t *v, *e;

		if (strncmp(mistakes[i].line, "-o", 2) == 0)
			continue;
		snprintf(line, sizeof(line), "-o json %s", mistakes[i].line);
		ask(line, EXIT_USAGE, "", NULL);
		v = json_loads(err, JSON_REJECT_DUPLICATES, NULL);
		e = json_object_get(v, "error");
		if (e == NULL
			|| strcmp(json_string_value(json_object_get(e, "code")), "usage") != 0)
			fail_msg("%s: %s", mistakes[i].line, err);
		json_decref(v);
	}
}

static void the_environment_sets_defaults(void **state)
{
	json_t *v;

	setenv("MILLRACE_SOCKET", socket_path, 1);
	setenv("MILLRACE_OUTPUT", "json", 1);
	expect("health show", EXIT_DONE, NULL, NULL);
	v = json_loads(out, 0, NULL);
	assert_non_null(v);
	json_decref(v);
	expect("-o text health show", EXIT_DONE, "BACKEND", NULL);
	setenv("MILLRACE_OUTPUT", "xml", 1);
	expect("health show", EXIT_USAGE, "", "MILLRACE_OUTPUT: 'xml'");
	unsetenv("MILLRACE_OUTPUT");
	unsetenv("MILLRACE_SOCKET");
}

/* --- a daemon that is none */

#define ERROR(code) \
	"{\"id\":1,\"error\":{\"code\":\"" code "\",\"message\":\"no\",\"hint\":\"do\"}}\n"

static const struct {
	const char *line, *answer;
	int code;
	const char *message;
} odd_answers[] = {
	{"status", ERROR("usage"), EXIT_USAGE, "no\n  hint: do"},
	{"status", ERROR("invalid"), EXIT_FAILED, "no"},
	{"status", ERROR("not_found"), EXIT_FAILED, "no"},
	{"status", ERROR("conflict"), EXIT_FAILED, "no"},
	{"status", ERROR("internal"), EXIT_FAILED, "no"},
	{"status", ERROR("brand_new"), EXIT_FAILED, "no"},
	{"status", ERROR("unreachable"), EXIT_UNREACHABLE, "no"},
	{"status", ERROR("denied"), EXIT_DENIED, "no"},
	{"status", ERROR("timeout"), EXIT_TIMEOUT, "no"},
	{"config apply conf.yaml", ERROR("invalid"), EXIT_INVALID, "no"},
	{"config apply conf.yaml", ERROR("conflict"), EXIT_CONFLICT, "no"},
	{"status", "{\"id\":null,\"error\":{\"code\":\"usage\",\"message\":\"no\"}}\n", EXIT_USAGE,
		"no"},
	{"status", "", EXIT_UNREACHABLE, "closed the connection before it answered"},
	{"status", "{\"id\":1,\"resu", EXIT_UNREACHABLE,
		"closed the connection before it answered"},
	{"status", "SSH-2.0-OpenSSH\r\n", EXIT_FAILED, "is not JSON"},
	{"status", "[]\n", EXIT_FAILED, "has not the form"},
	{"status", "{\"id\":2,\"result\":{\"items\":[]}}\n", EXIT_FAILED, "has not the form"},
	{"status", "{\"id\":1,\"result\":{}}\n", EXIT_FAILED, "has not the form"},
	{"status", "{\"id\":1,\"error\":\"text\"}\n", EXIT_FAILED, "has not the form"},
	{"status", "{\"id\":1,\"error\":{}}\n", EXIT_FAILED, "gave no reason"},
	{"--timeout 50ms status", NULL, EXIT_TIMEOUT, "no answer to status in time"},
};

static void odd_answers_have_their_exit_codes(void **state)
{
	for (size_t i = 0; i < sizeof(odd_answers) / sizeof(odd_answers[0]); i++) {
		const pid_t pid = answer_with(odd_answers[i].answer);
		char line[256];
		int status;

		snprintf(line, sizeof(line), "-s %s %s", odd_path, odd_answers[i].line);
		expect(line, odd_answers[i].code, "", odd_answers[i].message);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	unlink(odd_path);
}

static void without_a_daemon_the_exit_code_is_7(void **state)
{
	char line[512], path[200];

	expect("-s none.sock status", EXIT_UNREACHABLE, "", "is millrace-controld running?");
	ctlfix_write(dir, "file", "");
	expect("-s file status", EXIT_UNREACHABLE, "", "file: ");
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	snprintf(line, sizeof(line), "-s %s status", path);
	expect(line, EXIT_UNREACHABLE, "", "File name too long");
	expect("-s none.sock wait healthy shop --timeout 60ms", EXIT_UNREACHABLE, "", "none.sock");
}

/* What a daemon sends must not drive the terminal. */
static void control_characters_are_not_printed(void **state)
{
	const pid_t pid = answer_with("{\"id\":1,\"error\":{\"code\":\"internal\",\"message\":"
				      "\"a\\u001b[31mb\"}}\n");
	char line[256];

	snprintf(line, sizeof(line), "-s %s status", odd_path);
	expect(line, EXIT_FAILED, "", "a\\x1b[31mb");
	waitpid(pid, NULL, 0);
	unlink(odd_path);
}

static void a_full_disk_is_no_success(void **state)
{
	char *argv[] = {(char *)(uintptr_t) "millrace", (char *)(uintptr_t) "help", NULL};
	struct cmd_io io = {.in = stdin, .out = fopen("/dev/full", "w")};
	size_t len;

	free(err);
	io.err = open_memstream(&err, &len);
	assert_int_equal(cli_run(2, argv, &io), EXIT_FAILED);
	fclose(io.err);
	fclose(io.out);
	assert_non_null(strstr(err, "standard output: No space left on device"));
}

/* --- completion, in bash */

/* COMPREPLY for the words, of which the last one is being typed ("''" for an empty one). */
static char *complete(const char *words)
{
	static char text[4096];
	char command[2048];
	size_t n;
	FILE *p;

	snprintf(command, sizeof(command),
		"bash -c 'set -e; source <(\"%s\" completion bash); complete -p millrace >/dev/null; "
		"COMP_WORDS=(\"%s\" %s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "
		"compopt() { echo \"compopt $*\"; }; _millrace; "
		"printf \"%%s\\n\" \"${COMPREPLY[@]}\"'",
		program, program, words);
	p = popen(command, "r");
	assert_non_null(p);
	n = fread(text, 1, sizeof(text) - 1, p);
	text[n] = '\0';
	assert_int_equal(pclose(p), 0);
	return text;
}

static void bash_completes_with_it(void **state)
{
	static const char *const rows[][2] = {
		{"ba", "backend\n"},
		{"config \"\"", "check\ndiff\napply\nexport\n"},
		{"config ap", "apply\n"},
		{"backend drain \"\"", "web/web1\nweb/web2\n"},
		{"backend drain web/web2", "web/web2\n"},
		{"backend show \"\"", "web\nweb/web1\nweb/web2\n"},
		{"backend weight web/web1 \"\"", "default\n"},
		{"service show s", "shop\n"},
		{"health show \"\"", "web\n"},
		{"conn show --st", "--state\n"},
		{"conn show --state e", "established\n"},
		{"conn show --state = e", "established\n"},
		{"conn show --backend w", "web/web1\nweb/web2\n"},
		{"conn kill --idle", "--idle-longer-than\n--idle-shorter-than\n"},
		{"conn count --by \"\"", "service\nbackend\nstate\nclient\n"},
		{"cache \"\"", "show\nstats\nget\npurge\nhotkeys\nbigkeys\nlatency\n"},
		{"cache stats h", "hot\n"},
		{"tcp \"\"", "show\n"},
		{"tcp show t", "talk\n"},
		{"-o \"\"", "text\njson\n"},
		{"help conf", "config\n"},
		{"help config ex", "export\n"},
		{"completion \"\"", "bash\n"},
		{"wait healthy sh", "shop\n"},
		{"config apply \"\"", "compopt -o default\n\n"},
		{"bogus \"\"", "\n"},
		{"service show shop \"\"", "\n"},
	};

	setenv("MILLRACE_SOCKET", socket_path, 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *got = complete(rows[i][0]);

		if (strcmp(got, rows[i][1]) != 0)
			fail_msg("millrace %s: '%s', not '%s'", rows[i][0], got, rows[i][1]);
	}
	setenv("MILLRACE_SOCKET", "none.sock", 1); /* no names, and no complaints */
	assert_string_equal(complete("backend drain \"\""), "\n");
	unsetenv("MILLRACE_SOCKET");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_are_named_and_exit_2),
		cmocka_unit_test(every_command_explains_itself),
		cmocka_unit_test(all_errors_of_a_file_are_shown_at_once),
		cmocka_unit_test(warnings_fail_only_under_strict),
		cmocka_unit_test(exit_codes_with_a_daemon),
		cmocka_unit_test(tcp_is_shown_in_tables),
		cmocka_unit_test(a_segment_to_a_cache_is_explained_in_lines),
		cmocka_unit_test(a_file_with_a_nul_byte_is_invalid),
		cmocka_unit_test(json_is_json),
		cmocka_unit_test(the_environment_sets_defaults),
		cmocka_unit_test(odd_answers_have_their_exit_codes),
		cmocka_unit_test(without_a_daemon_the_exit_code_is_7),
		cmocka_unit_test(control_characters_are_not_printed),
		cmocka_unit_test(a_full_disk_is_no_success),
		cmocka_unit_test(bash_completes_with_it),
	};

	if (argc != 2)
		return 2;
	program = realpath(argv[1], NULL); /* the tests change the directory */
	if (program == NULL)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	unsetenv("MILLRACE_SOCKET");
	unsetenv("MILLRACE_OUTPUT");
	return cmocka_run_group_tests_name("cli", tests, start_daemon, stop_daemon);
}
