/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mc_text — memcached's text protocol: lines of words, a value behind some of them. Called by workers, for each
 * request of a connection or datagram.
 *
 * A line is found with memchr(), its key stays where it is; nothing is copied. Each command has a row below: how many
 * words it may have (else the answer is ERROR, whatever the words are), and the function that reads them. What is
 * checked in which order is memcached 1.6.18's, as is what it answers; so is that a set with a bad line is answered
 * and its value then read as a line. Differences, all of them refusals of what it misreads, are in
 * dataplane/README.md.
 */
#include "proto/mc_pvt.h"

enum {
	WORDS_MAX = 8,  /* of a command other than a get, and one too many */
	HEAD_MAX = 320, /* VALUE, a key, flags, length, cas, and blanks */
	LEAD_MAX = 100, /* blanks in front of a get whose line is long */
	END_LEN = 2,    /* behind a value */
};

struct line {
	const uint8_t *at, *end; /* behind the command's word; without what ends the line */
	struct mc_input in;
	uint32_t n_words; /* with the command's, WORDS_MAX at most */
	struct mc_word words[WORDS_MAX];
};

struct command {
	const char *name;
	uint8_t len, verb, min, max; /* words, with its own */
	bool shows_cas;
	enum mc_status (*parse)(struct mc_request *r, struct line *l);
};

static bool is_word(const struct mc_word *w, const char *text)
{
	return mc_word_is(w, text, (uint32_t)strlen(text));
}

static bool take_key(struct mc_request *r, const struct mc_word *w)
{
	if (w->len > MC_KEY_MAX)
		return false;
	r->key = w->p;
	r->key_len = (uint8_t)w->len;
	return true;
}

/* The last word says whether it is answered, wherever it stands: `verbosity noreply` is not either. */
static void take_noreply(struct mc_request *r, const struct line *l)
{
	r->is_quiet = is_word(&l->words[l->n_words - 1], "noreply");
}

/* --- commands --- */

/* Keys are checked here, for an answer to some of them and an error then is none. */
static enum mc_status parse_get(struct mc_request *r, struct line *l)
{
	const uint8_t *p = l->at;
	struct mc_word w;

	if (r->verb == MC_GAT
		&& (!mc_word(&w, &p, l->end) || !mc_number_signed(w.p, w.len, &r->exptime)))
		return mc_fail(r, w.len > 0 ? MC_E_EXPTIME : MC_E_COMMAND);
	if (!mc_word(&w, &p, l->end))
		return mc_fail(r, MC_E_COMMAND);
	if (!take_key(r, &w))
		return mc_fail(r, MC_E_LINE);
	while (p < l->end && *p == ' ')
		p++;
	r->more = p;
	r->more_end = l->end;
	while (p < l->end && mc_word(&w, &p, l->end)) {
		if (w.len > MC_KEY_MAX)
			return mc_fail(r, MC_E_LINE);
	}
	return MC_OK;
}

/* What of the value has come is consumed, the rest is for the caller to swallow. */
enum mc_status mc_text_skip(
	struct mc_request *r, const struct mc_input *in, uint32_t n, enum mc_error error)
{
	const uint32_t there = in->len - r->consumed;
	const uint32_t whole = n + END_LEN;
	const uint32_t taken = there < whole ? there : whole;

	if (in->limits->is_datagram && there < whole)
		return MC_BAD;
	r->consumed += taken;
	r->swallow = whole - taken;
	return mc_fail(r, error);
}

/* A datagram whose value is not whole is not answered, nor does memcached. */
enum mc_status mc_text_value(struct mc_request *r, const struct mc_input *in, uint32_t n)
{
	const uint32_t there = in->len - r->consumed;
	const uint32_t whole = n + END_LEN;

	if (n > in->limits->value_max)
		return mc_text_skip(r, in, n, MC_E_TOO_LARGE);
	if (there < whole) {
		r->consumed = 0;
		r->swallow = whole - there;
		return in->limits->is_datagram ? MC_BAD : MC_MORE;
	}
	r->value = in->p + r->consumed;
	r->value_len = n;
	r->consumed += whole;
	return memcmp(r->value + n, "\r\n", END_LEN) == 0 ? MC_OK : mc_fail(r, MC_E_DATA);
}

