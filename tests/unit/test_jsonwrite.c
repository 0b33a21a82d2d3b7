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
