/* Four threads that never wait for anything. */
#include <pthread.h>

enum { THREADS = 4 };

static void *spin(void *unused) {
    volatile unsigned long count = 0;
    (void)unused;
    for (;;) count++;
    return NULL;
}

int main(void) {
    pthread_t thread;
    for (int i = 1; i < THREADS; i++) (void)pthread_create(&thread, NULL, spin, NULL);
    (void)spin(NULL);
}
