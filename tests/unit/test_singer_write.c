#include <criterion/criterion.h>
#include <math.h>

#include "connectors/singer/write.h"

/* clang-format off */
static const struct column every[] = {
    {.name = "b\"",  .type = {.type = TYPE_BOOL},        .source_type = "", .nullable = true},
    {.name = "i",    .type = {.type = TYPE_INT},         .source_type = "", .nullable = false},
    {.name = "dec",  .type = {.type = TYPE_DECIMAL, .precision = 10, .scale = 2}, .source_type = "", .nullable = true},
    {.name = "f",    .type = {.type = TYPE_FLOAT, .bits = 64}, .source_type = "", .nullable = true},
    {.name = "f32",  .type = {.type = TYPE_FLOAT, .bits = 32}, .source_type = "", .nullable = true},
    {.name = "s",    .type = {.type = TYPE_STRING},      .source_type = "", .nullable = true},
    {.name = "bin",  .type = {.type = TYPE_BYTES},       .source_type = "", .nullable = true},
    {.name = "d",    .type = {.type = TYPE_DATE},        .source_type = "", .nullable = true},
    {.name = "t",    .type = {.type = TYPE_TIME},        .source_type = "", .nullable = true},
    {.name = "ts",   .type = {.type = TYPE_TIMESTAMP},   .source_type = "", .nullable = true},
    {.name = "tz",   .type = {.type = TYPE_TIMESTAMPTZ}, .source_type = "", .nullable = true},
    {.name = "iv",   .type = {.type = TYPE_INTERVAL},    .source_type = "", .nullable = true},
    {.name = "u",    .type = {.type = TYPE_UUID},        .source_type = "", .nullable = true},
    {.name = "j",    .type = {.type = TYPE_JSON},        .source_type = "", .nullable = true},
};
/* clang-format on */
static const size_t key[] = {1};
static const struct schema schema = {every, sizeof every / sizeof *every, key, 1};

static void put(struct batch *b, const char *const *texts)
{
    for (size_t i = 0; i < schema.n_columns; i++) {
        if (texts[i])
            batch_put_parsed(b, i, texts[i], strlen(texts[i]));
    }
    batch_end_row(b);
}

Test(singer_write, rows_of_every_type)
{
    static const char *const full[] = {"true",
                                       "-42",
                                       "12.30",
                                       "0.1",
                                       "0.1",
                                       "a\"\\\n\x01\x7f€ end",
                                       "aGk=",
                                       "2024-02-29",
                                       "01:02:03.5",
                                       "2024-02-29T01:02:03",
                                       "2024-02-29T01:02:03Z",
                                       "P1M",
                                       "0F0e0d0c-0b0a-0908-0706-050403020100",
                                       "{\"a\":\n1.10}"};
    static const char *const odd[] = {"f",  "0",  "NaN",      "NaN", "-Infinity",
                                      "",   "",   "infinity", NULL,  "-infinity",
                                      NULL, NULL, NULL,       "null"};
    static const char *const none[14] = {[1] = "9223372036854775807"};
    struct batch *b = batch_new(&schema);
    struct singer_rows *r = singer_rows_new("a\tb", &schema, NULL, 7);
    struct buf out = BUF_INIT(1 << 20);

    put(b, full);
    put(b, odd);
    put(b, none);
    cr_assert_eq(batch_rows(b), 3);
    cr_assert_eq(singer_rows_put(r, &out, b, 0, batch_rows(b), SIZE_MAX), 3);
    cr_expect_str_eq(
        buf_str(&out),
        "{\"type\":\"RECORD\",\"stream\":\"a\\tb\",\"version\":7,\"record\":{\"b\\\"\":true,\"i\":-"
        "42,"
        "\"dec\":\"12.30\",\"f\":0.1,\"f32\":0.1,\"s\":\"a\\\"\\\\\\n\\u0001\x7f€ end\","
        "\"bin\":\"aGk=\",\"d\":\"2024-02-29\",\"t\":\"01:02:03.5\",\"ts\":\"2024-02-29T01:02:03\","
        "\"tz\":\"2024-02-29T01:02:03Z\",\"iv\":\"P1M\","
        "\"u\":\"0f0e0d0c-0b0a-0908-0706-050403020100\",\"j\":{\"a\": 1.10}}}\n"
        "{\"type\":\"RECORD\",\"stream\":\"a\\tb\",\"version\":7,\"record\":{\"b\\\"\":false,\"i\":"
        "0,"
        "\"dec\":\"NaN\",\"f\":\"NaN\",\"f32\":\"-Infinity\",\"s\":\"\",\"bin\":\"\","
        "\"d\":\"infinity\",\"t\":null,\"ts\":\"-infinity\",\"tz\":null,\"iv\":null,\"u\":null,"
        "\"j\":null}}\n"
        "{\"type\":\"RECORD\",\"stream\":\"a\\tb\",\"version\":7,\"record\":{\"b\\\"\":null,"
        "\"i\":9223372036854775807,\"dec\":null,\"f\":null,\"f32\":null,\"s\":null,\"bin\":null,"
        "\"d\":null,\"t\":null,\"ts\":null,\"tz\":null,\"iv\":null,\"u\":null,\"j\":null}}\n");
    cr_assert(singer_rows_fit(r, &schema));
    singer_rows_free(r);
    batch_free(b);
    buf_release(&out);
}

