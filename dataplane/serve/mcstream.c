/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mcstream — see mcstream.h. A run goes through the connections one after the other and reads what each has. Lookups wait in a batch,
 * over all connections, until it is full, or until one of its connections has something that must come after them; everything else is
 * executed as it is read. A request that came in pieces is executed at once too, lookup or not: its buffer is wanted.
 *
 * What most requests are, a get of one key in text, has a way of its own where it is whole (read_gets(), answer_get()): nothing is kept of
 * it but the probe, and its answer is written in one piece where there is room for it. What becomes of it is the same.
 */
#include "serve/mcstream.h"

#include "millrace/api_lb.h"
#include "proto/mc_get.h"

#include <rte_common.h>
#include <rte_malloc.h>

#include <errno.h>

enum mcstream_speaks { SPEAKS_TEXT = 1, SPEAKS_BINARY };

enum { BINARY_MAGIC = 0x80 };

#define SMALL_BYTES 1024u /* of all answers to a connection's lookups that wait: always taken */
#define ASKED_BYTES 1024u /* room is asked for that much at once, if there is */

static const uint32_t sizes[MCSTREAM_CLASSES] = {
	2048, 16384, 131072, RTE_ALIGN_CEIL(MR_CACHE_VALUE_MAX + MC_LINE_MAX + 512, 64)};

/* A buffer that nobody has begins with where the next one is. */
struct spare {
	struct spare *next;
};

struct mcstream_stock {
	struct spare *spares[MCSTREAM_CLASSES];
	uint32_t n_left[MCSTREAM_CLASSES];
	void *memory[MCSTREAM_CLASSES];
	uint8_t *
		whole; /* of the largest size: requests are put together here that no buffer was left for */
	struct mc_request requests[ASSOC_BULK]; /* of the batch; the last one may be of no lookup */
};

/* Lookups that wait. */
struct batch {
	const struct mcstream_run *run;
	unsigned n;
	struct mcstream_conn *conns[ASSOC_BULK];
	struct assoc_probe probes[ASSOC_BULK];
	uint8_t request[ASSOC_BULK]; /* whose probe it is, once those without room are out */
	/* of requests */
	uint16_t
		consumed[ASSOC_BULK]; /* bytes; of one that is not `is_get`, the request knows it */
	bool is_get[ASSOC_BULK];      /* a get of one key in text: there is nothing in `requests` */
};

/* --- buffers --- */

int mcstream_stock_create(
	struct mcstream_stock **out, const uint32_t n[MCSTREAM_CLASSES], int socket_id)
{
	struct mcstream_stock *s =
		rte_zmalloc_socket("mcstream", sizeof(*s), RTE_CACHE_LINE_SIZE, socket_id);

	if (s == NULL)
		return -ENOMEM;
	s->whole = rte_malloc_socket(
		"mcstream", sizes[MCSTREAM_CLASSES - 1], RTE_CACHE_LINE_SIZE, socket_id);
	if (s->whole == NULL) {
		mcstream_stock_destroy(&s);
		return -ENOMEM;
	}
	for (unsigned k = 0; k < MCSTREAM_CLASSES; k++) {
		if (n[k] == 0)
			continue;
		s->memory[k] = rte_malloc_socket(
			"mcstream", (size_t)n[k] * sizes[k], RTE_CACHE_LINE_SIZE, socket_id);
		if (s->memory[k] == NULL) {
			mcstream_stock_destroy(&s);
			return -ENOMEM;
		}
		for (uint32_t i = 0; i < n[k]; i++) {
			struct spare *spare = RTE_PTR_ADD(s->memory[k], (size_t)i * sizes[k]);

			spare->next = s->spares[k];
			s->spares[k] = spare;
		}
		s->n_left[k] = n[k];
	}
	*out = s;
	return 0;
}

void mcstream_stock_destroy(struct mcstream_stock **s)
{
	if (*s == NULL)
		return;
	for (unsigned k = 0; k < MCSTREAM_CLASSES; k++)
		rte_free((*s)->memory[k]);
	rte_free((*s)->whole);
	rte_free(*s);
	*s = NULL;
}

uint32_t mcstream_stock_bytes(unsigned class)
{
	return sizes[class];
}

uint32_t mcstream_stock_left(const struct mcstream_stock *s, unsigned class)
{
	return s->n_left[class];
}

static void put_buf(struct mcstream_stock *stock, uint8_t *buf, unsigned class)
{
	struct spare *spare = (void *)buf;

	spare->next = stock->spares[class];
	stock->spares[class] = spare;
	stock->n_left[class]++;
}

