#include "spawner/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spawner/journal.h"

/* As the forwarder wants it, and what is needed until it is executed. */
enum { CONTROL_FD = 3, GATE_FD, JOURNAL_FD, FIRST_UNUSED_FD };

/* Nothing of the daemon's is left open: what it holds would seem to be held by the daemon still. */
static int keep(int control, int gate, int journal) {
    int kept[] = {control, gate, journal}, count = sizeof(kept) / sizeof(kept[0]);
    for (int i = 0; i < count; i++)
        if ((kept[i] = fcntl(kept[i], F_DUPFD_CLOEXEC, FIRST_UNUSED_FD)) < 0) return -errno;
    for (int i = 0; i < count; i++)
        if (dup3(kept[i], CONTROL_FD + i, i == 0 ? 0 : O_CLOEXEC) < 0) return -errno;
    return syscall(SYS_close_range, FIRST_UNUSED_FD, ~0U, 0) < 0 ? -errno : 0;
}

/* The daemon's own keeps it from being killed; this one is worth as much as any process. */
static int usual_oom_score(void) {
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int result = write(fd, "0", 1) == 1 ? 0 : -errno;
    (void)close(fd);
    return result;
}

__attribute__((noreturn)) static void wait_and_execute(const struct box *box, int control, int gate, int journal) {
    char go;
    ssize_t got;
    int error = keep(control, gate, journal);
    if (error == 0 && setsid() < 0) error = -errno;
    if (error == 0) error = usual_oom_score();
    if (error < 0) _exit(EXIT_FAILURE);
    do got = read(GATE_FD, &go, 1);
    while (got < 0 && errno == EINTR);
    if (got != 1 || journal_streams(JOURNAL_FD, box->plugin) < 0) _exit(EXIT_FAILURE);
    (void)execv(box->forwarder[0], box->forwarder);
    (void)fprintf(stderr, "cannot execute '%s': %s\n", box->forwarder[0], strerror(errno));
    _exit(EXIT_FAILURE);
}

pid_t helper_start(const struct box *box, int journal, int *control, int *gate) {
    int sockets[2], gates[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0 || pipe2(gates, O_CLOEXEC) < 0) return -errno;
    pid_t pid = fork();
    if (pid < 0) return -errno;
    if (pid == 0) wait_and_execute(box, sockets[1], gates[0], journal);
    (void)close(sockets[1]);
    (void)close(gates[0]);
    *control = sockets[0];
    *gate = gates[1];
    return pid;
}
