#pragma once

/* One line on standard error, which is the journal's. So many in ten seconds, then a count of those that were left out. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

/* Says it, and ends the process with status 1. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);
