#include <criterion/criterion.h>

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/data/batch.h"

/* One column of every type, in the order of the enumerators; then a float of 32 bits. */
static struct column all[TYPE_COUNT + 1];
static const size_t first_key[] = {TYPE_INT};
static struct schema every = {all, TYPE_COUNT + 1, first_key, 1};

static void fill_schema(void)
{
    for (int t = 0; t < TYPE_COUNT; t++)
        all[t] = (struct column){type_name((enum type)t), type_plain((enum type)t), "", true};
    all[TYPE_COUNT] = (struct column){"float32", {.type = TYPE_FLOAT, .bits = 32}, "", true};
}

TestSuite(batch, .init = fill_schema);

static void put_parsed(struct batch *b, size_t column, const char *s)
{
    batch_put_parsed(b, column, s, strlen(s));
}

static void assert_cell(const struct batch *b, size_t column, size_t row, const char *want)
{
    struct column_view v = batch_column(b, column);
    struct buf text = BUF_INIT(1000);

    if (!want) {
        cr_assert_not(column_has(&v, row), "column %zu of row %zu has a value", column, row);
        return;
    }
    cr_assert(column_has(&v, row), "column %zu of row %zu is NULL, not %s", column, row, want);
    batch_cell_text(b, column, row, &text);
    cr_assert_str_eq(buf_str(&text), want, "column %zu of row %zu", column, row);
    buf_release(&text);
}

static void assert_odd(const struct batch *b, size_t i, size_t row, size_t column,
                       enum reason reason, const char *original)
{
    const struct odd_cell *odd;
    size_t n;

    odd = batch_odd_cells(b, &n);
    cr_assert_lt(i, n);
    cr_assert_eq(odd[i].row, row);
    cr_assert_eq(odd[i].column, column);
    cr_assert_eq(odd[i].reason, reason, "%s", reason_name(odd[i].reason));
    cr_assert_eq(odd[i].original.len, strlen(original));
    cr_assert_eq(memcmp(odd[i].original.ptr, original, odd[i].original.len), 0);
    assert_cell(b, column, row, NULL);
}

static size_t n_odd(const struct batch *b)
{
    size_t n;

    (void)batch_odd_cells(b, &n);
    return n;
}

Test(batch, is_empty_when_new)
{
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&every);
    size_t n;

    cr_assert_eq(batch_schema(b), &every);
    cr_assert_eq(batch_rows(b), 0);
    cr_assert_eq(batch_bytes(b), 0);
    cr_assert(batch_is_empty(b));
    cr_assert_not(batch_is_full(b));
    cr_assert_eq(n_odd(b), 0);
    (void)batch_rejected(b, &n);
    cr_assert_eq(n, 0);
    for (size_t i = 0; i < every.n_columns; i++)
        cr_assert_eq(batch_column(b, i).n_null, 0);
    batch_free(NULL);
}

/* The canonical text of each cell of put_one_of_each. */
static const char *const one_of_each[TYPE_COUNT + 1] = {
    [TYPE_BOOL] = "true",
    [TYPE_INT] = "-9223372036854775808",
    [TYPE_DECIMAL] = "1.10",
    [TYPE_FLOAT] = "0.1",
    [TYPE_STRING] = "h\xc3\xa9llo",
    [TYPE_BYTES] = "AP8=",
    [TYPE_DATE] = "2024-02-29",
    [TYPE_TIME] = "12:34:56.7",
    [TYPE_TIMESTAMP] = "2024-02-29T12:34:56",
    [TYPE_TIMESTAMPTZ] = "2024-02-29T12:34:56Z",
    [TYPE_INTERVAL] = "P1Y2M-3DT0.5S",
    [TYPE_UUID] = "00010203-0405-0607-0809-0a0b0c0d0e0f",
    [TYPE_JSON] = "{\"a\": 1.10}",
    [TYPE_COUNT] = "0.1",
};

