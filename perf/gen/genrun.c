/* SPDX-License-Identifier: BSD-3-Clause */
/* genrun — see genrun.h. run_trial() is the loop. */
#include "genrun.h"

#include "genframe.h"
#include "gensay.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_launch.h>

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BEHIND_MAX_S 1.0     /* sending so far behind is not going to end well */
#define ANSWER_PAUSE_S 0.001 /* between two answers at the end: the target may have lost its CPU */
#define QUIET_S 0.1          /* after the last frame: nothing came for so long */
#define PATIENT_MAX_S 20.0
#define DRAIN_MAX_S 2.0 /* and at most */
#define RESOLVE_EVERY_US 100000u
#define PAUSE_LONG 10     /* times what is late */
#define HOPELESS 0.1      /* of all frames */
#define LOOK_LEAST_S 0.05 /* that makes a rate */

static inline void add(uint64_t *word, uint64_t n)
{
	__atomic_store_n(word, *word + n, __ATOMIC_RELAXED);
}

static inline void raise_to(uint64_t *word, uint64_t v)
{
	if (v > *word)
		__atomic_store_n(word, v, __ATOMIC_RELAXED);
}

static inline uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

int genrun_init(struct genrun *r)
{
	if (r->hz == 0)
		r->hz = rte_get_tsc_hz();
	r->ns_per_cyc = 1e9 / (double)r->hz;
	r->ns_mult = (uint64_t)(r->ns_per_cyc * 0x1p32 + 0.5);
	r->late_cyc = r->hz / 1000000 * r->late_us;
	r->deadline_cyc =
		r->deadline_s > 0 ? (uint64_t)(r->deadline_s * (double)r->hz) : UINT64_MAX;
	r->next = 1; /* so that there is a last one */
	r->tx_queue = r->tx_first;
	sem_init(&r->stage, 0, 0);
	r->seen = calloc(GENRUN_WINDOW / 64, sizeof(*r->seen));
	return r->seen == NULL ? -ENOMEM : 0;
}

void genrun_fini(struct genrun *r)
{
	free(r->seen);
	r->seen = NULL;
}

static void stop(struct genrun *r, uint8_t how)
{
	for (unsigned i = 0; i < genrun_threads(r); i++)
		__atomic_fetch_or(&genrun_thread(r, i)->stop, how, __ATOMIC_RELAXED);
}

void genrun_stop(struct genrun *r)
{
	stop(r, GENRUN_STOP_ALL);
}

static inline uint8_t stop_of(const struct genrun *r)
{
	return __atomic_load_n(&r->stop, __ATOMIC_RELAXED);
}

static inline bool is_stopped(const struct genrun *r)
{
	return stop_of(r) & GENRUN_STOP_ALL;
}

/* --- what comes in --- */

/* Adds a frame's time, which was due at some moment, to those of this burst's moment. */
static inline void note_latency(struct genrun *r, uint64_t due)
{
	const uint64_t cyc = r->now > due ? r->now - due : 0;

	/* opt: an integer's product, off by less than 2^-31 of it, instead of two conversions */
	genhist_add(&r->latency_ns, (uint64_t)((unsigned __int128)cyc * r->ns_mult >> 32));
	if (cyc > r->deadline_cyc)
		add(&r->counts.too_late, 1);
}

bool genrun_answered(struct genrun *r, uint64_t number, uint32_t n_bytes)
{
	uint64_t *word = &r->seen[number % GENRUN_WINDOW / 64];
	const uint64_t bit = 1ull << number % 64, at = number - r->first;

	/* what was not sent yet is told by lower bits that came from elsewhere */
	if (at >= r->next - r->first || r->next - number > GENRUN_OPEN) {
		add(&r->counts.overdue, 1);
		return false;
	}
	if (*word & bit) {
		add(&r->counts.duplicates, 1);
		return false;
	}
	*word |= bit;
	if (number < r->first_counted)
		return false;
	note_latency(r, genpace_due(&r->pace, at));
	add(&r->counts.received, 1);
	if (n_bytes > 0)
		add(&r->counts.received_bytes, n_bytes + GENFRAME_FCS);
	if (number < r->highest)
		add(&r->counts.reordered, 1);
	else
		r->highest = number;
	return true;
}

