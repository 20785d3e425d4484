/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * confacl — see confacl.h. The prefixes of both lists are sorted together, so that whatever is given twice
 * lies side by side. Sorted they stay: the order in the file means nothing, as the longest match decides.
 */
#include "lib/confacl.h"

#include "lib/prefix.h"
#include "millrace/api_lb.h"

#include <stdlib.h>

#define SHOWN_MAX 8u /* prefixes of a list in one line */

enum { ALLOW, DENY };
static const char *const list_names[] = {"allow", "deny"};

struct entry {
	struct conf_prefix prefix;
	const struct yamltree_node *at;
	unsigned list;
	uint32_t i; /* in it */
};

static int compare_prefixes(const struct conf_prefix *a, const struct conf_prefix *b)
{
	int d = (int)a->ip.family - (int)b->ip.family;

	if (d == 0)
		d = memcmp(a->ip.bytes, b->ip.bytes, sizeof(a->ip.bytes));
	return d != 0 ? d : (int)a->len - (int)b->len;
}

/* By prefix, then as they stand in the file. */
static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	const struct confreport_span *s = &x->at->span, *t = &y->at->span;
	const int d = compare_prefixes(&x->prefix, &y->prefix);

	if (d != 0)
		return d;
	return s->line != t->line ? (s->line < t->line ? -1 : 1)
				  : (s->col > t->col) - (s->col < t->col);
}

static bool read_prefix(struct confread *r, const struct conf_service *s, const char *list,
	uint32_t i, struct entry *e)
{
	char why[PREFIX_WHY_MAX];
	struct mr_ip ip;
	unsigned len;

	if (e->at->kind != YAMLTREE_SCALAR) {
		if (e->at->kind != YAMLTREE_BAD)
			CONFREAD_ERROR(r, e->at,
				"%s.%s[%u] must be ADDRESS or ADDRESS/LENGTH, got %s", r->path,
				list, i, yamltree_kind_name(e->at->kind));
		return false;
	}
	if (prefix_parse_any(&ip, &len, e->at->text, why) != 0) {
		CONFREAD_ERROR(r, e->at, "%s.%s[%u]: %s", r->path, list, i, why);
		return false;
	}
	if (s->vip.family != 0 && ip.family != s->vip.family) {
		CONFREAD_ERROR(r, e->at,
			"%s.%s[%u]: %s is IPv%u, the service's clients are IPv%u as its VIP is",
			r->path, list, i, e->at->text, ip.family, s->vip.family);
		return false;
	}
	e->prefix = (struct conf_prefix){ip, (uint8_t)len};
	return true;
}

/* Appends what is good of a list to e; how many that are. */
static size_t read_list(struct confread *r, const struct conf_service *s, unsigned list,
	const struct yamltree_node *node, struct entry *e)
{
	size_t n = 0;

	for (uint32_t i = 0; i < node->n_items; i++) {
		e[n] = (struct entry){.at = node->items[i], .list = list, .i = i};
		n += read_prefix(r, s, list_names[list], i, &e[n]);
	}
	return n;
}

/* Drops repetitions; one that contradicts the first is an error. Returns how many are left. */
static size_t join_equal(struct confread *r, struct entry *e, size_t n)
{
	char text[PREFIX_TEXT_MAX];
	size_t n_kept = 0;

	for (size_t i = 0; i < n; i++) {
		const struct entry *first = n_kept > 0 ? &e[n_kept - 1] : NULL;

		if (first == NULL || compare_prefixes(&first->prefix, &e[i].prefix) != 0) {
			e[n_kept++] = e[i];
			continue;
		}
		prefix_text(text, &e[i].prefix.ip, e[i].prefix.len);
		if (first->list != e[i].list)
			CONFREAD_ERROR(r, e[i].at,
				"%s.%s[%u]: %s is in '%s' already (line %u); leave one of the two out",
				r->path, list_names[e[i].list], e[i].i, text,
				list_names[first->list], first->at->span.line);
		else
			CONFREAD_WARNING(r, e[i].at, "%s.%s[%u]: %s is there already (line %u)",
				r->path, list_names[e[i].list], e[i].i, text, first->at->span.line);
	}
	return n_kept;
}

