/* Security requirements S1 (sealed values) and S2 (the key ring). */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/base/hash.h"
#include "server/secrets/keyring.h"
#include "server/secrets/secretfile.h"
#include "tests/support/tempdir.h"

static struct arena *mem;
static const char *path;
static char folder[TEMPDIR_BYTES];
static struct keyring *ring;
static struct error err;

static void setup(void)
{
    mem = arena_new();
    tempdir_make(folder);
    path = arena_printf(mem, "%s/keyring", folder);
    err = ERROR_INIT;
    cr_assert_eq(keyring_create(path, &ring, &err), 0, "%s", err.message);
}

static void teardown(void)
{
    keyring_free(ring);
    tempdir_remove(folder);
    arena_free(mem);
}

TestSuite(keyring, .init = setup, .fini = teardown);

static const struct seal_place here = {"source", "0001", "/password"};

static const char *sealed(const char *plain)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(1 << 22);

    keyring_seal(ring, &here, plain, strlen(plain), &b);
    cr_assert_not(b.failed);
    return arena_strdup(mem, buf_str(&b));
}

/* The plain text, or the reason of the refusal; nothing may be left behind a refusal. */
static const char *opened(const struct seal_place *place, const char *text, size_t n)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(1 << 22);

    err = ERROR_INIT;
    if (keyring_open(ring, place, text, n, &b, &err) == 0)
        return arena_strdup(mem, buf_str(&b));
    cr_assert_eq(b.len, 0);
    return err.reason;
}

static void write_file(const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");

    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
    cr_assert_eq(chmod(path, mode), 0);
}

static const char *load_reason(void)
{
    struct keyring *other = NULL;

    err = ERROR_INIT;
    if (keyring_load(path, &other, &err) == 0) {
        keyring_free(other);
        return "loaded";
    }
    return error_reason(&err);
}

Test(keyring, what_is_sealed_opens_in_its_place)
{
    const char *a = sealed("hunter2x"), *b = sealed("hunter2x"), *none = sealed("");

    cr_assert_str_neq(a, b); /* a nonce of its own each time */
    cr_assert_null(strstr(a, "hunter2x"));
    cr_assert_str_eq(opened(&here, a, strlen(a)), "hunter2x");
    cr_assert_str_eq(opened(&here, b, strlen(b)), "hunter2x");
    cr_assert_str_eq(opened(&here, none, strlen(none)), "");
}

Test(keyring, flipping_any_byte_is_noticed)
{
    const char *text = sealed("hunter2x");
    size_t n = strlen(text);

    for (size_t i = 0; i < n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            char *other = arena_memdup(mem, text, n);
            const char *said;

            other[i] = (char)(other[i] ^ 1 << bit);
            said = opened(&here, other, n);
            cr_assert(!strcmp(said, "unseal_failed") || !strcmp(said, "key_missing"), "%zu: %s", i,
                      said);
        }
    }
}

Test(keyring, cutting_and_lengthening_is_noticed)
{
    const char *text = sealed("hunter2x");
    size_t n = strlen(text);

    for (size_t i = 0; i < n; i++)
        cr_assert_str_eq(opened(&here, text, i), "unseal_failed", "%zu", i);
    cr_assert_str_eq(opened(&here, arena_printf(mem, "%sAAAA", text), n + 4), "unseal_failed");
    cr_assert_str_eq(opened(&here, "v1.00000000.", 12), "key_missing");
    cr_assert_str_eq(opened(&here, arena_printf(mem, "%.12sAAAA", text), 16), "unseal_failed");
}

Test(keyring, a_value_that_was_moved_does_not_open)
{
    static const struct seal_place elsewhere[] = {
        {"destination", "0001", "/password"}, {"source", "0002", "/password"},
        {"source", "0001", "/passphrase"},    {"source", "0001", "/passwor"},
        {"source", "", "0001/password"},      {"source0001", "", "/password"},
    };
    const char *text = sealed("hunter2x");

    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        cr_assert_str_eq(opened(&elsewhere[i], text, strlen(text)), "unseal_failed", "%zu", i);
}

