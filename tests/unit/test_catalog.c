#include <criterion/criterion.h>

#include "connectors/catalog.h"
#include "connectors/connector.h"

static struct arena *mem;
static struct problems problems;

static void setup(void)
{
    mem = arena_new();
    problems = PROBLEMS_INIT(mem);
}

static void teardown(void)
{
    arena_free(mem);
}

TestSuite(catalog, .init = setup, .fini = teardown);

static struct doc *parsed(const char *json)
{
    struct error err = ERROR_INIT;
    struct doc *d;

    cr_assert_eq(doc_parse(json, strlen(json), &d, &err), 0, "%s", err.message);
    return d;
}

static const char *text_of(const struct doc *d)
{
    struct buf text = BUF_INIT(1 << 20);
    const char *copy;

    doc_write(d, &text);
    copy = arena_strdup(mem, buf_str(&text));
    buf_release(&text);
    return copy;
}

static void assert_text(struct doc *d, const char *expected)
{
    cr_assert_str_eq(text_of(d), expected);
    doc_free(d);
}

static struct catalog catalog_of(const char *json)
{
    struct catalog c = CATALOG_INIT(mem);
    struct error err = ERROR_INIT;
    struct doc *d = parsed(json);

    cr_assert_eq(catalog_from_doc(d, &c, &err), 0, "%s", err.message);
    doc_free(d);
    return c;
}

static void assert_invalid(const char *json, const char *message)
{
    struct catalog c = CATALOG_INIT(mem);
    struct error err = ERROR_INIT;
    struct doc *d = parsed(json);

    cr_assert_eq(catalog_from_doc(d, &c, &err), -1);
    cr_assert_eq(err.code, ERR_INVALID);
    cr_assert_str_eq(err.message, message);
    doc_free(d);
}

static const char orders[] =
    "{\"streams\":[{\"name\":\"orders\",\"namespace\":\"shop\",\"columns\":["
    "{\"name\":\"id\",\"type\":\"int\",\"nullable\":false,\"source_type\":\"bigint\"},"
    "{\"name\":\"total\",\"type\":\"decimal(12,2)\",\"nullable\":true,\"source_type\":null},"
    "{\"name\":\"at\",\"type\":\"timestamptz\",\"nullable\":true,\"source_type\":null}],"
    "\"primary_key\":[\"id\"],\"cursor_fields\":[\"at\",\"id\"],"
    "\"source_defined_cursor\":false,\"sync_modes\":[\"full_refresh\",\"incremental\"],"
    "\"resumable\":true,\"row_estimate\":17},"
    "{\"name\":\"log\",\"namespace\":null,\"columns\":["
    "{\"name\":\"line\",\"type\":\"string\",\"nullable\":true,\"source_type\":null}],"
    "\"primary_key\":[],\"cursor_fields\":[],\"source_defined_cursor\":true,"
    "\"sync_modes\":[\"full_refresh\"],\"resumable\":false,\"row_estimate\":null,"
    "\"doubt\":\"lines move\",\"doubt_unmerged\":\"lines come twice\"}]}";

Test(catalog, comes_back_from_native_json)
{
    struct catalog c = catalog_of(orders);

    assert_text(catalog_to_doc(&c), orders);
    cr_assert_str_eq(c.streams[0].schema->columns[0].source_type, "bigint");
    cr_assert_str_eq(c.streams[1].namespace, "");
    cr_assert_eq(c.streams[1].row_estimate, -1);
}

Test(catalog, doubts_what_is_selected)
{
    static const size_t first = 0;
    const struct schema keyed = {.key = &first, .n_key = 1}, keyless = {0};
    const struct stream sure = {0}, unsure = {.doubt = "a"}, unmerged = {.doubt_unmerged = "b"};
    struct selected_stream all[] = {
        {&sure, &keyless, .write_mode = WRITE_APPEND},
        {&unsure, &keyed, .write_mode = WRITE_APPEND_DEDUP},
        {&unmerged, &keyed, .write_mode = WRITE_APPEND_DEDUP},
        {&unmerged, &keyed, .write_mode = WRITE_APPEND},
        {&unmerged, &keyless, .write_mode = WRITE_OVERWRITE},
        {&unmerged, &keyed, .write_mode = WRITE_OVERWRITE},
    };
    struct selection s = {all, 6};

    cr_assert_null(selected_stream_doubt(&all[0]));
    cr_assert_str_eq(selected_stream_doubt(&all[1]), "a");
    cr_assert_null(selected_stream_doubt(&all[2]));
    cr_assert_str_eq(selected_stream_doubt(&all[3]), "b");
    cr_assert_str_eq(selected_stream_doubt(&all[4]), "b");
    cr_assert_null(selected_stream_doubt(&all[5]));
    selection_set_merging(&s, 1u << WRITE_OVERWRITE | 1u << WRITE_APPEND);
    cr_assert_str_eq(selected_stream_doubt(&all[5]), "b");
    selection_set_merging(&s, 1u << WRITE_OVERWRITE | 1u << WRITE_APPEND_DEDUP);
    cr_assert_null(selected_stream_doubt(&all[5]));
}

Test(catalog, outlives_the_document)
{
    struct catalog c = catalog_of(orders);

    cr_assert_str_eq(c.streams[0].schema->columns[1].name, "total");
    cr_assert_eq(c.streams[0].schema->columns[1].type.precision, 12);
}