/* Sends some frames by the port where they came in; what it does not take is lost. Returns how many it took. */
static unsigned send_back(
	const struct genrun *r, const struct genport *p, struct rte_mbuf **m, unsigned n)
{
	const unsigned n_sent = n > 0 ? rte_eth_tx_burst(p->id, r->tx_first, m, (uint16_t)n) : 0;

	if (n_sent < n)
		rte_pktmbuf_free_bulk(m + n_sent, n - n_sent);
	return n_sent;
}

/* To the thread whose frame it is. False: it is nobody else's. */
static bool hand_over(struct genrun *r, const struct genport *p, struct rte_mbuf *m)
{
	const int owner = r->work->owner(r->work->ctx, m);

	if (owner < 0 || (unsigned)owner >= r->team->n || (unsigned)owner == r->member)
		return false;
	*genteam_note(m) = (struct genteam_note){.rx_cyc = r->now, .port = p};
	if (genteam_give(r->team, r->member, (unsigned)owner, m)) {
		add(&r->counts.handed, 1);
	} else {
		add(&r->counts.hand_no_room, 1);
		rte_pktmbuf_free(m);
	}
	return true;
}

/* Turns round, answers and gives back what a work has not kept of some frames. */
static void sort_out(struct genrun *r, const struct genport *p, struct rte_mbuf *const *m,
	unsigned n, const struct genwork_seen *seen)
{
	struct rte_mbuf *back[GENRUN_BURST_MAX], *done[GENRUN_BURST_MAX];
	unsigned n_back = 0, n_done = 0, n_sent;

	for (unsigned i = 0; i < n; i++) {
		if (seen->turned & 1ull << i)
			back[n_back++] = m[i];
		else if (seen->taken & 1ull << i)
			done[n_done++] = m[i];
	}
	n_sent = send_back(r, p, back, n_back);
	add(&r->counts.turned, n_sent);
	add(&r->counts.turn_no_room, n_back - n_sent);
	n_back = 0;
	for (unsigned i = 0; i < n; i++) {
		if ((seen->taken | seen->turned | seen->kept) & 1ull << i)
			continue;
		if (r->team != NULL && hand_over(r, p, m[i]))
			continue;
		if (gennet_input(r->net, &p->mac, m[i]) == GENNET_ANSWER) {
			back[n_back++] = m[i];
		} else {
			add(&r->counts.others, 1);
			done[n_done++] = m[i];
		}
	}
	add(&r->counts.neighbours, send_back(r, p, back, n_back));
	rte_pktmbuf_free_bulk(done, n_done);
}

/* n frames, at least one, that came in at r->now. */
static inline void take(struct genrun *r, const struct genport *p, struct rte_mbuf **m, unsigned n)
{
	struct genwork_seen seen = {0};

	r->work->input(r->work->ctx, r, m, n, &seen);
	if (seen.taken == UINT64_MAX >> (64 - n) && seen.turned == 0) /* opt: nearly always */
		rte_pktmbuf_free_bulk(m, n);
	else
		sort_out(r, p, m, n, &seen);
}

static void receive_from(struct genrun *r, const struct genport *p, uint16_t queue)
{
	struct rte_mbuf *m[GENRUN_BURST_MAX];
	const unsigned n = rte_eth_rx_burst(p->id, queue, m, (uint16_t)r->burst);

	if (n == 0)
		return;
	r->now = r->last_rx_cyc = rte_rdtsc();
	take(r, p, m, n);
}

/* What others have received: as many at once as came together. */
static void receive_handed(struct genrun *r)
{
	struct rte_mbuf *m[GENRUN_BURST_MAX];
	const unsigned n = genteam_take(r->team, r->member, m, r->burst);

	for (unsigned i = 0, end; i < n; i = end) {
		const struct genteam_note note = *genteam_note(m[i]);

		for (end = i + 1; end < n && genteam_note(m[end])->rx_cyc == note.rx_cyc
			&& genteam_note(m[end])->port == note.port;)
			end++;
		r->now = note.rx_cyc;
		r->last_rx_cyc = RTE_MAX(r->last_rx_cyc, note.rx_cyc);
		take(r, note.port, m + i, end - i);
	}
}

