/* What this process is and has, and programs that it starts. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"

extern char **environ;

static ssize_t read_file(const char *path, char *text, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);
    int error = errno;
    if (fd >= 0) (void)close(fd);
    if (got < 0) return -error;
    text[got] = '\0';
    return got;
}

/* status FIELD: of /proc/self/status. */
int try_status(int count, char **words) {
    char text[8192], *rest = text;
    ssize_t got = read_file("/proc/self/status", text, sizeof(text));
    if (got < 0 || count < 1) return got < 0 ? (int)got : -ENOTSUP;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        size_t length = strlen(words[0]);
        if (strncmp(line, words[0], length) != 0 || line[length] != ':') continue;
        for (char *word; (word = strtok(line == NULL ? NULL : line + length + 1, " \t")) != NULL; line = NULL) detail("%s ", word);
        return 0;
    }
    return -ENOENT;
}

/* Who it is and what holds it, on one line: the same for whatever it executes. */
int try_ids(int count, char **words) {
    (void)count;
    (void)words;
    static char *fields[] = {"Uid", "Gid", "Groups", "CapPrm", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "Seccomp_filters"};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        detail("%s=", fields[i]);
        int result = try_status(1, &fields[i]);
        if (result < 0) return result;
    }
    return 0;
}

int try_environment(int count, char **words) {
    (void)count;
    (void)words;
    for (char **variable = environ; *variable != NULL; variable++) {
        detail_bytes(*variable, strlen(*variable));
        detail(";");
    }
    return 0;
}

/* Every open descriptor: number, what it is, and how it may be used. */
int try_descriptors(int count, char **words) {
    (void)count;
    (void)words;
    for (int fd = 0; fd < 65536; fd++) {
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0) continue;
        char path[64], target[256];
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, target, sizeof(target));
        detail("%d=%s:", fd, (flags & O_ACCMODE) == O_RDONLY ? "r" : (flags & O_ACCMODE) == O_WRONLY ? "w" : "rw");
        detail_bytes(target, length < 0 ? 0 : (size_t)length);
        detail(" ");
    }
    return 0;
}

/* exec PATH ARGUMENTS...: its output and how it ended; at most ten seconds. */
int try_exec(int count, char **words) {
    int output[2];
    if (count < 1 || pipe2(output, O_CLOEXEC) < 0) return -ENOTSUP;
    int errors[2];
    if (pipe2(errors, O_CLOEXEC) < 0) return -errno;
    pid_t child = fork();
    if (child < 0) return -errno;
    if (child == 0) {
        (void)dup2(output[1], 1);
        (void)dup2(output[1], 2);
        (void)signal(SIGPIPE, SIG_DFL);
        (void)alarm(10);
        (void)execv(words[0], words);
        int error = errno;
        (void)!write(errors[1], &error, sizeof(error));
        _exit(127);
    }
    (void)close(output[1]);
    (void)close(errors[1]);
    char text[4096];
    for (ssize_t got; (got = read(output[0], text, sizeof(text))) > 0;) detail_bytes(text, (size_t)got);
    int error = 0, status = 0;
    ssize_t failed = read(errors[0], &error, sizeof(error));
    (void)close(output[0]);
    (void)close(errors[0]);
    if (waitpid(child, &status, 0) < 0) return -errno;
    if (failed == sizeof(error)) return -error;
    detail(WIFEXITED(status) ? " (exit %d)" : " (signal %d)", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    return 0;
}

/* rename-self TEXT: what /proc/PID/comm says. */
int try_rename_self(int count, char **words) {
    if (count < 1) return -ENOTSUP;
    (void)word_unescape(words[0]);
    return prctl(PR_SET_NAME, words[0]) < 0 ? -errno : 0;
}

/* title TEXT: over the arguments that the kernel shows in /proc/PID/cmdline. */
int try_title(int count, char **words) {
    char text[4096];
    if (count < 1) return -ENOTSUP;
    size_t length = word_unescape(words[0]);
    ssize_t got = read_file("/proc/self/stat", text, sizeof(text));
    if (got < 0) return (int)got;
    /* proc_pid_stat(5): arg_start and arg_end are the fields 48 and 49, the first after the name is 3. */
    char *rest = strrchr(text, ')') + 2;
    unsigned long begin = 0, end = 0;
    for (int field = 3; field <= 49 && rest != NULL; field++) {
        const char *word = strsep(&rest, " ");
        if (field == 48) begin = strtoul(word, NULL, 10);
        if (field == 49) end = strtoul(word, NULL, 10);
    }
    if (end <= begin) return -ENODATA;
    size_t room = end - begin;
    (void)memset((char *)begin, 'x', room);
    (void)memcpy((char *)begin, words[0], length < room ? length : room);
    detail("%zu", room);
    return 0;
}

/* alive PID: whether such a process can be seen. */
int try_alive(int count, char **words) {
    if (count < 1) return -ENOTSUP;
    return kill((pid_t)word_number(words[0]), 0) < 0 ? -errno : 0;
}

/* crash: by a signal that makes the kernel write a core file, in a child of its own. */
int try_crash(int count, char **words) {
    pid_t child = fork();
    if (child < 0) return -errno;
    if (child == 0) {
        if (count > 0) (void)word_unescape(words[0]);
        if (count > 0) (void)prctl(PR_SET_NAME, words[0]);
        abort();
    }
    int status = 0;
    if (waitpid(child, &status, 0) < 0) return -errno;
    detail("signal %d core %d", WTERMSIG(status), WCOREDUMP(status) ? 1 : 0);
    return 0;
}

/* linger: a daemon in a session of its own, whose parent goes. */
int try_linger(int count, char **words) {
    (void)words;
    (void)count;
    pid_t child = fork();
    if (child < 0) return -errno;
    if (child == 0) {
        (void)setsid();
        if (fork() != 0) _exit(0);
        for (int i = 0; i < 600; i++) (void)sleep(1);
        _exit(0);
    }
    return waitpid(child, NULL, 0) < 0 ? -errno : 0;
}
