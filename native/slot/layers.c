#include "slot/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWN_MOUNTS "/proc/self/mountinfo"

/* One line of mountinfo (proc_pid_mountinfo(5)). */
struct row {
    uint64_t id, parent;
    char device[24];
    char *root, *place;
    bool shared, follows;
};

/* Blanks and the like are three octal digits behind a backslash. */
static void unescape(char *text) {
    char *out = text;
    for (const char *at = text; *at != '\0'; out++) {
        if (at[0] == '\\' && strspn(at + 1, "01234567") >= 3) {
            *out = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
            at += 4;
        } else {
            *out = *at++;
        }
    }
    *out = '\0';
}

static bool parse(char *line, struct row *row) {
    char *rest = NULL, *fields[6];
    for (int i = 0; i < 6; i++)
        if ((fields[i] = strtok_r(i == 0 ? line : NULL, " \n", &rest)) == NULL) return false;
    if (strlen(fields[2]) >= sizeof(row->device)) return false;
    *row = (struct row){.id = strtoull(fields[0], NULL, 10), .parent = strtoull(fields[1], NULL, 10), .root = fields[3], .place = fields[4]};
    (void)strcpy(row->device, fields[2]);
    for (const char *tag; (tag = strtok_r(NULL, " \n", &rest)) != NULL && strcmp(tag, "-") != 0;) {
        row->shared |= strncmp(tag, "shared:", 7) == 0;
        row->follows |= strncmp(tag, "master:", 7) == 0;
    }
    unescape(row->root);
    unescape(row->place);
    return true;
}

/* Calls back for each mount, until that returns false. Returns 0 or -errno. */
static int each_row(const char *mountinfo, bool (*look)(const struct row *row, void *context), void *context) {
    FILE *file = fopen(mountinfo, "re");
    if (file == NULL) return -errno;
    char *line = NULL;
    size_t size = 0;
    struct row row;
    while (getline(&line, &size, file) > 0)
        if (parse(line, &row) && !look(&row, context)) break;
    int error = ferror(file) ? -EIO : 0;
    free(line);
    (void)fclose(file);
    return error;
}

int layers_mount_of(int fd, uint64_t *id) {
    struct statx status;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) < 0) return -errno;
    if ((status.stx_mask & STATX_MNT_ID) == 0) return -EOPNOTSUPP;
    *id = status.stx_mnt_id;
    return 0;
}

/* One of those at the place; which lies over which is told by their parents. */
struct candidate {
    struct layer layer;
    uint64_t parent;
};

struct search {
    const char *place;
    size_t count;
    struct candidate found[MOST_LAYERS];
    int error;
};

static bool collect(const struct row *row, void *context) {
    struct search *search = context;
    if (strcmp(row->place, search->place) != 0) return true;
    if (search->count == MOST_LAYERS || strlen(row->root) >= PATH_MAX) {
        search->error = -E2BIG;
        return false;
    }
    struct candidate *found = &search->found[search->count++];
    *found = (struct candidate){.layer = {.id = row->id, .follows = row->follows}, .parent = row->parent};
    (void)strcpy(found->layer.source.device, row->device);
    (void)strcpy(found->layer.source.root, row->root);
    return true;
}

int layers_read(struct layers *layers, const char *mountinfo, const char *place, uint64_t parent) {
    static struct search search;
    search = (struct search){.place = place};
    layers->count = 0;
    int error = each_row(mountinfo, collect, &search);
    if (error == 0) error = search.error;
    for (bool found = true; error == 0 && found;) {
        found = false;
        for (size_t i = 0; i < search.count && !found; i++) {
            if (search.found[i].parent != parent) continue;
            found = true;
            parent = search.found[i].layer.id;
            layers->layer[layers->count++] = search.found[i].layer;
            search.found[i].parent = UINT64_MAX;
        }
    }
    return error;
}

/* The row of one mount, with copies of what is needed of it. */
struct wanted {
    uint64_t id;
    bool found, shared;
    struct source source;
    char place[PATH_MAX];
};

static bool is_wanted(const struct row *row, void *context) {
    struct wanted *wanted = context;
    if (row->id != wanted->id || strlen(row->root) >= PATH_MAX || strlen(row->place) >= PATH_MAX) return true;
    wanted->found = true;
    wanted->shared = row->shared;
    (void)strcpy(wanted->source.device, row->device);
    (void)strcpy(wanted->source.root, row->root);
    (void)strcpy(wanted->place, row->place);
    return false;
}

static int find(struct wanted *wanted, uint64_t id) {
    *wanted = (struct wanted){.id = id};
    int error = each_row(OWN_MOUNTS, is_wanted, wanted);
    return error < 0 ? error : wanted->found ? 0 : -ENOENT;
}

int layers_propagates(uint64_t mount) {
    static struct wanted wanted;
    int error = find(&wanted, mount);
    return error < 0 ? error : wanted.shared;
}

int layers_source_of(int fd, struct source *source) {
    static struct wanted wanted;
    char link[32], path[PATH_MAX];
    uint64_t id;
    int error = layers_mount_of(fd, &id);
    if (error == 0) error = find(&wanted, id);
    if (error < 0) return error;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof(path));
    if (length < 0 || (size_t)length == sizeof(path)) return length < 0 ? -errno : -ENAMETOOLONG;
    path[length] = '\0';
    /* Below the mount, and its root's path before that; each may be just "/". */
    const char *below = path + (strcmp(wanted.place, "/") == 0 ? 0 : strlen(wanted.place));
    const char *above = strcmp(wanted.source.root, "/") == 0 && *below != '\0' ? "" : wanted.source.root;
    (void)strcpy(source->device, wanted.source.device);
    int size = snprintf(source->root, sizeof(source->root), "%s%s", above, below);
    return size < 0 || (size_t)size >= sizeof(source->root) ? -ENAMETOOLONG : 0;
}

bool layers_same(const struct source *one, const struct source *other) {
    return strcmp(one->device, other->device) == 0 && strcmp(one->root, other->root) == 0;
}

const struct layer *layers_top(const struct layers *layers) {
    return layers->count == 0 ? NULL : &layers->layer[layers->count - 1];
}
