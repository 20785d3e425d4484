/* SPDX-License-Identifier: BSD-3-Clause */
/* rowjson — see rowjson.h. */
#include "daemon/rowjson.h"

#include "millrace/api_stats.h"

#include <stdlib.h>
#include <time.h>

json_t *rowjson_ip(const struct mr_ip *ip)
{
	char text[INET6_ADDRSTRLEN];

	return mr_ip_len(ip) == 0 ? json_null() : json_string(mr_ip_text(ip, text, sizeof(text)));
}

json_t *rowjson_text(const char *text)
{
	json_t *v = text[0] == '\0' ? json_null() : json_string(text);
	char *copy = v == NULL ? strdup(text) : NULL;

	if (copy == NULL)
		return v;
	for (char *p = copy; *p != '\0'; p++) {
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	}
	v = json_string(copy);
	free(copy);
	return v;
}

json_t *rowjson_time(int64_t time_ms)
{
	const time_t seconds = (time_t)(time_ms / 1000);
	char date[32], text[48];
	struct tm tm;

	if (time_ms == 0)
		return json_null();
	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof(text), "%s.%03dZ", date, (int)(time_ms % 1000));
	return json_string(text);
}

static json_t *mac_of(const uint8_t *mac)
{
	static const uint8_t none[6];
	char text[18];

	if (memcmp(mac, none, sizeof(none)) == 0)
		return json_null();
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		mac[3], mac[4], mac[5]);
	return json_string(text);
}

static json_t *hex_of(const struct mr_data *d)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * MR_DATA_MAX + 1];

	for (unsigned i = 0; i < d->n; i++) {
		text[2 * i] = digits[d->bytes[i] >> 4];
		text[2 * i + 1] = digits[d->bytes[i] & 15];
	}
	return json_stringn(text, 2u * d->n);
}

/* Integers that are enumerations or truth values, by the name the contract gives them. */
static json_t *number_of(const struct mr_msg *msg, const char *name, uint64_t v)
{
	if (strcmp(name, "proto") == 0)
		return json_string(mr_proto_name((unsigned)v));
	if (strcmp(name, "state") == 0 && strcmp(msg->name, mr_conn_row_msg.name) == 0)
		return json_string(mr_conn_state_name((unsigned)v));
	if (strcmp(name, "state") == 0)
		return json_string(mr_neigh_state_name((unsigned)v));
	if (strcmp(name, "eviction") == 0)
		return json_string(mr_eviction_name((unsigned)v));
	if (strcmp(name, "point") == 0)
		return json_string(mr_point_name((unsigned)v));
	if (strcmp(name, "link_up") == 0 || strcmp(name, "is_drop") == 0)
		return json_boolean(v != 0);
	return json_integer((json_int_t)v);
}

static json_t *field_of(const struct mr_msg *msg, const struct mr_field *f, const uint8_t *p)
{
	switch (f->kind) {
	case MR_U8:
		return number_of(msg, f->name, *p);
	case MR_U16:
		return number_of(msg, f->name, *(const uint16_t *)(const void *)p);
	case MR_U32:
		return number_of(msg, f->name, *(const uint32_t *)(const void *)p);
	case MR_U64:
		return number_of(msg, f->name, *(const uint64_t *)(const void *)p);
	case MR_IP:
		return rowjson_ip((const struct mr_ip *)(const void *)p);
	case MR_MAC:
		return mac_of(p);
	case MR_DATA:
		return hex_of((const struct mr_data *)(const void *)p);
	case MR_BLOB16: /* has no end that a text has */
		return json_null();
	default: /* MR_NAME, MR_TEXT */
		return rowjson_text((const char *)p);
	}
}

json_t *rowjson_build(const struct mr_msg *msg, const void *row)
{
	json_t *o = json_object();

	for (unsigned i = 0; o != NULL && i < msg->n_fields; i++) {
		const struct mr_field *f = &msg->fields[i];

		json_object_set_new(o, f->name, field_of(msg, f, (const uint8_t *)row + f->offset));
	}
	return o;
}
