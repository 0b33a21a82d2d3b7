/*
 * Any bytes as a packed body, in any pieces: what is in it is the same as in one piece, and never
 * more than is allowed.
 *
 * The first byte chooses gzip or zip, the second how long the pieces are.
 */
#include <string.h>

#include "connectors/base/buf.h"
#include "connectors/files/unpack.h"
#include "tests/fuzz/fuzz.h"

#define MOST ((int64_t)4 << 20)

struct taken {
    struct buf text;
    int64_t files;
};

static int piece_of(void *arg, const char *bytes, size_t n, struct error *err)
{
    struct taken *t = arg;

    (void)err;
    MUST(t->files > 0);
    buf_put(&t->text, bytes, n);
    return 0;
}

static int begin(void *arg, struct error *err)
{
    struct taken *t = arg;

    (void)err;
    t->files++;
    buf_putc(&t->text, '|');
    return 0;
}

static enum error_code unpack(enum unpack_kind kind, const char *bytes, size_t n, size_t piece,
                              struct taken *out)
{
    struct unpack *u = unpack_new(kind, MOST, &(struct unpack_taker){piece_of, begin, out});
    struct error err = ERROR_INIT;
    int rc = 0;

    for (size_t at = 0; rc == 0 && at < n; at += piece)
        rc = unpack_feed(u, bytes + at, n - at < piece ? n - at : piece, &err);
    if (rc == 0)
        rc = unpack_end(u, &err);
    MUST((rc < 0) == (err.code != ERR_NONE));
    MUST(rc == 0 || err.code == ERR_DATA || err.code == ERR_TOO_LARGE);
    MUST((int64_t)out->text.len <= MOST + out->files);
    unpack_free(u);
    return err.code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct taken whole = {.text = BUF_INIT(8 << 20)}, pieces = {.text = BUF_INIT(8 << 20)};
    enum unpack_kind kind;
    enum error_code a, b;
    size_t piece;

    if (size < 2)
        return 0;
    kind = data[0] & 1 ? UNPACK_ZIP : UNPACK_GZIP;
    piece = 1 + data[1];
    a = unpack(kind, (const char *)data + 2, size - 2, size, &whole);
    b = unpack(kind, (const char *)data + 2, size - 2, piece, &pieces);
    MUST(a == b);
    if (a == ERR_NONE) {
        MUST(whole.text.len == pieces.text.len && whole.files == pieces.files);
        MUST(memcmp(buf_str(&whole.text), buf_str(&pieces.text), whole.text.len) == 0);
    }
    buf_release(&whole.text);
    buf_release(&pieces.text);
    return 0;
}
