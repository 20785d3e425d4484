/* SPDX-License-Identifier: BSD-3-Clause */
/* controld — the program millrace-controld: options, signals, and the order of starting and ending. */
#include "daemon/ctlsrv.h"
#include "daemon/logline.h"
#include "daemon/loop.h"

#include <event2/event.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define EXIT_CONFIG 3 /* as the CLI: the configuration is invalid */

struct options {
	struct loop_params loop;
	struct ctlsrv_params server;
};

static void print_usage(FILE *out)
{
	fputs("usage: millrace-controld [OPTIONS]\n"
	      "The control plane: checks backends, applies configurations, drives millraced.\n"
	      "\n"
	      "  -c, --config FILE      configuration of the first start; later ones continue with\n"
	      "                         what was applied last (millrace config apply)\n"
	      "      --state-dir DIR    what survives restarts (default /var/lib/millrace)\n"
	      "      --socket PATH      control socket (default /run/millrace/control.sock)\n"
	      "      --dataplane PATH   millraced's socket (default /run/millrace/dataplane.sock)\n"
	      "      --group NAME       group that may use the control socket (default: its own)\n"
	      "      --allow-exec-checks  checks of type exec may run commands, as the daemon's user\n"
	      "      --log-level LEVEL  err, warning, notice, info (default) or debug\n"
	      "  -h, --help             this text\n"
	      "  -V, --version          the release\n",
		out);
}

enum long_option {
	OPT_STATE_DIR = 256,
	OPT_SOCKET,
	OPT_DATAPLANE,
	OPT_GROUP,
	OPT_EXEC,
	OPT_LOG_LEVEL
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"state-dir", required_argument, NULL, OPT_STATE_DIR},
	{"socket", required_argument, NULL, OPT_SOCKET},
	{"dataplane", required_argument, NULL, OPT_DATAPLANE},
	{"group", required_argument, NULL, OPT_GROUP},
	{"allow-exec-checks", no_argument, NULL, OPT_EXEC},
	{"log-level", required_argument, NULL, OPT_LOG_LEVEL},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static void set_log_level(const char *name)
{
	const int level = logline_level_find(name);

	if (level < 0) {
		fprintf(stderr,
			"millrace-controld: --log-level: '%s' is not one of err, warning, notice, info, "
			"debug\n",
			name);
		exit(2);
	}
	logline_set_level((enum logline_level)level);
}

static void parse_options(struct options *o, int argc, char **argv)
{
	int c;

	*o = (struct options){
		.loop = {.state_dir = "/var/lib/millrace",
			.dataplane = "/run/millrace/dataplane.sock"},
		.server = {.socket = "/run/millrace/control.sock"},
	};
	while ((c = getopt_long(argc, argv, "c:hV", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->loop.config_file = optarg;
			break;
		case OPT_STATE_DIR:
			o->loop.state_dir = optarg;
			break;
		case OPT_SOCKET:
			o->server.socket = optarg;
			break;
		case OPT_DATAPLANE:
			o->loop.dataplane = optarg;
			break;
		case OPT_GROUP:
			o->server.group = optarg;
			break;
		case OPT_EXEC:
			o->loop.allows_exec = true;
			break;
		case OPT_LOG_LEVEL:
			set_log_level(optarg);
			break;
		case 'h':
			print_usage(stdout);
			exit(0);
		case 'V':
			puts("millrace-controld " MILLRACE_VERSION);
			exit(0);
		default:
			print_usage(stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "millrace-controld: unexpected argument '%s'\n", argv[optind]);
		print_usage(stderr);
		exit(2);
	}
}

/* Tells systemd, when it started us (sd_notify(3)). */
static void notify(const char *state)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	int fd;

	if (path == NULL || strlen(path) >= sizeof(sun.sun_path))
		return;
	memcpy(sun.sun_path, path, strlen(path));
	if (sun.sun_path[0] == '@')
		sun.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&sun,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)))
		< 0)
		logline_write(LOGLINE_WARNING, "daemon", "systemd could not be told '%s': %s",
			state, strerror(errno));
	close(fd);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	event_base_loopbreak(arg);
}

/* 0 when a signal ended it, else -errno. */
static int run(struct event_base *base, struct options *o)
{
	struct event *term = evsignal_new(base, SIGTERM, on_signal, base);
	struct event *intr = evsignal_new(base, SIGINT, on_signal, base);
	struct ctlsrv *server = NULL;
	struct loop *loop = NULL;
	int rc = term == NULL || intr == NULL ? -ENOMEM : 0;

	if (rc == 0)
		rc = loop_create(&loop, base, &o->loop);
	if (rc == 0) {
		o->server.loop = loop;
		rc = ctlsrv_create(&server, base, &o->server);
	}
	if (rc == 0) {
		evsignal_add(term, NULL);
		evsignal_add(intr, NULL);
		logline_write(LOGLINE_NOTICE, "daemon", "ready: control socket %s, state in %s",
			o->server.socket, o->loop.state_dir);
		notify("READY=1");
		event_base_dispatch(base);
		notify("STOPPING=1");
		logline_write(LOGLINE_NOTICE, "daemon",
			"ended by a signal; the dataplane goes on with what it has");
	}
	ctlsrv_destroy(&server);
	loop_destroy(&loop);
	if (term != NULL)
		event_free(term);
	if (intr != NULL)
		event_free(intr);
	return rc;
}

/* A probe needs a descriptor, and there may be thousands under way: the usual soft limit of 1,024 is for
 * programs that use select(). */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	struct event_base *base;
	struct options o;
	int rc;

	parse_options(&o, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	raise_descriptor_limit();
	srandom((unsigned)time(NULL) ^ (unsigned)getpid());
	base = event_base_new();
	if (base == NULL) {
		fputs("millrace-controld: no event loop: out of memory or descriptors\n", stderr);
		return EXIT_FAILURE;
	}
	rc = run(base, &o);
	event_base_free(base);
	return rc == 0 ? EXIT_SUCCESS : rc == -EINVAL ? EXIT_CONFIG : EXIT_FAILURE;
}
