#pragma once
#include "slot/leader.h"
#include "slot/tunnel.h"
#include "slot/version.h"

/* How the live version is changed so that there is always one: by what the kernel can. */
enum way { WAY_ANY, WAY_BENEATH, WAY_TUCK };

struct change {
    const struct tunnel *tunnel;
    /* The mount in which the tunnel is. */
    uint64_t mount;
    const struct version *version;
    enum way way;
    const struct leader *leaders;
    size_t leader_count;
};

/* What is mounted at the live place on the host. Returns 0 or -errno. */
int switch_layers(const struct tunnel *tunnel, uint64_t mount, struct layers *layers);

/* Makes the version the live one, from wherever a former attempt ended. Returns 0 or -errno. */
int switch_to(const struct change *change);
