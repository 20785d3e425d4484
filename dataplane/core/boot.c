/* SPDX-License-Identifier: BSD-3-Clause */
/* boot — see boot.h. */
#include "core/boot.h"

#include "base/log.h"

#include <string.h>

LOG_TYPE(boot)

int boot_up(const struct boot_step *steps, unsigned n, void *ctx)
{
	for (unsigned i = 0; i < n; i++) {
		const int rc = steps[i].up(ctx);

		if (rc != 0) {
			LOG_ERR("start-up: step %s failed: %s; the reason is above", steps[i].name,
				strerror(-rc));
			boot_down(steps, i, ctx);
			return rc;
		}
		LOG_DEBUG("start-up: %s is up", steps[i].name);
	}
	return 0;
}

void boot_down(const struct boot_step *steps, unsigned n, void *ctx)
{
	while (n-- > 0) {
		if (steps[n].down != NULL)
			steps[n].down(ctx);
		LOG_DEBUG("shutdown: %s is down", steps[n].name);
	}
}
