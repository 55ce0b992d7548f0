/* Opens files until it may not, and goes on trying. */
#include <fcntl.h>
#include <unistd.h>

enum { AGAIN_USEC = 1000 };

int main(void) {
    for (;;)
        if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) (void)usleep(AGAIN_USEC);
}
