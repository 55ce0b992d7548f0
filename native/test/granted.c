/*
 * Uses what `allow` of a declaration grants, each as a program would: `granted io_uring|keyring|perf|ptrace`. Prints
 * `NAME works` at the end; the first thing that does not work is told with its error, and ends it with 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void check(bool good, const char *what) {
    if (good) return;
    printf("%s: %s\n", what, strerror(errno));
    exit(1);
}

/* A ring, a read of /proc/self/stat through it, its result. */
static void use_io_uring(void) {
    struct io_uring_params parameters = {0};
    char text[64] = "";
    int ring = (int)syscall(SYS_io_uring_setup, 4, &parameters);
    check(ring >= 0, "io_uring_setup");
    check((parameters.features & IORING_FEAT_SINGLE_MMAP) != 0, "single mmap");
    size_t size = parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe);
    size_t other = parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned int);
    if (other > size) size = other;
    char *queues = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *entries = mmap(NULL, parameters.sq_entries * sizeof(*entries), PROT_READ | PROT_WRITE,
                                        MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
    check(queues != MAP_FAILED && (void *)entries != MAP_FAILED, "mmap of the ring");
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    check(fd >= 0, "open");
    entries[0] = (struct io_uring_sqe){.opcode = IORING_OP_READ, .fd = fd, .addr = (uintptr_t)text, .len = sizeof(text) - 1};
    *(unsigned int *)(void *)(queues + parameters.sq_off.array) = 0;
    __atomic_store_n((unsigned int *)(void *)(queues + parameters.sq_off.tail), 1, __ATOMIC_RELEASE);
    check(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1, "io_uring_enter");
    const struct io_uring_cqe *result = (void *)(queues + parameters.cq_off.cqes);
    check(result->res > 0 && strtol(text, NULL, 10) == getpid(), "read by the ring");
}

static void use_keyring(void) {
    char text[16] = "";
    long key = syscall(SYS_add_key, "user", "bulkhead-test", "secret", 6, KEY_SPEC_PROCESS_KEYRING);
    check(key > 0, "add_key");
    check(syscall(SYS_keyctl, KEYCTL_READ, key, text, sizeof(text)) == 6 && strcmp(text, "secret") == 0, "KEYCTL_READ");
    check(syscall(SYS_request_key, "user", "bulkhead-test", NULL, KEY_SPEC_PROCESS_KEYRING) == key, "request_key");
    check(syscall(SYS_keyctl, KEYCTL_REVOKE, key) == 0, "KEYCTL_REVOKE");
}

static void use_perf(void) {
    struct perf_event_attr attributes = {.size = sizeof(attributes), .type = PERF_TYPE_SOFTWARE,
        .config = PERF_COUNT_SW_TASK_CLOCK, .disabled = 1, .exclude_kernel = 1, .exclude_hv = 1};
    int event = (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    check(event >= 0, "perf_event_open");
    check(ioctl(event, PERF_EVENT_IOC_ENABLE, 0) == 0, "PERF_EVENT_IOC_ENABLE");
    for (volatile int i = 0; i < 1000000; i = i + 1) continue;
    uint64_t nanoseconds = 0;
    check(read(event, &nanoseconds, sizeof(nanoseconds)) == sizeof(nanoseconds) && nanoseconds > 0, "read of the counter");
}

static void use_ptrace(void) {
    static volatile long value = 41;
    int status;
    pid_t child = fork();
    if (child == 0) {
        check(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0, "PTRACE_TRACEME");
        (void)raise(SIGSTOP);
        _exit((int)value);
    }
    check(child > 0 && waitpid(child, &status, 0) == child && WIFSTOPPED(status), "the child stops");
    check(ptrace(PTRACE_PEEKDATA, child, (void *)&value, NULL) == 41, "PTRACE_PEEKDATA");
    check(ptrace(PTRACE_POKEDATA, child, (void *)&value, (void *)42L) == 0, "PTRACE_POKEDATA");
    long read_value = 0;
    struct iovec here = {&read_value, sizeof(read_value)}, there = {(void *)&value, sizeof(value)};
    check(process_vm_readv(child, &here, 1, &there, 1, 0) == sizeof(value) && read_value == 42, "process_vm_readv");
    check(ptrace(PTRACE_DETACH, child, NULL, NULL) == 0, "PTRACE_DETACH");
    check(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 42, "the child ends");
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*use)(void);
    } grants[] = {{"io_uring", use_io_uring}, {"keyring", use_keyring}, {"perf", use_perf}, {"ptrace", use_ptrace}};
    setvbuf(stdout, NULL, _IONBF, 0);
    for (size_t i = 0; argc > 1 && i < sizeof(grants) / sizeof(grants[0]); i++) {
        if (strcmp(argv[1], grants[i].name) != 0) continue;
        grants[i].use();
        printf("%s works\n", grants[i].name);
        /* Stays, so that it can be looked at. */
        if (argc > 2) (void)nanosleep(&(struct timespec){.tv_sec = strtol(argv[2], NULL, 10)}, NULL);
        return 0;
    }
    fprintf(stderr, "granted: unknown '%s'\n", argc > 1 ? argv[1] : "");
    return 2;
}
