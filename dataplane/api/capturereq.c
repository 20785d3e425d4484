/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capturereq — captures: START gives each worker a ring, READ takes what is in them in order of time, STOP takes the
 * rings away. One capture at a time, known by a random number and not by its client, as the control plane asks for
 * many over one connection. It is for who may change things: packets are not everybody's to read.
 */
#include "api/server_pvt.h"
#include "base/log.h"
#include "core/capture.h"

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
	int rc;

	memset(p, 0, sizeof(*p));
	p->points = ask->points;
	p->snaplen = ask->snaplen != 0 ? ask->snaplen : MR_CAPTURE_SNAPLEN;
	if (p->points == 0 || p->points & ~all)
		return server_refuse(err, -EINVAL, MR_ERR_INVALID, "points",
			"%u is no sum of 2 (rx), 4 (tx) and 8 (drop)", p->points);
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

static void plug(struct api_server *s)
{
	struct capturereq *q = s->capture;

	/* 63 bits, as it travels on as a JSON integer */
	while (q->id == 0 && getrandom(&q->id, sizeof(q->id), 0) == (ssize_t)sizeof(q->id))
		q->id &= INT64_MAX;
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
	plug(s);
	LOG_NOTICE("client '%s', uid %u: begins to capture packets", c->name, (unsigned)c->uid);
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

static void fill_row(const struct api_server *s, const struct capture_slot *slot, unsigned worker,
	struct mr_packet_row *row)
{
#define CAPTUREREQ_DROP(sym, help) #sym,
	static const char *const drops[] = {MR_DROPS(CAPTUREREQ_DROP)};
	const struct capturereq *q = s->capture;
	const double ns = (double)(int64_t)(slot->tsc - q->tsc) * 1e9 / (double)rte_get_tsc_hz();

	memset(row, 0, sizeof(*row));
	row->time_ns = q->time_ns + (uint64_t)(int64_t)ns;
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

int capturereq_on_read(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	const int rc = find_capture(s, f, err);
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
