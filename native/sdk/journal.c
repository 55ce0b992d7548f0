/* Work that was accepted and is not finished, so that somebody else does it when this process cannot. */
#include "sdk/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    RECORD_HEAD = 8,
    PAYLOAD_HEAD = 1 + BULKHEAD_ID_SIZE,
    CONTENT_MOST = 1 << 20,
    JOURNAL_MOST = 64 << 20,
    /* An id that another process took first is chosen again. */
    NAME_ATTEMPTS = 16,
};
enum entry_kind { ENTRY_ACCEPTED = 1, ENTRY_FINISHED, ENTRY_HANDED_OUT };

/* Work that is open, with where its content lies in the file. */
struct entry {
    unsigned char id[BULKHEAD_ID_SIZE];
    size_t offset, length;
};

struct entries {
    struct entry *each;
    size_t count, size;
};

struct bulkhead_journal {
    pthread_mutex_t lock;
    int directory, fd;
    char name[MAX_NAME + 128];
    size_t length;
    struct entries open;
};

static struct bulkhead_journal own = {.lock = PTHREAD_MUTEX_INITIALIZER, .directory = -1, .fd = -1};

static bool entries_add(struct entries *entries, const struct entry *entry) {
    if (entries->count == entries->size) {
        const size_t size = entries->size == 0 ? 16 : 2 * entries->size;
        struct entry *each = realloc(entries->each, size * sizeof(struct entry));
        if (each == NULL) return false;
        entries->each = each;
        entries->size = size;
    }
    entries->each[entries->count++] = *entry;
    return true;
}

static bool entries_have(const struct entries *entries, const unsigned char *id) {
    for (size_t i = 0; i < entries->count; i++)
        if (memcmp(entries->each[i].id, id, BULKHEAD_ID_SIZE) == 0) return true;
    return false;
}

static void entries_remove(struct entries *entries, const unsigned char *id) {
    for (size_t i = 0; i < entries->count; i++) {
        if (memcmp(entries->each[i].id, id, BULKHEAD_ID_SIZE) != 0) continue;
        entries->count--;
        memmove(&entries->each[i], &entries->each[i + 1], (entries->count - i) * sizeof(struct entry));
        return;
    }
}

/* A record in one write. What is only half written is cut off again, so that others can follow. */
static int append(int fd, size_t *length, enum entry_kind kind, const unsigned char *id, const void *bytes, size_t size) {
    const size_t payload = PAYLOAD_HEAD + size, whole = RECORD_HEAD + payload;
    unsigned char *record = malloc(whole);
    if (record == NULL) return -ENOMEM;
    record[RECORD_HEAD] = (unsigned char)kind;
    memcpy(record + RECORD_HEAD + 1, id, BULKHEAD_ID_SIZE);
    if (size > 0) memcpy(record + RECORD_HEAD + PAYLOAD_HEAD, bytes, size);
    put_number(record, payload, 4);
    put_number(record + 4, crc32_of(0, record + RECORD_HEAD, payload), 4);
    int error = write_all(fd, record, whole);
    free(record);
    if (error == 0) *length += whole;
    else if (ftruncate(fd, (off_t)*length) < 0) return -errno;
    return error;
}

/* The lock tells others that this process lives; it goes with it, however it ends. */
static int open_own(int directory) {
    const char *sandbox = getenv("BULKHEAD_SANDBOX");
    for (int attempt = 0; attempt < NAME_ATTEMPTS; attempt++) {
        uint32_t chance;
        struct stat status;
        int error = random_bytes(&chance, sizeof(chance));
        if (error < 0) return error;
        (void)snprintf(own.name, sizeof(own.name), "%.128s-%08x.log", sandbox != NULL ? sandbox : "by-hand", chance);
        const int fd = openat(directory, own.name, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 && errno == EEXIST) continue;
        if (fd < 0) return -errno;
        /* Somebody who replays may have had it in between, and have removed it. */
        if (flock(fd, LOCK_EX) == 0 && fstat(fd, &status) == 0 && status.st_nlink > 0) {
            if (fsync(directory) == 0) return fd;
            error = -errno;
            (void)close(fd);
            return error;
        }
        (void)close(fd);
    }
    return -EAGAIN;
}

int bulkhead_journal(struct bulkhead_journal **journal) {
    int error = 0;
    (void)pthread_mutex_lock(&own.lock);
    if (own.fd < 0) {
        const int directory = state_directory("journal");
        const int fd = directory < 0 ? directory : open_own(directory);
        if (fd < 0 && directory >= 0) (void)close(directory);
        if (fd >= 0) {
            own.directory = directory;
            own.fd = fd;
        } else {
            error = fd;
        }
    }
    (void)pthread_mutex_unlock(&own.lock);
    *journal = error == 0 ? &own : NULL;
    return error;
}

int bulkhead_accept(struct bulkhead_journal *journal, const void *bytes, size_t length, unsigned char id[BULKHEAD_ID_SIZE]) {
    struct entry entry = {0};
    if (length > CONTENT_MOST) return -EFBIG;
    int error = random_bytes(entry.id, sizeof(entry.id));
    if (error < 0) return error;
    (void)pthread_mutex_lock(&journal->lock);
    const size_t before = journal->length;
    if (before + RECORD_HEAD + PAYLOAD_HEAD + length > JOURNAL_MOST) error = -EDQUOT;
    if (error == 0 && !entries_add(&journal->open, &entry)) error = -ENOMEM;
    if (error == 0) {
        error = append(journal->fd, &journal->length, ENTRY_ACCEPTED, entry.id, bytes, length);
        if (error == 0 && fdatasync(journal->fd) < 0) {
            error = -errno;
            /* Whoever is told that it was not accepted must not see it replayed. */
            if (ftruncate(journal->fd, (off_t)before) == 0) journal->length = before;
        }
        if (error < 0) entries_remove(&journal->open, entry.id);
    }
    (void)pthread_mutex_unlock(&journal->lock);
    memcpy(id, entry.id, BULKHEAD_ID_SIZE);
    return error;
}

