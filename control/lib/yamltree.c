/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * yamltree — libyaml's events made into a tree. The bytes are checked before libyaml sees them, so
 * that what it calls a line and a column is what an editor calls so. A stack of YAMLTREE_DEPTH_MAX
 * frames holds the open mappings and sequences; nodes and text live in an arena that goes with the
 * tree.
 */
#include "lib/yamltree.h"

#include "lib/text.h"

#include <yaml.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (64u << 10)

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(max_align_t) char bytes[];
};

struct yamltree {
	struct chunk *chunks;
	const struct yamltree_node *root;
	uint32_t n_nodes;
};

struct frame {
	struct yamltree_node *node;
	const struct yamltree_node **items; /* grows; copied to the arena at the end */
	uint32_t n_items, cap;
};

struct builder {
	struct yamltree *tree;
	struct confreport_sink *sink;
	struct frame stack[YAMLTREE_DEPTH_MAX];
	unsigned depth;
	bool is_done; /* the document has ended */
};

const char *yamltree_kind_name(enum yamltree_kind kind)
{
	switch (kind) {
	case YAMLTREE_SCALAR:
		return "text";
	case YAMLTREE_SEQUENCE:
		return "a list";
	case YAMLTREE_MAPPING:
		return "a mapping";
	default:
		return "something else";
	}
}

static void *arena_get(struct yamltree *t, size_t size)
{
	struct chunk *c = t->chunks;
	void *p;

	size = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
	if (c == NULL || c->size - c->used < size) {
		const size_t want = size > CHUNK_BYTES ? size : CHUNK_BYTES;

		c = malloc(sizeof(*c) + want);
		if (c == NULL)
			return NULL;
		c->next = t->chunks;
		c->used = 0;
		c->size = want;
		t->chunks = c;
	}
	p = c->bytes + c->used;
	c->used += size;
	return p;
}

/* Control characters, the odd line separators that only some readers take for a line's end, byte
 * order marks in mid-text, and codes that are no characters. */
static bool is_refused(uint32_t code)
{
	return (code < 0x20 && code != '\t') || (code >= 0x7f && code < 0xa0) || code == 0x2028
		|| code == 0x2029 || code == 0xfeff || (code & 0xfffe) == 0xfffe;
}

/* All bytes are text that we accept; reports the first that is not. */
static bool check_bytes(const char *text, size_t len, struct confreport_sink *sink)
{
	struct confreport_span at = {1, 1, 1, 2};

	for (size_t i = 0; i < len;) {
		uint32_t code = 0;
		const unsigned n = text_utf8_len(text + i, len - i, &code);

		if (n == 0) {
			confreport_sink_add(sink, CONFREPORT_ERROR, at, NULL,
				"the file is not UTF-8: byte 0x%02x", (unsigned char)text[i]);
			return false;
		}
		if (code == '\n' || (code == '\r' && (i + 1 == len || text[i + 1] != '\n'))) {
			at.line = ++at.end_line;
			at.col = 0;
		} else if (code != '\r' && is_refused(code)) {
			confreport_sink_add(sink, CONFREPORT_ERROR, at, NULL,
				"character U+%04X is not allowed", code);
			return false;
		}
		i += n;
		at.col++;
		at.end_col = at.col + 1;
	}
	return true;
}

static struct confreport_span span_of(const yaml_event_t *e)
{
	struct confreport_span s = {
		.line = (uint32_t)e->start_mark.line + 1,
		.col = (uint32_t)e->start_mark.column + 1,
		.end_line = (uint32_t)e->end_mark.line + 1,
		.end_col = (uint32_t)e->end_mark.column + 1,
	};

	/* The end of a mapping or a list is far away: point at its beginning. */
	if (e->type != YAML_SCALAR_EVENT && e->type != YAML_ALIAS_EVENT) {
		s.end_line = s.line;
		s.end_col = s.col + 1;
	}
	return s;
}

static int append(struct builder *b, const struct yamltree_node *node)
{
	struct frame *f;

	if (b->depth == 0) {
		b->tree->root = node;
		return 0;
	}
	f = &b->stack[b->depth - 1];
	if (f->n_items == f->cap) {
		const uint32_t cap = f->cap == 0 ? 16 : 2 * f->cap;
		const struct yamltree_node **items =
			realloc(f->items, cap * sizeof(*items)); /* ≤ 2 × YAMLTREE_NODES_MAX */

		if (items == NULL)
			return -ENOMEM;
		f->items = items;
		f->cap = cap;
	}
	f->items[f->n_items++] = node;
	return 0;
}

static int add_node(struct builder *b, enum yamltree_kind kind, const yaml_event_t *e,
	struct yamltree_node **out)
{
	struct yamltree_node *node;

	if (b->tree->n_nodes == YAMLTREE_NODES_MAX) {
		confreport_sink_add(b->sink, CONFREPORT_ERROR, span_of(e), NULL,
			"the file has more than %u values", YAMLTREE_NODES_MAX);
		return -EINVAL;
	}
	node = arena_get(b->tree, sizeof(*node));
	if (node == NULL)
		return -ENOMEM;
	b->tree->n_nodes++;
	*node = (struct yamltree_node){.kind = kind, .span = span_of(e)};
	*out = node;
	return append(b, node);
}

