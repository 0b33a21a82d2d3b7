/* Security requirement S7: secrets go out of text by value, in every escaped form. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "connectors/base/doc.h"
#include "connectors/base/log.h"
#include "connectors/base/redact.h"
#include "connectors/base/text.h"

static struct buf out;

static void setup(void)
{
    out = BUF_INIT(1 << 20);
}

static void teardown(void)
{
    buf_release(&out);
}

TestSuite(redact, .init = setup, .fini = teardown);

static struct redactor *knowing(const char *a, const char *b)
{
    struct redactor *r = redactor_new();

    redactor_add(r, a, strlen(a));
    if (b)
        redactor_add(r, b, strlen(b));
    return r;
}

static const char *clean(struct redactor *r, const char *text)
{
    buf_clear(&out);
    redactor_put(r, &out, text, strlen(text));
    return buf_str(&out);
}

Test(redact, without_secrets_text_stays_as_it_is)
{
    CLEANUP(redactor_free_cleanup) struct redactor *none = redactor_new();

    cr_assert_str_eq(clean(none, "nothing to see"), "nothing to see");
    cr_assert_str_eq(clean(NULL, "nothing to see"), "nothing to see");
    redactor_add(none, "abc", 3); /* too short to be looked for */
    cr_assert_str_eq(clean(none, "abcabc"), "abcabc");
    redactor_free(NULL);
}

Test(redact, covers_every_occurrence)
{
    CLEANUP(redactor_free_cleanup) struct redactor *r = knowing("hunter2x", NULL);

    cr_assert_str_eq(clean(r, "hunter2x"), "***");
    cr_assert_str_eq(clean(r, "a hunter2x b hunter2x"), "a *** b ***");
    cr_assert_str_eq(clean(r, "hunter2xhunter2x"), "***");
    cr_assert_str_eq(clean(r, "hunter2"), "hunter2");
    cr_assert_str_eq(clean(r, "hunterhunter2x"), "hunter***");
}

Test(redact, a_secret_that_begins_another_leaves_no_tail)
{
    CLEANUP(redactor_free_cleanup) struct redactor *r = knowing("pass", "password-long");

    cr_assert_str_eq(clean(r, "x password-long y"), "x *** y");
    cr_assert_str_eq(clean(r, "x password y"), "x ***word y");
}

Test(redact, a_secret_within_another_is_found_when_the_longer_one_fails)
{
    CLEANUP(redactor_free_cleanup) struct redactor *r = knowing("abcdefgh", "cdef");

    cr_assert_str_eq(clean(r, "abcdefgX"), "ab***gX");
    redactor_add(r, "bcdef", 5); /* a longer end of what another one begins with, added later */
    cr_assert_str_eq(clean(r, "abcdefgX"), "a***gX");
}

Test(redact, overlapping_secrets_are_covered_as_one)
{
    CLEANUP(redactor_free_cleanup) struct redactor *r = knowing("onetwo", "twothree");

    cr_assert_str_eq(clean(r, "-onetwothree-"), "-***-");
}

Test(redact, knows_the_escaped_forms)
{
    static const char secret[] = "p\xc3\xa4ss/w'o\"r\\d 1&2";
    static const char *const forms[] = {
        "p\xc3\xa4ss/w'o\"r\\d 1&2",         "p%C3%A4ss%2Fw%27o%22r%5Cd%201%262",
        "p%c3%a4ss%2fw%27o%22r%5cd%201%262", "p%C3%A4ss%2Fw%27o%22r%5Cd+1%262",
        "p\xc3\xa4ss/w'o\\\"r\\\\d 1&2",     "p\xc3\xa4ss\\/w'o\\\"r\\\\d 1&2",
        "p\\u00e4ss/w'o\\\"r\\\\d 1&2",      "p\xc3\xa4ss/w''o\"r\\d 1&2",
        "p\xc3\xa4ss/w''o\"r\\\\d 1&2",      "p\xc3\xa4ss/w\\'o\"r\\\\d 1&2",
        "p\xc3\xa4ss/w\\'o\\\"r\\\\d 1&2",
    };
    CLEANUP(redactor_free_cleanup) struct redactor *r = knowing(secret, NULL);

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        cr_assert_str_eq(clean(r, forms[i]), "***", "%s became %s", forms[i], buf_str(&out));
}

