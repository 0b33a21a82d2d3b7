#include "connectors/files/unpack.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

#include "connectors/base/arena.h"

#define PIECE       ((size_t)64 << 10)
#define HEAD_MAX    ((size_t)256 << 10) /* of a file in a zip: two lengths of 16 bits, and more */
#define LOCAL_BYTES 30                  /* of a header, before the name */
#define DIRECTORY   UINT32_C(0x02014b50)
#define EMPTY       UINT32_C(0x06054b50)
#define LOCAL       UINT32_C(0x04034b50)
#define DESCRIPTOR  UINT32_C(0x08074b50)

enum place {
    AT_START,
    IN_PLAIN, /* not packed at all */
    IN_DATA,
    BETWEEN, /* gzip: members; zip: before a header */
    IN_DESCRIPTOR,
    IN_DIRECTORY, /* zip: behind the files; or gzip: padding */
};

struct unpack {
    enum unpack_kind kind;
    struct unpack_taker to;
    int64_t max_bytes, packed, unpacked;
    enum place place;
    z_stream z;
    bool has_z;
    /* zip: what is waiting to be complete, and the file that is being read */
    unsigned char *head;
    size_t n_head;
    bool stored, described, wide, passed_over; /* wide: sizes of 64 bits; passed_over: a folder */
    uint64_t left;                             /* of stored bytes */
    uint32_t crc, wanted_crc;
    unsigned char out[PIECE];
};

struct unpack *unpack_new(enum unpack_kind kind, int64_t max_bytes, const struct unpack_taker *to)
{
    struct unpack *u = xalloc(sizeof *u);

    u->kind = kind;
    u->to = *to;
    u->max_bytes = max_bytes;
    if (kind == UNPACK_ZIP)
        u->head = xalloc(HEAD_MAX);
    return u;
}

void unpack_free(struct unpack *u)
{
    if (!u)
        return;
    if (u->has_z)
        inflateEnd(&u->z);
    free(u->head);
    free(u);
}

static int broken(const struct unpack *u, const char *why, struct error *err)
{
    return error_set_reason(err, ERR_DATA, "body_not_decodable",
                            "the packed body cannot be read at byte %lld: %s", (long long)u->packed,
                            why);
}

static int hand_on(struct unpack *u, const char *bytes, size_t n, struct error *err)
{
    if (n == 0)
        return 0;
    u->unpacked += (int64_t)n;
    if (u->unpacked > u->max_bytes ||
        (u->unpacked > UNPACK_FLOOR && u->unpacked / UNPACK_EXPANSION > u->packed))
        return error_set(err, ERR_TOO_LARGE,
                         "the packed body is larger than allowed, or was packed beyond reason");
    if (u->kind == UNPACK_ZIP && u->place != IN_PLAIN)
        u->crc = (uint32_t)crc32(u->crc, (const unsigned char *)bytes, (unsigned)n);
    return u->passed_over ? 0 : u->to.piece(u->to.arg, bytes, n, err);
}

/* ------------------------------------------------------------------- deflate */

static int begin_inflate(struct unpack *u, struct error *err)
{
    int rc = u->has_z                 ? inflateReset(&u->z)
             : u->kind == UNPACK_GZIP ? inflateInit2(&u->z, 15 + 16)
                                      : inflateInit2(&u->z, -15);

    if (rc != Z_OK)
        return error_set(err, ERR_INTERNAL, "zlib does not begin");
    u->has_z = true;
    return 0;
}

/* Takes what it can of the bytes; *out_ended when the deflated data is over. */
static int inflate_some(struct unpack *u, const char **bytes, size_t *n, bool *out_ended,
                        struct error *err)
{
    *out_ended = false;
    u->z.next_in = (const unsigned char *)*bytes;
    u->z.avail_in = (unsigned)*n;
    do {
        int rc;

        u->z.next_out = u->out;
        u->z.avail_out = sizeof u->out;
        rc = inflate(&u->z, Z_NO_FLUSH);
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
            return broken(u, u->z.msg ? u->z.msg : "it is damaged", err);
        *out_ended = rc == Z_STREAM_END;
        u->packed += (int64_t)*n - (int64_t)u->z.avail_in;
        *bytes += *n - u->z.avail_in;
        *n = u->z.avail_in;
        if (hand_on(u, (const char *)u->out, sizeof u->out - u->z.avail_out, err) < 0)
            return -1;
    } while (!*out_ended && (*n > 0 || u->z.avail_out == 0));
    return 0;
}

