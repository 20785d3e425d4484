/* SPDX-License-Identifier: BSD-3-Clause */
/* genzipf — see genzipf.h. */
#include "genzipf.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>

#define HUGE ((size_t)2 << 20)

/* Cells are filled two at a time: one whose share is below the mean gets the rest of its cell from one above it. */
static void fill(struct genzipf *z, double *shares, uint32_t *order)
{
	uint32_t n_small = 0,
		 large_at =
			 z->n; /* small ones from the front of `order`, large ones from its end */

	for (uint32_t i = 0; i < z->n; i++) {
		if (shares[i] < 1)
			order[n_small++] = i;
		else
			order[--large_at] = i;
	}
	while (n_small > 0 && large_at < z->n) {
		const uint32_t small = order[--n_small], large = order[large_at];

		z->cells[small] = (struct genzipf_cell){
			.limit = (uint32_t)(shares[small] * 0x1p32), .alias = large};
		shares[large] -= 1 - shares[small];
		if (shares[large] < 1) {
			large_at++;
			order[n_small++] = large;
		}
	}
	/* what is left has a share of 1 but for rounding */
	while (n_small > 0)
		z->cells[order[n_small - 1]] =
			(struct genzipf_cell){.limit = UINT32_MAX, .alias = order[n_small - 1]},
					 n_small--;
	for (; large_at < z->n; large_at++)
		z->cells[order[large_at]] =
			(struct genzipf_cell){.limit = UINT32_MAX, .alias = order[large_at]};
}

/* opt: in transparent hugepages where there are any, as a random cell of many is in no TLB else. */
static struct genzipf_cell *alloc_cells(uint32_t n)
{
	const size_t size = n * sizeof(struct genzipf_cell);
	const size_t whole = (size + HUGE - 1) / HUGE * HUGE;
	struct genzipf_cell *cells;

	if (size < HUGE)
		return malloc(size);
	cells = aligned_alloc(HUGE, whole);
	if (cells != NULL)
		madvise(cells, whole, MADV_HUGEPAGE);
	return cells;
}

int genzipf_create(struct genzipf *z, uint32_t n, double skew)
{
	double *shares, sum = 0;
	uint32_t *order;

	*z = (struct genzipf){.n = n};
	if (skew == 0)
		return 0;
	shares = malloc(n * sizeof(*shares));
	order = malloc(n * sizeof(*order));
	z->cells = alloc_cells(n);
	if (shares == NULL || order == NULL || z->cells == NULL) {
		free(shares);
		free(order);
		genzipf_destroy(z);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++)
		sum += shares[i] = pow((double)i + 1, -skew);
	for (uint32_t i = 0; i < n; i++)
		shares[i] *= n / sum;
	fill(z, shares, order);
	free(shares);
	free(order);
	return 0;
}

void genzipf_destroy(struct genzipf *z)
{
	free(z->cells);
	z->cells = NULL;
}
