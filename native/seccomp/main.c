/*
 * bulkhead-seccomp: turns a seccomp list into the filter that plugin-init loads.
 *
 *   bulkhead-seccomp compile FILE.list [OPTION...] -o OUT.bpf    writes the filter, atomically, mode 0600
 *   bulkhead-seccomp check FILE.list [OPTION...]                 says what is wrong with it
 *   bulkhead-seccomp show FILE.list [OPTION...]                  lists what it allows, includes resolved
 *   bulkhead-seccomp rules FILE.list [OPTION...]                 the same for programs: a line of JSON each
 *   bulkhead-seccomp name NUMBER                                 a system call's name, for a number in a trace or log
 *
 *   --add OTHER.list   lays another list over it; may be given several times, and so may the next
 *   --include DIR      looks for lists that are included there first
 *
 * Exit status: 0; 1 if the list has problems (each as FILE:LINE:COLUMN: BH603 ...) or cannot be written; 2 usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/text.h"
#include "seccomp/filter.h"
#include "seccomp/list.h"

static int by_number(const void *one, const void *other) {
    const struct entry *a = one, *b = other;
    return a->number != b->number ? (a->number > b->number) - (a->number < b->number) : a->place.line - b->place.line;
}

static void show(struct list *list) {
    qsort(list->entries, list->count, sizeof(struct entry), by_number);
    for (size_t i = 0; i < list->count; i++) {
        const struct entry *entry = &list->entries[i];
        if (entry->number < 0)
            (void)printf("   - %s", entry->name);
        else
            (void)printf("%4d %s", entry->number, entry->name);
        for (size_t c = 0; c < entry->condition_count; c++) (void)printf(" %s", entry->conditions[c].text);
        if (entry->error != 0) (void)printf(" errno=%s", strerrorname_np(entry->error));
        if (entry->asked) (void)printf(" ask=init");
        (void)printf("  # %s\n", entry->reason);
    }
}

/* Texts of lists are printed whole, but for what would end a string of JSON. */
static void print_quoted(const char *text) {
    char clean[1100], quoted[2 * sizeof(clean) + 1];
    (void)text_clean(text, strlen(text), clean, sizeof(clean));
    text_quote(clean, quoted, sizeof(quoted));
    (void)printf("\"%s\"", quoted);
}

static void print_condition(const struct condition *condition) {
    (void)printf("{\"text\":");
    print_quoted(condition->text);
    (void)printf(",\"argument\":%u,\"without\":%s,\"values\":[", condition->argument, condition->without ? "true" : "false");
    for (size_t i = 0; i < condition->value_count; i++)
        (void)printf("%s\"%llu\"", i == 0 ? "" : ",", (unsigned long long)condition->values[i]);
    (void)printf("]}");
}

static void print_rules(struct list *list) {
    qsort(list->entries, list->count, sizeof(struct entry), by_number);
    for (size_t i = 0; i < list->count; i++) {
        const struct entry *entry = &list->entries[i];
        if (entry->number < 0) continue;
        (void)printf("{\"call\":\"%s\",\"errno\":\"%s\",\"conditions\":[", entry->name,
                     entry->error == 0 ? "" : strerrorname_np(entry->error));
        for (size_t c = 0; c < entry->condition_count; c++) {
            if (c > 0) (void)putchar(',');
            print_condition(&entry->conditions[c]);
        }
        (void)printf("],\"reason\":");
        print_quoted(entry->reason);
        (void)printf("}\n");
    }
}

static int failed(const char *what, const char *path) {
    (void)fprintf(stderr, "bulkhead-seccomp: cannot %s '%s': %s\n", what, path, strerror(errno));
    return 1;
}

/* Beside the target, so that rename(2) is atomic; synced first, so that a crash leaves no empty file under the name. */
static int compile(scmp_filter_ctx filter, const char *out) {
    char *temporary, *copy = strdup(out);
    if (copy == NULL || asprintf(&temporary, "%s.XXXXXX", out) < 0) return failed("write", out);
    const char *directory = dirname(copy);
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) return failed("create a file beside", out);

    struct stat status;
    int error = seccomp_export_bpf(filter, fd);
    if (error < 0) errno = -error;
    int result = 0;
    if (error < 0 || fstat(fd, &status) < 0 || fsync(fd) < 0) {
        result = failed("write", temporary);
    } else if (status.st_size > MAX_INSTRUCTIONS * 8) {
        (void)fprintf(stderr, "bulkhead-seccomp: the filter has %lld instructions; %d are the most\n",
                      (long long)status.st_size / 8, MAX_INSTRUCTIONS);
        result = 1;
    } else if (rename(temporary, out) < 0) {
        result = failed("rename a file to", out);
    }
    (void)close(fd);
    if (result != 0) {
        (void)unlink(temporary);
        return result;
    }
    int directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory_fd < 0 || fsync(directory_fd) < 0) return failed("sync", directory);
    (void)close(directory_fd);
    return 0;
}