/* The connection's bytes move to a buffer for n, of the smallest size that takes them: those of larger ones are for larger requests. */
static bool grow_buf(struct mcstream_stock *stock, struct mcstream *s, uint32_t n)
{
	unsigned class = 0;
	struct spare *spare;

	while (class < MCSTREAM_CLASSES && sizes[class] < n)
		class ++;
	if (class == MCSTREAM_CLASSES || stock->n_left[class] == 0)
		return false;
	spare = stock->spares[class];
	stock->spares[class] = spare->next;
	stock->n_left[class]--;
	if (s->buf != NULL) {
		memcpy(spare, s->buf, s->n);
		put_buf(stock, s->buf, s->class);
	}
	s->wanted = 0;
	s->buf = (uint8_t *)spare;
	s->class = (uint8_t) class;
	return true;
}

static void drop_buf(struct mcstream_stock *stock, struct mcstream *s)
{
	if (s->buf != NULL)
		put_buf(stock, s->buf, s->class);
	s->buf = NULL;
	s->n = 0;
	s->is_unread = false;
}

void mcstream_fini(struct mcstream_stock *stock, struct mcstream *s)
{
	drop_buf(stock, s);
	memset(s, 0, sizeof(*s));
}

/* --- answers --- */

/* Tells the transport what has been read. */
static inline void consume(struct mcstream_conn *c)
{
	if (c->taken > 0)
		c->ops->consume(c, c->taken);
	c->n_unread -= c->taken;
	c->taken = 0;
}

static inline void count_requests(const struct mcstream_run *run, uint8_t verb, uint32_t n)
{
	if (run->on_requests != NULL)
		run->on_requests(run->ctx, verb, n);
}

static inline void after_answer(
	const struct mcstream_run *run, struct mcstream_conn *c, const struct mc_request *r)
{
	if (unlikely(c->out.is_full))
		c->stop = MCSTREAM_CUT;
	count_requests(run, r->verb, 1);
}

/* The connection's lookup i, and what was read behind it, has not been read. */
static void put_back(struct batch *b, unsigned i)
{
	struct mcstream_conn *c = b->conns[i];

	if (c->stop != MCSTREAM_FULL) {
		c->stop = MCSTREAM_FULL;
		c->taken -= c->s->n; /* the buffer was begun behind the last lookup, in this run */
		drop_buf(b->run->stock, c->s);
		c->p = NULL;
		c->len = 0;
	}
	c->taken -= b->is_get[i] ? b->consumed[i] : b->run->stock->requests[i].consumed;
	c->n_requests--;
	c->n_waiting--;
	if (c->n_waiting == 0)
		consume(c);
}

/* Whether there is room for n bytes more than has been promised. */
static bool ask_room(struct mcstream_conn *c, uint32_t n)
{
	const uint32_t asked = RTE_MAX(n, ASKED_BYTES);

	if (likely(c->ops->may_write(c, c->n_promised, asked))) {
		c->n_granted = c->n_promised + asked;
		return true;
	}
	return n < asked && c->ops->may_write(c, c->n_promised, n);
}

static inline bool fits(struct mcstream_conn *c, const struct assoc_probe *probe)
{
	const uint32_t n = servemc_answer_bytes(probe);

	if (unlikely(c->n_promised + n > c->n_granted && !ask_room(c, n)))
		return false;
	c->n_promised += n;
	return true;
}

/* Leaves those lookups in the batch whose answers there is room for. */
static void leave_what_fits(struct batch *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < b->n; i++) {
		struct mcstream_conn *c = b->conns[i];

		if (unlikely(c->stop == MCSTREAM_FULL || !fits(c, &b->probes[i]))) {
			put_back(b, i);
			continue;
		}
		if (unlikely(n < i)) {
			b->probes[n] = b->probes[i];
			b->conns[n] = c;
		}
		b->request[n++] = (uint8_t)i;
	}
	b->n = n;
}

/* In pieces, over the end of the room that is left. */
static void answer_get_slow(
	const struct servemc *s, struct mcstream_conn *c, const struct assoc_probe *probe)
{
	struct mc_request r;

	memset(&r, 0, offsetof(struct mc_request, key_bytes));
	r.key = probe->key;
	r.key_len = (uint8_t)probe->key_len;
	servemc_answer(s, &r, probe, &c->out);
	if (unlikely(c->out.is_full))
		c->stop = MCSTREAM_CUT;
}
_Static_assert(MC_GET == 0 && MC_TEXT == 0, "what a request without any of its fields is");

