/*
 * The child: from clone3(2) to init. It is alone in its namespaces and root of them, and every step is fatal. It makes
 * its view before the gate; what has to happen inside of its unit, and the end of its privileges, come behind it.
 */
#include "spawner/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/capability.h"
#include "base/connection.h"
#include "spawner/journal.h"
#include "spawner/view.h"

enum { FIRST_FD = 3 };
/* When there is nobody left to tell, or nobody who wants to know. */
enum { EXIT_GIVEN_UP = 70 };

/* The end of the gate means that daemon or supervisor have gone. */
static void wait_at_gate(int gate) {
    char go;
    ssize_t got;
    do got = read(gate, &go, 1);
    while (got < 0 && errno == EINTR);
    if (got != 1) _exit(EXIT_GIVEN_UP);
}

static int become_root(void) {
    if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) return -errno;
    (void)umask(0022);
    return 0;
}

/* Not the daemon's keys. A kernel without keyrings has none to give. */
static int leave_keyring(void) {
    return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS ? -errno : 0;
}

static int loopback_up(void) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int result = ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
    (void)close(fd);
    return result;
}

static int limit_files(unsigned long count) {
    struct rlimit limit = {.rlim_cur = count, .rlim_max = count};
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

/* From 3 on, in their order; everything else ends with exec. `status` is moved out of the way, too. */
static int place_descriptors(const struct child *child, int *status) {
    int copies[CONNECTION_MAX_FDS], above = FIRST_FD + (int)child->fd_count;
    if ((*status = fcntl(*status, F_DUPFD_CLOEXEC, above)) < 0) return -errno;
    for (size_t i = 0; i < child->fd_count; i++)
        if ((copies[i] = fcntl(child->fds[i], F_DUPFD_CLOEXEC, above)) < 0) return -errno;
    for (size_t i = 0; i < child->fd_count; i++)
        if (dup2(copies[i], FIRST_FD + (int)i) < 0) return -errno;
    return syscall(SYS_close_range, (unsigned int)above, ~0U, CLOSE_RANGE_CLOEXEC) < 0 ? -errno : 0;
}

/* Returns only on failure. What init is told beside its arguments is how many descriptors it was given. */
static int execute(const struct child *child) {
    char count[32];
    (void)snprintf(count, sizeof(count), "LISTEN_FDS=%zu", child->fd_count);
    char *const environment[] = {count, (char *)"LISTEN_PID=1", NULL};
    (void)execve(child->box->command[0], child->box->command, environment);
    return -errno;
}

#define STEP(name, expression) \
    if ((error = (expression)) < 0) return (struct failure){.step = (name), .error = -error, .mount = -1}
#define CALL(expression) ((expression) < 0 ? -errno : 0)

static struct failure before_gate(const struct child *child) {
    const struct box *box = child->box;
    int error;
    STEP(STEP_SESSION, CALL(setsid()));
    STEP(STEP_IDS, become_root());
    STEP(STEP_KEYRING, leave_keyring());
    STEP(STEP_HOST_NAME, CALL(sethostname(box->machine, strlen(box->machine))));
    STEP(STEP_NETWORK, box->own_network ? CALL(unshare(CLONE_NEWNET)) : 0);
    STEP(STEP_LOOPBACK, box->own_network ? loopback_up() : 0);
    return view_build(box, child->sources);
}

static struct failure behind_gate(const struct child *child, int *status) {
    const struct box *box = child->box;
    int error;
    STEP(STEP_CGROUP_NAMESPACE, CALL(unshare(CLONE_NEWCGROUP)));
    STEP(STEP_CGROUP, view_add_cgroup());
    STEP(STEP_STREAMS, journal_streams(child->sources->journal, box->plugin));
    STEP(STEP_BOUNDING_SET, capability_bound(box->capabilities));
    STEP(STEP_CAPABILITIES, capability_limit(box->capabilities, 0));
    STEP(STEP_NO_NEW_PRIVS, CALL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
    STEP(STEP_PLACE_DESCRIPTORS, place_descriptors(child, status));
    STEP(STEP_LIMITS, limit_files(box->open_files));
    STEP(STEP_EXEC, execute(child));
    return (struct failure){.step = STEP_EXEC, .error = ENOEXEC, .mount = -1};
}

__attribute__((noreturn)) static void give_up(int status, struct failure failure) {
    /* Nobody is left to tell when this fails; the process ends in any case. */
    (void)!write(status, &failure, sizeof(failure));
    _exit(EXIT_GIVEN_UP);
}

void child_run(const struct child *child) {
    int status = child->status;
    /* Until its ids are mapped it is nobody. */
    wait_at_gate(child->gate);
    struct failure failure = before_gate(child);
    if (failure.error != 0) give_up(status, failure);
    wait_at_gate(child->gate);
    give_up(status, behind_gate(child, &status));
}
