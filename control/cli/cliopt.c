/* SPDX-License-Identifier: BSD-3-Clause */
/* cliopt — see cliopt.h. Options may stand anywhere; those of a command only after its words,
 * because only then is it known whether the next argument is their value. */
#include "cli/cliopt.h"

#include "cli/report.h"
#include "lib/endpoint.h"
#include "lib/prefix.h"
#include "lib/text.h"

#include <stdlib.h>
#include <string.h>

struct parse {
	struct cmd_call *call;
	int argc;
	char *const *argv;
	int next;
	const char *words[2];
	unsigned n_words;
	unsigned n_values; /* positional values taken */
	bool is_end_of_options;
};

static bool is_name(const char *s)
{
	static const char first[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	const size_t n = strlen(s);

	if (n == 0 || n >= MR_NAME_MAX || strchr(first, s[0]) == NULL)
		return false;
	for (size_t i = 1; i < n; i++) {
		if (strchr(first, s[i]) == NULL && strchr("._-", s[i]) == NULL)
			return false;
	}
	return true;
}

/* Splits POOL/NAME in place of *pool; *name is NULL when there is no slash. False: not names. */
static bool split_backend(const char *s, char pool[static MR_NAME_MAX], const char **name)
{
	const char *const slash = strchr(s, '/');
	const size_t n = slash == NULL ? strlen(s) : (size_t)(slash - s);

	if (n >= MR_NAME_MAX)
		return false;
	memcpy(pool, s, n);
	pool[n] = '\0';
	*name = slash == NULL ? NULL : slash + 1;
	return is_name(pool) && (*name == NULL || is_name(*name));
}

static int set_backend(
	const struct cmd_call *call, const struct cmd_param *param, const char *value)
{
	char pool[MR_NAME_MAX];
	const char *name;

	if (!split_backend(value, pool, &name) || (name == NULL && !param->is_partial))
		return report_usage(call, "for example web/web1", "%s: '%s' is not %s",
			call->cmd->path, value,
			!param->is_partial                   ? "POOL/NAME"
				: param->kind == CMD_BACKEND ? "NAME or POOL/NAME"
							     : "POOL or POOL/NAME");
	if (param->kind == CMD_BACKEND) {
		json_object_set_new(call->params, param->key, json_string(value));
		return 0;
	}
	json_object_set_new(call->params, "pool", json_string(pool));
	if (name != NULL)
		json_object_set_new(call->params, "name", json_string(name));
	return 0;
}

static int set_number(const struct cmd_call *call, const struct cmd_param *param, const char *value)
{
	uint64_t v = 0;

	if (param->kind == CMD_WEIGHT && strcmp(value, "default") == 0) {
		json_object_set_new(call->params, param->key, json_null());
		return 0;
	}
	if (text_uint_parse(value, &v) != 0 || v < param->min || v > param->max)
		return report_usage(call, NULL, "%s: %s must be %llu...%llu%s, got '%s'",
			call->cmd->path, param->name, (unsigned long long)param->min,
			(unsigned long long)param->max,
			param->kind == CMD_WEIGHT ? " or default" : "", value);
	json_object_set_new(call->params, param->key, json_integer((json_int_t)v));
	return 0;
}

static int set_duration(
	const struct cmd_call *call, const struct cmd_param *param, const char *value)
{
	uint64_t ms;

	if (text_duration_parse(value, &ms) != 0 || ms == 0)
		return report_usage(call, "for example 500ms, 10s, 2m",
			"%s: '%s' is not a duration above 0 and up to 30d", param->name, value);
	return json_object_set_new(call->params, param->key, json_integer((json_int_t)ms));
}

static unsigned count_choices(const char *const *choices)
{
	unsigned n = 0;

	while (choices[n] != NULL)
		n++;
	return n;
}

static const char *did_you_mean(char *buf, size_t size, const char *near)
{
	if (near == NULL)
		return NULL;
	snprintf(buf, size, "did you mean '%s'?", near);
	return buf;
}

static int check_choice(
	const struct cmd_call *call, const struct cmd_param *param, const char *value)
{
	const unsigned n = count_choices(param->choices);
	char list[256] = "";
	char hint[128];
	const char *near;

	for (unsigned i = 0; i < n; i++) {
		const size_t used = strlen(list);

		if (strcmp(param->choices[i], value) == 0)
			return 0;
		snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "",
			param->choices[i]);
	}
	near = text_nearest(value, param->choices, n);
	return report_usage(call, did_you_mean(hint, sizeof(hint), near),
		"%s: '%s' is not one of %s", param->name, value, list);
}

