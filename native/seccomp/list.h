#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A seccomp list: one system call a line, each with its reason. The format is described at the head of
 * templates/seccomp/core.list.
 */

enum { MAX_CONDITIONS = 3, MAX_VALUES = 48, MAX_INCLUDE_DEPTH = 8 };

/* A demand on one argument of a call. */
struct condition {
    unsigned int argument;
    /* The kernel takes only its lower 32 bits. */
    bool narrow;
    /* All of these bits must be clear; else the argument must be one of the values. */
    bool without;
    uint64_t values[MAX_VALUES];
    size_t value_count;
    /* As written, for `show`. */
    char text[1024];
};

struct place {
    const char *file;
    int line;
    int column;
};

struct entry {
    struct place place;
    char name[64];
    /* The call's number; negative: it does not exist on this architecture. */
    int number;
    /* 0: allowed; else the call is not executed and this is the error it gives. */
    int error;
    /* Init is asked about each such call. */
    bool asked;
    struct condition conditions[MAX_CONDITIONS];
    size_t condition_count;
    char reason[256];
};

struct list {
    struct entry *entries;
    size_t count, capacity;
    /* Where lists that are included are looked for, before the directory of the list that includes them. */
    const char **directories;
    size_t directory_count;
    /* How many problems were printed. */
    int problems;
};

/* Prints `file:line:column: BH603 message` and counts it. */
__attribute__((format(printf, 3, 4))) void list_problem(struct list *list, struct place place, const char *format, ...);

/* Reads a list and all that it includes. Problems are printed, all of them, and counted. */
void list_read(struct list *list, const char *file);

/*
 * Reads another list and lays it over this one: its lines take the place of those for the same call, but stand beside
 * them where both have conditions, and not the same ones.
 */
void list_add(struct list *list, const char *file);
