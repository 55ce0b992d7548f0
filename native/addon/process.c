/* What is done to one process that cannot be mistaken for another one (pidfd_open(2)). */
#include "addon.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* openProcess(pid): a descriptor that stands for this process, and no later one of the same number */
napi_value open_process(napi_env env, napi_callback_info info) {
    napi_value values[1];
    int pid;
    if (!arguments(env, info, 1, values) || !to_int(env, values[0], "pid", &pid)) return NULL;
    long fd = syscall(SYS_pidfd_open, pid, 0);
    return from_int(env, fd < 0 ? -errno : fd);
}

/* queueSignal(fd, signal, value): 0; the value comes with the signal, as sigqueue(3) does it */
napi_value queue_signal(napi_env env, napi_callback_info info) {
    napi_value values[3];
    int fd, number, value;
    if (!arguments(env, info, 3, values) || !to_int(env, values[0], "fd", &fd) ||
        !to_int(env, values[1], "signal", &number) || !to_int(env, values[2], "value", &value))
        return NULL;
    siginfo_t signal;
    (void)memset(&signal, 0, sizeof(signal));
    signal.si_signo = number;
    signal.si_code = SI_QUEUE;
    signal.si_pid = getpid();
    signal.si_uid = getuid();
    signal.si_value.sival_int = value;
    return from_int(env, syscall(SYS_pidfd_send_signal, fd, number, &signal, 0) < 0 ? -errno : 0);
}

/* takeDescriptor(fd, theirs): a close-on-exec copy of a descriptor of the process (pidfd_getfd(2)) */
napi_value take_descriptor(napi_env env, napi_callback_info info) {
    napi_value values[2];
    int fd, theirs;
    if (!arguments(env, info, 2, values) || !to_int(env, values[0], "fd", &fd) || !to_int(env, values[1], "theirs", &theirs))
        return NULL;
    long copy = syscall(SYS_pidfd_getfd, fd, theirs, 0);
    return from_int(env, copy < 0 ? -errno : copy);
}