Test(catalog, grows_past_its_first_block)
{
    struct catalog c = CATALOG_INIT(mem);

    for (int i = 0; i < 100; i++)
        catalog_add(&c)->name = arena_printf(mem, "s%d", i);
    cr_assert_eq(c.n, 100);
    cr_assert_str_eq(c.streams[0].name, "s0");
    cr_assert_str_eq(c.streams[99].name, "s99");
    cr_assert_str_eq(c.streams[99].namespace, "");
    cr_assert_eq(c.streams[99].row_estimate, -1);
}

Test(catalog, hashes_what_it_says)
{
    struct catalog a = catalog_of(orders), b = catalog_of(orders);
    char before[65], same[65], after[65];

    catalog_hash(&a, before);
    catalog_hash(&b, same);
    b.streams[0].row_estimate++;
    catalog_hash(&b, after);
    cr_assert_str_eq(before, same);
    cr_assert_str_neq(before, after);
    cr_assert_eq(strlen(before), 64);
}

Test(catalog, finds_streams)
{
    struct catalog c = catalog_of(
        "{\"streams\":[{\"name\":\"t\",\"namespace\":\"a\",\"columns\":[]},"
        "{\"name\":\"t\",\"namespace\":\"b\",\"columns\":[]},{\"name\":\"u\",\"columns\":[]},"
        "{\"name\":\"v\",\"namespace\":\"a\",\"columns\":[]}]}");

    cr_assert_eq(catalog_find(&c, "b", "t"), &c.streams[1]);
    cr_assert_eq(catalog_find(&c, NULL, "b.t"), &c.streams[1]);
    cr_assert_eq(catalog_find(&c, "", "a.t"), &c.streams[0]);
    cr_assert_eq(catalog_find(&c, NULL, "u"), &c.streams[2]);
    cr_assert_eq(catalog_find(&c, NULL, "v"), &c.streams[3], "only one has this name");
    cr_assert_null(catalog_find(&c, NULL, "t"), "two have this name");
    cr_assert_null(catalog_find(&c, "b", "v"));
    cr_assert_null(catalog_find(&c, "a", "a.t"));
    cr_assert_str_eq(stream_full_name(mem, &c.streams[1]), "b.t");
    cr_assert_str_eq(stream_full_name(mem, &c.streams[2]), "u");
}

Test(catalog, refuses_what_is_not_one)
{
    assert_invalid("[]", "a catalog is an object with an array \"streams\"");
    assert_invalid("{\"streams\":{}}", "a catalog is an object with an array \"streams\"");
    assert_invalid("{\"streams\":[{}]}", "/streams/0: it has no name");
    assert_invalid("{\"streams\":[{\"name\":\"t\"}]}",
                   "/streams/0: stream \"t\": \"columns\" is not an array");
    assert_invalid("{\"streams\":[{\"name\":\"t\",\"columns\":[{\"type\":\"int\"}]}]}",
                   "/streams/0: stream \"t\": a column has no name");
    assert_invalid("{\"streams\":[{\"name\":\"t\",\"columns\":[{\"name\":\"c\",\"type\":\"x\"}]}]}",
                   "/streams/0: stream \"t\": column \"c\" has the unknown type \"x\"");
    assert_invalid("{\"streams\":[{\"name\":\"t\",\"columns\":[{\"name\":\"c\",\"type\":\"int\"},"
                   "{\"name\":\"c\",\"type\":\"int\"}]}]}",
                   "/streams/0: stream \"t\": column \"c\" occurs twice");
    assert_invalid("{\"streams\":[{\"name\":\"t\",\"columns\":[],\"primary_key\":[\"k\"]}]}",
                   "/streams/0: stream \"t\": \"primary_key\" names the unknown column \"k\"");
    assert_invalid("{\"streams\":[{\"name\":\"t\",\"columns\":[{\"name\":\"c\",\"type\":\"int\"}],"
                   "\"primary_key\":[\"c\",\"c\"]}]}",
                   "/streams/0: stream \"t\": \"primary_key\" names the column \"c\" twice");
    assert_invalid("{\"streams\":[{\"name\":\"t\",\"columns\":[],\"cursor_fields\":[\"k\"]}]}",
                   "/streams/0: stream \"t\": \"cursor_fields\" names the unknown column \"k\"");
    assert_invalid("{\"streams\":[{\"name\":\"b.t\",\"namespace\":\"a\",\"columns\":[]},"
                   "{\"name\":\"t\",\"namespace\":\"a.b\",\"columns\":[]}]}",
                   "stream \"a.b.t\" occurs twice");
}

static struct doc *wide_catalog(size_t n_streams, size_t n_columns)
{
    struct doc *d = doc_new_object(), *streams = doc_new_array();

    for (size_t i = 0; i < n_streams; i++) {
        struct doc *s = doc_new_object(), *columns = doc_new_array();

        for (size_t j = 0; j < n_columns; j++) {
            struct doc *c = doc_new_object();

            doc_set(c, "name", doc_new_string(arena_printf(mem, "c%zu", j)));
            doc_set(c, "type", doc_new_string("int"));
            doc_append(columns, c);
        }
        doc_set(s, "name", doc_new_string(arena_printf(mem, "s%zu", i)));
        doc_set(s, "columns", columns);
        doc_append(streams, s);
    }
    doc_set(d, "streams", streams);
    return d;
}

