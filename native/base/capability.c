#include "base/capability.h"

#include <assert.h>
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int capability_number(const char *name) {
    /* In the order of linux/capability.h, which is the numbering. */
    static const char *const names[] = {
        "CHOWN",          "DAC_OVERRIDE",  "DAC_READ_SEARCH", "FOWNER",     "FSETID",           "KILL",
        "SETGID",         "SETUID",        "SETPCAP",         "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST",
        "NET_ADMIN",      "NET_RAW",       "IPC_LOCK",        "IPC_OWNER",  "SYS_MODULE",       "SYS_RAWIO",
        "SYS_CHROOT",     "SYS_PTRACE",    "SYS_PACCT",       "SYS_ADMIN",  "SYS_BOOT",         "SYS_NICE",
        "SYS_RESOURCE",   "SYS_TIME",      "SYS_TTY_CONFIG",  "MKNOD",      "LEASE",            "AUDIT_WRITE",
        "AUDIT_CONTROL",  "SETFCAP",       "MAC_OVERRIDE",    "MAC_ADMIN",  "SYSLOG",           "WAKE_ALARM",
        "BLOCK_SUSPEND",  "AUDIT_READ",    "PERFMON",         "BPF",        "CHECKPOINT_RESTORE"};
    static_assert(sizeof(names) / sizeof(names[0]) == CAP_CHECKPOINT_RESTORE + 1, "one name for each capability");
    if (strncmp(name, "CAP_", 4) != 0) return -1;
    for (int i = 0; i <= CAP_CHECKPOINT_RESTORE; i++)
        if (strcmp(name + 4, names[i]) == 0) return i;
    return -1;
}

int capability_bound(uint64_t keep) {
    /* Up to the last one that this kernel knows, which may be newer than these names. */
    for (unsigned long capability = 0; capability < 64; capability++) {
        int held = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
        if (held < 0) break;
        if (held == 0 || (keep >> capability & 1) != 0) continue;
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) return -errno;
    }
    return 0;
}

int capability_limit(uint64_t keep, uint64_t pass_on) {
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) return -errno;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
    for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        uint32_t half = (uint32_t)(keep >> (32 * i));
        sets[i] = (struct __user_cap_data_struct){
            .effective = half, .permitted = half, .inheritable = (uint32_t)(pass_on >> (32 * i))};
    }
    if (syscall(SYS_capset, &header, sets) < 0) return -errno;
    for (unsigned long capability = 0; capability < 64; capability++)
        if ((pass_on >> capability & 1) != 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0)
            return -errno;
    return 0;
}
