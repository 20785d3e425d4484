/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * gensay — what millrace-bench says on stderr while it works: errors, each with its remedy, and the progress line. Main thread.
 */

/* "millrace-bench: error: ..." */
__attribute__((format(printf, 1, 2))) void gensay_error(const char *format, ...);
__attribute__((format(printf, 1, 2))) void gensay_note(const char *format, ...);

/* A count with thousands told apart, in a buffer of its own of the last eight. */
const char *gensay_count(double n);

/* "7.31 M", "250.0 k", of a rate; the same. */
const char *gensay_rate(double n);
