#include "seccomp/list.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "seccomp/word.h"

/* A line longer than this is no list's. */
enum { LIST_LINE_SIZE = 2048, MAX_ENTRIES = 1024 };

void list_problem(struct list *list, struct place place, const char *format, ...) {
    va_list values;
    list->problems++;
    (void)fprintf(stderr, "%s:%d:%d: BH603 ", place.file, place.line, place.column);
    va_start(values, format);
    (void)vfprintf(stderr, format, values);
    va_end(values);
    (void)fputc('\n', stderr);
}

static void *checked(void *memory) {
    if (memory != NULL) return memory;
    (void)fputs("bulkhead-seccomp: out of memory\n", stderr);
    exit(1);
}

/* One line while it is taken apart. */
struct cursor {
    struct list *list;
    const char *start, *at;
    struct place place;
};

static struct place here(const struct cursor *cursor, const char *at) {
    struct place place = cursor->place;
    place.column = (int)(at - cursor->start) + 1;
    return place;
}

/* The next word, up to a blank or '#'. Returns its length, 0 at the end. */
static size_t next_word(struct cursor *cursor, const char **word) {
    cursor->at += strspn(cursor->at, " \t");
    *word = cursor->at;
    size_t length = strcspn(cursor->at, " \t#");
    cursor->at += length;
    return length;
}

/* Names between `at` and `end`, joined by '|': all of their bits. */
static bool parse_bits(struct cursor *cursor, uint64_t *bits, const char *at, const char *end) {
    *bits = 0;
    while (at <= end) {
        const char *stop = memchr(at, '|', (size_t)(end - at));
        if (stop == NULL) stop = end;
        char name[64];
        uint64_t value;
        size_t length = (size_t)(stop - at);
        (void)snprintf(name, sizeof(name), "%.*s", (int)(length < sizeof(name) ? length : sizeof(name) - 1), at);
        if (length >= sizeof(name) || !word_value(name, &value)) {
            list_problem(cursor->list, here(cursor, at), "unknown value '%s'", name);
            return false;
        }
        *bits |= value;
        at = stop + 1;
    }
    return true;
}

static bool parse_values(struct cursor *cursor, struct condition *condition, const char *at, const char *end) {
    while (at <= end) {
        const char *stop = condition->without ? NULL : memchr(at, ',', (size_t)(end - at));
        if (stop == NULL) stop = end;
        if (condition->value_count == MAX_VALUES) {
            list_problem(cursor->list, here(cursor, at), "more than %d values", MAX_VALUES);
            return false;
        }
        if (!parse_bits(cursor, &condition->values[condition->value_count++], at, stop)) return false;
        at = stop + 1;
    }
    return true;
}

static bool parse_setting(struct cursor *cursor, struct entry *entry, const char *word, size_t length) {
    const char *equals = memchr(word, '=', length), *end = word + length;
    char name[64];
    if (equals == NULL || equals == word || equals + 1 == end || (size_t)(equals - word) >= sizeof(name)) {
        list_problem(cursor->list, here(cursor, word), "expected ARGUMENT=VALUE, ARGUMENT-without=FLAGS, errno=NAME or ask=init, not '%.*s'",
                     (int)length, word);
        return false;
    }
    (void)snprintf(name, sizeof(name), "%.*s", (int)(equals - word), word);
    if (strcmp(name, "errno") == 0) {
        char value[32];
        (void)snprintf(value, sizeof(value), "%.*s", (int)(end - equals - 1), equals + 1);
        if (entry->error == 0 && word_error(value, &entry->error)) return true;
        list_problem(cursor->list, here(cursor, equals + 1), "'%s' is not the name of an error", value);
        return false;
    }
    if (strcmp(name, "ask") == 0) {
        entry->asked = end - equals == 5 && memcmp(equals, "=init", 5) == 0;
        bool known = strcmp(entry->name, "accept") == 0 || strcmp(entry->name, "accept4") == 0;
        if (!entry->asked || !known)
            list_problem(cursor->list, here(cursor, word), "nobody but 'init' can be asked, about 'accept' and 'accept4'");
        return entry->asked && known;
    }
    if (entry->condition_count == MAX_CONDITIONS) {
        list_problem(cursor->list, here(cursor, word), "more than %d conditions", MAX_CONDITIONS);
        return false;
    }
    struct condition *condition = &entry->conditions[entry->condition_count];
    static const char without[] = "-without";
    size_t name_length = strlen(name);
    if (name_length > sizeof(without) - 1 && strcmp(name + name_length - (sizeof(without) - 1), without) == 0) {
        condition->without = true;
        name[name_length - (sizeof(without) - 1)] = '\0';
    }
    if (!word_argument(entry->name, name, &condition->argument, &condition->narrow)) {
        list_problem(cursor->list, here(cursor, word), "'%s' is not an argument of '%s'", name, entry->name);
        return false;
    }
    (void)snprintf(condition->text, sizeof(condition->text), "%.*s", (int)length, word);
    entry->condition_count++;
    return parse_values(cursor, condition, equals + 1, end);
}

