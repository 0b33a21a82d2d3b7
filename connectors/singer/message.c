#include "connectors/singer/message.h"

#include <string.h>

#include "connectors/base/text.h"

#define SHOWN_BYTES 80 /* of a line that is no message */

void singer_parser_init(struct singer_parser *p)
{
    *p = (struct singer_parser){.name = BUF_INIT(JSONREAD_MAX_STRING)};
    jsonread_init(&p->json);
}

void singer_parser_release(struct singer_parser *p)
{
    jsonread_release(&p->json);
    buf_release(&p->name);
}

static bool is(struct slice s, const char *word)
{
    return s.len == strlen(word) && !memcmp(s.ptr, word, s.len);
}

/* ------------------------------------------------------------------- any message */

/* Which members have been seen, and what the type was. */
struct reading {
    struct singer_parser *p;
    struct singer_message *out;
    bool has_type, has_stream, has_value;
    unsigned seen; /* members that count, a bit each */
};

static int expect(enum jsonread_token token, enum jsonread_token wanted, const char *member,
                  struct error *err)
{
    if (token == wanted)
        return 0;
    return error_set(err, ERR_DATA, "\"%s\" is no %s", member,
                     wanted == JSONREAD_STRING ? "string" : "object");
}

static int take_type(struct reading *r, enum jsonread_token token, struct error *err)
{
    static const struct {
        const char *name;
        enum singer_kind kind;
    } kinds[] = {{"RECORD", SINGER_RECORD},
                 {"SCHEMA", SINGER_SCHEMA},
                 {"STATE", SINGER_STATE},
                 {"ACTIVATE_VERSION", SINGER_ACTIVATE_VERSION}};

    if (expect(token, JSONREAD_STRING, "type", err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (is(r->p->json.text, kinds[i].name)) {
            r->out->kind = kinds[i].kind;
            r->has_type = true;
            return 0;
        }
    }
    return error_set(err, ERR_DATA, "there is no message of type \"%.*s\"",
                     (int)(r->p->json.text.len < 40 ? r->p->json.text.len : 40),
                     r->p->json.text.ptr);
}

static int take_stream(struct reading *r, enum jsonread_token token, struct error *err)
{
    const struct jsonread *j = &r->p->json;

    if (expect(token, JSONREAD_STRING, "stream", err) < 0)
        return -1;
    if (memchr(j->text.ptr, '\0', j->text.len))
        return error_set(err, ERR_DATA, "the name of the stream has a NUL character");
    r->has_stream = true;
    if (j->text.ptr >= j->start && j->text.ptr < j->end) {
        r->out->stream = j->text;
        return 0;
    }
    buf_clear(&r->p->name);
    buf_put(&r->p->name, j->text.ptr, j->text.len);
    r->out->stream = (struct slice){buf_str(&r->p->name), r->p->name.len};
    return 0;
}

/* One member; its key is the scanner's text. */
static int take_member(struct reading *r, struct error *err)
{
    struct jsonread *j = &r->p->json;
    enum { OTHER, TYPE, STREAM, RECORD, VALUE, VERSION } member = OTHER;
    enum jsonread_token token;
    struct slice raw;

    if (is(j->text, "type"))
        member = TYPE;
    else if (is(j->text, "stream"))
        member = STREAM;
    else if (is(j->text, "record"))
        member = RECORD;
    else if (is(j->text, "value"))
        member = VALUE;
    else if (is(j->text, "version"))
        member = VERSION;
    if (member && r->seen & 1u << member)
        return error_set(err, ERR_DATA, "it has two members \"%.*s\"", (int)j->text.len,
                         j->text.ptr);
    r->seen |= 1u << member;
    if (jsonread_next(j, &token, err) < 0)
        return -1;
    if (member == TYPE)
        return take_type(r, token, err);
    if (member == STREAM)
        return take_stream(r, token, err);
    if (jsonread_skip(j, token, &raw, err) < 0)
        return -1;
    if (member == RECORD) {
        r->out->record = raw;
        return expect(token, JSONREAD_OBJECT, "record", err);
    }
    if (member == VALUE) {
        r->out->value = raw;
        r->has_value = true;
    } else if (member == VERSION && token == JSONREAD_NUMBER) {
        r->out->version = raw;
    }
    return 0;
}

static int check_whole(const struct reading *r, struct error *err)
{
    if (!r->has_type)
        return error_set(err, ERR_DATA, "it has no \"type\"");
    if (r->out->kind == SINGER_STATE)
        return r->has_value ? 0 : error_set(err, ERR_DATA, "a STATE has no \"value\"");
    if (!r->has_stream || r->out->stream.len == 0)
        return error_set(err, ERR_DATA, "it names no \"stream\"");
    if (r->out->kind == SINGER_RECORD && !r->out->record.ptr)
        return error_set(err, ERR_DATA, "a RECORD has no \"record\"");
    if (r->out->kind == SINGER_ACTIVATE_VERSION && !r->out->version.ptr)
        return error_set(err, ERR_DATA, "an ACTIVATE_VERSION has no \"version\"");
    return 0;
}

static int read_members(struct reading *r, struct slice line, struct error *err)
{
    struct jsonread *j = &r->p->json;
    enum jsonread_token token;

    jsonread_start(j, line.ptr, line.len);
    if (jsonread_next(j, &token, err) < 0)
        return -1;
    if (token != JSONREAD_OBJECT)
        return error_set(err, ERR_DATA, "it is no JSON object");
    for (;;) {
        if (jsonread_next(j, &token, err) < 0)
            return -1;
        if (token != JSONREAD_KEY)
            break;
        if (take_member(r, err) < 0)
            return -1;
    }
    if (jsonread_next(j, &token, err) < 0)
        return -1;
    return check_whole(r, err);
}

/*
 * Most lines are records that begin like the one before and end with the record: what stands
 * between is looked at once, when its values reach their columns. Whatever is unusual fails here
 * and is read member by member.
 */
static bool read_usual_record(struct slice line, struct singer_message *out)
{
    static const char *const heads[][2] = {
        {"{\"type\": \"RECORD\", \"stream\": \"", "\", \"record\": {"},
        {"{\"type\":\"RECORD\",\"stream\":\"", "\",\"record\":{"},
    };
    const char *end = line.ptr + line.len;

    while (end > line.ptr && (end[-1] == ' ' || end[-1] == '\r'))
        end--;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        size_t n = strlen(heads[i][0]), k = strlen(heads[i][1]);
        const char *name = line.ptr + n, *quote;

        if ((size_t)(end - line.ptr) < n + k + 2 || memcmp(line.ptr, heads[i][0], n) != 0)
            continue;
        quote = memchr(name, '"', (size_t)(end - name));
        if (!quote || quote == name || (size_t)(end - quote) < k + 2 ||
            memcmp(quote, heads[i][1], k) != 0 || end[-1] != '}' || end[-2] != '}' ||
            memchr(name, '\\', (size_t)(quote - name)))
            return false;
        *out = (struct singer_message){
            .kind = SINGER_RECORD,
            .stream = {name, (size_t)(quote - name)},
            .record = {quote + k - 1, (size_t)(end - 1 - (quote + k - 1))},
            .line = line,
            .guessed = true,
        };
        return true;
    }
    return false;
}

