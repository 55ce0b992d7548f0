/* Takes memory, and uses it, until somebody stops it. */
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 20 };

int main(void) {
    for (;;) {
        char *piece = malloc(PIECE);
        if (piece != NULL) memset(piece, 1, PIECE);
    }
}
