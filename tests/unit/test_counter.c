/* The example of connectors/README.md does what the page says. */
#include <criterion/criterion.h>

#include "tests/support/fake_sink.h"
#include "tests/support/harness.h"

extern const struct source_connector source_counter;

static struct harness h;

static void teardown(void)
{
    harness_close(&h);
}

TestSuite(counter, .fini = teardown);

static struct fake_sink *read_from(const char *position)
{
    struct fake_sink *f = fake_sink_new(1);
    struct error err = ERROR_INIT;

    cr_assert_eq(harness_read(&h, &position, &f->sink, &err), 0, "%s", err.message);
    cr_assert_str_eq(f->violation, "");
    return f;
}

static void open_counter(const char *config, const char *streams)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(harness_open(&h, &source_counter, config, &err), 0, "%s", err.message);
    cr_assert_eq(harness_select(&h, streams, &err), 0, "%s", err.message);
}

Test(counter, counts)
{
    struct fake_sink *f;

    open_counter("{\"rows\":3,\"label\":\"x\"}", NULL);
    f = read_from(NULL);
    cr_assert_eq(f->streams[0].n_lines, 3);
    cr_assert_str_eq(f->streams[0].lines[2], "{\"n\":\"2\",\"label\":\"x\"}");
    cr_assert_null(f->streams[0].end_position);
    fake_sink_free(f);
}

Test(counter, continues_where_it_ended)
{
    struct fake_sink *f;

    open_counter("{\"rows\":5}", "[{\"name\":\"numbers\",\"sync_mode\":\"incremental\"}]");
    f = read_from("{\"next\":3}");
    cr_assert_eq(f->streams[0].n_lines, 2);
    cr_assert_str_eq(f->streams[0].lines[0], "{\"n\":\"3\",\"label\":\"row\"}");
    cr_assert_str_eq(f->streams[0].end_position, "{\"next\":5}");
    fake_sink_free(f);
}
