#pragma once

/*
 * Waits, for a short time at most, until journald has read what was written to standard output. It looks up the unit of
 * whoever wrote a line when it reads it: a process that has gone by then is of no unit, while a zombie still is.
 */
void streams_drain(void);
