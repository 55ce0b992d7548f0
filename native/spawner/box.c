#include "spawner/box.h"

#include <linux/capability.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/capability.h"
#include "base/text.h"

/* What init needs to become the payload's user and to signal it. */
#define INIT_CAPABILITIES \
    (UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID | UINT64_C(1) << CAP_SETPCAP | UINT64_C(1) << CAP_KILL)

/* Ids of the host's own users are below, and (uid_t) -1 is none. */
static const unsigned long least_base = ID_RANGE, most_base = UINT32_MAX - ID_RANGE;
/* fs.nr_open's default. */
static const unsigned long most_files = 1048576;
static const unsigned long least_tmpfs = 4096, most_tmpfs = 1UL << 50;

/* Of what uname(2) can carry. */
static bool is_host_name(const char *name) {
    size_t length = strlen(name);
    return length > 0 && length <= 64 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == length;
}

static bool is_identifier(const char *name) {
    size_t length = strlen(name);
    return length > 0 && length <= 255 && text_is_printable(name, length);
}

/* Absolute and without detours, so that the same place has one name only. */
static bool is_plain_path(const char *path) {
    if (path[0] != '/' || path[1] == '\0' || strlen(path) >= PATH_MAX) return false;
    for (const char *at = path; *at != '\0';) {
        const char *component = at + 1;
        size_t length = strcspn(component, "/");
        if (length == 0 || length > NAME_MAX) return false;
        if (strncmp(component, ".", length) == 0 || strncmp(component, "..", length) == 0) return false;
        at = component + length;
    }
    return true;
}

static bool is_below(const char *path, const char *directory) {
    size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

/* Nothing takes the place of what every box has. */
static bool is_target(const char *path) {
    return is_plain_path(path) && !is_below(path, "/proc") && !is_below(path, "/sys") && strcmp(path, "/dev") != 0 &&
           strcmp(path, "/run") != 0;
}

static bool permission_bits(const char *text, mode_t *mode) {
    size_t length = strlen(text);
    if (length == 0 || length > 4 || strspn(text, "01234567") != length) return false;
    *mode = 0;
    for (; *text != '\0'; text++) *mode = *mode << 3 | (mode_t)(*text - '0');
    return true;
}

static bool mount_option(struct box *box, enum mount_kind kind, char **values) {
    if (box->mount_count == MAX_MOUNTS) return false;
    struct box_mount *mount = &box->mounts[box->mount_count];
    *mount = (struct box_mount){.kind = kind};
    if (kind == TMPFS) {
        mount->target = values[0];
        if (!text_number(values[1], least_tmpfs, most_tmpfs, &mount->size) || !permission_bits(values[2], &mount->mode))
            return false;
    } else {
        mount->source = values[0];
        mount->target = values[1];
        if (!is_plain_path(mount->source)) return false;
    }
    if (!is_target(mount->target)) return false;
    box->mount_count++;
    return true;
}

static bool network(struct box *box, const char *value) {
    box->own_network = strcmp(value, "own") == 0;
    return box->own_network || strcmp(value, "host") == 0;
}

static bool capability(struct box *box, const char *value) {
    int number = capability_number(value);
    if (number < 0) return false;
    box->capabilities |= UINT64_C(1) << number;
    return true;
}

static bool forwarder(struct box *box, char *word) {
    if (box->forwarder_count == MAX_FORWARDER || (box->forwarder_count == 0 && !is_plain_path(word))) return false;
    box->forwarder[box->forwarder_count++] = word;
    return true;
}

static const struct option {
    const char *name;
    size_t values;
} options[] = {{"--machine", 1}, {"--plugin", 1},  {"--uid-base", 1}, {"--root", 1},   {"--network", 1}, {"--nofile", 1},
               {"--cap", 1},     {"--bind-ro", 2}, {"--bind", 2},     {"--device", 2}, {"--tmpfs", 3},
               {"--forwarder", 1}, {"--bind-file", 2}, {"--slot", 2}};
enum { OPTIONS = sizeof(options) / sizeof(options[0]) };
/* Those before --cap are mandatory, and given once. */
enum { MACHINE, PLUGIN, UID_BASE, ROOT, NETWORK, NOFILE, CAP, BIND_RO, BIND, DEVICE, TMPFS_OPTION, FORWARDER, BIND_FILE_OPTION, SLOT };

static bool apply(struct box *box, int which, char **values) {
    unsigned long number;
    switch (which) {
        case MACHINE:
            box->machine = values[0];
            return is_host_name(values[0]);
        case PLUGIN:
            box->plugin = values[0];
            return is_identifier(values[0]);
        case UID_BASE:
            if (!text_number(values[0], least_base, most_base, &number)) return false;
            box->id_base = (uid_t)number;
            return true;
        case ROOT:
            box->root = values[0];
            return is_plain_path(values[0]);
        case NETWORK:
            return network(box, values[0]);
        case NOFILE:
            return text_number(values[0], 16, most_files, &box->open_files);
        case CAP:
            return capability(box, values[0]);
        case BIND_RO:
            return mount_option(box, BIND_READ_ONLY, values);
        case BIND:
            return mount_option(box, BIND_WRITABLE, values);
        case DEVICE:
            return mount_option(box, BIND_DEVICE, values);
        case TMPFS_OPTION:
            return mount_option(box, TMPFS, values);
        case FORWARDER:
            return forwarder(box, values[0]);
        case BIND_FILE_OPTION:
            return mount_option(box, BIND_FILE, values);
        case SLOT:
            return mount_option(box, BIND_SLOT, values);
        default:
            return false;
    }
}

static bool has_values(char **words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (words[i] == NULL || strcmp(words[i], "--") == 0) return false;
    return true;
}

bool box_parse(struct box *box, char **words, char *error, size_t size) {
    *box = (struct box){.capabilities = INIT_CAPABILITIES};
    unsigned int given = 0;
    while (*words != NULL && strcmp(*words, "--") != 0) {
        int which = 0;
        while (which < OPTIONS && strcmp(*words, options[which].name) != 0) which++;
        bool twice = which < CAP && (given >> which & 1) != 0;
        if (which == OPTIONS || twice || !has_values(words + 1, options[which].values) || !apply(box, which, words + 1)) {
            /* Options are at most this long; a value in the place of one may be anything. */
            (void)snprintf(error, size, "option '%.16s' is unknown, given twice or has a wrong value", *words);
            return false;
        }
        given |= 1U << which;
        words += 1 + options[which].values;
    }
    for (int i = 0; i < CAP; i++) {
        if ((given >> i & 1) != 0) continue;
        (void)snprintf(error, size, "%s is missing", options[i].name);
        return false;
    }
    if (words[0] == NULL || words[1] == NULL || words[1][0] != '/') {
        (void)snprintf(error, size, "no absolute path of init after '--'");
        return false;
    }
    box->command = words + 1;
    return true;
}
