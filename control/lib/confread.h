/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * confread — reads single values of the tree: each function knows one kind of value, checks its
 * range and reports what is wrong, with the range, at the value's place. All return true and write
 * *out only when the value is good; after false the report has the reason and the caller just goes
 * on, so that one pass finds everything. Part of the loader (conf.h).
 */
#include "lib/conf.h"
#include "lib/confreport.h"
#include "lib/yamltree.h"

#define CONFREAD_PATH_MAX 256

struct confread {
	struct confreport_sink *sink;
	bool is_out_of_memory;
	char path[CONFREAD_PATH_MAX]; /* of the mapping being read, "services.web"; "": the top */
};

/* A key of a mapping. The schema of a mapping is an array of these. */
struct confread_key {
	const char *name;
	bool is_required;
};

/* Keys of the longest schema, at most. */
#define CONFREAD_KEYS_MAX 32

#define CONFREAD_ERROR(r, node, ...) \
	confreport_sink_add((r)->sink, CONFREPORT_ERROR, (node)->span, NULL, __VA_ARGS__)
#define CONFREAD_WARNING(r, node, ...) \
	confreport_sink_add((r)->sink, CONFREPORT_WARNING, (node)->span, NULL, __VA_ARGS__)

/* Sets the path that messages about the following values begin with. */
void confread_path(struct confread *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Finds the values of a mapping's known keys: at[i] is the value of keys[i] or NULL. Reports unknown
 * and missing keys; the latter at the node place. False when the node is no mapping at all. */
bool confread_map(struct confread *r, const struct yamltree_node *node,
	const struct yamltree_node *place, const struct confread_key *keys, unsigned n_keys,
	const struct yamltree_node **at);

/* The node is of this kind; reports what it is instead. key is the last part of its path. */
bool confread_kind(struct confread *r, const struct yamltree_node *node, const char *key,
	enum yamltree_kind kind);

/* A name after the pattern of control/README.md. */
bool confread_name(struct confread *r, const struct yamltree_node *node, const char *what,
	char out[MR_NAME_MAX]);

bool confread_uint(struct confread *r, const struct yamltree_node *node, const char *key,
	uint32_t min, uint32_t max, uint32_t *out);
bool confread_port(
	struct confread *r, const struct yamltree_node *node, const char *key, uint16_t *out);
/* One of the words; *out is its index. */
bool confread_word(struct confread *r, const struct yamltree_node *node, const char *key,
	const char *const *words, unsigned n_words, unsigned *out);
bool confread_duration(struct confread *r, const struct yamltree_node *node, const char *key,
	uint32_t min_ms, uint32_t max_ms, uint32_t *out);
bool confread_percent(struct confread *r, const struct yamltree_node *node, const char *key,
	uint32_t min, uint32_t max, uint32_t *out);

/* Bytes, with a unit or without. */
bool confread_size(struct confread *r, const struct yamltree_node *node, const char *key,
	uint64_t min, uint64_t max, uint64_t *out);
/* A number with at most two decimals, in hundredths; max too. */
bool confread_hundredths(struct confread *r, const struct yamltree_node *node, const char *key,
	uint32_t max, uint32_t *out);

/* Text of min..max visible ASCII characters without blanks. *out is allocated. */
bool confread_token(struct confread *r, const struct yamltree_node *node, const char *key,
	size_t max, char **out);

/* 1..max bytes in hexadecimal, two digits for each. */
bool confread_hex(struct confread *r, const struct yamltree_node *node, const char *key,
	unsigned max, uint8_t *out, uint8_t *len);

/* An address one host can have. */
bool confread_ip(
	struct confread *r, const struct yamltree_node *node, const char *key, struct mr_ip *out);
bool confread_prefix(struct confread *r, const struct yamltree_node *node, const char *key,
	struct conf_prefix *out);
/* ADDRESS or FIRST-LAST of at most max addresses; ips has room for max, *n of them are used. */
bool confread_ip_range(struct confread *r, const struct yamltree_node *node, const char *key,
	struct mr_ip *ips, size_t max, size_t *n);
/* 200 or 200-299. */
bool confread_status(struct confread *r, const struct yamltree_node *node, const char *key,
	struct conf_status_range *out);

/* "did you mean 'x'?" into buf when one of the words is near, else NULL. */
const char *confread_hint(struct confread *r, char *buf, size_t size, const char *word,
	const char *const *words, unsigned n_words);

/* Writes milliseconds as the file has them, in the largest unit that is exact: "500ms" "2s" "15m".
 * Returns buf. */
const char *confread_duration_text(char *buf, size_t size, uint32_t ms);

/* The prefix contains the address. */
bool confread_contains(const struct conf_prefix *p, const struct mr_ip *ip);
