/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * txn — the two-phase change: BEGIN copies the running model, PUT and DEL edit the copy, PREPARE builds the
 * next snapshot beside the packet path, COMMIT publishes it. Whatever goes wrong before COMMIT drops
 * the copy; the running generation never notices.
 */
#include "api/server_pvt.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

LOG_TYPE(api_txn)

void txn_abort(struct api_server *s)
{
	apply_discard(&s->txn_next, &s->p.env);
	model_destroy(&s->txn_model);
	s->txn_owner = NULL;
}

static uint64_t running_generation(void)
{
	return snapshot_get()->generation;
}

/* The client holds the transaction and has not prepared it yet (or has, as told). */
static int check_phase(const struct api_server *s, const struct api_client *c, bool is_prepared,
	struct mr_error *err)
{
	if (s->txn_owner != c)
		return server_refuse(
			err, -EPROTO, MR_ERR_TXN, "", "no transaction: send BEGIN first");
	if ((s->txn_next != NULL) != is_prepared)
		return server_refuse(err, -EPROTO, MR_ERR_TXN, "",
			is_prepared ? "nothing is prepared: send PREPARE first"
				    : "already prepared: only COMMIT or ABORT may follow");
	return 0;
}

int txn_on_begin(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	const uint64_t running = running_generation();
	struct mr_begin begin;
	int rc;

	rc = server_decode(f, &mr_begin_msg, &begin, err);
	if (rc != 0)
		return rc;
	if (s->txn_owner != NULL)
		return server_refuse(err, -EBUSY, MR_ERR_BUSY, s->txn_owner->name,
			"client '%s' has a transaction open: retry when it has ended",
			s->txn_owner->name);
	if (begin.base_generation != running)
		return server_refuse(err, -ESTALE, MR_ERR_CONFLICT, "generation",
			"base generation %" PRIu64 " is not the running %" PRIu64
			": read the running model again",
			begin.base_generation, running);
	if (model_copy(&s->txn_model, s->model) != 0)
		return server_refuse(
			err, -ENOMEM, MR_ERR_MEMORY, "", "no memory to copy the model");
	s->txn_owner = c;
	return 0;
}

int txn_on_put(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	const struct mr_field *bad;
	struct mr_object o;
	int rc;

	rc = check_phase(s, c, false, err);
	if (rc != 0)
		return rc;
	if (mr_object_decode(&o, f->body, f->body_len, &bad) != 0)
		return server_refuse(err, -EBADMSG, MR_ERR_PROTO, bad ? bad->name : "",
			bad ? "object type %u: field '%s' is missing, repeated or has the wrong size"
			    : "object type %u is unknown or its fields are malformed%s",
			o.type, bad ? bad->name : "");
	rc = apply_check_object(&o, err);
	if (rc != 0)
		return rc;
	if (model_put(s->txn_model, &o) != 0)
		return server_refuse(err, -ENOMEM, MR_ERR_MEMORY, "", "no memory for the object");
	return 0;
}

int txn_on_del(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	struct mr_object_key key;
	int rc;

	rc = check_phase(s, c, false, err);
	if (rc == 0)
		rc = server_decode(f, &mr_object_key_msg, &key, err);
	if (rc != 0)
		return rc;
	if (model_del(s->txn_model, key.key) != 0)
		return server_refuse(err, -ENOENT, MR_ERR_NOT_FOUND, key.key,
			"no such object in the model: nothing deleted");
	return 0;
}

int txn_on_prepare(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	const struct snapshot *running = snapshot_get();
	struct mr_prepare prepare;
	uint8_t digest[16];
	int rc;

	rc = check_phase(s, c, false, err);
	if (rc == 0)
		rc = server_decode(f, &mr_prepare_msg, &prepare, err);
	if (rc != 0)
		return rc;
	if (prepare.generation <= running->generation)
		rc = server_refuse(err, -ESTALE, MR_ERR_CONFLICT, "generation",
			"generation %" PRIu64 " is not above the running %" PRIu64,
			prepare.generation, running->generation);
	mr_digest_bytes(model_digest(s->txn_model), digest);
	if (rc == 0 && memcmp(digest, prepare.digest, sizeof(digest)) != 0)
		rc = server_refuse(err, -EBADMSG, MR_ERR_DIGEST, "digest",
			"the edited model (%u objects) is not the one the client means: DUMP and start again",
			model_size(s->txn_model));
	if (rc == 0)
		rc = apply_build(&s->txn_next, &s->p.env, s->txn_model, prepare.generation, running,
			s->p.now_ms(), err);
	if (rc != 0)
		txn_abort(s);
	return rc;
}

int txn_on_commit(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	struct mr_commit commit;
	struct snapshot *next;
	int rc;

	rc = check_phase(s, c, true, err);
	if (rc == 0)
		rc = server_decode(f, &mr_commit_msg, &commit, err);
	if (rc != 0)
		return rc;
	next = s->txn_next;
	if (commit.generation != next->generation)
		return server_refuse(err, -EINVAL, MR_ERR_CONFLICT, "generation",
			"prepared is generation %" PRIu64 ", not %" PRIu64, next->generation,
			commit.generation);
	s->txn_next = NULL;
	model_destroy(&s->model);
	s->model = s->txn_model;
	s->txn_model = NULL;
	s->txn_owner = NULL;
	s->publish_us = apply_publish(&s->p.env, next);
	s->n_published++;
	LOG_INFO("generation %" PRIu64 ": published by '%s', %u objects, in force after %u us",
		commit.generation, c->name, model_size(s->model), s->publish_us);
	return 0;
}

int txn_on_abort(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	(void)f;
	(void)err;
	if (s->txn_owner == c)
		txn_abort(s);
	return 0;
}

int txn_on_dump(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	(void)err;
	for (unsigned i = 0; i < model_size(s->model); i++)
		server_reply_object(c, f, model_at(s->model, i));
	return 0;
}