/* Lengths and flags that memcached takes modulo 2³² are refused: whoever stands in front may read them otherwise. */
static enum mc_status parse_store(struct mc_request *r, struct line *l)
{
	const struct mc_word *const w = l->words;
	uint64_t flags, n;

	take_noreply(r, l);
	if (!take_key(r, &w[1]) || !mc_number(w[2].p, w[2].len, &flags) || flags > UINT32_MAX
		|| !mc_number_signed(w[3].p, w[3].len, &r->exptime)
		|| !mc_number(w[4].p, w[4].len, &n) || n > MC_VALUE_MAX)
		return mc_fail(r, MC_E_LINE);
	if (r->verb == MC_CAS) {
		if (!mc_number(w[5].p, w[5].len, &r->cas))
			return mc_fail(r, MC_E_LINE);
		r->has = MC_HAS_CAS;
	}
	r->flags = (uint32_t)flags;
	return mc_text_value(r, &l->in, (uint32_t)n);
}

static enum mc_status parse_delete(struct mc_request *r, struct line *l)
{
	const struct mc_word *const w = l->words;

	take_noreply(r, l);
	/* A time to hold the key was once the second word; 0 is still taken. */
	if (l->n_words == 3 ? !r->is_quiet && !is_word(&w[2], "0")
			    : l->n_words == 4 && (!r->is_quiet || !is_word(&w[2], "0")))
		return mc_fail(r, MC_E_USAGE);
	return take_key(r, &w[1]) ? MC_OK : mc_fail(r, MC_E_LINE);
}

static enum mc_status parse_arith(struct mc_request *r, struct line *l)
{
	const struct mc_word *const w = l->words;

	take_noreply(r, l);
	if (!take_key(r, &w[1]))
		return mc_fail(r, MC_E_LINE);
	return mc_number(w[2].p, w[2].len, &r->delta) ? MC_OK : mc_fail(r, MC_E_DELTA);
}

static enum mc_status parse_touch(struct mc_request *r, struct line *l)
{
	const struct mc_word *const w = l->words;

	take_noreply(r, l);
	if (!take_key(r, &w[1]))
		return mc_fail(r, MC_E_LINE);
	return mc_number_signed(w[2].p, w[2].len, &r->exptime) ? MC_OK : mc_fail(r, MC_E_EXPTIME);
}

static enum mc_status parse_flush(struct mc_request *r, struct line *l)
{
	const struct mc_word *const w = l->words;

	take_noreply(r, l);
	if (l->n_words == (r->is_quiet ? 2 : 1))
		return MC_OK;
	return mc_number_signed(w[1].p, w[1].len, &r->exptime) ? MC_OK : mc_fail(r, MC_E_EXPTIME);
}

static enum mc_status parse_verbosity(struct mc_request *r, struct line *l)
{
	const struct mc_word *const w = l->words;
	uint64_t level;

	take_noreply(r, l);
	return mc_number(w[1].p, w[1].len, &level) ? MC_OK : mc_fail(r, MC_E_LINE);
}

static enum mc_status parse_stats(struct mc_request *r, struct line *l)
{
	const uint8_t *p = l->at;
	struct mc_word w;

	r->key = l->at;
	if (!mc_word(&w, &p, l->end))
		return MC_OK;
	if (!take_key(r, &w)) /* there are no such figures */
		return mc_fail(r, MC_E_COMMAND);
	r->more = p;
	r->more_end = l->end;
	return MC_OK;
}

/* As of a memcached that was not told to obey. */
static enum mc_status parse_shutdown(struct mc_request *r, struct line *l)
{
	(void)l;
	return mc_fail(r, MC_E_SHUTDOWN);
}

static enum mc_status parse_bare(struct mc_request *r, struct line *l)
{
	(void)r;
	(void)l;
	return MC_OK;
}

