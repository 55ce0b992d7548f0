#include "init/call-name.h"

#include <asm/unistd.h>
#include <stdio.h>

#if defined(__x86_64__)
enum { X32_BIT = 0x40000000 };
#elif defined(__aarch64__)
enum { X32_BIT = 0 };
#endif

/* One [__NR_read] = "read", a line: made by native/build out of asm/unistd.h. */
static const char *const names[] = {
#include "call-names.generated.h"
};

void call_name(int number, unsigned int arch, char *out, size_t size) {
    const char *name = NULL;
    if (number >= 0 && (size_t)number < sizeof(names) / sizeof(names[0])) name = names[number];
    if (arch != OWN_ARCH)
        (void)snprintf(out, size, "%s:%d", (arch & __AUDIT_ARCH_64BIT) == 0 ? "32-bit" : "foreign", number);
    else if (number > 0 && (number & X32_BIT) != 0)
        (void)snprintf(out, size, "x32:%d", number & ~X32_BIT);
    else if (name == NULL)
        (void)snprintf(out, size, "%d", number);
    else
        (void)snprintf(out, size, "%s", name);
}
