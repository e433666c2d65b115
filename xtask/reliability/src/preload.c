/* Loaded into a program by LD_PRELOAD: counts its operations on files under one directory, those that read and those that
 * write, and at one of them ends the process or lets the operation fail. What is mapped into memory and what is asked of an
 * open file (its length) is not counted. Linux, glibc. All is told by the environment:
 *
 *   RELIABILITY_ROOT     the directory, absolute and without links; nothing is done without it
 *   RELIABILITY_PROGRAM  name of the program: children with another name are left alone
 *   RELIABILITY_LOG      file to which each operation is appended: "number TAB operation TAB path"
 *   RELIABILITY_AT       number of the operation, from 1; 0 counts only
 *   RELIABILITY_MODE     before: end before it; inside: end after half of a write, after any other operation;
 *                        once: it fails; always: it and all that follow and could fail likewise fail
 *   RELIABILITY_ERRNO    the error of `once` and `always`
 *   RELIABILITY_READS    0: those that read are not counted
 *   RELIABILITY_ENDED    exit status by which the process ends
 *
 * The clock stands still, so that whatever tells durations tells the same in each run.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FILES 4096

static char root[PATH_MAX];
static size_t root_length;
static int active, log_file = -1, at, fails, always, inside, failure, reads = 1, ended = 99, count;
static char *opened[FILES];
static struct timespec now[2];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

enum kind { WRITES, REMOVES, READS };

static int number(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

__attribute__((constructor)) static void start(void) {
    const char *directory = getenv("RELIABILITY_ROOT"), *program = getenv("RELIABILITY_PROGRAM");
    const char *mode = getenv("RELIABILITY_MODE"), *log = getenv("RELIABILITY_LOG");
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (!directory || !program || !mode || length < 0) return;
    own[length] = 0;
    const char *name = strrchr(own, '/');
    if (strcmp(name ? name + 1 : own, program)) return;
    snprintf(root, sizeof root, "%s", directory);
    root_length = strlen(root);
    at = number("RELIABILITY_AT", 0);
    failure = number("RELIABILITY_ERRNO", EIO);
    reads = number("RELIABILITY_READS", 1);
    ended = number("RELIABILITY_ENDED", 99);
    inside = !strcmp(mode, "inside");
    always = !strcmp(mode, "always");
    fails = always || !strcmp(mode, "once");
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &now[0]);
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now[1]);
    now[0].tv_sec = 1790000000;
    now[0].tv_nsec = 0;
    if (log) log_file = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    active = 1;
}

/* The absolute path of `path` relative to the directory `from`, its parent without links; 0 if not under the root. */
static int under(int from, const char *path, char *out) {
    char base[PATH_MAX] = "", joined[2 * PATH_MAX], parent[PATH_MAX];
    if (!active || !path) return 0;
    if (path[0] != '/') {
        if (from == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", from);
            ssize_t length = readlink(link, base, sizeof base - 1);
            if (length < 0) return 0;
            base[length] = 0;
        }
        snprintf(joined, sizeof joined, "%s/%s", base, path);
    } else {
        snprintf(joined, sizeof joined, "%s", path);
    }
    size_t end = strlen(joined);
    while (end > 1 && joined[end - 1] == '/') joined[--end] = 0;
    char *slash = strrchr(joined, '/');
    if (!slash) return 0;
    *slash = 0;
    if (!realpath(slash == joined ? "/" : joined, parent)) return 0;
    if (snprintf(out, PATH_MAX, "%s/%s", parent, slash + 1) >= PATH_MAX) return 0;
    return !strncmp(out, root, root_length) && (out[root_length] == '/' || out[root_length] == 0);
}

