/*
 * plugin-slot: changes the version of a plugin that its sandboxes see, while they run. docs/internals.md has its words.
 *
 * Run by systemd, as a step, because mounting needs CAP_SYS_ADMIN. What a sandbox has is a tunnel: a directory of the
 * host, whose mounts propagate into it.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "base/text.h"
#include "slot/switch.h"

/* Sandboxes of one slot; each takes a descriptor. */
enum { MOST_LEADERS = 512 };

static int usage(void) {
    (void)fputs("usage: plugin-slot prepare|state|clear " TUNNELS "/NAME/SLOT\n"
                "       plugin-slot switch " TUNNELS "/NAME/SLOT " VERSIONS "/NAME/VERSION [--way beneath|tuck] [--leader PID]...\n",
                stderr);
    return 2;
}

static int failed(const char *what, const char *name, int error) {
    (void)fprintf(stderr, "cannot %s '%s': %s\n", what, name, strerror(-error));
    return 1;
}

/* Opens the tunnel and tells in which mount it is. */
static int open_tunnel(struct tunnel *tunnel, bool make, uint64_t *mount) {
    int error = tunnel_open(tunnel, make);
    return error < 0 ? error : layers_mount_of(tunnel->fd, mount);
}

/* Returns an exit status: what is mounted has to show in sandboxes. */
static int make_tunnel(struct tunnel *tunnel, const char *path, uint64_t *mount) {
    int error = open_tunnel(tunnel, true, mount);
    if (error < 0) return failed("make", path, error);
    int propagates = layers_propagates(*mount);
    if (propagates < 0) return failed("look at the mount of", path, propagates);
    if (propagates == 1) return 0;
    (void)fprintf(stderr, "'%s' is not on a shared mount: no sandbox would see what is mounted there\n", path);
    return 1;
}

static bool parse_way(const char *text, enum way *way) {
    *way = strcmp(text, "beneath") == 0 ? WAY_BENEATH : strcmp(text, "tuck") == 0 ? WAY_TUCK : WAY_ANY;
    return *way != WAY_ANY;
}

static int run_switch(struct tunnel *tunnel, const char *path, char **words) {
    static pid_t pids[MOST_LEADERS];
    static struct leader leaders[MOST_LEADERS];
    static struct version version;
    struct change change = {.tunnel = tunnel, .version = &version, .way = WAY_ANY, .leaders = leaders};
    size_t pid_count = 0;
    const char *directory = words[0];
    if (directory == NULL) return usage();
    for (char **word = words + 1; *word != NULL; word += 2) {
        unsigned long pid;
        if (word[1] == NULL) return usage();
        if (strcmp(word[0], "--way") == 0) {
            if (!parse_way(word[1], &change.way)) return usage();
        } else if (strcmp(word[0], "--leader") == 0 && pid_count < MOST_LEADERS && text_number(word[1], 1, INT_MAX, &pid)) {
            pids[pid_count++] = (pid_t)pid;
        } else {
            return usage();
        }
    }
    int status = make_tunnel(tunnel, path, &change.mount);
    if (status != 0) return status;
    int error = version_open(&version, tunnel, directory);
    if (error == -EINVAL) {
        (void)fprintf(stderr, "'%s' is no version of '%s'\n", directory, tunnel->plugin);
        return 1;
    }
    if (error < 0) return failed("open", directory, error);
    for (size_t i = 0; i < pid_count; i++) {
        error = leader_open(&leaders[change.leader_count], pids[i], tunnel);
        if (error < 0) return failed("enter a sandbox of", path, error);
        change.leader_count += (size_t)error;
    }
    error = switch_to(&change);
    return error < 0 ? failed("mount", directory, error) : 0;
}

static void print_name(const struct layer *layer, const struct tunnel *tunnel) {
    static char name[PATH_MAX], quoted[2 * PATH_MAX + 1];
    version_name(&layer->source, tunnel, name, sizeof(name));
    text_quote(name, quoted, sizeof(quoted));
    (void)printf("\"%s\"", quoted);
}

/* As JSON: the version that is seen, and what lies beneath it, from top to bottom. */
static int run_state(struct tunnel *tunnel, const char *path) {
    static struct layers layers;
    uint64_t mount;
    int error = open_tunnel(tunnel, false, &mount);
    if (error == 0) error = switch_layers(tunnel, mount, &layers);
    if (error < 0 && error != -ENOENT) return failed("look at", path, error);
    (void)fputs("{\"live\":", stdout);
    const struct layer *top = layers_top(&layers);
    if (top == NULL)
        (void)fputs("null", stdout);
    else
        print_name(top, tunnel);
    (void)fputs(",\"beneath\":[", stdout);
    for (size_t i = layers.count; i > 1; i--) {
        if (i < layers.count) (void)fputs(",", stdout);
        print_name(&layers.layer[i - 2], tunnel);
    }
    (void)fputs("]}\n", stdout);
    return 0;
}

/* Nobody may have it any more. */
static int run_clear(struct tunnel *tunnel, const char *path) {
    static struct layers layers;
    uint64_t mount;
    int error = open_tunnel(tunnel, false, &mount);
    if (error == -ENOENT) return 0;
    if (error == 0) error = switch_layers(tunnel, mount, &layers);
    for (size_t i = 0; error == 0 && i < layers.count; i++)
        if (umount2(tunnel->live, MNT_DETACH) < 0) error = -errno;
    if (error == 0) error = tunnel_remove(tunnel);
    return error < 0 ? failed("clear", path, error) : 0;
}

int main(int argc, char **argv) {
    struct tunnel tunnel;
    if (argc < 3) return usage();
    const char *command = argv[1], *path = argv[2];
    if (!tunnel_parse(&tunnel, path)) {
        (void)fprintf(stderr, "'%s' is no tunnel\n", path);
        return 2;
    }
    uint64_t mount;
    if (strcmp(command, "switch") == 0) return run_switch(&tunnel, path, argv + 3);
    if (argc > 3) return usage();
    if (strcmp(command, "prepare") == 0) return make_tunnel(&tunnel, path, &mount);
    if (strcmp(command, "state") == 0) return run_state(&tunnel, path);
    return strcmp(command, "clear") == 0 ? run_clear(&tunnel, path) : usage();
}