/* Of a get of one key in text. */
static inline void answer_get(
	const struct servemc *s, struct mcstream_conn *c, const struct assoc_probe *probe)
{
	const struct item *it = probe->item;
	const uint32_t value_len = it != NULL ? item_value_len(it) : 0;
	const uint64_t room = (uint64_t)(c->out.end - c->out.p);

	if (unlikely(room < mc_get_bytes_max(probe->key_len, value_len)))
		answer_get_slow(s, c, probe);
	else if (likely(it != NULL))
		c->out.p = mc_get_hit(c->out.p, probe->key, probe->key_len, item_flags(it),
			item_value(it), value_len);
	else
		c->out.p = mc_get_miss(c->out.p);
}

/* Answers what waits. */
static void flush(struct batch *b)
{
	const struct servemc *s = b->run->s;
	uint32_t n_gets = 0;

	if (b->n == 0)
		return;
	kv_get_find_bulk(s->writer, b->probes, b->n);
	leave_what_fits(b);
	if (unlikely(b->n == 0))
		return;
	kv_get_settle_bulk(s->writer, b->probes, b->n);
	if (s->on_lookups != NULL)
		s->on_lookups(s->ctx, b->probes, b->n);
	for (unsigned i = 0; i < b->n; i++) {
		struct mcstream_conn *c = b->conns[i];
		const bool is_get = b->is_get[b->request[i]];

		c->n_waiting--;
		if (likely(c->stop != MCSTREAM_CUT)) {
			struct mc_request *r = &b->run->stock->requests[b->request[i]];

			/* opt: without room the first piece would go the long way */
			if (c->out.p == c->out.end && (is_get || !r->is_quiet)
				&& unlikely(!c->out.grow(&c->out)))
				c->out.is_full = true;
			if (likely(is_get)) {
				answer_get(s, c, &b->probes[i]);
				n_gets++;
			} else {
				servemc_answer(s, r, &b->probes[i], &c->out);
				after_answer(b->run, c, r);
			}
		}
		if (c->n_waiting == 0) {
			c->n_promised = 0;
			c->n_granted = SMALL_BYTES;
			consume(c);
		}
	}
	if (likely(n_gets > 0))
		count_requests(b->run, MC_GET, n_gets);
	b->n = 0;
}

/* What is no request ends the connection. */
static void end_badly(struct mcstream_conn *c, const struct mc_request *r)
{
	if (r->error != MC_E_NONE)
		mc_reply_error(&c->out, r);
	c->stop = c->out.is_full ? MCSTREAM_CUT : MCSTREAM_CLOSE;
}

/* Executes what has been read, or refuses it. The connection's lookups have been answered. false: it stops here. */
static bool run_request(
	struct batch *b, struct mcstream_conn *c, struct mc_request *r, unsigned status)
{
	const struct servemc *s = b->run->s;

	if (unlikely(status == MC_BAD)) {
		end_badly(c, r);
		return false;
	}
	c->n_requests++;
	if (status == MC_OK) {
		servemc_execute(s, r, &c->out);
	} else {
		servemc_refuse(s, r, &c->out);
		c->s->swallow = r->swallow;
	}
	after_answer(b->run, c, r);
	if (status == MC_OK && r->verb == MC_QUIT && c->stop != MCSTREAM_CUT)
		c->stop = MCSTREAM_CLOSE;
	return c->stop == MCSTREAM_EMPTY;
}

/* --- reading --- */

/* As memcached does it: the first byte of a connection says for good which kind it speaks. 0: binary, and this is none. */
static bool is_spoken(struct mcstream *s, uint8_t first)
{
	if (likely(s->protocol != 0))
		return s->protocol == SPEAKS_TEXT || first == BINARY_MAGIC;
	s->protocol = first == BINARY_MAGIC ? SPEAKS_BINARY : SPEAKS_TEXT;
	return true;
}

static enum mc_status parse(const struct batch *b, struct mcstream *s, struct mc_request *r,
	const uint8_t *p, uint32_t len)
{
	const struct mc_limits limits = {.value_max = b->run->s->value_max};

	r->error = MC_E_NONE;
	r->swallow = 0;
	if (unlikely(!is_spoken(s, p[0])))
		return MC_BAD;
	return (s->protocol == SPEAKS_TEXT ? mc_parse_text : mc_parse)(r, p, len, &limits);
}

static inline void take(struct mcstream_conn *c, uint32_t n)
{
	c->p += n;
	c->len -= n;
	c->taken += n;
}