static void refuse_decoration(
	struct builder *b, const yaml_event_t *e, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor != NULL)
		confreport_sink_add(b->sink, CONFREPORT_ERROR, span_of(e), NULL,
			"anchors are not supported: write the value out");
	if (tag != NULL)
		confreport_sink_add(b->sink, CONFREPORT_ERROR, span_of(e), NULL,
			"tags are not supported: the type follows from the key");
}

static bool is_clean(const char *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		uint32_t code = 0;
		const unsigned n = text_utf8_len(text + i, len - i, &code);

		if (n == 0 || is_refused(code))
			return false;
		i += n;
	}
	return true;
}

static int on_scalar(struct builder *b, const yaml_event_t *e)
{
	const char *value = (const char *)e->data.scalar.value;
	const size_t len = e->data.scalar.length;
	struct yamltree_node *node;
	char *text;
	int rc = add_node(b, YAMLTREE_SCALAR, e, &node);

	if (rc != 0)
		return rc;
	refuse_decoration(b, e, e->data.scalar.anchor, e->data.scalar.tag);
	if (!is_clean(value, len)) {
		confreport_sink_add(b->sink, CONFREPORT_ERROR, node->span, NULL,
			"a value is one line of text without control characters");
		node->kind = YAMLTREE_BAD;
		return 0;
	}
	text = arena_get(b->tree, len + 1);
	if (text == NULL)
		return -ENOMEM;
	memcpy(text, value, len);
	text[len] = '\0';
	node->text = text;
	/* The key, not the value: an even number of items came before it. */
	if (b->depth > 0 && b->stack[b->depth - 1].node->kind == YAMLTREE_MAPPING
		&& b->stack[b->depth - 1].n_items % 2 == 1
		&& e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(text, "<<") == 0) {
		confreport_sink_add(b->sink, CONFREPORT_ERROR, node->span, NULL,
			"merge keys are not supported: write the values out");
		node->kind = YAMLTREE_BAD;
	}
	return 0;
}

static int on_alias(struct builder *b, const yaml_event_t *e)
{
	struct yamltree_node *node;

	confreport_sink_add(b->sink, CONFREPORT_ERROR, span_of(e), NULL,
		"aliases are not supported: write the value out");
	return add_node(b, YAMLTREE_BAD, e, &node);
}

static int on_collection_start(struct builder *b, const yaml_event_t *e, enum yamltree_kind kind)
{
	struct yamltree_node *node;
	struct frame *f;
	int rc;

	if (b->depth == YAMLTREE_DEPTH_MAX) {
		confreport_sink_add(b->sink, CONFREPORT_ERROR, span_of(e), NULL,
			"mappings and lists are nested deeper than %d", YAMLTREE_DEPTH_MAX);
		return -EINVAL;
	}
	rc = add_node(b, kind, e, &node);
	if (rc != 0)
		return rc;
	if (kind == YAMLTREE_MAPPING)
		refuse_decoration(b, e, e->data.mapping_start.anchor, e->data.mapping_start.tag);
	else
		refuse_decoration(b, e, e->data.sequence_start.anchor, e->data.sequence_start.tag);
	f = &b->stack[b->depth++];
	f->node = node;
	f->n_items = 0;
	return 0;
}

static int by_text(const void *a, const void *b)
{
	const struct yamltree_node *x = *(const struct yamltree_node *const *)a;
	const struct yamltree_node *y = *(const struct yamltree_node *const *)b;
	const int order = strcmp(x->text, y->text);

	if (order != 0)
		return order;
	if (x->span.line != y->span.line)
		return x->span.line < y->span.line ? -1 : 1;
	return x->span.col < y->span.col ? -1 : x->span.col > y->span.col;
}

/* Keys are text and each is there once. */
static int check_keys(struct builder *b, const struct frame *f)
{
	const struct yamltree_node **keys = calloc(f->n_items / 2 + 1, sizeof(*keys));
	uint32_t n = 0, first = 0;

	if (keys == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->n_items; i += 2) {
		if (f->items[i]->kind == YAMLTREE_SCALAR)
			keys[n++] = f->items[i];
		else if (f->items[i]->kind != YAMLTREE_BAD)
			confreport_sink_add(b->sink, CONFREPORT_ERROR, f->items[i]->span, NULL,
				"a key must be text, not %s",
				yamltree_kind_name(f->items[i]->kind));
	}
	qsort(keys, n, sizeof(*keys), by_text);
	for (uint32_t i = 1; i < n; i++) {
		if (strcmp(keys[first]->text, keys[i]->text) != 0)
			first = i;
		else
			confreport_sink_add(b->sink, CONFREPORT_ERROR, keys[i]->span, NULL,
				"duplicate key '%.64s': it is on line %u already", keys[i]->text,
				keys[first]->span.line);
	}
	free(keys);
	return 0;
}

