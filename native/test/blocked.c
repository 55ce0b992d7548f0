/*
 * blocked SIGNAL PROGRAM ARGUMENTS...: executes PROGRAM with the requests to stop blocked and, if SIGNAL is not 0,
 * already pending: as if it had come in the very first moment of the program.
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCONT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    int number = atoi(argv[1]);
    if (number != 0) (void)kill(getpid(), number);
    (void)execv(argv[2], argv + 2);
    return 1;
}
