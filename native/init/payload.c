/*
 * The child: from fork to exec. Every step is fatal, in an order in which none undoes or hinders another:
 * ids change while there are capabilities, no_new_privs comes before the filter, and the filter is last.
 */
#include "init/payload.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/capability.h"
#include "init/filter.h"

/* As they are called in LISTEN_FDNAMES. */
#define RPC_SOCKET_NAME "rpc"
#define PROBE_SOCKET_NAME "probe"

/* Name in the report, and in the journal. */
#define STEPS(X)                       \
    X(SESSION, "session")              \
    X(SIGNALS, "signals")              \
    X(OOM_SCORE, "oom-score")          \
    X(LIMITS, "limits")                \
    X(BOUNDING_SET, "bounding-set")    \
    X(GROUPS, "groups")                \
    X(GID, "gid")                      \
    X(UID, "uid")                      \
    X(CAPABILITIES, "capabilities")    \
    X(KEYRING, "keyring")              \
    X(NO_NEW_PRIVS, "no-new-privs")    \
    X(CHDIR, "chdir")                  \
    X(DESCRIPTORS, "descriptors")      \
    X(ENVIRONMENT, "environment")      \
    X(SECCOMP, "seccomp")              \
    X(EXEC, "exec")

#define AS_ENUM(name, text) STEP_##name,
#define AS_TEXT(name, text) text,
enum { STEPS(AS_ENUM) STEP_COUNT };

const char *payload_step_name(int step) {
    static const char *const names[] = {STEPS(AS_TEXT)};
    return step >= 0 && step < STEP_COUNT ? names[step] : "unknown";
}

static int signals_as_new(void) {
    for (int number = 1; number < NSIG; number++) {
        struct sigaction normal = {.sa_handler = SIG_DFL};
        /* Not these two, nor those that libc keeps for itself. */
        if (number != SIGKILL && number != SIGSTOP && sigaction(number, &normal, NULL) < 0 && errno != EINVAL) return -errno;
    }
    sigset_t none;
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

/*
 * Plugins die before anything else. Raising it needs no privilege; nor does lowering it, down to what the unit or the
 * spawner set with privileges.
 */
static int raise_oom_score(void) {
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int result = write(fd, "1000", 4) == 4 ? 0 : -errno;
    (void)close(fd);
    return result;
}

static int limit(int which, struct resource resource) {
    if (!resource.given) return 0;
    struct rlimit both = {.rlim_cur = resource.value, .rlim_max = resource.value};
    return setrlimit(which, &both) < 0 ? -errno : 0;
}

static int limit_resources(const struct options *options) {
    int error = limit(RLIMIT_NOFILE, (struct resource){.given = options->open_files != 0, .value = options->open_files});
    if (error == 0) error = limit(RLIMIT_MEMLOCK, options->memory_lock);
    return error < 0 ? error : limit(RLIMIT_CORE, options->core);
}

/*
 * Whoever started all this may have left keys in the session keyring, which is inherited. Where the kernel has no keyrings,
 * or a container around the host forbids their use, nobody in here gets at any.
 */
static int new_session_keyring(void) {
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0) return 0;
    return errno == ENOSYS || errno == EPERM || errno == EACCES ? 0 : -errno;
}

/*
 * Moves the listeners down over report and filter, the sockets for calls and for probes behind them; all else that is open
 * ends with exec.
 */
static int place_listeners(const struct options *options) {
    const int own[] = {options_rpc_fd(options), options->probe_socket};
    int next = FIRST_PAYLOAD_FD;
    for (size_t i = 0; i < options->listeners; i++)
        if (dup2(FIRST_LISTENER_FD + (int)i, next++) < 0) return -errno;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (own[i] >= 0 && dup2(own[i], next++) < 0) return -errno;
    unsigned int first = (unsigned int)next;
    return syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC) < 0 ? -errno : 0;
}

/* The declared variables and ours; NULL when out of memory. */
static char **environment(const struct options *options) {
    char **variables = calloc(options->environment_size + 5, sizeof(char *));
    if (variables == NULL) return NULL;
    size_t used = 0;
    for (size_t i = 0; i < options->environment_size; i++) variables[used++] = (char *)options->environment[i];
    if (options->ready_by_notify) variables[used++] = "NOTIFY_SOCKET=" NOTIFY_PATH;
    size_t sockets = options->listeners, size = sizeof("LISTEN_FDNAMES=") + sizeof(RPC_SOCKET_NAME) + sizeof(PROBE_SOCKET_NAME);
    const char *own[2];
    size_t own_count = 0;
    if (options->rpc) own[own_count++] = RPC_SOCKET_NAME;
    if (options->probe_socket >= 0) own[own_count++] = PROBE_SOCKET_NAME;
    sockets += own_count;
    if (sockets == 0) return variables;

    for (size_t i = 0; i < options->listeners; i++) size += strlen(options->listen_names[i]) + 1;
    char *joined = malloc(size), *end = joined;
    if (joined == NULL) return NULL;
    for (size_t i = 0; i < sockets; i++) {
        end = stpcpy(end, i == 0 ? "LISTEN_FDNAMES=" : ":");
        end = stpcpy(end, i < options->listeners ? options->listen_names[i] : own[i - options->listeners]);
    }
    variables[used++] = joined;
    if (asprintf(&variables[used++], "LISTEN_FDS=%zu", sockets) < 0) return NULL;
    if (asprintf(&variables[used++], "LISTEN_PID=%d", getpid()) < 0) return NULL;
    return variables;
}

