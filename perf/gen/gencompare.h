/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * gencompare — `millrace-bench compare A B`: what two documents (gendoc.h) have both, beside each other: medians, ratio, difference with its
 * interval, and whether a rank test (genrank.h) calls it one. Main thread.
 */
enum { GENCOMPARE_DONE = 0, GENCOMPARE_FAILED = 1, GENCOMPARE_USAGE = 2 };

/* argv[0] is the command's name. The exit status; DONE whether or not there is a difference. */
int gencompare_run(int argc, char *const *argv);
