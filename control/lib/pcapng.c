/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pcapng — see pcapng.h. A block is its type, its length, its body and its length again; an option is a code, a
 * length and a value padded to four bytes. Integers are in the byte order of the machine, which the header tells.
 */
#include "lib/pcapng.h"

#include <string.h>

enum { SECTION = 0x0a0d0d0a, INTERFACE = 1, PACKET = 6 };
enum { OPT_END = 0, OPT_COMMENT = 1, SHB_USERAPPL = 4, IF_NAME = 2, IF_TSRESOL = 9, EPB_FLAGS = 2 };
#define LINK_ETHERNET 1
#define NANOSECONDS 9

static uint32_t padded(size_t n)
{
	return (uint32_t)((n + 3) & ~(size_t)3);
}

static void put_u16(FILE *f, uint16_t v)
{
	fwrite(&v, sizeof(v), 1, f);
}

static void put_u32(FILE *f, uint32_t v)
{
	fwrite(&v, sizeof(v), 1, f);
}

static void put_padded(FILE *f, const void *bytes, size_t n)
{
	static const uint8_t zeros[3];

	fwrite(bytes, 1, n, f);
	fwrite(zeros, 1, padded(n) - n, f);
}

static uint32_t option_size(size_t n)
{
	return 4 + padded(n);
}

static void put_option(FILE *f, uint16_t code, const void *bytes, size_t n)
{
	put_u16(f, code);
	put_u16(f, (uint16_t)n);
	put_padded(f, bytes, n);
}

/* What precedes the body; the length is of the whole block. */
static void begin_block(FILE *f, uint32_t type, uint32_t size)
{
	put_u32(f, type);
	put_u32(f, size);
}

static void end_block(FILE *f, uint32_t size)
{
	put_u32(f, OPT_END);
	put_u32(f, size);
}

void pcapng_begin(struct pcapng *w, FILE *f, uint32_t snaplen, const char *program)
{
	const uint32_t size = 28 + option_size(strlen(program)) + 4;

	w->f = f;
	w->snaplen = snaplen;
	w->n_ifaces = 0;
	begin_block(f, SECTION, size);
	put_u32(f, 0x1a2b3c4d);
	put_u16(f, 1);
	put_u16(f, 0);
	put_u32(f, UINT32_MAX); /* the section is as long as the file */
	put_u32(f, UINT32_MAX);
	put_option(f, SHB_USERAPPL, program, strlen(program));
	end_block(f, size);
}

/* The number of the interface of this name; the last one stands for those that are too many. */
static uint32_t find_iface(struct pcapng *w, const char *name)
{
	const uint8_t resolution = NANOSECONDS;
	uint32_t i, size;

	for (i = 0; i < w->n_ifaces; i++) {
		if (strcmp(w->ifaces[i], name) == 0)
			return i;
	}
	if (i == PCAPNG_IFACES_MAX)
		return i - 1;
	snprintf(w->ifaces[w->n_ifaces++], PCAPNG_NAME_MAX, "%s", name);
	size = 20 + option_size(strlen(name)) + option_size(sizeof(resolution)) + 4;
	begin_block(w->f, INTERFACE, size);
	put_u16(w->f, LINK_ETHERNET);
	put_u16(w->f, 0);
	put_u32(w->f, w->snaplen);
	put_option(w->f, IF_NAME, name, strlen(name));
	put_option(w->f, IF_TSRESOL, &resolution, sizeof(resolution));
	end_block(w->f, size);
	return i;
}

void pcapng_write(struct pcapng *w, const struct pcapng_packet *p)
{
	const uint32_t flags = p->is_outbound ? 2 : 1;
	const uint32_t n_comment = p->comment != NULL ? option_size(strlen(p->comment)) : 0;
	const uint32_t size = 32 + padded(p->n) + option_size(sizeof(flags)) + n_comment + 4;
	const uint32_t iface = find_iface(w, p->iface);

	begin_block(w->f, PACKET, size);
	put_u32(w->f, iface);
	put_u32(w->f, (uint32_t)(p->time_ns >> 32));
	put_u32(w->f, (uint32_t)p->time_ns);
	put_u32(w->f, p->n);
	put_u32(w->f, p->len);
	put_padded(w->f, p->bytes, p->n);
	if (p->comment != NULL)
		put_option(w->f, OPT_COMMENT, p->comment, strlen(p->comment));
	put_option(w->f, EPB_FLAGS, &flags, sizeof(flags));
	end_block(w->f, size);
}
