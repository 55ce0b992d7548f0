/*
 * The hostile plugin. It is a server on descriptor 3, so that tests can have it try one thing after the other, each
 * where a real payload would try it: as a child of the main process, under the filter.
 *
 * A line is a verb and its words, separated by tabs, with \xHH for other bytes. The answer is two lines:
 *
 *   tried VERB WORDS...       before anything is done
 *   gave ok DETAIL            or: gave ERRNO DETAIL
 *
 * Where the second does not come, the attempt ended the sandbox, and somebody else has to tell why.
 *
 *   hostile run VERB WORDS...   the same once, for a process that is outside of any sandbox
 *   hostile hold                see holder.c
 *   hostile wait                tries nothing: a plugin that is ready, as its declaration has it, and stays
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"
#include "holder.h"

enum { LISTENER = 3, MOST_WORDS = 32, LINE = 65536, TEXT = 262144 };

static const struct {
    const char *name;
    verb *run;
} verbs[] = {
    {"call", try_call},
    {"compat-call", try_compat_call},
    {"open", try_open},
    {"reopen", try_reopen},
    {"read", try_read},
    {"write", try_write},
    {"list", try_list},
    {"read-link", try_read_link},
    {"stat", try_stat},
    {"writable", try_writable},
    {"sockets", try_sockets},
    {"devices", try_devices},
    {"socket", try_socket},
    {"connect", try_connect},
    {"bind", try_bind},
    {"send", try_send},
    {"pass", try_pass},
    {"status", try_status},
    {"environment", try_environment},
    {"descriptors", try_descriptors},
    {"exec", try_exec},
    {"ids", try_ids},
    {"rename-self", try_rename_self},
    {"title", try_title},
    {"alive", try_alive},
    {"forks", try_forks},
    {"memory", try_memory},
    {"fill", try_fill},
    {"inodes", try_inodes},
    {"open-many", try_open_many},
    {"notify", try_notify},
    {"notify-flood", try_notify_flood},
    {"print", try_print},
    {"print-flood", try_print_flood},
    {"crash", try_crash},
    {"linger", try_linger},
};

static char text[TEXT];
static size_t used;

void detail(const char *format, ...) {
    va_list values;
    va_start(values, format);
    int length = vsnprintf(text + used, sizeof(text) - used, format, values);
    va_end(values);
    if (length > 0) used = used + (size_t)length < sizeof(text) ? used + (size_t)length : sizeof(text) - 1;
}

void detail_bytes(const void *bytes, size_t length) {
    for (const unsigned char *byte = bytes; length > 0; byte++, length--)
        detail(*byte >= ' ' && *byte < 127 && *byte != '\\' ? "%c" : "\\x%02x", *byte);
}

static int try_words(int count, char **words) {
    used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(words[0], verbs[i].name) == 0) return verbs[i].run(count - 1, words + 1);
    detail("unknown verb");
    return -ENOTSUP;
}

static void say(FILE *out, int result) {
    const char *name = result < 0 ? strerrorname_np(-result) : "ok";
    (void)fprintf(out, "gave %s %s\n", name == NULL ? "unknown" : name, text);
    (void)fflush(out);
}

static void serve(int connection) {
    static char line[LINE], output[LINE];
    const char *sandbox = getenv("BULKHEAD_SANDBOX");
    FILE *in = fdopen(connection, "r"), *out = fdopen(dup(connection), "w");
    if (in == NULL || out == NULL) return;
    (void)setvbuf(out, output, _IOFBF, sizeof(output));
    (void)fprintf(out, "here %s\n", sandbox == NULL ? "nowhere" : sandbox);
    (void)fflush(out);
    while (fgets(line, sizeof(line), in) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        (void)fprintf(out, "tried %s\n", line);
        (void)fflush(out);
        char *words[MOST_WORDS + 1] = {NULL}, *rest = line;
        int count = 0;
        while (count < MOST_WORDS && rest != NULL) words[count++] = strsep(&rest, "\t");
        say(out, try_words(count, words));
    }
}

/* To whom the declaration says, if it says so. */
static bool tell_ready(void) {
    static char path[] = "-", ready[] = "READY=1";
    char *words[] = {path, ready};
    return getenv("NOTIFY_SOCKET") == NULL || try_notify(2, words) == 0;
}

static int stay(void) {
    if (!tell_ready()) return 1;
    for (;;) (void)sleep(3600);
}

int main(int argc, char **argv) {
    if (argc >= 3 && strcmp(argv[1], "run") == 0) {
        int result = try_words(argc - 2, argv + 2);
        say(stdout, result);
        return result < 0 ? 1 : 0;
    }
    if (argc >= 2 && strcmp(argv[1], "hold") == 0) return hold_everything();
    if (argc >= 2 && strcmp(argv[1], "wait") == 0) return stay();
    /* What is tried may close a connection while it is written to. */
    (void)signal(SIGPIPE, SIG_IGN);
    if (!tell_ready()) return 1;
    for (;;) {
        int connection = accept4(LISTENER, NULL, NULL, SOCK_CLOEXEC);
        if (connection < 0) {
            if (errno == EINTR || errno == ECONNABORTED) continue;
            return 1;
        }
        pid_t child = fork();
        if (child == 0) {
            serve(connection);
            _exit(0);
        }
        (void)close(connection);
        while (waitpid(-1, NULL, WNOHANG) > 0) continue;
    }
}
