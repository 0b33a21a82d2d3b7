#include "connectors/base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "connectors/base/metric.h"
#include "connectors/base/text.h"

static const struct {
    const char *wire;
    bool retry;
} codes[ERR_CODE_COUNT] = {[ERR_NONE] = {"none", false},
#define X(name, wire, retry) [ERR_##name] = {wire, retry},
                           ERROR_CODES(X)
#undef X
};

/* A message is one line of UTF-8 whatever a remote, or a damaged file, put into it. */
static void flatten(char *message)
{
    char *end = message + strlen(message);

    for (char *p = message; p < end;) {
        size_t n = text_utf8_char(p, (size_t)(end - p));

        if (n == 0)
            *p = '?';
        else if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
        p += n ? n : 1;
    }
}

/* The folder of a file of ours: "connectors/rest" is "rest". */
static void count_limit(const struct error *err)
{
    const char *end = strrchr(err->file, '/'), *begin = end;
    char site[32];

    while (begin && begin > err->file && begin[-1] != '/')
        begin--;
    snprintf(site, sizeof site, "%.*s", begin ? (int)(end - begin) : 0, begin ? begin : "");
    metric_add_for(METRIC_LIMITS_HIT, METRIC_LABELS(site, error_reason(err)), 1);
}

void error_set_at(struct error *err, enum error_code code, const char *reason, const char *file,
                  int line, const char *fmt, ...)
{
    va_list ap;

    assert(err->code == ERR_NONE && "the first cause of a failure wins");
    assert(code > ERR_NONE && code < ERR_CODE_COUNT);
    err->code = code;
    err->reason = reason;
    err->file = file;
    err->line = line;
    va_start(ap, fmt);
    vsnprintf(err->message, sizeof err->message, fmt, ap);
    va_end(ap);
    flatten(err->message);
    if (code == ERR_TOO_LARGE)
        count_limit(err);
}

void error_put_context(struct error *err, const char *fmt, ...)
{
    char context[ERROR_MESSAGE_BYTES];
    char whole[2 * ERROR_MESSAGE_BYTES + 2];
    va_list ap;

    assert(err->code != ERR_NONE && "only a failure can be wrapped");
    va_start(ap, fmt);
    vsnprintf(context, sizeof context, fmt, ap);
    va_end(ap);
    snprintf(whole, sizeof whole, "%s: %s", context, err->message);
    memcpy(err->message, whole, sizeof err->message - 1);
    err->message[sizeof err->message - 1] = '\0';
    flatten(err->message);
}

static enum error_code class_of(int errno_value, const char **out_reason)
{
    *out_reason = NULL;
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        *out_reason = "disk_full";
        return ERR_RESOURCE;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return ERR_RESOURCE;
    case EACCES:
    case EPERM:
        return ERR_PERMISSION;
    case EROFS:
        *out_reason = "read_only";
        return ERR_PERMISSION;
    case ENOENT:
    case ENOTDIR:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_CONFLICT;
    case ELOOP:
    case EISDIR:
    case ENAMETOOLONG:
    case EINVAL:
        return ERR_CONFIG;
    default:
        return ERR_TRANSIENT;
    }
}

void error_set_errno_at(struct error *err, int errno_value, const char *file, int line,
                        const char *fmt, ...)
{
    char what[ERROR_MESSAGE_BYTES / 2];
    char cause[128];
    const char *reason;
    enum error_code code = class_of(errno_value, &reason);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    error_set_at(err, code, reason, file, line, "%s: %s", what,
                 strerror_r(errno_value, cause, sizeof cause));
}

const char *error_code_name(enum error_code code)
{
    assert(code < ERR_CODE_COUNT);
    return codes[code].wire;
}

const char *error_reason(const struct error *err)
{
    return err->reason ? err->reason : error_code_name(err->code);
}

enum error_code error_code_from_name(const char *name)
{
    for (enum error_code code = ERR_NONE; code < ERR_CODE_COUNT; code++) {
        if (!strcmp(codes[code].wire, name))
            return code;
    }
    return ERR_INTERNAL;
}

bool error_is_retryable(const struct error *err)
{
    return codes[err->code].retry;
}
