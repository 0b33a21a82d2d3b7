/*
 * E5: every option that a request gives to libcurl, as it gives it. The list is the whole: one that
 * is added, or goes, or changes has to be looked at here.
 */
#include <criterion/criterion.h>

#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "connectors/http/client.h"
#include "tests/support/fake_api.h"

#undef curl_easy_setopt

static char given[4096];

CURLcode __real_curl_easy_setopt(CURL *easy, CURLoption option, void *value);
CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...);

CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
    const struct curl_easyoption *about = curl_easy_option_by_id(option);
    size_t n = strlen(given);
    void *value;
    va_list ap;

    va_start(ap, option);
    value = va_arg(ap, void *); /* numbers are as wide */
    va_end(ap);
    if (about->type == CURLOT_LONG || about->type == CURLOT_VALUES || about->type == CURLOT_OFF_T)
        snprintf(given + n, sizeof given - n, "%s %ld\n", about->name, (long)value);
    else if (about->type == CURLOT_STRING)
        snprintf(given + n, sizeof given - n, "%s \"%s\"\n", about->name, (const char *)value);
    else
        snprintf(given + n, sizeof given - n, "%s %s\n", about->name, value ? "ours" : "none");
    return __real_curl_easy_setopt(easy, option, value);
}

static void answer(void *arg, const struct fake_request *r, struct arena *mem,
                   struct fake_answer *out)
{
    (void)arg;
    (void)r;
    (void)mem;
    out->body = "well";
}

static const char *options_of(const char *proxy)
{
    struct fake_api *api = fake_api_start(answer, NULL);
    struct arena *mem = arena_new();
    struct error err = ERROR_INIT;
    struct http_client *client;
    struct http_exchange *x;
    struct cancel *cancel;
    struct http_settings set = {.connect_ms = 5000,
                                .idle_ms = 60000,
                                .total_ms = 60000,
                                .max_body = 1 << 20,
                                .concurrency = 1,
                                .base_url = fake_api_url(api),
                                .proxy = proxy};
    struct http_request r = {.method = "GET", .url = arena_printf(mem, "%s/x", fake_api_url(api))};
    char *at;

    given[0] = '\0';
    cr_assert_eq(cancel_new(&cancel, &err), 0);
    cr_assert_eq(http_client_new(&set, cancel, &client, &err), 0, "%s", err.message);
    cr_assert_eq(http_send(client, &r, &x, &err), 0, "%s", err.message);
    if (!proxy)
        cr_assert_eq(http_wait(x, &err), 0, "%s", err.message);
    http_end(x);
    http_client_free(client);
    cancel_free(cancel);
    at = strstr(given, r.url); /* its port is another one each time */
    cr_assert_not_null(at);
    memmove(at, at + strlen(r.url), strlen(at + strlen(r.url)) + 1);
    fake_api_stop(api);
    arena_free(mem);
    return given;
}

/* Redirects are followed by our own loop, so FOLLOWLOCATION stays off; netrc, cookies, HSTS,
 * alt-svc, Unix sockets and interfaces are never named, and off without that. */
Test(http_options, are_these_and_no_others)
{
    static const char expected[] = "URL \"\"\n"
                                   "PROTOCOLS_STR \"http,https\"\n"
                                   "PROXY \"\"\n"
                                   "OPENSOCKETFUNCTION ours\n"
                                   "OPENSOCKETDATA ours\n"
                                   "NOSIGNAL 1\n"
                                   "HTTP09_ALLOWED 0\n"
                                   "ACCEPT_ENCODING \"\"\n"
                                   "CONNECTTIMEOUT_MS 5000\n"
                                   "TCP_KEEPALIVE 1\n"
                                   "HTTP_VERSION 4\n"
                                   "USERAGENT \"connectord\"\n"
                                   "ERRORBUFFER ours\n"
                                   "HEADERFUNCTION ours\n"
                                   "HEADERDATA ours\n"
                                   "WRITEFUNCTION ours\n"
                                   "WRITEDATA ours\n"
                                   "PRIVATE ours\n"
                                   "CUSTOMREQUEST \"GET\"\n"
                                   "SSL_VERIFYPEER 1\n"
                                   "SSL_VERIFYHOST 2\n"
                                   "SSLVERSION 6\n"
                                   "HTTPHEADER ours\n";

    cr_assert_str_eq(options_of(NULL), expected);
}

Test(http_options, name_a_proxy_only_when_it_is_configured)
{
    setenv("http_proxy", "http://127.0.0.1:9", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:9", 1);
    cr_assert_not_null(strstr(options_of(NULL), "PROXY \"\"\n"));
    cr_assert_not_null(strstr(options_of("http://127.0.0.1:1"), "PROXY \"http://127.0.0.1:1\"\n"));
}
