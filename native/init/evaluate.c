#include "init/evaluate.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static bool jumps(unsigned short code, uint32_t accumulator, uint32_t k) {
    switch (BPF_OP(code)) {
        case BPF_JEQ: return accumulator == k;
        case BPF_JGT: return accumulator > k;
        case BPF_JGE: return accumulator >= k;
        default: return (accumulator & k) != 0;
    }
}

uint32_t evaluate(const struct sock_fprog *program, const struct seccomp_data *data) {
    uint32_t accumulator = 0;
    /* Jumps lead forward only, so that each instruction is met once at most. */
    for (size_t at = 0; at < program->len; at++) {
        const struct sock_filter *one = &program->filter[at];
        switch (one->code) {
            case BPF_LD | BPF_W | BPF_ABS:
                if (one->k > sizeof(*data) - sizeof(accumulator) || one->k % sizeof(accumulator) != 0) return SECCOMP_RET_KILL_PROCESS;
                (void)memcpy(&accumulator, (const char *)data + one->k, sizeof(accumulator));
                break;
            case BPF_ALU | BPF_AND | BPF_K: accumulator &= one->k; break;
            case BPF_JMP | BPF_JA: at += one->k; break;
            case BPF_JMP | BPF_JEQ | BPF_K:
            case BPF_JMP | BPF_JGT | BPF_K:
            case BPF_JMP | BPF_JGE | BPF_K:
            case BPF_JMP | BPF_JSET | BPF_K: at += jumps(one->code, accumulator, one->k) ? one->jt : one->jf; break;
            case BPF_RET | BPF_K: return one->k;
            default: return SECCOMP_RET_KILL_PROCESS;
        }
    }
    return SECCOMP_RET_KILL_PROCESS;
}
