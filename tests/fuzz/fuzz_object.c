/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_object — what comes in frames: messages, objects, and the model made of them. The first byte says
 * what the rest is: below N_MESSAGES the body of that message; MODE_OBJECT an object; MODE_FRAMES frames;
 * MODE_MODEL changes of a model, each
 *
 *     op:1 length:1 body…       op even: put the object, odd: delete the key
 *
 * What can be decoded must encode to bytes that decode to the same; a model's digest must be the sum of
 * its objects whatever way led there.
 */
#include "api/apply.h"
#include "api/model.h"
#include "fuzz.h"
#include "millrace/api_cache.h"
#include "millrace/api_stats.h"

#define FUZZ_REQUEST_MSGS(sym, number, name, req, row, role) &req##_msg, &row##_msg,
#define FUZZ_OBJECT_MSGS(sym, value, name, type, member) &type##_msg,

/* MR_REQUESTS names objects like messages; they have a mode of their own. */
static const struct mr_msg mr_object_msg = {"mr_object", NULL, 0, 0};
static const struct mr_msg *const messages[] = {
	&mr_error_msg, MR_REQUESTS(FUZZ_REQUEST_MSGS) MR_OBJS(FUZZ_OBJECT_MSGS)};

#define N_MESSAGES (sizeof(messages) / sizeof(messages[0]))
enum { MODE_MODEL = 253, MODE_FRAMES = 254, MODE_OBJECT = 255 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_init();
	return 0;
}

union any { /* as large and as aligned as the largest message */
	struct mr_object object;
	struct mr_port_row port;
	struct mr_conn_row conn;
	struct mr_error error;
	struct mr_status status;
	uint8_t bytes[4096];
};

static void check_message(const struct mr_msg *msg, const uint8_t *body, size_t n)
{
	static union any a, b;
	const struct mr_field *bad;
	uint8_t buf[8192], *exact;
	struct mr_writer w;

	if (msg == &mr_object_msg)
		return;
	FUZZ_CHECK(msg->size <= sizeof(a), "%s has %u bytes", msg->name, msg->size);
	memset(&a, 0xff, sizeof(a));
	memset(&b, 0xee, sizeof(b));
	if (mr_msg_decode(msg, &a, body, (uint32_t)n, &bad) != 0) {
		FUZZ_CHECK(bad == NULL || (bad >= msg->fields && bad < msg->fields + msg->n_fields),
			"%s: the field at fault is none of it", msg->name);
		return;
	}
	mr_writer_init(&w, buf, sizeof(buf));
	mr_msg_encode(&w, msg, &a);
	FUZZ_CHECK(!w.overflow, "%s does not fit in %zu bytes", msg->name, sizeof(buf));
	exact = fuzz_exact(buf, w.len);
	FUZZ_CHECK(mr_msg_decode(msg, &b, exact, w.len, &bad) == 0, "%s: encoded, not decoded: %s",
		msg->name, bad ? bad->name : "structure");
	FUZZ_CHECK(memcmp(&a, &b, msg->size) == 0, "%s: decoded to another", msg->name);
	free(exact);
}

static bool decode_object(struct mr_object *o, const uint8_t *body, size_t n)
{
	uint8_t *exact = fuzz_exact(body, n);
	const struct mr_field *bad;
	const bool is_good = mr_object_decode(o, exact, (uint32_t)n, &bad) == 0;

	FUZZ_CHECK(!is_good || mr_obj_msg(o->type) != NULL, "object type %u", o->type);
	free(exact);
	return is_good;
}

static void check_object(const uint8_t *body, size_t n)
{
	struct mr_object a, b;
	struct mr_digest digest = {0, 0};
	char key[MR_TEXT_MAX];
	uint8_t buf[8192];
	struct mr_writer w;
	struct mr_error err;

	if (!decode_object(&a, body, n))
		return;
	mr_writer_init(&w, buf, sizeof(buf));
	mr_object_encode(&w, &a);
	FUZZ_CHECK(!w.overflow, "the object does not fit in %zu bytes", sizeof(buf));
	FUZZ_CHECK(decode_object(&b, buf, w.len), "encoded, not decoded");
	FUZZ_CHECK(memcmp(&a, &b, sizeof(a)) == 0, "decoded to another");
	mr_object_key_text(&a, key, sizeof(key));
	FUZZ_CHECK(key[0] != '\0' && strlen(key) < sizeof(key) - 1, "key '%s'", key);
	mr_digest_add(&digest, &a);
	mr_digest_sub(&digest, &b);
	FUZZ_CHECK(digest.lo == 0 && digest.hi == 0, "equal objects of unequal digests");
	memset(&err, 0, sizeof(err));
	if (apply_check_object(&a, &err) != 0)
		FUZZ_CHECK(err.code == MR_ERR_INVALID && err.message[0] != '\0',
			"refused without a reason");
}

