/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * confcheck — see confcheck.h. Escapes are ours and not YAML's: a value of the tree has no control
 * characters, so `"\r\n"` in double quotes is refused there and `'\r\n'` gets here as it is written.
 */
#include "lib/confcheck.h"

#include "lib/text.h"

#include <stdlib.h>

static void read_bytes(struct confread *r, const struct yamltree_node *node, const char *key,
	struct conf_bytes *out)
{
	uint8_t bytes[CONFCHECK_BYTES_MAX];
	size_t len = 0, n;
	int byte;

	if (!confread_kind(r, node, key, YAMLTREE_SCALAR))
		return;
	for (const char *s = node->text; *s != '\0'; s += n) {
		n = 1;
		byte = *s == '\\' ? text_unescape(s, &n) : *s;
		if (*s == '\\' && byte < 0) {
			CONFREAD_ERROR(r, node,
				"%s.%s: '%.*s' is no escape; there are \\r \\n \\t \\\\ and \\xNN",
				r->path, key, 1 + (int)text_utf8_len(s + 1, strlen(s + 1), NULL),
				s);
			return;
		}
		if (len == sizeof(bytes)) {
			CONFREAD_ERROR(r, node, "%s.%s must have at most %d bytes", r->path, key,
				CONFCHECK_BYTES_MAX);
			return;
		}
		bytes[len++] = (uint8_t)byte;
	}
	out->data = malloc(len + 1);
	if (out->data == NULL) {
		r->is_out_of_memory = true;
		return;
	}
	memcpy(out->data, bytes, len);
	out->len = len;
}

static void read_command(struct confread *r, struct conf_check *c, const struct yamltree_node *list)
{
	char key[32];

	if (!confread_kind(r, list, "command", YAMLTREE_SEQUENCE))
		return;
	if (list->n_items == 0 || list->n_items > CONFCHECK_WORDS_MAX) {
		CONFREAD_ERROR(r, list, "%s.command must have 1..%d entries, got %u", r->path,
			CONFCHECK_WORDS_MAX, list->n_items);
		return;
	}
	c->command = calloc(list->n_items + 1, sizeof(*c->command));
	r->is_out_of_memory |= c->command == NULL;
	for (uint32_t i = 0; c->command != NULL && i < list->n_items; i++) {
		const struct yamltree_node *word = list->items[i];

		snprintf(key, sizeof(key), "command[%u]", i);
		if (!confread_kind(r, word, key, YAMLTREE_SCALAR))
			return;
		if (i == 0 && word->text[0] != '/')
			CONFREAD_ERROR(r, word,
				"%s.command[0] must be an absolute path, as nothing searches for "
				"it, got '%.64s'",
				r->path, word->text);
		c->command[c->n_command] = strdup(word->text);
		r->is_out_of_memory |= c->command[c->n_command] == NULL;
		c->n_command += c->command[c->n_command] != NULL;
	}
}

void confcheck_read(struct confread *r, struct conf_check *c, const struct confdraft_check *at)
{
	if (c->type == CONF_CHECK_EXEC && at->at[CONFDRAFT_CHECK_COMMAND] != NULL)
		read_command(r, c, at->at[CONFDRAFT_CHECK_COMMAND]);
	else if (c->type == CONF_CHECK_EXEC)
		CONFREAD_ERROR(r, at->key, "'command' is missing in %s", r->path);
	if (c->type != CONF_CHECK_UDP)
		return;
	if (at->at[CONFDRAFT_CHECK_SEND] != NULL)
		read_bytes(r, at->at[CONFDRAFT_CHECK_SEND], "send", &c->send);
	if (at->at[CONFDRAFT_CHECK_EXPECT] != NULL)
		read_bytes(r, at->at[CONFDRAFT_CHECK_EXPECT], "expect", &c->answer);
}

void confcheck_print_bytes(FILE *out, const struct conf_bytes *bytes)
{
	static const char names[] = "rnt\\", values[] = "\r\n\t\\";

	for (size_t i = 0; i < bytes->len; i++) {
		const uint8_t c = bytes->data[i];
		const char *hit = c != 0 ? strchr(values, c) : NULL;

		if (hit != NULL)
			fprintf(out, "\\%c", names[hit - values]);
		else if (c >= 0x20 && c < 0x7f)
			fputc(c, out);
		else
			fprintf(out, "\\x%02x", c);
	}
}

/* A word that could be taken for several, or for none, stands in quotes as YAML has them. */
static void print_word(FILE *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_./:=@%+-";

	if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
		fputs(word, out);
		return;
	}
	fputc('\'', out);
	for (; *word != '\0'; word++) {
		if (*word == '\'')
			fputc('\'', out);
		fputc(*word, out);
	}
	fputc('\'', out);
}

void confcheck_print_command(FILE *out, const struct conf_check *c)
{
	for (size_t i = 0; i < c->n_command; i++) {
		fputs(i > 0 ? ", " : "[", out);
		print_word(out, c->command[i]);
	}
	fputc(']', out);
}