/* ---------------------------------------------------------------------- gzip */

static int feed_gzip(struct unpack *u, const char **bytes, size_t *n, struct error *err)
{
    bool ended;

    if (u->place == BETWEEN) { /* another member, or zeros that fill a block */
        u->place = (unsigned char)**bytes == 0x1f ? IN_DATA : IN_DIRECTORY;
        return u->place == IN_DATA ? begin_inflate(u, err) : 0;
    }
    if (u->place == IN_DIRECTORY) {
        for (; *n > 0; (*bytes)++, (*n)--, u->packed++) {
            if (**bytes)
                return broken(u, "there is something else behind it", err);
        }
        return 0;
    }
    if (inflate_some(u, bytes, n, &ended, err) < 0)
        return -1;
    if (ended)
        u->place = BETWEEN;
    return 0;
}

/* ----------------------------------------------------------------------- zip */

static uint64_t number(const unsigned char *at, int bytes)
{
    uint64_t v = 0;

    for (int i = bytes - 1; i >= 0; i--)
        v = v << 8 | at[i];
    return v;
}

/* Collects up to `want` bytes of a header. True when they are there. */
static bool collect(struct unpack *u, size_t want, const char **bytes, size_t *n)
{
    size_t part = want > u->n_head ? want - u->n_head : 0;

    part = part < *n ? part : *n;
    memcpy(u->head + u->n_head, *bytes, part);
    u->n_head += part;
    u->packed += (int64_t)part;
    *bytes += part;
    *n -= part;
    return u->n_head >= want;
}

/* The size of stored data, which may stand among the extra fields. */
static uint64_t stored_size(struct unpack *u, size_t name, size_t extra)
{
    uint64_t size = number(u->head + 18, 4);
    size_t at = LOCAL_BYTES + name, end = at + extra;

    u->wide = false;
    while (at + 4 <= end) {
        size_t len = number(u->head + at + 2, 2);

        if (number(u->head + at, 2) == 1) {
            u->wide = true;
            if (size == UINT32_MAX && len >= 16 && at + 20 <= end)
                size = number(u->head + at + 12, 8);
        }
        at += 4 + len;
    }
    return size;
}

static int begin_file(struct unpack *u, struct error *err)
{
    uint64_t flags = number(u->head + 6, 2), method = number(u->head + 8, 2);
    size_t name = number(u->head + 26, 2), extra = number(u->head + 28, 2);
    const char *text = (const char *)u->head + LOCAL_BYTES;
    bool folder;

    if (flags & 1)
        return broken(u, "a file in it is encrypted", err);
    if (method != 0 && method != 8)
        return broken(u, "a file in it is packed in another way than deflate", err);
    u->stored = method == 0;
    u->described = flags & 8;
    u->left = stored_size(u, name, extra);
    folder = name > 0 && text[name - 1] == '/';
    if (u->stored && u->described && !folder)
        return broken(u, "a file in it does not say how long it is", err);
    u->wanted_crc = (uint32_t)number(u->head + 14, 4);
    u->crc = 0;
    u->n_head = 0;
    u->place = IN_DATA;
    u->passed_over =
        (name > 0 && text[name - 1] == '/') || (name >= 9 && memcmp(text, "__MACOSX/", 9) == 0);
    if (!u->stored && begin_inflate(u, err) < 0)
        return -1;
    return u->passed_over ? 0 : u->to.begin(u->to.arg, err);
}

static int read_head(struct unpack *u, const char **bytes, size_t *n, struct error *err)
{
    size_t whole;

    if (!collect(u, 4, bytes, n))
        return 0;
    if (number(u->head, 4) == DIRECTORY || number(u->head, 4) == EMPTY) {
        u->place = IN_DIRECTORY;
        return 0;
    }
    if (number(u->head, 4) != LOCAL)
        return broken(u, "there is no file where one should be", err);
    if (!collect(u, LOCAL_BYTES, bytes, n))
        return 0;
    whole = LOCAL_BYTES + number(u->head + 26, 2) + number(u->head + 28, 2);
    return collect(u, whole, bytes, n) ? begin_file(u, err) : 0;
}

