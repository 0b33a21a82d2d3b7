#include "connectors/data/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/arena.h"
#include "connectors/base/text.h"
#include "connectors/data/batch_scratch.h"

#define FIRST_SLOTS 64
#define FIRST_BYTES 64

/*
 * One column. `rows` counts the cells that stand: as many as the batch has rows, and one more once
 * the current row has its cell. A text cell of row r is bytes[offsets[r], offsets[r + 1]).
 */
struct cells {
    enum storage storage;
    enum type type;
    size_t rows, n_null;
    uint8_t *valid;
    union {
        void *values;
        uint8_t *bools;
        int64_t *ints;
        double *doubles;
        unsigned char (*fixed)[16];
        uint32_t *offsets;
    };
    char *bytes;
    size_t bytes_cap;
};

struct batch {
    const struct schema *schema;
    struct cells *columns;
    size_t n_columns;
    size_t rows;
    size_t slots;  /* there is always one for the current row */
    size_t n_put;  /* cells of the current row that stand */
    size_t width;  /* fixed bytes of a row */
    size_t bytes;  /* of values */
    size_t beside; /* bytes of odd cells and rejected rows */
    size_t full_bytes;

    struct odd_cell *odd;
    size_t n_odd, cap_odd;
    size_t row_odd; /* n_odd where the current row began */
    struct rejected_row *rejected;
    size_t n_rejected, cap_rejected;
    struct arena *originals; /* of odd cells and rejected rows */
    struct buf scratch;
};

static const size_t widths[] = {
    [STORAGE_BOOL] = 1, [STORAGE_INT64] = 8, [STORAGE_DOUBLE] = 8,
    [STORAGE_16] = 16,  [STORAGE_TEXT] = 4,
};

static size_t bitmap_bytes(size_t slots)
{
    return (slots + 63) / 64 * 8;
}

/* Room for the cells of `slots` rows; `had` is how many there were. */
static void resize(struct cells *c, size_t had, size_t slots)
{
    size_t old = had ? bitmap_bytes(had) : 0, new = bitmap_bytes(slots);

    c->valid = xrealloc(c->valid, new);
    memset(c->valid + old, 0, new - old);
    c->values = xrealloc(c->values, (slots + 1) * widths[c->storage]);
    if (!had && c->storage == STORAGE_TEXT)
        c->offsets[0] = 0;
}

static void open_columns(struct batch *b, const struct schema *schema)
{
    b->schema = schema;
    b->n_columns = schema->n_columns;
    b->columns = xalloc(b->n_columns * sizeof *b->columns);
    b->slots = FIRST_SLOTS + 1;
    b->width = 0;
    for (size_t i = 0; i < b->n_columns; i++) {
        struct cells *c = &b->columns[i];

        c->type = schema->columns[i].type.type;
        c->storage = type_storage(c->type);
        b->width += widths[c->storage];
        resize(c, 0, b->slots);
        if (c->storage == STORAGE_TEXT)
            c->bytes = xalloc(c->bytes_cap = FIRST_BYTES);
    }
}

static void close_columns(struct batch *b)
{
    for (size_t i = 0; i < b->n_columns; i++) {
        free(b->columns[i].valid);
        free(b->columns[i].values);
        free(b->columns[i].bytes);
    }
    free(b->columns);
}

struct batch *batch_new(const struct schema *schema)
{
    struct batch *b = xalloc(sizeof *b);

    open_columns(b, schema);
    b->full_bytes = BATCH_FULL_BYTES;
    b->originals = arena_new();
    b->scratch = BUF_INIT(BATCH_MAX_VALUE + 4);
    return b;
}

void batch_free(struct batch *b)
{
    if (!b)
        return;
    close_columns(b);
    free(b->odd);
    free(b->rejected);
    arena_free(b->originals);
    buf_release(&b->scratch);
    free(b);
}

void batch_clear(struct batch *b)
{
    for (size_t i = 0; i < b->n_columns; i++) {
        struct cells *c = &b->columns[i];

        memset(c->valid, 0, bitmap_bytes(c->rows));
        c->rows = c->n_null = 0;
    }
    b->rows = b->n_put = b->bytes = b->beside = 0;
    b->n_odd = b->row_odd = b->n_rejected = 0;
    arena_clear(b->originals);
}

static bool same_layout(const struct batch *b, const struct schema *schema)
{
    if (b->n_columns != schema->n_columns)
        return false;
    for (size_t i = 0; i < b->n_columns; i++) {
        if (b->columns[i].storage != type_storage(schema->columns[i].type.type))
            return false;
    }
    return true;
}

