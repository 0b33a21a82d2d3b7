#include <criterion/criterion.h>

#include "connectors/base/arena.h"
#include "connectors/base/redact.h"
#include "connectors/secret.h"

static struct arena *mem;
static struct buf shown;

static void setup(void)
{
    mem = arena_new();
    shown = BUF_INIT(1 << 20);
}

static void teardown(void)
{
    buf_release(&shown);
    arena_free(mem);
}

TestSuite(secret, .init = setup, .fini = teardown);

/* ------------------------------------------------------------------------ names */

Test(secret, is_known_by_its_name)
{
    static const char *const names[] = {"password",
                                        "db_password",
                                        "PASSWORD",
                                        "passwd",
                                        "pwd",
                                        "db.pass",
                                        "passphrase",
                                        "ssh-passphrase",
                                        "secret",
                                        "clientSecret",
                                        "token",
                                        "access_token",
                                        "refreshToken",
                                        "credentials",
                                        "api_key",
                                        "apiKey",
                                        "APIKEY",
                                        "api key",
                                        "key",
                                        "key1",
                                        "aws_access_key_id",
                                        "privateKey",
                                        "key_file",
                                        "dsn",
                                        "Authorization",
                                        "cookie",
                                        "connection_string",
                                        "webhook"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_expect(secret_is_name(names[i]), "%s", names[i]);
}

Test(secret, is_not_every_name)
{
    static const char *const names[] = {"host",
                                        "user",
                                        "schema",
                                        "default_target_schema",
                                        "port",
                                        "start_date",
                                        "keys",
                                        "keyspace",
                                        "primary_key",
                                        "primary_key_required",
                                        "key_properties",
                                        "replicationKey",
                                        "monkey",
                                        "keyword",
                                        "compass",
                                        "dsnless",
                                        "public_key",
                                        "api_key_name",
                                        ""};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_expect_not(secret_is_name(names[i]), "%s", names[i]);
}

/* ------------------------------------------------------------------------ looks */

Test(secret, looks_drawn_at_random)
{
    static const char *const texts[] = {
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", /* with slashes */
        "sk_live_51HqLyjWDarjtT1zdp7dcXk",
        "xoxb-263594206564-FGqddMF8t08v8N7Oq4i57vs1",
        "d41d8cd98f00b204e9800998ecf8427e",
        "123e4567-e89b-12d3-a456-426614174000",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_-DEF123",
        "q7w8e9r0t1y2u3i4o5p6",
        "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0NTY3OA=="};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cr_expect(secret_is_random(texts[i]), "%s", texts[i]);
}

Test(secret, does_not_look_random)
{
    static const char *const texts[] = {"schema",
                                        "public",
                                        "2024-01-02T03:04:05.678901Z",
                                        "2024-01-02",
                                        "a sentence of 12 Words here",
                                        "https://api.example.com/v1/Items2",
                                        "db-1.cluster-abcdefghijkl.eu-west-1.rds.example.com",
                                        "/srv/Data2024/exports/Customers.csv",
                                        "./Data2024/exports/Customers.csv",
                                        "customers_by_region_and_month",
                                        "tap-postgres-production-2024",
                                        "person12@example.com",
                                        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                                        "01234567890123456789012345678901",
                                        ""};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cr_expect_not(secret_is_random(texts[i]), "%s", texts[i]);
}

/* -------------------------------------------------------------------- documents */

static struct doc *parse(const char *text)
{
    struct error err = ERROR_INIT;
    struct doc *d;

    if (!text)
        return NULL;
    cr_assert_eq(doc_parse(text, strlen(text), &d, &err), 0, "%s", err.message);
    return d;
}

/* What a program with these settings may still say. */
static const char *says(const char *settings, const char *schema, const char *text)
{
    CLEANUP(doc_free_cleanup) struct doc *d = parse(settings), *s = parse(schema);
    CLEANUP(redactor_free_cleanup) struct redactor *r = redactor_new();
    struct secrets found = SECRETS_INIT(mem);

    secrets_add_settings(&found, d, s);
    secrets_keep_out(&found, r);
    buf_clear(&shown);
    redactor_put(r, &shown, text, strlen(text));
    return buf_str(&shown);
}

Test(secret, ordinary_words_of_settings_are_none)
{
    static const char settings[] =
        "{\"default_target_schema\":\"schema\",\"host\":\"localhost\",\"user\":\"tester\",\"port\":"
        "5432,"
        "\"password\":\"canary-1\",\"primary_key_required\":false,\"start_date\":\"2024-01-01\"}";

    cr_assert_str_eq(says(settings, NULL, "tester@localhost schema 2024-01-01 with canary-1"),
                     "tester@localhost schema 2024-01-01 with ***");
}

Test(secret, whatever_lies_below_a_secret_name_is_one)
{
    static const char settings[] =
        "{\"credentials\":{\"kind\":\"canary-1\",\"list\":[\"canary-2\",7]},"
        "\"headers\":[{\"name\":\"X-Api-Key\",\"value\":\"canary-3\"},"
        "{\"name\":\"Accept\",\"value\":\"text/csv\"}]}";

    cr_assert_str_eq(says(settings, NULL, "canary-1 canary-2 canary-3 text/csv"),
                     "*** *** *** text/csv");
}

Test(secret, the_schema_of_a_program_says_more)
{
    static const char settings[] =
        "{\"one\":\"canary-1\",\"two\":{\"three\":\"canary-2\"},\"four\":[\"canary-3\"],"
        "\"five\":\"plain-5\",\"six\":\"canary-6\",\"seven\":\"canary-7\",\"eight\":\"canary-8\"}";
    static const char schema[] =
        "{\"properties\":{\"one\":{\"writeOnly\":true},\"two\":{\"properties\":{\"three\":"
        "{\"format\":\"password\"}}},\"four\":{\"items\":{\"secret\":true}},\"five\":{},"
        "\"six\":{\"airbyte_secret\":true},\"seven\":{\"anyOf\":[{\"type\":\"null\"},"
        "{\"type\":\"string\",\"writeOnly\":true}]}},"
        "\"oneOf\":[{\"properties\":{}},{\"properties\":{\"eight\":{\"secret\":true}}}]}";

    cr_assert_str_eq(
        says(settings, schema, "canary-1 canary-2 canary-3 plain-5 canary-6 canary-7 canary-8"),
        "*** *** *** plain-5 *** *** ***");
    cr_assert_str_eq(says(settings, NULL, "canary-1 plain-5"), "canary-1 plain-5");
}

Test(secret, hides_inside_of_other_texts)
{
    static const char settings[] =
        "{\"url\":\"postgres://someone:canary%2D1@db.example.com:5432/x\","
        "\"hook\":\"https://canary-2@example.com/x?page=1&api_key=canary-3&lang=en\","
        "\"odbc\":\"Driver={Pg};Server=db;Uid=me;Pwd={canary;4};Port=1\","
        "\"libpq\":\"host=db password='canary 5' user=me\",\"id\":\"q7w8e9r0t1y2u3i4o5p6\","
        "\"pem\":\"-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkq\\n-----END PRIVATE KEY-----\"}";

    cr_assert_str_eq(
        says(settings, NULL,
             "someone at db.example.com: canary%2D1, canary-1, canary-2, canary-3, en, "
             "canary;4, canary 5, q7w8e9r0t1y2u3i4o5p6, MIIEvQIBADANBgkq"),
        "someone at db.example.com: ***, ***, ***, ***, en, ***, ***, ***, ***");
}

Test(secret, of_a_header_is_also_what_follows_the_scheme)
{
    cr_assert_str_eq(says("{\"authorization\":\"Bearer canary-1\"}", NULL, "sent canary-1"),
                     "sent ***");
}

/* ----------------------------------------------------------------- option tables */

struct config {
    const char *host, *pass;
    const struct doc *secret, *settings;
};

Test(secret, option_tables_say_what_is_one)
{
    /* clang-format off */
    static const struct option table[] = {
        OPTION(struct config, host, .title = "Host", .help = "Where."),
        OPTION(struct config, pass, .title = "Pass", .help = "Open.", .flags = OPTION_SECRET),
        OPTION(struct config, secret, .title = "All", .help = "Of it.", .flags = OPTION_SECRET),
        OPTION(struct config, settings, .title = "Some", .help = "Of it.",
               .flags = OPTION_SECRET | OPTION_SETTINGS),
        OPTIONS_END,
    };
    /* clang-format on */
    CLEANUP(doc_free_cleanup)
    struct doc *d =
        parse("{\"host\":\"plain-1\",\"pass\":\"canary-1\",\"secret\":{\"any\":[\"canary-2\"]},"
              "\"settings\":{\"any\":\"plain-2\",\"token\":\"canary-3\"}}");
    CLEANUP(redactor_free_cleanup) struct redactor *r = redactor_new();
    struct secrets found = SECRETS_INIT(mem);
    static const char text[] = "plain-1 plain-2 canary-1 canary-2 canary-3";

    secrets_add_options(&found, table, d);
    secrets_add_options(&found, table, NULL);
    secrets_keep_out(&found, r);
    redactor_put(r, &shown, text, strlen(text));
    cr_assert_str_eq(buf_str(&shown), "plain-1 plain-2 *** *** ***");
}

Test(secret, is_known_by_its_name_with_a_number)
{
    static const char *const names[] = {"API_KEY2", "api_key2", "apiKey2", "KEY1", "PASS2", "PWD3"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_expect(secret_is_name(names[i]), "%s", names[i]);
    cr_expect_not(secret_is_name("KEYS2"));
    cr_expect_not(secret_is_name("2"));
}

Test(secret, is_known_by_the_beginning_of_a_long_name)
{
    char name[300];

    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    cr_assert_not(secret_is_name(name));
    memcpy(name + 110, "_password", 9);
    cr_assert(secret_is_name(name));
}

Test(secret, does_not_look_random_by_its_form_alone)
{
    static const char *const texts[] = {"0000000-00000-0000-0000-000000000000",
                                        "00000000-000-00000-0000-000000000000",
                                        "00000000-0000-000-00000-000000000000",
                                        "00000000_0000-0000-0000-00000000000_",
                                        "CUSTOMERS-OF-THE-NORTH-2024",
                                        "Customers-of-the-North-Sea",
                                        "Aaaaaaaaaaaaaaaaaaaaaaaa-1"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cr_expect_not(secret_is_random(texts[i]), "%s", texts[i]);
    cr_expect(secret_is_random("00000000-0000-0000-0000-000000000000"));
}

Test(secret, too_short_to_be_looked_for_is_none)
{
    cr_assert_str_eq(says("{\"password\":\"abc\",\"token\":\"\"}", NULL, "abc"), "abc");
}

Test(secret, may_be_many)
{
    struct buf settings = BUF_INIT(4096), text = BUF_INIT(4096), covered = BUF_INIT(4096);

    for (int i = 0; i < 40; i++) {
        buf_printf(&settings, "%s\"token%d\":\"canary-%d!\"", i > 0 ? "," : "{", i, i);
        buf_printf(&text, " canary-%d!", i);
        buf_puts(&covered, " ***");
    }
    buf_puts(&settings, "}");
    cr_assert_str_eq(says(buf_str(&settings), NULL, buf_str(&text)), buf_str(&covered));
    buf_release(&settings);
    buf_release(&text);
    buf_release(&covered);
}

Test(secret, hides_in_oddly_written_texts)
{
    static const char settings[] =
        "{\"url\":\"postgres://someone:canary%2@db.example.com\","
        "\"other\":\"postgres://someone:canary%zz1@db.example.com\","
        "\"last\":\"x://u:p:canary-0@h, y://canary-9%21\","
        "\"plain\":\"https://docs.example.com/x?page=1\",\"odd\":\"=canary-2\","
        "\"spaced\":\"host = db; Pwd  =  canary-3\",\"empty\":\"user=me;password=\","
        "\"listed\":[{\"key\":\"Authorization\",\"value\":\"canary-4\"},"
        "{\"name\":\"X-Api-Key\",\"value\":\"canary-5\"},{\"key\":\"page\",\"value\":\"plain-6\"}]"
        "}";

    cr_assert_str_eq(says(settings, NULL,
                          "canary%2 canary%zz1 p:canary-0 docs.example.com canary-2 canary-3 "
                          "canary-4 canary-5 plain-6 me"),
                     "*** *** *** docs.example.com canary-2 *** *** *** plain-6 me");
}

Test(secret, under_a_name_without_end_is_not_looked_for)
{
    struct buf settings = BUF_INIT(4096);

    buf_puts(&settings, "{\"text\":\"");
    for (int i = 0; i < 40; i++)
        buf_puts(&settings, "password_");
    buf_puts(&settings, "=canary-1 password=canary-2\"}");
    cr_assert_str_eq(says(buf_str(&settings), NULL, "canary-1 canary-2"), "canary-1 ***");
    buf_release(&settings);
}

/* A schema may nest without end: what lies too deep in it is not asked. */
Test(secret, schemas_are_followed_so_far)
{
    CLEANUP(doc_free_cleanup) struct doc *settings = parse("{\"one\":\"canary-1\"}");

    for (int depth = 60; depth <= 70; depth += 10) {
        CLEANUP(doc_free_cleanup)
        struct doc *schema = parse("{\"properties\":{\"one\":{\"writeOnly\":true}}}");
        struct secrets found = SECRETS_INIT(mem);

        for (int i = 0; i < depth; i++) {
            struct doc *outer = doc_new_object(), *list = doc_new_array();

            doc_append(list, schema);
            doc_set(outer, "allOf", list);
            schema = outer;
        }
        secrets_add_settings(&found, settings, schema);
        cr_assert_eq(found.n, depth == 60 ? 1 : 0, "%d", depth);
    }
}