static bool same(const struct entry *one, const struct entry *other) {
    if (one->condition_count != other->condition_count) return false;
    for (size_t i = 0; i < one->condition_count; i++)
        if (strcmp(one->conditions[i].text, other->conditions[i].text) != 0) return false;
    return true;
}

static void append(struct list *list, const struct entry *entry) {
    if (list->count == MAX_ENTRIES) {
        list_problem(list, entry->place, "more than %d calls", MAX_ENTRIES);
        return;
    }
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
        list->entries = checked(reallocarray(list->entries, list->capacity, sizeof(*entry)));
    }
    list->entries[list->count++] = *entry;
}

/* Lines that can stand beside each other: each has conditions, and other ones. */
static bool compatible(const struct entry *one, const struct entry *other) {
    return one->condition_count > 0 && other->condition_count > 0 && !same(one, other);
}

/* A call may come several times only with different conditions: else one of the lines would have no effect. */
static void add(struct cursor *cursor, const struct entry *entry) {
    struct list *list = cursor->list;
    for (size_t i = 0; i < list->count; i++) {
        const struct entry *other = &list->entries[i];
        if (strcmp(other->name, entry->name) != 0 || compatible(entry, other)) continue;
        list_problem(list, entry->place, "'%s' is already given at %s:%d", entry->name, other->place.file, other->place.line);
        return;
    }
    append(list, entry);
}

/* "as above" is the reason of the line before, which may be elsewhere when the list is shown. */
static void set_reason(const struct list *list, struct entry *entry, const char *reason) {
    static const char above[] = "as above";
    const struct entry *before = list->count == 0 ? NULL : &list->entries[list->count - 1];
    if (before != NULL && before->place.file == entry->place.file && strncmp(reason, above, sizeof(above) - 1) == 0) {
        (void)snprintf(entry->reason, sizeof(entry->reason), "%s", before->reason);
        size_t used = strlen(entry->reason);
        (void)snprintf(entry->reason + used, sizeof(entry->reason) - used, "%s", reason + sizeof(above) - 1);
    } else {
        (void)snprintf(entry->reason, sizeof(entry->reason), "%.*s", (int)sizeof(entry->reason) - 1, reason);
    }
}

static void parse_call(struct cursor *cursor, const char *word, size_t length) {
    struct entry *entry = checked(calloc(1, sizeof(*entry)));
    entry->place = here(cursor, word);
    (void)snprintf(entry->name, sizeof(entry->name), "%.*s", (int)length, word);
    bool good = length < sizeof(entry->name) && word_call(entry->name, &entry->number);
    if (!good) list_problem(cursor->list, entry->place, "unknown system call '%s'", entry->name);
    while (good && (length = next_word(cursor, &word)) > 0) good = parse_setting(cursor, entry, word, length);
    if (good && (*cursor->at != '#' || cursor->at[1 + strspn(cursor->at + 1, " \t")] == '\0')) {
        list_problem(cursor->list, here(cursor, cursor->at), "'%s' needs its reason: # why it is harmless and needed", entry->name);
        good = false;
    }
    if (good && entry->asked && (entry->error != 0 || entry->condition_count > 0)) {
        list_problem(cursor->list, entry->place, "'%s': 'ask=init' stands alone", entry->name);
        good = false;
    }
    if (good) {
        set_reason(cursor->list, entry, cursor->at + 1 + strspn(cursor->at + 1, " \t"));
        add(cursor, entry);
    }
    free(entry);
}