static void check_frames(const uint8_t *bytes, size_t n)
{
	size_t at = 0;

	while (at < n) {
		uint8_t *exact = fuzz_exact(bytes + at, n - at);
		struct mr_frame f;
		const int size = mr_frame_parse(&f, exact, (uint32_t)(n - at));

		if (size > 0) {
			FUZZ_CHECK(
				(size_t)size <= n - at, "frame of %d bytes in %zu", size, n - at);
			FUZZ_CHECK(f.body == exact + MR_FRAME_HDR
					&& f.body_len == (uint32_t)size - MR_FRAME_HDR,
				"body of %u bytes in a frame of %d", f.body_len, size);
		}
		free(exact);
		if (size <= 0)
			return;
		at += (size_t)size;
	}
}

static void check_model(const struct model *m)
{
	struct mr_digest sum = {0, 0};
	char key[2][MR_TEXT_MAX];

	for (unsigned i = 0; i < model_size(m); i++) {
		const struct mr_object *o = model_at(m, i);

		mr_digest_add(&sum, o);
		mr_object_key_text(o, key[i & 1], MR_TEXT_MAX);
		if (i > 0 && model_at(m, i - 1)->type == o->type)
			FUZZ_CHECK(strcmp(key[(i - 1) & 1], key[i & 1]) < 0, "'%s' before '%s'",
				key[(i - 1) & 1], key[i & 1]);
		else if (i > 0)
			FUZZ_CHECK(model_at(m, i - 1)->type < o->type, "types out of order");
	}
	FUZZ_CHECK(sum.lo == model_digest(m)->lo && sum.hi == model_digest(m)->hi,
		"the digest is not the sum of %u objects", model_size(m));
}

static void put(struct model *m, const struct mr_object *o)
{
	char key[MR_TEXT_MAX];
	unsigned n;

	FUZZ_CHECK(model_put(m, o) == 0, "no memory");
	n = model_size(m);
	mr_object_key_text(o, key, sizeof(key));
	FUZZ_CHECK(model_del(m, key) == 0, "'%s' is not there after it was put", key);
	FUZZ_CHECK(model_size(m) == n - 1, "one deleted, %u of %u left", model_size(m), n);
	FUZZ_CHECK(model_put(m, o) == 0, "no memory");
}

static void run_model(struct fuzz_input *in)
{
	struct model *m, *copy = NULL;
	struct mr_digest before = {0, 0};

	FUZZ_NEED(model_create(&m) == 0, "no memory");
	while (in->left > 0) {
		const uint8_t op = fuzz_u8(in);
		size_t n = fuzz_u8(in);
		const uint8_t *body = fuzz_take(in, &n);
		char key[MR_TEXT_MAX] = "";
		struct mr_object o;

		if (op % 2 == 0 && decode_object(&o, body, n)) {
			put(m, &o);
		} else if (op % 2 == 1) {
			memcpy(key, body, n);
			model_del(m, key);
		}
		check_model(m);
		if (copy == NULL && (op & 2)) {
			FUZZ_NEED(model_copy(&copy, m) == 0, "no memory");
			before = *model_digest(copy);
		}
	}
	if (copy != NULL) { /* what was changed since did not reach the copy */
		FUZZ_CHECK(
			memcmp(&before, model_digest(copy), sizeof(before)) == 0, "copy changed");
		check_model(copy);
	}
	model_destroy(&copy);
	model_destroy(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	const uint8_t mode = fuzz_u8(&in);
	uint8_t *exact;

	switch (mode) {
	case MODE_OBJECT:
		check_object(in.p, in.left);
		return 0;
	case MODE_FRAMES:
		check_frames(in.p, in.left);
		return 0;
	case MODE_MODEL:
		run_model(&in);
		return 0;
	default:
		if (mode >= N_MESSAGES)
			return 0;
		exact = fuzz_exact(in.p, in.left);
		check_message(messages[mode], exact, in.left);
		free(exact);
		return 0;
	}
}
