#pragma once

/* What can fail, by the name that is told: first what the daemon does, then the child before and after the gate. */
#define SPAWNER_STEPS(X)                           \
    X(STEP_REQUEST, "request")                     \
    X(STEP_OPTIONS, "options")                     \
    X(STEP_DESCRIPTORS, "descriptors")             \
    X(STEP_ROOT, "root")                           \
    X(STEP_SOURCE, "source")                       \
    X(STEP_DEVICES, "devices")                     \
    X(STEP_JOURNAL, "journal")                     \
    X(STEP_OOM_SCORE, "oom-score")                 \
    X(STEP_FORWARDER, "forwarder")                 \
    X(STEP_CLONE, "clone")                         \
    X(STEP_ID_MAP, "id-map")                       \
    X(STEP_ID_MAPPED_MOUNT, "id-mapped-mount")     \
    X(STEP_SCOPE, "scope")                         \
    X(STEP_GATE, "gate")                           \
    X(STEP_SESSION, "session")                     \
    X(STEP_IDS, "ids")                             \
    X(STEP_KEYRING, "keyring")                     \
    X(STEP_HOST_NAME, "host-name")                 \
    X(STEP_NETWORK, "network")                     \
    X(STEP_LOOPBACK, "loopback")                   \
    X(STEP_PROPAGATION, "propagation")             \
    X(STEP_PROC, "proc")                           \
    X(STEP_PIVOT, "pivot")                         \
    X(STEP_PROC_MASKS, "proc-masks")               \
    X(STEP_SYS, "sys")                             \
    X(STEP_DEV, "dev")                             \
    X(STEP_RUN, "run")                             \
    X(STEP_MOUNT, "mount")                         \
    X(STEP_CGROUP_NAMESPACE, "cgroup-namespace")   \
    X(STEP_CGROUP, "cgroup")                       \
    X(STEP_STREAMS, "streams")                     \
    X(STEP_BOUNDING_SET, "bounding-set")           \
    X(STEP_CAPABILITIES, "capabilities")           \
    X(STEP_NO_NEW_PRIVS, "no-new-privs")           \
    X(STEP_PLACE_DESCRIPTORS, "place-descriptors") \
    X(STEP_LIMITS, "limits")                       \
    X(STEP_EXEC, "init")

#define SPAWNER_STEP_AS_ENUM(name, text) name,
enum step { SPAWNER_STEPS(SPAWNER_STEP_AS_ENUM) STEP_COUNT };

/* Small enough to go through a pipe whole. */
struct failure {
    enum step step;
    /* An errno, positive; 0 means that nothing failed. */
    int error;
    /* Which of the box's mounts it is about, or -1. */
    int mount;
};

const char *step_name(enum step step);
