/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_http — a probe that sends GET and passes when the status is an expected one within the
 * timeout. libcurl's multi interface does the work on our event loop: it says which sockets and which
 * timeout to watch, we say what happened. Each probe makes its own connection: a backend that only
 * serves connections made long ago is not healthy.
 */
#include "daemon/check_sock.h"

#include <curl/curl.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_BYTES_MAX (256 << 10) /* more of the body is not read: the status has said it all */

struct check_http {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
};

struct probe {
	struct check_http *http;
	CURL *easy;
	struct curl_slist *headers;
	void (*on_end)(void *arg, int error, const struct check_result *result);
	void *arg;
	int error;                        /* errno of what failed on our side, or 0 */
	struct conf_status_range *expect; /* a copy: the configuration may go while we wait */
	size_t n_expect;
	size_t n_body_bytes;
	bool is_head_whole; /* the empty line behind the headers has come */
	uint32_t timeout_ms;
	uint16_t local_port; /* 0: any */
	double began;
	char error_text[CURL_ERROR_SIZE];
};

static void cancel(void *arg)
{
	struct probe *p = arg;

	if (p->easy != NULL) {
		curl_multi_remove_handle(p->http->multi, p->easy);
		curl_easy_cleanup(p->easy);
	}
	curl_slist_free_all(p->headers);
	free(p->expect);
	free(p);
}

static bool is_expected(const struct probe *p, long status)
{
	for (size_t i = 0; i < p->n_expect; i++) {
		if (status >= p->expect[i].first && status <= p->expect[i].last)
			return true;
	}
	return false;
}

static void end(struct probe *p, CURLcode code)
{
	void (*const on_end)(void *, int, const struct check_result *) = p->on_end;
	void *const arg = p->arg;
	struct check_result r = {.latency_seconds = check_now() - p->began};
	char text[128];
	long status = 0, os_error = 0;
	int error = p->error;

	curl_easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(p->easy, CURLINFO_OS_ERRNO, &os_error);
	if (error == 0 && code == CURLE_COULDNT_CONNECT)
		error = (int)os_error;
	if (code == CURLE_OUT_OF_MEMORY)
		error = ENOMEM;
	if (code == CURLE_WRITE_ERROR && p->n_body_bytes > BODY_BYTES_MAX)
		code = CURLE_OK;
	if (code == CURLE_OPERATION_TIMEDOUT)
		snprintf(text, sizeof(text), "no answer within %u ms", p->timeout_ms);
	else if (code != CURLE_OK)
		snprintf(text, sizeof(text), "%.120s",
			p->error_text[0] != '\0' ? p->error_text : curl_easy_strerror(code));
	else if (!p->is_head_whole) /* libcurl is content with the status line */
		snprintf(text, sizeof(text), "the answer ended within its headers");
	else if (!is_expected(p, status))
		snprintf(text, sizeof(text), "HTTP status %ld is not an expected one", status);
	else {
		r.is_pass = true;
		snprintf(text, sizeof(text), "HTTP status %ld in %.1f ms", status,
			r.latency_seconds * 1000);
	}
	cancel(p);
	r.text = text;
	on_end(arg, error, &r);
}

static void reap(struct check_http *h)
{
	struct probe *p;
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(h->multi, &left)) != NULL) {
		const CURLcode code = msg->data.result;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&p);
		end(p, code);
	}
}

static void on_socket_event(evutil_socket_t fd, short what, void *arg)
{
	struct check_http *h = arg;
	const int bits =
		(what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
	int running;

	curl_multi_socket_action(h->multi, fd, bits, &running);
	reap(h);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct check_http *h = arg;
	int running;

	curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	reap(h);
}

/* libcurl: watch this socket for that. The event is the socket's private data. */
static int on_watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct check_http *h = arg;
	struct event *event = socket_arg;

	if (event != NULL)
		event_free(event);
	event = NULL;
	if (what != CURL_POLL_REMOVE) {
		event = event_new(h->base, fd,
			(short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0)
				| (what & CURL_POLL_OUT ? EV_WRITE : 0)),
			on_socket_event, h);
		if (event == NULL)
			return -1;
		event_add(event, NULL);
	}
	curl_multi_assign(h->multi, fd, event);
	return 0;
}

