/*
 * The tests' payload: does one thing that is named by its first argument. Uses as few system calls as it can,
 * because it runs under the filters that are shipped.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void print_file(const char *label, const char *path) {
    char text[8192];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0) (void)close(fd);
    if (length < 0) {
        printf("%s\terror %d\n", label, errno);
        return;
    }
    text[length] = '\0';
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) printf("%s\t%s\n", label, line);
}

static void print_limit(const char *name, int which) {
    struct rlimit limit;
    (void)getrlimit(which, &limit);
    printf("%s\t%lu %lu\n", name, (unsigned long)limit.rlim_cur, (unsigned long)limit.rlim_max);
}

/* Everything a payload can say about itself, as "LABEL<tab>TEXT" lines. */
static int state(char **argv) {
    print_file("status", "/proc/self/status");
    print_file("oom", "/proc/self/oom_score_adj");
    for (int fd = 0; fd < 256; fd++) {
        char path[64], target[256];
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, target, sizeof(target) - 1);
        if (length < 0) continue;
        target[length] = '\0';
        printf("fd\t%d %s %s\n", fd, (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 ? "cloexec" : "open", target);
    }
    for (char **variable = environ; *variable != NULL; variable++) printf("env\t%s\n", *variable);
    for (char **argument = argv; *argument != NULL; argument++) printf("arg\t%s\n", *argument);
    print_limit("nofile", RLIMIT_NOFILE);
    print_limit("memlock", RLIMIT_MEMLOCK);
    print_limit("core", RLIMIT_CORE);
    char directory[4096];
    printf("cwd\t%s\n", getcwd(directory, sizeof(directory)));
    printf("ids\t%d %d\n", getpid(), getppid());
    printf("session\t%ld\n", syscall(SYS_getsid, 0));
    return 0;
}

static int notify(const char *text, size_t length, const int *pass) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL) return -1;
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct iovec vector = {.iov_base = (void *)text, .iov_len = length};
    struct msghdr message = {.msg_name = &address, .msg_namelen = sizeof(address), .msg_iov = &vector, .msg_iovlen = 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    if (pass != NULL) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), pass, sizeof(int));
    }
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    (void)close(fd);
    return sent < 0 ? -errno : 0;
}

static void pause_ms(long ms) {
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&time, &time) < 0 && errno == EINTR) continue;
}

/* Backslash escapes: \n, \0, \xHH. */
static size_t unescape(const char *text, char *out, size_t size) {
    size_t used = 0;
    while (*text != '\0' && used < size) {
        if (text[0] == '\\' && text[1] == 'n') {
            out[used++] = '\n', text += 2;
        } else if (text[0] == '\\' && text[1] == 'x') {
            unsigned int byte;
            if (sscanf(text + 2, "%2x", &byte) != 1) return used;
            out[used++] = (char)byte, text += 4;
        } else {
            out[used++] = *text++;
        }
    }
    return used;
}

static volatile sig_atomic_t caught;

static void on_signal(int number) { caught = number; }

/* Prints each signal it gets; ends with status 42 at SIGTERM. */
static int signals(const char *fate) {
    struct sigaction action = {.sa_handler = on_signal};
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) (void)sigaction(numbers[i], &action, NULL);
    printf("ready\n");
    for (;;) {
        pause_ms(5);
        if (caught == 0) continue;
        int number = caught;
        caught = 0;
        printf("signal %d\n", number);
        if (number == SIGTERM && strcmp(fate, "stubborn") != 0) return 42;
    }
}

static void *overflow(void *unused) {
    (void)unused;
    *(volatile int *)8 = 1;
    return NULL;
}

/* Leaves many orphans, which PID 1 has to reap, and waits for them to be gone. */
static int orphans(int count) {
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        if (child == 0) {
            if (fork() == 0) _exit(0);
            _exit(0);
        }
        if (child > 0) (void)waitpid(child, NULL, 0);
    }
    pause_ms(200);
    int left = 0;
    for (int pid = 3; pid < 3 + 3 * count; pid++) left += kill(pid, 0) == 0 && pid != getpid();
    printf("left %d\n", left);
    return left == 0 ? 0 : 1;
}

static long number(const char *text) { return strtol(text, NULL, 0); }

static volatile bool about_to_call;

static void *any_call(void *number_of_call) {
    about_to_call = true;
    (void)syscall(*(long *)number_of_call, 0, 0, 0, 0, 0, 0);
    return NULL;
}