static void put_one_of_each(struct batch *b)
{
    static const unsigned char uuid[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

    batch_put_bool(b, TYPE_BOOL, true);
    batch_put_int64(b, TYPE_INT, INT64_MIN);
    batch_put_text(b, TYPE_DECIMAL, "1.10", 4);
    batch_put_double(b, TYPE_FLOAT, 0.1);
    batch_put_text(b, TYPE_STRING, "h\xc3\xa9llo", 6);
    batch_put_text(b, TYPE_BYTES, "\0\xff", 2);
    batch_put_int64(b, TYPE_DATE, 19782);
    batch_put_int64(b, TYPE_TIME, 45296700000);
    batch_put_int64(b, TYPE_TIMESTAMP, INT64_C(1709210096000000));
    batch_put_int64(b, TYPE_TIMESTAMPTZ, INT64_C(1709210096000000));
    batch_put_interval(b, TYPE_INTERVAL, (struct interval){14, -3, 500000});
    batch_put_uuid(b, TYPE_UUID, uuid);
    batch_put_text(b, TYPE_JSON, "{\"a\": 1.10}", 11);
    batch_put_double(b, TYPE_COUNT, (double)0.1f);
    batch_end_row(b);
}

Test(batch, holds_every_type)
{
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&every);

    put_one_of_each(b);
    batch_end_row(b); /* all NULL */
    put_one_of_each(b);
    cr_assert_eq(batch_rows(b), 3);
    for (size_t i = 0; i < every.n_columns; i++) {
        assert_cell(b, i, 0, one_of_each[i]);
        assert_cell(b, i, 1, NULL);
        assert_cell(b, i, 2, one_of_each[i]);
        cr_assert_eq(batch_column(b, i).n_null, 1);
    }
    cr_assert_eq(n_odd(b), 0);
}

Test(batch, parses_what_it_writes)
{
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&every);

    for (size_t i = 0; i < every.n_columns; i++)
        put_parsed(b, i, one_of_each[i]);
    batch_end_row(b);
    for (size_t i = 0; i < every.n_columns; i++)
        assert_cell(b, i, 0, one_of_each[i]);
    cr_assert_eq(n_odd(b), 0);
}

Test(batch, lies_in_memory_as_arrow_does)
{
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&every);
    struct column_view ints, texts;

    for (int i = 0; i < 20; i++) {
        if (i % 3) {
            batch_put_int64(b, TYPE_INT, i);
            batch_put_text(b, TYPE_STRING, "abcdefghijklmnopqrst", (size_t)i);
        }
        batch_end_row(b);
    }
    ints = batch_column(b, TYPE_INT);
    texts = batch_column(b, TYPE_STRING);
    cr_assert_eq(ints.storage, STORAGE_INT64);
    cr_assert_eq(ints.n_null, 7);
    cr_assert_eq(ints.valid[0], 0xb6); /* rows 1 2 4 5 7 */
    cr_assert_eq(texts.offsets[0], 0);
    for (size_t i = 0; i < 20; i++) {
        cr_assert_eq(ints.ints[i], i % 3 ? (int64_t)i : 0, "NULL leaves no garbage");
        cr_assert_eq(texts.offsets[i + 1] - texts.offsets[i], i % 3 ? i : 0);
        if (i % 3)
            cr_assert_eq(memcmp(column_text(&texts, i).ptr, "abcdefghijklmnopqrst", i), 0);
    }
}

Test(batch, keeps_the_later_of_two_cells)
{
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&every);

    batch_put_text(b, TYPE_STRING, "first and longer", 16);
    batch_put_text(b, TYPE_STRING, "second", 6);
    batch_put_int64(b, TYPE_INT, 1);
    put_parsed(b, TYPE_INT, "odd");
    put_parsed(b, TYPE_BOOL, "odd");
    put_parsed(b, TYPE_DATE, "odd");
    batch_put_bool(b, TYPE_BOOL, true);
    batch_put_odd(b, TYPE_UUID, REASON_TYPE, "a", 1);
    batch_put_odd(b, TYPE_UUID, REASON_NUL, "b", 1);
    batch_end_row(b);
    batch_put_text(b, TYPE_STRING, "third", 5);
    batch_end_row(b);
    assert_cell(b, TYPE_STRING, 0, "second");
    assert_cell(b, TYPE_STRING, 1, "third");
    assert_cell(b, TYPE_BOOL, 0, "true");
    cr_assert_eq(n_odd(b), 3);
    assert_odd(b, 0, 0, TYPE_INT, REASON_PARSE, "odd");
    assert_odd(b, 1, 0, TYPE_DATE, REASON_PARSE, "odd");
    assert_odd(b, 2, 0, TYPE_UUID, REASON_NUL, "b");
    cr_assert_eq(batch_column(b, TYPE_BOOL).n_null, 1);
    cr_assert_eq(batch_column(b, TYPE_STRING).n_null, 0);
}