/* Whether there are unread bytes: c->len of them. */
static inline bool peek(struct mcstream_conn *c)
{
	struct mcstream *s = c->s;

	for (;;) {
		uint32_t n;

		if (c->len == 0) {
			if (c->taken == c->n_unread)
				return false;
			c->p = c->ops->peek(c, c->taken, &c->len);
		}
		n = RTE_MIN(s->swallow, c->len);
		if (likely(n == 0))
			return true;
		s->swallow -= n;
		take(c, n);
		if (c->n_waiting == 0)
			consume(c);
	}
}

/* Whether the request, which is no lookup in a batch, may be executed now. */
static bool may_execute(const struct batch *b, struct mcstream_conn *c, const struct mc_request *r)
{
	if (likely(b->run->is_tight == NULL || !*b->run->is_tight)
		|| (r->verb != MC_GET && r->verb != MC_GAT && r->verb != MC_META_GET)
		|| c->ops->may_write(c, 0, servemc_get_bytes(b->run->s, r)))
		return true;
	c->stop = MCSTREAM_FULL;
	return false;
}

/* Behind a request there is more in the buffer. */
static void drop_front(struct mcstream *s, uint32_t n)
{
	s->n -= n;
	memmove(s->buf, s->buf + n, s->n);
	s->is_unread = true;
}

/* Drops n bytes that have been looked at elsewhere; nothing of the connection waits. */
static void drop_unread(struct mcstream_conn *c, uint32_t n)
{
	c->ops->consume(c, c->taken + n);
	c->n_unread -= c->taken + n;
	c->taken = 0;
	c->p = NULL;
	c->len = 0;
}

/* There is no buffer for the rest of the request: it is executed if all of it is there, else it stays where it is. */
static bool read_whole(struct batch *b, struct mcstream_conn *c)
{
	struct mcstream *s = c->s;
	uint8_t *const to = b->run->stock->whole;
	const uint32_t size = sizes[MCSTREAM_CLASSES - 1];
	struct mc_request *r = &b->run->stock->requests[b->n];
	uint32_t n = s->n, len;
	const uint8_t *p;
	unsigned status;

	c->stop = MCSTREAM_NO_BUF;
	if (s->wanted > 0 && c->ops->peek(c, c->taken + s->wanted - 1, &len) == NULL)
		return false;
	if (c->n_waiting > 0)
		flush(b); /* r stays where it is */
	if (unlikely(c->stop != MCSTREAM_NO_BUF))
		return false;
	if (n > 0)
		memcpy(to, s->buf, n);
	while (n < size && (p = c->ops->peek(c, c->taken + n - s->n, &len)) != NULL) {
		len = RTE_MIN(len, size - n);
		memcpy(to + n, p, len);
		n += len;
	}
	r = &b->run->stock->requests[b->n];
	status = parse(b, s, r, to, n);
	s->wanted = 0;
	if (status == MC_MORE) {
		/* a line that is long is not looked through for each of its segments */
		s->wanted = n - s->n + RTE_MAX(r->swallow, n / 8 + 1);
		return false;
	}
	c->stop = MCSTREAM_EMPTY;
	if (status == MC_OK && !may_execute(b, c, r))
		return false;
	if (!run_request(b, c, r, status))
		return false;
	if (likely(r->consumed >= s->n)) {
		n = r->consumed - s->n;
		drop_buf(b->run->stock, s);
		drop_unread(c, n);
	} else {
		drop_front(s, r->consumed);
	}
	return true;
}

/* Goes on with the request in the buffer; nothing of the connection waits. false: it stops. */
static bool read_on(struct batch *b, struct mcstream_conn *c)
{
	struct mcstream *s = c->s;
	struct mc_request *r = &b->run->stock->requests[b->n];
	uint32_t n = 0, used;
	unsigned status;

	if (!s->is_unread) {
		if (s->n == sizes[s->class] && !grow_buf(b->run->stock, s, s->n + 1)) {
			if (s->n < sizes[MCSTREAM_CLASSES - 1])
				return read_whole(b, c);
			c->stop = MCSTREAM_CLOSE;
			return false;
		}
		n = RTE_MIN(c->len, sizes[s->class] - s->n);
		memcpy(s->buf + s->n, c->p, n);
	}
	status = parse(b, s, r, s->buf, s->n + n);
	if (unlikely(status == MC_OK && !may_execute(b, c, r)))
		return false;
	s->is_unread = false;
	used = status == MC_OK || status == MC_ERROR ? r->consumed : s->n + n;
	if (used > s->n)
		take(c, used - s->n); /* what is not used stays with the transport */
	if (status == MC_MORE) {
		s->n = used;
		consume(c);
		return true;
	}
	if (!run_request(b, c, r, status)) {
		drop_buf(b->run->stock, s);
		return false;
	}
	if (likely(used >= s->n)) {
		drop_buf(b->run->stock, s);
		return true;
	}
	drop_front(s, used);
	return true;
}

