/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guard — whether a service takes a new flow, asked once per flow before a backend is chosen. Packets of known flows
 * come here only where a service has packets_per_second, a burst at once. Context: worker.
 *
 * Each worker has an equal share of every limit and counts what is its own: a sum over workers would be a
 * cache line that all of them write. Client flows are spread by a hash of addresses and ports, so shares fill
 * alike; one that is full refuses although another has room, and the limit holds for the sum (but for shares
 * rounded up: less than one per worker).
 */
#include "lb/guard.h"

#include "base/keyhash.h"
#include "lb/balance_pvt.h"

uint64_t guard_source(const struct lb_service *s, const struct pkt *p)
{
	struct {
		uint8_t ip[16];
		uint32_t service_idx;
	} key = {{0}, s->idx};

	memcpy(key.ip, p->src, p->family == 4 ? 4 : 16);
	for (unsigned i = 0; i < 16; i++)
		key.ip[i] &= s->source_rate_mask[i];
	return keyhash(&key, sizeof(key));
}

static bool take_source(const struct call *x, const struct lb_service *s, const struct pkt *p)
{
	return rate_take_source(x->lw->sources, guard_source(s, p), &s->source_rate, x->now_ms);
}

bool guard_allows(const struct call *x, const struct lb_service *s, const struct pkt *p,
	enum pkt_drop *reason)
{
	if (likely(acl_allows(s->acl, p->src)))
		return true;
	add(&x->lw->services[s->idx].acl_drops, 1);
	*reason = PKT_DROP_acl;
	return false;
}

/* What refuses without changing anything is asked first; then the source, so that one which asks for too much
 * takes nothing from the others. */
bool guard_admits(const struct call *x, const struct lb_service *s, const struct pkt *p,
	enum pkt_drop *reason)
{
	struct service_tally *tally = &x->lw->services[s->idx];

	if (s->acl != NULL && !guard_allows(x, s, p, reason))
		return false;
	if (tally->conns >= s->max_conns) {
		*reason = PKT_DROP_service_limit;
		return false;
	}
	if (s->source_rate.gain != 0 && !take_source(x, s, p)) {
		*reason = PKT_DROP_source_rate;
		return false;
	}
	if (s->flow_rate.gain != 0 && !rate_take(&tally->flows, &s->flow_rate, x->now_ms)) {
		*reason = PKT_DROP_service_rate;
		return false;
	}
	return true;
}

static void move_key(struct flows *f, unsigned to, unsigned from)
{
	f->sel[to] = f->sel[from];
	f->idx[to] = f->idx[from];
	if (f->is_v6)
		f->k6[to] = f->k6[from];
	else
		f->k4[to] = f->k4[from];
}

/* Known flows come first to the tokens of a burst: what has been admitted is to go on. A burst is at one time, so a
 * bucket is filled where another service's packets begin, not for each packet. */
void guard_police(struct call *x, struct flows *f)
{
	const bool *is_policed = x->conf->is_policed;
	const struct rate_limit *limit = NULL;
	struct rate_bucket *bucket = NULL;
	uint32_t at = VIP_NONE; /* whose these are */
	unsigned n = 0;

	for (unsigned k = 0; k < f->n; k++) {
		struct pkt *p = &x->b->p[f->sel[k]];
		const uint32_t idx = p->service_idx;

		if (is_policed[idx] && f->idx[k] != CONN_NONE) {
			if (idx != at) {
				at = idx;
				limit = &x->conf->services[idx]->packet_rate;
				bucket = &x->lw->services[idx].packets;
				rate_fill(bucket, limit, x->now_ms);
			}
			if (!rate_spend(bucket, limit)) {
				pkt_drop(p, PKT_DROP_service_packets);
				add(&x->lw->services[idx].drops, 1);
				continue;
			}
		}
		if (unlikely(n != k))
			move_key(f, n, k);
		n++;
	}
	f->n = n;
}