/* Words of get are not counted. Frequent ones first. */
static const struct command commands[] = {
	{"get", 3, MC_GET, 0, 0, false, parse_get},
	{"gets", 4, MC_GET, 0, 0, true, parse_get},
	{"set", 3, MC_SET, 5, 6, false, parse_store},
	{"delete", 6, MC_DELETE, 2, 4, false, parse_delete},
	{"incr", 4, MC_INCR, 3, 4, false, parse_arith},
	{"decr", 4, MC_DECR, 3, 4, false, parse_arith},
	{"add", 3, MC_ADD, 5, 6, false, parse_store},
	{"cas", 3, MC_CAS, 6, 7, false, parse_store},
	{"touch", 5, MC_TOUCH, 3, 4, false, parse_touch},
	{"gat", 3, MC_GAT, 0, 0, false, parse_get},
	{"gats", 4, MC_GAT, 0, 0, true, parse_get},
	{"replace", 7, MC_REPLACE, 5, 6, false, parse_store},
	{"append", 6, MC_APPEND, 5, 6, false, parse_store},
	{"prepend", 7, MC_PREPEND, 5, 6, false, parse_store},
	{"bget", 4, MC_GET, 0, 0, false, parse_get},
	{"stats", 5, MC_STATS, 1, WORDS_MAX, false, parse_stats},
	{"flush_all", 9, MC_FLUSH_ALL, 1, 3, false, parse_flush},
	{"version", 7, MC_VERSION, 1, WORDS_MAX, false, parse_bare},
	{"verbosity", 9, MC_VERBOSITY, 2, 3, false, parse_verbosity},
	{"quit", 4, MC_QUIT, 1, WORDS_MAX, false, parse_bare},
	{"shutdown", 8, MC_QUIT, 1, WORDS_MAX, false, parse_shutdown},
};

/* No command has capitals, so this is what a browser sends, or somebody who makes it send something. It asks for
 * no answer that it could show. */
static bool is_http(const struct mc_word *name, const uint8_t *end)
{
	static const char version[] = "HTTP/";
	const uint8_t *p = end;

	if (name->len == 0 || name->p[0] < 'A' || name->p[0] > 'Z')
		return false;
	while (p > name->p && p[-1] == ' ')
		p--;
	end = p;
	while (p > name->p && p[-1] != ' ')
		p--;
	return (size_t)(end - p) >= sizeof(version) - 1
		&& memcmp(p, version, sizeof(version) - 1) == 0;
}

static enum mc_status parse_command(
	struct mc_request *r, struct line *l, const struct mc_word *name)
{
	const struct command *const end = commands + sizeof(commands) / sizeof(commands[0]);
	const struct command *c = commands;

	if (name->len == 2 && name->p[0] == 'm')
		return mc_meta_parse(r, name->p[1], l->at, l->end, &l->in);
	while (c < end && !mc_word_is(name, c->name, c->len))
		c++;
	if (c == end)
		return is_http(name, l->end) ? MC_BAD : mc_fail(r, MC_E_COMMAND);
	r->verb = c->verb;
	r->shows_cas = c->shows_cas;
	if (c->max > 0) {
		const uint8_t *p = l->at;

		l->words[0] = *name;
		for (l->n_words = 1; l->n_words < WORDS_MAX; l->n_words++) {
			if (!mc_word(&l->words[l->n_words], &p, l->end))
				break;
		}
		if (l->n_words < c->min || l->n_words > c->max)
			return mc_fail(r, MC_E_COMMAND);
	}
	return c->parse(r, l);
}

/* There is no end of a line yet. Only a get's may be long: how long is for the caller to say, who has it all. */
static enum mc_status wait_for_line(const struct mc_input *in)
{
	const uint8_t *p = in->p;

	if (in->limits->is_datagram)
		return MC_BAD;
	if (in->len <= MC_LINE_MAX)
		return MC_MORE;
	while (p < in->p + LEAD_MAX && *p == ' ')
		p++;
	return memcmp(p, "get ", 4) == 0 || memcmp(p, "gets ", 5) == 0 ? MC_MORE : MC_BAD;
}

/* What most requests are: a get of one key, with one blank. It is read as parse_command() would. */
static inline bool is_plain_get(struct mc_request *r, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *const key = p + 4;

	if (end - p <= 4 || memcmp(p, "get ", 4) != 0 || end - key > (int64_t)MC_KEY_MAX
		|| memchr(key, ' ', (size_t)(end - key)) != NULL)
		return false;
	r->key = key;
	r->key_len = (uint8_t)(end - key);
	r->more = r->more_end = end;
	return true;
}
_Static_assert(MC_GET == 0 && MC_TEXT == 0, "what a request without any of its fields is");

