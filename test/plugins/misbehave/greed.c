/* Ways to take more than one's share, at once or little by little. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "acts.h"

enum { MEGABYTE = 1 << 20, PAGE = 4096, SECOND_USEC = 1000000 };

/* Written to by a pointer that no compiler sees through: it would leave out what nobody reads. */
static void take_megabyte(void) {
    volatile char *piece = malloc(MEGABYTE);
    for (size_t at = 0; piece != NULL && at < MEGABYTE; at += PAGE) piece[at] = 1;
}

static void eats(int megabytes, int slot) {
    (void)slot;
    for (int eaten = 0; megabytes == 0 || eaten < megabytes; eaten++) take_megabyte();
}

/* Without what the child was to do there is nothing to answer. */
static void has_a_child_that_eats(int megabytes, int slot) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        eats(megabytes, slot);
        _exit(0);
    }
    if (waitpid(child, &status, 0) == child && WIFSIGNALED(status)) _exit(1);
}

static void has_children_that_have_children(int amount, int slot) {
    (void)amount, (void)slot;
    if (fork() != 0) return;
    for (;;)
        if (fork() < 0) (void)usleep(SECOND_USEC / 100);
}

/* So many a second, for ever. */
static void leak(void (*one)(void), int per_second) {
    for (;;) {
        one();
        (void)usleep((useconds_t)(SECOND_USEC / per_second));
    }
}

static void leave_open(void) {
    (void)open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void *wait_for_ever(void *unused) {
    for (;;) (void)pause();
    return unused;
}

static void leave_running(void) {
    pthread_attr_t small;
    pthread_t thread;
    (void)pthread_attr_init(&small);
    (void)pthread_attr_setstacksize(&small, 65536);
    (void)pthread_create(&thread, &small, wait_for_ever, NULL);
    (void)pthread_attr_destroy(&small);
}

static void leak_memory(int per_second) {
    leak(take_megabyte, per_second);
}

static void leak_files(int per_second) {
    leak(leave_open, per_second);
}

static void leak_threads(int per_second) {
    leak(leave_running, per_second);
}

static void leaks_memory(int amount, int slot) {
    (void)slot;
    in_background(leak_memory, amount == 0 ? 4 : amount);
}

static void leaks_files(int amount, int slot) {
    (void)slot;
    in_background(leak_files, amount == 0 ? 20 : amount);
}

static void leaks_threads(int amount, int slot) {
    (void)slot;
    in_background(leak_threads, amount == 0 ? 5 : amount);
}

static void say(int lines_per_second) {
    static const char line[] = "nobody wants to know this, but it is written down again and again and again\n";
    for (;;) {
        for (int said = 0; said < lines_per_second / 50; said++)
            if (write(STDOUT_FILENO, line, sizeof(line) - 1) < 0) return;
        (void)usleep(SECOND_USEC / 50);
    }
}

static void floods_the_log(int amount, int slot) {
    (void)slot;
    in_background(say, amount == 0 ? 1000 : amount);
}

const struct act GREED[] = {
    {"eat", eats},
    {"eat-in-child", has_a_child_that_eats},
    {"fork-bomb", has_children_that_have_children},
    {"leak-memory", leaks_memory},
    {"leak-files", leaks_files},
    {"leak-threads", leaks_threads},
    {"log-flood", floods_the_log},
    {NULL, NULL},
};
