/* SPDX-License-Identifier: BSD-3-Clause */
/* lane_flows — packets of known flows through a balancer with ten backends; see lane.h. Every worker has flows of its own. */
#include "lane.h"
#include "world.h"

struct flows {
	struct world_stream out, back;
	bool has_back;
	bool is_back; /* the next burst */
};

/* Room for the flows where services of direct modes still make entries. */
static struct harness *up(const struct lane_options *o, unsigned n_lanes)
{
	if ((uint64_t)o->n_flows * n_lanes > WORLD_FLOWS_MAX) {
		fprintf(stderr, "workers: %u flows of %u workers are more than %u\n", o->n_flows,
			n_lanes, WORLD_FLOWS_MAX);
		return NULL;
	}
	return world_of_workers(n_lanes, o->n_flows * 3 / 2 < 4096 ? 4096 : o->n_flows * 3 / 2);
}

static bool open_flows(struct lane *l, const struct lane_options *o, enum world_mode mode)
{
	struct flows *f = shim_alloc(sizeof(*f));

	l->ctx = f;
	f->has_back = mode == WORLD_FULLNAT;
	world_stream_init(&f->out, 4, mode, o->n_flows, 0x10, l->id);
	if (world_open(l->h, &f->out, f->has_back ? &f->back : NULL))
		return true;
	fprintf(stderr, "workers: a packet did not come through worker %u\n", l->id);
	return false;
}

static bool dsr_up(struct lane *l, const struct lane_options *o)
{
	return open_flows(l, o, WORLD_DSR);
}

static bool ipip_up(struct lane *l, const struct lane_options *o)
{
	return open_flows(l, o, WORLD_IPIP);
}

static bool fullnat_up(struct lane *l, const struct lane_options *o)
{
	return open_flows(l, o, WORLD_FULLNAT);
}

static void emit(struct lane *l, struct rte_mbuf **m)
{
	struct flows *f = l->ctx;
	struct world_stream *s = f->is_back ? &f->back : &f->out;

	for (unsigned i = 0; i < SHIM_BURST; i++)
		world_emit(s, m[i]);
	l->in = s->in;
	l->out = s->out;
	f->is_back = f->has_back && !f->is_back;
}

#define FLOWS(symbol, word, text, lane) \
	const struct laneload symbol = {.name = (word), \
		.about = text, \
		.memory_mb = 256, \
		.lane_mb = 64, \
		.up = up, \
		.lane_up = (lane), \
		.emit = emit}

FLOWS(lane_dsr, "dsr-l2", "direct return", dsr_up);
FLOWS(lane_ipip, "ipip", "IP in IP", ipip_up);
FLOWS(lane_fullnat, "full-nat", "full NAT, a burst there and one back in turn", fullnat_up);
