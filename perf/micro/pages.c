/* SPDX-License-Identifier: BSD-3-Clause */
/* pages — see pages.h. */
#include "pages.h"

#include <rte_memory.h>

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_memfd_allowed;

/* This takes the place of the C library's for libdpdk, too. */
int memfd_create(const char *name, unsigned flags)
{
	if (is_memfd_allowed)
		return (int)syscall(SYS_memfd_create, name, flags);
	errno = ENOSYS;
	return -1;
}

void pages_allow_memfd(void)
{
	is_memfd_allowed = true;
}

static int advise(const struct rte_memseg_list *list, void *arg)
{
	(void)arg;
	return madvise(list->base_va, list->len, MADV_HUGEPAGE) == 0 ? 0 : -1;
}

bool pages_advise(void)
{
	return rte_memseg_list_walk(advise, NULL) == 0;
}
