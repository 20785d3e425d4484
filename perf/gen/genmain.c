/* SPDX-License-Identifier: BSD-3-Clause */
/* genmain — millrace-bench, the traffic generator: reads argv, runs, ends; or compares what was measured. perf/README.md is its manual. */
#include "genbench.h"
#include "gencompare.h"
#include "gensay.h"

#include <string.h>

int main(int argc, char **argv)
{
	static struct genopt o;
	char err[512];

	if (argc > 1 && strcmp(argv[1], "compare") == 0)
		return gencompare_run(argc - 1, argv + 1);
	switch (genopt_parse(&o, argc, argv, err, sizeof(err))) {
	case 0:
		return genbench_run(&o, argc, argv);
	case GENOPT_DONE:
		return GENBENCH_DONE;
	default:
		gensay_error("%s", err);
		return GENBENCH_USAGE;
	}
}