static void assert_size(size_t n_streams, size_t n_columns, int expected)
{
    struct catalog c = CATALOG_INIT(mem);
    struct error err = ERROR_INIT;
    struct doc *d = wide_catalog(n_streams, n_columns);

    cr_assert_eq(catalog_from_doc(d, &c, &err), expected, "%s", err.message);
    cr_assert_eq(err.code, expected ? ERR_TOO_LARGE : ERR_NONE);
    doc_free(d);
}

Test(catalog, bounds_streams_and_columns)
{
    assert_size(1, SCHEMA_MAX_COLUMNS, 0);
    assert_size(1, SCHEMA_MAX_COLUMNS + 1, -1);
    assert_size(CATALOG_MAX_STREAMS, 1, 0);
    assert_size(CATALOG_MAX_STREAMS + 1, 1, -1);
}

/* ------------------------------------------------------------------ differences */

Test(catalog, differs_from_itself_in_nothing)
{
    struct catalog c = catalog_of(orders);

    assert_text(catalog_diff(&c, &c), "{\"added\":[],\"removed\":[],\"changed\":[]}");
}

Test(catalog, tells_what_changed)
{
    struct catalog before = catalog_of(
        "{\"streams\":[{\"name\":\"old\",\"columns\":[]},{\"name\":\"t\",\"columns\":["
        "{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"b\",\"type\":\"int\",\"nullable\":false},"
        "{\"name\":\"c\",\"type\":\"date\"}]},"
        "{\"name\":\"u\",\"namespace\":\"n\",\"columns\":[{\"name\":\"a\",\"type\":\"int\"}]}]}");
    struct catalog after = catalog_of(
        "{\"streams\":[{\"name\":\"t\",\"columns\":[{\"name\":\"b\",\"type\":\"int\"},"
        "{\"name\":\"c\",\"type\":\"timestamp\"},{\"name\":\"d\",\"type\":\"json\"}]},"
        "{\"name\":\"u\",\"namespace\":\"n\",\"columns\":[{\"name\":\"a\",\"type\":\"int\"}],"
        "\"primary_key\":[\"a\"]},{\"name\":\"new\",\"columns\":[]}]}");

    assert_text(catalog_diff(&before, &after),
                "{\"added\":[\"new\"],\"removed\":[\"old\"],\"changed\":["
                "{\"stream\":\"n.u\",\"added\":[],\"removed\":[],\"retyped\":[],"
                "\"key_changed\":true},"
                "{\"stream\":\"t\",\"added\":[\"d\"],\"removed\":[\"a\"],\"retyped\":["
                "{\"name\":\"b\",\"before\":\"int not null\",\"after\":\"int\"},"
                "{\"name\":\"c\",\"before\":\"date\",\"after\":\"timestamp\"}],"
                "\"key_changed\":false}]}");
}

/* ----------------------------------------------------------------- column types */

static void assert_column(const char *schema, const char *type, bool nullable)
{
    struct column c = {0};
    struct error err = ERROR_INIT;
    struct doc *d = parsed(schema);
    char text[32];

    cr_assert_eq(column_from_json_schema(d, &c, &err), 0, "%s: %s", schema, err.message);
    type_format(c.type, text);
    cr_assert_str_eq(text, type, "%s is %s", schema, text);
    cr_assert_eq(c.nullable, nullable, "%s", schema);
    doc_free(d);
}

Test(catalog, brings_every_type_back_from_json_schema)
{
    struct column_type types[2 * TYPE_COUNT + 2];
    size_t n = 0;

    for (int t = 0; t < TYPE_COUNT; t++)
        types[n++] = type_plain((enum type)t);
    types[n++] = (struct column_type){TYPE_DECIMAL, 38, 9, 0};
    types[n++] = (struct column_type){TYPE_DECIMAL, 5, -2, 0};
    types[n++] = (struct column_type){TYPE_FLOAT, 0, 0, 32};
    for (size_t i = 0; i < 2 * n; i++) {
        struct column before = {"c", types[i / 2], "", i % 2};
        struct column after = {.name = "c"};
        struct error err = ERROR_INIT;
        struct doc *d = column_to_json_schema(&before);

        cr_assert_eq(column_from_json_schema(d, &after, &err), 0);
        cr_assert(type_equal(before.type, after.type), "%s", text_of(d));
        cr_assert_eq(before.nullable, after.nullable, "%s", text_of(d));
        doc_free(d);
    }
}

Test(catalog, writes_types_as_singer_does)
{
    struct column c = {"c", {TYPE_DECIMAL, 12, 2, 0}, "", true};

    assert_text(column_to_json_schema(&c), "{\"type\":[\"null\",\"string\"],\"format\":"
                                           "\"singer.decimal\",\"x-precision\":12,\"x-scale\":2}");
    c = (struct column){"c", type_plain(TYPE_TIMESTAMPTZ), "", false};
    assert_text(column_to_json_schema(&c), "{\"type\":[\"string\"],\"format\":\"date-time\"}");
    c = (struct column){"c", type_plain(TYPE_TIMESTAMP), "", false};
    assert_text(column_to_json_schema(&c),
                "{\"type\":[\"string\"],\"format\":\"date-time-local\"}");
    c = (struct column){"c", type_plain(TYPE_BYTES), "", false};
    assert_text(column_to_json_schema(&c),
                "{\"type\":[\"string\"],\"contentEncoding\":\"base64\"}");
    c = (struct column){"c", {TYPE_FLOAT, 0, 0, 32}, "", false};
    assert_text(column_to_json_schema(&c), "{\"type\":[\"number\"],\"x-float\":32}");
    c = (struct column){"c", type_plain(TYPE_JSON), "", true};
    assert_text(column_to_json_schema(&c), "{\"type\":[\"null\",\"object\",\"array\",\"string\","
                                           "\"number\",\"boolean\"]}");
}