static int on_collection_end(struct builder *b)
{
	struct frame *f = &b->stack[--b->depth];

	f->node->n_items = f->n_items;
	f->node->items = arena_get(b->tree, f->n_items * sizeof(*f->items) + 1);
	if (f->node->items == NULL)
		return -ENOMEM;
	if (f->n_items > 0)
		memcpy(f->node->items, f->items, f->n_items * sizeof(*f->items));
	return f->node->kind == YAMLTREE_MAPPING ? check_keys(b, f) : 0;
}

static int on_document_start(struct builder *b, const yaml_event_t *e)
{
	if (b->is_done) {
		confreport_sink_add(b->sink, CONFREPORT_ERROR, span_of(e), NULL,
			"a second document begins here: the file must have one");
		return -EINVAL;
	}
	if (e->data.document_start.version_directive != NULL
		|| e->data.document_start.tag_directives.start
			!= e->data.document_start.tag_directives.end)
		confreport_sink_add(b->sink, CONFREPORT_ERROR, span_of(e), NULL,
			"directives (%%YAML, %%TAG) are not supported: leave the line out");
	return 0;
}

static int on_event(struct builder *b, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		return on_document_start(b, e);
	case YAML_DOCUMENT_END_EVENT:
		b->is_done = true;
		return 0;
	case YAML_SCALAR_EVENT:
		return on_scalar(b, e);
	case YAML_ALIAS_EVENT:
		return on_alias(b, e);
	case YAML_MAPPING_START_EVENT:
		return on_collection_start(b, e, YAMLTREE_MAPPING);
	case YAML_SEQUENCE_START_EVENT:
		return on_collection_start(b, e, YAMLTREE_SEQUENCE);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		return on_collection_end(b);
	default:
		return 0;
	}
}

/* What libyaml could not read, in its own words. */
static int report_syntax(struct builder *b, const yaml_parser_t *p, const char *text, size_t len)
{
	const struct confreport_span at = {
		.line = (uint32_t)p->problem_mark.line + 1,
		.col = (uint32_t)p->problem_mark.column + 1,
		.end_line = (uint32_t)p->problem_mark.line + 1,
		.end_col = (uint32_t)p->problem_mark.column + 2,
	};
	const char *problem = p->problem != NULL ? p->problem : "cannot be read";

	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (p->problem_mark.index < len && text[p->problem_mark.index] == '\t')
		confreport_sink_add(b->sink, CONFREPORT_ERROR, at, NULL,
			"syntax: a tab cannot indent in YAML, only blanks can");
	else if (p->context != NULL && p->error != YAML_READER_ERROR)
		confreport_sink_add(b->sink, CONFREPORT_ERROR, at, NULL,
			"syntax: %s (%s that begins on line %zu)", problem, p->context,
			p->context_mark.line + 1);
	else
		confreport_sink_add(b->sink, CONFREPORT_ERROR, at, NULL, "syntax: %s", problem);
	return -EINVAL;
}

static int build(struct builder *b, const char *text, size_t len)
{
	yaml_parser_t parser;
	yaml_event_t event;
	bool is_end = false;
	int rc = 0;

	if (yaml_parser_initialize(&parser) == 0)
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (rc == 0 && !is_end) {
		if (yaml_parser_parse(&parser, &event) == 0) {
			rc = report_syntax(b, &parser, text, len);
			break;
		}
		rc = on_event(b, &event);
		is_end = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	for (unsigned i = 0; i < YAMLTREE_DEPTH_MAX; i++)
		free(b->stack[i].items);
	return rc;
}

int yamltree_create(
	struct yamltree **out, const char *text, size_t len, struct confreport_sink *sink)
{
	const struct confreport_span start = {1, 1, 1, 1};
	struct builder b = {.sink = sink};
	int rc;

	if (len > YAMLTREE_TEXT_MAX) {
		confreport_sink_add(sink, CONFREPORT_ERROR, start, NULL,
			"the file has %zu bytes, more than the %u allowed", len, YAMLTREE_TEXT_MAX);
		return -EINVAL;
	}
	if (!check_bytes(text, len, sink))
		return -EINVAL;
	b.tree = calloc(1, sizeof(*b.tree));
	if (b.tree == NULL)
		return -ENOMEM;
	rc = build(&b, text, len);
	if (rc == 0 && b.tree->root == NULL) {
		confreport_sink_add(sink, CONFREPORT_ERROR, start, NULL, "the file is empty");
		rc = -EINVAL;
	}
	if (rc != 0)
		yamltree_destroy(&b.tree);
	else
		*out = b.tree;
	return rc;
}

void yamltree_destroy(struct yamltree **tp)
{
	struct yamltree *t = *tp;

	if (t == NULL)
		return;
	while (t->chunks != NULL) {
		struct chunk *c = t->chunks;

		t->chunks = c->next;
		free(c);
	}
	free(t);
	*tp = NULL;
}

const struct yamltree_node *yamltree_root(const struct yamltree *t)
{
	return t->root;
}