Test(keyring, the_key_id_is_authenticated)
{
    char *text = arena_strdup(mem, sealed("hunter2x"));

    cr_assert_eq(keyring_add(ring, &err), 0);
    memcpy(text + 3, keyring_active(ring), 8);
    cr_assert_str_eq(opened(&here, text, strlen(text)), "unseal_failed");
}

Test(keyring, values_have_a_limit)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(4 << 20);
    CLEANUP(buf_release) struct buf small = BUF_INIT(10);
    char *big = arena_alloc(mem, KEYRING_MAX_PLAIN + 1);

    memset(big, 'x', KEYRING_MAX_PLAIN + 1);
    keyring_seal(ring, &here, big, KEYRING_MAX_PLAIN, &b);
    cr_assert_not(b.failed);
    cr_assert_eq(strlen(opened(&here, b.data, b.len)), KEYRING_MAX_PLAIN);
    cr_assert_lt(keyring_open(ring, &here, b.data, b.len, &small, &err), 0);
    cr_assert_eq(err.code, ERR_TOO_LARGE);
    keyring_seal(ring, &here, big, KEYRING_MAX_PLAIN + 1, &b);
    cr_assert(b.failed);
}

Test(keyring, is_the_same_when_it_is_read_again)
{
    const char *text = sealed("hunter2x");
    struct stat st;

    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    keyring_free(ring);
    cr_assert_eq(keyring_load(path, &ring, &err), 0, "%s", err.message);
    cr_assert_str_eq(opened(&here, text, strlen(text)), "hunter2x");
    cr_assert_lt(keyring_create(path, &ring, &err), 0);
    cr_assert_str_eq(error_reason(&err), "keyring_exists");
}

Test(keyring, rotation_keeps_old_values_until_the_old_key_goes)
{
    const char *old = sealed("hunter2x"), *new_one;

    cr_assert(keyring_is_current(ring, old));
    cr_assert_eq(keyring_add(ring, &err), 0);
    cr_assert_not(keyring_is_current(ring, old));
    cr_assert_not(keyring_is_current(ring, "nonsense"));
    new_one = sealed("hunter3x");
    cr_assert_eq(keyring_save(ring, path, &err), 0);
    keyring_free(ring);
    cr_assert_eq(keyring_load(path, &ring, &err), 0);
    cr_assert_eq(keyring_count(ring), 2);
    cr_assert_str_eq(keyring_id(ring, 1), keyring_active(ring));
    cr_assert_str_eq(opened(&here, old, strlen(old)), "hunter2x");
    keyring_drop_others(ring);
    cr_assert_eq(keyring_count(ring), 1);
    cr_assert_str_eq(opened(&here, old, strlen(old)), "key_missing");
    cr_assert_str_eq(opened(&here, new_one, strlen(new_one)), "hunter3x");
}

Test(keyring, holds_a_limited_number_of_keys)
{
    for (size_t i = 1; i < KEYRING_MAX_KEYS; i++)
        cr_assert_eq(keyring_add(ring, &err), 0);
    cr_assert_lt(keyring_add(ring, &err), 0);
    cr_assert_str_eq(error_reason(&err), "keyring_full");
}

Test(keyring, check_values_tell_rings_apart_and_nothing_else)
{
    char of_key[KEYRING_CHECK_BYTES], again[KEYRING_CHECK_BYTES], pepper[KEYRING_CHECK_BYTES];
    const char *id = arena_strdup(mem, keyring_active(ring));
    struct keyring *other = NULL;

    cr_assert(keyring_check(ring, id, of_key));
    cr_assert(keyring_check(ring, id, again));
    cr_assert_str_eq(of_key, again);
    cr_assert(keyring_check(ring, KEYRING_PEPPER, pepper));
    cr_assert_str_neq(of_key, pepper);
    cr_assert_not(keyring_check(ring, "00000000", again));
    cr_assert_eq(keyring_create(arena_printf(mem, "%s2", path), &other, &err), 0);
    cr_assert(keyring_check(other, KEYRING_PEPPER, again));
    cr_assert_str_neq(pepper, again);
    keyring_free(other);
    keyring_free(NULL);
}

