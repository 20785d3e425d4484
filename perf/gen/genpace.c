/* SPDX-License-Identifier: BSD-3-Clause */
/* genpace — see genpace.h. */
#include "genpace.h"

#include <stdlib.h>
#include <string.h>

/* spread out, so that no two long ones follow each other */
static const struct genpace_sizes imix = {{64, 594, 64, 64, 594, 64, 1518, 64, 594, 64, 64, 594}};

bool genpace_sizes_parse(struct genpace_sizes *s, const char *text)
{
	char *end;
	unsigned long len;

	if (strcmp(text, "imix") == 0) {
		*s = imix;
		return true;
	}
	len = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || len < 64 || len > 1518)
		return false;
	for (unsigned i = 0; i < GENPACE_SIZES; i++)
		s->of[i] = (uint16_t)len;
	return true;
}

double genpace_sizes_mean(const struct genpace_sizes *s)
{
	double sum = 0;

	for (unsigned i = 0; i < GENPACE_SIZES; i++)
		sum += s->of[i];
	return sum / GENPACE_SIZES;
}