enum mc_status mc_text_parse(
	struct mc_request *r, const uint8_t *p, uint32_t len, const struct mc_limits *limits)
{
	const uint8_t *const newline = memchr(p, '\n', len);
	struct line l;
	struct mc_word name;

	/* Few cache lines, and nothing of what was before is taken for this request's; not the room for a key. */
	memset(r, 0, offsetof(struct mc_request, key_bytes));
	l.in = (struct mc_input){p, len, limits};
	if (newline == NULL)
		return wait_for_line(&l.in);
	r->consumed = (uint32_t)(newline + 1 - p);
	l.end = newline > p && newline[-1] == '\r' ? newline - 1 : newline;
	if (is_plain_get(r, p, l.end))
		return MC_OK;
	l.at = p;
	mc_word(&name, &l.at, l.end);
	return parse_command(r, &l, &name);
}

/* --- answers --- */

static void reply_value(
	struct mc_out *out, const struct mc_request *r, const struct mc_result *result)
{
	uint8_t room[HEAD_MAX];
	uint8_t *const head = mc_head_begin(out, room, HEAD_MAX);
	uint8_t *p = head;

	memcpy(p, "VALUE ", 6);
	memcpy(p + 6, r->key, r->key_len);
	p += 6 + r->key_len;
	*p++ = ' ';
	p = mc_digits(p, result->flags);
	*p++ = ' ';
	p = mc_digits(p, result->value_len);
	if (r->shows_cas) {
		*p++ = ' ';
		p = mc_digits(p, result->cas);
	}
	*p++ = '\r';
	*p++ = '\n';
	mc_head_end(out, room, head, p);
	if (result->value_len > 0)
		mc_put(out, result->value, result->value_len);
	MC_PUT(out, "\r\n");
}

/* memcached does not say why an append failed. */
static void reply_store(struct mc_out *out, const struct mc_request *r, uint8_t outcome)
{
	const bool is_append = r->verb == MC_APPEND || r->verb == MC_PREPEND;

	if (outcome == MC_STORED)
		MC_PUT(out, "STORED\r\n");
	else if (outcome == MC_EXISTS)
		MC_PUT(out, "EXISTS\r\n");
	else if (outcome == MC_NOT_FOUND)
		MC_PUT(out, "NOT_FOUND\r\n");
	else if (outcome == MC_TOO_LARGE && !is_append)
		MC_PUT(out, "SERVER_ERROR object too large for cache\r\n");
	else if (outcome == MC_NO_MEMORY && !is_append)
		MC_PUT(out, "SERVER_ERROR out of memory storing object\r\n");
	else
		MC_PUT(out, "NOT_STORED\r\n");
}