Test(keyring, digests_depend_on_their_use)
{
    unsigned char a[KEYRING_HASH_BYTES], b[KEYRING_HASH_BYTES], c[KEYRING_HASH_BYTES];

    keyring_digest(ring, "token", "x", 1, a);
    keyring_digest(ring, "token", "x", 1, b);
    cr_assert_arr_eq(a, b, sizeof a);
    keyring_digest(ring, "other", "x", 1, c);
    cr_assert_arr_neq(a, c, sizeof a);
}

Test(keyring, files_that_are_no_ring_are_refused_with_a_reason)
{
    static const char key[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const char *const bad[] = {
        "",
        "[]",
        "{\"version\":2}",
        "{\"version\":1}",
        "{\"version\":1,\"pepper\":\"====\"}",
        "{\"version\":1,\"pepper\":\"AAAA\"}",
        arena_printf(mem, "{\"version\":1,\"pepper\":\"%0400d\"}", 0), /* more than fits */
        arena_printf(mem, "{\"version\":1,\"pepper\":\"%s\"}", key),
        arena_printf(mem, "{\"version\":1,\"pepper\":\"%s\",\"keys\":[]}", key),
        arena_printf(mem, "{\"version\":1,\"pepper\":\"%s\",\"keys\":[{\"id\":\"k\"}]}", key),
        arena_printf(mem, "{\"version\":1,\"pepper\":\"%s\",\"keys\":[{\"id\":\"0000000G\"}]}",
                     key),
        arena_printf(mem, "{\"version\":1,\"pepper\":\"%s\",\"keys\":[{\"id\":7}]}", key),
        arena_printf(mem,
                     "{\"version\":1,\"pepper\":\"%s\",\"keys\":[{\"id\":\"00000000\","
                     "\"key\":\"AA==\"}]}",
                     key),
        arena_printf(mem,
                     "{\"version\":1,\"pepper\":\"%s\",\"keys\":[{\"id\":\"00000000\","
                     "\"key\":\"%s\"}]}",
                     key, key),
        arena_printf(mem,
                     "{\"version\":1,\"pepper\":\"%s\",\"active\":\"11111111\",\"keys\":["
                     "{\"id\":\"00000000\",\"key\":\"%s\"}]}",
                     key, key),
        arena_printf(mem,
                     "{\"version\":1,\"pepper\":\"%s\",\"active\":\"0\",\"keys\":["
                     "{\"id\":\"00000000\",\"key\":\"%s\"}]}",
                     key, key),
        arena_printf(mem,
                     "{\"version\":1,\"pepper\":\"%s\",\"active\":\"00000000\",\"keys\":["
                     "{\"id\":\"00000000\",\"key\":\"%s\"},"
                     "{\"id\":\"00000000\",\"key\":\"%s\"}]}",
                     key, key, key),
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(bad[i], 0600);
        cr_assert_str_eq(load_reason(), "keyring_malformed", "%zu: %s", i, bad[i]);
        cr_assert_null(strstr(err.message, "AAAA"));
    }
    write_file(arena_printf(mem,
                            "{\"version\":1,\"pepper\":\"%s\",\"active\":\"00000000\",\"keys\":["
                            "{\"id\":\"00000000\",\"key\":\"%s\"}]}",
                            key, key),
               0640);
    cr_assert_str_eq(load_reason(), "loaded"); /* a group may be the one of a mounted secret */
}

Test(keyring, must_not_be_everybodys)
{
    cr_assert_eq(chmod(path, 0604), 0);
    cr_assert_str_eq(load_reason(), "keyring_exposed");
    cr_assert_eq(chmod(path, 0602), 0);
    cr_assert_str_eq(load_reason(), "keyring_exposed");
    cr_assert_eq(unlink(path), 0);
    cr_assert_str_eq(load_reason(), "keyring_missing");
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_str_eq(load_reason(), "config_error");
    path = arena_printf(mem, "%s/below", path);
    cr_assert_str_neq(load_reason(), "loaded");
    err = ERROR_INIT;
    cr_assert_lt(keyring_create(path, &ring, &err), 0);
}

Test(secretfile, is_replaced_whole_or_not_at_all)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(100);
    CLEANUP(buf_release) struct buf small = BUF_INIT(2);

    tempdir_make(folder);
    mem = arena_new();
    err = ERROR_INIT;
    path = arena_printf(mem, "%s/secret", folder);
    buf_puts(&text, "first");
    cr_assert_eq(secretfile_write(path, &text, &err), 0);
    buf_clear(&text);
    cr_assert_eq(secretfile_read(path, "secret", &text, &err), 0);
    cr_assert_str_eq(buf_str(&text), "first");
    cr_assert_lt(secretfile_read(path, "secret", &small, &err), 0);
    cr_assert_eq(err.code, ERR_TOO_LARGE);
    err = ERROR_INIT;
    cr_assert_eq(mkdir(arena_printf(mem, "%s.part", path), 0700), 0);
    cr_assert_lt(secretfile_write(path, &text, &err), 0);
    err = ERROR_INIT;
    path = arena_printf(mem, "%s/folder", folder);
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_lt(secretfile_write(path, &text, &err), 0); /* a folder cannot be replaced by it */
    cr_assert_lt(access(arena_printf(mem, "%s.part", path), F_OK), 0);
    tempdir_remove(folder);
    arena_free(mem);
}