/* PATH of the declared environment; without one, a name without '/' is not found. */
static const char *search_path(const struct options *options) {
    for (size_t i = 0; i < options->environment_size; i++)
        if (strncmp(options->environment[i], "PATH=", 5) == 0) return options->environment[i] + 5;
    return "";
}

/* With an argument more than execve(2) has: the filter may ask for the secret in it. */
static void execute_file(const char *file, char **arguments, char **variables, uint64_t secret) {
    (void)syscall(SYS_execve, file, arguments, variables, 0L, 0L, secret);
}

/*
 * Returns only on failure. Uses no system call but execve(2): the filter is in force. As a shell does it, goes
 * on when a directory does not have the program, and tells EACCES rather than ENOENT if it saw both.
 */
static int execute(const struct options *options, char **variables, uint64_t secret) {
    static char file[4096];
    const char *name = options->command[0];
    if (strchr(name, '/') != NULL) {
        execute_file(name, options->command, variables, secret);
        return -errno;
    }
    int result = -ENOENT;
    for (const char *directory = search_path(options); *directory != '\0';) {
        size_t length = strcspn(directory, ":");
        /* A relative directory, the empty one among them, is not searched. */
        if (directory[0] == '/' && length + 1 + strlen(name) < sizeof(file)) {
            (void)snprintf(file, sizeof(file), "%.*s/%s", (int)length, directory, name);
            execute_file(file, options->command, variables, secret);
            if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) return -errno;
            if (errno == EACCES) result = -EACCES;
        }
        directory += length;
        if (*directory == ':') directory++;
    }
    return result;
}

struct payload_failure payload_become(const struct options *options, const struct filter *filter, int handover) {
    int error;
    char **variables;
#define STEP(name, expression) \
    if ((error = (expression)) < 0) return (struct payload_failure){STEP_##name, -error}
#define CALL(expression) ((expression) < 0 ? -errno : 0)
    STEP(SESSION, CALL(setsid()));
    /* Whoever started all this may have had a stricter one for itself. */
    (void)umask(022);
    STEP(SIGNALS, signals_as_new());
    STEP(OOM_SCORE, raise_oom_score());
    STEP(LIMITS, limit_resources(options));
    STEP(BOUNDING_SET, capability_bound(options->capabilities));
    STEP(GROUPS, CALL(setgroups(0, NULL)));
    STEP(GID, CALL(setresgid(options->gid, options->gid, options->gid)));
    /* Without it, the change of uid takes away the capabilities that are to be kept. It ends with exec. */
    STEP(UID, CALL(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)));
    STEP(UID, CALL(setresuid(options->uid, options->uid, options->uid)));
    STEP(CAPABILITIES, capability_limit(options->capabilities, options->capabilities));
    STEP(KEYRING, new_session_keyring());
    STEP(NO_NEW_PRIVS, CALL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
    STEP(CHDIR, CALL(chdir(options->directory)));
    STEP(DESCRIPTORS, place_listeners(options));
    STEP(ENVIRONMENT, (variables = environment(options)) == NULL ? -ENOMEM : 0);
    STEP(SECCOMP, filter_load(filter, options->learn, handover));
    STEP(EXEC, execute(options, variables, filter->secret));
    return (struct payload_failure){STEP_EXEC, ENOEXEC};
}

int payload_fork(struct payload *payload, const struct options *options, const struct filter *filter) {
    int errors[2], gate[2], handover[2];
    if (pipe2(errors, O_CLOEXEC) < 0 || pipe2(gate, O_CLOEXEC) < 0) return -errno;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, handover) < 0) return -errno;
    pid_t pid = fork();
    if (pid < 0) return -errno;
    if (pid > 0) {
        (void)close(errors[1]);
        (void)close(gate[0]);
        (void)close(handover[1]);
        *payload = (struct payload){.pid = pid, .errors = errors[0], .gate = gate[1], .handover = handover[0]};
        return 0;
    }
    char go;
    (void)close(gate[1]);
    (void)close(errors[0]);
    (void)close(handover[0]);
    if (read(gate[0], &go, 1) != 1) _exit(EXIT_SETUP_FAILED);
    struct payload_failure failure = payload_become(options, filter, handover[1]);
    /* Nobody is left to tell when this fails; the exit status says the same. */
    if (write(errors[1], &failure, sizeof(failure)) != sizeof(failure)) _exit(EXIT_SETUP_FAILED);
    _exit(EXIT_SETUP_FAILED);
}

void payload_kill(pid_t payload) {
    if (getpid() == 1) {
        (void)kill(-1, SIGKILL);
        return;
    }
    (void)kill(-payload, SIGKILL);
    (void)kill(payload, SIGKILL);
}