static int check_bytes(
	const struct cmd_call *call, const struct cmd_param *param, const char *value)
{
	size_t n_bytes = 0, n;

	for (const char *s = value; *s != '\0'; s += n, n_bytes++) {
		n = 1;
		if (*s == '\\' && text_unescape(s, &n) < 0)
			return report_usage(call, "a backslash is \\\\",
				"%s: '%.*s' is no escape; there are \\r \\n \\t \\\\ and \\xNN",
				param->name, 1 + (int)text_utf8_len(s + 1, strlen(s + 1), NULL), s);
	}
	if (n_bytes >= param->min && n_bytes <= param->max)
		return 0;
	return report_usage(call, NULL, "%s must have %llu...%llu bytes, got %zu", param->name,
		(unsigned long long)param->min, (unsigned long long)param->max, n_bytes);
}

static int set_value(const struct cmd_call *call, const struct cmd_param *param, const char *value)
{
	char why[PREFIX_WHY_MAX];
	struct mr_ip ip;
	unsigned len;
	uint16_t port;
	json_t *text;
	int rc = 0;

	switch (param->kind) {
	case CMD_UINT:
	case CMD_WEIGHT:
		return set_number(call, param, value);
	case CMD_DURATION:
		return set_duration(call, param, value);
	case CMD_BACKEND:
	case CMD_POOL_BACKEND:
		return set_backend(call, param, value);
	case CMD_CHOICE:
		rc = check_choice(call, param, value);
		break;
	case CMD_PREFIX:
		if (prefix_parse(&ip, &len, value, why) != 0)
			rc = report_usage(call, "for example 192.0.2.7, 192.0.2.0/24", "%s: %s",
				param->name, why);
		break;
	case CMD_ENDPOINT:
		if (endpoint_parse(&ip, &port, value, why) != 0)
			rc = report_usage(call, "for example 192.0.2.7:80, [2001:db8::7]:80",
				"%s: %s", param->name, why);
		break;
	case CMD_BYTES:
		rc = check_bytes(call, param, value);
		break;
	case CMD_SERVICE:
	case CMD_CACHE:
	case CMD_POOL:
	case CMD_PORT:
		if (!is_name(value))
			rc = report_usage(
				call, NULL, "%s: '%s' cannot be a name", call->cmd->path, value);
		break;
	default:
		if (*value == '\0')
			rc = report_usage(call, NULL, "%s is empty", param->name);
	}
	if (rc != 0)
		return rc;
	text = json_string(value);
	if (text == NULL)
		return report_usage(call, NULL, "%s is not UTF-8", param->name);
	if (param->kind == CMD_WORDS) {
		if (json_object_get(call->params, param->key) == NULL)
			json_object_set_new(call->params, param->key, json_array());
		json_array_append_new(json_object_get(call->params, param->key), text);
		return 0;
	}
	json_object_set_new(call->params, param->key, text);
	return 0;
}

static int set_timeout(struct cmd_call *call, const char *value)
{
	if (text_duration_parse(value, &call->timeout_ms) != 0 || call->timeout_ms == 0)
		return report_usage(call, "for example 500ms, 10s, 2m",
			"--timeout: '%s' is not a duration above 0", value);
	return 0;
}

static int set_global(struct cmd_call *call, const struct cmd_param *param, const char *value)
{
	int rc = 0;

	if (param->kind == CMD_FLAG) {
		call->wants_help = true;
	} else if (strcmp(param->key, "timeout") == 0) {
		rc = set_timeout(call, value);
	} else if (strcmp(param->key, "output") == 0) {
		rc = check_choice(call, param, value);
		call->is_json = rc == 0 && strcmp(value, "json") == 0;
	} else if (*value == '\0') {
		rc = report_usage(call, NULL, "%s is empty", param->name);
	} else {
		call->socket = value;
	}
	return rc;
}

static const struct cmd_param *find_option(
	const struct cmd_param *params, unsigned n_params, const char *name, size_t len)
{
	for (unsigned i = 0; i < n_params; i++) {
		if (params[i].name[0] == '-' && strncmp(params[i].name, name, len) == 0
			&& params[i].name[len] == '\0')
			return &params[i];
	}
	return NULL;
}