Test(batch, forgets_a_dropped_row)
{
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&every);
    size_t bytes;

    put_one_of_each(b);
    bytes = batch_bytes(b);
    for (size_t i = 0; i < every.n_columns; i++)
        put_parsed(b, i, one_of_each[i]);
    put_parsed(b, TYPE_INT, "odd");
    batch_drop_row(b);
    batch_drop_row(b);
    cr_assert_eq(batch_rows(b), 1);
    cr_assert_eq(n_odd(b), 0);
    cr_assert_geq(batch_bytes(b), bytes);
    batch_end_row(b);
    put_one_of_each(b);
    for (size_t i = 0; i < every.n_columns; i++) {
        assert_cell(b, i, 0, one_of_each[i]);
        assert_cell(b, i, 1, NULL);
        assert_cell(b, i, 2, one_of_each[i]);
    }
    cr_assert_eq(n_odd(b), 0);
}

Test(batch, is_as_new_after_a_clear)
{
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&every);

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            put_one_of_each(b);
            put_parsed(b, TYPE_DATE, "odd");
            batch_end_row(b);
        }
        batch_reject_row(b, REASON_BAD_JSON_LINE, "line 1", "{", 1);
        batch_put_int64(b, TYPE_INT, 1); /* a row that is not ended */
        cr_assert_eq(batch_rows(b), 200);
        cr_assert_eq(n_odd(b), 100);
        batch_clear(b);
        cr_assert(batch_is_empty(b));
        cr_assert_eq(batch_bytes(b), 0);
        cr_assert_eq(n_odd(b), 0);
        batch_end_row(b);
        for (size_t c = 0; c < every.n_columns; c++)
            assert_cell(b, c, 0, NULL);
        batch_clear(b);
    }
}

Test(batch, is_full_at_the_limit_of_rows)
{
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&every);

    for (size_t i = 0; i < BATCH_MAX_ROWS - 1; i++) {
        batch_put_int64(b, TYPE_INT, (int64_t)i);
        batch_end_row(b);
        if (batch_bytes(b) < BATCH_FULL_BYTES)
            cr_assert_not(batch_is_full(b), "row %zu", i);
    }
    cr_assert_lt(batch_bytes(b), BATCH_FULL_BYTES);
    batch_end_row(b);
    cr_assert(batch_is_full(b));
}

Test(batch, is_full_at_the_limit_of_bytes)
{
    struct column c = {"s", {.type = TYPE_STRING}, "", true};
    struct schema s = {&c, 1, NULL, 0};
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&s);
    char *text = calloc(1, BATCH_FULL_BYTES);

    /* Four bytes are the offset. */
    batch_put_text(b, 0, text, BATCH_FULL_BYTES - 5);
    batch_end_row(b);
    cr_assert_eq(batch_bytes(b), BATCH_FULL_BYTES - 1);
    cr_assert_not(batch_is_full(b));
    batch_clear(b);
    batch_put_text(b, 0, text, BATCH_FULL_BYTES - 4);
    batch_end_row(b);
    cr_assert(batch_is_full(b));
    free(text);
}

Test(batch, is_full_at_a_limit_of_its_own)
{
    struct column c = {"s", {.type = TYPE_STRING}, "", true};
    struct schema s = {&c, 1, NULL, 0};
    CLEANUP(batch_free_cleanup) struct batch *a = batch_new(&s);
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&s);

    batch_limit(a, 1000);
    batch_put_text(a, 0, "x", 1);
    batch_end_row(a);
    cr_assert_not(batch_is_full(a));
    batch_reset(a, &s);
    batch_swap(a, b);
    for (int i = 0; i < 200; i++) { /* of five bytes */
        cr_assert_not(batch_is_full(b));
        batch_put_text(b, 0, "x", 1);
        batch_end_row(b);
    }
    cr_assert(batch_is_full(b));
}