static inline void receive(struct genrun *r)
{
	for (uint16_t q = r->rx_first; q < r->rx_end; q++)
		receive_from(r, r->rx, q);
	for (uint16_t q = r->rx_first; r->rx != r->tx && q < r->rx_end; q++)
		receive_from(r, r->tx, q);
	if (r->team != NULL)
		receive_handed(r);
}

/* --- what goes out --- */

/* How many of n frames, the first of which has this number, count. */
static unsigned counted(const struct genrun *r, uint64_t first, unsigned n)
{
	if (first >= r->first_counted)
		return n;
	return first + n > r->first_counted ? (unsigned)(first + n - r->first_counted) : 0;
}

/* n frames that waited have left, or were lost, at this moment. */
static void account(struct genrun *r, unsigned n, uint64_t now)
{
	const uint64_t end = r->next - r->n_waiting + n;
	const unsigned n_counted = counted(r, end - n, n);
	const uint64_t first = end - n_counted;
	uint64_t n_bytes = 0, due;

	if (n_counted == 0)
		return;
	for (unsigned i = n - n_counted; i < n; i++)
		n_bytes += r->waiting_bytes[r->waiting_at + i];
	add(&r->counts.offered, n_counted);
	add(&r->counts.offered_bytes, n_bytes);
	due = genpace_due(&r->pace, first - r->first); /* before all others */
	if (now <= due)
		return;
	raise_to(&r->counts.late_most_cyc, now - due);
	add(&r->counts.late, genpace_late(&r->pace, first - r->first, n_counted, now, r->late_cyc));
}

/* Builds what is due, behind what waits. */
static void build_due(struct genrun *r, uint64_t now)
{
	const uint64_t left = r->end - r->next;
	unsigned n;

	if (left == 0)
		return;
	n = genpace_count(
		&r->pace, r->next - r->first, now, left < r->burst ? (unsigned)left : r->burst);
	if (n == 0)
		return;
	if (rte_pktmbuf_alloc_bulk(r->pool, r->waiting, n) != 0) {
		add(&r->counts.no_buffer, 1); /* they are late then */
		return;
	}
	r->work->build(r->work->ctx, r->waiting, n, genrun_take(r, n));
	for (unsigned i = 0; i < n; i++)
		r->waiting_bytes[i] = r->waiting[i]->pkt_len + GENFRAME_FCS;
	r->waiting_at = 0;
	r->n_waiting = n;
}

void genrun_flush(struct genrun *r)
{
	while (r->out_at < r->n_out) {
		const unsigned n = RTE_MIN(r->n_out - r->out_at, (unsigned)GENRUN_BURST_MAX);
		const unsigned n_sent =
			rte_eth_tx_burst(r->tx->id, r->tx_first, r->out + r->out_at, (uint16_t)n);

		r->out_at += n_sent;
		if (n_sent < n)
			break;
	}
	if (r->out_at == r->n_out)
		r->out_at = r->n_out = 0;
}

void genrun_send(struct genrun *r, struct rte_mbuf *m)
{
	if (r->n_out == GENRUN_OUT_MAX) {
		genrun_flush(r);
		memmove(r->out, r->out + r->out_at, (r->n_out - r->out_at) * sizeof(*r->out));
		r->n_out -= r->out_at;
		r->out_at = 0;
	}
	if (r->n_out == GENRUN_OUT_MAX) {
		add(&r->counts.no_room, 1);
		rte_pktmbuf_free(m);
		return;
	}
	if (r->next > r->first_counted)
		add(&r->counts.offered_bytes, m->pkt_len + GENFRAME_FCS);
	r->out[r->n_out++] = m;
}

