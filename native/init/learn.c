/*
 * Learning what a payload calls (docs/decisions/0014). This is the only place where a listener is answered; it is reached
 * with --seccomp=learn alone. What goes on is decided by number and arguments in registers, which the kernel hands over
 * and nobody can change until it goes on; memory that they point to decides nothing.
 */
#include "init/learn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/call-arguments.h"
#include "base/secret.h"
#include "init/call-name.h"
#include "init/evaluate.h"
#include "init/handover.h"

/* Numbers of calls are below this, of which each tells so many values; others share a few places. */
enum { MAX_NUMBER = 512, MAX_TOLD = 24, MAX_STRANGE = 16 };

struct told {
    uint64_t values[MAX_TOLD];
    enum learned_answer answers[MAX_TOLD];
    unsigned char count;
    bool more;
};

struct watch {
    int handover, news;
    const struct filter *filter;
};

static const struct {
    int number, argument;
    bool narrow;
} arguments[] = {
#define ARGUMENT(call, name, index, narrow) {__NR_##call, index, narrow},
    CALL_ARGUMENTS(ARGUMENT)
#undef ARGUMENT
};

static void look_at_argument(const struct seccomp_data *data, struct learned *call) {
    call->argument = -1;
    for (size_t i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++) {
        if (arguments[i].number != data->nr) continue;
        call->argument = arguments[i].argument;
        call->value = data->args[call->argument];
        if (arguments[i].narrow) call->value = (uint32_t)call->value;
    }
}

/* Whether it is the first of its kind, so that it has to be told. */
static bool is_news(struct learned *call) {
    static struct told known[MAX_NUMBER];
    static struct told strange;
    bool ordinary = call->number >= 0 && call->number < MAX_NUMBER && call->arch == OWN_ARCH;
    struct told *told = ordinary ? &known[call->number] : &strange;
    uint64_t value = ordinary ? call->value : (uint64_t)call->arch << 32 | (uint32_t)call->number;
    for (int i = 0; i < told->count; i++)
        if (told->values[i] == value && told->answers[i] == call->answer) return false;
    if (told->count < (ordinary ? MAX_TOLD : MAX_STRANGE)) {
        told->values[told->count] = value;
        told->answers[told->count++] = call->answer;
        return true;
    }
    call->more = true;
    bool first = !told->more;
    told->more = true;
    return first;
}

static void decide(const struct filter *filter, const struct seccomp_data *data, struct learned *call) {
    *call = (struct learned){.number = data->nr, .arch = data->arch};
    look_at_argument(data, call);
    uint32_t verdict = evaluate(&filter->program, data);
    switch (verdict & SECCOMP_RET_ACTION_FULL) {
        case SECCOMP_RET_ALLOW: call->answer = LEARNED_ALLOWED; return;
        case SECCOMP_RET_ERRNO:
            call->answer = LEARNED_ANSWERED;
            call->error = (int)(verdict & SECCOMP_RET_DATA);
            return;
        default:
            call->answer = LEARNED_REFUSED;
            call->error = EPERM;
    }
}

/* Init's own: it executes the program under the filter, and nobody else knows the secret. */
static bool is_of_init(const struct filter *filter, const struct seccomp_data *data) {
    return data->nr == __NR_execve && data->arch == OWN_ARCH && data->args[SECRET_ARGUMENT] == filter->secret;
}

static void answer(const struct watch *watch, int listener, const struct seccomp_notif *notification) {
    struct learned call;
    decide(watch->filter, &notification->data, &call);
    /* Before the call goes on: what the main loop reads when the payload has ended is all there is. */
    if (!is_of_init(watch->filter, &notification->data) && is_news(&call)) (void)!write(watch->news, &call, sizeof(call));
    struct seccomp_notif_resp response = {.id = notification->id, .error = -call.error};
    if (call.answer == LEARNED_ALLOWED) response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    /* ENOENT: the caller was interrupted or killed meanwhile. */
    (void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

static void *watch_calls(void *argument) {
    struct watch *watch = argument;
    int listener = handover_receive(watch->handover);
    (void)close(watch->handover);
    /* With room for a kernel whose structures have grown. */
    union {
        struct seccomp_notif is;
        char room[512];
    } notification;
    while (listener >= 0) {
        (void)memset(&notification, 0, sizeof(notification));
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification) == 0) {
            answer(watch, listener, &notification.is);
            continue;
        }
        struct pollfd alive = {.fd = listener, .events = POLLIN};
        if (errno != EINTR && (errno != ENOENT || poll(&alive, 1, 0) < 0 || (alive.revents & POLLHUP) != 0)) break;
    }
    return NULL;
}

int learn_watch(int handover, const struct filter *filter) {
    static struct watch watch;
    int news[2];
    if (pipe2(news, O_CLOEXEC | O_NONBLOCK) < 0) return -errno;
    /* Room for all that may be told before the main loop reads: MAX_NUMBER calls with a few values each. */
    (void)fcntl(news[1], F_SETPIPE_SZ, 1 << 20);
    watch = (struct watch){.handover = handover, .news = news[1], .filter = filter};
    pthread_t thread;
    int error = pthread_create(&thread, NULL, watch_calls, &watch);
    return error != 0 ? -error : news[0];
}

bool learn_read(int fd, struct learned *call) { return read(fd, call, sizeof(*call)) == sizeof(*call); }