Test(catalog, reads_the_shapes_of_other_taps)
{
    assert_column("{\"type\":\"integer\"}", "int", false);
    assert_column("{\"type\":[\"null\",\"integer\"]}", "int", true);
    assert_column("{\"type\":[\"integer\",\"null\"]}", "int", true);
    assert_column("{\"type\":\"integer\",\"minimum\":-2147483648,\"maximum\":2147483647}", "int",
                  false);
    assert_column("{\"type\":\"integer\",\"minimum\":0,\"maximum\":1.8446744073709552e19}",
                  "decimal", false);
    assert_column("{\"type\":[\"null\",\"number\"]}", "decimal", true);
    assert_column("{\"type\":\"number\",\"multipleOf\":0.01}", "decimal", false);
    assert_column("{\"type\":\"number\",\"format\":\"double\"}", "float", false);
    assert_column("{\"type\":\"number\",\"format\":\"float\"}", "float32", false);
    assert_column("{\"type\":\"string\",\"format\":\"singer.decimal\"}", "decimal", false);
    assert_column("{\"type\":\"string\",\"format\":\"x-singer.decimal\"}", "decimal", false);
    assert_column("{\"type\":[\"number\",\"string\",\"null\"],\"format\":\"singer.decimal\"}",
                  "decimal", true);
    assert_column("{\"type\":\"string\",\"format\":\"uri\"}", "string", false);
    assert_column("{\"const\":\"a\"}", "string", false);
    assert_column("{\"const\":7}", "int", false);
    assert_column("{\"const\":null}", "json", true);
    assert_column("{\"enum\":[1,2,null]}", "int", true);
    assert_column("{\"enum\":[true,false]}", "bool", false);
    assert_column("{\"enum\":[1,2.5]}", "decimal", false);
    assert_column("{\"enum\":[1,{}]}", "json", false);
    assert_column("{\"allOf\":[{\"type\":[\"null\",\"string\"]},{\"maxLength\":5}]}", "string",
                  true);
    assert_column("{\"allOf\":[{\"description\":\"x\"},{\"anyOf\":[{\"type\":\"null\"},"
                  "{\"type\":\"integer\"}]}]}",
                  "int", true);
    assert_column("{\"allOf\":[{\"type\":\"object\"},{\"type\":\"object\"}]}", "json", true);
    assert_column("{\"type\":\"string\",\"format\":\"interval\"}", "interval", false);
    assert_column("{\"type\":\"string\",\"format\":\"byte\"}", "bytes", false);
    assert_column("{\"type\":\"boolean\",\"nullable\":true}", "bool", true);
    assert_column("{\"type\":\"object\",\"properties\":{}}", "json", false);
    assert_column("{\"type\":[\"null\",\"array\"],\"items\":{\"type\":\"string\"}}", "json", true);
    assert_column(
        "{\"anyOf\":[{\"type\":\"string\",\"format\":\"date-time\"},{\"type\":\"null\"}]}",
        "timestamptz", true);
    assert_column("{\"anyOf\":[{\"type\":\"string\",\"format\":\"date-time\"},"
                  "{\"type\":[\"null\",\"string\"]}]}",
                  "string", true);
    assert_column("{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}", "decimal", false);
    assert_column("{\"oneOf\":[{\"type\":\"boolean\"},{\"type\":\"integer\"}]}", "json", false);
    assert_column("{\"allOf\":[{\"type\":[\"null\",\"integer\"]}]}", "int", true);
    assert_column("{\"type\":[\"null\",\"integer\",\"string\"]}", "string", true);
    assert_column("{\"type\":[\"string\",\"object\"]}", "json", false);
    assert_column("{\"enum\":[\"a\",\"b\"]}", "string", false);
    assert_column("{\"enum\":[1,\"b\"]}", "string", false);
    assert_column("{\"format\":\"date\"}", "date", false);
    assert_column("{}", "json", true);
    assert_column("true", "json", true);
    assert_column("{\"type\":\"null\"}", "json", true);
    assert_column("{\"$ref\":\"#/definitions/x\"}", "json", true);
    assert_column("{\"type\":\"strnig\"}", "json", false);
    assert_column("{\"anyOf\":[{\"anyOf\":[{\"type\":\"date\"},{\"type\":\"null\"}]}]}", "json",
                  true);
}

Test(catalog, says_when_bytes_are_hexadecimal)
{
    struct column c = {0};
    struct error err = ERROR_INIT;
    struct doc *d = parsed("{\"type\":\"string\",\"contentEncoding\":\"base16\"}");

    cr_assert_eq(column_from_json_schema(d, &c, &err), 0);
    cr_assert_eq(c.type.type, TYPE_BYTES);
    cr_assert_str_eq(c.source_type, "base16");
    doc_free(d);
}