Test(keyring, what_is_taken_over_opens_the_old_and_seals_under_the_new)
{
    const char *old = sealed("first secret");
    struct keyring *fresh;
    char before[KEYRING_ID_BYTES];

    snprintf(before, sizeof before, "%s", keyring_active(ring));
    cr_assert_eq(keyring_load(path, &fresh, &err), 0);
    cr_assert_eq(keyring_add(fresh, &err), 0);
    cr_assert(keyring_is_current(ring, old));
    keyring_take_over(ring, fresh);
    cr_assert_eq(keyring_count(ring), 2);
    cr_assert_str_neq(keyring_active(ring), before);
    cr_assert_str_eq(opened(&here, old, strlen(old)), "first secret");
    cr_assert_not(keyring_is_current(ring, old));
    cr_assert(keyring_is_current(ring, sealed("second secret")));
}

Test(keyring, files_with_too_many_keys_are_refused)
{
    static const char key[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    struct buf text = BUF_INIT(1 << 16);

    for (int n = KEYRING_MAX_KEYS; n <= KEYRING_MAX_KEYS + 1; n++) {
        buf_clear(&text);
        buf_printf(&text, "{\"version\":1,\"pepper\":\"%s\",\"active\":\"00000000\",\"keys\":[",
                   key);
        for (int i = 0; i < n; i++)
            buf_printf(&text, "%s{\"id\":\"%08x\",\"key\":\"%s\"}", i > 0 ? "," : "", (unsigned)i,
                       key);
        buf_puts(&text, "]}");
        write_file(buf_str(&text), 0600);
        cr_assert_str_eq(load_reason(), n > KEYRING_MAX_KEYS ? "keyring_malformed" : "loaded");
    }
    buf_release(&text);
}

/* What is drawn at random may have been drawn before. Linked in front of our own. */
static int drawn_again;
void __real_hash_random(void *out, size_t n);
void __wrap_hash_random(void *out, size_t n);

void __wrap_hash_random(void *out, size_t n)
{
    if (n == (KEYRING_ID_BYTES - 1) / 2 && drawn_again > 0) {
        drawn_again--;
        memset(out, 0xab, n);
    } else {
        __real_hash_random(out, n);
    }
}

Test(keyring, no_two_keys_have_the_same_id)
{
    drawn_again = 2;
    cr_assert_eq(keyring_add(ring, &err), 0);
    cr_assert_str_eq(keyring_active(ring), "abababab");
    cr_assert_eq(keyring_add(ring, &err), 0);
    cr_assert_eq(drawn_again, 0);
    cr_assert_str_neq(keyring_active(ring), "abababab");
    cr_assert_eq(keyring_count(ring), 3);
}

/* The call of this name that fails next, and the one after so many. */
static struct {
    const char *call;
    int after;
} fails;

static bool is_to_fail(const char *call)
{
    if (!fails.call || strcmp(fails.call, call) != 0 || fails.after-- > 0)
        return false;
    fails.call = NULL;
    errno = EIO;
    return true;
}

int __real_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
ssize_t __real_write(int fd, const void *bytes, size_t n);
ssize_t __wrap_write(int fd, const void *bytes, size_t n);
ssize_t __real_read(int fd, void *bytes, size_t n);
ssize_t __wrap_read(int fd, void *bytes, size_t n);

int __wrap_fstat(int fd, struct stat *st)
{
    return is_to_fail("fstat") ? -1 : __real_fstat(fd, st);
}

int __wrap_fsync(int fd)
{
    return is_to_fail("fsync") ? -1 : __real_fsync(fd);
}

ssize_t __wrap_write(int fd, const void *bytes, size_t n)
{
    return is_to_fail("write") ? -1 : __real_write(fd, bytes, n);
}

ssize_t __wrap_read(int fd, void *bytes, size_t n)
{
    return is_to_fail("read") ? -1 : __real_read(fd, bytes, n);
}

/* S2: a disk that fails leaves the old ring as it is, and no part of the new one. */
Test(keyring, survives_a_disk_that_fails)
{
    static const struct {
        const char *call;
        int after;
    } steps[] = {{"write", 0}, {"fsync", 0}};
    const char *old = sealed("first secret");

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct keyring *again;

        err = ERROR_INIT;
        cr_assert_eq(keyring_add(ring, &err), 0);
        fails.call = steps[i].call;
        fails.after = steps[i].after;
        cr_assert_lt(keyring_save(ring, path, &err), 0, "%s", steps[i].call);
        cr_assert_null(fails.call);
        cr_assert_lt(access(arena_printf(mem, "%s.part", path), F_OK), 0);
        err = ERROR_INIT;
        cr_assert_eq(keyring_load(path, &again, &err), 0, "%s", err.message);
        cr_assert_eq(keyring_count(again), 1);
        keyring_free(again);
    }
    cr_assert_str_eq(opened(&here, old, strlen(old)), "first secret");
    /* Renamed but perhaps not for good: that is told. */
    fails.call = "fsync";
    fails.after = 1;
    err = ERROR_INIT;
    cr_assert_lt(keyring_save(ring, path, &err), 0);
}