/* Where a line is no message: what it looks like, so that a stray print is found. */
static int refuse(struct slice line, struct error *err)
{
    CLEANUP(buf_release) struct buf shown = BUF_INIT(4 * SHOWN_BYTES + 8);
    struct error why = *err;

    text_put_utf8(&shown, line.ptr, line.len < SHOWN_BYTES ? line.len : SHOWN_BYTES);
    for (size_t i = 0; i < shown.len; i++) {
        if ((unsigned char)shown.data[i] < ' ')
            shown.data[i] = '?';
    }
    *err = (struct error){0};
    return error_set_reason(err, ERR_DATA, "bad_message",
                            "a line is no Singer message: %s; it begins: %s", why.message,
                            buf_str(&shown));
}

int singer_parse_again(struct singer_parser *p, struct slice line, struct singer_message *out,
                       struct error *err)
{
    struct reading r = {.p = p, .out = out};

    *out = (struct singer_message){.kind = SINGER_RECORD, .line = line};
    if (read_members(&r, line, err) < 0)
        return refuse(line, err);
    return 0;
}

int singer_parse(struct singer_parser *p, struct slice line, struct singer_message *out,
                 struct error *err)
{
    return read_usual_record(line, out) ? 0 : singer_parse_again(p, line, out, err);
}
