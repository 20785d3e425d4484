/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * immintrin — found before the compiler's header of this name, without what AVX and later need where they are not compiled for.
 * DPDK includes it for the types of vectors: of its thousands of functions none is then used, and reading them took half the
 * time of most of our files.
 */
#ifdef __AVX__
#include_next <immintrin.h>
#else
#include <nmmintrin.h>
#endif
