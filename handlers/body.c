#include "handlers/body.h"

#include <string.h>

struct problems *body_problems(struct request *req, struct response *res)
{
    if (!res->problems.mem)
        res->problems = PROBLEMS_INIT(request_mem(req));
    return &res->problems;
}

/*
 * The codes that may stand for a whole document, when every problem in it is of that kind; any
 * mixture is "validation_failed".
 */
static const char *const own_codes[] = {"unknown_field",        "unknown_connector",
                                        "unknown_stream",       "mode_not_supported",
                                        "unresolved_reference", "secret_required"};

static const char *common_code(const struct problems *p)
{
    for (size_t i = 1; i < p->n; i++) {
        if (strcmp(p->items[i].code, p->items[0].code) != 0)
            return "validation_failed";
    }
    for (size_t i = 0; i < sizeof own_codes / sizeof *own_codes; i++) {
        if (!strcmp(own_codes[i], p->items[0].code))
            return own_codes[i];
    }
    return "validation_failed";
}

int body_accept(struct response *res, struct error *err)
{
    const struct problems *p = &res->problems;
    size_t n = p->n + p->dropped;

    if (!n)
        return 0;
    if (n == 1)
        return error_set_reason(err, ERR_INVALID, common_code(p), "%s%s%s", p->items[0].pointer,
                                *p->items[0].pointer ? ": " : "", p->items[0].message);
    return error_set_reason(err, ERR_INVALID, common_code(p), "%zu problems; the first: %s%s%s", n,
                            p->items[0].pointer, *p->items[0].pointer ? ": " : "",
                            p->items[0].message);
}

int body_read(struct request *req, struct response *res, bool optional, const struct option *table,
              void *config, const struct doc **out_doc, struct error *err)
{
    if (request_doc(req, optional, out_doc, err) < 0)
        return -1;
    if (options_decode(table, *out_doc, "", config, request_mem(req), body_problems(req, res)))
        return 0;
    return body_accept(res, err);
}

int body_read_nothing(struct request *req, struct error *err)
{
    const struct doc *d;

    if (request_doc(req, true, &d, err) < 0)
        return -1;
    if (!doc_is(d, DOC_OBJECT))
        return error_set_reason(err, ERR_INVALID, "validation_failed",
                                "expected an object or no body, found %s",
                                doc_kind_name(doc_kind(d)));
    return 0;
}

void body_check_labels(const struct doc *value, const char *pointer, struct problems *problems)
{
    CLEANUP(buf_release) struct buf at = BUF_INIT(BODY_MAX_TEXT);

    if (!doc_is(value, DOC_OBJECT)) {
        problems_add(problems, pointer, "wrong_type", "expected an object of strings, found %s",
                     doc_kind_name(doc_kind(value)));
        return;
    }
    for (const struct doc_member *it = doc_first(value); it; it = doc_next(value, it)) {
        const struct doc *v = doc_member_value(it);

        if (doc_is(v, DOC_STRING))
            continue;
        buf_clear(&at);
        buf_puts(&at, pointer);
        doc_pointer_put(&at, doc_member_key(it));
        problems_add(problems, buf_str(&at), "wrong_type", "expected a string, found %s",
                     doc_kind_name(doc_kind(v)));
    }
}

const char *body_text(struct arena *mem, const struct doc *d)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(BODY_MAX_TEXT);

    if (!d)
        return "{}";
    doc_write(d, &text);
    return arena_memdup(mem, buf_str(&text), text.len);
}
