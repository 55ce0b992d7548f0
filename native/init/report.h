#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "init/forbidden.h"
#include "init/gate.h"
#include "init/learn.h"
#include "init/metrics.h"
#include "init/probe.h"

/* Takes the report pipe into use: close-on-exec, never blocking. False: there is none. */
bool report_open(void);

/* One line each; a line that does not fit into the pipe is counted and shows in the exit report. */
void report_started(pid_t pid);
void report_ready(void);
/* `text` must be printable and at most STATUS_SIZE - 1 bytes. */
void report_status(const char *text);
void report_stopping(int signal_number);
void report_forbidden(const struct forbidden *call);
void report_call(const struct learned *call);
/* How the gate stands now that it was told to. */
void report_gate(enum gate_state state);
/* Of what the sandbox cannot do without, `name` has ended. */
void report_helper_lost(const char *name);
/* `error` is NULL for the errno's own text. */
void report_setup_failed(const char *step, int error_number, const char *error);
void report_probe(enum probe_name name, const struct probe_state *state, struct outcome outcome);
/* What the payload told of itself, when it was asked, or why there is nothing. */
void report_metrics(const struct metrics *metrics);
/* `status` as wait4(2) gives it; `children_left`: others of the payload are still there. */
void report_exit(int status, const struct rusage *usage, bool children_left);

/* Longest status text with its end: 256 bytes are reported. */
enum { STATUS_SIZE = 257 };
