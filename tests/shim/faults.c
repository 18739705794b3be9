/*
 * Preloaded into a server by the tests: makes chosen calls on chosen files fail.
 *
 * The rules are in the file that TIDEGATE_FAULTS names, which is mapped into memory: the test writes them and reads the
 * counters while the server runs. tests/src/fault/shim.rs knows the same layout. Without rules every call goes through.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    OP_WRITE = 1 << 0,
    OP_FSYNC = 1 << 1,
    OP_FDATASYNC = 1 << 2,
    OP_SYNC_RANGE = 1 << 3,
    OP_RENAME = 1 << 4,
    OP_OPEN = 1 << 5,
    OP_TRUNCATE = 1 << 6,
    OP_UNLINK = 1 << 7,
    OP_READ = 1 << 8,
};

/* What a rule says instead of an errno. */
enum { PASS = 0, SHORT = -1, HANG = -2 };

struct rule {
    uint32_t active;
    uint32_t ops;
    int32_t failure;
    uint32_t unused;
    uint64_t skip;   /* matching calls that go through first */
    uint64_t times;  /* calls that fail after them; 0: all */
    uint64_t met;    /* matching calls so far */
    uint64_t struck; /* calls that failed so far */
    char pattern[208];
};

#define RULES 16
_Static_assert(sizeof(struct rule) == 256, "the tests know this layout");

static struct rule *rules;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("TIDEGATE_FAULTS");
    if (path == NULL) return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *mapped = MAP_FAILED;
    if (fd >= 0) {
        mapped = mmap(NULL, RULES * sizeof(struct rule), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
    }
    if (mapped == MAP_FAILED) {
        fprintf(stderr, "faults: %s cannot be mapped\n", path);
        _exit(126);
    }
    rules = mapped;
}

/* What a descriptor stands for, such as a path or pipe:[1234]. */
static int target(int fd, char *found, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, found, size - 1);
    if (length < 0) return 0;
    found[length] = 0;
    return 1;
}

/* A pattern is one of whole paths as a shell has them, or fd:N: whatever that descriptor stands for, by copies of it too. */
static int matches(const struct rule *rule, int fd, const char *path) {
    char found[4096], wanted[4096];
    if (path == NULL) {
        if (!target(fd, found, sizeof found)) return 0;
        path = found;
    }
    if (strncmp(rule->pattern, "fd:", 3) == 0)
        return target(atoi(rule->pattern + 3), wanted, sizeof wanted) && strcmp(path, wanted) == 0;
    return fnmatch(rule->pattern, path, 0) == 0;
}

static int is_active(const struct rule *rule) { return __atomic_load_n(&rule->active, __ATOMIC_ACQUIRE) != 0; }

/* What is to become of a call: PASS, SHORT or an errno. Waits where a rule says so. */
static int verdict(uint32_t op, int fd, const char *path) {
    if (rules == NULL) return PASS;
    int before = errno, failure = PASS;
    for (int i = 0; i < RULES && failure == PASS; i++) {
        struct rule *rule = &rules[i];
        if (!is_active(rule) || (rule->ops & op) == 0 || !matches(rule, fd, path)) continue;
        uint64_t met = __atomic_add_fetch(&rule->met, 1, __ATOMIC_SEQ_CST);
        if (met <= rule->skip || (rule->times != 0 && met - rule->skip > rule->times)) continue;
        __atomic_add_fetch(&rule->struck, 1, __ATOMIC_SEQ_CST);
        failure = rule->failure;
        if (failure == HANG) {
            const struct timespec pause = {0, 2000000};
            while (is_active(rule)) nanosleep(&pause, NULL);
            failure = PASS;
        }
    }
    errno = before;
    return failure;
}

#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (real == NULL) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

/* Ends the call where it is to fail. */
#define MAY_FAIL(op, fd, path) \
    int failure = verdict(op, fd, path); \
    if (failure > 0) { \
        errno = failure; \
        return -1; \
    }

