/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conf — see conf.h. Reading is three passes: text to a tree that knows its places (yamltree), tree
 * to values (confdraft), values to references and rules (confrule); a finding in one pass does not
 * keep the next from running, so that all of them are reported together.
 */
#include "lib/conf.h"

#include "lib/confrule.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const char *conf_check_type_name(enum conf_check_type type)
{
#define TYPE_TEXT(sym, text) text,
	static const char *const names[] = {"?", CONF_CHECK_TYPES(TYPE_TEXT)};

	return (unsigned)type < CONF_CHECK_TYPES_END ? names[type] : "?";
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* 32 hex digits and at most one line end. */
static bool parse_key(uint8_t key[16], const char *text, size_t len)
{
	if (len == 33 && text[32] == '\n')
		len--;
	if (len != 32)
		return false;
	for (size_t i = 0; i < 16; i++) {
		const int hi = digit_of(text[2 * i]), lo = digit_of(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		key[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

static void read_hash_key(struct confdraft *d, enum conf_secrets secrets)
{
	const struct yamltree_node *at = d->node[CONFDRAFT_NODE_HASH_KEY_FILE];
	struct conf *c = d->conf;
	struct stat st;
	char text[64];
	ssize_t n;
	int fd;

	if (c->hash_key_file == NULL || secrets == CONF_SECRETS_SKIP)
		return;
	fd = open(c->hash_key_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) != 0 || (n = read(fd, text, sizeof(text))) < 0) {
		confreport_sink_add(d->read->sink,
			secrets == CONF_SECRETS_NEED ? CONFREPORT_ERROR : CONFREPORT_WARNING,
			at->span, NULL, "node.hash_key_file cannot be read: %s", strerror(errno));
	} else if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0) {
		CONFREAD_ERROR(d->read, at,
			"node.hash_key_file must be a file that only its owner can read (chmod 600)");
	} else if (!parse_key(c->hash_key, text, (size_t)n)) {
		CONFREAD_ERROR(d->read, at,
			"node.hash_key_file must hold 32 hex digits, as `openssl rand -hex 16` "
			"writes them");
	} else {
		c->hash_key_is_read = true;
	}
	if (fd >= 0)
		close(fd);
}

static void refuse_exec(struct confdraft *d)
{
	for (size_t i = 0; i < d->conf->n_checks; i++) {
		if (d->conf->checks[i].type == CONF_CHECK_EXEC)
			CONFREAD_ERROR(d->read, d->checks[i].at[CONFDRAFT_CHECK_TYPE],
				"checks.%s would run a command as the daemon's user, which needs "
				"millrace-controld to be started with --allow-exec-checks",
				d->conf->checks[i].name);
	}
}

/* A warning only: the file may be for another machine, and the daemon goes on without a command. */
static void look_for_commands(struct confdraft *d)
{
	for (size_t i = 0; i < d->conf->n_checks; i++) {
		const struct conf_check *k = &d->conf->checks[i];

		if (k->n_command > 0 && access(k->command[0], X_OK) != 0)
			CONFREAD_WARNING(d->read,
				d->checks[i].at[CONFDRAFT_CHECK_COMMAND]->items[0],
				"checks.%s.command cannot be run here: %s", k->name,
				strerror(errno));
	}
}

/* Both passes over the tree. 0, -EINVAL (reported) or -ENOMEM. */
static int read_tree(struct conf *c, struct confreport_sink *sink, const struct yamltree_node *root,
	const struct conf_host *host)
{
	struct confread read = {.sink = sink};
	struct confdraft d;

	confdraft_init(&d, c, &read, root);
	if (!read.is_out_of_memory) {
		confrule_check(&d);
		read_hash_key(&d, host->secrets);
		if (host->secrets != CONF_SECRETS_SKIP)
			look_for_commands(&d);
		if (host->is_exec_refused)
			refuse_exec(&d);
	}
	confdraft_fini(&d);
	if (read.is_out_of_memory)
		return -ENOMEM;
	return confreport_sink_n_errors(sink) > 0 ? -EINVAL : 0;
}

static int read_text(struct conf *c, struct confreport_sink *sink, const char *text, size_t len,
	const struct conf_host *host)
{
	struct yamltree *tree;
	int rc = yamltree_create(&tree, text, len, sink);

	if (rc != 0)
		return rc;
	rc = read_tree(c, sink, yamltree_root(tree), host);
	yamltree_destroy(&tree);
	return rc;
}

int conf_create(struct conf **out, struct confreport **report, const char *text, size_t len,
	const char *name, enum conf_secrets secrets)
{
	const struct conf_host host = {.secrets = secrets};

	return conf_create_on(out, report, text, len, name, &host);
}

int conf_create_on(struct conf **out, struct confreport **report, const char *text, size_t len,
	const char *name, const struct conf_host *host)
{
	struct conf *c = calloc(1, sizeof(*c));
	struct confreport_sink *sink = NULL;
	int rc = c == NULL ? -ENOMEM : confreport_sink_create(&sink, name, text, len);

	*report = NULL;
	if (rc == 0)
		rc = read_text(c, sink, text, len, host);
	if (rc != -ENOMEM && confreport_build(report, sink) != 0)
		rc = -ENOMEM;
	confreport_sink_destroy(&sink);
	if (rc == 0)
		*out = c;
	else
		conf_destroy(&c);
	return rc;
}

void conf_destroy(struct conf **cp)
{
	struct conf *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n_ports; i++) {
		free(c->ports[i].addresses);
		free(c->ports[i].gateways);
	}
	for (size_t i = 0; i < c->n_checks; i++) {
		free(c->checks[i].path);
		free(c->checks[i].host);
		free(c->checks[i].expect);
		free(c->checks[i].send.data);
		free(c->checks[i].answer.data);
		for (size_t k = 0; k < c->checks[i].n_command; k++)
			free(c->checks[i].command[k]);
		free(c->checks[i].command);
	}
	for (size_t i = 0; i < c->n_pools; i++)
		free(c->pools[i].backends);
	for (size_t i = 0; i < c->n_services; i++) {
		free(c->services[i].allow.items);
		free(c->services[i].deny.items);
	}
	free(c->hash_key_file);
	free(c->ports);
	free(c->snats);
	free(c->checks);
	free(c->pools);
	free(c->caches);
	free(c->services);
	free(c);
}

/* Every array's elements begin with their name. */
static const void *find_name(const void *array, size_t n, size_t size, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		const char *p = (const char *)array + i * size;

		if (strcmp(p, name) == 0)
			return p;
	}
	return NULL;
}

const struct conf_port *conf_find_port(const struct conf *c, const char *name)
{
	return find_name(c->ports, c->n_ports, sizeof(*c->ports), name);
}

const struct conf_check *conf_find_check(const struct conf *c, const char *name)
{
	return find_name(c->checks, c->n_checks, sizeof(*c->checks), name);
}

const struct conf_pool *conf_find_pool(const struct conf *c, const char *name)
{
	return find_name(c->pools, c->n_pools, sizeof(*c->pools), name);
}

const struct conf_cache *conf_find_cache(const struct conf *c, const char *name)
{
	return find_name(c->caches, c->n_caches, sizeof(*c->caches), name);
}

const struct conf_service *conf_find_service(const struct conf *c, const char *name)
{
	return find_name(c->services, c->n_services, sizeof(*c->services), name);
}

const struct conf_backend *conf_find_backend(const struct conf_pool *p, const char *name)
{
	return find_name(p->backends, p->n_backends, sizeof(*p->backends), name);
}