/* Counts an operation. 0: do it; -1: fail with errno set; 1: do it (half of it) and end the process. */
static int counted(const char *operation, enum kind kind, const char *path) {
    if (kind == READS && !reads) return 0;
    pthread_mutex_lock(&lock);
    int current = ++count, result = 0;
    if (log_file >= 0) {
        char line[PATH_MAX + 64];
        const char *shown = strlen(path) > root_length ? path + root_length + 1 : ".";
        int length = snprintf(line, sizeof line, "%d\t%s\t%s\n", current, operation, shown);
        syscall(SYS_write, log_file, line, length);
    }
    /* A full disk refuses neither removals nor reading. */
    int possible = kind == WRITES || failure != ENOSPC;
    if (at && fails && possible && (current == at || (always && current > at))) {
        errno = failure;
        result = -1;
    } else if (at && !fails && current == at) {
        if (!inside) syscall(SYS_exit_group, ended);
        result = 1;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

static void end(void) { syscall(SYS_exit_group, ended); }

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define DO(operation, kind, path, call) \
    int step = counted(operation, kind, path); \
    if (step < 0) return -1; \
    __typeof__(call) done = call; \
    if (step > 0) end(); \
    return done

static int open_at(int from, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    int writes = (flags & O_ACCMODE) != O_RDONLY;
    int ours = under(from, path, whole), step = 0;
    if (ours && writes && (flags & (O_CREAT | O_TRUNC))) step = counted("create", WRITES, whole);
    else if (ours) step = counted("open", READS, whole);
    if (step < 0) return -1;
    int file = (int)syscall(SYS_openat, from, path, flags, mode);
    if (step > 0) end();
    if (file >= 0 && file < FILES) {
        pthread_mutex_lock(&lock);
        free(opened[file]);
        opened[file] = ours ? strdup(whole) : NULL;
        pthread_mutex_unlock(&lock);
    }
    return file;
}

#define OPEN(name, parameters, from) \
    int name parameters { \
        mode_t mode = 0; \
        if (flags & (O_CREAT | __O_TMPFILE)) { \
            va_list rest; \
            va_start(rest, flags); \
            mode = va_arg(rest, mode_t); \
            va_end(rest); \
        } \
        return open_at(from, path, flags, mode); \
    }

OPEN(open, (const char *path, int flags, ...), AT_FDCWD)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD)
OPEN(openat, (int from, const char *path, int flags, ...), from)
OPEN(openat64, (int from, const char *path, int flags, ...), from)

int close(int file) {
    if (active && file >= 0 && file < FILES) {
        pthread_mutex_lock(&lock);
        free(opened[file]);
        opened[file] = NULL;
        pthread_mutex_unlock(&lock);
    }
    return (int)syscall(SYS_close, file);
}

static const char *path_of(int file) { return active && file >= 0 && file < FILES ? opened[file] : NULL; }

#define FAILS_TO_READ(file) \
    const char *path = path_of(file); \
    int step = path ? counted("read", READS, path) : 0; \
    if (step < 0) return -1

#define READ(name, parameters, call) \
    ssize_t name parameters { \
        FAILS_TO_READ(file); \
        ssize_t done = call; \
        if (step > 0) end(); \
        return done; \
    }

READ(read, (int file, void *bytes, size_t size), syscall(SYS_read, file, bytes, size))
READ(readv, (int file, const struct iovec *parts, int many), syscall(SYS_readv, file, parts, many))
READ(pread, (int file, void *bytes, size_t size, off_t offset), syscall(SYS_pread64, file, bytes, size, offset))
READ(pread64, (int file, void *bytes, size_t size, off64_t offset), syscall(SYS_pread64, file, bytes, size, offset))

ssize_t write(int file, const void *bytes, size_t size) {
    const char *path = path_of(file);
    if (path) {
        int step = counted("write", WRITES, path);
        if (step < 0) return -1;
        if (step > 0) {
            syscall(SYS_write, file, bytes, size / 2);
            end();
        }
    }
    return syscall(SYS_write, file, bytes, size);
}

ssize_t writev(int file, const struct iovec *parts, int many) {
    const char *path = path_of(file);
    if (path && many > 0) {
        int step = counted("write", WRITES, path);
        if (step < 0) return -1;
        if (step > 0) {
            syscall(SYS_write, file, parts[0].iov_base, parts[0].iov_len / 2);
            end();
        }
    }
    return syscall(SYS_writev, file, parts, many);
}

static ssize_t write_at(int file, const void *bytes, size_t size, off64_t offset) {
    const char *path = path_of(file);
    if (path) {
        int step = counted("write", WRITES, path);
        if (step < 0) return -1;
        if (step > 0) {
            syscall(SYS_pwrite64, file, bytes, size / 2, offset);
            end();
        }
    }
    return syscall(SYS_pwrite64, file, bytes, size, offset);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t offset) { return write_at(file, bytes, size, offset); }
ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t offset) { return write_at(file, bytes, size, offset); }