#define CUT(count) (failure == SHORT && (count) > 1 ? (count) / 2 : (count))

ssize_t write(int fd, const void *from, size_t count) {
    REAL(ssize_t, write, int, const void *, size_t);
    MAY_FAIL(OP_WRITE, fd, NULL);
    return real(fd, from, CUT(count));
}

ssize_t pwrite(int fd, const void *from, size_t count, off_t at) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    MAY_FAIL(OP_WRITE, fd, NULL);
    return real(fd, from, CUT(count), at);
}

ssize_t pwrite64(int fd, const void *from, size_t count, off64_t at) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    MAY_FAIL(OP_WRITE, fd, NULL);
    return real(fd, from, CUT(count), at);
}

ssize_t writev(int fd, const struct iovec *from, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    MAY_FAIL(OP_WRITE, fd, NULL);
    return real(fd, from, CUT(count));
}

ssize_t read(int fd, void *into, size_t count) {
    REAL(ssize_t, read, int, void *, size_t);
    MAY_FAIL(OP_READ, fd, NULL);
    return real(fd, into, CUT(count));
}

ssize_t pread(int fd, void *into, size_t count, off_t at) {
    REAL(ssize_t, pread, int, void *, size_t, off_t);
    MAY_FAIL(OP_READ, fd, NULL);
    return real(fd, into, CUT(count), at);
}

ssize_t pread64(int fd, void *into, size_t count, off64_t at) {
    REAL(ssize_t, pread64, int, void *, size_t, off64_t);
    MAY_FAIL(OP_READ, fd, NULL);
    return real(fd, into, CUT(count), at);
}

int fsync(int fd) {
    REAL(int, fsync, int);
    MAY_FAIL(OP_FSYNC, fd, NULL);
    return real(fd);
}

int fdatasync(int fd) {
    REAL(int, fdatasync, int);
    MAY_FAIL(OP_FDATASYNC, fd, NULL);
    return real(fd);
}

int sync_file_range(int fd, off64_t from, off64_t count, unsigned int flags) {
    REAL(int, sync_file_range, int, off64_t, off64_t, unsigned int);
    MAY_FAIL(OP_SYNC_RANGE, fd, NULL);
    return real(fd, from, count, flags);
}

int ftruncate(int fd, off_t length) {
    REAL(int, ftruncate, int, off_t);
    MAY_FAIL(OP_TRUNCATE, fd, NULL);
    return real(fd, length);
}

int ftruncate64(int fd, off64_t length) {
    REAL(int, ftruncate64, int, off64_t);
    MAY_FAIL(OP_TRUNCATE, fd, NULL);
    return real(fd, length);
}

int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    MAY_FAIL(OP_RENAME, -1, to);
    return real(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    REAL(int, renameat, int, const char *, int, const char *);
    MAY_FAIL(OP_RENAME, -1, to);
    return real(from_folder, from, to_folder, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned int flags) {
    REAL(int, renameat2, int, const char *, int, const char *, unsigned int);
    MAY_FAIL(OP_RENAME, -1, to);
    return real(from_folder, from, to_folder, to, flags);
}

int unlink(const char *path) {
    REAL(int, unlink, const char *);
    MAY_FAIL(OP_UNLINK, -1, path);
    return real(path);
}

int unlinkat(int folder, const char *path, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    MAY_FAIL(OP_UNLINK, -1, path);
    return real(folder, path, flags);
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...) {
    MODE(flags);
    REAL(int, open, const char *, int, ...);
    MAY_FAIL(OP_OPEN, -1, path);
    return real(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE(flags);
    REAL(int, open64, const char *, int, ...);
    MAY_FAIL(OP_OPEN, -1, path);
    return real(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    MODE(flags);
    REAL(int, openat, int, const char *, int, ...);
    MAY_FAIL(OP_OPEN, -1, path);
    return real(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE(flags);
    REAL(int, openat64, int, const char *, int, ...);
    MAY_FAIL(OP_OPEN, -1, path);
    return real(folder, path, flags, mode);
}
