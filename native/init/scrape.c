#include "init/scrape.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "forward/confine.h"
#include "init/ask.h"
#include "init/payload.h"
#include "init/prober.h"

enum { PATIENCE_MS = 1000 };

/* A pipe takes it whole, or not at all. */
_Static_assert(sizeof(struct metrics) <= 4096, "what came of a question does not fit");

/* The child. */
static void ask(const struct scrape *scrape, bool confine_first, int answer) {
    struct metrics metrics = {.result = METRICS_NOT_ASKED};
    int error = confine_first ? confine(PROBER_ID, CONFINE_PROBER) : 0;
    metrics.detail = -error;
    if (error == 0) ask_for_metrics(scrape->source, &metrics);
    _exit(write(answer, &metrics, sizeof(metrics)) == sizeof(metrics) ? 0 : EXIT_SETUP_FAILED);
}

void scrape_begin(struct scrape *scrape, bool confine_first, int64_t now) {
    int answer[2];
    if (!scrape->wanted || scrape->pid > 0) return;
    scrape->wanted = false;
    /* Whoever wants to know asks again. */
    if (pipe2(answer, O_CLOEXEC | O_NONBLOCK) < 0) return;
    pid_t pid = fork();
    if (pid == 0) ask(scrape, confine_first, answer[1]);
    (void)close(answer[1]);
    if (pid < 0) {
        (void)close(answer[0]);
        return;
    }
    scrape->pid = pid;
    scrape->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    scrape->answer = answer[0];
    scrape->deadline = now + PATIENCE_MS;
}

void scrape_end(const struct scrape *scrape) {
    if (scrape->pid > 0) (void)kill(scrape->pid, SIGKILL);
}

bool scrape_look(struct scrape *scrape, int64_t now, struct metrics *metrics) {
    if (scrape->pid <= 0) return false;
    if (scrape->deadline <= now) {
        scrape_end(scrape);
        /* One that the kernel holds is waited for by its end. */
        scrape->deadline = INT64_MAX;
    }
    if (waitpid(scrape->pid, NULL, WNOHANG) != scrape->pid) return false;
    bool told = read(scrape->answer, metrics, sizeof(*metrics)) == sizeof(*metrics) && metrics_valid(metrics);
    if (!told) *metrics = (struct metrics){.result = METRICS_NO_ANSWER, .detail = ETIMEDOUT};
    if (scrape->pidfd >= 0) (void)close(scrape->pidfd);
    (void)close(scrape->answer);
    scrape->pid = 0;
    return true;
}

int64_t scrape_due(const struct scrape *scrape) {
    if (scrape->pid > 0) return scrape->deadline;
    return scrape->wanted ? 0 : INT64_MAX;
}
