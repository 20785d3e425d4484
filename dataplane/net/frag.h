/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * frag — the flow of a fragment. Only the first one of a datagram has ports; this table, one for
 * each worker, keeps them for those that follow, and holds those that come before it. All pieces of
 * a datagram are looked at by one worker, whose number is a hash of what they have in common
 * (frag_owner()); from there they go to the flow's worker with their ports in the note. Memory is
 * taken at start. Context: worker, unless it says otherwise.
 */
#include "core/worker.h"

#define FRAG_ENTRIES_MAX 4096u       /* datagrams of one worker that are not complete */
#define FRAG_SOURCE_ENTRIES_MAX 512u /* of one source (IPv6: /64) */
#define FRAG_TIMEOUT_MS 5000u        /* from the first piece, and again from the first fragment */
#define FRAG_HELD_DATAGRAM_MAX 16u   /* early ones of a datagram */
#define FRAG_HELD_SOURCE_MAX 64u     /* and of a source; of a worker: MBUFS_FRAGMENTS_HELD_MAX */

struct frag_table;

/* Cold. Context: manager, before workers start. 0 or -ENOMEM. */
int frag_table_create(struct frag_table **out, int socket_id);
void frag_table_destroy(struct frag_table **t); /* frees what is held; NULL-safe, clears *t */

/* Worker that looks at the pieces of this one's datagram. */
unsigned frag_owner(const struct worker *w, const struct burst *b, unsigned i);

/* A PKT_FRAG at its owner. It becomes PKT_UNSEEN with PKT_F_PLACED and the ports of its flow;
 * or PKT_GONE: held; or PKT_DROP. */
void frag_input(struct worker *w, struct burst *b, unsigned i);

/* A burst of early pieces whose first one has come, of one logical port, their notes NOTE_FRAGMENT;
 * NULL when there are no more. It is good until the next call. */
struct burst *frag_release(struct worker *w);

/* For what comes with a note (handed over, released): gives NOTE_FRAGMENT packets their ports. */
void frag_place_noted(struct burst *b);

/* Writes the note that frag_place_noted() reads. */
static inline void frag_note(struct pkt_note *note, const struct pkt *p)
{
	note->kind = NOTE_FRAGMENT;
	note->proto = p->proto;
	note->sport = p->sport;
	note->dport = p->dport;
}

/* Ends datagrams whose time is over, a bounded number. */
void frag_expire(struct worker *w);

/* Assert-only: walks everything. */
bool frag_check(const struct frag_table *t);
