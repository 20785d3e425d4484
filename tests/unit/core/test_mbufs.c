/* SPDX-License-Identifier: BSD-3-Clause */
/* mbufs: the pool lies in one block without gaps, which net_af_xdp counts on and does not check. */
#include "core/mbufs.h"
#include "eal.h"
#include "unit.h"

#include <rte_mbuf.h>

#define N_MBUFS 8191u

struct span {
	uintptr_t first, end;
	unsigned n;
};

static void see(struct rte_mempool *pool, void *ctx, void *object, unsigned index)
{
	struct span *s = ctx;
	const struct rte_mbuf *m = object;
	const uintptr_t at = (uintptr_t)object;

	s->first = s->n == 0 || at < s->first ? at : s->first;
	s->end = at + pool->elt_size > s->end ? at + pool->elt_size : s->end;
	s->n++;
	/* what a device with an IOMMU is given */
	assert_true(m->buf_iova == (uintptr_t)m->buf_addr);
}

static void test_packed(void **state)
{
	struct opt o = {.n_ports = 1, .n_mbufs = N_MBUFS};
	struct rte_mempool *pool = NULL;
	struct span s = {0};
	size_t object_bytes;

	snprintf(o.ports[0].device, sizeof(o.ports[0].device), "net_af_xdp0,iface=none");
	assert_int_equal(rte_eal_iova_mode(), RTE_IOVA_VA);
	assert_int_equal(mbufs_create(&pool, &o), 0);
	assert_int_equal(pool->nb_mem_chunks, 1);
	rte_mempool_obj_iter(pool, see, &s);
	assert_int_equal(s.n, N_MBUFS);
	object_bytes = rte_mempool_calc_obj_size(pool->elt_size, pool->flags, NULL);
	assert_true(s.end - s.first <= N_MBUFS * object_bytes);
	assert_int_equal(rte_pktmbuf_data_room_size(pool), RTE_PKTMBUF_HEADROOM + 2048);
	assert_int_equal(rte_pktmbuf_priv_size(pool), BURST_MBUF_PRIV);
	mbufs_destroy(&pool);
	assert_null(pool);
	/* its memory is free again */
	assert_int_equal(mbufs_create(&pool, &o), 0);
	mbufs_destroy(&pool);
}

static void test_no_memory(void **state)
{
	struct opt o = {.n_mbufs = 1u << 22};
	struct rte_mempool *pool = NULL;

	assert_true(mbufs_create(&pool, &o) < 0);
	assert_null(pool);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_no_memory),
	};

	if (eal_start(argv[0], 128) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