Test(catalog, refuses_a_schema_that_is_none)
{
    struct column c = {0};
    struct error err = ERROR_INIT;
    struct doc *d = parsed("\"integer\"");

    cr_assert_eq(column_from_json_schema(d, &c, &err), -1);
    cr_assert_eq(err.code, ERR_INVALID);
    doc_free(d);
}

Test(catalog, survives_alternatives_nested_without_end)
{
    char json[2000] = "";
    struct column c = {0};
    struct error err = ERROR_INIT;
    struct doc *d;

    for (int i = 0; i < 15; i++)
        strncat(json, "{\"anyOf\":[", sizeof json - strlen(json) - 1);
    strncat(json, "{\"type\":\"null\"}", sizeof json - strlen(json) - 1);
    for (int i = 0; i < 15; i++)
        strncat(json, "]}", sizeof json - strlen(json) - 1);
    d = parsed(json);
    cr_assert_eq(column_from_json_schema(d, &c, &err), 0);
    cr_assert_eq(c.type.type, TYPE_JSON);
    doc_free(d);
}

/* ----------------------------------------------------------------------- Singer */

static const char everything[] =
    "{\"streams\":[{\"name\":\"t\",\"namespace\":\"n\",\"columns\":["
    "{\"name\":\"a\",\"type\":\"bool\"},{\"name\":\"b\",\"type\":\"int\",\"nullable\":false},"
    "{\"name\":\"c\",\"type\":\"decimal(12,2)\"},{\"name\":\"d\",\"type\":\"decimal\"},"
    "{\"name\":\"e\",\"type\":\"float32\"},{\"name\":\"f\",\"type\":\"float\"},"
    "{\"name\":\"g\",\"type\":\"string\",\"source_type\":\"varchar(9)\"},"
    "{\"name\":\"h\",\"type\":\"bytes\"},{\"name\":\"i\",\"type\":\"date\"},"
    "{\"name\":\"j\",\"type\":\"time\"},{\"name\":\"k\",\"type\":\"timestamp\"},"
    "{\"name\":\"l\",\"type\":\"timestamptz\"},{\"name\":\"m\",\"type\":\"interval\"},"
    "{\"name\":\"n\",\"type\":\"uuid\"},{\"name\":\"o\",\"type\":\"json\"}],"
    "\"primary_key\":[\"n\",\"b\"],\"cursor_fields\":[\"l\",\"b\"],\"resumable\":true,"
    "\"sync_modes\":[\"full_refresh\",\"incremental\"],\"row_estimate\":3},"
    "{\"name\":\"u\",\"columns\":[{\"name\":\"a\",\"type\":\"int\"}],"
    "\"sync_modes\":[\"full_refresh\"],\"doubt\":\"rows move\",\"doubt_unmerged\":\"twice\"},"
    "{\"name\":\"v\",\"columns\":[{\"name\":\"a\",\"type\":\"int\"}],"
    "\"source_defined_cursor\":true,\"sync_modes\":[\"full_refresh\",\"incremental\"]}]}";

Test(catalog, comes_back_from_singer)
{
    struct catalog before = catalog_of(everything), after = CATALOG_INIT(mem);
    struct error err = ERROR_INIT;
    struct doc *singer = catalog_to_singer(&before, NULL);
    struct doc *native = catalog_to_doc(&before);

    cr_assert_eq(catalog_from_singer(singer, &after, &err), 0, "%s", err.message);
    assert_text(catalog_to_doc(&after), text_of(native));
    doc_free(native);
    doc_free(singer);
}

Test(catalog, marks_nothing_selected_without_a_selection)
{
    struct catalog c = catalog_of(everything);
    struct doc *singer = catalog_to_singer(&c, NULL);

    cr_assert_null(strstr(text_of(singer), "\"selected\""));
    assert_text(selection_from_singer(singer, &problems), "[]");
    cr_assert_eq(problems.n, 0);
    doc_free(singer);
}

static void assert_selection_returns(const char *streams)
{
    struct catalog c = catalog_of(everything);
    struct selection before, after;
    struct doc *wanted = parsed(streams), *singer, *again;

    cr_assert(selection_resolve(wanted, &c, "/streams", mem, &before, &problems), "%s: %s", streams,
              problems.n ? problems.items[0].message : "");
    singer = catalog_to_singer(&c, &before);
    again = selection_from_singer(singer, &problems);
    cr_assert(selection_resolve(again, &c, "/streams", mem, &after, &problems), "%s: %s", streams,
              problems.n ? problems.items[0].message : "");
    cr_assert_eq(after.n, before.n);
    for (size_t i = 0; i < before.n; i++) {
        const struct selected_stream *a = &before.streams[i], *b = &after.streams[i];

        cr_assert_eq(a->stream, b->stream);
        cr_assert_eq(a->sync_mode, b->sync_mode, "%s", streams);
        cr_assert_eq(a->write_mode, b->write_mode, "%s", streams);
        cr_assert_eq(a->cursor, b->cursor, "%s", streams);
        cr_assert_str_eq(a->alias, b->alias);
        cr_assert_eq(a->drift, b->drift, "%s", streams);
        cr_assert_eq(a->allow_empty, b->allow_empty);
        cr_assert_eq(a->allow_shrink, b->allow_shrink);
        cr_assert_eq(a->one_lane, b->one_lane);
        cr_assert(schema_equal(a->schema, b->schema), "%s", streams);
    }
    doc_free(wanted);
    doc_free(singer);
    doc_free(again);
}

