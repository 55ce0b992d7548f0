/* Ways not to get on, and ways to look as if one did. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "page.h"
#include "acts.h"

enum { STEP_USEC = 50000, STORM = 16 << 20 };

static void spins(int amount, int slot) {
    (void)amount, (void)slot;
    for (volatile unsigned long count = 0;; count++) continue;
}

static void spins_in_the_kernel(int amount, int slot) {
    (void)amount, (void)slot;
    static char entries[65536];
    int directory = open("/usr/bin", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (;;)
        if (syscall(SYS_getdents64, directory, entries, sizeof(entries)) <= 0) (void)lseek(directory, 0, SEEK_SET);
}

static pthread_mutex_t mine = PTHREAD_MUTEX_INITIALIZER, yours = PTHREAD_MUTEX_INITIALIZER;

static void take_both(int unused) {
    (void)unused;
    (void)pthread_mutex_lock(&yours);
    (void)usleep(2 * STEP_USEC);
    (void)pthread_mutex_lock(&mine);
}

static void locks_in_another_order(int amount, int slot) {
    (void)amount, (void)slot;
    (void)pthread_mutex_lock(&mine);
    in_background(take_both, 0);
    (void)usleep(STEP_USEC);
    (void)pthread_mutex_lock(&yours);
}

static void reads_what_nobody_writes(int amount, int slot) {
    (void)amount, (void)slot;
    int ends[2];
    char byte;
    if (pipe2(ends, O_CLOEXEC) == 0) (void)!read(ends[0], &byte, 1);
}

static void writes_state(int amount, int slot) {
    (void)amount, (void)slot;
    int file = open("/var/lib/plugin/notes", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) return;
    (void)!write(file, "note\n", 5);
    (void)fsync(file);
    (void)close(file);
}

/* The thread waits, uninterruptibly, until the child has executed something or ended. */
static void has_a_child_that_never_executes(int amount, int slot) {
    (void)amount, (void)slot;
    if (vfork() == 0)
        for (;;) (void)syscall(SYS_pause);
}

static void stops(int amount, int slot) {
    (void)amount, (void)slot;
    (void)kill(getpid(), SIGSTOP);
}

/* The main loop takes over so many requests, and forgets them. */
static void loses_requests(int amount, int slot) {
    (void)slot;
    manners.forgotten += amount == 0 ? 1 : amount;
}

static void falls_silent(int amount, int slot) {
    (void)amount, (void)slot;
    manners.silent = true;
}

/* The threads that serve end, this one with the request in its hands. */
static void loses_its_workers(int amount, int slot) {
    (void)amount, (void)slot;
    manners.workers_dead = true;
}

static void gets_on_slowly(int seconds, int slot) {
    for (int steps = seconds * (1000000 / STEP_USEC); steps > 0; steps--) {
        (void)usleep(STEP_USEC);
        page_progress(slot);
    }
}

/* The kernel makes pages for it and takes them away again, all the time. */
static void storms(int seconds, int slot) {
    (void)slot;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    for (time_t end = now.tv_sec + seconds; now.tv_sec < end; (void)clock_gettime(CLOCK_MONOTONIC, &now)) {
        char *pages = mmap(NULL, STORM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED) return;
        for (size_t at = 0; at < STORM; at += 4096) pages[at] = 1;
        (void)munmap(pages, STORM);
    }
}

static void is_not_ready(int amount, int slot) {
    (void)amount, (void)slot;
    manners.unready = true;
}

static void is_not_healthy(int amount, int slot) {
    (void)amount, (void)slot;
    manners.unhealthy = true;
}

static void flaps(int milliseconds, int slot) {
    (void)slot;
    manners.flapping = milliseconds == 0 ? 2000 : milliseconds;
}

const struct act STUCK[] = {
    {"spin", spins},
    {"kernel-spin", spins_in_the_kernel},
    {"deadlock", locks_in_another_order},
    {"read-pipe", reads_what_nobody_writes},
    {"write-state", writes_state},
    {"vfork", has_a_child_that_never_executes},
    {"stop", stops},
    {"lose", loses_requests},
    {"silent", falls_silent},
    {"lie", loses_its_workers},
    {"slow", gets_on_slowly},
    {"storm", storms},
    {"unready", is_not_ready},
    {"unhealthy", is_not_healthy},
    {"flap", flaps},
    {NULL, NULL},
};
