/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pktfilter — see pktfilter.h. McCanne, Jacobson: The BSD Packet Filter (1993); codes and meaning as in Linux and
 * libpcap: a load beyond the packet, or a division by an X of 0, ends the program without a match.
 *
 *  I1  every jump leads to a later instruction of the program, and the last one returns: so it ends
 *  I2  places of the scratch memory are below N_MEM
 */
#include "core/pktfilter.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define N_MEM 16u

/* Classes, sizes, modes and operations of a code. */
enum { LD, LDX, ST, STX, ALU, JMP, RET, MISC };
enum { SIZE_W = 0x00, SIZE_H = 0x08, SIZE_B = 0x10 };
enum { IMM = 0x00, ABS = 0x20, IND = 0x40, MEM = 0x60, LEN = 0x80, MSH = 0xa0 };
enum {
	ADD = 0x00,
	SUB = 0x10,
	MUL = 0x20,
	DIV = 0x30,
	OR = 0x40,
	AND = 0x50,
	LSH = 0x60,
	RSH = 0x70,
	NEG = 0x80,
	MOD = 0x90,
	XOR = 0xa0
};
enum { JA = 0x00, JEQ = 0x10, JGT = 0x20, JGE = 0x30, JSET = 0x40 };
#define SRC_X 0x08
#define RET_A 0x10
#define TXA 0x80

static bool is_load(const struct pktfilter_insn *i)
{
	switch (i->code) {
	case LD | IMM:
	case LD | LEN:
	case LDX | IMM:
	case LDX | LEN:
	case LDX | MSH | SIZE_B:
	case LD | ABS | SIZE_W:
	case LD | ABS | SIZE_H:
	case LD | ABS | SIZE_B:
	case LD | IND | SIZE_W:
	case LD | IND | SIZE_H:
	case LD | IND | SIZE_B:
		return true;
	case LD | MEM:
	case LDX | MEM:
		return i->k < N_MEM; /* I2 */
	default:
		return false;
	}
}

static bool is_alu(const struct pktfilter_insn *i)
{
	const unsigned op = i->code & 0xf0u;

	if (i->code & 0xff00u || op > XOR)
		return false;
	if (op == NEG)
		return !(i->code & SRC_X);
	return (op != DIV && op != MOD) || i->code & SRC_X || i->k != 0;
}

/* left: instructions after this one. */
static bool is_jump(const struct pktfilter_insn *i, unsigned left)
{
	const unsigned op = i->code & 0xf0u;

	if (i->code == (JMP | JA))
		return i->k < left; /* I1 */
	return !(i->code & 0xff00u) && op >= JEQ && op <= JSET && i->jt < left && i->jf < left;
}

static bool is_allowed(const struct pktfilter_insn *i, unsigned left)
{
	switch (i->code & 7u) {
	case LD:
	case LDX:
		return is_load(i) && left > 0;
	case ST:
	case STX:
		return i->code < 8 && i->k < N_MEM && left > 0;
	case ALU:
		return is_alu(i) && left > 0;
	case JMP:
		return is_jump(i, left);
	case RET:
		return i->code == RET || i->code == (RET | RET_A);
	default:
		return (i->code == MISC || i->code == (MISC | TXA)) && left > 0;
	}
}

int pktfilter_load(struct pktfilter *f, const uint8_t *bytes, unsigned n_bytes, unsigned *at)
{
	const unsigned n = n_bytes / PKTFILTER_INSN_BYTES;

	*at = n;
	if (n_bytes % PKTFILTER_INSN_BYTES != 0 || n > PKTFILTER_INSNS_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *b = bytes + (size_t)i * PKTFILTER_INSN_BYTES;
		struct pktfilter_insn *insn = &f->insns[i];

		insn->code = (uint16_t)(b[0] | b[1] << 8);
		insn->jt = b[2];
		insn->jf = b[3];
		memcpy(&insn->k, b + 4, 4); /* little-endian */
		if (!is_allowed(insn, n - 1 - i)) {
			*at = i;
			return -EINVAL;
		}
	}
	f->n = n;
	return 0;
}

/* Loads size bytes, most significant first. False: they are not all there. */
static inline bool load(const uint8_t *p, uint32_t n, uint64_t at, uint16_t size, uint32_t *value)
{
	const unsigned bytes = size == SIZE_W ? 4 : size == SIZE_H ? 2 : 1;
	uint32_t v = 0;

	if (at + bytes > n)
		return false;
	for (unsigned i = 0; i < bytes; i++)
		v = v << 8 | p[at + i];
	*value = v;
	return true;
}

/* v is not 0 where it divides. */
static inline uint32_t calculate(unsigned op, uint32_t a, uint32_t v)
{
	switch (op) {
	case ADD:
		return a + v;
	case SUB:
		return a - v;
	case MUL:
		return a * v;
	case DIV:
		return a / v;
	case MOD:
		return a % v;
	case OR:
		return a | v;
	case AND:
		return a & v;
	case XOR:
		return a ^ v;
	case LSH:
		return v < 32 ? a << v : 0;
	case RSH:
		return v < 32 ? a >> v : 0;
	default: /* NEG */
		return 0u - a;
	}
}

static inline bool compare(unsigned op, uint32_t a, uint32_t v)
{
	switch (op) {
	case JEQ:
		return a == v;
	case JGT:
		return a > v;
	case JGE:
		return a >= v;
	default: /* JSET */
		return (a & v) != 0;
	}
}

struct machine {
	const uint8_t *p;
	uint32_t n, len;
	uint32_t a, x, mem[N_MEM];
};

/* False: the program ends without a match. */
static inline bool run_load(struct machine *m, const struct pktfilter_insn *i)
{
	uint32_t *to = (i->code & 7u) == LD ? &m->a : &m->x;

	switch (i->code & 0xe0u) {
	case IMM:
		*to = i->k;
		return true;
	case ABS:
		return load(m->p, m->n, i->k, i->code & 0x18u, to);
	case IND:
		return load(m->p, m->n, (uint64_t)m->x + i->k, i->code & 0x18u, to);
	case MEM:
		*to = m->mem[i->k];
		return true;
	case LEN:
		*to = m->len;
		return true;
	default: /* MSH: length of an IPv4 header */
		if (!load(m->p, m->n, i->k, SIZE_B, to))
			return false;
		*to = (*to & 0xfu) << 2;
		return true;
	}
}

uint32_t pktfilter_run(const struct pktfilter *f, const uint8_t *p, uint32_t n, uint32_t len)
{
	struct machine m = {.p = p, .n = n, .len = len};

	if (f->n == 0)
		return UINT32_MAX;
	for (const struct pktfilter_insn *i = f->insns;; i++) {
		const uint32_t v = i->code & SRC_X ? m.x : i->k;
		const unsigned op = i->code & 0xf0u;

		switch (i->code & 7u) {
		case LD:
		case LDX:
			if (!run_load(&m, i))
				return 0;
			break;
		case ST:
			m.mem[i->k] = m.a;
			break;
		case STX:
			m.mem[i->k] = m.x;
			break;
		case ALU:
			if (v == 0 && (op == DIV || op == MOD))
				return 0;
			m.a = calculate(op, m.a, v);
			break;
		case JMP:
			if (op == JA)
				i += i->k;
			else
				i += compare(op, m.a, v) ? i->jt : i->jf;
			break;
		case RET:
			return i->code & RET_A ? m.a : i->k;
		default:
			if (i->code & TXA)
				m.a = m.x;
			else
				m.x = m.a;
		}
	}
}
