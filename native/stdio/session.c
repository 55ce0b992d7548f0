#include "stdio/session.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stdio/client.h"
#include "stdio/page.h"
#include "stdio/probe.h"
#include "stdio/process.h"
#include "stdio/say.h"
#include "stdio/speech.h"
#include "stdio/tell.h"

/* Times in ms. A program that keeps dying is not started for ever. */
enum { FIRST_BACKOFF = 100, MOST_BACKOFF = 5000, DEATHS_WITHIN = 60000, MOST_DEATHS = 5, MOST_FAILED_STARTS = 5 };
/* For the end of its input to end it; after the signal. */
enum { END_MS = 5000, SIGNAL_MS = 5000 };
/* Whoever closed its output and lives on; a program without messages that lived for so long was of use. */
enum { SILENT_MS = 1000, WELL_MS = 1000 };
/* Reads of what a dead program has left in its pipe; whoever it has left behind could go on for ever. */
enum { LAST_READS = 64 };

static void input_ready(struct watch *watch, uint32_t events) {
    /* What can be written is written in the turn. Nobody reads: there is nobody to write to. */
    if ((events & EPOLLERR) == 0) return;
    struct session *session = (struct session *)((char *)watch - offsetof(struct session, input));
    session->no_more_input = true;
    bytes_clear(&session->to);
}

static void output_ready(struct watch *watch, uint32_t events) {
    (void)events;
    if (watch->fd < 0) return;
    struct session *session = (struct session *)((char *)watch - offsetof(struct session, output));
    ssize_t got = bytes_read(&session->from, watch->fd);
    if (got > 0 || got == -EAGAIN) return;
    (void)watch_for(watch, bridge.epoll, -1);
    (void)close(watch->fd);
    watch->fd = -1;
    /* A program that is asked to end has its time for that, and may well begin with its output. */
    if (session->state != SESSION_ENDING) session->due = bridge.now + SILENT_MS;
}

static void close_watch(struct watch *watch) {
    if (watch->fd < 0) return;
    (void)watch_for(watch, bridge.epoll, -1);
    (void)close(watch->fd);
    watch->fd = -1;
}

static int free_slot(void) {
    for (int slot = 0; slot < PAGE_SLOTS; slot++) {
        bool taken = false;
        for (const struct session *each = bridge.sessions; each != NULL; each = each->next)
            taken |= each->slot == slot && each->state != SESSION_OVER;
        if (!taken) return slot;
    }
    return -1;
}

struct session *session_new(struct client *owner) {
    struct session *session = calloc(1, sizeof(*session));
    if (session == NULL) die("out of memory");
    session->owner = owner;
    session->slot = -1;
    session->slot = free_slot();
    session->input = (struct watch){.ready = input_ready, .fd = -1, .events = -1};
    session->output = (struct watch){.ready = output_ready, .fd = -1, .events = -1};
    session->state = SESSION_WAITING;
    session->due = session->deaths_since = bridge.now;
    session->next = bridge.sessions;
    bridge.sessions = session;
    return session;
}

static void over(struct session *session) {
    close_watch(&session->input);
    close_watch(&session->output);
    bytes_clear(&session->to);
    bytes_clear(&session->from);
    session->state = SESSION_OVER;
    session->pid = 0;
    page_show(session->slot, &session->calls, 0);
    if (session->owner != NULL) client_close(session->owner);
}

static void start(struct session *session) {
    pid_t pid = process_start(bridge.options.command, &session->input.fd, &session->output.fd);
    if (pid < 0) {
        const char *program = bridge.options.command[0];
        /* One client more than there is room for is no reason to end the others. */
        if (session->owner != NULL && (pid == -EAGAIN || pid == -EMFILE || pid == -ENFILE || pid == -ENOMEM)) {
            say("cannot start '%s' for one more client: %s", program, strerror(-pid));
            over(session);
            return;
        }
        die("BH318: cannot execute '%s': %s", program, strerror(-pid));
    }
    session->pid = pid;
    session->started = bridge.now;
    session->dead = session->was_well = session->was_fed = session->no_more_input = session->was_signalled = false;
    session->killed_for = NULL;
    session->given = session->scanned = 0;
    session->state = SESSION_STARTING;
    session->due = bridge.now + bridge.options.start_ms;
    speech_started(session);
}

bool session_takes(const struct session *session) {
    return session->state == SESSION_UP && session->to.length < WAIT_BYTES && !session->no_more_input;
}

