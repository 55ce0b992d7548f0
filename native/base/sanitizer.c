/* Only in the sanitized builds. */
const char *__asan_default_options(void);

/* Looking for leaks needs ptrace, which plugin-init gives up. */
const char *__asan_default_options(void) { return "detect_leaks=0"; }
