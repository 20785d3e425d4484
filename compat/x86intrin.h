/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * x86intrin — GCC's header of this name without what AVX and later need, as immintrin.h here, which says why.
 */
#ifdef __AVX__
#include_next <x86intrin.h>
#else
#include <nmmintrin.h>
#endif
