#include "stdio/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is about the bridge, and not about its program. */
static const char *const own_variables[] = {"LISTEN_FDS",    "LISTEN_PID",   "LISTEN_FDNAMES",    "NOTIFY_SOCKET",
                                            "WATCHDOG_USEC", "WATCHDOG_PID", "BULKHEAD_ACTIVITY", NULL};

/* Empty where it has no path. */
static char directory[4096];

void process_open(void) {
    if (getcwd(directory, sizeof(directory)) == NULL || directory[0] != '/') directory[0] = '\0';
}

__attribute__((noreturn)) static void become(char **command, int input, int output, int errors) {
    sigset_t none;
    sigemptyset(&none);
    for (const char *const *name = own_variables; *name != NULL; name++) (void)unsetenv(*name);
    /* Handlers end with exec; what is ignored does not. */
    bool failed = signal(SIGPIPE, SIG_DFL) == SIG_ERR || sigprocmask(SIG_SETMASK, &none, NULL) < 0 ||
                  setpgid(0, 0) < 0 || (directory[0] != '\0' && chdir(directory) < 0) || dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0;
    if (!failed) (void)execvp(command[0], command);
    int error = errno;
    _exit(write(errors, &error, sizeof(error)) == sizeof(error) ? EXIT_FAILURE : EXIT_FAILURE + 1);
}

static void close_both(const int *ends) {
    (void)close(ends[0]);
    (void)close(ends[1]);
}

pid_t process_start(char **command, int *input, int *output) {
    int in[2], out[2], errors[2];
    if (pipe2(in, O_CLOEXEC) < 0) return -errno;
    if (pipe2(out, O_CLOEXEC) < 0) {
        int error = -errno;
        close_both(in);
        return error;
    }
    if (pipe2(errors, O_CLOEXEC) < 0) {
        int error = -errno;
        close_both(in);
        close_both(out);
        return error;
    }
    int error = 0;
    pid_t pid = fork();
    if (pid == 0) become(command, in[0], out[1], errors[1]);
    if (pid < 0) error = errno;
    (void)close(in[0]);
    (void)close(out[1]);
    (void)close(errors[1]);
    /* It ends with exec: nothing has come by then when all is well. */
    if (pid > 0 && read(errors[0], &error, sizeof(error)) == sizeof(error)) (void)waitpid(pid, NULL, 0);
    (void)close(errors[0]);
    if (error == 0 && (fcntl(in[1], F_SETFL, O_NONBLOCK) < 0 || fcntl(out[0], F_SETFL, O_NONBLOCK) < 0)) error = errno;
    if (error != 0) {
        (void)close(in[1]);
        (void)close(out[0]);
        return -error;
    }
    *input = in[1];
    *output = out[0];
    return pid;
}

void process_signal(pid_t pid, int number) {
    /* The group is there since before exec. */
    if (pid > 1) (void)kill(-pid, number);
}

const char *process_end_text(int status) {
    static char text[64];
    if (WIFEXITED(status)) {
        (void)snprintf(text, sizeof(text), "ended with status %d", WEXITSTATUS(status));
    } else {
        const char *name = sigabbrev_np(WTERMSIG(status));
        if (name != NULL) (void)snprintf(text, sizeof(text), "was killed by SIG%s", name);
        else (void)snprintf(text, sizeof(text), "was killed by signal %d", WTERMSIG(status));
    }
    return text;
}