/* Reads the next request where it lies. false: the connection stops. */
static bool read_next(struct batch *b, struct mcstream_conn *c)
{
	struct mcstream *s = c->s;
	struct mc_request *r = &b->run->stock->requests[b->n];
	const unsigned status = parse(b, s, r, c->p, c->len);

	if (unlikely(status == MC_MORE)) {
		if (!grow_buf(b->run->stock, s, c->len + 1))
			return read_whole(b, c);
		memcpy(s->buf, c->p, c->len);
		s->n = c->len;
		take(c, c->len);
		return true;
	}
	if (unlikely(s->wanted != 0))
		s->wanted = 0;
	if (likely(status == MC_OK && servemc_is_lookup(r))) {
		c->n_requests++;
		b->conns[b->n] = c;
		b->is_get[b->n] = false;
		servemc_probe(r, &b->probes[b->n++]);
		c->n_waiting++;
		take(c, r->consumed);
		if (b->n == ASSOC_BULK)
			flush(b);
		return c->stop == MCSTREAM_EMPTY;
	}
	if (c->n_waiting > 0)
		flush(b); /* r stays where it is */
	if (unlikely(c->stop != MCSTREAM_EMPTY || (status == MC_OK && !may_execute(b, c, r))))
		return false;
	if (!run_request(b, c, r, status))
		return false;
	take(c, r->consumed);
	return true;
}

/* Reads gets of one key behind each other, as many as are whole where they lie and may be read now. Whether there was one. */
static bool read_gets(struct batch *b, struct mcstream_conn *c)
{
	const uint32_t n_max = RTE_MIN(b->n + b->run->share - c->n_requests, (uint32_t)ASSOC_BULK);
	const uint8_t *p = c->p, *const end = p + c->len;
	unsigned n = b->n;

	while (n < n_max) {
		struct assoc_probe *probe = &b->probes[n];
		uint32_t consumed;

		probe->key_len = mc_get_parse_first(p, (uint32_t)(end - p), &consumed);
		if (probe->key_len == 0)
			break;
		probe->key = p + MC_GET_WORD;
		probe->hash = assoc_hash(probe->key, probe->key_len);
		b->conns[n] = c;
		b->consumed[n] = (uint16_t)consumed;
		b->is_get[n++] = true;
		p += consumed;
	}
	if (unlikely(n == b->n))
		return false;
	c->n_requests += n - b->n;
	c->n_waiting += n - b->n;
	b->n = n;
	take(c, (uint32_t)(p - c->p));
	if (n == ASSOC_BULK)
		flush(b);
	return true;
}

/* Whether it has bytes to go on with, has not had its share, and has room for an answer. */
static bool may_go_on(const struct batch *b, struct mcstream_conn *c)
{
	if (!c->s->is_unread && !peek(c))
		return false;
	if (unlikely(c->n_requests >= b->run->share))
		c->stop = MCSTREAM_TURN;
	else if (unlikely(!c->ops->may_write(c, 0, 0)))
		c->stop = MCSTREAM_FULL;
	return c->stop == MCSTREAM_EMPTY;
}

static void read_all(struct batch *b, struct mcstream_conn *c)
{
	while (may_go_on(b, c)) {
		if (likely(c->s->n == 0)) {
			const bool is_get =
				likely(c->s->protocol == SPEAKS_TEXT && c->s->wanted == 0)
				&& read_gets(b, c);

			if (is_get ? c->stop != MCSTREAM_EMPTY : !read_next(b, c))
				return;
			continue;
		}
		if (c->n_waiting > 0)
			flush(b); /* M1 */
		if (c->stop != MCSTREAM_EMPTY || !read_on(b, c))
			return;
	}
}

void mcstream_run_bulk(
	const struct mcstream_run *run, struct mcstream_conn *const *conns, unsigned n)
{
	struct batch b;

	b.run = run; /* opt: what is in the batch need not be cleared */
	b.n = 0;
	for (unsigned i = 0; i < n; i++) {
		struct mcstream_conn *c = conns[i];

		c->p = NULL;
		c->len = c->taken = c->n_waiting = c->n_promised = c->n_requests = 0;
		c->n_granted = SMALL_BYTES;
		c->stop = MCSTREAM_EMPTY;
		read_all(&b, c);
		if (c->n_waiting == 0)
			consume(c);
	}
	flush(&b);
}