static int report_unknown_option(const struct parse *p, const char *name)
{
	const char *names[32];
	unsigned n = 0;
	char hint[128];

	for (unsigned i = 0; i < cmd_table_n_globals; i++)
		names[n++] = cmd_table_globals[i].name;
	for (unsigned i = 0; p->call->cmd != NULL && i < p->call->cmd->n_params && n < 32; i++) {
		if (p->call->cmd->params[i].name[0] == '-')
			names[n++] = p->call->cmd->params[i].name;
	}
	if (did_you_mean(hint, sizeof(hint), text_nearest(name, names, n)) == NULL)
		snprintf(hint, sizeof(hint), "see: millrace help%s%s",
			p->call->cmd != NULL ? " " : "",
			p->call->cmd != NULL ? p->call->cmd->path : "");
	return report_usage(p->call, hint, "%s%sunknown option '%s'",
		p->call->cmd != NULL ? p->call->cmd->path : "", p->call->cmd != NULL ? ": " : "",
		name);
}

/* "-sPATH" and "-s PATH" are "--socket"; -o and -h alike. */
static const struct cmd_param *find_short(const char *arg)
{
	static const char letters[][2] = {{'s', 's'}, {'o', 'o'}, {'h', 'h'}};

	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
		if (arg[1] != letters[i][0])
			continue;
		for (unsigned g = 0; g < cmd_table_n_globals; g++) {
			if (cmd_table_globals[g].name[2] == letters[i][1])
				return &cmd_table_globals[g];
		}
	}
	return NULL;
}

static const struct cmd_param *find_letter(const struct cmd *cmd, char letter)
{
	for (unsigned i = 0; i < cmd->n_params; i++) {
		if (letter != '\0' && cmd->params[i].letter == letter)
			return &cmd->params[i];
	}
	return NULL;
}

const struct cmd_param *cliopt_find(const struct cmd *cmd, const char *arg, struct cliopt_match *m)
{
	const bool is_long = arg[1] == '-';
	const char *const equals = is_long ? strchr(arg, '=') : NULL;
	const size_t len = equals == NULL ? strlen(arg) : (size_t)(equals - arg);
	const struct cmd_param *param = is_long
		? find_option(cmd_table_globals, cmd_table_n_globals, arg, len)
		: find_short(arg);

	m->name_len = is_long ? len : 2;
	m->is_global = param != NULL;
	m->value = equals == NULL ? NULL : equals + 1;
	if (!is_long && arg[2] != '\0')
		m->value = arg + 2;
	if (param == NULL && is_long && cmd != NULL)
		param = find_option(cmd->params, cmd->n_params, arg, len);
	if (param == NULL && !is_long && cmd != NULL)
		param = find_letter(cmd, arg[1]);
	return param;
}

static int parse_option(struct parse *p, const char *arg)
{
	struct cliopt_match m;
	const struct cmd_param *const param = cliopt_find(p->call->cmd, arg, &m);
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)m.name_len, arg);
	if (param == NULL)
		return report_unknown_option(p, name);
	if (param->kind == CMD_FLAG && m.value != NULL)
		return report_usage(p->call, NULL, "%s takes no value", name);
	if (param->kind != CMD_FLAG && m.value == NULL) {
		if (p->next >= p->argc)
			return report_usage(
				p->call, NULL, "%s needs a value: %s", name, param->value);
		m.value = p->argv[p->next++];
	}
	if (m.is_global)
		return set_global(p->call, param, m.value);
	if (json_object_get(p->call->params, param->key) != NULL)
		return report_usage(
			p->call, NULL, "%s: %s is given twice", p->call->cmd->path, name);
	if (param->kind == CMD_FLAG)
		return json_object_set_new(p->call->params, param->key, json_true());
	return set_value(p->call, param, m.value);
}

static int report_unknown_command(const struct parse *p)
{
	const struct cmd_family *const family = cmd_table_find_family(p->words[0]);
	const char *names[64];
	char hint[192];
	unsigned n = 0;
	const char *near;

	for (unsigned f = 0; f < cmd_table_n_families && family == NULL; f++) {
		if (cmd_table[f]->name != NULL)
			names[n++] = cmd_table[f]->name;
		for (unsigned i = 0; cmd_table[f]->name == NULL && i < cmd_table[f]->n_cmds; i++)
			names[n++] = cmd_table[f]->cmds[i].path;
	}
	for (unsigned i = 0; family != NULL && i < family->n_cmds; i++)
		names[n++] = family->cmds[i].path + strlen(family->name) + 1;
	near = text_nearest(p->words[family == NULL ? 0 : 1], names, n);
	if (near == NULL)
		snprintf(hint, sizeof(hint), "see: millrace help%s%s", family == NULL ? "" : " ",
			family == NULL ? "" : family->name);
	else
		snprintf(hint, sizeof(hint), "did you mean '%s%s%s'?",
			family == NULL ? "" : family->name, family == NULL ? "" : " ", near);
	return report_usage(p->call, hint, "unknown command '%s%s%s'", p->words[0],
		family == NULL ? "" : " ", family == NULL ? "" : p->words[1]);
}