/* Every byte at every place of a word, so that no lane of the fast path is wrong. */
Test(singer_write, escapes_like_the_plain_writer)
{
    static const struct column text[] = {
        {.name = "s", .type = {.type = TYPE_STRING}, .source_type = ""}};
    static const struct schema one = {text, 1, NULL, 0};
    struct singer_rows *r = singer_rows_new_plain(&one);
    struct batch *b = batch_new(&one);
    struct buf out = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20);

    for (int byte = 0; byte < 128; byte++) {
        for (size_t at = 0; at < 17; at++) {
            char s[17];

            memset(s, '!', sizeof s);
            s[at] = (char)byte;
            batch_put_text(b, 0, s, sizeof s);
            batch_end_row(b);
            buf_clear(&out);
            buf_clear(&want);
            cr_assert_eq(singer_rows_put(r, &out, b, 0, batch_rows(b), SIZE_MAX), 1);
            buf_puts(&want, "{\"s\":\"");
            for (size_t i = 0; i < sizeof s; i++) {
                unsigned char c = (unsigned char)s[i];

                if (c == '"' || c == '\\')
                    buf_printf(&want, "\\%c", c);
                else if (c < 32 && !strchr("\b\f\n\r\t", c))
                    buf_printf(&want, "\\u%04x", c);
                else if (c == 0)
                    buf_puts(&want, "\\u0000");
                else if (c < 32)
                    buf_printf(&want, "\\%c", "btn?fr"[c - 8]);
                else
                    buf_putc(&want, (char)c);
            }
            buf_puts(&want, "\"},");
            cr_assert_str_eq(buf_str(&out), buf_str(&want));
            batch_clear(b);
        }
    }
    singer_rows_free(r);
    batch_free(b);
    buf_release(&out);
    buf_release(&want);
}

Test(singer_write, large_values_and_pieces)
{
    static const struct column two[] = {
        {.name = "s", .type = {.type = TYPE_STRING}, .source_type = ""},
        {.name = "b", .type = {.type = TYPE_BYTES}, .source_type = ""}};
    static const struct schema wide = {two, 2, NULL, 0};
    struct singer_rows *r = singer_rows_new_plain(&wide);
    struct batch *b = batch_new(&wide);
    struct buf out = BUF_INIT(64 << 20), none = BUF_INIT(1000);
    char *big = xalloc(2 << 20);

    memset(big, '\n', 2 << 20);
    for (int i = 0; i < 3; i++) {
        batch_put_text(b, 0, big, 2 << 20);
        batch_put_text(b, 1, big, (2 << 20) - (size_t)i);
        batch_end_row(b);
    }
    cr_expect_eq(singer_rows_put(r, &out, b, 0, 3, 1), 1);
    cr_expect_eq(out.len, (size_t)(13 + (2 * (2 << 20)) + 4 * ((2 << 20) / 3 + 1)) + 3);
    cr_expect_eq(singer_rows_put(r, &out, b, 1, 3, SIZE_MAX), 3);
    cr_expect_eq(singer_rows_put(r, &none, b, 0, batch_rows(b), SIZE_MAX), 0);
    cr_expect(none.failed);
    free(big);
    singer_rows_free(r);
    batch_free(b);
    buf_release(&out);
    buf_release(&none);
}

Test(singer_write, schema_says_how_rows_are_written)
{
    static const size_t picked[] = {1, 5};
    struct arena *mem = arena_new();
    const struct schema *small = schema_pick(mem, &schema, picked, 2);
    const struct stream stream = {.namespace = "", .name = "t", .schema = &schema};
    struct selected_stream want = {.stream = &stream,
                                   .schema = small,
                                   .cursor = 1,
                                   .alias = "t",
                                   .sync_mode = SYNC_INCREMENTAL,
                                   .write_mode = WRITE_INSERT_ONLY};
    struct buf out = BUF_INIT(1 << 16);

    singer_put_schema(&out, "t", &want, small);
    cr_expect_str_eq(
        buf_str(&out),
        "{\"type\":\"SCHEMA\",\"stream\":\"t\",\"schema\":{\"type\":\"object\",\"properties\":{"
        "\"i\":{\"type\":[\"integer\"]},\"s\":{\"type\":[\"null\",\"string\"]}}},"
        "\"key_properties\":[\"i\"],\"bookmark_properties\":[\"s\"],"
        "\"replication_method\":\"INCREMENTAL\",\"unique_conflict_method\":\"IGNORE\","
        "\"unique_constraints\":[\"i\"],\"partition_keys\":[],"
        "\"auto_add_new_fields\":true,\"disable_column_type_check\":false}\n");
    want.write_mode = WRITE_APPEND;
    buf_clear(&out);
    singer_put_schema(&out, "t", &want, small);
    cr_expect(strstr(buf_str(&out), "\"key_properties\":[],"));
    buf_clear(&out);
    singer_put_activate_version(&out, "t", 5);
    singer_put_state(&out, "{\"a\":1}", 7);
    cr_expect_str_eq(buf_str(&out),
                     "{\"type\":\"ACTIVATE_VERSION\",\"stream\":\"t\",\"version\":5}\n"
                     "{\"type\":\"STATE\",\"value\":{\"a\":1}}\n");
    buf_release(&out);
    arena_free(mem);
}
