/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * yamltree — a strict subset of YAML as a tree in which every node knows its place. UTF-8, one
 * document, and nothing that makes a reader guess: no anchors, aliases, tags, directives or merge
 * keys, no duplicate keys, keys are plain text. Scalars are not typed here: they are text, on one
 * line, free of control characters. Everything is bounded: YAMLTREE_TEXT_MAX bytes,
 * YAMLTREE_DEPTH_MAX levels, YAMLTREE_NODES_MAX nodes. Pure, any thread.
 */
#include "lib/confreport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define YAMLTREE_TEXT_MAX (16u << 20)
#define YAMLTREE_DEPTH_MAX 16
#define YAMLTREE_NODES_MAX (1u << 21)

enum yamltree_kind {
	YAMLTREE_BAD, /* something outside the subset, reported already: readers skip it */
	YAMLTREE_SCALAR,
	YAMLTREE_SEQUENCE,
	YAMLTREE_MAPPING,
};

struct yamltree_node {
	enum yamltree_kind kind;
	uint32_t n_items; /* sequence: nodes; mapping: nodes too, key and value in turn */
	struct confreport_span span;
	union {
		const char *text; /* scalar: NUL-terminated */
		const struct yamltree_node **items;
	};
};

struct yamltree;

/* Parses. 0 with the tree in *out, also when something outside the subset was reported to the sink
 * but parsing could go on; -EINVAL when there is no tree (reported too); -ENOMEM. Nothing in the tree
 * points into the source. */
int yamltree_create(
	struct yamltree **out, const char *text, size_t len, struct confreport_sink *sink);
void yamltree_destroy(struct yamltree **t); /* NULL-safe */

const struct yamltree_node *yamltree_root(const struct yamltree *t);

/* "a mapping", "a list", "text": for messages. */
const char *yamltree_kind_name(enum yamltree_kind kind);