Test(keyring, that_cannot_be_saved_is_not_made)
{
    struct keyring *other = NULL;

    fails.call = "write";
    cr_assert_lt(keyring_create(arena_printf(mem, "%s/other", folder), &other, &err), 0);
    cr_assert_null(other);
}

Test(keyring, that_cannot_be_read_says_so)
{
    static const char *const calls[] = {"fstat", "read"};

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        fails.call = calls[i];
        cr_assert_str_neq(load_reason(), "loaded");
        cr_assert(strstr(err.message, "key ring"), "%s: %s", calls[i], err.message);
        cr_assert_null(fails.call);
    }
    cr_assert_str_eq(load_reason(), "loaded");
}

Test(secretfile, may_be_standard_input_and_lie_in_this_folder)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(100);
    int ends[2];

    tempdir_make(folder);
    err = ERROR_INIT;
    cr_assert_eq(chdir(folder), 0);
    buf_puts(&text, "piped");
    cr_assert_eq(secretfile_write("here", &text, &err), 0, "%s", err.message);
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(write(ends[1], "piped", 5), 5);
    close(ends[1]);
    cr_assert_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    buf_clear(&text);
    cr_assert_eq(secretfile_read("-", "token", &text, &err), 0, "%s", err.message);
    cr_assert_str_eq(buf_str(&text), "piped");
    buf_clear(&text);
    cr_assert_eq(secretfile_read("here", "token", &text, &err), 0, "%s", err.message);
    cr_assert_str_eq(buf_str(&text), "piped");
    cr_assert_eq(chdir("/"), 0);
    tempdir_remove(folder);
}
