/* SPDX-License-Identifier: BSD-3-Clause */
/* rates — see rates.h. */
#include "daemon/rates.h"

#include "daemon/check_kind.h"
#include "daemon/fetch.h"

#include <event2/event.h>

#include <errno.h>
#include <stdlib.h>

struct reading {
	double at; /* check_now() */
	struct mr_service_row *rows;
	size_t n_rows;
};

struct rates {
	struct fetch *fetch;
	struct event *timer;
	struct reading last, before;
	bool is_asking;
};

static void drop(struct reading *r)
{
	free(r->rows);
	memset(r, 0, sizeof(*r));
}

static void on_rows(void *arg, const struct fetch_result *result)
{
	const size_t bytes = result->n_rows * sizeof(struct mr_service_row);
	struct rates *r = arg;

	r->is_asking = false;
	drop(&r->before);
	r->before = r->last;
	memset(&r->last, 0, sizeof(r->last));
	if (result->status != 0)
		return;
	r->last.rows = malloc(bytes + 1);
	if (r->last.rows == NULL)
		return;
	if (bytes > 0)
		memcpy(r->last.rows, result->rows, bytes);
	r->last.n_rows = result->n_rows;
	r->last.at = check_now();
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct rates *r = arg;

	if (!r->is_asking
		&& fetch_rows(r->fetch, MR_REQ_SERVICES, &mr_empty_msg, NULL, &mr_service_row_msg,
			   on_rows, r)
			== 0)
		r->is_asking = true;
}

int rates_create(struct rates **out, struct event_base *base, struct fetch *fetch)
{
	static const struct timeval second = {1, 0};
	struct rates *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	r->fetch = fetch;
	r->timer = event_new(base, -1, EV_PERSIST, on_timer, r);
	if (r->timer == NULL) {
		free(r);
		return -ENOMEM;
	}
	event_add(r->timer, &second);
	*out = r;
	return 0;
}

void rates_destroy(struct rates **rp)
{
	struct rates *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	event_free(r->timer);
	drop(&r->last);
	drop(&r->before);
	free(r);
}

static const struct mr_service_row *find_row(const struct reading *r, const char *service)
{
	for (size_t i = 0; i < r->n_rows; i++) {
		if (strcmp(r->rows[i].name, service) == 0)
			return &r->rows[i];
	}
	return NULL;
}

bool rates_find(const struct rates *r, const char *service, struct rates_values *out)
{
	const struct mr_service_row *a = find_row(&r->before, service);
	const struct mr_service_row *b = find_row(&r->last, service);
	const double seconds = r->last.at - r->before.at;

	/* counters that shrank belong to another run of the dataplane */
	if (a == NULL || b == NULL || seconds <= 0 || b->rx_packets < a->rx_packets)
		return false;
	*out = (struct rates_values){
		.conns = (double)(b->conns_total - a->conns_total) / seconds,
		.rx_packets = (double)(b->rx_packets - a->rx_packets) / seconds,
		.rx_bytes = (double)(b->rx_bytes - a->rx_bytes) / seconds,
		.tx_packets = (double)(b->tx_packets - a->tx_packets) / seconds,
		.tx_bytes = (double)(b->tx_bytes - a->tx_bytes) / seconds,
	};
	return true;
}
