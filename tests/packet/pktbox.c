/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pktbox — the dataplane as a filter for packet tests: commands on standard input, results on standard
 * output, one line each. Drives the real pipeline through tests/lib/harness. Arguments: workers, queues, connections, MB of
 * caches; without the last there is nothing of TCP and caches.
 *
 *     put TYPE FIELD=VALUE …    edit the model (types and fields of include/millrace/api_lb.h)
 *     del KEY
 *     apply                     → ok | refused OBJECT: MESSAGE
 *     in PORT QUEUE HEX         let a port receive a frame
 *     from PORT HEX             let the kernel side send a frame by a port
 *     run                       → out PORT HEX | kernel PORT HEX … then end
 *     time MS                   move the clock on
 *     counters                  → counter NAME VALUE (those not 0) … then balanced | unbalanced
 *     outcomes                  → NAME OPENED FAILED of each backend … then end
 *     denied                    → NAME FLOWS of each service, that its lists refused … then end
 *     refused                   → NAME PACKETS of each service, that it dropped … then end
 *     conns                     → conn STATE BACKEND-ADDRESS PORT … then end
 *     explain PROTO CLIENT PORT VIP PORT SEGMENT   → explain NAME=VALUE … (fields of mr_explain_row, numbers
 *                               as they are); dies when it has changed anything
 *     capture POINTS SNAPLEN SLOTS HEX|-   begins to capture on all workers, with that filter → ok | refused AT
 *     captured                  ends it → packet POINT PORT DROP LEN HEX … then end CAPTURED MISSED
 *     trace SLOTS HEX|-         begins to trace on all workers, with that filter → ok | refused AT
 *     traced                    ends it → trace NAME=VALUE … (names as millrace trace -o json has them) … then
 *                               end CAPTURED MISSED
 */
#include "api/explain.h"
#include "core/capture.h"
#include "eal.h"
#include "harness.h"
#include "lb/balance_pvt.h"
#include "manager.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

static void print_hex(const char *what, unsigned iface, const struct rte_mbuf *m)
{
	static const char *const names[] = {"north", "south"};

	printf("%s %s ", what, names[iface]);
	for (; m != NULL; m = m->next) {
		for (unsigned i = 0; i < m->data_len; i++)
			printf("%02x", rte_pktmbuf_mtod(m, const uint8_t *)[i]);
	}
	printf("\n");
}

static void on_kernel(void *ctx, unsigned iface, struct rte_mbuf *m)
{
	(void)ctx;
	print_hex("kernel", iface, m);
	rte_pktmbuf_free(m);
}

static void die(const char *why, const char *what)
{
	fprintf(stderr, "pktbox: %s: %s\n", why, what);
	exit(2);
}

