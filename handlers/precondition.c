#include "handlers/precondition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/config.h"
#include "server/store/store.h"

/* One element of a list of tags: *out without blanks around it; false at the end. */
static bool next_tag(const char **at, struct slice *out)
{
    const char *s = *at, *end;
    bool quoted = false;

    s += strspn(s, " \t,");
    if (!*s)
        return false;
    for (end = s; *end && (quoted || *end != ','); end++)
        quoted ^= *end == '"';
    *at = end;
    while (end > s && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *out = (struct slice){s, (size_t)(end - s)};
    return true;
}

/* Weak tags compare equal only where that is allowed: for reading, never for writing. */
static bool list_has(const char *list, const char *etag, bool weak_too)
{
    struct slice tag;

    while (next_tag(&list, &tag)) {
        if (tag.len == 1 && *tag.ptr == '*')
            return true;
        if (weak_too && tag.len > 2 && !memcmp(tag.ptr, "W/", 2))
            tag = (struct slice){tag.ptr + 2, tag.len - 2};
        if (tag.len == strlen(etag) && !memcmp(tag.ptr, etag, tag.len))
            return true;
    }
    return false;
}

static int mismatch(int64_t current, struct error *err)
{
    if (current == PRECONDITION_ABSENT)
        return error_set_reason(err, ERR_CONFLICT, "revision_mismatch", "it does not exist");
    return error_set_reason(err, ERR_CONFLICT, "revision_mismatch",
                            "the current revision is %" PRId64, current);
}

int precondition_read(const struct app *app, const struct request *req, int64_t current,
                      int64_t *out_expected, struct error *err)
{
    const char *match = request_header(req, "If-Match");
    const char *none = request_header(req, "If-None-Match");
    char etag[32];

    snprintf(etag, sizeof etag, "\"%" PRId64 "\"", current);
    if (none) {
        if (current != PRECONDITION_ABSENT && list_has(none, etag, true))
            return mismatch(current, err);
        *out_expected = current == PRECONDITION_ABSENT ? REVISION_NONE : REVISION_ANY;
    } else {
        *out_expected = REVISION_ANY;
    }
    if (!match) {
        if (current != PRECONDITION_ABSENT && app->settings->require_if_match)
            return error_set_reason(err, ERR_CONFLICT, "revision_required",
                                    "send If-Match: %s to change it", etag);
        return 0;
    }
    if (current == PRECONDITION_ABSENT || !list_has(match, etag, false))
        return mismatch(current, err);
    if (!strchr(match, '*'))
        *out_expected = current;
    return 0;
}

static bool lost_race(const struct request *req, const struct error *err)
{
    const char *reason = error_reason(err);

    return !request_header(req, "If-Match") && !request_header(req, "If-None-Match") &&
           (!strcmp(reason, "revision_mismatch") || !strcmp(reason, "name_taken"));
}

#define RACE_TRIES 5

int precondition_retry(handler_fn *once, struct app *app, struct request *req, struct response *res,
                       struct error *err)
{
    for (int i = 1; i < RACE_TRIES; i++) {
        struct error why = ERROR_INIT;

        if (once(app, req, res, &why) == 0)
            return 0;
        if (!lost_race(req, &why)) {
            *err = why;
            return -1;
        }
    }
    return once(app, req, res, err);
}