ssize_t copy_file_range(int from, off64_t *in, int to, off64_t *out, size_t size, unsigned flags) {
    const char *path = path_of(to);
    if (path) {
        DO("write", WRITES, path, (ssize_t)syscall(SYS_copy_file_range, from, in, to, out, step ? size / 2 : size, flags));
    }
    return syscall(SYS_copy_file_range, from, in, to, out, size, flags);
}

static ssize_t send_file(int to, int from, off64_t *offset, size_t size) {
    const char *path = path_of(to);
    if (path) {
        DO("write", WRITES, path, (ssize_t)syscall(SYS_sendfile, to, from, offset, step ? size / 2 : size));
    }
    return syscall(SYS_sendfile, to, from, offset, size);
}

ssize_t sendfile(int to, int from, off_t *offset, size_t size) { return send_file(to, from, (off64_t *)offset, size); }
ssize_t sendfile64(int to, int from, off64_t *offset, size_t size) { return send_file(to, from, offset, size); }

#define ON_FILE(name, parameters, arguments, operation) \
    int name parameters { \
        REAL(name); \
        const char *path = path_of(file); \
        if (!path) return real arguments; \
        DO(operation, WRITES, path, real arguments); \
    }

ON_FILE(fsync, (int file), (file), "fsync")
ON_FILE(fdatasync, (int file), (file), "fsync")
ON_FILE(ftruncate, (int file, off_t size), (file, size), "truncate")
ON_FILE(ftruncate64, (int file, off64_t size), (file, size), "truncate")
ON_FILE(fchmod, (int file, mode_t mode), (file, mode), "chmod")

#define ON_PATH(name, parameters, arguments, operation, kind, from) \
    int name parameters { \
        char whole[PATH_MAX]; \
        REAL(name); \
        if (!under(from, path, whole)) return real arguments; \
        DO(operation, kind, whole, real arguments); \
    }

ON_PATH(mkdir, (const char *path, mode_t mode), (path, mode), "mkdir", WRITES, AT_FDCWD)
ON_PATH(unlink, (const char *path), (path), "unlink", REMOVES, AT_FDCWD)
ON_PATH(unlinkat, (int at_, const char *path, int flags), (at_, path, flags), "unlink", REMOVES, at_)
ON_PATH(rmdir, (const char *path), (path), "rmdir", REMOVES, AT_FDCWD)
ON_PATH(link, (const char *old, const char *path), (old, path), "link", WRITES, AT_FDCWD)
ON_PATH(symlink, (const char *old, const char *path), (old, path), "symlink", WRITES, AT_FDCWD)
ON_PATH(rename, (const char *old, const char *path), (old, path), "rename", WRITES, AT_FDCWD)
ON_PATH(renameat, (int from, const char *old, int to, const char *path), (from, old, to, path), "rename", WRITES, to)
ON_PATH(renameat2, (int from, const char *old, int to, const char *path, unsigned flags), (from, old, to, path, flags),
        "rename", WRITES, to)

ON_PATH(stat, (const char *path, struct stat *out), (path, out), "look", READS, AT_FDCWD)
ON_PATH(stat64, (const char *path, struct stat64 *out), (path, out), "look", READS, AT_FDCWD)
ON_PATH(lstat, (const char *path, struct stat *out), (path, out), "look", READS, AT_FDCWD)
ON_PATH(lstat64, (const char *path, struct stat64 *out), (path, out), "look", READS, AT_FDCWD)

int statx(int from, const char *path, int flags, unsigned mask, struct statx *out) {
    char whole[PATH_MAX];
    REAL(statx);
    /* An empty name is an open file; without a name the call is a question whether there is such a call, whatever the header
     * says of it. */
    const char *volatile given = path;
    if (!given || !*given || !under(from, given, whole)) return real(from, given, flags, mask, out);
    DO("look", READS, whole, real(from, path, flags, mask, out));
}

DIR *opendir(const char *path) {
    char whole[PATH_MAX];
    REAL(opendir);
    if (!under(AT_FDCWD, path, whole)) return real(path);
    int step = counted("list", READS, whole);
    if (step < 0) return NULL;
    DIR *done = real(path);
    if (step > 0) end();
    return done;
}

int clock_gettime(clockid_t clock, struct timespec *out) {
    if (active && (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC)) {
        *out = now[clock == CLOCK_MONOTONIC];
        return 0;
    }
    return (int)syscall(SYS_clock_gettime, clock, out);
}