/* Of a work that sends by itself. */
static void submit_due(struct genrun *r)
{
	const uint64_t now = r->now = rte_rdtsc(), left = r->end - r->next, first = r->next;
	const unsigned n = left == 0 ? 0
				     : genpace_count(&r->pace, first - r->first, now,
					     left < r->burst ? (unsigned)left : r->burst);

	if (n > 0) {
		genrun_take(r, n);
		r->n_waiting = n;
		memset(r->waiting_bytes, 0, n * sizeof(*r->waiting_bytes));
		account(r, n, now);
		r->n_waiting = 0;
		r->work->submit(r->work->ctx, r, n, first);
	}
	r->work->poll(r->work->ctx, r);
	genrun_flush(r);
}

static void send_due(struct genrun *r)
{
	const uint64_t now = rte_rdtsc();
	struct rte_mbuf **m;
	unsigned n;

	if (r->n_waiting == 0)
		build_due(r, now);
	if (r->n_waiting == 0)
		return;
	m = r->waiting + r->waiting_at;
	n = rte_eth_tx_burst(r->tx->id, r->tx_queue, m, (uint16_t)r->n_waiting);
	if (n < r->n_waiting && r->loses_when_full) {
		const unsigned n_lost = r->n_waiting - n;

		add(&r->counts.no_room, counted(r, r->next - n_lost, n_lost));
		rte_pktmbuf_free_bulk(m + n, n_lost);
		n = r->n_waiting;
	}
	account(r, n, now);
	r->waiting_at += n;
	r->n_waiting -= n;
	if (++r->tx_queue >= r->tx_end)
		r->tx_queue = r->tx_first;
}

/* --- a trial --- */

/*
 * Whether it is of no use to go on: too many frames are late, and it is clear why. After a long pause it is; else a generator that is too
 * slow for the rate will show that, as then nearly all frames become late.
 */
static bool has_failed(struct genrun *r, uint64_t now)
{
	const double n_late = (double)r->counts.late,
		     n_counted = (double)(r->end - r->first_counted);
	uint64_t due;

	if (r->trial.is_loose)
		return false;
	if (n_late > GENJUDGE_LATE_MAX * n_counted
		&& (r->counts.gap_most_cyc > PAUSE_LONG * r->late_cyc
			|| n_late > HOPELESS * n_counted))
		return true;
	due = genpace_due(&r->pace, r->next - r->first);
	if (r->next == r->end || now <= due + (uint64_t)(BEHIND_MAX_S * (double)r->hz))
		return false;
	r->behind_cyc = now - due;
	return true;
}

static void drain_round(struct genrun *r, uint64_t now)
{
	receive(r);
	if (r->work->poll == NULL)
		return;
	r->now = now;
	r->work->poll(r->work->ctx, r);
	genrun_flush(r);
}

/* Until everything is answered, or nothing comes any more, of all threads. */
static void drain(struct genrun *r)
{
	/* a stack sends again what was lost, and before a measurement there is time for that */
	const bool is_stack = r->work->poll != NULL, is_patient = is_stack && r->trial.is_loose;
	const double most_s = is_patient ? PATIENT_MAX_S : DRAIN_MAX_S;
	const double quiet_s = is_stack ? DRAIN_MAX_S : QUIET_S;
	const uint64_t begin = rte_rdtsc(), most = (uint64_t)(most_s * (double)r->hz);
	const uint64_t quiet = (uint64_t)(quiet_s * (double)r->hz);
	const uint64_t pause = (uint64_t)(ANSWER_PAUSE_S * (double)r->hz);
	struct genrun *first = genrun_thread(r, 0);
	uint64_t now = begin, last;

	r->last_rx_cyc = begin;
	while (now - begin < most && (r->last_rx_cyc > now || now - r->last_rx_cyc < quiet)
		&& r->counts.received + r->counts.no_room < r->counts.offered && !is_stopped(r)) {
		last = r->last_rx_cyc;
		drain_round(r, now);
		if (r->last_rx_cyc > last + pause)
			__atomic_store_n(&first->has_paused, true, __ATOMIC_RELAXED);
		now = rte_rdtsc();
	}
	if (r->team == NULL)
		return;
	genteam_arrive(r->team, &r->team->n_answered);
	while (!genteam_has_all(r->team, &r->team->n_answered)) /* T3 */
		drain_round(r, rte_rdtsc());
}