/* Prints what a forbidden call gave that was not simply interrupted. */
static int evade(long call, long interval) {
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGALRM, &action, NULL);
    struct itimerval soon = {.it_interval = {.tv_usec = interval}, .it_value = {.tv_usec = interval}};
    (void)setitimer(ITIMER_REAL, &soon, NULL);
    for (int i = 0; i < 1000000; i++) {
        errno = 0;
        long result = syscall(call, 0, 0, 0, 0, 0, 0);
        if (result != -1 || errno != EINTR) printf("result %ld errno %d\n", result, errno);
    }
    return 0;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IONBF, 0);
    const char *what = argc > 1 ? argv[1] : "", *value = argc > 2 ? argv[2] : "";
    if (strcmp(what, "state") == 0) return state(argv);
    if (strcmp(what, "exit") == 0) return (int)number(value);
    if (strcmp(what, "abort") == 0) abort();
    if (strcmp(what, "segv") == 0) (void)overflow(NULL);
    if (strcmp(what, "kill") == 0) (void)kill(getpid(), (int)number(value));
    if (strcmp(what, "thread-segv") == 0) {
        pthread_t thread;
        (void)pthread_create(&thread, NULL, overflow, NULL);
        (void)pthread_join(thread, NULL);
    }
    /* thread-call NUMBER: from a second thread; the first one waits. */
    if (strcmp(what, "thread-call") == 0) {
        pthread_t thread;
        long call = number(value);
        (void)pthread_create(&thread, NULL, any_call, &call);
        (void)pthread_join(thread, NULL);
        return 0;
    }
    /* child-call NUMBER: from a child in a session of its own; prints how that ended, if it can. */
    if (strcmp(what, "child-call") == 0) {
        pid_t child = fork();
        if (child == 0) {
            (void)setsid();
            (void)syscall(number(value), 0, 0, 0, 0, 0, 0);
            _exit(0);
        }
        int status = 0;
        (void)waitpid(child, &status, 0);
        pause_ms(1000);
        printf("child %d\n", status);
        return 0;
    }
    /* orphan-call NUMBER: from a grandchild that belongs to PID 1. */
    if (strcmp(what, "orphan-call") == 0) {
        if (fork() == 0) {
            if (fork() == 0) {
                pause_ms(50);
                (void)syscall(number(value), 0, 0, 0, 0, 0, 0);
            }
            _exit(0);
        }
        pause_ms(5000);
        return 0;
    }
    /* evade NUMBER MICROSECONDS: interrupts its own calls with a timer, and goes on as long as it can. */
    if (strcmp(what, "evade") == 0 && argc > 3) return evade(number(value), number(argv[3]));
    /* fork-storm NUMBER: children that fork without end, then the call. */
    if (strcmp(what, "fork-storm") == 0) {
        for (int i = 0; i < 4; i++)
            if (fork() == 0)
                for (int n = 0; n < 100000; n++) {
                    if (fork() != 0) _exit(0);
                    (void)setsid();
                }
        pause_ms(30);
        (void)syscall(number(value), 0, 0, 0, 0, 0, 0);
        pause_ms(5000);
        return 0;
    }
    /* race-exec NUMBER TURNS: one thread makes the call, the other executes a program at about the same time. */
    if (strcmp(what, "race-exec") == 0) {
        pthread_t thread;
        long call = number(value);
        (void)pthread_create(&thread, NULL, any_call, &call);
        char *const argument[] = {argv[0], "sleep", "100", NULL};
        while (!about_to_call) continue;
        for (volatile long turns = argc > 3 ? number(argv[3]) : 0; turns > 0; turns = turns - 1) continue;
        (void)execve("/proc/self/exe", argument, environ);
        return 1;
    }
    /* call-in-turn NUMBER...: the one of this sandbox's generation, which its name ends with; after the last, sleeps. */
    if (strcmp(what, "call-in-turn") == 0) {
        const char *name = getenv("BULKHEAD_SANDBOX"), *digits = name == NULL ? NULL : strrchr(name, 'g');
        long generation = digits == NULL ? 0 : number(digits + 1);
        if (generation >= 1 && generation + 1 < argc) (void)syscall(number(argv[generation + 1]), 0L, 0L, 0L, 0L, 0L, 0L);
        pause_ms(600000);
        return 0;
    }
    /* call NUMBER [ARGUMENT...]: any system call, with its result. */
    if (strcmp(what, "call") == 0) {
        long arguments[6] = {0};
        for (int i = 3; i < argc && i < 9; i++) arguments[i - 3] = number(argv[i]);
        long result = syscall(number(value), arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
        printf("result %ld\n", result < 0 ? -(long)errno : result);
        return 0;
    }
#ifdef __x86_64__
    /* int80 NUMBER: through the 32-bit entry. */
    if (strcmp(what, "int80") == 0) {
        long result;
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(number(value)), "b"(0L), "c"(0L), "d"(0L) : "memory");
        printf("result %ld\n", result);
        return 0;
    }
#endif
    if (strcmp(what, "notify") == 0) {
        char text[8192];
        for (int i = 2; i < argc; i++) {
            int result = notify(text, unescape(argv[i], text, sizeof(text)), NULL);
            if (result != 0) return 1;
        }
        pause_ms(300);
        return 0;
    }
    /* notify-flood MS: nothing but messages for that long, a descriptor in each second one, then READY. */
    if (strcmp(what, "notify-flood") == 0) {
        struct timespec begin, now;
        char text[64];
        int input = 0;
        (void)clock_gettime(CLOCK_MONOTONIC, &begin);
        for (unsigned int i = 0;; i++) {
            int length = snprintf(text, sizeof(text), "STATUS=flood %u", i);
            (void)notify(text, (size_t)length, i % 2 == 0 ? &input : NULL);
            (void)clock_gettime(CLOCK_MONOTONIC, &now);
            if ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 > number(value)) break;
        }
        return notify("READY=1", 7, NULL) == 0 ? 9 : 1;
    }
    if (strcmp(what, "signals") == 0) return signals(value);
    if (strcmp(what, "orphans") == 0) return orphans((int)number(value));
    if (strcmp(what, "sleep") == 0) {
        pause_ms(number(value));
        return 0;
    }
    fprintf(stderr, "probe: unknown '%s'\n", what);
    return 2;
}