Test(catalog, brings_selections_back_from_singer)
{
    assert_selection_returns("[]");
    assert_selection_returns("[{\"name\":\"t\"},{\"name\":\"u\"},{\"name\":\"v\"}]");
    assert_selection_returns("[{\"name\":\"t\",\"sync_mode\":\"incremental\"}]");
    assert_selection_returns("[{\"name\":\"t\",\"sync_mode\":\"incremental\","
                             "\"destination_sync_mode\":\"append\",\"cursor_field\":\"b\"}]");
    assert_selection_returns("[{\"name\":\"t\",\"sync_mode\":\"incremental\","
                             "\"destination_sync_mode\":\"insert_only\",\"primary_key\":[\"g\"],"
                             "\"fields\":{\"exclude\":[\"a\",\"o\",\"n\"]}}]");
    assert_selection_returns("[{\"name\":\"t\",\"destination_sync_mode\":\"append\"}]");
    assert_selection_returns("[{\"name\":\"t\",\"destination_sync_mode\":\"append\","
                             "\"primary_key\":[\"g\"],\"fields\":{\"exclude\":[\"n\"]}}]");
    assert_selection_returns("[{\"name\":\"t\",\"destination_sync_mode\":\"append_dedup\"}]");
    assert_selection_returns("[{\"name\":\"t\",\"destination_sync_mode\":\"insert_only\"}]");
    assert_selection_returns(
        "[{\"name\":\"u\",\"alias\":\"w\",\"new_columns\":\"freeze\","
        "\"allow_empty\":true,\"allow_shrink\":true,\"run_in_parallel\":false}]");
    assert_selection_returns("[{\"name\":\"u\",\"new_columns\":\"ignore\"}]");
    assert_selection_returns("[{\"name\":\"u\",\"naming\":\"snake\"}]");
    assert_selection_returns("[{\"name\":\"u\",\"backfill_new_columns\":true}]");
    assert_selection_returns("[{\"name\":\"u\",\"renames\":{\"x\":\"a\",\"y\":\"z\"}}]");
    assert_selection_returns("[{\"name\":\"u\",\"on_unrepresentable\":\"quarantine_row\"}]");
    assert_selection_returns("[{\"name\":\"u\",\"on_unrepresentable\":\"fail\"}]");
    assert_selection_returns("[{\"name\":\"u\",\"nul\":\"strip\"}]");
    assert_selection_returns("[{\"name\":\"u\",\"nul\":\"replace\"}]");
    assert_selection_returns("[{\"name\":\"v\",\"sync_mode\":\"incremental\"}]");
}

