/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * loadbase — what the load generators here have in common: the clock, random numbers, keys and values, numbers of options.
 */
#include <stdint.h>

#define LOADBASE_KEY_LEN 16u
#define LOADBASE_DRAWS (1u << 20)

__attribute__((format(printf, 1, 2), noreturn)) void loadbase_die(const char *format, ...);
/* memory, or the end. */
void *loadbase_must(void *memory);

uint64_t loadbase_now_ns(void);

void loadbase_seed(uint64_t seed);
uint64_t loadbase_random(void);

/* LOADBASE_DRAWS keys below n_keys as Zipf has them, 0: uniformly. Drawn before, so that drawing is not what limits the rate. */
const uint32_t *loadbase_draw_keys(uint32_t n_keys, double skew);

void loadbase_write_key(char key[LOADBASE_KEY_LEN + 1], uint32_t i);
/* The value of a key is its name, over and over. */
void loadbase_write_value(uint8_t *to, const char *key, unsigned len);

/* An option's value, or the end. */
double loadbase_number(const char *text, double low, double high);