void batch_reset(struct batch *b, const struct schema *schema)
{
    batch_clear(b);
    if (!same_layout(b, schema)) {
        close_columns(b);
        open_columns(b, schema);
        return;
    }
    b->schema = schema;
    for (size_t i = 0; i < b->n_columns; i++)
        b->columns[i].type = schema->columns[i].type.type;
}

void batch_limit(struct batch *b, size_t full_bytes)
{
    b->full_bytes = full_bytes;
}

void batch_swap(struct batch *a, struct batch *b)
{
    struct batch t = *a;

    *a = *b;
    *b = t;
}

struct buf *batch_scratch(struct batch *b)
{
    buf_clear(&b->scratch);
    return &b->scratch;
}

const struct schema *batch_schema(const struct batch *b)
{
    return b->schema;
}

size_t batch_rows(const struct batch *b)
{
    return b->rows;
}

size_t batch_bytes(const struct batch *b)
{
    return b->bytes + b->beside;
}

bool batch_is_full(const struct batch *b)
{
    return b->rows >= BATCH_MAX_ROWS || b->bytes + b->beside >= b->full_bytes;
}

bool batch_is_empty(const struct batch *b)
{
    return !b->rows && !b->n_rejected;
}

/* ------------------------------------------------------------------ building */

static bool is_valid(const struct cells *c, size_t row)
{
    return c->valid[row >> 3] >> (row & 7) & 1;
}

static void forget_odd(struct batch *b, size_t column)
{
    size_t kept = b->row_odd;

    for (size_t i = b->row_odd; i < b->n_odd; i++) {
        if (b->odd[i].column != column)
            b->odd[kept++] = b->odd[i];
    }
    b->n_odd = kept;
}

/* Takes the cell of the current row back. */
static void unput(struct batch *b, size_t column)
{
    struct cells *c = &b->columns[column];

    if (is_valid(c, b->rows)) {
        c->valid[b->rows >> 3] &= (uint8_t) ~(1u << (b->rows & 7));
    } else {
        c->n_null--;
        forget_odd(b, column);
    }
    if (c->storage == STORAGE_TEXT)
        b->bytes -= c->offsets[b->rows + 1] - c->offsets[b->rows];
    c->rows--;
    b->n_put--;
}

/* A record may name a field twice: the later cell wins. */
static struct cells *claim(struct batch *b, size_t column)
{
    struct cells *c = &b->columns[column];

    assert(column < b->n_columns);
    if (c->rows != b->rows)
        unput(b, column);
    c->rows++;
    b->n_put++;
    return c;
}

static struct cells *put(struct batch *b, size_t column, enum storage storage)
{
    struct cells *c = claim(b, column);

    assert(c->storage == storage);
    c->valid[b->rows >> 3] |= (uint8_t)(1u << (b->rows & 7));
    return c;
}

/* The cell of row `row`, which nobody put. Its value is zeroed, so that batches are reproducible.
 */
static void fill_null(struct cells *c, size_t row)
{
    size_t width = widths[c->storage];

    c->n_null++;
    if (c->storage == STORAGE_TEXT)
        c->offsets[row + 1] = c->offsets[row];
    else
        memset((char *)c->values + row * width, 0, width);
}

void batch_put_bool(struct batch *b, size_t column, bool v)
{
    put(b, column, STORAGE_BOOL)->bools[b->rows] = v;
}

void batch_put_int64(struct batch *b, size_t column, int64_t v)
{
    put(b, column, STORAGE_INT64)->ints[b->rows] = v;
}

void batch_put_double(struct batch *b, size_t column, double v)
{
    put(b, column, STORAGE_DOUBLE)->doubles[b->rows] = v;
}

void batch_put_uuid(struct batch *b, size_t column, const unsigned char v[static 16])
{
    memcpy(put(b, column, STORAGE_16)->fixed[b->rows], v, 16);
}

void batch_put_interval(struct batch *b, size_t column, struct interval v)
{
    _Static_assert(sizeof v == 16, "an interval fills a slot of 16 bytes without holes");
    memcpy(put(b, column, STORAGE_16)->fixed[b->rows], &v, 16);
}

static void grow_bytes(struct cells *c, size_t want)
{
    size_t cap = c->bytes_cap;

    while (cap < want)
        cap *= 2;
    c->bytes = xrealloc(c->bytes, cap);
    c->bytes_cap = cap;
}

