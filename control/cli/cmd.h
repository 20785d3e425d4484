/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * cmd — every command declared once. A row of a family's table (cmd_service.c, cmd_backend.c, …)
 * names the words, the parameters with their kinds, the method of the daemon, the columns of the
 * text output, the help and the examples; the parser (cliopt), the help and the manual (clihelp),
 * the completion (complete) and the text output (show) all follow from it.
 */
#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct ctlclient;
struct cmd;

enum cmd_exit {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_INVALID = 3,
	EXIT_WARNINGS = 4,
	EXIT_DIFFERENT = 5,
	EXIT_CONFLICT = 6,
	EXIT_UNREACHABLE = 7,
	EXIT_DENIED = 8,
	EXIT_TIMEOUT = 9,
};

/* What a value must look like, how it travels, and what completes it. */
enum cmd_kind {
	CMD_FLAG,         /* option without a value → true */
	CMD_TEXT,         /* any text */
	CMD_UINT,         /* min…max → integer */
	CMD_WEIGHT,       /* min…max → integer, "default" → null */
	CMD_PREFIX,       /* IPv4 or IPv6 address, with a prefix length or without */
	CMD_ENDPOINT,     /* ADDRESS:PORT or [ADDRESS]:PORT */
	CMD_DURATION,     /* above 0 → integer, milliseconds */
	CMD_CHOICE,       /* one of .choices */
	CMD_FILE,         /* path, "-" = standard input; stays with the CLI */
	CMD_SERVICE,      /* name of a service */
	CMD_CACHE,        /* name of a cache */
	CMD_BYTES,        /* any bytes, those that are no text as escapes (lib/text.h) */
	CMD_POOL,         /* name of a pool */
	CMD_PORT,         /* name of a logical port */
	CMD_BACKEND,      /* POOL/NAME as one text; with .is_partial NAME alone too */
	CMD_POOL_BACKEND, /* POOL/NAME → "pool" and "name"; with .is_partial POOL alone too */
	CMD_WORDS,        /* all remaining words → array: names of commands */
};

struct cmd_param {
	const char *name;  /* "NAME", or "--limit" */
	const char *key;   /* in the parameters */
	const char *value; /* options: placeholder of the value; NULL for a flag */
	const char *help;
	const char *const *choices; /* NULL-terminated */
	uint64_t min, max;
	enum cmd_kind kind;
	bool is_required;
	char letter; /* "-w" for an option; 0: none */
	bool is_partial;
};

enum cmd_format {
	FMT_ANY,      /* scalar as it is, list joined by commas */
	FMT_STATE,    /* as above, coloured by meaning */
	FMT_UINT,     /* integer, right-aligned */
	FMT_RATE,     /* number with one digit below 10, right-aligned */
	FMT_SECONDS,  /* number of seconds → duration, right-aligned */
	FMT_MS,       /* number of milliseconds → duration, right-aligned */
	FMT_AGE,      /* time → duration up to the time of the answer, right-aligned */
	FMT_BOOL,     /* yes | no */
	FMT_ENDPOINT, /* address .key with port .key2 */
	FMT_PAIR,     /* "key/key2" */
	FMT_OF,       /* "key/key2" of numbers, coloured: all good, some warn, none bad */
	FMT_SHARE,    /* key of key2 in percent, right-aligned */
	FMT_PER,      /* key for each of key2, with one digit, right-aligned */
};

/* A column, or a line of the view of a single object. A key may be a path: "effective.weight".
 * What is null or absent shows as "-". */
struct cmd_col {
	const char *key;
	const char *header;
	enum cmd_format format;
	const char *key2;
	/* Instead of a format: writes the cell, empty before, at most size bytes. */
	void (*custom)(const json_t *item, char *buf, size_t size);
};

/* The program's surroundings, parameters of cli_run() so that tests can watch them. */
struct cmd_io {
	FILE *in, *out, *err;
	bool out_is_tty, err_is_tty;
};

/* A parsed command line. */
struct cmd_call {
	const struct cmd *cmd;
	json_t *params;          /* object; keys of .params */
	const struct cmd_io *io; /* borrowed */
	const char *socket;
	uint64_t timeout_ms;
	bool is_json;
	bool has_color;
	bool wants_help;
};

struct cmd {
	const char *path;    /* "backend drain" */
	const char *method;  /* of the daemon; NULL: answered here */
	const char *summary; /* one line, no full stop */
	const char *text;    /* more help; NULL: none */
	const struct cmd_param *params;
	unsigned n_params;
	const struct cmd_col *cols;   /* ended by an entry without header */
	const struct cmd_col *record; /* view of one object, when "name" was given; NULL: cols */
	const char *empty;            /* said when there are no items */
	const char *examples;         /* command lines, one per line */
	uint64_t timeout_ms;          /* default of --timeout; 0: the usual one */
	/* Runs the command and returns an exit code; NULL: call .method and show the items. */
	int (*run)(const struct cmd_call *call);
};

#define CMD_PARAMS(list) .params = (list), .n_params = sizeof(list) / sizeof((list)[0])
#define CMD_TIMEOUT_MS 10000
#define CMD_SOCKET "/run/millrace/control.sock"

/* One family of commands, in the order of the help. */
struct cmd_family {
	const char *name; /* first word; NULL: commands of one word */
	const char *summary;
	const struct cmd *cmds;
	unsigned n_cmds;
};

extern const struct cmd_family *const cmd_table[];
extern const unsigned cmd_table_n_families;

/* Options that every command takes. */
extern const struct cmd_param cmd_table_globals[];
extern const unsigned cmd_table_n_globals;

/* The command that these one or two words name, or NULL. */
const struct cmd *cmd_table_find(const char *const *words, unsigned n_words);

/* The family whose first word this is, or NULL. */
const struct cmd_family *cmd_table_find_family(const char *word);
