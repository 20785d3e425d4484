/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capturereq — captures: START gives each worker a ring, READ takes what is in them in order of time, STOP takes the
 * rings away. One capture at a time, known by a random number and not by its client, as the control plane asks for
 * many over one connection. A trace is a capture of records instead of bytes; TRACE_READ reads it. It is for who may change things: packets are not everybody's to read.
 */
#include "api/server_pvt.h"
#include "base/log.h"
#include "core/capture.h"
#include "lb/lbconf.h"
#include "lb/vip.h"

#include <rte_cycles.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

LOG_TYPE(capture)

#define RING_BYTES (4u << 20) /* of one worker, about */

struct capturereq {
	unsigned n;
	uint64_t id; /* 0: there is none */
	bool is_trace;
	uint32_t read_ms;
	uint64_t tsc, time_ns; /* of one moment */
	struct capture *of[WORKER_MAX];
};

int capturereq_create(struct capturereq **out, unsigned n_workers)
{
	struct capturereq *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return -ENOMEM;
	q->n = n_workers;
	*out = q;
	return 0;
}

static void release(struct capturereq *q)
{
	for (unsigned i = 0; i < q->n; i++)
		capture_destroy(&q->of[i]);
	q->id = 0;
}

/* Takes the rings from the workers; what is in them can still be counted. */
static void unplug(struct api_server *s)
{
	for (unsigned i = 0; i < s->capture->n; i++)
		worker_set_capture(s->p.workers[i], NULL);
	snapshot_synchronize();
}

void capturereq_destroy(struct api_server *s)
{
	if (s->capture == NULL)
		return;
	if (s->capture->id != 0)
		unplug(s);
	release(s->capture);
	free(s->capture);
	s->capture = NULL;
}

/* ---- START ---- */

static int read_filter(struct capture_params *p, const struct mr_capture *ask, struct mr_error *err)
{
	unsigned at;

	if (pktfilter_load(&p->filter, ask->filter.bytes, ask->filter.n, &at) == 0)
		return 0;
	return server_refuse(err, -EINVAL, MR_ERR_INVALID, "filter",
		"instruction %u of the filter is none that can be run, or it does not end", at);
}

static int read_port(const struct api_server *s, struct capture_params *p,
	const struct mr_capture *ask, struct mr_error *err)
{
	const int iface = iface_find(s->p.workers[0]->ifaces, ask->port);

	p->ifaces = UINT32_MAX;
	if (ask->port[0] == '\0')
		return 0;
	if (iface < 0)
		return server_refuse(
			err, -ENOENT, MR_ERR_NOT_FOUND, "port", "there is no port '%s'", ask->port);
	p->ifaces = 1u << iface;
	return 0;
}

