/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * fleet — a configuration of every mode, family and protocol on a harness, and random valid changes to it. What is
 * configured is in plain structs beside the model, so that a test can say what must become of a flow.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

#define FLEET_SERVICES 20u /* five modes, two families, two protocols */
#define FLEET_GUESTS 8u    /* services that come and go, numbers from FLEET_SERVICES on */
#define FLEET_BACKENDS 8u
#define FLEET_ADDRESSES 3u /* a backend may have */
#define FLEET_HOST 16u     /* last byte of the first backend's first address */

struct fleet_backend {
	bool is_there;
	uint8_t address; /* which of its addresses */
	uint8_t state;   /* enum mr_backend_state */
	uint16_t weight;
};

struct fleet_service {
	bool is_there;
	bool has_acl;
	struct mr_service spec;
	struct fleet_backend backends[FLEET_BACKENDS];
};

struct fleet {
	struct harness *h;
	uint64_t random;
	struct fleet_service of[FLEET_SERVICES + FLEET_GUESTS];
	bool has_snat[2]; /* [0] IPv4, [1] IPv6: the second address */
	bool has_addr;    /* another own address at the servers' side */
	uint8_t gateway;  /* host part of the clients' one */
	uint8_t key;      /* of the fleet's hash key */
	uint64_t n_changes, n_refused;
};

/* Dies with the text when a thing that must be is not. */
#define FLEET_NEED(condition, ...) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, __VA_ARGS__); \
			fprintf(stderr, "\n"); \
			exit(1); \
		} \
	} while (0)

/* 0 … n-1. */
uint32_t fleet_random(struct fleet *f, uint32_t n);

/* All services with some of their backends, the same for every seed; not yet in the model. */
void fleet_init(struct fleet *f, struct harness *h, uint64_t seed);

/* Schedulers that hash, without limits; backends at random. */
void fleet_shuffle_consistent(struct fleet *f);

/* Puts everything into the model, and applies it. */
void fleet_load(struct fleet *f);

/* One random valid change, applied. What the dataplane refuses is tried again with another. */
void fleet_change(struct fleet *f);

/* Changes what differs from *to, one object a generation, in random order. */
void fleet_become(struct fleet *f, const struct fleet *to);

/* The backend's number of the address that ends in this byte, and whether its flows begin again elsewhere. */
bool fleet_is_out(const struct fleet *f, unsigned service, uint8_t host);

/* Whether the backend takes new flows, and whether any of the service does. */
bool fleet_is_open(const struct fleet *f, unsigned service, uint8_t host);
bool fleet_has_open(const struct fleet *f, unsigned service);

/* What becomes of a TCP flow of a backend that is out: enum mr_down. */
uint8_t fleet_on_packet(const struct fleet *f, unsigned service, uint8_t host);

uint16_t fleet_backend_port(const struct fleet_service *s, unsigned service);
