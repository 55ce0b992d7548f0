// What a call costs when nothing is done with it: bytes behind a length, there and back over a Unix socket.
//
//   rpc-floor serve PATH                      sends back whatever comes
//   rpc-floor ask PATH BYTES WINDOW MS        asks so long, so many at a time, and prints one line of JSON
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (256 * 1024)
#define MOST_SAMPLES (4 * 1024 * 1024)

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct sockaddr_un address_of(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) exit(2);
    strcpy(address.sun_path, path);
    return address;
}

static size_t write_some(int fd, const char *bytes, size_t count) {
    ssize_t n = write(fd, bytes, count);
    if (n < 0 && errno != EAGAIN) exit(0); // the other side is gone
    return n < 0 ? 0 : (size_t)n;
}

// One connection at a time: nobody else asks while one does.
static void serve(const char *path) {
    struct sockaddr_un address = address_of(path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(path);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 8) < 0) die(path);
    static char buffer[CHUNK];
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) die("accept");
        for (;;) {
            ssize_t n = read(fd, buffer, sizeof buffer);
            if (n <= 0) break;
            for (size_t at = 0; at < (size_t)n;) {
                ssize_t written = write(fd, buffer + at, (size_t)n - at);
                if (written <= 0) exit(0);
                at += (size_t)written;
            }
        }
        close(fd);
    }
}

static int compare(const void *one, const void *other) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static void ask(const char *path, size_t bytes, unsigned window, unsigned ms) {
    struct sockaddr_un address = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) die(path);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    size_t frame = bytes + 4, most = frame * window;
    char *out = malloc(most), *in = malloc(CHUNK);
    uint32_t *samples = malloc(MOST_SAMPLES * sizeof *samples);
    if (!out || !in || !samples) exit(1);
    memset(out, 'x', most);
    for (unsigned each = 0; each < window; each++) {
        uint32_t length = __builtin_bswap32((uint32_t)bytes);
        memcpy(out + each * frame, &length, 4);
    }
    uint64_t began = now_ns(), until = began + (uint64_t)ms * 1000000u, sent_at = began, count = 0, asked = window, taken = 0;
    size_t to_send = most; // bytes of requests that may be sent
    size_t at = 0;         // where in `out` the next one begins: all are the same, so that it may go round
    while (count < asked || now_ns() < until) {
        if (to_send > 0) {
            size_t piece = most - at < to_send ? most - at : to_send;
            size_t n = write_some(fd, out + at, piece);
            at = (at + n) % most;
            to_send -= n;
        }
        struct pollfd it = {.fd = fd, .events = (short)(POLLIN | (to_send > 0 ? POLLOUT : 0))};
        if (poll(&it, 1, 5000) <= 0) die("no answer");
        if (!(it.revents & POLLIN)) continue;
        ssize_t n = read(fd, in, CHUNK);
        if (n == 0) die("closed");
        if (n < 0) continue;
        taken += (uint64_t)n;
        uint64_t answered = taken / frame, now = now_ns();
        if (answered == count) continue;
        if (window == 1 && count < MOST_SAMPLES) samples[count] = (uint32_t)(now - sent_at);
        uint64_t more = answered - count;
        count = answered;
        if (now >= until) continue; // what is under way still comes
        asked += more;
        to_send += more * frame;
        sent_at = now_ns();
    }
    double seconds = (double)(now_ns() - began) / 1e9;
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    double p50 = 0, p99 = 0;
    if (window == 1 && count > 0) {
        size_t n = count < MOST_SAMPLES ? count : MOST_SAMPLES;
        qsort(samples, n, sizeof *samples, compare);
        p50 = samples[n / 2] / 1e3;
        p99 = samples[n * 99 / 100] / 1e3;
    }
    printf("{\"count\": %lu, \"seconds\": %.6f, \"p50Us\": %.3f, \"p99Us\": %.3f, \"cpuUs\": %.1f}\n", (unsigned long)count,
           seconds, p50, p99, cpu);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "serve") == 0) serve(argv[2]);
    else if (argc == 6 && strcmp(argv[1], "ask") == 0)
        ask(argv[2], strtoul(argv[3], NULL, 10), (unsigned)strtoul(argv[4], NULL, 10), (unsigned)strtoul(argv[5], NULL, 10));
    else return 2;
    return 0;
}