static int parse_word(struct parse *p, const char *arg)
{
	const struct cmd *const cmd = p->call->cmd;
	unsigned position = 0;

	if (cmd == NULL) {
		p->words[p->n_words++] = arg;
		p->call->cmd = cmd_table_find(p->words, p->n_words);
		if (p->call->cmd == NULL && (p->n_words == 2 || cmd_table_find_family(arg) == NULL))
			return report_unknown_command(p);
		return 0;
	}
	for (unsigned i = 0; i < cmd->n_params; i++) {
		if (cmd->params[i].name[0] == '-')
			continue;
		if (position++ == p->n_values || cmd->params[i].kind == CMD_WORDS) {
			p->n_values++;
			return set_value(p->call, &cmd->params[i], arg);
		}
	}
	return report_usage(p->call, NULL, "%s: '%s' is one argument too many", cmd->path, arg);
}

static int check_complete(const struct parse *p)
{
	const struct cmd *const cmd = p->call->cmd;
	unsigned position = 0;

	for (unsigned i = 0; i < cmd->n_params; i++) {
		const struct cmd_param *const param = &cmd->params[i];
		const bool is_positional = param->name[0] != '-';
		char hint[128];

		if (is_positional)
			position++;
		if (!param->is_required)
			continue;
		if (is_positional ? position <= p->n_values
				  : json_object_get(p->call->params, param->key) != NULL)
			continue;
		snprintf(hint, sizeof(hint), "see: millrace help %s", cmd->path);
		return report_usage(p->call, hint, "%s: %s is missing", cmd->path, param->name);
	}
	return 0;
}

static int set_defaults(struct cmd_call *call)
{
	const char *const output = getenv("MILLRACE_OUTPUT");
	const char *const socket = getenv("MILLRACE_SOCKET");

	call->params = json_object();
	call->socket = socket != NULL && *socket != '\0' ? socket : CMD_SOCKET;
	call->has_color = call->io->out_is_tty && getenv("NO_COLOR") == NULL;
	if (output == NULL || *output == '\0' || strcmp(output, "text") == 0)
		return 0;
	call->is_json = strcmp(output, "json") == 0;
	return call->is_json ? 0
			     : report_usage(call, NULL,
				     "MILLRACE_OUTPUT: '%s' is not one of text, json", output);
}

int cliopt_parse(
	struct cmd_call *call, const struct cmd_family **family, int argc, char *const *argv)
{
	struct parse p = {.call = call, .argc = argc, .argv = argv, .next = 1};
	int rc = set_defaults(call);

	*family = NULL;
	while (rc == 0 && p.next < argc) {
		const char *const arg = argv[p.next++];

		if (p.is_end_of_options || arg[0] != '-' || arg[1] == '\0')
			rc = parse_word(&p, arg);
		else if (strcmp(arg, "--") == 0)
			p.is_end_of_options = true;
		else if (strcmp(arg, "--version") == 0 && p.n_words == 0)
			rc = parse_word(&p, "version");
		else
			rc = parse_option(&p, arg);
	}
	if (rc != 0)
		return rc;
	if (p.n_words > 0)
		*family = cmd_table_find_family(p.words[0]);
	if (call->wants_help)
		return 0;
	if (p.n_words == 0)
		return report_usage(call, "see: millrace help", "no command given");
	if (call->cmd == NULL) {
		char hint[96];

		snprintf(hint, sizeof(hint), "see: millrace help %s", p.words[0]);
		return report_usage(
			call, hint, "%s: the rest of the command is missing", p.words[0]);
	}
	if (call->timeout_ms == 0)
		call->timeout_ms =
			call->cmd->timeout_ms != 0 ? call->cmd->timeout_ms : CMD_TIMEOUT_MS;
	return check_complete(&p);
}
