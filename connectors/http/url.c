#include "connectors/http/url.h"

#include <curl/curl.h>
#include <string.h>

#include "connectors/base/buf.h"
#include "connectors/base/text.h"

static void url_cleanup(CURLU **u)
{
    curl_url_cleanup(*u);
}

static void curl_text_cleanup(char **s)
{
    curl_free(*s);
}

static int refused(const char *url, const char *why, struct error *err)
{
    /* The query may hold a key that somebody put there. */
    return error_set_reason(err, ERR_CONFIG, "url_refused", "the address \"%.*s\" is refused: %s",
                            (int)strcspn(url, "?"), url, why);
}

static bool has_control(const char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s <= ' ' || *s == 0x7f)
            return true;
    }
    return false;
}

static int check_parts(CURLU *u, const char *url, struct error *err)
{
    CLEANUP(curl_text_cleanup) char *scheme = NULL;
    CLEANUP(curl_text_cleanup) char *user = NULL;
    CLEANUP(curl_text_cleanup) char *password = NULL;

    if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
        return refused(url, "only http and https are spoken", err);
    if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK ||
        curl_url_get(u, CURLUPART_PASSWORD, &password, 0) == CURLUE_OK)
        return refused("", "it holds a user name or password", err);
    return 0;
}

int url_resolve(struct arena *mem, const char *base, const char *text, const char **out,
                struct error *err)
{
    CLEANUP(url_cleanup) CURLU *u = curl_url();
    CLEANUP(curl_text_cleanup) char *whole = NULL;
    CURLUcode rc;

    if (has_control(text))
        return refused("", "it holds a blank or a control character", err);
    if (base && curl_url_set(u, CURLUPART_URL, base, 0) != CURLUE_OK)
        return refused(base, "it cannot be read", err);
    rc = curl_url_set(u, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
    if (rc != CURLUE_OK)
        return refused(text, curl_url_strerror(rc), err);
    if (check_parts(u, text, err) < 0)
        return -1;
    curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
    if (curl_url_get(u, CURLUPART_URL, &whole, 0) != CURLUE_OK)
        return refused(text, "it cannot be read", err);
    *out = arena_strdup(mem, whole);
    return 0;
}

static const char *lower(struct arena *mem, const char *s)
{
    char *out = arena_strdup(mem, s);

    for (char *c = out; *c; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + ('a' - 'A'));
    }
    return out;
}

int url_origin(struct arena *mem, const char *url, struct url_origin *out, struct error *err)
{
    CLEANUP(url_cleanup) CURLU *u = curl_url();
    CLEANUP(curl_text_cleanup) char *scheme = NULL;
    CLEANUP(curl_text_cleanup) char *host = NULL;
    CLEANUP(curl_text_cleanup) char *port = NULL;
    int64_t number;

    if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK ||
        !text_to_int64(port, strlen(port), &number))
        return refused(url, "it cannot be read", err);
    *out = (struct url_origin){lower(mem, scheme), lower(mem, host), (long)number};
    return 0;
}

bool url_same_origin(const struct url_origin *a, const struct url_origin *b)
{
    return strcmp(a->scheme, b->scheme) == 0 && strcmp(a->host, b->host) == 0 && a->port == b->port;
}

const char *url_encode(struct arena *mem, const char *s, size_t n)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = arena_alloc(mem, 3 * n + 1);
    char *at = out;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '-' || c == '.' || c == '_' || c == '~') {
            *at++ = (char)c;
            continue;
        }
        *at++ = '%';
        *at++ = digits[c >> 4];
        *at++ = digits[c & 15];
    }
    *at = '\0';
    return out;
}

const char *url_add_query(struct arena *mem, const char *url, const char *name, const char *value)
{
    return arena_printf(mem, "%s%c%s=%s", url, strchr(url, '?') ? '&' : '?',
                        url_encode(mem, name, strlen(name)), url_encode(mem, value, strlen(value)));
}