Test(redact, writes_characters_beyond_the_basic_plane_as_surrogates)
{
    CLEANUP(redactor_free_cleanup)
    struct redactor *r = knowing("a\xf0\x9f\x94\x91\xe2\x82\xac!", "\xff\xfe\xfd\xfc");

    cr_assert_str_eq(clean(r, "a\\ud83d\\udd11\\u20ac!"), "***");
    cr_assert_str_eq(clean(r, "-\xff\xfe\xfd\xfc-"), "-***-"); /* not UTF-8: as it is */
}

Test(redact, finds_base64_at_every_alignment)
{
    static const char secret[] = "s\xff\xfe"
                                 "cret?>?>0";
    CLEANUP(redactor_free_cleanup) struct redactor *r = knowing(secret, NULL);

    for (size_t before = 0; before < 4; before++) {
        CLEANUP(buf_release) struct buf plain = BUF_INIT(256);
        CLEANUP(buf_release) struct buf encoded = BUF_INIT(256);

        buf_put(&plain, "uuuu", before);
        buf_puts(&plain, secret);
        buf_puts(&plain, ":tail");
        text_put_base64(&encoded, plain.data, plain.len);
        cr_assert_not_null(strstr(clean(r, buf_str(&encoded)), "***"), "%zu", before);
        for (char *c = encoded.data; *c; c++)
            *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
        cr_assert_not_null(strstr(clean(r, buf_str(&encoded)), "***"), "%zu", before);
    }
}

Test(redact, finds_lines_and_pieces_of_long_secrets)
{
    static char pem[6000];
    CLEANUP(redactor_free_cleanup) struct redactor *r = redactor_new();

    strcpy(pem, "-----BEGIN KEY-----\nMIIEvAIBADANBgkqhkiG9w0BAQ\nshort\n");
    redactor_add(r, pem, strlen(pem));
    cr_assert_str_eq(clean(r, "line: MIIEvAIBADANBgkqhkiG9w0BAQ."), "line: ***.");
    cr_assert_str_eq(clean(r, "short"), "short");
    for (size_t i = 0; i < sizeof pem - 1; i++)
        pem[i] = (char)('a' + i * i % 23);
    pem[0] = '\n';
    redactor_add(r, pem, sizeof pem - 1);
    cr_assert_str_eq(clean(r, pem), "***");
}

Test(redact, splits_at_every_offset_make_no_difference)
{
    static const char text[] = "x=onetwothree; y=one two; z=onetwo%2F!";
    CLEANUP(redactor_free_cleanup) struct redactor *r = knowing("onetwo/!", "onetwothree");
    CLEANUP(buf_release) struct buf whole = BUF_INIT(256);

    redactor_put(r, &whole, text, strlen(text));
    cr_assert_str_eq(buf_str(&whole), "x=***; y=one two; z=***");
    for (size_t i = 0; i <= strlen(text); i++) {
        for (size_t k = i; k <= strlen(text); k++) {
            struct redact_stream *s = redact_stream_new(r);

            buf_clear(&out);
            redact_stream_put(s, &out, text, i);
            redact_stream_put(s, &out, text + i, k - i);
            redact_stream_put(s, &out, text + k, strlen(text) - k);
            redact_stream_end(s, &out);
            redact_stream_free(s);
            cr_assert_str_eq(buf_str(&out), buf_str(&whole), "%zu %zu", i, k);
        }
    }
    redact_stream_free(NULL);
}

Test(redact, a_stream_holds_back_only_what_could_become_a_secret)
{
    CLEANUP(redactor_free_cleanup) struct redactor *r = knowing("secret", NULL);
    struct redact_stream *s = redact_stream_new(r);

    redact_stream_put(s, &out, "say sec", 7);
    cr_assert_str_eq(buf_str(&out), "say ");
    redact_stream_put(s, &out, "ond", 3);
    cr_assert_str_eq(buf_str(&out), "say second");
    redact_stream_end(s, &out);
    redact_stream_free(s);
    s = redact_stream_new(NULL);
    redact_stream_put(s, &out, "!", 1);
    redact_stream_end(s, &out);
    redact_stream_free(s);
    cr_assert_str_eq(buf_str(&out), "say second!");
}

