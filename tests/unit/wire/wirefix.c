/* SPDX-License-Identifier: BSD-3-Clause */
/* wirefix — see wirefix.h. */
#include "wirefix.h"

#include <stdlib.h>

/* PUT and DUMP carry an object: one of the messages of MR_OBJS, which the list names below. */
#define mr_object_msg mr_settings_msg

#define MSG_OF_REQUEST(sym, number, name, req, row, role) &req##_msg, &row##_msg,
#define MSG_OF_OBJ(sym, value, name, type, member) &type##_msg,

const struct mr_msg *const wirefix_msgs[] = {
	&mr_error_msg, MR_OBJS(MSG_OF_OBJ) MR_REQUESTS(MSG_OF_REQUEST)};
const unsigned wirefix_n_msgs = sizeof(wirefix_msgs) / sizeof(wirefix_msgs[0]);

uint64_t wirefix_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void fill_bytes(uint8_t *p, unsigned n, uint64_t *state, uint8_t least)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)(least + wirefix_random(state) % (256u - least));
}

void wirefix_fill(const struct mr_msg *msg, void *object, uint64_t *state)
{
	static const uint8_t families[] = {0, 4, 6};

	memset(object, 0, msg->size);
	for (unsigned i = 0; i < msg->n_fields; i++) {
		const struct mr_field *f = &msg->fields[i];
		uint8_t *p = (uint8_t *)object + f->offset;

		switch (f->kind) {
		case MR_IP: {
			struct mr_ip ip = {.family = families[wirefix_random(state) % 3]};

			fill_bytes(ip.bytes, mr_ip_len(&ip), state, 0);
			memcpy(p, &ip, sizeof(ip));
			break;
		}
		case MR_DATA: {
			struct mr_data *d = (struct mr_data *)(void *)p;

			d->n = (uint16_t)(wirefix_random(state) % (MR_DATA_MAX + 1));
			fill_bytes(d->bytes, d->n, state, 0);
			break;
		}
		case MR_NAME:
		case MR_TEXT: /* any byte but NUL: the wire does not ask for a character set */
			fill_bytes(p, (unsigned)(wirefix_random(state) % f->size), state, 1);
			break;
		default:
			fill_bytes(p, f->size, state, 0);
		}
	}
}

void wirefix_fill_max(const struct mr_msg *msg, void *object)
{
	memset(object, 0, msg->size);
	for (unsigned i = 0; i < msg->n_fields; i++) {
		const struct mr_field *f = &msg->fields[i];
		const bool is_text = f->kind == MR_NAME || f->kind == MR_TEXT;
		uint8_t *p = (uint8_t *)object + f->offset;

		memset(p, 0xff, is_text ? f->size - 1u : f->size);
		if (f->kind == MR_IP)
			p[offsetof(struct mr_ip, family)] = 6;
		if (f->kind == MR_DATA)
			((struct mr_data *)(void *)p)->n = MR_DATA_MAX;
	}
}

uint8_t *wirefix_exact(const void *bytes, uint32_t len)
{
	uint8_t *p = malloc(len);

	if (p == NULL && len > 0)
		abort();
	if (len > 0)
		memcpy(p, bytes, len);
	return p;
}