static uint64_t switches_so_far(void)
{
	struct rusage u;

	return getrusage(RUSAGE_THREAD, &u) == 0 ? (uint64_t)u.ru_nivcsw : 0;
}

/* A round of the loop took so long. */
static inline void note_pause(struct genrun *r, uint64_t cyc)
{
	const uint64_t us = (uint64_t)((double)cyc * r->ns_per_cyc / 1000);
	const unsigned i = us == 0 ? 0 : 64u - (unsigned)__builtin_clzll(us);

	raise_to(&r->counts.gap_most_cyc, cyc);
	add(&r->counts.pauses[RTE_MIN(i, GENRUN_PAUSES - 1)], 1);
	if (cyc > r->late_cyc)
		add(&r->counts.paused_cyc, cyc);
}

/* Of this thread. */
static int set_fifo(bool is_fifo)
{
	const struct sched_param p = {.sched_priority = is_fifo};

	return sched_setscheduler(0, is_fifo ? SCHED_FIFO : SCHED_OTHER, &p) == 0 ? 0 : -errno;
}

int genrun_may_fifo(void)
{
	const int rc = set_fifo(true);

	return rc != 0 ? rc : set_fifo(false);
}

/* Tells the main thread when the last one has come so far. */
static void post_stage(struct genrun *r, uint32_t *counter)
{
	if (r->team == NULL || genteam_arrive(r->team, counter))
		sem_post(&genrun_thread(r, 0)->stage);
}

static int run_trial(void *arg)
{
	struct genrun *r = arg;
	const uint64_t n_switches = switches_so_far(), long_cyc = r->hz / 1000000 * 2;
	const bool is_fifo = r->is_fifo && !r->trial.is_loose;
	uint64_t before;

	if (is_fifo)
		set_fifo(true);
	r->begin_cyc = r->team == NULL ? rte_rdtsc() : genteam_start(r->team);
	before = rte_rdtsc();
	genpace_init(&r->pace, r->begin_cyc + (uint64_t)(r->lag_s * (double)r->hz), r->hz, r->rate);
	r->pace.group = r->work->group;
	r->verdict = GENRUN_DONE;
	while (r->next < r->end || r->n_waiting > 0) {
		uint64_t now;

		receive(r);
		if (r->work->submit != NULL)
			submit_due(r);
		else
			send_due(r);
		if (r->beside != NULL && !r->trial.is_loose)
			r->beside(r->beside_ctx, r);
		now = rte_rdtsc();
		if (now - before > long_cyc)
			note_pause(r, now - before);
		before = now;
		if (has_failed(r, now)) {
			r->verdict = GENRUN_VOID;
			stop(r, GENRUN_STOP_TRIAL);
			break;
		}
		if (stop_of(r) != 0) {
			r->verdict = is_stopped(r) ? GENRUN_STOPPED : GENRUN_VOID;
			break;
		}
	}
	r->sent_cyc = before - r->begin_cyc;
	r->n_sent = r->next - r->first - r->n_waiting;
	post_stage(r, r->team != NULL ? &r->team->n_sent : NULL);
	rte_pktmbuf_free_bulk(r->waiting + r->waiting_at, r->n_waiting);
	r->n_waiting = 0;
	drain(r);
	if (is_fifo)
		set_fifo(false);
	r->n_switches = switches_so_far() - n_switches;
	post_stage(r, r->team != NULL ? &r->team->n_done : NULL);
	return 0;
}

/* --- the main thread --- */

/* Of n frames, which go to n_threads threads in turn, a group to each: how many thread i has. */
static uint64_t share_of(uint64_t n, uint32_t group, unsigned i, unsigned n_threads)
{
	const uint64_t round = (uint64_t)group * n_threads, rest = n % round, before = i * group;

	return n / round * group + (rest > before ? RTE_MIN(rest - before, group) : 0);
}

