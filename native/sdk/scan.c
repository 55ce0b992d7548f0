/* Whether bytes are a value as docs/protocol.md has it: before anything else looks at them, and as they come in. */
#include "sdk/values.h"

#include <string.h>

static void scan_start(struct scan *scan) {
    scan->at = 0;
    scan->depth = 0;
    scan->left[0] = 1;
    scan->map[0] = false;
    scan->mentioned = 0;
    scan->mentions = 0;
    scan->wrong = NULL;
}

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. Returns the length, or 0. */
static size_t utf8_character(const unsigned char *at, size_t length) {
    unsigned char least = 0x80, most = 0xbf;
    size_t size = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || length < size) return 0;
    if (at[0] == 0xe0) least = 0xa0;
    if (at[0] == 0xed) most = 0x9f;
    if (at[0] == 0xf0) least = 0x90;
    if (at[0] == 0xf4) most = 0x8f;
    if (at[1] < least || at[1] > most) return 0;
    for (size_t i = 2; i < size; i++)
        if ((at[i] & 0xc0) != 0x80) return 0;
    return size;
}

static bool is_utf8(const unsigned char *bytes, size_t length) {
    for (size_t at = 0; at < length;) {
        uint64_t eight;
        if (length - at >= sizeof(eight)) {
            memcpy(&eight, bytes + at, sizeof(eight));
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof(eight);
                continue;
            }
        }
        size_t size = bytes[at] < 0x80 ? 1 : utf8_character(bytes + at, length - at);
        if (size == 0) return false;
        at += size;
    }
    return true;
}

static enum scan_result bad(struct scan *scan, const char *wrong) {
    scan->wrong = wrong;
    return SCAN_BAD;
}

static bool mention(struct scan *scan, unsigned int index) {
    if (index >= MESSAGE_FDS || (scan->mentioned & (UINT32_C(1) << index)) != 0) return false;
    scan->mentioned |= UINT32_C(1) << index;
    scan->mentions++;
    return true;
}

/* The value at scan->at, which is there as a whole, with its payload; of an array or map, its head. */
static enum scan_result one(struct scan *scan, const unsigned char *bytes, const struct head *head) {
    const unsigned char *payload = bytes + scan->at + head->size;
    const bool is_key = scan->map[scan->depth] && scan->left[scan->depth] % 2 == 0;
    if (is_key && head->type != BULKHEAD_TEXT) return bad(scan, "a key of a map is no string");
    scan->left[scan->depth]--;
    scan->at += head->size + (size_t)head->payload;
    if (head->type == BULKHEAD_TEXT)
        return is_utf8(payload, (size_t)head->payload) ? SCAN_WHOLE : bad(scan, "a string is not UTF-8");
    if (head->type == BULKHEAD_ARRAY || head->type == BULKHEAD_MAP) {
        if (scan->depth == MAX_DEPTH) return bad(scan, "more than 32 levels");
        scan->depth++;
        scan->map[scan->depth] = head->type == BULKHEAD_MAP;
        scan->left[scan->depth] = head->type == BULKHEAD_MAP ? 2 * (uint64_t)head->count : head->count;
        return SCAN_WHOLE;
    }
    if (head->extension != 0) {
        const bool known = head->type == BULKHEAD_BINARY ? scan->bodies : head->type == BULKHEAD_DESCRIPTOR && scan->descriptors;
        if (!known) return bad(scan, "an extension type that was not agreed on");
        return mention(scan, payload[0]) ? SCAN_WHOLE : bad(scan, "a descriptor that is none, or mentioned twice");
    }
    return head->type == BULKHEAD_OTHER ? bad(scan, "no MessagePack value") : SCAN_WHOLE;
}

static enum scan_result scan_more(struct scan *scan, const unsigned char *bytes, size_t length) {
    for (;;) {
        while (scan->left[scan->depth] == 0) {
            if (scan->depth == 0) {
                /* Those of a message are numbered from 0 on, without a gap. */
                const bool whole = scan->mentioned == (UINT32_C(1) << scan->mentions) - 1;
                return whole ? SCAN_WHOLE : bad(scan, "descriptors are not mentioned in order");
            }
            scan->depth--;
        }
        struct head head;
        if (!head_of(bytes + scan->at, bytes + length, &head)) return SCAN_MORE;
        if (head.payload > length - scan->at - head.size) {
            /* Refused at once where its bytes would only be waited for. */
            if (head.extension != 0 && head.type == BULKHEAD_OTHER) return bad(scan, "an extension type that was not agreed on");
            return SCAN_MORE;
        }
        if (one(scan, bytes, &head) == SCAN_BAD) return SCAN_BAD;
    }
}

static bool scan_is_value(struct scan *scan, const unsigned char *bytes, size_t length) {
    scan_start(scan);
    enum scan_result result = scan_more(scan, bytes, length);
    if (result == SCAN_MORE) scan->wrong = "a value that is cut";
    if (result == SCAN_WHOLE && scan->at != length) {
        scan->wrong = "something behind the value";
        return false;
    }
    return result == SCAN_WHOLE;
}
