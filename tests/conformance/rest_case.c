#include "tests/conformance/rest_case.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/base/buf.h"
#include "connectors/base/clock.h"
#include "connectors/base/text.h"
#include "tests/support/fake_api.h"

#define ITEMS     5000 /* three batches */
#define PAGE_SIZE 400
#define EPOCH_US  1700000000000000 /* of the first item; forty share each second */

static struct fake_api *api; /* one for the life of a test, which is a process */

static const char *time_of(int item, char out[static CLOCK_TEXT_BYTES])
{
    clock_format_ms(EPOCH_US + item / 40 * INT64_C(1000000), out);
    return out;
}

static int64_t page_of(const struct fake_request *r)
{
    const char *text = fake_param(r, "page");
    int64_t page;

    return text && text_to_int64(text, strlen(text), &page) && page > 0 ? page : 1;
}

/* The page of those items whose time is not before "since"; texts of one format compare as times.
 */
static void answer(void *arg, const struct fake_request *r, struct arena *mem,
                   struct fake_answer *out)
{
    CLEANUP(buf_release) struct buf body = BUF_INIT(1 << 20);
    const char *since = fake_param(r, "since");
    int64_t from = (page_of(r) - 1) * PAGE_SIZE, place = 0;
    char at[CLOCK_TEXT_BYTES];

    (void)arg;
    buf_puts(&body, "{\"data\":[");
    for (int i = 0; i < ITEMS; i++) {
        if (since && strcmp(time_of(i, at), since) < 0)
            continue;
        if (place++ < from || place > from + PAGE_SIZE)
            continue;
        buf_printf(&body, "%s{\"id\":%d,\"at\":\"%s\",\"name\":\"item %d\",\"price\":%d.50}",
                   place > from + 1 ? "," : "", i, time_of(i, at), i, i % 90);
    }
    buf_printf(&body, "],\"total\":%lld}", (long long)place);
    out->body = arena_memdup(mem, buf_str(&body), body.len);
    out->n_body = body.len;
}

void rest_prepare(const char *dir)
{
    (void)dir;
    if (!api)
        api = fake_api_start(answer, NULL);
    if (!api)
        abort();
}

static const char *describe(struct arena *mem, const char *url)
{
    return arena_printf(
        mem,
        "{\"document\":{\"client\":{\"base_url\":\"%s\",\"retry\":{\"tries\":1}},"
        "\"check\":{\"path\":\"/health\"},"
        "\"defaults\":{\"path\":\"/items\",\"records\":{\"path\":\"data\"},"
        "\"paginate\":{\"type\":\"page\",\"total_path\":\"total\",\"size\":%d}},"
        "\"streams\":[{\"name\":\"items\",\"key\":[\"id\"],\"incremental\":{\"field\":\"at\","
        "\"start\":\"2020-01-01T00:00:00Z\",\"send\":{\"param\":\"since\",\"value\":"
        "\"{{ state.start | iso }}\"}}},{\"name\":\"plain\"}]}}",
        url, PAGE_SIZE);
}

const char *rest_config(struct arena *mem, const char *dir)
{
    (void)dir;
    return describe(mem, fake_api_url(api));
}

const char *rest_broken(struct arena *mem, const char *dir)
{
    (void)dir;
    return describe(mem, "http://127.0.0.1:1");
}