static void begin_thread(struct genrun *r, const struct genrun_trial *t, unsigned i, unsigned n)
{
	const uint32_t group = RTE_MAX(r->work->group, 1u);

	r->trial = *t;
	r->trial.n_each = NULL;
	r->rate = t->rate / n;
	r->lag_s = i * group / t->rate;
	__atomic_fetch_and(&r->stop, (uint8_t)~GENRUN_STOP_TRIAL, __ATOMIC_RELAXED);
	memset(&r->counts, 0, sizeof(r->counts));
	genhist_init(&r->latency_ns);
	memset(r->seen, 0, GENRUN_WINDOW / 8);
	r->first = r->next;
	r->first_counted = r->first + share_of(t->n_warm, group, i, n);
	r->end = r->first
		+ (t->n_each != NULL ? t->n_each[i]
				     : share_of(t->n_warm + t->n_frames, group, i, n));
	r->highest = r->behind_cyc = 0;
	r->has_paused = false;
	r->waiting_at = r->n_waiting = 0;
	if (r->work->begin != NULL)
		r->work->begin(r->work->ctx, r);
}

/* Makes all threads ready; those but the first are launched, and wait for it. */
static void begin(struct genrun *r, const struct genrun_trial *t)
{
	const unsigned n = genrun_threads(r);

	for (unsigned i = 0; i < n; i++)
		begin_thread(genrun_thread(r, i), t, i, n);
	if (r->team != NULL)
		genteam_begin(r->team);
	for (unsigned i = 1; i < n; i++)
		rte_eal_remote_launch(run_trial, r->team->of[i], r->team->of[i]->lcore);
}

static void add_counts(struct genrun_counts *to, const struct genrun_counts *from)
{
	const size_t n_sums = offsetof(struct genrun_counts, late_most_cyc) / sizeof(uint64_t);
	const uint64_t *more = (const uint64_t *)from;
	uint64_t *words = (uint64_t *)to;

	for (size_t i = 0; i < n_sums; i++)
		words[i] += more[i];
	to->late_most_cyc = RTE_MAX(to->late_most_cyc, from->late_most_cyc);
	to->gap_most_cyc = RTE_MAX(to->gap_most_cyc, from->gap_most_cyc);
	to->paused_cyc += from->paused_cyc;
	for (unsigned i = 0; i < GENRUN_PAUSES; i++)
		to->pauses[i] += from->pauses[i];
}

/* What a second of a trial was like. `before`: the totals of the second before, which become those of now. */
struct look {
	struct genrun_sample last;
	struct genhist so_far, before, second;
};

static void look(struct genrun *r, struct look *l, double seconds)
{
	const struct genrun_sample before = l->last;
	struct genrun_sample *s = &l->last;
	const double d = seconds - before.seconds;

	genhist_init(&l->so_far);
	*s = (struct genrun_sample){.seconds = seconds};
	for (unsigned i = 0; i < genrun_threads(r); i++) {
		const struct genrun *one = genrun_thread(r, i);

		genhist_sum(&l->so_far, &one->latency_ns);
		s->offered += load(&one->counts.offered);
		s->received += load(&one->counts.received);
		s->late += load(&one->counts.late);
	}
	genhist_since(&l->second, &l->so_far, &l->before);
	l->before = l->so_far;
	s->p50_ns = genhist_quantile(&l->second, 0.5);
	s->p99_ns = genhist_quantile(&l->second, 0.99);
	s->max_ns = genhist_max(&l->so_far);
	/* once a second, of parts of a measurement too */
	if (r->trial.is_quiet
		|| (seconds < 1 && floor(r->trial.before_s + seconds) == floor(r->trial.before_s)))
		return;
	fprintf(stderr, "%s: %.0f s: sent %s/s, answered %s/s, late %s, p50 %.1f us, p99 %.1f us\n",
		r->trial.what, floor(r->trial.before_s + seconds),
		gensay_rate((double)(s->offered - before.offered) / d),
		gensay_rate((double)(s->received - before.received) / d),
		gensay_count((double)(s->late - before.late)), (double)s->p50_ns / 1e3,
		(double)s->p99_ns / 1e3);
}

/* Looks at a trial that has lasted so long, and keeps what it sees. */
static void take_sample(struct genrun *r, struct look *l, struct genrun_result *out, double seconds)
{
	look(r, l, seconds);
	if (out->n_samples < GENRUN_SAMPLES_MAX)
		out->samples[out->n_samples++] = l->last;
}