bool session_is_behind(const struct session *session) {
    return session->owner != NULL && !session->dead && session->owner->out.length >= WAIT_BYTES;
}

void session_send(struct session *session, struct span line) {
    bytes_add(&session->to, line.at, line.length);
    bytes_add(&session->to, "\n", 1);
}

void session_is_well(struct session *session) {
    if (session->was_well) return;
    session->was_well = true;
    bridge.failed_starts = 0;
}

void session_is_up(struct session *session) {
    if (session->state != SESSION_STARTING) return;
    session->state = SESSION_UP;
    if (bridge.ready_told) return;
    bridge.ready_told = true;
    tell("READY=1");
}

void session_end(struct session *session) {
    if (session->state == SESSION_ENDING || session->state == SESSION_OVER) return;
    if (session->pid == 0) {
        over(session);
        return;
    }
    session->state = SESSION_ENDING;
    session->no_more_input = true;
    session->due = bridge.now + END_MS;
    session->killed_for = NULL;
    /* Its input is closed in the next turn, if this one is past that. */
    bridge_due(bridge.now);
}

void session_kill(struct session *session, const char *why) {
    if (session->pid == 0 || session->killed_for != NULL) return;
    say("the program is killed: %s", why);
    session->killed_for = why;
    process_signal(session->pid, SIGKILL);
}

/*
 * Whether its program has read something of its client's. What is in the pipe still it has not: one that ends before it
 * reads at all is broken, whatever there is to read.
 */
static bool is_fed(const struct session *session) {
    int unread = 0;
    if (session->owner == NULL) return false;
    return session->was_fed || (session->input.fd >= 0 && ioctl(session->input.fd, FIONREAD, &unread) == 0 && (size_t)unread < session->given);
}

static void give_up_or_wait(struct session *session, int status) {
    if (bridge.now - session->deaths_since > DEATHS_WITHIN) {
        session->recent_deaths = 0;
        session->deaths_since = bridge.now;
        session->backoff = 0;
    }
    session->recent_deaths++;
    const bool often = session->recent_deaths > MOST_DEATHS;
    if (bridge.failed_starts >= MOST_FAILED_STARTS || (often && bridge.options.shared)) bridge_give_up(status);
    if (often && session->owner != NULL) {
        say("the program of one client has ended %u times within a minute: the client is let go", session->recent_deaths);
        over(session);
        return;
    }
    session->state = SESSION_WAITING;
    session->due = bridge.now + session->backoff;
    session->backoff = session->backoff == 0 ? FIRST_BACKOFF : session->backoff * 2 > MOST_BACKOFF ? MOST_BACKOFF : session->backoff * 2;
}

static void died(struct session *session, int status) {
    session->dead = true;
    for (int reads = 0; reads < LAST_READS && session->output.fd >= 0; reads++) {
        if (bytes_read(&session->from, session->output.fd) <= 0) break;
        session_turn(session);
    }
    /* There may be something that was read before, and waited for its client. */
    session_turn(session);
    /* Whoever it has left behind has its pipes. */
    process_signal(session->pid, SIGKILL);
    char how[160];
    (void)snprintf(how, sizeof(how), "%s", session->killed_for != NULL ? session->killed_for : process_end_text(status));
    const bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    const bool was_asked = session->state == SESSION_ENDING;
    if (bridge.options.protocol != PROTOCOL_MCP && (good || bridge.now - session->started >= WELL_MS)) session_is_well(session);
    if (!session->was_well && !was_asked && !is_fed(session)) bridge.failed_starts++;
    speech_died(session, how);
    probe_again();
    close_watch(&session->input);
    close_watch(&session->output);
    bytes_clear(&session->to);
    session->pid = 0;
    page_show(session->slot, &session->calls, 0);
    if (was_asked) {
        over(session);
        return;
    }
    /* With other protocols the end of its own program is the end of a connection, as of a pipe. */
    const bool is_end = !bridge.options.shared && bridge.options.protocol != PROTOCOL_MCP;
    if (!is_end || !good) {
        say("the program %s", how);
        page_note(how);
    }
    if (is_end && bridge.failed_starts < MOST_FAILED_STARTS) {
        over(session);
        return;
    }
    bytes_clear(&session->from);
    give_up_or_wait(session, status);
    if (session->state != SESSION_WAITING) return;
    bridge.restarts++;
    char line[256];
    (void)snprintf(line, sizeof(line), "STATUS=The program is started again, for the %u. time: it %s", bridge.restarts, how);
    tell(line);
}