static void reply_arith(struct mc_out *out, const struct mc_result *result)
{
	uint8_t line[24], *p;

	if (result->outcome == MC_NOT_FOUND) {
		MC_PUT(out, "NOT_FOUND\r\n");
	} else if (result->outcome == MC_NOT_NUMBER) {
		MC_PUT(out, "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
	} else if (result->outcome != MC_STORED) {
		MC_PUT(out, "SERVER_ERROR out of memory\r\n");
	} else {
		p = mc_digits(line, result->number);
		*p++ = '\r';
		*p++ = '\n';
		mc_put(out, line, (uint32_t)(p - line));
	}
}

/* memcached's noreply is silent about failures too, but for lines that have no command. */
void mc_text_reply(struct mc_out *out, const struct mc_request *r, const struct mc_result *result)
{
	const bool is_done = result->outcome == MC_STORED;

	if (r->is_quiet)
		return;
	switch ((enum mc_verb)r->verb) {
	case MC_GET:
	case MC_GAT:
		if (result->outcome == MC_HIT)
			reply_value(out, r, result);
		return;
	case MC_SET:
	case MC_ADD:
	case MC_REPLACE:
	case MC_APPEND:
	case MC_PREPEND:
	case MC_CAS:
		reply_store(out, r, result->outcome);
		return;
	case MC_INCR:
	case MC_DECR:
		reply_arith(out, result);
		return;
	case MC_DELETE:
		is_done ? MC_PUT(out, "DELETED\r\n") : MC_PUT(out, "NOT_FOUND\r\n");
		return;
	case MC_TOUCH:
		is_done ? MC_PUT(out, "TOUCHED\r\n") : MC_PUT(out, "NOT_FOUND\r\n");
		return;
	case MC_STATS: /* of "reset"; or there are no such figures */
		is_done ? MC_PUT(out, "RESET\r\n") : MC_PUT(out, "ERROR\r\n");
		return;
	case MC_FLUSH_ALL:
	case MC_VERBOSITY:
		MC_PUT(out, "OK\r\n");
		return;
	default: /* quit has no answer, others have functions of their own */
		return;
	}
}

void mc_text_reply_end(struct mc_out *out, const struct mc_request *r)
{
	if (r->verb == MC_GET || r->verb == MC_GAT || r->verb == MC_STATS)
		MC_PUT(out, "END\r\n");
}

void mc_text_reply_error(struct mc_out *out, const struct mc_request *r)
{
	static const char *const text[MC_E_N_TEXT] = {
		[MC_E_COMMAND] = "ERROR\r\n",
		[MC_E_LINE] = "CLIENT_ERROR bad command line format\r\n",
		[MC_E_USAGE] =
			"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n",
		[MC_E_EXPTIME] = "CLIENT_ERROR invalid exptime argument\r\n",
		[MC_E_DELTA] = "CLIENT_ERROR invalid numeric delta argument\r\n",
		[MC_E_DATA] = "CLIENT_ERROR bad data chunk\r\n",
		[MC_E_TOO_LARGE] = "SERVER_ERROR object too large for cache\r\n",
		[MC_E_SHUTDOWN] = "ERROR: shutdown not enabled\r\n",
		[MC_E_TOKEN] = "CLIENT_ERROR bad token in command line format\r\n",
		[MC_E_DUPLICATE] = "CLIENT_ERROR duplicate flag\r\n",
		[MC_E_FLAG] = "CLIENT_ERROR invalid flag\r\n",
		[MC_E_ANY_FLAG] = "CLIENT_ERROR invalid or duplicate flag\r\n",
		[MC_E_N_FLAGS] = "CLIENT_ERROR options flags too long\r\n",
		[MC_E_N_FLAGS_GET] = "CLIENT_ERROR options flags are too long\r\n",
		[MC_E_OPAQUE] = "CLIENT_ERROR opaque token too long\r\n",
		[MC_E_BASE64] = "CLIENT_ERROR error decoding key\r\n",
		[MC_E_MODE_LEN] = "CLIENT_ERROR incorrect length for M token\r\n",
		[MC_E_MODE_SET] = "CLIENT_ERROR invalid mode for ms M token\r\n",
		[MC_E_MODE_ARITH] = "CLIENT_ERROR invalid mode for ma M token\r\n",
		[MC_E_INITIAL] = "CLIENT_ERROR invalid numeric initial value\r\n",
		[MC_E_META_DELTA] = "CLIENT_ERROR invalid numeric delta value\r\n",
	};
	const char *line;

	if (r->protocol == MC_TEXT && r->is_quiet)
		return;
	line = text[r->error];
	mc_put(out, line, (uint32_t)strlen(line));
}

/* Of one line and few: written in pieces. */
void mc_text_reply_version(struct mc_out *out, const struct mc_request *r, const char *version)
{
	(void)r;
	MC_PUT(out, "VERSION ");
	mc_put(out, version, (uint32_t)strlen(version));
	MC_PUT(out, "\r\n");
}

void mc_text_reply_stat(
	struct mc_out *out, const struct mc_request *r, const char *name, const char *value)
{
	(void)r;
	MC_PUT(out, "STAT ");
	mc_put(out, name, (uint32_t)strlen(name));
	MC_PUT(out, " ");
	mc_put(out, value, (uint32_t)strlen(value));
	MC_PUT(out, "\r\n");
}