Test(redact, long_stretches_that_look_like_secrets_are_bounded)
{
    CLEANUP(redactor_free_cleanup) struct redactor *r = knowing("aaaaaaaab", NULL);
    static char text[5000];

    memset(text, 'a', sizeof text - 1);
    cr_assert_str_eq(clean(r, text), text);
    text[sizeof text - 2] = 'b';
    cr_assert_eq(strlen(clean(r, text)), sizeof text - 1 - 9 + 3);
}

Test(redact, takes_many_at_once)
{
    static const char *const list[] = {"first-one", "abc", "second-one"};
    CLEANUP(redactor_free_cleanup) struct redactor *r = knowing("before", NULL);

    redactor_add_list(r, list, 3);
    redactor_add_list(r, NULL, 0);
    cr_assert_str_eq(clean(r, "before, first-one, abc, second-one"), "***, ***, abc, ***");
}

Test(redact, what_was_cut_may_end_in_a_part_of_a_secret)
{
    CLEANUP(redactor_free_cleanup) struct redactor *r = knowing("a-long-secret", NULL);

    redactor_put_cut(r, &out, "said a-lon", 10);
    cr_assert_str_eq(buf_str(&out), "said ***");
    buf_clear(&out);
    redactor_put_cut(r, &out, "said a-l", 8); /* too little of it to tell */
    cr_assert_str_eq(buf_str(&out), "said a-l");
    buf_clear(&out);
}

Test(redact, json_stays_json)
{
    static const char json[] =
        "{\"status\" : \"a status\", \"n\":[\"x\\\"status\\\\\",1], \"status\": {}}";
    CLEANUP(redactor_free_cleanup) struct redactor *r = knowing("status", "\", \"n\":[\"");

    redactor_put_json(r, &out, json, strlen(json));
    cr_assert_str_eq(buf_str(&out),
                     "{\"status\" : \"a ***\", \"n\":[\"x\\\"***\\\\\",1], \"status\": {}}");
    buf_clear(&out);
    redactor_put_json(r, &out, "\"status", 7); /* cut */
    cr_assert_str_eq(buf_str(&out), "\"***");
    buf_clear(&out);
    redactor_put_json(r, &out, "\"x\\", 3);
    cr_assert_str_eq(buf_str(&out), "\"x\\");
    buf_clear(&out);
    redactor_put_json(NULL, &out, json, strlen(json));
    cr_assert_str_eq(buf_str(&out), json);
}

Test(redact, messages_lose_a_secret_that_was_cut)
{
    CLEANUP(redactor_free_cleanup) struct redactor *r = knowing("open-sesame", NULL);
    struct error err = ERROR_INIT;

    redactor_error(NULL, &err);
    error_set(&err, ERR_CONFIG, "the server said: no open-sesame for you, open-ses");
    redactor_error(r, &err);
    cr_assert_str_eq(err.message, "the server said: no *** for you, open-ses");
    err = ERROR_INIT;
    error_set(&err, ERR_CONFIG, "%01016d%s", 0, "open-sesame");
    cr_assert_str_eq(err.message + 1016, "open-se");
    redactor_error(r, &err);
    cr_assert_str_eq(err.message + 1016, "***");
    err = ERROR_INIT;
    error_set(&err, ERR_CONFIG, "%01021d%s", 0, "open-sesame");
    redactor_error(r, &err);
    cr_assert_str_eq(err.message + 1021, "op"); /* two letters tell nothing */
}

Test(redact, messages_do_not_grow_beyond_their_room)
{
    CLEANUP(redactor_free_cleanup) struct redactor *r = knowing("abcd", NULL);
    struct error err = ERROR_INIT;

    for (size_t i = 0; i + 1 < sizeof err.message; i++)
        err.message[i] = "abcd."[i % 5];
    redactor_error(r, &err);
    cr_assert_lt(strlen(err.message), sizeof err.message);
    cr_assert_null(strstr(err.message, "abcd"));
}