/* With the secret that init knows, and nothing else. */
static bool is_for_init(const struct entry *entry) {
    const struct condition *only = &entry->conditions[0];
    return entry->condition_count == 1 && only->argument == SECRET_ARGUMENT && !only->narrow && !only->without &&
           only->value_count == 1 && only->values[0] == SECRET_PLACEHOLDER;
}

/*
 * What init itself calls under the filter: without it the program would never be executed. A line with a condition
 * does not count, for who knows whether init meets it.
 */
static void demand_init_calls(struct list *list, const char *file) {
    static const char *const demanded[] = {"execve", "sendmsg", "write", "exit_group"};
    for (size_t i = 0; i < sizeof(demanded) / sizeof(demanded[0]); i++) {
        bool found = false;
        for (size_t e = 0; e < list->count && !found; e++) {
            const struct entry *entry = &list->entries[e];
            found = strcmp(entry->name, demanded[i]) == 0 && entry->error == 0 && !entry->asked &&
                    (entry->condition_count == 0 || (i == 0 && is_for_init(entry)));
        }
        if (!found)
            list_problem(list, (struct place){file, 1, 1}, "'%s' has to be allowed: init needs it under the filter", demanded[i]);
    }
}

static int print_name(const char *text) {
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < 0 || number > INT_MAX) return -1;
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)number);
    if (name == NULL) {
        (void)fprintf(stderr, "bulkhead-seccomp: no system call has the number %ld\n", number);
        return 1;
    }
    (void)puts(name);
    free(name);
    return 0;
}

static int usage(void) {
    (void)fputs("usage: bulkhead-seccomp compile FILE.list [--add OTHER.list]... [--include DIR]... -o OUT.bpf\n"
                "       bulkhead-seccomp check FILE.list [--add OTHER.list]... [--include DIR]...\n"
                "       bulkhead-seccomp show FILE.list [--add OTHER.list]... [--include DIR]...\n"
                "       bulkhead-seccomp rules FILE.list [--add OTHER.list]... [--include DIR]...\n"
                "       bulkhead-seccomp name NUMBER\n", stderr);
    return 2;
}

enum { MAX_OPTIONS = 32 };

/* Words after the file come in pairs: an option and its value. */
static bool read_options(char **words, struct list *list, const char **added, size_t *added_count, const char **out) {
    for (; words[0] != NULL; words += 2) {
        if (words[1] == NULL || *added_count == MAX_OPTIONS || list->directory_count == MAX_OPTIONS) return false;
        if (strcmp(words[0], "--add") == 0)
            added[(*added_count)++] = words[1];
        else if (strcmp(words[0], "--include") == 0)
            list->directories[list->directory_count++] = words[1];
        else if (strcmp(words[0], "-o") == 0 && *out == NULL)
            *out = words[1];
        else
            return false;
    }
    return true;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "name") == 0) {
        int result = print_name(argv[2]);
        return result < 0 ? usage() : result;
    }
    if (argc < 3) return usage();
    bool to_compile = strcmp(argv[1], "compile") == 0, to_show = strcmp(argv[1], "show") == 0;
    bool to_rule = strcmp(argv[1], "rules") == 0;
    const char *directories[MAX_OPTIONS], *added[MAX_OPTIONS], *out = NULL;
    size_t added_count = 0;
    struct list list = {.directories = directories};
    if (!to_compile && !to_show && !to_rule && strcmp(argv[1], "check") != 0) return usage();
    if (!read_options(argv + 3, &list, added, &added_count, &out) || to_compile != (out != NULL)) return usage();

    list_read(&list, argv[2]);
    for (size_t i = 0; i < added_count; i++) list_add(&list, added[i]);
    if (to_compile && list.problems == 0) demand_init_calls(&list, argv[2]);
    if (list.problems > 0) return 1;
    scmp_filter_ctx filter = filter_make(&list);
    if (filter == NULL) return 1;
    if (to_show) show(&list);
    if (to_rule) print_rules(&list);
    int result = to_compile ? compile(filter, out) : 0;
    seccomp_release(filter);
    free(list.entries);
    return result;
}