void session_reap(void) {
    for (struct session *session = bridge.sessions; session != NULL; session = session->next) {
        int status;
        if (session->pid > 0 && waitpid(session->pid, &status, WNOHANG) == session->pid) died(session, status);
    }
}

void session_signal(int number) {
    for (struct session *session = bridge.sessions; session != NULL; session = session->next)
        if (session->pid > 0) process_signal(session->pid, number);
}

/* Whether its program may be read from: what cannot be sent on is not kept without end. */
static bool may_read(const struct session *session) {
    return session->from.length <= bridge.options.message && !session_is_behind(session);
}

static void take_bytes(struct session *session) {
    if (session->from.length == 0 || session_is_behind(session)) return;
    session_is_well(session);
    page_progress(session->slot);
    if (session->owner != NULL) bytes_add(&session->owner->out, bytes_at(&session->from), session->from.length);
    bytes_clear(&session->from);
}

static void take_lines(struct session *session) {
    while (session->from.length > 0 && !session_is_behind(session)) {
        const char *begin = bytes_at(&session->from);
        const char *end = memchr(begin + session->scanned, '\n', session->from.length - session->scanned);
        if (end == NULL || (size_t)(end - begin) > bridge.options.message) {
            session->scanned = session->from.length;
            if (session->scanned > bridge.options.message) session_kill(session, "sent a message that is too long");
            return;
        }
        const size_t length = (size_t)(end - begin);
        speech_from_program(session, (struct span){begin, length > 0 && begin[length - 1] == '\r' ? length - 1 : length});
        bytes_take(&session->from, length + 1);
        session->scanned = 0;
    }
}

static void end_by_time(struct session *session) {
    if (session->killed_for != NULL) return;
    if (bridge.now < session->due) {
        bridge_due(session->due);
    } else if (!session->was_signalled) {
        process_signal(session->pid, bridge.options.stop_signal);
        session->was_signalled = true;
        session->due = bridge.now + SIGNAL_MS;
        bridge_due(session->due);
    } else {
        session_kill(session, "did not end when it was asked to");
    }
}

void session_turn(struct session *session) {
    if (session->state == SESSION_WAITING && bridge.now >= session->due) start(session);
    if (session->state == SESSION_WAITING) bridge_due(session->due);
    if (bridge.options.protocol == PROTOCOL_RAW) take_bytes(session);
    else take_lines(session);
    if (session->pid == 0) return;
    if (session->state == SESSION_STARTING) {
        if (bridge.now >= session->due) session_kill(session, "did not answer 'initialize' in time (BH319)");
        else bridge_due(session->due);
    }
    if (session->state == SESSION_ENDING) end_by_time(session);
    if (session->state == SESSION_UP && session->output.fd < 0) {
        if (bridge.now >= session->due) session_kill(session, "closed its standard output");
        else bridge_due(session->due);
    }
}

void session_write(struct session *session) {
    if (session->input.fd < 0) return;
    const size_t before = session->to.length;
    const int error = bytes_write(&session->to, session->input.fd);
    session->given += before - session->to.length;
    if (error < 0) {
        session->no_more_input = true;
        bytes_clear(&session->to);
    }
    if (!session->no_more_input || session->to.length > 0) return;
    session->was_fed = is_fed(session);
    close_watch(&session->input);
}

void session_settle(struct session *session) {
    if (session->input.fd >= 0) (void)watch_for(&session->input, bridge.epoll, session->to.length > 0 ? EPOLLOUT : -1);
    if (session->output.fd >= 0) (void)watch_for(&session->output, bridge.epoll, may_read(session) ? EPOLLIN : -1);
    /* What stopped because of a client that did not read goes on when it has read. */
    if (session->from.length > session->scanned && !session_is_behind(session)) bridge_due(bridge.now);
}

void session_sweep(void) {
    for (struct session **link = &bridge.sessions; *link != NULL;) {
        struct session *session = *link;
        if (session->state != SESSION_OVER || session->owner != NULL || bridge.options.shared) {
            link = &session->next;
            continue;
        }
        *link = session->next;
        bytes_clear(&session->greeting);
        free(session->greeting.room);
        free(session->to.room);
        free(session->from.room);
        while (session->calls.oldest != NULL) calls_end(&session->calls, session->calls.oldest);
        while (session->asked.oldest != NULL) calls_end(&session->asked, session->asked.oldest);
        free(session);
    }
}
