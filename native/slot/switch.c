/*
 * Two ways to change what is mounted at a place at which readers never find nothing.
 *
 * Beneath, since Linux 6.5: the new version is put beneath the live one, which shows nowhere, and then the live one is
 * taken away, which is a single change in all namespaces to which it propagates. Tuck, before: each sandbox gets a cover
 * of the new version over what it has; behind the covers the host changes its own mount; what the host mounts is put
 * beneath a cover, as the kernel does it with what propagates to a place that has a mount already; the covers go.
 *
 * Each looks at what is there before it does a step, so that one that was killed is finished or taken back by the next.
 */
#include "slot/switch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/mounting.h"

#ifndef MOVE_MOUNT_BENEATH
#define MOVE_MOUNT_BENEATH 0x00000200
#endif

/* Rounds after which nothing has come of it: each does one step of three at most. */
enum { ROUNDS = 2 * MOST_LAYERS };

#define OWN_MOUNTS "/proc/self/mountinfo"

int switch_layers(const struct tunnel *tunnel, uint64_t mount, struct layers *layers) {
    return layers_read(layers, OWN_MOUNTS, tunnel->live, mount);
}

static bool is_wanted(const struct change *change, const struct layer *layer) {
    return layer != NULL && layers_same(&layer->source, &change->version->source);
}

static int attach(const struct change *change, unsigned int flags) {
    int mount = version_mount(change->version);
    if (mount < 0) return mount;
    int result = move_mount(mount, "", AT_FDCWD, change->tunnel->live, MOVE_MOUNT_F_EMPTY_PATH | flags) < 0 ? -errno : 0;
    (void)close(mount);
    return result;
}

static int detach(const struct change *change) { return umount2(change->tunnel->live, MNT_DETACH) < 0 ? -errno : 0; }

/* Returns how many mounts lie beneath the wanted one now, which is live; or -errno, -EINVAL if the kernel cannot do it. */
static int beneath(const struct change *change) {
    for (int round = 0; round < ROUNDS; round++) {
        static struct layers layers;
        int error = switch_layers(change->tunnel, change->mount, &layers);
        if (error < 0) return error;
        if (is_wanted(change, layers_top(&layers))) return (int)layers.count - 1;
        if (layers.count == 0)
            error = attach(change, 0);
        else if (layers.count > 1 && is_wanted(change, &layers.layer[layers.count - 2]))
            error = detach(change);
        else
            error = attach(change, MOVE_MOUNT_BENEATH);
        if (error < 0) return error;
    }
    return -EBUSY;
}

/* One that a former attempt left for another version goes first: what shows then is what the host has had all the time. */
static int cover_one(const struct change *change, const struct leader *leader) {
    static struct source cover;
    for (int round = 0; round < ROUNDS; round++) {
        int covered = leader_cover(leader, &cover);
        if (covered < 0) return covered;
        if (covered == 1 && layers_same(&cover, &change->version->source)) return 0;
        int mount = covered == 1 ? -1 : version_mount(change->version);
        if (covered == 0 && mount < 0) return mount;
        int error = covered == 1 ? leader_uncover(leader) : leader_lay(leader, mount);
        if (error < 0) return error;
        if (covered == 0) return 0;
    }
    return -EBUSY;
}

static int uncover_one(const struct leader *leader) {
    static struct source cover;
    for (int round = 0; round < ROUNDS; round++) {
        int covered = leader_cover(leader, &cover);
        if (covered <= 0) return covered;
        int error = leader_uncover(leader);
        if (error < 0) return error;
    }
    return -EBUSY;
}

/* Without a single sandbox there is nobody to cover, and nobody who sees a gap. */
static int tuck(const struct change *change) {
    static struct layers layers;
    int error = switch_layers(change->tunnel, change->mount, &layers);
    if (error < 0) return error;
    if (layers.count != 1 || !is_wanted(change, layers_top(&layers))) {
        /* An empty place is one that was emptied behind covers, or that nobody has seen yet. */
        for (size_t i = 0; i < change->leader_count && layers.count > 0; i++)
            if ((error = cover_one(change, &change->leaders[i])) < 0) return error;
        for (size_t i = 0; i < layers.count; i++)
            if ((error = detach(change)) < 0) return error;
        if ((error = attach(change, 0)) < 0) return error;
    }
    for (size_t i = 0; i < change->leader_count; i++)
        if ((error = uncover_one(&change->leaders[i])) < 0) return error;
    return 0;
}

/* Covers of an attempt that was killed stay over what is done beneath them. */
static int covers(const struct change *change) {
    static struct source cover;
    for (size_t i = 0; i < change->leader_count; i++) {
        int covered = leader_cover(&change->leaders[i], &cover);
        if (covered != 0) return covered;
    }
    return 0;
}

int switch_to(const struct change *change) {
    if (change->way == WAY_TUCK) return tuck(change);
    int left = covers(change);
    if (left < 0) return left;
    if (left > 0) return tuck(change);
    left = beneath(change);
    if (left == -EINVAL && change->way == WAY_ANY) return tuck(change);
    /* A version that was put beneath and then not wanted any more can only be taken from there behind covers. */
    if (left > 0 && change->leader_count > 0) return tuck(change);
    return left < 0 ? left : 0;
}