Test(catalog, writes_singer_as_the_specification_has_it)
{
    struct catalog c = catalog_of(
        "{\"streams\":[{\"name\":\"users\",\"columns\":["
        "{\"name\":\"id\",\"type\":\"int\",\"nullable\":false,\"source_type\":\"bigint\"},"
        "{\"name\":\"at\",\"type\":\"timestamptz\"},{\"name\":\"x\",\"type\":\"string\"}],"
        "\"primary_key\":[\"id\"],\"cursor_fields\":[\"at\"],"
        "\"sync_modes\":[\"full_refresh\",\"incremental\"]},"
        "{\"name\":\"log\",\"columns\":[],\"sync_modes\":[\"full_refresh\"]}]}");
    struct selection selection;
    struct doc *wanted =
        parsed("[{\"name\":\"users\",\"sync_mode\":\"incremental\",\"alias\":\"u\","
               "\"fields\":{\"exclude\":[\"x\"]}}]");

    cr_assert(selection_resolve(wanted, &c, "", mem, &selection, &problems));
    doc_free(wanted);
    assert_text(
        catalog_to_singer(&c, &selection),
        "{\"streams\":[{\"tap_stream_id\":\"users\",\"stream\":\"users\",\"stream_alias\":\"u\","
        "\"schema\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":[\"integer\"]},"
        "\"at\":{\"type\":[\"null\",\"string\"],\"format\":\"date-time\"},"
        "\"x\":{\"type\":[\"null\",\"string\"]}}},"
        "\"metadata\":[{\"breadcrumb\":[],\"metadata\":{\"inclusion\":\"available\","
        "\"selected\":true,\"table-key-properties\":[\"id\"],\"valid-replication-keys\":[\"at\"]}},"
        "{\"breadcrumb\":[\"properties\",\"id\"],\"metadata\":{\"inclusion\":\"automatic\","
        "\"selected\":true,\"sql-datatype\":\"bigint\"}},"
        "{\"breadcrumb\":[\"properties\",\"at\"],\"metadata\":{\"inclusion\":\"available\","
        "\"selected\":true}},"
        "{\"breadcrumb\":[\"properties\",\"x\"],\"metadata\":{\"inclusion\":\"available\","
        "\"selected\":false}}],"
        "\"key_properties\":[\"id\"],\"replication_method\":\"INCREMENTAL\","
        "\"replication_key\":\"at\",\"bookmark_properties\":[\"at\"],"
        "\"bookmark_property_operators\":{},\"unique_conflict_method\":\"UPDATE\","
        "\"unique_constraints\":[\"id\"],\"auto_add_new_fields\":true,"
        "\"disable_column_type_check\":false,\"partition_keys\":[],\"run_in_parallel\":true},"
        "{\"tap_stream_id\":\"log\",\"stream\":\"log\",\"stream_alias\":null,"
        "\"schema\":{\"type\":\"object\",\"properties\":{}},"
        "\"metadata\":[{\"breadcrumb\":[],\"metadata\":{\"inclusion\":\"available\","
        "\"selected\":false,\"table-key-properties\":[],"
        "\"forced-replication-method\":\"FULL_TABLE\",\"valid-replication-keys\":[]}}],"
        "\"key_properties\":[],\"replication_method\":\"FULL_TABLE\",\"replication_key\":null,"
        "\"bookmark_properties\":[],\"bookmark_property_operators\":{},"
        "\"unique_conflict_method\":\"UPDATE\",\"unique_constraints\":[],"
        "\"auto_add_new_fields\":true,\"disable_column_type_check\":false,\"partition_keys\":[],"
        "\"run_in_parallel\":true}]}");
}

static void assert_from_singer(const char *stream, const char *expected)
{
    struct doc *d = parsed(arena_printf(mem, "{\"streams\":[%s]}", stream));

    assert_text(selection_from_singer(d, &problems), expected);
    cr_assert_eq(problems.n, 0, "%s", problems.items[0].message);
    doc_free(d);
}

Test(catalog, pairs_the_modes_of_singer_with_ours)
{
    const char *key = "\"tap_stream_id\":\"t\",\"stream\":\"t\",\"selected\":true,"
                      "\"key_properties\":[\"id\"]";

    assert_from_singer(arena_printf(mem, "{%s,\"replication_method\":\"FULL_TABLE\"}", key),
                       "[{\"name\":\"t\",\"sync_mode\":\"full_refresh\","
                       "\"destination_sync_mode\":\"overwrite\",\"primary_key\":[\"id\"],"
                       "\"fields\":{\"exclude\":[]}}]");
    assert_from_singer(arena_printf(mem,
                                    "{%s,\"replication_method\":\"INCREMENTAL\","
                                    "\"unique_conflict_method\":\"UPDATE\","
                                    "\"replication_key\":\"at\"}",
                                    key),
                       "[{\"name\":\"t\",\"sync_mode\":\"incremental\","
                       "\"destination_sync_mode\":\"append_dedup\",\"primary_key\":[\"id\"],"
                       "\"cursor_field\":\"at\",\"fields\":{\"exclude\":[]}}]");
    assert_from_singer(arena_printf(mem,
                                    "{%s,\"replication_method\":\"INCREMENTAL\","
                                    "\"unique_conflict_method\":\"IGNORE\","
                                    "\"bookmark_properties\":[\"at\"]}",
                                    key),
                       "[{\"name\":\"t\",\"sync_mode\":\"incremental\","
                       "\"destination_sync_mode\":\"insert_only\",\"primary_key\":[\"id\"],"
                       "\"cursor_field\":\"at\",\"fields\":{\"exclude\":[]}}]");
    assert_from_singer("{\"tap_stream_id\":\"t\",\"selected\":true,\"auto_add_new_fields\":false,"
                       "\"replication_method\":\"INCREMENTAL\",\"replication_key\":\"at\","
                       "\"bookmark_property_operators\":{\"at\":\">=\"},\"run_in_parallel\":true}",
                       "[{\"name\":\"t\",\"sync_mode\":\"incremental\","
                       "\"destination_sync_mode\":\"append\",\"cursor_field\":\"at\","
                       "\"fields\":{\"exclude\":[]},\"new_columns\":\"ignore\"}]");
    assert_from_singer(arena_printf(mem, "{%s,\"run_in_parallel\":false}", key),
                       "[{\"name\":\"t\",\"sync_mode\":\"full_refresh\","
                       "\"destination_sync_mode\":\"overwrite\",\"primary_key\":[\"id\"],"
                       "\"fields\":{\"exclude\":[]},\"run_in_parallel\":false}]");
}

Test(catalog, takes_selected_columns_as_singer_marks_them)
{
    assert_from_singer(
        "{\"stream\":\"t\",\"schema\":{\"properties\":{\"a\":{},\"b\":{},\"c\":{},\"d\":{},"
        "\"e\":{},\"f\":{}}},\"metadata\":["
        "{\"breadcrumb\":[],\"metadata\":{\"selected\":true,\"schema-name\":\"s\"}},"
        "{\"breadcrumb\":[\"properties\",\"a\"],\"metadata\":{\"inclusion\":\"automatic\","
        "\"selected\":false}},"
        "{\"breadcrumb\":[\"properties\",\"b\"],\"metadata\":{\"selected\":false}},"
        "{\"breadcrumb\":[\"properties\",\"c\"],\"metadata\":{\"selected-by-default\":false}},"
        "{\"breadcrumb\":[\"properties\",\"d\"],\"metadata\":{\"selected\":true,"
        "\"selected-by-default\":false}},"
        "{\"breadcrumb\":[\"properties\",\"e\"],\"metadata\":{\"inclusion\":\"unsupported\"}}]}",
        "[{\"name\":\"t\",\"namespace\":\"s\",\"sync_mode\":\"full_refresh\","
        "\"destination_sync_mode\":\"overwrite\",\"fields\":{\"exclude\":[\"b\",\"c\"]}}]");
}

static void assert_singer_problem(const char *json, const char *pointer, const char *code)
{
    struct doc *d = parsed(json);

    problems = PROBLEMS_INIT(mem);
    doc_free(selection_from_singer(d, &problems));
    cr_assert_eq(problems.n, 1, "%s", json);
    cr_assert_str_eq(problems.items[0].pointer, pointer);
    cr_assert_str_eq(problems.items[0].code, code);
    doc_free(d);
}

Test(catalog, reports_what_it_cannot_do_of_singer)
{
    assert_singer_problem("{}", "/streams", "required");
    assert_singer_problem("{\"streams\":1}", "/streams", "wrong_type");
    assert_singer_problem("{\"streams\":[{\"selected\":true}]}", "/streams/0/stream", "required");
    assert_singer_problem("{\"streams\":[{\"stream\":\"t\",\"selected\":true,"
                          "\"replication_method\":\"LOG_BASED\"}]}",
                          "/streams/0/replication_method", "mode_not_supported");
    assert_singer_problem("{\"streams\":[{\"stream\":\"t\",\"selected\":true,"
                          "\"replication_method\":\"incremental\"}]}",
                          "/streams/0/replication_method", "not_a_choice");
    assert_singer_problem("{\"streams\":[{\"stream\":\"t\",\"selected\":true,"
                          "\"unique_conflict_method\":\"MERGE\"}]}",
                          "/streams/0/unique_conflict_method", "not_a_choice");
    assert_singer_problem("{\"streams\":[{\"stream\":\"t\",\"selected\":true,"
                          "\"bookmark_properties\":[\"a\",\"b\"]}]}",
                          "/streams/0/bookmark_properties", "mode_not_supported");
    assert_singer_problem("{\"streams\":[{\"stream\":\"t\",\"selected\":true,"
                          "\"bookmark_properties\":[\"a\"],\"replication_key\":\"b\"}]}",
                          "/streams/0/bookmark_properties/0", "conflict");
    assert_singer_problem("{\"streams\":[{\"stream\":\"t\",\"selected\":true,"
                          "\"bookmark_property_operators\":{\"a\":\"=\"}}]}",
                          "/streams/0/bookmark_property_operators", "not_a_choice");
}

static void assert_singer_invalid(const char *json, const char *message)
{
    struct catalog c = CATALOG_INIT(mem);
    struct error err = ERROR_INIT;
    struct doc *d = parsed(json);

    cr_assert_eq(catalog_from_singer(d, &c, &err), -1);
    cr_assert_str_eq(err.message, message);
    doc_free(d);
}

Test(catalog, refuses_broken_singer_catalogs)
{
    assert_singer_invalid("[]", "a catalog is an object with an array \"streams\"");
    assert_singer_invalid("{\"streams\":[{}]}",
                          "/streams/0: it has neither \"stream\" nor \"tap_stream_id\"");
    assert_singer_invalid("{\"streams\":[{\"stream\":\"t\"}]}",
                          "/streams/0: stream \"t\": \"schema\" has no \"properties\"");
    assert_singer_invalid(
        "{\"streams\":[{\"stream\":\"t\",\"schema\":{\"properties\":{\"a\":1}}}]}",
        "/streams/0: stream \"t\": column \"a\": a JSON Schema is an object, found integer");
    assert_singer_invalid(
        "{\"streams\":[{\"stream\":\"t\",\"schema\":{\"properties\":{}},\"key_properties\":[\"k\"]}"
        "]}",
        "/streams/0: stream \"t\": \"table-key-properties\" names the unknown column \"k\"");
    assert_singer_invalid("{\"streams\":[{\"stream\":\"t\",\"schema\":{\"properties\":{}}},"
                          "{\"stream\":\"t\",\"schema\":{\"properties\":{}}}]}",
                          "stream \"t\" occurs twice");
}

/* ----------------------------------------------------------------------- counts */

Test(catalog, counts_add_up)
{
    struct counts a = {.read = 10,
                       .filtered = 1,
                       .overlap_dropped = 1,
                       .folded = 1,
                       .quarantined_rows = 1,
                       .quarantined_cells = 9,
                       .altered_cells = 7,
                       .inserted = 3,
                       .updated = 1,
                       .unchanged = 1,
                       .deleted = 1,
                       .bytes_read = 100};
    struct counts sum = {0};

    cr_assert(counts_balance(&sum));
    counts_add(&sum, &a);
    counts_add(&sum, &a);
    cr_assert(counts_balance(&sum));
    cr_assert_eq(sum.read, 20);
    cr_assert_eq(sum.bytes_read, 200);
    cr_assert_eq(sum.filtered, 2);
    cr_assert_eq(sum.overlap_dropped, 2);
    cr_assert_eq(sum.folded, 2);
    cr_assert_eq(sum.quarantined_rows, 2);
    cr_assert_eq(sum.quarantined_cells, 18);
    cr_assert_eq(sum.altered_cells, 14);
    cr_assert_eq(sum.inserted, 6);
    cr_assert_eq(sum.updated, 2);
    cr_assert_eq(sum.unchanged, 2);
    cr_assert_eq(sum.deleted, 2);
    sum.updated++;
    cr_assert_not(counts_balance(&sum));
}