Test(batch, goes_on_beyond_full)
{
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&every);
    const size_t n = 3 * BATCH_MAX_ROWS;

    for (size_t i = 0; i < n; i++) {
        batch_put_int64(b, TYPE_INT, (int64_t)i);
        if (i % 2)
            batch_put_text(b, TYPE_STRING, "x", 1);
        batch_end_row(b);
    }
    cr_assert_eq(batch_rows(b), n);
    cr_assert_eq(batch_column(b, TYPE_STRING).n_null, n / 2);
    cr_assert_eq(batch_column(b, TYPE_INT).ints[n - 1], (int64_t)n - 1);
    assert_cell(b, TYPE_STRING, n - 1, "x");
    assert_cell(b, TYPE_STRING, n - 2, NULL);
}

Test(batch, limits_a_value)
{
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&every);
    char *text = malloc(BATCH_MAX_VALUE + 1);
    const struct odd_cell *odd;
    size_t n;

    memset(text, 'a', BATCH_MAX_VALUE + 1);
    for (size_t extra = 0; extra < 3; extra++) {
        batch_put_text(b, TYPE_STRING, text, BATCH_MAX_VALUE - 1 + extra);
        batch_end_row(b);
    }
    odd = batch_odd_cells(b, &n);
    cr_assert_eq(n, 1);
    cr_assert_eq(odd[0].row, 2);
    cr_assert_eq(odd[0].reason, REASON_RECORD_TOO_LARGE);
    cr_assert_eq(odd[0].original.len, BATCH_ODD_BYTES);
    cr_assert_eq(column_text(&(struct column_view){.offsets = batch_column(b, TYPE_STRING).offsets,
                                                   .bytes = batch_column(b, TYPE_STRING).bytes},
                             1)
                     .len,
                 BATCH_MAX_VALUE);
    free(text);
}

Test(batch, keeps_the_beginning_of_an_odd_cell)
{
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&every);
    char *text = malloc(BATCH_ODD_BYTES + 10);
    const struct odd_cell *odd;
    size_t n;

    memset(text, 'a', BATCH_ODD_BYTES + 10);
    batch_put_odd(b, 0, REASON_TYPE, text, BATCH_ODD_BYTES - 1);
    batch_put_odd(b, 1, REASON_TYPE, text, BATCH_ODD_BYTES);
    batch_put_odd(b, 2, REASON_TYPE, text, BATCH_ODD_BYTES + 1);
    memcpy(text + BATCH_ODD_BYTES - 1, "\xe2\x82\xac", 3); /* a character across the border */
    batch_put_odd(b, 3, REASON_TYPE, text, BATCH_ODD_BYTES + 10);
    memset(text, '\x80', BATCH_ODD_BYTES + 10); /* no UTF-8 at all */
    batch_put_odd(b, 4, REASON_TYPE, text, BATCH_ODD_BYTES + 10);
    batch_put_odd(b, 5, REASON_TYPE, "", 0);
    batch_end_row(b);
    free(text);
    odd = batch_odd_cells(b, &n);
    cr_assert_eq(n, 6);
    cr_assert_eq(odd[0].original.len, BATCH_ODD_BYTES - 1);
    cr_assert_eq(odd[1].original.len, BATCH_ODD_BYTES);
    cr_assert_eq(odd[2].original.len, BATCH_ODD_BYTES);
    cr_assert_eq(odd[3].original.len, BATCH_ODD_BYTES - 1);
    cr_assert_eq(odd[4].original.len, BATCH_ODD_BYTES);
    cr_assert_eq(odd[5].original.len, 0);
    cr_assert_geq(batch_bytes(b), 5 * BATCH_ODD_BYTES - 2);
}