Test(redact, what_is_live_is_kept_from_sinks_that_know_nobody)
{
    struct redactor *a = knowing("first-secret", NULL), *b = knowing("other-secret", NULL);
    static const char text[] = "first-secret other-secret";

    cr_assert(redact_live_is_empty());
    redact_live_put(&out, text, strlen(text));
    cr_assert_str_eq(buf_str(&out), text);
    redact_live_add(a);
    redact_live_add(b);
    buf_clear(&out);
    redact_live_put(&out, text, strlen(text));
    cr_assert_str_eq(buf_str(&out), "*** ***");
    redact_live_remove(a);
    redact_live_remove(a); /* twice is as good as once */
    buf_clear(&out);
    redact_live_put(&out, text, strlen(text));
    cr_assert_str_eq(buf_str(&out), "first-secret ***");
    cr_assert_not(redact_live_is_empty());
    redact_live_remove(b);
    redactor_free(a);
    redactor_free(b);
}

static void *add_many(void *r)
{
    char secret[32];

    for (int i = 0; i < 200; i++) {
        snprintf(secret, sizeof secret, "later-secret-%d", i);
        redactor_add(r, secret, strlen(secret));
    }
    return NULL;
}

Test(redact, secrets_may_come_while_text_goes)
{
    CLEANUP(redactor_free_cleanup) struct redactor *r = knowing("first-secret", NULL);
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, add_many, r), 0);
    for (int i = 0; i < 2000; i++)
        cr_assert_str_eq(clean(r, "a first-secret"), "a ***");
    pthread_join(thread, NULL);
    cr_assert_str_eq(clean(r, "later-secret-199"), "***");
}

Test(redact, what_was_cut_needs_a_redactor_to_be_covered)
{
    redactor_put_cut(NULL, &out, "a text that ends in secr", 24);
    cr_assert_str_eq(buf_str(&out), "a text that ends in secr");
}

/* A NUL cannot be written into a URL or an SQL text as it is; a secret that holds one has its
 * escaped forms all the same. */
Test(redact, knows_the_forms_of_a_secret_with_a_nul)
{
    CLEANUP(redactor_free_cleanup) struct redactor *r = redactor_new();
    static const char secret[] = "first\0'half";

    redactor_add(r, secret, sizeof secret - 1);
    cr_assert_str_eq(clean(r, "p=first%00%27half&q"), "p=***&q");
    buf_clear(&out);
    redactor_put(r, &out, "'first\0''half'", 15);
    cr_assert_str_eq(buf_str(&out), "'***'");
}

Test(redact, what_follows_a_text_with_a_nul_makes_it_no_name)
{
    CLEANUP(redactor_free_cleanup) struct redactor *r = knowing("first-secret", NULL);
    static const char json[] = "\"first-secret\"\0:1";

    redactor_put_json(r, &out, json, sizeof json - 1);
    cr_assert_eq(out.len, strlen("\"***\"") + 3);
    cr_assert_eq(memcmp(out.data, "\"***\"\0:1", out.len), 0);
}

Test(redact, a_line_that_does_not_fit_shows_nothing)
{
    CLEANUP(redactor_free_cleanup) struct redactor *r = knowing("first-secret", NULL);
    struct log_line line = {.message = "it said",
                            .fields = {log_text("what", "first-secret it was"), log_int("n", 7)}};
    CLEANUP(buf_release) struct buf small = BUF_INIT(12);
    struct log_line shown;

    redactor_line(r, &line, &small, &shown);
    cr_assert_str_eq(shown.message, "***");
    cr_assert_str_eq(shown.fields[0].text, "***");
    cr_assert_null(shown.fields[1].text);
    buf_clear(&out);
    redactor_line(r, &line, &out, &shown);
    cr_assert_str_eq(shown.message, "it said");
    cr_assert_str_eq(shown.fields[0].text, "*** it was");
}
