#include "connectors/singer/position.h"

#include <string.h>

#include "connectors/base/jsonread.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"

void singer_position_put(int64_t epoch, const char *version, const char *value, struct buf *out)
{
    struct jsonw w = JSONW_INIT(out);

    buf_clear(out);
    jsonw_object(&w);
    jsonw_put_string(&w, "kind", "singer");
    jsonw_put_int(&w, "epoch", epoch);
    jsonw_put_string(&w, "version", version);
    jsonw_put_raw(&w, "value", value ? value : "null");
    jsonw_object_end(&w);
}

/* One position as it was stored, or as a user gave it: then it may be the value of a STATE alone.
 */

static bool is(struct slice s, const char *word)
{
    return s.len == strlen(word) && !memcmp(s.ptr, word, s.len);
}

static int read_member(struct jsonread *j, struct arena *mem, struct singer_position *out,
                       bool *is_ours, struct error *err)
{
    bool is_kind = is(j->text, "kind"), is_epoch = is(j->text, "epoch");
    bool is_value = is(j->text, "value"), is_version = is(j->text, "version");
    enum jsonread_token token;
    struct slice raw;

    if (jsonread_next(j, &token, err) < 0)
        return -1;
    if (is_kind && token == JSONREAD_STRING && is(j->text, "singer"))
        *is_ours = true;
    if (is_version && token == JSONREAD_STRING)
        out->version = arena_memdup(mem, j->text.ptr, j->text.len);
    if (jsonread_skip(j, token, &raw, err) < 0)
        return -1;
    if (is_epoch)
        (void)text_to_int64(raw.ptr, raw.len, &out->epoch);
    if (is_value && token != JSONREAD_NULL)
        out->value = arena_memdup(mem, raw.ptr, raw.len);
    return 0;
}

static int read_members(struct jsonread *j, const char *text, struct arena *mem,
                        struct singer_position *out, struct error *err)
{
    enum jsonread_token token;
    bool is_ours = false;

    *out = (struct singer_position){.epoch = 0};
    jsonread_start(j, text, strlen(text));
    if (jsonread_next(j, &token, err) < 0)
        return -1;
    if (token != JSONREAD_OBJECT)
        return error_set_reason(err, ERR_CONFIG, "bad_position", "it is no object");
    for (;;) {
        if (jsonread_next(j, &token, err) < 0)
            return -1;
        if (token != JSONREAD_KEY)
            break;
        if (read_member(j, mem, out, &is_ours, err) < 0)
            return -1;
    }
    if (!is_ours)
        return error_set_reason(err, ERR_CONFIG, "bad_position",
                                "it is no position of a Singer tap: {\"kind\":\"singer\",..}");
    return 0;
}

int singer_position_read(const char *text, struct arena *mem, struct singer_position *out,
                         struct error *err)
{
    struct jsonread j;
    int status;

    jsonread_init(&j);
    status = read_members(&j, text, mem, out, err);
    jsonread_release(&j);
    return status;
}