/* Waits for the lcores' next stage, and looks each second meanwhile. To wake more often would take the lcore's CPU where there are few. */
static void wait_stage(
	struct genrun *r, struct look *l, struct genrun_result *out, const struct timespec *start)
{
	double next = floor(l->last.seconds) + 1;

	for (;;) {
		const struct timespec until = {start->tv_sec + (time_t)next, start->tv_nsec};

		if (sem_clockwait(&r->stage, CLOCK_MONOTONIC, &until) == 0)
			return;
		if (errno == ETIMEDOUT)
			take_sample(r, l, out, next++);
	}
}

/* What came of one thread. */
static struct genjudge_facts facts_of(const struct genrun *r, const struct genrun_result *out)
{
	const struct genrun_counts *c = &r->counts;
	const double hz = (double)r->hz;

	return (struct genjudge_facts){.rate = r->rate,
		.n_due = r->end - r->first_counted,
		.n_late = c->late,
		.behind_s = (double)r->behind_cyc / hz,
		.n_sent = (double)r->n_sent,
		.elapsed_s = (double)r->sent_cyc / hz,
		.n_ring = r->n_ring,
		.seconds = (double)(r->end - r->first) / r->rate,
		.paused_s = (double)c->paused_cyc / hz,
		.pause_most_s = (double)c->gap_most_cyc / hz,
		.waited_s = out->waited_s,
		.stolen_s = out->stolen_s};
}

/* What follows from counts and seconds. */
static void derive(struct genrun_result *out)
{
	const struct genrun_counts *c = &out->counts;
	const double n_good = (double)c->received - (double)c->too_late;

	out->received_rate = out->seconds > 0 ? n_good / out->seconds : 0;
	out->loss_ratio = c->offered > 0 ? 1 - n_good / (double)c->offered : 1;
}

/* As the worst that one thread was. A frame that one had no room for was lost here. */
static enum genjudge_verdict judge(struct genrun *r, const struct genrun_result *out)
{
	enum genjudge_verdict worst = GENJUDGE_COUNTS;

	for (unsigned i = 0; i < genrun_threads(r); i++) {
		const struct genjudge_facts f = facts_of(genrun_thread(r, i), out);

		worst = RTE_MAX(worst, genjudge_trial(&f));
	}
	if (worst == GENJUDGE_COUNTS && out->counts.hand_no_room > 0)
		return GENJUDGE_TOO_SLOW;
	return worst;
}

static void finish(struct genrun *r, struct genrun_result *out)
{
	struct genrun_sample *fitting =
		realloc(out->samples, (out->n_samples + 1) * sizeof(*out->samples));

	if (fitting != NULL)
		out->samples = fitting;
	out->trial = r->trial;
	out->verdict = GENRUN_DONE;
	for (unsigned i = 0; i < genrun_threads(r); i++) {
		struct genrun *one = genrun_thread(r, i);

		if (i > 0)
			rte_eal_wait_lcore(one->lcore);
		add_counts(&out->counts, &one->counts);
		genhist_sum(&out->latency_ns, &one->latency_ns);
		out->n_switches += one->n_switches;
		if (one->verdict == GENRUN_STOPPED)
			out->verdict = GENRUN_STOPPED;
	}
	out->seconds = (double)out->counts.offered / r->trial.rate;
	derive(out);
	if (out->verdict == GENRUN_STOPPED || r->trial.is_loose)
		return;
	out->why = judge(r, out);
	out->verdict = out->why == GENJUDGE_COUNTS ? GENRUN_DONE
		: genjudge_is_void(out->why)       ? GENRUN_VOID
						   : GENRUN_TOO_SLOW;
}

