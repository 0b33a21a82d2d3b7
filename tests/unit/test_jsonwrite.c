#include <criterion/criterion.h>

#include "connectors/base/jsonwrite.h"

Test(jsonw, places_commas)
{
    struct buf b = BUF_INIT(1000);
    struct jsonw w = JSONW_INIT(&b);

    jsonw_object(&w);
    jsonw_put_int(&w, "a", -1);
    jsonw_put_bool(&w, "b", true);
    jsonw_put_null(&w, "c");
    jsonw_key(&w, "d");
    jsonw_array(&w);
    jsonw_array_end(&w);
    jsonw_key_n(&w, "efg", 1);
    jsonw_array(&w);
    jsonw_object(&w);
    jsonw_object_end(&w);
    jsonw_bool(&w, false);
    jsonw_string_n(&w, "xyz", 2);
    jsonw_double(&w, 0.1);
    jsonw_array_end(&w);
    jsonw_put_string(&w, "s", NULL);
    jsonw_put_raw(&w, "r", "[1.10]");
    jsonw_put_raw(&w, "n", "");
    jsonw_put_raw(&w, "m", NULL);
    jsonw_put_time_ms(&w, "t", 1000);
    jsonw_put_time_ms(&w, "u", 0);
    jsonw_object_end(&w);
    cr_assert_str_eq(buf_str(&b),
                     "{\"a\":-1,\"b\":true,\"c\":null,\"d\":[],\"e\":[{},false,\"xy\",0.1],"
                     "\"s\":null,\"r\":[1.10],\"n\":null,\"m\":null,"
                     "\"t\":\"1970-01-01T00:00:00.001Z\",\"u\":null}");
    buf_release(&b);
}

Test(jsonw, escapes_what_must_be_escaped)
{
    struct buf b = BUF_INIT(1000);

    jsonw_escape(&b, "\"\\/\b\f\n\r\t\x01\x1f\x7f\0z", 13);
    cr_assert_str_eq(buf_str(&b), "\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\\u0000z");
    buf_release(&b);
}

/* G1: what a terminal obeys and where others break lines. */
Test(jsonw, escapes_controls_beyond_ascii)
{
    static const struct {
        const char *plain, *escaped;
    } rows[] = {
        {"\xc2\x80", "\\u0080"},
        {"a\xc2\x9b[31mz\xc2\x9f", "a\\u009b[31mz\\u009f"},
        {"\xc2\xa0", "\xc2\xa0"},
        {"\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa",
         "\xe2\x80\xa7\\u2028\\u2029\xe2\x80\xaa"},
        {"\xe2\x82\xac", "\xe2\x82\xac"},
        {"\x9b[31m\xc2", "\xef\xbf\xbd[31m\xef\xbf\xbd"}, /* no UTF-8 */
        {"\xe2\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = BUF_INIT(1000);

        jsonw_escape(&b, rows[i].plain, strlen(rows[i].plain));
        cr_expect_str_eq(buf_str(&b), rows[i].escaped, "%zu: %s", i, buf_str(&b));
        buf_release(&b);
    }
}

Test(jsonw, keeps_utf8_and_replaces_what_is_not)
{
    struct buf b = BUF_INIT(1000);

    jsonw_escape(&b, "\xc3\xa9\xff\n", 4);
    cr_assert_str_eq(buf_str(&b), "\xc3\xa9\xef\xbf\xbd\\n");
    buf_release(&b);
}

Test(jsonw, shows_a_full_buffer_in_it)
{
    struct error err = ERROR_INIT;
    struct buf b = BUF_INIT(5);
    struct jsonw w = JSONW_INIT(&b);

    jsonw_string(&w, "abc");
    cr_assert_eq(buf_ok(&b, "x", &err), 0);
    jsonw_string(&w, "\xff");
    cr_assert_eq(buf_ok(&b, "x", &err), -1);
    buf_release(&b);
}