static bool keep_list(struct conf_prefixes *to, const struct entry *e, size_t n, unsigned list)
{
	to->items = calloc(n + 1, sizeof(*to->items));
	for (size_t i = 0; to->items != NULL && i < n; i++) {
		if (e[i].list == list)
			to->items[to->n++] = e[i].prefix;
	}
	return to->items != NULL;
}

/* How many entries the list has; 0 when it is none, which has been reported. */
static uint32_t count_entries(struct confread *r, unsigned list, const struct yamltree_node *node)
{
	if (node == NULL || !confread_kind(r, node, list_names[list], YAMLTREE_SEQUENCE))
		return 0;
	if (node->n_items == 0)
		CONFREAD_ERROR(r, node,
			"%s.%s is empty; leave it out to let everybody in, or deny 0.0.0.0/0 or ::/0 to "
			"let nobody in",
			r->path, list_names[list]);
	return node->n_items;
}

void confacl_read(struct confread *r, struct conf_service *s, const struct yamltree_node *allow,
	const struct yamltree_node *deny)
{
	const uint32_t n_allow = count_entries(r, ALLOW, allow),
		       n_deny = count_entries(r, DENY, deny);
	struct entry *e;
	size_t n = 0;

	if ((uint64_t)n_allow + n_deny > MR_ACL_MAX) {
		CONFREAD_ERROR(r, n_deny > 0 ? deny : allow,
			"%s may have at most %u prefixes in 'allow' and 'deny' together, got %u",
			r->path, MR_ACL_MAX, n_allow + n_deny);
		return;
	}
	e = calloc((size_t)n_allow + n_deny + 1, sizeof(*e));
	if (e == NULL) {
		r->is_out_of_memory = true;
		return;
	}
	if (n_allow > 0)
		n = read_list(r, s, ALLOW, allow, e);
	if (n_deny > 0)
		n += read_list(r, s, DENY, deny, e + n);
	if (n > 0)
		qsort(e, n, sizeof(*e), compare_entries);
	n = join_equal(r, e, n);
	if (!keep_list(&s->allow, e, n, ALLOW) || !keep_list(&s->deny, e, n, DENY))
		r->is_out_of_memory = true;
	free(e);
}

bool confacl_is_same(const struct conf_prefixes *a, const struct conf_prefixes *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (compare_prefixes(&a->items[i], &b->items[i]) != 0)
			return false;
	}
	return true;
}

static void print_prefix(FILE *out, const char *before, const struct conf_prefix *p)
{
	char text[PREFIX_TEXT_MAX];

	fprintf(out, "%s%s", before, prefix_text(text, &p->ip, p->len));
}

/* Those of p that other has not; both are ascending. */
static void print_only_here(
	FILE *out, const struct conf_prefixes *p, const struct conf_prefixes *other)
{
	size_t n = 0;

	for (size_t i = 0, k = 0; i < p->n; i++) {
		while (k < other->n && compare_prefixes(&other->items[k], &p->items[i]) < 0)
			k++;
		if (k < other->n && compare_prefixes(&other->items[k], &p->items[i]) == 0)
			continue;
		if (n++ < SHOWN_MAX)
			print_prefix(out, n == 1 ? ", only here " : ", ", &p->items[i]);
	}
	if (n > SHOWN_MAX)
		fprintf(out, " and %zu more", n - SHOWN_MAX);
}

void confacl_print(FILE *out, const struct conf_prefixes *p, const struct conf_prefixes *other)
{
	if (p->n > SHOWN_MAX) {
		fprintf(out, "%zu prefixes", p->n);
		if (other != NULL)
			print_only_here(out, p, other);
		return;
	}
	for (size_t i = 0; i < p->n; i++)
		print_prefix(out, i == 0 ? "" : ", ", &p->items[i]);
}