static unsigned parse_hex(const char *text, uint8_t *buf, unsigned size)
{
	unsigned n = 0;

	for (; isxdigit((unsigned char)text[0]) && isxdigit((unsigned char)text[1]); text += 2) {
		const char pair[3] = {text[0], text[1], '\0'};

		if (n == size)
			die("frame is too long", text);
		buf[n++] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

static void set_field(const struct mr_field *f, void *object, const char *value)
{
	char *p = (char *)object + f->offset;
	const uint64_t v = strtoull(value, NULL, 0);

	switch (f->kind) {
	case MR_IP:
		if (mr_ip_parse((struct mr_ip *)(void *)p, value) != 0)
			die("bad address", value);
		break;
	case MR_NAME:
	case MR_TEXT:
		snprintf(p, f->size, "%s", value);
		break;
	case MR_BLOB16:
		parse_hex(value, (uint8_t *)p, 16);
		break;
	default:
		memcpy(p, &v, f->size); /* little-endian */
	}
}

static unsigned type_of(const char *name)
{
#define PKTBOX_TYPE(sym, value, text, type, member) \
	if (strcmp(name, text) == 0) \
		return value;
	MR_OBJS(PKTBOX_TYPE)
	die("unknown object type", name);
	return 0;
}

static uint32_t number(const char *text)
{
	char *end;
	const unsigned long v = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || v > UINT32_MAX)
		die("not a number", text);
	return (uint32_t)v;
}

static void put(struct harness *h, char *args)
{
	const char *type = strtok(args, " ");
	struct mr_object o = {0};
	const struct mr_msg *msg;
	char *pair;

	if (type == NULL)
		die("put needs a type", "");
	o.type = (uint8_t)type_of(type);
	msg = mr_obj_msg(o.type);
	while ((pair = strtok(NULL, " ")) != NULL) {
		char *value = strchr(pair, '=');
		unsigned i = 0;

		if (value == NULL)
			die("field without value", pair);
		*value++ = '\0';
		while (i < msg->n_fields && strcmp(msg->fields[i].name, pair) != 0)
			i++;
		if (i == msg->n_fields)
			die("unknown field", pair);
		set_field(&msg->fields[i], &o.settings, value);
	}
	if (model_put(h->model, &o) != 0)
		die("no memory", type);
}

static void apply(struct harness *h)
{
	struct mr_error err;

	snapshot_offline();
	if (harness_apply(h, &err) == 0)
		printf("ok\n");
	else
		printf("refused %s: %s\n", err.object, err.message);
	snapshot_online();
}

static void receive(struct harness *h, char *args)
{
	const char *port = strtok(args, " "), *queue = strtok(NULL, " "), *hex = strtok(NULL, " ");
	uint8_t frame[2048];
	unsigned n;

	if (hex == NULL)
		die("in needs PORT QUEUE HEX", "");
	n = parse_hex(hex, frame, sizeof(frame));
	harness_receive(h, port[0] == 's', number(queue), harness_mbuf(h, frame, n));
}

/* As punt_poll() reads one. */
static void from_kernel(struct harness *h, char *args)
{
	const char *port = strtok(args, " "), *hex = strtok(NULL, " ");
	struct manager mgr = {.workers = h->workers,
		.n_workers = h->n_workers,
		.mail = h->mail,
		.tally = tally_of(h->tallies, h->n_workers),
		.ifaces = &h->ifaces};
	uint8_t frame[2048];

	if (hex == NULL)
		die("from needs PORT HEX", "");
	mgr.tally->injected++;
	manager_inject(
		&mgr, port[0] == 's', harness_mbuf(h, frame, parse_hex(hex, frame, sizeof(frame))));
}

static void run(struct harness *h)
{
	struct rte_mbuf *m;

	harness_settle(h);
	for (unsigned i = 0; i < HARNESS_IFACES; i++) {
		while ((m = harness_sent(h, i)) != NULL) {
			print_hex("out", i, m);
			rte_pktmbuf_free(m);
		}
	}
	printf("end\n");
}

static void on_counter(void *ctx, const char *name, const char *unit, bool is_drop, uint64_t value,
	const char *help)
{
	(void)ctx;
	(void)unit;
	(void)is_drop;
	(void)help;
	if (value != 0)
		printf("counter %s %" PRIu64 "\n", name, value);
}

static void counters(struct harness *h)
{
	struct tally sum;
	const bool is_balanced = harness_balanced(h, &sum);

	tally_walk(&sum, on_counter, NULL);
	printf("%s\n", is_balanced ? "balanced" : "unbalanced");
}

static void conns(struct harness *h)
{
	const struct lb_conf *lb = lb_conf_of(snapshot_get());

	for (unsigned w = 0; w < h->n_workers; w++) {
		const struct conn_table *t = lb_worker_conns(h->workers[w]->lb);
		uint64_t cursor = 0;
		uint32_t idx[64];

		while (cursor != UINT64_MAX) {
			const unsigned n = conn_walk(t, &cursor, idx, 64);

			for (unsigned i = 0; i < n; i++) {
				const struct conn *e = conn_at(t, idx[i]);
				const struct lb_backend *b = &lb->backends[e->backend_idx];
				struct mr_ip ip = {.family = b->family};
				char text[INET6_ADDRSTRLEN];

				memcpy(ip.bytes, b->ip, 16);
				printf("conn %s %s %u worker %u\n", mr_conn_state_name(e->state),
					mr_ip_text(&ip, text, sizeof(text)),
					rte_be_to_cpu_16(b->port), w);
			}
		}
		if (!conn_check(t))
			die("connection table is inconsistent", "conn_check");
	}
	printf("end\n");
}

/* What flows have shown of each backend of the model. */
static void outcomes(struct harness *h)
{
	const struct lb_conf *lb = lb_conf_of(snapshot_get());

	for (uint32_t i = 0; i < lb->n_services; i++) {
		const struct lb_service *s = lb->services[i];

		for (unsigned b = 0; s != NULL && b < s->n_backends; b++) {
			uint64_t opened = 0, failed = 0;

			for (unsigned w = 0; w < h->n_workers; w++) {
				const struct lb_backend_tally *t = lb_worker_backend_tally(
					h->workers[w]->lb, s->backend_idx[b]);

				opened += t->opened;
				failed += t->failed;
			}
			printf("%s %" PRIu64 " %" PRIu64 "\n", s->backends[b].name, opened, failed);
		}
	}
	printf("end\n");
}

static void print_by_service(
	struct harness *h, uint64_t (*count)(const struct lb_worker *lw, uint32_t service_idx))
{
	const struct lb_conf *lb = lb_conf_of(snapshot_get());

	for (uint32_t i = 0; i < lb->n_services; i++) {
		uint64_t n = 0;

		for (unsigned w = 0; w < h->n_workers; w++)
			n += count(h->workers[w]->lb, i);
		if (lb->services[i] != NULL)
			printf("%s %" PRIu64 "\n", lb->services[i]->spec.name, n);
	}
	printf("end\n");
}

/* All of a worker that an explanation might change. */
struct state {
	struct tally tally;
	struct service_tally services[64];
	struct lb_backend_tally backends[1024];
	uint8_t sources[RATE_SOURCES_MAX * 16];
	uint32_t snat_used[NATPORT_SLOTS_MAX], n_conns;
	uint16_t next_ports[NATPORT_SLOTS_MAX];
};

static void take_state(const struct worker *w, struct state *to)
{
	const struct lb_worker *lw = w->lb;

	if (lw->limits.n_services > RTE_DIM(to->services)
		|| lw->limits.n_backends > RTE_DIM(to->backends))
		die("too many slots", "explain");
	memset(to, 0, sizeof(*to));
	to->tally = *w->tally;
	memcpy(to->services, lw->services, lw->limits.n_services * sizeof(to->services[0]));
	memcpy(to->backends, lw->backends, lw->limits.n_backends * sizeof(to->backends[0]));
	memcpy(to->sources, lw->sources, sizeof(to->sources));
	for (unsigned i = 0; i < lw->limits.n_snats; i++) {
		to->snat_used[i] = natport_used(lw->ports, i);
		to->next_ports[i] = natport_peek(lw->ports, i, MR_PROTO_TCP, 0);
	}
	to->n_conns = conn_count(lw->conns);
}

static void print_field(const struct mr_field *f, const void *row)
{
	const uint8_t *p = (const uint8_t *)row + f->offset;
	char text[INET6_ADDRSTRLEN];
	uint64_t v = 0;

	switch (f->kind) {
	case MR_IP:
		printf(" %s=%s", f->name,
			mr_ip_text((const struct mr_ip *)(const void *)p, text, sizeof(text)));
		break;
	case MR_NAME:
		printf(" %s=%s", f->name, (const char *)p);
		break;
	case MR_MAC:
	case MR_TEXT:
		break;
	default:
		memcpy(&v, p, f->size); /* little-endian */
		printf(" %s=%" PRIu64, f->name, v);
	}
}

static void explain(struct harness *h, char *args)
{
	static struct explain_flow flow;
	static struct state before, after;
	struct mr_explain ask = {0};
	struct mr_explain_row row;
	char *words[6];

	for (unsigned i = 0; i < RTE_DIM(words); i++) {
		words[i] = strtok(i == 0 ? args : NULL, " ");
		if (words[i] == NULL)
			die("explain needs PROTO CLIENT PORT VIP PORT SEGMENT", "");
	}
	ask.proto = (uint8_t)number(words[0]);
	if (mr_ip_parse(&ask.client, words[1]) != 0 || mr_ip_parse(&ask.vip, words[3]) != 0)
		die("bad address", words[1]);
	ask.client_port = (uint16_t)number(words[2]);
	ask.vip_port = (uint16_t)number(words[4]);
	ask.segment = (uint8_t)number(words[5]);
	explain_begin(&flow, &ask, snapshot_get(), h->n_workers);
	if (flow.is_balanced) {
		struct worker *w = h->workers[flow.worker];

		w->now_ms = h->now_ms;
		w->snap = snapshot_get();
		take_state(w, &before);
		explain_run(w, &flow);
		take_state(w, &after);
		if (memcmp(&before, &after, sizeof(before)) != 0)
			die("an explanation has changed something", words[3]);
	}
	explain_fill(&flow, h->registry, &h->ifaces, lb_conf_of(snapshot_get()), &row);
	printf("explain");
	for (unsigned i = 0; i < mr_explain_row_msg.n_fields; i++)
		print_field(&mr_explain_row_msg.fields[i], &row);
	printf("\n");
}

static struct capture *captures[HARNESS_WORKERS_MAX];

static void begin_capture(struct harness *h, struct capture_params *p, const char *n_slots)
{
	static uint8_t program[PKTFILTER_INSNS_MAX * PKTFILTER_INSN_BYTES];
	unsigned at;

	p->ifaces = UINT32_MAX;
	p->n_slots = number(n_slots);
	if (pktfilter_load(&p->filter, program,
		    parse_hex(strtok(NULL, " "), program, sizeof(program)), &at)
		!= 0) {
		printf("refused %u\n", at);
		return;
	}
	for (unsigned i = 0; i < h->n_workers; i++) {
		if (capture_create(&captures[i], p) != 0)
			die("no memory", "capture");
		worker_set_capture(h->workers[i], captures[i]);
	}
	printf("ok\n");
}

static void capture(struct harness *h, char *args)
{
	struct capture_params p = {0};

	p.points = (uint8_t)number(strtok(args, " "));
	p.snaplen = (uint16_t)number(strtok(NULL, " "));
	begin_capture(h, &p, strtok(NULL, " "));
}

/* As capturereq.c begins one. */
static void trace(struct harness *h, char *args)
{
	struct capture_params p = {
		.points = 1 << MR_POINT_TRACE, .snaplen = sizeof(struct capture_trace)};

	begin_capture(h, &p, strtok(args, " "));
}

static void print_trace(const struct harness *h, const struct capture_slot *slot)
{
	static const char *const drops[] = {
#define PKTBOX_REASON(sym, help) #sym,
		MR_DROPS(PKTBOX_REASON)};
	const struct iface *ifaces = h->ifaces.of;
	struct capture_trace t;

	memcpy(&t, slot->bytes, sizeof(t));
	printf("trace port=%s len=%u ip_proto=%u sport=%u dport=%u kind=%s is_handed_over=%d",
		ifaces[slot->at.iface].name, slot->len, t.p.proto, rte_be_to_cpu_16(t.p.sport),
		rte_be_to_cpu_16(t.p.dport), mr_trace_kind_name(t.kind), t.is_handed_over);
	if (t.mode != 0 || (t.kind == MR_TRACE_SERVICE && t.service_idx != VIP_NONE))
		printf(" service=%s", lb_registry_service_name(h->registry, t.service_idx));
	if (t.mode != 0)
		printf(" flow=%s backend=%s mode=%s", mr_trace_flow_name(t.flow),
			lb_registry_backend_name(h->registry, t.backend_idx), mr_mode_name(t.mode));
	printf(" verdict=%s", mr_verdict_name(t.verdict));
	if (t.verdict == MR_VERDICT_DROPPED)
		printf(" drop=%s", drops[slot->at.drop]);
	else if (t.verdict != MR_VERDICT_KERNEL && t.verdict != MR_VERDICT_SERVED)
		printf(" out_port=%s", ifaces[t.out_iface].name);
	printf("\n");
}

static void print_captured(struct harness *h, struct capture *c)
{
	static const char *const drops[] = {
#define PKTBOX_DROP(sym, help) #sym,
		MR_DROPS(PKTBOX_DROP)};
	const struct capture_slot *slot;

	for (; (slot = capture_peek(c)) != NULL; capture_pop(c)) {
		if (slot->at.point == MR_POINT_TRACE) {
			print_trace(h, slot);
			continue;
		}
		printf("packet %s %s %s %u ", mr_point_name(slot->at.point),
			h->ifaces.of[slot->at.iface].name,
			slot->at.point == MR_POINT_DROP ? drops[slot->at.drop] : "-", slot->len);
		for (unsigned i = 0; i < slot->n; i++)
			printf("%02x", slot->bytes[i]);
		printf("\n");
	}
}

static void captured(struct harness *h)
{
	uint64_t n = 0, n_missed = 0;

	for (unsigned i = 0; i < h->n_workers; i++) {
		worker_set_capture(h->workers[i], NULL);
		h->workers[i]->capture = NULL; /* as its next loop would */
		print_captured(h, captures[i]);
		n += capture_captured(captures[i]);
		n_missed += capture_missed(captures[i]);
		capture_destroy(&captures[i]);
	}
	printf("end %" PRIu64 " %" PRIu64 "\n", n, n_missed);
}

int main(int argc, char **argv)
{
	const unsigned n_workers = argc > 1 ? number(argv[1]) : 1;
	const unsigned n_queues = argc > 2 ? number(argv[2]) : n_workers;
	const uint32_t n_conns = argc > 3 ? number(argv[3]) : 4096;
	const struct harness_params p = {.n_workers = n_workers,
		.n_queues = n_queues,
		.n_conns4 = n_conns,
		.n_conns6 = n_conns,
		.n_mbufs = 8191,
		.n_snats = 4,    /* each has all its ports laid out at start */
		.n_neighs = 256, /* all are looked at in each loop */
		.cache_mb = argc > 4 ? number(argv[4]) : 0};
	static struct harness h;
	static char line[8192];

	if (eal_start("pktbox", 256) != 0)
		return 2;
	harness_init(&h, &p);
	h.on_kernel = on_kernel;
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		char *args = line + strcspn(line, " \n");

		line[strcspn(line, "\n")] = '\0';
		if (*args == ' ')
			*args++ = '\0';
		if (strcmp(line, "put") == 0)
			put(&h, args);
		else if (strcmp(line, "del") == 0 && model_del(h.model, args) != 0)
			die("no such object", args);
		else if (strcmp(line, "apply") == 0)
			apply(&h);
		else if (strcmp(line, "in") == 0)
			receive(&h, args);
		else if (strcmp(line, "from") == 0)
			from_kernel(&h, args);
		else if (strcmp(line, "run") == 0)
			run(&h);
		else if (strcmp(line, "time") == 0)
			h.now_ms += number(args);
		else if (strcmp(line, "counters") == 0)
			counters(&h);
		else if (strcmp(line, "conns") == 0)
			conns(&h);
		else if (strcmp(line, "outcomes") == 0)
			outcomes(&h);
		else if (strcmp(line, "denied") == 0)
			print_by_service(&h, lb_worker_service_acl_drops);
		else if (strcmp(line, "refused") == 0)
			print_by_service(&h, lb_worker_service_drops);
		else if (strcmp(line, "capture") == 0)
			capture(&h, args);
		else if (strcmp(line, "trace") == 0)
			trace(&h, args);
		else if (strcmp(line, "captured") == 0 || strcmp(line, "traced") == 0)
			captured(&h);
		else if (strcmp(line, "explain") == 0)
			explain(&h, args);
		else if (strcmp(line, "del") != 0)
			die("unknown command", line);
	}
	harness_fini(&h);
	rte_eal_cleanup();
	return 0;
}