/* libcurl: call me after so many milliseconds, −1 for never. */
static int on_set_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct check_http *h = arg;
	const struct timeval tv = {timeout_ms / 1000, (timeout_ms % 1000) * 1000};

	if (timeout_ms < 0)
		evtimer_del(h->timer);
	else
		evtimer_add(h->timer, &tv);
	return 0;
}

int check_http_create(struct check_http **out, struct event_base *base)
{
	struct check_http *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return -ENOMEM;
	h->base = base;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	h->multi = curl_multi_init();
	h->timer = evtimer_new(base, on_timeout, h);
	if (h->multi == NULL || h->timer == NULL) {
		check_http_destroy(&h);
		return -ENOMEM;
	}
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_watch);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_set_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	*out = h;
	return 0;
}

void check_http_destroy(struct check_http **hp)
{
	struct check_http *h = *hp;

	*hp = NULL;
	if (h == NULL)
		return;
	if (h->multi != NULL)
		curl_multi_cleanup(h->multi);
	if (h->timer != NULL)
		event_free(h->timer);
	free(h);
	curl_global_cleanup();
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct probe *p = arg;

	if (n > 0 && (data[0] == '\r' || data[0] == '\n'))
		p->is_head_whole = true;
	else if (n >= 5 && memcmp(data, "HTTP/", 5) == 0)
		p->is_head_whole = false; /* the answer behind an interim one */
	return size * n;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct probe *p = arg;

	p->n_body_bytes += size * n;
	return p->n_body_bytes > BODY_BYTES_MAX ? 0 : size * n;
}

/* libcurl does not tell why there was no socket. */
static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct probe *p = arg;
	const int fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);

	p->error = fd < 0 ? errno : 0;
	if (fd >= 0 && p->local_port != 0)
		p->error = -check_sock_bind(fd, to->family == AF_INET ? 4 : 6, p->local_port);
	if (fd >= 0 && p->error != 0)
		close(fd);
	return p->error != 0 ? CURL_SOCKET_BAD : fd;
}

static void set_url(CURL *easy, const struct check_target *t)
{
	char url[1200], ip[INET6_ADDRSTRLEN];

	mr_ip_text(t->ip, ip, sizeof(ip));
	snprintf(url, sizeof(url), t->ip->family == 6 ? "http://[%s]:%u%s" : "http://%s:%u%s", ip,
		t->port, t->check->path);
	curl_easy_setopt(easy, CURLOPT_URL, url);
}

static int set_headers(struct probe *p, const struct conf_check *check)
{
	char host[300];

	if (check->host == NULL)
		return 0;
	snprintf(host, sizeof(host), "Host: %s", check->host);
	p->headers = curl_slist_append(NULL, host);
	return p->headers != NULL ? 0 : -ENOMEM;
}

static void set_options(struct probe *p)
{
	CURL *e = p->easy;

	curl_easy_setopt(e, CURLOPT_PRIVATE, p);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, p->error_text);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, p->headers);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, p);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, p);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)p->timeout_ms);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "millrace-check/" MILLRACE_VERSION);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_PROXY, ""); /* the environment has no say in health */
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, p);
	curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);
}

static int start(void **out, const struct check_target *t)
{
	struct probe *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	p->http = t->http;
	p->on_end = t->on_end;
	p->arg = t->arg;
	p->timeout_ms = t->check->timeout_ms;
	p->local_port = t->local_port;
	p->began = check_now();
	p->n_expect = t->check->n_expect;
	p->expect = calloc(p->n_expect + 1, sizeof(*p->expect));
	p->easy = curl_easy_init();
	if (p->expect == NULL || p->easy == NULL || set_headers(p, t->check) != 0)
		goto err;
	if (p->n_expect > 0) /* else there is no list to copy from */
		memcpy(p->expect, t->check->expect, p->n_expect * sizeof(*p->expect));
	set_url(p->easy, t);
	set_options(p);
	if (curl_multi_add_handle(t->http->multi, p->easy) != CURLM_OK)
		goto err;
	*out = p;
	return 0;
err:
	cancel(p);
	return -ENOMEM;
}

const struct check_kind check_http_kind = {.start = start, .cancel = cancel};
