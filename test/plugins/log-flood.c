/* Writes to the journal as fast as it is let. */
#include <unistd.h>

int main(void) {
    static const char line[] = "nobody wants to know this, but it is written down again and again and again\n";
    for (;;)
        if (write(STDOUT_FILENO, line, sizeof(line) - 1) < 0) return 1;
}