Test(batch, becomes_full_of_odd_cells_and_rejected_rows)
{
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&every);
    static char raw[BATCH_ODD_BYTES];
    size_t n = 0;

    for (; !batch_is_full(b); n++)
        batch_reject_row(b, REASON_PARSE, "d", raw, sizeof raw);
    cr_assert_leq(n, BATCH_FULL_BYTES / BATCH_ODD_BYTES);
    cr_assert_not(batch_is_empty(b));
    cr_assert_eq(batch_rows(b), 0);
    batch_clear(b);
    for (n = 0; !batch_is_full(b); n++)
        batch_put_odd(b, n % TYPE_COUNT, REASON_PARSE, raw, sizeof raw);
    cr_assert_leq(n, BATCH_FULL_BYTES / BATCH_ODD_BYTES);
}

Test(batch, checks_the_encoding_of_strings_only)
{
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&every);

    batch_put_text(b, TYPE_STRING, "a\xff", 2);
    batch_put_text(b, TYPE_BYTES, "a\xff", 2);
    batch_end_row(b);
    cr_assert_eq(n_odd(b), 1);
    assert_odd(b, 0, 0, TYPE_STRING, REASON_ENCODING, "a\xff");
    assert_cell(b, TYPE_BYTES, 0, "Yf8=");
    batch_put_text(b, TYPE_STRING, "a\0b", 3);
    batch_put_text(b, TYPE_BYTES, "", 0);
    batch_end_row(b);
    cr_assert_eq(column_text(&(struct column_view){.offsets = batch_column(b, TYPE_STRING).offsets,
                                                   .bytes = batch_column(b, TYPE_STRING).bytes},
                             1)
                     .len,
                 3, "NUL is text");
    assert_cell(b, TYPE_BYTES, 1, "");
}

Test(batch, keeps_rejected_rows_with_their_place)
{
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&every);
    const struct rejected_row *rows;
    char detail[] = "users.csv line 1", raw[] = "a,b\xff";
    size_t n;

    batch_reject_row(b, REASON_PARSE, detail, raw, 4);
    cr_assert_not(batch_is_empty(b));
    detail[0] = raw[0] = 'X';
    batch_end_row(b);
    batch_reject_row(b, REASON_BAD_JSON_LINE, "", "", 0);
    rows = batch_rejected(b, &n);
    cr_assert_eq(n, 2);
    cr_assert_eq(rows[0].before_row, 0);
    cr_assert_eq(rows[0].reason, REASON_PARSE);
    cr_assert_str_eq(rows[0].detail, "users.csv line 1");
    cr_assert_eq(rows[0].raw.len, 4);
    cr_assert_eq(memcmp(rows[0].raw.ptr, "a,b\xff", 4), 0);
    cr_assert_eq(rows[1].before_row, 1);
    cr_assert_eq(rows[1].raw.len, 0);
}

Test(batch, exchanges_its_contents)
{
    struct column c = {"s", {.type = TYPE_STRING}, "", true};
    struct schema other = {&c, 1, NULL, 0};
    CLEANUP(batch_free_cleanup) struct batch *a = batch_new(&every);
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&other);

    put_one_of_each(a);
    batch_reject_row(a, REASON_PARSE, "x", "y", 1);
    batch_swap(a, b);
    cr_assert_eq(batch_schema(a), &other);
    cr_assert_eq(batch_schema(b), &every);
    cr_assert(batch_is_empty(a));
    cr_assert_eq(batch_rows(b), 1);
    assert_cell(b, TYPE_STRING, 0, one_of_each[TYPE_STRING]);
    batch_put_text(a, 0, "z", 1);
    batch_end_row(a);
    assert_cell(a, 0, 0, "z");
}

Test(batch, takes_another_schema)
{
    struct column columns[] = {{"a", {.type = TYPE_DATE}, "", true},
                               {"b", {.type = TYPE_STRING}, "", true}};
    struct column same_layout[] = {{"a", {.type = TYPE_INT}, "", true},
                                   {"b", {.type = TYPE_JSON}, "", true}};
    struct schema s = {columns, 2, NULL, 0}, t = {same_layout, 2, NULL, 0}, none = {0};
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&every);

    put_one_of_each(b);
    batch_reset(b, &s);
    cr_assert(batch_is_empty(b));
    cr_assert_eq(batch_schema(b), &s);
    put_parsed(b, 0, "2024-02-29");
    put_parsed(b, 1, "{");
    batch_end_row(b);
    assert_cell(b, 0, 0, "2024-02-29");
    assert_cell(b, 1, 0, "{");
    batch_reset(b, &t);
    put_parsed(b, 0, "7");
    put_parsed(b, 1, "{");
    batch_end_row(b);
    assert_cell(b, 0, 0, "7");
    assert_odd(b, 0, 0, 1, REASON_PARSE, "{");
    batch_reset(b, &none);
    batch_end_row(b);
    cr_assert_eq(batch_rows(b), 1);
}