static int read_params(const struct api_server *s, struct capture_params *p,
	const struct mr_capture *ask, struct mr_error *err)
{
	const uint8_t all = 1 << MR_POINT_RX | 1 << MR_POINT_TX | 1 << MR_POINT_DROP;
	const bool is_trace = ask->points == 1 << MR_POINT_TRACE;
	int rc;

	memset(p, 0, sizeof(*p));
	p->points = ask->points;
	p->snaplen = ask->snaplen != 0 ? ask->snaplen : MR_CAPTURE_SNAPLEN;
	if (is_trace)
		p->snaplen = sizeof(struct capture_trace);
	else if (p->points == 0 || p->points & ~all)
		return server_refuse(err, -EINVAL, MR_ERR_INVALID, "points",
			"%u is no sum of 2 (rx), 4 (tx) and 8 (drop), nor 16 (trace)", p->points);
	if (p->snaplen > MR_DATA_MAX)
		return server_refuse(err, -EINVAL, MR_ERR_INVALID, "snaplen",
			"%u bytes of a packet are more than %u", p->snaplen, MR_DATA_MAX);
	p->n_slots = rte_align32prevpow2(
		RING_BYTES / (uint32_t)(sizeof(struct capture_slot) + p->snaplen));
	rc = read_port(s, p, ask, err);
	return rc != 0 ? rc : read_filter(p, ask, err);
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void plug(struct api_server *s, bool is_trace)
{
	struct capturereq *q = s->capture;

	/* 63 bits, as it travels on as a JSON integer */
	while (q->id == 0 && getrandom(&q->id, sizeof(q->id), 0) == (ssize_t)sizeof(q->id))
		q->id &= INT64_MAX;
	q->is_trace = is_trace;
	q->read_ms = s->p.now_ms();
	q->tsc = rte_rdtsc();
	q->time_ns = now_ns(CLOCK_REALTIME);
	for (unsigned i = 0; i < q->n; i++)
		worker_set_capture(s->p.workers[i], q->of[i]);
}

int capturereq_on_start(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	struct capturereq *q = s->capture;
	struct mr_capture_key key;
	struct capture_params p;
	struct mr_capture ask;
	int rc = server_decode(f, &mr_capture_msg, &ask, err);

	if (rc == 0)
		rc = read_params(s, &p, &ask, err);
	if (rc != 0)
		return rc;
	if (q->id != 0)
		return server_refuse(err, -EBUSY, MR_ERR_BUSY, "capture",
			"another capture is under way; one that nobody reads ends after %d s",
			API_PATIENCE_MS / 1000);
	for (unsigned i = 0; rc == 0 && i < q->n; i++)
		rc = capture_create(&q->of[i], &p);
	if (rc != 0) {
		release(q);
		return server_refuse(err, rc, MR_ERR_MEMORY, "capture", "no memory for the rings");
	}
	plug(s, ask.points == 1 << MR_POINT_TRACE);
	LOG_NOTICE("client '%s', uid %u: begins to %s packets", c->name, (unsigned)c->uid,
		s->capture->is_trace ? "trace" : "capture");
	key.id = q->id;
	server_row(c, f, &mr_capture_key_msg, &key);
	return 0;
}

/* ---- READ ---- */

/* The oldest packet of all workers. */
static const struct capture_slot *find_oldest(const struct capturereq *q, unsigned *worker)
{
	const struct capture_slot *oldest = NULL;

	for (unsigned i = 0; i < q->n; i++) {
		const struct capture_slot *slot = capture_peek(q->of[i]);

		if (slot == NULL || (oldest != NULL && slot->tsc >= oldest->tsc))
			continue;
		oldest = slot;
		*worker = i;
	}
	return oldest;
}

#define CAPTUREREQ_DROP(sym, help) #sym,
static const char *const drops[] = {MR_DROPS(CAPTUREREQ_DROP)};

static uint64_t time_of(const struct capturereq *q, const struct capture_slot *slot)
{
	const double ns = (double)(int64_t)(slot->tsc - q->tsc) * 1e9 / (double)rte_get_tsc_hz();

	return q->time_ns + (uint64_t)(int64_t)ns;
}

static void fill_row(const struct api_server *s, const struct capture_slot *slot, unsigned worker,
	struct mr_packet_row *row)
{
	memset(row, 0, sizeof(*row));
	row->time_ns = time_of(s->capture, slot);
	row->point = slot->at.point;
	row->worker = (uint16_t)worker;
	row->len_bytes = slot->len;
	snprintf(row->port, sizeof(row->port), "%s",
		s->p.workers[0]->ifaces->of[slot->at.iface].name);
	if (slot->at.point == MR_POINT_DROP)
		snprintf(row->drop, sizeof(row->drop), "%s", drops[slot->at.drop]);
	row->data.n = slot->n;
	memcpy(row->data.bytes, slot->bytes, slot->n);
}

static void put_name(char name[MR_NAME_MAX], const char *known)
{
	snprintf(name, MR_NAME_MAX, "%s", known != NULL ? known : "");
}

static void put_flow(
	const struct api_server *s, const struct capture_trace *t, struct mr_trace_row *row)
{
	const struct lb_registry *r = s->p.env.registry;

	/* other packets have no service_idx */
	if ((t->kind == MR_TRACE_SERVICE || t->kind == MR_TRACE_RETURN
		    || t->kind == MR_TRACE_DNAT_RETURN)
		&& t->service_idx != VIP_NONE)
		put_name(row->service, lb_registry_service_name(r, t->service_idx));
	row->flow = t->flow;
	if (t->mode == 0)
		return;
	put_name(row->backend, lb_registry_backend_name(r, t->backend_idx));
	row->mode = t->mode;
}

static void put_packet(const struct pkt *p, struct mr_trace_row *row)
{
	row->ether_type = rte_be_to_cpu_16(p->ether_type);
	if (p->family == 0)
		return;
	row->src.family = row->dst.family = p->family;
	memcpy(row->src.bytes, p->src, sizeof(p->src));
	memcpy(row->dst.bytes, p->dst, sizeof(p->dst));
	row->sport = rte_be_to_cpu_16(p->sport);
	row->dport = rte_be_to_cpu_16(p->dport);
	row->ip_proto = p->proto;
}

static void fill_trace(const struct api_server *s, const struct capture_slot *slot, unsigned worker,
	struct mr_trace_row *row)
{
	const struct iface_set *ifaces = s->p.workers[0]->ifaces;
	struct capture_trace t;

	memcpy(&t, slot->bytes, sizeof(t));
	memset(row, 0, sizeof(*row));
	row->time_ns = time_of(s->capture, slot);
	row->worker = (uint16_t)worker;
	row->len_bytes = slot->len;
	put_name(row->port, ifaces->of[slot->at.iface].name);
	put_packet(&t.p, row);
	row->is_handed_over = t.is_handed_over;
	row->kind = t.kind;
	put_flow(s, &t, row);
	row->verdict = t.verdict;
	if (t.verdict == MR_VERDICT_DROPPED)
		put_name(row->drop, drops[slot->at.drop]);
	else if (t.verdict != MR_VERDICT_KERNEL && t.verdict != MR_VERDICT_SERVED)
		put_name(row->out_port, ifaces->of[t.out_iface].name);
}

static int find_capture(struct api_server *s, const struct mr_frame *f, struct mr_error *err)
{
	struct mr_capture_key key;
	const int rc = server_decode(f, &mr_capture_key_msg, &key, err);

	if (rc != 0)
		return rc;
	if (key.id == 0 || key.id != s->capture->id)
		return server_refuse(err, -ENOENT, MR_ERR_NOT_FOUND, "capture",
			"there is no such capture: it has ended");
	s->capture->read_ms = s->p.now_ms();
	return 0;
}

/* What is in places of the one kind makes no row of the other. */
static int find_readable(
	struct api_server *s, const struct mr_frame *f, bool is_trace, struct mr_error *err)
{
	const int rc = find_capture(s, f, err);

	if (rc != 0 || s->capture->is_trace == is_trace)
		return rc;
	return server_refuse(err, -EINVAL, MR_ERR_INVALID, "capture",
		is_trace ? "it is a capture, not a trace" : "it is a trace, not a capture");
}

int capturereq_on_trace_read(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	const int rc = find_readable(s, f, true, err);
	const struct capture_slot *slot;
	unsigned worker = 0;

	for (unsigned n = 0; rc == 0 && n < MR_CAPTURE_ROWS_MAX; n++) {
		struct mr_trace_row row;

		slot = find_oldest(s->capture, &worker);
		if (slot == NULL)
			break;
		fill_trace(s, slot, worker, &row);
		server_row(c, f, &mr_trace_row_msg, &row);
		capture_pop(s->capture->of[worker]);
	}
	return rc;
}

int capturereq_on_read(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	const int rc = find_readable(s, f, false, err);
	const struct capture_slot *slot;
	unsigned worker = 0;

	if (rc != 0)
		return rc;
	for (unsigned n = 0; n < MR_CAPTURE_ROWS_MAX; n++) {
		struct mr_packet_row row;

		slot = find_oldest(s->capture, &worker);
		if (slot == NULL)
			break;
		fill_row(s, slot, worker, &row);
		server_row(c, f, &mr_packet_row_msg, &row);
		capture_pop(s->capture->of[worker]);
	}
	return 0;
}

/* ---- STOP ---- */

static struct mr_capture_end end(struct api_server *s)
{
	struct capturereq *q = s->capture;
	struct mr_capture_end sum = {0};

	unplug(s);
	for (unsigned i = 0; i < q->n; i++) {
		sum.captured += capture_captured(q->of[i]);
		sum.missed += capture_missed(q->of[i]);
	}
	release(q);
	LOG_NOTICE(
		"capture ended: %" PRIu64 " packets, %" PRIu64 " missed", sum.captured, sum.missed);
	return sum;
}

int capturereq_on_stop(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	const int rc = find_capture(s, f, err);
	struct mr_capture_end sum;

	if (rc != 0)
		return rc;
	sum = end(s);
	server_row(c, f, &mr_capture_end_msg, &sum);
	return 0;
}

void capturereq_poll(struct api_server *s)
{
	if (s->capture->id != 0 && s->p.now_ms() - s->capture->read_ms >= API_PATIENCE_MS)
		end(s);
}
