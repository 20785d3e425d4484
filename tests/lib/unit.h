/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * unit — cmocka and what it wants included before it, in the order the formatter would not leave.
 */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
/* clang-format on */
