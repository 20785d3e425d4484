/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * method_capture — capture.start, capture.read, trace.read and capture.stop: passed on to the dataplane, which keeps
 * packets, and what became of them, until they are read. The filter comes compiled, from who asked; nothing is written here.
 */
#include "daemon/fetch.h"
#include "daemon/logline.h"
#include "daemon/method.h"
#include "daemon/rowjson.h"

#include <errno.h>
#include <stdlib.h>

static void refuse(struct ctlsrv_request *r, const struct fetch_result *result)
{
	if (result->status == -EREMOTEIO)
		ctlsrv_refuse(
			r, "invalid", NULL, NULL, "the dataplane refuses: %s", result->message);
	else
		method_unreachable(r, result->message);
}

static void answer(struct ctlsrv_request *r, const char *topic, const struct mr_msg *msg,
	const struct fetch_result *result)
{
	const uint8_t *p = result->rows;
	json_t *items;

	if (result->status != 0) {
		refuse(r, result);
		return;
	}
	items = json_array();
	for (size_t i = 0; i < result->n_rows; i++)
		json_array_append_new(items, rowjson_build(msg, p + i * msg->size));
	ctlsrv_answer(r, topic, items, NULL);
}

static void ask(struct ctlsrv_request *r, enum mr_request type, const struct mr_msg *msg,
	const void *request, const struct mr_msg *row_msg, fetch_fn *fn)
{
	if (fetch_rows(loop_fetch(r->loop), type, msg, request, row_msg, fn, r) != 0)
		method_no_memory(r);
}

/* --- capture.start */

static int digit_of(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False: it is no hexadecimal text, or too long. */
static bool read_hex(struct mr_data *out, const char *text)
{
	const size_t n = strlen(text);

	if (n % 2 != 0 || n / 2 > MR_DATA_MAX)
		return false;
	for (size_t i = 0; i < n / 2; i++) {
		const int high = digit_of(text[2 * i]), low = digit_of(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out->bytes[i] = (uint8_t)(high << 4 | low);
	}
	out->n = (uint16_t)(n / 2);
	return true;
}

/* False: refused. */
static bool read_points(struct ctlsrv_request *r, const char *at, uint8_t *points)
{
	const int point = at != NULL ? mr_point_find(at) : 0;

	*points = 1 << MR_POINT_RX | 1 << MR_POINT_TX | 1 << MR_POINT_DROP;
	if (point > 0)
		*points = (uint8_t)(1 << point);
	if (point >= 0)
		return true;
	ctlsrv_refuse(
		r, "usage", "points: rx, tx, drop, trace", NULL, "there is no point '%.64s'", at);
	return false;
}

static void on_started(void *arg, const struct fetch_result *result)
{
	struct ctlsrv_request *r = arg;

	if (result->status == 0)
		logline_write(LOGLINE_NOTICE, "capture", "begun by %s", r->author);
	answer(r, "capture.start", &mr_capture_key_msg, result);
}

void method_capture_start(struct ctlsrv_request *r)
{
	const char *at = NULL, *port = "", *filter = "";
	json_int_t snaplen = MR_CAPTURE_SNAPLEN;
	struct mr_capture request;

	memset(&request, 0, sizeof(request));
	if (!method_unpack(r, "{s?s, s?s, s?s, s?I}", "at", &at, "port", &port, "filter", &filter,
		    "snaplen", &snaplen)
		|| !read_points(r, at, &request.points))
		return;
	if (snaplen < 1 || snaplen > MR_DATA_MAX || strlen(port) >= sizeof(request.port)) {
		ctlsrv_refuse(r, "usage", NULL, NULL,
			"snaplen must be 1..%d, and port the name of a port", MR_DATA_MAX);
		return;
	}
	if (!read_hex(&request.filter, filter)) {
		ctlsrv_refuse(r, "usage", NULL, NULL,
			"filter must be a BPF program of at most %d instructions in hexadecimal",
			MR_DATA_MAX / 8);
		return;
	}
	request.snaplen = (uint16_t)snaplen;
	snprintf(request.port, sizeof(request.port), "%s", port);
	ask(r, MR_REQ_CAPTURE_START, &mr_capture_msg, &request, &mr_capture_key_msg, on_started);
}

/* --- capture.read, capture.stop */

static void on_packets(void *arg, const struct fetch_result *result)
{
	answer(arg, "capture.read", &mr_packet_row_msg, result);
}

static json_t *name_or_null(unsigned v, const char *name)
{
	return v != 0 ? json_string(name) : json_null();
}

static json_t *build_trace(const struct ctlsrv_request *r, const struct mr_trace_row *row)
{
	json_t *item = rowjson_build(&mr_trace_row_msg, row);
	char text[2 * MR_NAME_MAX];

	json_object_set_new(item, "is_handed_over", json_boolean(row->is_handed_over));
	json_object_set_new(item, "kind", json_string(mr_trace_kind_name(row->kind)));
	json_object_set_new(item, "flow", name_or_null(row->flow, mr_trace_flow_name(row->flow)));
	json_object_set_new(item, "mode", name_or_null(row->mode, mr_mode_name(row->mode)));
	json_object_set_new(item, "verdict", json_string(mr_verdict_name(row->verdict)));
	if (row->backend[0] != '\0')
		json_object_set_new(item, "backend",
			json_string(method_conn_backend_text(
				r->loop, row->service, row->backend, text)));
	if (row->src.family == 0) {
		json_object_set_new(item, "sport", json_null());
		json_object_set_new(item, "dport", json_null());
		json_object_set_new(item, "ip_proto", json_null());
	}
	return item;
}

static void on_traced(void *arg, const struct fetch_result *result)
{
	struct ctlsrv_request *r = arg;
	const struct mr_trace_row *rows = (const struct mr_trace_row *)result->rows;
	json_t *items;

	if (result->status != 0) {
		refuse(r, result);
		return;
	}
	items = json_array();
	for (size_t i = 0; i < result->n_rows; i++)
		json_array_append_new(items, build_trace(r, &rows[i]));
	ctlsrv_answer(r, "trace.read", items, NULL);
}

static void on_stopped(void *arg, const struct fetch_result *result)
{
	answer(arg, "capture.stop", &mr_capture_end_msg, result);
}

static void ask_about(
	struct ctlsrv_request *r, enum mr_request type, const struct mr_msg *row_msg, fetch_fn *fn)
{
	struct mr_capture_key key;
	json_int_t id;

	if (!method_unpack(r, "{s:I}", "id", &id))
		return;
	key.id = (uint64_t)id;
	ask(r, type, &mr_capture_key_msg, &key, row_msg, fn);
}

void method_capture_read(struct ctlsrv_request *r)
{
	ask_about(r, MR_REQ_CAPTURE_READ, &mr_packet_row_msg, on_packets);
}

void method_capture_trace_read(struct ctlsrv_request *r)
{
	ask_about(r, MR_REQ_TRACE_READ, &mr_trace_row_msg, on_traced);
}

void method_capture_stop(struct ctlsrv_request *r)
{
	ask_about(r, MR_REQ_CAPTURE_STOP, &mr_capture_end_msg, on_stopped);
}