int genrun_trial(struct genrun *r, const struct genrun_trial *t, struct genrun_result *out)
{
	struct look *l = calloc(1, sizeof(*l));
	struct genwatch_look w0, w1;
	struct timespec start;
	bool is_watched = false;
	double seconds;

	memset(out, 0, sizeof(*out));
	out->samples = calloc(GENRUN_SAMPLES_MAX, sizeof(*out->samples));
	if (l == NULL || out->samples == NULL) {
		free(l);
		genrun_result_fini(out);
		return -ENOMEM;
	}
	begin(r, t);
	if (r->watch != NULL)
		is_watched = genwatch_look(r->watch, &w0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	rte_eal_remote_launch(run_trial, r, r->lcore);
	wait_stage(
		r, l, out, &start); /* what happens while nothing is sent any more is no matter */
	is_watched = is_watched && genwatch_look(r->watch, &w1);
	wait_stage(r, l, out, &start);
	rte_eal_wait_lcore(r->lcore);
	if (is_watched && r->has_paused) /* but for the answers that were still to come */
		is_watched = genwatch_look(r->watch, &w1);
	if (is_watched) {
		const struct genwatch_lost lost = genwatch_between(r->watch, &w0, &w1);

		out->waited_s = lost.waited_s;
		out->stolen_s = lost.stolen_s;
	}
	seconds = (double)r->sent_cyc / (double)r->hz;
	if (!t->is_quiet && seconds - l->last.seconds > LOOK_LEAST_S) /* the rest of it */
		take_sample(r, l, out, seconds);
	finish(r, out);
	free(l);
	return 0;
}

int genrun_result_add(struct genrun_result *to, struct genrun_result *from)
{
	struct genrun_counts *c = &to->counts;
	struct genrun_sample *all =
		realloc(to->samples, (to->n_samples + from->n_samples + 1) * sizeof(*all));

	if (all == NULL)
		return -ENOMEM;
	to->samples = all;
	for (unsigned i = 0; i < from->n_samples; i++) { /* before the counts are added */
		struct genrun_sample s = from->samples[i];

		s.seconds += to->seconds;
		s.offered += c->offered;
		s.received += c->received;
		s.late += c->late;
		all[to->n_samples++] = s;
	}
	add_counts(c, &from->counts);
	to->trial = from->trial;
	to->verdict = from->verdict;
	to->waited_s += from->waited_s;
	to->stolen_s += from->stolen_s;
	to->seconds += from->seconds;
	to->n_switches += from->n_switches;
	genhist_sum(&to->latency_ns, &from->latency_ns);
	derive(to);
	return 0;
}

void genrun_result_fini(struct genrun_result *out)
{
	free(out->samples);
	out->samples = NULL;
}

/* What comes before the first trial is nobody's answer. */
static void listen_once(struct genrun *r)
{
	struct rte_mbuf *m[GENRUN_BURST_MAX];
	const struct genport *ports[2] = {r->tx, r->rx};

	for (unsigned k = 0; k < (r->rx != r->tx ? 2u : 1u); k++) {
		for (uint16_t q = 0; q < ports[k]->n_rx_queues; q++) {
			const unsigned n = rte_eth_rx_burst(ports[k]->id, q, m, (uint16_t)r->burst);

			for (unsigned i = 0; i < n; i++) {
				if (gennet_input(r->net, &ports[k]->mac, m[i]) == GENNET_ANSWER)
					send_back(r, ports[k], &m[i], 1);
				else
					rte_pktmbuf_free(m[i]);
			}
		}
	}
}

static void ask(struct genrun *r)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);
	uint8_t frame[GENNET_FRAME_MAX];
	char *to;
	unsigned n;

	if (m == NULL)
		return;
	n = gennet_ask(r->net, &r->tx->mac, frame);
	to = rte_pktmbuf_append(m, (uint16_t)n);
	if (to == NULL) {
		rte_pktmbuf_free(m);
		return;
	}
	memcpy(to, frame, n);
	send_back(r, r->tx, &m, 1);
}

int genrun_resolve(struct genrun *r, unsigned seconds)
{
	const uint64_t every = r->hz / 1000000 * RESOLVE_EVERY_US;
	const uint64_t start = rte_rdtsc(), end = start + seconds * r->hz;
	uint64_t now = start, next = start;

	while (!r->net->has_mac) {
		if (is_stopped(r))
			return -EINTR;
		if (now >= end)
			return -ETIMEDOUT;
		if (now >= next) {
			ask(r);
			next = now + every;
		}
		listen_once(r);
		usleep(500);
		now = rte_rdtsc();
	}
	return 0;
}
