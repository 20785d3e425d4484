/* SPDX-License-Identifier: BSD-3-Clause */
/* genonce — see genonce.h. */
#include "genonce.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define PASSES_MAX 20u
#define RATE_MIN 1000.0

int genonce_create(struct genonce *o, uint32_t n, uint32_t share, uint32_t n_shares)
{
	*o = (struct genonce){.n = n,
		.share = share,
		.n_shares = n_shares,
		.list = malloc((n / n_shares + 1) * sizeof(*o->list)),
		.is_done = calloc((n + 63) / 64, sizeof(*o->is_done))};
	if (o->list != NULL && o->is_done != NULL)
		return 0;
	genonce_destroy(o);
	return -ENOMEM;
}

void genonce_destroy(struct genonce *o)
{
	free(o->list);
	free(o->is_done);
	*o = (struct genonce){0};
}

static uint32_t list_missing(struct genonce *o)
{
	uint32_t n = 0;

	for (uint32_t i = o->share; i < o->n; i += o->n_shares)
		if (!(o->is_done[i / 64] & 1ull << i % 64))
			o->list[n++] = i;
	return n;
}

/* What is missing of all threads, and of each. */
static uint32_t list_all(struct genonce *const *o, unsigned n_threads, uint64_t *n_each)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < n_threads; i++) {
		n_each[i] = list_missing(o[i]);
		n += (uint32_t)n_each[i];
	}
	return n;
}

int genonce_run(struct genonce *const *o, struct genrun *r, const struct genonce_params *p,
	uint32_t *n_missing)
{
	const unsigned n_threads = genrun_threads(r);
	uint64_t n_each[GENTEAM_MAX];
	struct genrun_trial t = {
		.rate = p->rate, .is_loose = true, .what = p->what, .n_each = n_each};
	uint32_t before;

	*n_missing = list_all(o, n_threads, n_each);
	for (unsigned pass = 0; *n_missing > 0; pass++) {
		struct genrun_result result;
		int rc;

		before = *n_missing;
		t.n_frames = before;
		for (unsigned i = 0; i < n_threads; i++)
			o[i]->first = genrun_thread(r, i)->next;
		rc = genrun_trial(r, &t, &result);
		genrun_result_fini(&result);
		if (rc != 0 || result.verdict == GENRUN_STOPPED)
			return rc != 0 ? rc : -EINTR;
		*n_missing = list_all(o, n_threads, n_each);
		if (*n_missing == before || (*n_missing > 0 && pass + 1 == PASSES_MAX))
			return -EIO;
		if (*n_missing > before / 10) /* too fast for it */
			t.rate = fmax(t.rate / 2, fmin(RATE_MIN, p->rate));
	}
	return 0;
}