Test(batch, refuses_a_cell_of_another_storage, .signal = SIGABRT)
{
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&every);

    batch_put_int64(b, TYPE_STRING, 1);
}

/* ------------------------------------------------------------------ put_parsed */

static const struct {
    size_t column;
    const char *text;
    const char *want; /* NULL: odd for the reason */
    enum reason reason;
} parsings[] = {
    {TYPE_BOOL, "YES", "true", 0},
    {TYPE_BOOL, "2", NULL, REASON_PARSE},
    {TYPE_INT, "9223372036854775807", "9223372036854775807", 0},
    {TYPE_INT, "9223372036854775808", NULL, REASON_OUT_OF_RANGE},
    {TYPE_INT, "-9223372036854775808", "-9223372036854775808", 0},
    {TYPE_INT, "-9223372036854775809", NULL, REASON_OUT_OF_RANGE},
    {TYPE_INT, "+5", "5", 0},
    {TYPE_INT, "007", "7", 0},
    {TYPE_INT, "1e3", "1000", 0},
    {TYPE_INT, "1.0", "1", 0},
    {TYPE_INT, "1.50e1", "15", 0},
    {TYPE_INT, "9007199254740993.0", "9007199254740993", 0},
    {TYPE_INT, "1.5", NULL, REASON_PARSE},
    {TYPE_INT, "1e19", NULL, REASON_OUT_OF_RANGE},
    {TYPE_INT, "1e30000", NULL, REASON_OUT_OF_RANGE},
    {TYPE_INT, "", NULL, REASON_PARSE},
    {TYPE_INT, "x", NULL, REASON_PARSE},
    {TYPE_INT, " 1", NULL, REASON_PARSE},
    {TYPE_INT, "NaN", NULL, REASON_PARSE},
    {TYPE_DECIMAL, "1.10", "1.10", 0},
    {TYPE_DECIMAL, "1e2", "100", 0},
    {TYPE_DECIMAL, "-0.00", "0.00", 0},
    {TYPE_DECIMAL, "nan", "NaN", 0},
    {TYPE_DECIMAL, "1e20001", NULL, REASON_OUT_OF_RANGE},
    {TYPE_DECIMAL, "-.5e-20001", NULL, REASON_OUT_OF_RANGE},
    {TYPE_DECIMAL, "1e", NULL, REASON_PARSE},
    {TYPE_DECIMAL, "", NULL, REASON_PARSE},
    {TYPE_FLOAT, "1e400", NULL, REASON_OUT_OF_RANGE},
    {TYPE_FLOAT, "1e-400", NULL, REASON_OUT_OF_RANGE},
    {TYPE_FLOAT, "-inf", "-Infinity", 0},
    {TYPE_FLOAT, "0.1", "0.1", 0},
    {TYPE_FLOAT, "1,5", NULL, REASON_PARSE},
    {TYPE_FLOAT, "1e+", NULL, REASON_PARSE},
    {TYPE_COUNT, "0.1", "0.1", 0},
    {TYPE_COUNT, "1e39", NULL, REASON_OUT_OF_RANGE},
    {TYPE_STRING, "", "", 0},
    {TYPE_BYTES, "AP8=", "AP8=", 0},
    {TYPE_BYTES, "AP8", NULL, REASON_PARSE},
    {TYPE_BYTES, "", "", 0},
    {TYPE_DATE, "2024-02-30", NULL, REASON_PARSE},
    {TYPE_DATE, "infinity", "infinity", 0},
    {TYPE_TIME, "24:00:00", "24:00:00", 0},
    {TYPE_TIME, "23:59:60", NULL, REASON_PARSE},
    {TYPE_TIMESTAMP, "2024-01-01 00:00:00", "2024-01-01T00:00:00", 0},
    {TYPE_TIMESTAMP, "2024-01-01 00:00:00Z", NULL, REASON_PARSE},
    {TYPE_TIMESTAMPTZ, "2024-01-01 00:00:00+01", "2023-12-31T23:00:00Z", 0},
    {TYPE_TIMESTAMPTZ, "2024-01-01 00:00:00", NULL, REASON_PARSE},
    {TYPE_INTERVAL, "P1D", "P1D", 0},
    {TYPE_INTERVAL, "1 day", NULL, REASON_PARSE},
    {TYPE_UUID, "00010203-0405-0607-0809-0A0B0C0D0E0F", "00010203-0405-0607-0809-0a0b0c0d0e0f", 0},
    {TYPE_UUID, "00010203", NULL, REASON_PARSE},
    {TYPE_JSON, "[1.10, 1e400]", "[1.10, 1e400]", 0},
    {TYPE_JSON, "{", NULL, REASON_PARSE},
    {TYPE_JSON, "", NULL, REASON_PARSE},
};

