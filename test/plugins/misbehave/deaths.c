/* Ways to die. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "acts.h"

static void exits(int status, int slot) {
    (void)slot;
    _exit(status);
}

static void reads_nowhere(int amount, int slot) {
    (void)amount, (void)slot;
    volatile int *volatile nowhere = NULL;
    *nowhere = 1;
}

static void aborts(int amount, int slot) {
    (void)amount, (void)slot;
    abort();
}

static void makes_a_forbidden_call(int amount, int slot) {
    (void)amount, (void)slot;
    (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static void executes_another_program(int amount, int slot) {
    (void)amount, (void)slot;
    char *const words[] = {"sh", "-c", "exit 0", NULL};
    (void)execv("/bin/sh", words);
}

/* The child is in a session of its own and lets itself be told nothing. */
static void leaves_a_child(int amount, int slot) {
    (void)amount, (void)slot;
    if (fork() == 0) {
        (void)setsid();
        for (int number = 1; number < NSIG; number++) (void)signal(number, SIG_IGN);
        for (;;) (void)pause();
    }
    _exit(3);
}

const struct act DEATHS[] = {
    {"exit", exits},
    {"segv", reads_nowhere},
    {"abrt", aborts},
    {"forbidden-call", makes_a_forbidden_call},
    {"forbidden-exec", executes_another_program},
    {"leave-child", leaves_a_child},
    {NULL, NULL},
};