static int end_file(struct unpack *u, struct error *err)
{
    if (u->crc != u->wanted_crc)
        return broken(u, "the checksum of a file in it is wrong", err);
    u->n_head = 0;
    u->place = BETWEEN;
    return 0;
}

/* Behind the data: its checksum and sizes, with or without a mark in front of them. */
static int read_descriptor(struct unpack *u, const char **bytes, size_t *n, struct error *err)
{
    size_t sizes = u->wide ? 16 : 8, mark;

    if (!collect(u, 4, bytes, n))
        return 0;
    mark = number(u->head, 4) == DESCRIPTOR ? 4 : 0;
    if (!collect(u, mark + 4 + sizes, bytes, n))
        return 0;
    u->wanted_crc = (uint32_t)number(u->head + mark, 4);
    return end_file(u, err);
}

static int end_data(struct unpack *u, struct error *err)
{
    if (!u->described)
        return end_file(u, err);
    u->place = IN_DESCRIPTOR;
    return 0;
}

static int read_stored(struct unpack *u, const char **bytes, size_t *n, struct error *err)
{
    size_t part = u->left < *n ? (size_t)u->left : *n;
    const char *from = *bytes;

    u->packed += (int64_t)part;
    u->left -= part;
    *bytes += part;
    *n -= part;
    if (hand_on(u, from, part, err) < 0)
        return -1;
    return u->left == 0 ? end_data(u, err) : 0;
}

static int read_deflated(struct unpack *u, const char **bytes, size_t *n, struct error *err)
{
    bool ended;

    if (inflate_some(u, bytes, n, &ended, err) < 0)
        return -1;
    return ended ? end_data(u, err) : 0;
}

static int feed_zip(struct unpack *u, const char **bytes, size_t *n, struct error *err)
{
    switch (u->place) {
    case BETWEEN:
        return read_head(u, bytes, n, err);
    case IN_DATA:
        return u->stored ? read_stored(u, bytes, n, err) : read_deflated(u, bytes, n, err);
    case IN_DESCRIPTOR:
        return read_descriptor(u, bytes, n, err);
    case IN_DIRECTORY:
    case AT_START:
    case IN_PLAIN:
        break;
    }
    u->packed += (int64_t)*n; /* the directory says again what was read already */
    *n = 0;
    return 0;
}

/* --------------------------------------------------------------------- calls */

static int start(struct unpack *u, char first, struct error *err)
{
    bool plain = u->kind == UNPACK_GZIP ? (unsigned char)first != 0x1f : first != 'P';

    u->place = plain ? IN_PLAIN : u->kind == UNPACK_GZIP ? IN_DATA : BETWEEN;
    if (u->place == IN_DATA && begin_inflate(u, err) < 0)
        return -1;
    return u->place == BETWEEN ? 0 : u->to.begin(u->to.arg, err);
}

int unpack_feed(struct unpack *u, const char *bytes, size_t n, struct error *err)
{
    if (n > 0 && u->place == AT_START && start(u, *bytes, err) < 0)
        return -1;
    while (n > 0) {
        int rc;

        if (u->place == IN_PLAIN) {
            u->packed += (int64_t)n;
            return hand_on(u, bytes, n, err);
        }
        rc = u->kind == UNPACK_GZIP ? feed_gzip(u, &bytes, &n, err) : feed_zip(u, &bytes, &n, err);
        /* A stored file of no bytes ends where it begins. */
        if (rc == 0 && u->kind == UNPACK_ZIP && u->place == IN_DATA && u->stored && u->left == 0)
            rc = end_data(u, err);
        if (rc < 0)
            return -1;
    }
    return 0;
}

int unpack_end(struct unpack *u, struct error *err)
{
    bool whole = u->place == IN_PLAIN || u->place == IN_DIRECTORY ||
                 (u->kind == UNPACK_GZIP && u->place == BETWEEN);

    return whole ? 0 : broken(u, "it ends in the middle", err);
}
