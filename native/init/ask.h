#pragma once
#include "init/filter.h"
#include "init/metrics.h"
#include "init/options.h"
#include "init/probe.h"

/* Where the probe socket is. */
#define PROBE_PATH "/run/probe"

/* Asks once, over a connection that may take for ever: whoever called has to end this process in time. */
struct outcome ask_by_connection(const struct probe *probe);

/* Becomes the command of the probe, with all walls of the payload. Returns only what failed. */
struct outcome ask_by_command(const struct probe *probe, const struct options *options, const struct filter *filter);

/* Asks once for the figures that the payload tells, in the same way. */
void ask_for_metrics(const struct metrics_source *source, struct metrics *out);