int bulkhead_finish(struct bulkhead_journal *journal, const unsigned char id[BULKHEAD_ID_SIZE]) {
    int error = 0;
    (void)pthread_mutex_lock(&journal->lock);
    if (!entries_have(&journal->open, id)) {
        error = -ENOENT;
    } else if (journal->open.count > 1) {
        error = append(journal->fd, &journal->length, ENTRY_FINISHED, id, NULL, 0);
    } else if (ftruncate(journal->fd, 0) < 0) {
        error = -errno;
    } else {
        journal->length = 0;
    }
    /* It is open until that is written: it can be tried again. */
    if (error == 0) entries_remove(&journal->open, id);
    (void)pthread_mutex_unlock(&journal->lock);
    return error;
}

/* What is open in a journal. Returns the length of the part that is whole: what follows was being written at the end. */
static size_t parse(const unsigned char *bytes, size_t length, struct entries *open, bool *whole) {
    size_t at = 0;
    *whole = true;
    while (length - at >= RECORD_HEAD + PAYLOAD_HEAD) {
        const size_t payload = (size_t)get_number(bytes + at, 4);
        const unsigned char *content = bytes + at + RECORD_HEAD;
        if (payload < PAYLOAD_HEAD || payload > PAYLOAD_HEAD + CONTENT_MOST || payload > length - at - RECORD_HEAD) break;
        if (get_number(bytes + at + 4, 4) != crc32_of(0, content, payload)) break;
        at += RECORD_HEAD + payload;
        struct entry entry = {.offset = (size_t)(content - bytes) + PAYLOAD_HEAD, .length = payload - PAYLOAD_HEAD};
        memcpy(entry.id, content + 1, BULKHEAD_ID_SIZE);
        if (content[0] != ENTRY_ACCEPTED) entries_remove(open, entry.id);
        else if (!entries_add(open, &entry)) *whole = false;
    }
    return at;
}

/* Each is marked as handed out before it is: should all die then, nobody does it twice. */
static int hand_out(int fd, const unsigned char *bytes, size_t length, const struct entries *open,
                    int (*callback)(const unsigned char *id, const void *bytes, size_t length, void *context), void *context) {
    int count = 0;
    for (size_t i = 0; i < open->count; i++) {
        const struct entry *entry = &open->each[i];
        int error = append(fd, &length, ENTRY_HANDED_OUT, entry->id, NULL, 0);
        if (error == 0 && fdatasync(fd) < 0) error = -errno;
        if (error < 0) return error;
        count++;
        if (callback(entry->id, bytes + entry->offset, entry->length, context) != 0) continue;
        error = append(fd, &length, ENTRY_FINISHED, entry->id, NULL, 0);
        if (error < 0) return error;
    }
    return count;
}

static int replay_file(int directory, const char *name,
                       int (*callback)(const unsigned char *id, const void *bytes, size_t length, void *context),
                       void *context) {
    struct entries open = {0};
    struct stat status;
    bool whole = false;
    const int fd = openat(directory, name, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return 0;
    /* Held by a process that lives, or replayed by another one just now. */
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &status) < 0 || status.st_nlink == 0 || !S_ISREG(status.st_mode)) {
        (void)close(fd);
        return 0;
    }
    const size_t most = 2 * (size_t)JOURNAL_MOST, size = (uint64_t)status.st_size < most ? (size_t)status.st_size : most;
    unsigned char *bytes = malloc(size + 1);
    const ssize_t got = bytes == NULL ? -ENOMEM : read_all(fd, bytes, size);
    int result = got < 0 ? (int)got : 0;
    if (got >= 0) {
        const size_t length = parse(bytes, (size_t)got, &open, &whole);
        if (!whole) result = -ENOMEM;
        else if (ftruncate(fd, (off_t)length) < 0) result = -errno;
        else result = hand_out(fd, bytes, length, &open, callback, context);
    }
    if (result >= 0 && unlinkat(directory, name, 0) < 0) result = -errno;
    free(open.each);
    free(bytes);
    (void)close(fd);
    return result;
}

int bulkhead_replay(struct bulkhead_journal *journal,
                    int (*callback)(const unsigned char *id, const void *bytes, size_t length, void *context),
                    void *context) {
    int count = 0;
    const int place = openat(journal->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *files = place < 0 ? NULL : fdopendir(place);
    if (files == NULL) {
        const int error = -errno;
        if (place >= 0) (void)close(place);
        return error;
    }
    for (const struct dirent *each; count >= 0 && (each = readdir(files)) != NULL;) {
        const size_t length = strlen(each->d_name);
        if (length < 5 || strcmp(each->d_name + length - 4, ".log") != 0 || strcmp(each->d_name, journal->name) == 0) continue;
        const int handed = replay_file(journal->directory, each->d_name, callback, context);
        count = handed < 0 ? handed : count + handed;
    }
    (void)closedir(files);
    return count;
}