Test(batch, reads_text_by_the_type_of_the_column)
{
    for (size_t i = 0; i < sizeof parsings / sizeof *parsings; i++) {
        CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&every);

        put_parsed(b, parsings[i].column, parsings[i].text);
        batch_end_row(b);
        cr_assert_eq(n_odd(b), !parsings[i].want, "%s as %s", parsings[i].text,
                     all[parsings[i].column].name);
        if (parsings[i].want)
            assert_cell(b, parsings[i].column, 0, parsings[i].want);
        else
            assert_odd(b, 0, 0, parsings[i].column, parsings[i].reason, parsings[i].text);
    }
}

Test(batch, keeps_decimals_that_have_more_digits_than_declared)
{
    struct column c = {"d", {.type = TYPE_DECIMAL, .precision = 3, .scale = 1}, "", true};
    struct schema s = {&c, 1, NULL, 0};
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&s);

    put_parsed(b, 0, "123456.789");
    batch_end_row(b);
    assert_cell(b, 0, 0, "123456.789");
}

Test(batch, limits_what_it_parses)
{
    CLEANUP(batch_free_cleanup) struct batch *b = batch_new(&every);
    size_t n = BATCH_MAX_VALUE / 3 * 4 + 8;
    char *text = malloc(n);
    const struct odd_cell *odd;
    size_t count;

    memset(text, 'A', n);
    batch_put_parsed(b, TYPE_BYTES, text, n);
    memset(text, '1', n);
    batch_put_parsed(b, TYPE_DECIMAL, text, n);
    batch_put_parsed(b, TYPE_JSON, text, n);
    batch_put_parsed(b, TYPE_INT, text, n);
    batch_end_row(b);
    odd = batch_odd_cells(b, &count);
    cr_assert_eq(count, 4);
    cr_assert_eq(odd[0].reason, REASON_RECORD_TOO_LARGE);
    cr_assert_eq(odd[1].reason, REASON_RECORD_TOO_LARGE);
    cr_assert_eq(odd[2].reason, REASON_RECORD_TOO_LARGE);
    cr_assert_eq(odd[3].reason, REASON_OUT_OF_RANGE);
    free(text);
}

/* ------------------------------------------------------------------------ keys */

/* The key of a row with one column per text; NULL stands for NULL. */
static bool key_of(const char *const *types, const char *const *texts, size_t n, struct buf *out)
{
    static const size_t numbers[] = {0, 1, 2};
    struct column columns[3] = {0};
    struct schema s = {columns, n, numbers, n};
    struct batch *b;
    bool ok;

    for (size_t i = 0; i < n; i++) {
        columns[i].name = types[i];
        cr_assert(type_parse(types[i], &columns[i].type), "%s", types[i]);
    }
    b = batch_new(&s);
    for (size_t i = 0; i < n; i++) {
        if (texts[i])
            put_parsed(b, i, texts[i]);
    }
    batch_end_row(b);
    cr_assert_eq(n_odd(b), 0);
    ok = batch_key(b, 0, out);
    batch_free(b);
    return ok;
}