void batch_put_text(struct batch *b, size_t column, const char *s, size_t n)
{
    struct cells *c = &b->columns[column];
    size_t at;

    assert(column < b->n_columns && c->storage == STORAGE_TEXT);
    at = c->offsets[b->rows];
    /* The second half cannot happen to who hands on full batches: offsets have 32 bits. */
    if (n > BATCH_MAX_VALUE || n > UINT32_MAX - at) {
        batch_put_odd(b, column, REASON_RECORD_TOO_LARGE, s, n);
        return;
    }
    if (c->type == TYPE_STRING && !text_is_utf8(s, n)) {
        batch_put_odd(b, column, REASON_ENCODING, s, n);
        return;
    }
    put(b, column, STORAGE_TEXT);
    if (n > c->bytes_cap - at)
        grow_bytes(c, at + n);
    if (n)
        memcpy(c->bytes + at, s, n);
    c->offsets[b->rows + 1] = (uint32_t)(at + n);
    b->bytes += n;
}

/* A copy of at most BATCH_ODD_BYTES; text is cut between characters. */
static struct slice keep_original(struct batch *b, const char *s, size_t n)
{
    size_t cut = n;

    if (n > BATCH_ODD_BYTES) {
        cut = BATCH_ODD_BYTES;
        while (cut > BATCH_ODD_BYTES - 3 && ((unsigned char)s[cut] & 0xc0) == 0x80)
            cut--;
        if (((unsigned char)s[cut] & 0xc0) == 0x80)
            cut = BATCH_ODD_BYTES; /* no UTF-8 anyway */
    }
    b->beside += cut;
    return (struct slice){arena_memdup(b->originals, s, cut), cut};
}

static void *grown(void *items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return items;
    *cap = *cap ? 2 * *cap : 16;
    return xrealloc(items, *cap * size);
}

void batch_put_odd(struct batch *b, size_t column, enum reason reason, const char *s, size_t n)
{
    fill_null(claim(b, column), b->rows);
    b->odd = grown(b->odd, b->n_odd, &b->cap_odd, sizeof *b->odd);
    b->odd[b->n_odd++] = (struct odd_cell){
        .row = b->rows, .column = column, .reason = reason, .original = keep_original(b, s, n)};
    b->beside += sizeof *b->odd;
}

void batch_end_row(struct batch *b)
{
    if (b->n_put < b->n_columns) {
        for (size_t i = 0; i < b->n_columns; i++) {
            struct cells *c = &b->columns[i];

            if (c->rows != b->rows)
                continue;
            fill_null(c, b->rows);
            c->rows++;
        }
    }
    b->rows++;
    b->n_put = 0;
    b->row_odd = b->n_odd;
    b->bytes += b->width;
    if (b->rows < b->slots)
        return;
    for (size_t i = 0; i < b->n_columns; i++)
        resize(&b->columns[i], b->slots, 2 * b->slots - 1);
    b->slots = 2 * b->slots - 1;
}

void batch_drop_row(struct batch *b)
{
    for (size_t i = 0; b->n_put && i < b->n_columns; i++) {
        if (b->columns[i].rows != b->rows)
            unput(b, i);
    }
}

void batch_reject_row(struct batch *b, enum reason reason, const char *detail, const char *raw,
                      size_t n)
{
    b->rejected = grown(b->rejected, b->n_rejected, &b->cap_rejected, sizeof *b->rejected);
    b->rejected[b->n_rejected++] = (struct rejected_row){
        .before_row = b->rows,
        .reason = reason,
        .detail = arena_strdup(b->originals, detail),
        .raw = keep_original(b, raw, n),
    };
    b->beside += sizeof *b->rejected + strlen(detail);
}

/* ------------------------------------------------------------------- reading */

struct column_view batch_column(const struct batch *b, size_t column)
{
    const struct cells *c = &b->columns[column];
    struct column_view v = {
        .storage = c->storage, .n_null = c->n_null, .valid = c->valid, .bytes = c->bytes};

    assert(column < b->n_columns);
    v.ints = c->ints; /* all members of the union are pointers to the same values */
    return v;
}

const struct odd_cell *batch_odd_cells(const struct batch *b, size_t *out_n)
{
    *out_n = b->row_odd;
    return b->odd;
}

const struct rejected_row *batch_rejected(const struct batch *b, size_t *out_n)
{
    *out_n = b->n_rejected;
    return b->rejected;
}
