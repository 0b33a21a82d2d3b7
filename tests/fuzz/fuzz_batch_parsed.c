/*
 * Batches: the first bytes choose the types of four columns, the rest are cells, ended by 0x1f, in
 * rows, ended by 0x1e; 0x1d drops a row. Every cell is a value, NULL, or odd; what a batch shows of
 * its cells fills another batch with the same cells and keys.
 */
#include <string.h>

#include "connectors/data/batch.h"
#include "tests/fuzz/fuzz.h"

#define N_COLUMNS 4
#define MAX_TEXT  ((size_t)64 << 20)

static void fill(struct batch *b, const char *s, size_t n)
{
    size_t column = 0, from = 0;

    for (size_t i = 0; i < n; i++) {
        if (s[i] != 0x1d && s[i] != 0x1e && s[i] != 0x1f)
            continue;
        if (i > from)
            batch_put_parsed(b, column % N_COLUMNS, s + from, i - from);
        column = s[i] == 0x1f ? column + 1 : 0;
        if (s[i] == 0x1e)
            batch_end_row(b);
        if (s[i] == 0x1d)
            batch_drop_row(b);
        from = i + 1;
    }
    batch_drop_row(b);
}

static void check_odd(const struct batch *b)
{
    size_t n, before = 0;
    const struct odd_cell *odd = batch_odd_cells(b, &n);

    for (size_t i = 0; i < n; i++) {
        struct column_view v = batch_column(b, odd[i].column);

        MUST(odd[i].row < batch_rows(b) && odd[i].row >= before);
        MUST(!column_has(&v, odd[i].row));
        MUST(odd[i].original.len <= BATCH_ODD_BYTES);
        before = odd[i].row;
    }
}

static void check_nulls(const struct batch *b)
{
    for (size_t c = 0; c < N_COLUMNS; c++) {
        struct column_view v = batch_column(b, c);
        size_t n = 0;

        for (size_t row = 0; row < batch_rows(b); row++)
            n += !column_has(&v, row);
        MUST(n == v.n_null);
    }
}

static void copy_row(const struct batch *from, size_t row, struct batch *to)
{
    for (size_t c = 0; c < N_COLUMNS; c++) {
        struct column_view v = batch_column(from, c);
        struct buf text = BUF_INIT(MAX_TEXT);

        if (column_has(&v, row)) {
            batch_cell_text(from, c, row, &text);
            batch_put_parsed(to, c, buf_str(&text), text.len);
        }
        buf_release(&text);
    }
    batch_end_row(to);
}

static void check_same_row(const struct batch *a, const struct batch *b, size_t row)
{
    struct buf text_a = BUF_INIT(MAX_TEXT), text_b = BUF_INIT(MAX_TEXT);

    for (size_t c = 0; c < N_COLUMNS; c++) {
        struct column_view v = batch_column(a, c), w = batch_column(b, c);

        MUST(column_has(&v, row) == column_has(&w, row));
        if (!column_has(&v, row))
            continue;
        batch_cell_text(a, c, row, &text_a);
        batch_cell_text(b, c, row, &text_b);
    }
    MUST(batch_key(a, row, &text_a) == batch_key(b, row, &text_b));
    MUST(text_a.len == text_b.len && !memcmp(buf_str(&text_a), buf_str(&text_b), text_a.len));
    buf_release(&text_a);
    buf_release(&text_b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t key[] = {1, 0};
    struct column columns[N_COLUMNS] = {0};
    struct schema schema = {columns, N_COLUMNS, key, 2};
    struct batch *b, *copy;
    size_t n;

    if (size < N_COLUMNS)
        return 0;
    for (size_t i = 0; i < N_COLUMNS; i++) {
        columns[i].name = "c";
        columns[i].type = type_plain((enum type)(data[i] % TYPE_COUNT));
        if (columns[i].type.type == TYPE_FLOAT && data[i] >= 0x80)
            columns[i].type.bits = 32;
    }
    b = batch_new(&schema);
    copy = batch_new(&schema);
    fill(b, (const char *)data + N_COLUMNS, size - N_COLUMNS);
    check_odd(b);
    check_nulls(b);
    for (size_t row = 0; row < batch_rows(b); row++) {
        copy_row(b, row, copy);
        check_same_row(b, copy, row);
    }
    (void)batch_odd_cells(copy, &n);
    MUST(n == 0);
    batch_free(b);
    batch_free(copy);
    return 0;
}