static void read_file(struct list *list, const char *file, struct place from, int depth);

static void parse_include(struct cursor *cursor, int depth) {
    const char *word;
    size_t length = next_word(cursor, &word);
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";
    if (length == 0 || strspn(word, letters) != length) {
        list_problem(cursor->list, here(cursor, word), "expected the name of a list after 'include'");
        return;
    }
    const char *rest;
    if (next_word(cursor, &rest) > 0) {
        list_problem(cursor->list, here(cursor, rest), "one name only after 'include'");
        return;
    }
    const char *slash = strrchr(cursor->place.file, '/');
    char *path;
    int directory = slash == NULL ? 0 : (int)(slash - cursor->place.file) + 1;
    if (asprintf(&path, "%.*s%.*s.list", directory, cursor->place.file, (int)length, word) < 0) path = checked(NULL);
    for (size_t i = 0; i < cursor->list->directory_count; i++) {
        char *found;
        if (asprintf(&found, "%s/%.*s.list", cursor->list->directories[i], (int)length, word) < 0) found = checked(NULL);
        if (access(found, F_OK) == 0) {
            free(path);
            path = found;
            break;
        }
        free(found);
    }
    /* The path is kept: entries name it as their place. */
    read_file(cursor->list, path, here(cursor, word), depth + 1);
}

static void read_file(struct list *list, const char *file, struct place from, int depth) {
    if (depth > MAX_INCLUDE_DEPTH) {
        list_problem(list, from, "lists include each other in a circle, or deeper than %d", MAX_INCLUDE_DEPTH);
        return;
    }
    FILE *stream = fopen(file, "re");
    if (stream == NULL) {
        list_problem(list, from, "cannot read '%s': %s", file, strerror(errno));
        return;
    }
    char line[LIST_LINE_SIZE];
    for (int number = 1; fgets(line, sizeof(line), stream) != NULL; number++) {
        struct cursor cursor = {.list = list, .start = line, .at = line, .place = {file, number, 1}};
        size_t length = strlen(line);
        /* A NUL inside makes the text end early, too. */
        if (length == 0 || (line[length - 1] != '\n' && !feof(stream))) {
            list_problem(list, cursor.place, "not a line of text, or longer than %d bytes", LIST_LINE_SIZE - 2);
            break;
        }
        line[strcspn(line, "\r\n")] = '\0';
        const char *word;
        size_t word_length = next_word(&cursor, &word);
        if (word_length == 0) continue;
        if (word_length == 7 && strncmp(word, "include", 7) == 0)
            parse_include(&cursor, depth);
        else
            parse_call(&cursor, word, word_length);
    }
    if (ferror(stream) != 0) list_problem(list, (struct place){file, 1, 1}, "cannot read it: %s", strerror(errno));
    (void)fclose(stream);
}

void list_read(struct list *list, const char *file) {
    read_file(list, file, (struct place){file, 1, 1}, 0);
    if (list->count == 0 && list->problems == 0) list_problem(list, (struct place){file, 1, 1}, "no system call is listed");
}

void list_add(struct list *list, const char *file) {
    struct list added = {.directories = list->directories, .directory_count = list->directory_count};
    list_read(&added, file);
    for (size_t i = 0; i < added.count; i++) {
        const struct entry *entry = &added.entries[i];
        size_t kept = 0;
        for (size_t e = 0; e < list->count; e++) {
            const struct entry *other = &list->entries[e];
            if (strcmp(other->name, entry->name) == 0 && !compatible(entry, other)) continue;
            if (kept != e) list->entries[kept] = *other;
            kept++;
        }
        list->count = kept;
        append(list, entry);
    }
    list->problems += added.problems;
    free(added.entries);
}
