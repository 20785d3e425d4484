/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipeline — the packet path on one screen. A burst runs to completion: parse, classify, steer to the
 * worker that owns the flow, answer or balance, and finish each packet by its verdict. Nothing else
 * decides order; stages only set verdicts. Runs on every worker; allocates, logs and blocks never.
 */
#include "pipeline.h"

#include "core/capture.h"
#include "core/nic.h"
#include "lb/balance.h"
#include "lb/icmperr.h"
#include "lb/natport.h"
#include "lb/probe.h"
#include "net/addr.h"
#include "net/arp.h"
#include "net/frag.h"
#include "net/icmp.h"
#include "net/icmpquote.h"
#include "net/parse.h"
#include "serve/serve.h"

/* A set of verdicts. */
#define SET(verdict) (1u << (verdict))

/* Indices of the packets with this verdict. */
static inline unsigned pick(const struct burst *b, enum pkt_verdict verdict, uint8_t *at)
{
	unsigned n = 0;

	for (unsigned i = 0; i < b->n; i++) {
		at[n] = (uint8_t)i;
		n += b->p[i].verdict == verdict;
	}
	return n;
}

/* ICMP and ICMPv6 for us, NDP for anyone. */
static inline bool is_icmp(const struct pkt *p)
{
	return p->proto == (p->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

static void to_kernel(struct pkt *p, enum punt_class class)
{
	p->verdict = PKT_PUNT;
	p->punt_class = (uint8_t) class;
}

static inline bool is_balanced(const struct pkt *p)
{
	return p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP;
}

/* A fragment that may be of a flow. The protocol of a later one over IPv6 may be that of a header
 * which only the first one has. */
static inline bool is_piece(const struct pkt *p)
{
	return unlikely(pkt_is_piece(p))
		&& (is_balanced(p)
			|| (p->family == 6 && (p->flags & PKT_F_LATER)
				&& (p->proto == IPPROTO_DSTOPTS || p->proto == IPPROTO_HOPOPTS
					|| p->proto == IPPROTO_ROUTING || p->proto == IPPROTO_AH)));
}

/* A packet to nobody of ours that may be a DNAT backend's answer to its client. */
static void classify_revert(struct pkt *p, const struct lb_conf *lb)
{
	if (p->flags & PKT_F_BROADCAST)
		return;
	if (is_piece(p)) {
		if (vip_has_source(lb->reverts, p))
			p->verdict = PKT_FRAG;
	} else if (is_balanced(p)) {
		p->service_idx = vip_find_source(lb->reverts, p);
		if (p->service_idx != VIP_NONE)
			p->verdict = PKT_REVERT;
	}
}

/* Whether an ICMP packet may be about a flow of ours. */
static bool may_be_error(
	const struct lb_conf *lb, const struct rte_mbuf *m, const struct pkt *p, uint8_t kind)
{
	if (kind == ADDR_OWN || (kind == ADDR_NONE && lb->reverts == NULL))
		return false;
	return icmpquote_is_error(m, p);
}

/* A packet whose destination is no service: by what its address is to us. *kind is kept for ICMP. */
static void classify_other(const struct rte_mbuf *m, struct pkt *p, const struct lb_conf *lb,
	const struct addr_conf *ac, uint8_t *kind)
{
	uint16_t snat_slot = 0;
	uint8_t iface;

	*kind = (uint8_t)addr_find(ac, p->family, p->dst, &snat_slot, &iface);
	if (is_icmp(p)) {
		p->snat_slot = snat_slot;
		if (may_be_error(lb, m, p, *kind)) {
			p->verdict = PKT_ICMP_ERROR;
			return;
		}
		if (*kind != ADDR_NONE || p->family == 6) {
			p->verdict = PKT_ICMP;
			return;
		}
	}
	switch (*kind) {
	case ADDR_OWN:
		to_kernel(p, PUNT_OWN);
		return;
	case ADDR_VIP:
		/* later fragments have no port to look a service up by */
		if (is_piece(p))
			p->verdict = PKT_FRAG;
		else
			pkt_drop(p, PKT_DROP_no_service);
		return;
	case ADDR_SNAT:
		p->snat_slot = snat_slot;
		if (is_piece(p))
			p->verdict = PKT_FRAG;
		else if (is_balanced(p))
			p->verdict = PKT_RETURN;
		else
			pkt_drop(p, PKT_DROP_snat_unknown);
		return;
	default:
		to_kernel(p, PUNT_OTHER);
		if (lb->reverts != NULL)
			classify_revert(p, lb);
	}
}

/* One that is not just a whole packet to a service. */
static void classify_rare(const struct rte_mbuf *m, struct pkt *p, const struct lb_conf *lb,
	const struct addr_conf *ac, uint8_t *kind)
{
	if (p->flags & PKT_F_VLAN)
		to_kernel(p, PUNT_OTHER); /* the ports are untagged */
	else if (p->service_idx == VIP_NONE)
		classify_other(m, p, lb, ac, kind);
	else if (pkt_is_piece(p))
		p->verdict = PKT_FRAG;
	else
		p->verdict = PKT_LB;
}

/* Gives every packet that parse left open its verdict. Returns the set of those in the burst. */
static unsigned classify(
	struct burst *b, const struct lb_conf *lb, const struct addr_conf *ac, uint8_t *kinds)
{
	const bool *const is_served = lb->is_served;
	const unsigned n = b->n;
	unsigned verdicts = 0;

	vip_find_bulk(lb->vips, b->p, n);
	for (unsigned i = 0; i < n; i++) {
		struct pkt *p = &b->p[i];

		if (likely(p->verdict == PKT_UNSEEN)) {
			if (likely(p->service_idx != VIP_NONE
				    && !(p->flags & (PKT_F_FRAGMENT | PKT_F_VLAN))))
				p->verdict = PKT_LB;
			else
				classify_rare(b->m[i], p, lb, ac, &kinds[i]);
			if (is_served != NULL && p->verdict == PKT_LB && is_served[p->service_idx])
				p->verdict = PKT_SERVE;
		}
		verdicts |= SET(p->verdict);
	}
	return verdicts;
}

/* Worker that owns the flow of a balanced packet. Client flows: by Toeplitz hash, the device's where it
 * is over the same tuple, so that with as many queues as workers nothing is handed over (nic.c fills the
 * redirection tables by the same rule). Return packets: by the SNAT port's block; of DNAT by the hash that the
 * client's packets have. A device hashes fragments without ports. */
static unsigned flow_owner(
	const struct lb_conf *lb, unsigned n_workers, const struct burst *b, unsigned i)
{
	const struct pkt *p = &b->p[i];

	if (p->verdict == PKT_REVERT) {
		struct pkt as;

		lb_revert_client(lb, p, &as);
		return NIC_RSS_OWNER(nic_softrss(&as), n_workers);
	}
	if (p->verdict == PKT_RETURN)
		return natport_owner(rte_be_to_cpu_16(p->dport), n_workers);
	if (b->has_rss && (b->m[i]->ol_flags & RTE_MBUF_F_RX_RSS_HASH)
		&& likely(!(p->flags & PKT_F_FRAGMENT)))
		return NIC_RSS_OWNER(b->m[i]->hash.rss, n_workers);
	return NIC_RSS_OWNER(nic_softrss(p), n_workers);
}

static unsigned owner_of(const struct worker *w, const struct lb_conf *lb, const struct burst *b,
	unsigned i, uint8_t kind)
{
	const struct pkt *p = &b->p[i];

	if (p->verdict == PKT_ICMP_ERROR)
		return icmperr_owner(lb, b->m[i], p, (enum addr_kind)kind, w->n_workers, w->id);
	return flow_owner(lb, w->n_workers, b, i);
}

static void hand_over(struct worker *w, struct burst *b, unsigned i, unsigned owner)
{
	struct pkt *p = &b->p[i];
	struct pkt_note *note = pkt_note(b->m[i]);

	note->kind = NOTE_HANDOVER;
	note->iface = b->in_iface;
	if (unlikely(p->flags & PKT_F_PLACED))
		frag_note(note, p);
	if (mailbox_send_bulk(w->mail, w->id, owner, &b->m[i], 1) == 1) {
		p->verdict = PKT_GONE;
		w->tally->handed_over++;
	} else {
		pkt_drop(p, PKT_DROP_mailbox_full);
	}
}

static void steer_one(
	struct worker *w, const struct lb_conf *lb, struct burst *b, unsigned i, uint8_t kind)
{
	const struct pkt *p = &b->p[i];
	unsigned owner;

	if (p->verdict != PKT_LB && p->verdict != PKT_RETURN && p->verdict != PKT_REVERT
		&& p->verdict != PKT_ICMP_ERROR && p->verdict != PKT_SERVE)
		return;
	owner = owner_of(w, lb, b, i, kind);
	if (owner != w->id)
		hand_over(w, b, i, owner);
}

static void steer(struct worker *w, const struct lb_conf *lb, struct burst *b, const uint8_t *kinds)
{
	for (unsigned i = 0; i < b->n; i++)
		steer_one(w, lb, b, i, kinds[i]);
}

/* Fragments go to the worker that knows their datagram; there they are classified again, with ports,
 * and go on to the worker that owns their flow. Returns the set of verdicts in the burst. */
static unsigned place_fragments(struct worker *w, const struct lb_conf *lb,
	const struct addr_conf *ac, struct burst *b, uint8_t *kinds)
{
	uint8_t placed[BURST_MAX];
	unsigned n = 0, verdicts;

	for (unsigned i = 0; i < b->n; i++) {
		unsigned owner;

		if (b->p[i].verdict != PKT_FRAG)
			continue;
		owner = w->n_workers > 1 ? frag_owner(w, b, i) : w->id;
		if (owner != w->id) {
			hand_over(w, b, i, owner);
			continue;
		}
		frag_input(w, b, i);
		if (b->p[i].verdict == PKT_UNSEEN)
			placed[n++] = (uint8_t)i;
	}
	verdicts = classify(b, lb, ac, kinds);
	for (unsigned k = 0; k < n && w->n_workers > 1; k++)
		steer_one(w, lb, b, placed[k], kinds[placed[k]]);
	return verdicts;
}

/* ARP, NDP, echo: rare packets, one at a time. */
static void answer(
	struct worker *w, const struct addr_conf *ac, struct burst *b, const uint8_t *kinds)
{
	for (unsigned i = 0; i < b->n; i++) {
		if (b->p[i].verdict == PKT_ARP)
			arp_input(w, ac, b, i);
		else if (b->p[i].verdict == PKT_ICMP && b->p[i].family == 4)
			icmp4_input(w, ac, b, i, (enum addr_kind)kinds[i]);
		else if (b->p[i].verdict == PKT_ICMP)
			icmp6_input(w, ac, b, i, (enum addr_kind)kinds[i]);
	}
}

static void balance(struct worker *w, const struct lb_conf *lb, const struct addr_conf *ac,
	struct burst *b, const uint8_t *kinds, unsigned verdicts)
{
	for (unsigned i = 0; unlikely(verdicts & SET(PKT_ICMP_ERROR)) && i < b->n; i++) {
		const enum addr_kind kind = (enum addr_kind)kinds[i];

		if (b->p[i].verdict == PKT_ICMP_ERROR
			&& (kind != ADDR_VIP
				|| !serve_icmp_error(w, serve_conf_of(w->snap), lb, b, i)))
			icmperr_input(w, lb, ac, b, i, kind);
	}
	if (verdicts & SET(PKT_LB))
		lb_balance(w, lb, ac, b);
	if (verdicts & SET(PKT_RETURN))
		lb_return(w, lb, ac, b);
	if (verdicts & SET(PKT_REVERT))
		lb_revert(w, lb, ac, b);
}

static void serve(struct worker *w, const struct lb_conf *lb, struct burst *b)
{
	uint8_t at[BURST_MAX];
	const unsigned n = pick(b, PKT_SERVE, at);

	if (n > 0)
		serve_input(w, serve_conf_of(w->snap), lb, b, at, n);
}

static void finish_unsent(struct worker *w, const struct pkt *p, struct rte_mbuf *m)
{
	switch (p->verdict) {
	case PKT_HOLD:
		pkt_note(m)->kind = NOTE_HOLD;
		pkt_note(m)->iface = p->out_iface;
		worker_to_manager(w, m);
		break;
	case PKT_PUNT:
		pkt_note(m)->kind = NOTE_PUNT;
		pkt_note(m)->iface = p->in_iface;
		pkt_note(m)->punt_class = p->punt_class;
		/* the rest of the ring is for neighbours: without them nothing is forwarded */
		if (p->punt_class != PUNT_NEIGH && mailbox_is_crowded(w->mail, w->id, w->n_workers))
			worker_drop_late(w, m, p->in_iface, PKT_DROP_punt_limited);
		else
			worker_to_manager(w, m);
		break;
	case PKT_GONE:
		break;
	default:
		worker_drop(w, m, (enum pkt_drop)p->drop);
	}
}

static inline bool is_sent(const struct pkt *p)
{
	return p->verdict == PKT_TX || p->verdict == PKT_REPLY;
}

/* What goes out of one port, one after the other, is queued at once. */
static void finish(struct worker *w, struct burst *b)
{
	unsigned i = 0;

	while (i < b->n) {
		const unsigned first = i;
		const uint8_t iface = b->p[i].out_iface;

		while (i < b->n && likely(is_sent(&b->p[i]) && b->p[i].out_iface == iface))
			i++;
		if (i > first) {
			worker_tx_bulk(w, iface, &b->m[first], i - first);
			continue;
		}
		finish_unsent(w, &b->p[i], b->m[i]);
		i++;
	}
}

enum from { FROM_PORT, FROM_WORKER, FROM_HOLD, FROM_KERNEL }; /* all but the first have notes */

/* Everything between classify and finish. */
static void decide(
	struct worker *w, struct burst *b, enum from from, uint8_t *kinds, unsigned verdicts)
{
	const struct addr_conf *ac = addr_conf_of(w->snap);
	const struct lb_conf *lb = lb_conf_of(w->snap);

	if (unlikely(from == FROM_KERNEL)) {
		probe_send(w, lb, ac, b);
		return;
	}
	if (w->n_workers > 1 && from != FROM_WORKER)
		steer(w, lb, b, kinds);
	stage_mark(&w->clock, STAGE_classify);
	if (unlikely(verdicts & SET(PKT_FRAG))) {
		verdicts |= place_fragments(w, lb, ac, b, kinds);
		if (w->capture != NULL)
			capture_trace_classified(w->capture, b);
	}
	if (unlikely(verdicts & (SET(PKT_ARP) | SET(PKT_ICMP))))
		answer(w, ac, b, kinds);
	stage_mark(&w->clock, STAGE_answer);
	if (unlikely(verdicts & SET(PKT_SERVE)))
		serve(w, lb, b);
	stage_mark(&w->clock, STAGE_serve);
	balance(w, lb, ac, b, kinds, verdicts);
	stage_mark(&w->clock, STAGE_balance);
}

static void run(struct worker *w, struct burst *b, enum from from)
{
	const struct addr_conf *ac = addr_conf_of(w->snap);
	const struct lb_conf *lb = lb_conf_of(w->snap);
	uint8_t kinds[BURST_MAX];
	unsigned verdicts;

	parse_burst(b, &w->ifaces->of[b->in_iface].mac, b->in_iface);
	if (from != FROM_PORT)
		frag_place_noted(b);
	stage_mark(&w->clock, STAGE_parse);
	if (unlikely(w->capture != NULL))
		capture_trace_begin(w->capture, b);
	verdicts = classify(b, lb, ac, kinds);
	if (unlikely(w->capture != NULL))
		capture_trace_classified(w->capture, b);
	decide(w, b, from, kinds, verdicts);
	if (unlikely(w->capture != NULL)) {
		capture_drops(w->capture, b);
		capture_trace_end(w->capture, b, from == FROM_WORKER);
	}
	finish(w, b);
	stage_mark(&w->clock, STAGE_finish);
}

void pipeline_classify(const struct snapshot *snap, struct burst *b)
{
	uint8_t kinds[BURST_MAX];

	classify(b, lb_conf_of(snap), addr_conf_of(snap), kinds);
}

unsigned pipeline_owner(const struct snapshot *snap, const struct burst *b, unsigned n_workers)
{
	return flow_owner(lb_conf_of(snap), n_workers, b, 0);
}

static void on_burst(struct worker *w, struct burst *b, bool is_handover)
{
	struct burst *late;

	run(w, b, is_handover ? FROM_WORKER : FROM_PORT);
	while (unlikely((late = frag_release(w)) != NULL))
		run(w, late, FROM_HOLD);
}

static void on_probe(struct worker *w, struct burst *b)
{
	run(w, b, FROM_KERNEL);
}

static void on_tick(struct worker *w)
{
	lb_expire(w, lb_conf_of(w->snap));
	frag_expire(w);
	serve_tick(w, serve_conf_of(w->snap), lb_conf_of(w->snap));
}

static void on_unfinished(struct worker *w)
{
	serve_go_on(w, serve_conf_of(w->snap), lb_conf_of(w->snap));
}

const struct worker_ops pipeline_ops = {.on_burst = on_burst,
	.on_probe = on_probe,
	.on_tick = on_tick,
	.on_unfinished = on_unfinished};