static bool same_key(const char *type, const char *a, const char *b)
{
    struct buf key_a = BUF_INIT(1000), key_b = BUF_INIT(1000);
    bool same;

    cr_assert(key_of(&type, &a, 1, &key_a));
    cr_assert(key_of(&type, &b, 1, &key_b));
    same = key_a.len == key_b.len && !memcmp(key_a.data, key_b.data, key_a.len);
    buf_release(&key_a);
    buf_release(&key_b);
    return same;
}

Test(batch_key, is_equal_exactly_when_the_values_are)
{
    cr_assert(same_key("decimal", "1.0", "1.00"));
    cr_assert(same_key("decimal", "1", "1.0"));
    cr_assert(same_key("decimal", "-0.0", "0"));
    cr_assert(same_key("decimal", "10", "1e1"));
    cr_assert_not(same_key("decimal", "10", "1"));
    cr_assert_not(same_key("decimal", "100", "10.0"));
    cr_assert_not(same_key("decimal", "1.01", "1.1"));
    cr_assert(same_key("decimal", "Infinity", "inf"));
    cr_assert(same_key("float", "-0.0", "0.0"));
    cr_assert_not(same_key("float", "0.1",
                           "0.10000000000000001942"
                           "890293094023945741355419158935546875"));
    cr_assert(same_key("float32", "-0", "0"));
    cr_assert(same_key("uuid", "00010203-0405-0607-0809-0A0B0C0D0E0F",
                       "00010203-0405-0607-0809-0a0b0c0d0e0f"));
    cr_assert(same_key("timestamptz", "2024-01-01T00:00:00+01", "2023-12-31T23:00:00Z"));
    cr_assert_not(same_key("timestamp", "2024-01-01T00:00:00", "2023-12-31T23:00:00"));
    cr_assert_not(same_key("string", "a", "A"));
    cr_assert_not(same_key("string", "a", "a "));
    cr_assert_not(same_key("string", "", " "));
    cr_assert_not(same_key("bytes", "AA==", "AAA="));
    cr_assert(same_key("bool", "true", "1"));
    cr_assert(same_key("int", "-5", "-5"));
    cr_assert_not(same_key("int", "-5", "5"));
}

Test(batch_key, does_not_join_columns)
{
    static const char *const types[] = {"string", "string"};
    static const char *const rows[][2] = {{"a,b", "c"}, {"a", "b,c"}, {"", "a,b,c"}, {"1:a", ""},
                                          {"", "1:a"},  {"a", ""},    {"", "a"}};

    for (size_t i = 0; i < 49; i++) {
        struct buf a = BUF_INIT(1000), b = BUF_INIT(1000);

        cr_assert(key_of(types, rows[i % 7], 2, &a));
        cr_assert(key_of(types, rows[i / 7], 2, &b));
        cr_assert_eq(a.len == b.len && !memcmp(a.data, b.data, a.len), i % 7 == i / 7);
        buf_release(&a);
        buf_release(&b);
    }
}

Test(batch_key, is_none_with_null_or_nan)
{
    static const char *const types[] = {"int", "float", "decimal"};
    struct buf out = BUF_INIT(1000);

    cr_assert(key_of(types, (const char *const[]){"1", "1", "1"}, 3, &out));
    cr_assert_not(key_of(types, (const char *const[]){NULL, "1", "1"}, 3, &out));
    cr_assert_not(key_of(types, (const char *const[]){"1", "1", NULL}, 3, &out));
    cr_assert_not(key_of(types, (const char *const[]){"1", "NaN", "1"}, 3, &out));
    cr_assert_not(key_of(types, (const char *const[]){"1", "1", "NaN"}, 3, &out));
    cr_assert(key_of(types, (const char *const[]){"1", "inf", "-inf"}, 3, &out));
    buf_release(&out);
}

Test(batch_key, is_appended)
{
    static const char *const type = "string", *const text = "abc";
    struct buf out = BUF_INIT(1000);

    buf_puts(&out, "before ");
    cr_assert(key_of(&type, &text, 1, &out));
    cr_assert_str_eq(buf_str(&out), "before 3:abc");
    buf_release(&out);
}
