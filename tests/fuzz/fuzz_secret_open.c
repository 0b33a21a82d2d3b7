/*
 * Security requirement S1: no text but one that was sealed opens. The input is taken as a sealed
 * text, and as what is sealed and then damaged where its first bytes say.
 */
#include <string.h>
#include <unistd.h>

#include "server/secrets/keyring.h"
#include "tests/fuzz/fuzz.h"

static const struct seal_place place = {"source", "0001", "/password"};

/* A ring lies where the leak checker does not look: what it points at is taken for lost. */
__attribute__((weak)) void __lsan_disable(void);
__attribute__((weak)) void __lsan_enable(void);

static struct keyring *ring(void)
{
    static struct keyring *made;
    struct error err = ERROR_INIT;
    char path[] = "/tmp/fuzz_secret_open.XXXXXX";
    int fd;

    if (made)
        return made;
    fd = mkstemp(path);
    MUST(fd >= 0 && close(fd) == 0 && unlink(path) == 0);
    if (__lsan_disable)
        __lsan_disable();
    MUST(keyring_create(path, &made, &err) == 0);
    if (__lsan_enable)
        __lsan_enable();
    unlink(path);
    return made;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf sealed = BUF_INIT((size_t)4 << 20), plain = BUF_INIT((size_t)2 << 20);
    struct error err = ERROR_INIT;

    MUST(keyring_open(ring(), &place, (const char *)data, size, &plain, &err) < 0);
    MUST(plain.len == 0);
    if (size >= 3) {
        size_t at = (size_t)data[0] << 8 | data[1];

        keyring_seal(ring(), &place, (const char *)data, size, &sealed);
        MUST(!sealed.failed);
        err = ERROR_INIT;
        MUST(keyring_open(ring(), &place, sealed.data, sealed.len, &plain, &err) == 0);
        MUST(plain.len == size && !memcmp(plain.data, data, size));
        buf_clear(&plain);
        at %= sealed.len;
        sealed.data[at] = (char)(sealed.data[at] ^ (data[2] ? data[2] : 1));
        err = ERROR_INIT;
        MUST(keyring_open(ring(), &place, sealed.data, sealed.len, &plain, &err) < 0);
        MUST(plain.len == 0);
    }
    buf_release(&sealed);
    buf_release(&plain);
    return 0;
}
