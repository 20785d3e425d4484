/* SPDX-License-Identifier: BSD-3-Clause */
/* iface — see iface.h. */
#include "core/iface.h"

int iface_find(const struct iface_set *s, const char *name)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (strcmp(s->of[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}
