/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * loadbase — what the load generators here have in common: the clock, when requests are due, random numbers, keys and values, options, and
 * how times are printed.
 */
#include "base/histogram.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define LOADBASE_KEY_LEN 16u
#define LOADBASE_DRAWS (1u << 20)

__attribute__((format(printf, 1, 2), noreturn)) void loadbase_die(const char *format, ...);
/* memory, or the end. */
void *loadbase_must(void *memory);

uint64_t loadbase_now_ns(void);

/* Requests at even intervals from `begin_ns` on, until `end_ns`, whoever is late (open loop). */
struct loadbase_pace {
	uint64_t begin_ns, end_ns;
	double step_ns;
	uint64_t n_taken;
	uint64_t n_late; /* of them, more than LOADBASE_LATE_NS after they were due */
};

#define LOADBASE_LATE_NS 1000000u

/* One for `rate` requests a second, for so many seconds from now on. */
struct loadbase_pace loadbase_pace_of(double rate, double seconds);
/* When the next one is due, which takes it once it is; false: not yet, or no more. */
bool loadbase_pace_take(struct loadbase_pace *p, uint64_t now_ns, uint64_t *due_ns);
/* Whether all were taken. */
bool loadbase_pace_is_over(const struct loadbase_pace *p);
/* How many will have been. */
uint64_t loadbase_pace_total(const struct loadbase_pace *p);

void loadbase_seed(uint64_t seed);
uint64_t loadbase_random(void);

/* LOADBASE_DRAWS keys below n_keys as Zipf has them, 0: uniformly. Drawn before, so that drawing is not what limits the rate. */
const uint32_t *loadbase_draw_keys(uint32_t n_keys, double skew);

void loadbase_write_key(char key[LOADBASE_KEY_LEN + 1], uint32_t i);
/* The value of a key is its name, over and over. */
void loadbase_write_value(uint8_t *to, const char *key, unsigned len);

/* An option's value, or the end. */
double loadbase_number(const char *text, double low, double high);

/* An IPv4 or IPv6 address, or the end. Returns its length. */
union loadbase_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};
socklen_t loadbase_address(const char *host, uint16_t port, union loadbase_address *to);

/* Times in ns on standard output: "p50_us": 12.3, and so on as members of a JSON object, or as text. */
void loadbase_print_times(const struct histogram *ns, bool is_json);
