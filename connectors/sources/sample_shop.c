#include "connectors/sources/sample_shop.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/base/text.h"

#define HOUR_US  (INT64_C(3600) * 1000000)
#define DAY_US   (24 * HOUR_US)
#define EPOCH_US (INT64_C(1767225600) * 1000000) /* 2026-01-01T00:00:00Z */

/* ------------------------------------------------------------------ values */

/* The finalizer of SplitMix64: neighbouring inputs give unrelated outputs. */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* A number below `n` that depends on `from` and on which value it is for. */
static int64_t draw(uint64_t from, unsigned salt, int64_t n)
{
    return (int64_t)(mix(from ^ (uint64_t)salt << 56) % (uint64_t)n);
}

/* Short text under construction; every text made here is far below its size. */
struct text {
    char bytes[192];
    size_t len;
};

static void say(struct text *t, const char *s)
{
    size_t n = strlen(s);

    memcpy(t->bytes + t->len, s, n);
    t->len += n;
}

static void say_int(struct text *t, int64_t v)
{
    char digits[24];

    text_from_int64(v, digits);
    say(t, digits);
}

static void put_text(struct batch *b, size_t column, const struct text *t)
{
    batch_put_text(b, column, t->bytes, t->len);
}

/* `cents` hundredths as a decimal with two places. */
static void put_cents(struct batch *b, size_t column, int64_t cents)
{
    struct text t = {.len = 0};
    int64_t magnitude = cents < 0 ? -cents : cents;

    if (cents < 0)
        say(&t, "-");
    say_int(&t, magnitude / 100);
    say(&t, magnitude % 100 < 10 ? ".0" : ".");
    say_int(&t, magnitude % 100);
    put_text(b, column, &t);
}

static int64_t changed_at(const struct shop_row *r)
{
    return EPOCH_US + r->tick * HOUR_US + draw(r->fresh, 1, HOUR_US);
}

static void put_updated_at(struct batch *b, size_t column, const struct shop_row *r)
{
    batch_put_int64(b, column, changed_at(r));
}

static void put_user_id(struct batch *b, size_t column, const struct shop_row *r)
{
    batch_put_int64(b, column, r->number + 1);
}

static void put_user_name(struct batch *b, size_t column, const struct shop_row *r)
{
    static const char *const first[] = {
        "Ada",   "Zoë", "Łukasz", "Søren",  "Amélie", "José", "Þóra", "Иван",
        "Ελένη", "明",  "さくら", "Nguyễn", "D'Arcy", "עדי",  "ليلى", "Grace",
    };
    static const char *const last[] = {
        "Lovelace", "Müller", "O'Brien",      "Żółć",    "Håkansson",   "Núñez",
        "李",       "Петров", "van der Berg", "Šimůnek", "Smith-Jones", "Παπαδοπούλου",
        "鈴木",     "Hopper", "Çelik",        "Ünal",
    };
    struct text t = {.len = 0};

    say(&t, first[draw(r->fixed, 2, 16)]);
    say(&t, " ");
    say(&t, last[draw(r->fixed, 3, 16)]);
    put_text(b, column, &t);
}

static void put_email(struct batch *b, size_t column, const struct shop_row *r)
{
    struct text t = {.len = 0};

    if (draw(r->fresh, 4, 10) == 0)
        return;
    say(&t, "user");
    say_int(&t, r->number + 1);
    if (r->version) {
        say(&t, "+");
        say_int(&t, r->version);
    }
    say(&t, "@example.com");
    put_text(b, column, &t);
}

static int64_t signed_up_day(const struct shop_row *r)
{
    return EPOCH_US / DAY_US - 1 - draw(r->fixed, 5, 2000);
}

static void put_signed_up(struct batch *b, size_t column, const struct shop_row *r)
{
    batch_put_int64(b, column, signed_up_day(r));
}

static void put_score(struct batch *b, size_t column, const struct shop_row *r)
{
    batch_put_double(b, column, (double)(draw(r->fresh, 6, 200001) - 100000) / 1000.0);
}

static void put_balance(struct batch *b, size_t column, const struct shop_row *r)
{
    put_cents(b, column, draw(r->fresh, 7, 10000000) - 1000000);
}

static void put_preferences(struct batch *b, size_t column, const struct shop_row *r)
{
    static const char *const languages[] = {"[]", "[\"de\"]", "[\"en\",\"fr\"]", "[\"日本語\"]"};
    struct text t = {.len = 0};

    if (draw(r->fresh, 8, 4) == 0)
        return;
    say(&t, "{\"theme\":");
    say(&t, draw(r->fresh, 9, 2) ? "\"dark\"" : "\"light\"");
    say(&t, ",\"languages\":");
    say(&t, languages[draw(r->fresh, 10, 4)]);
    say(&t, ",\"page_size\":");
    say_int(&t, 10 + draw(r->fresh, 11, 90));
    say(&t, "}");
    put_text(b, column, &t);
}

static void put_is_active(struct batch *b, size_t column, const struct shop_row *r)
{
    batch_put_bool(b, column, draw(r->fresh, 12, 5) != 0);
}

static void put_created_at(struct batch *b, size_t column, const struct shop_row *r)
{
    batch_put_int64(b, column, signed_up_day(r) * DAY_US + draw(r->fixed, 13, DAY_US));
}

static uint64_t fixed_of(const struct sample_config *c, enum shop_stream_id stream, int64_t number)
{
    return mix(mix(mix((uint64_t)c->seed) + stream) + (uint64_t)number);
}

static int64_t products(const struct sample_config *c)
{
    return c->rows < 10 ? 1 : c->rows / 10;
}

static void put_uuid_of_product(struct batch *b, size_t column, uint64_t fixed)
{
    uint64_t halves[2] = {mix(fixed + 1), mix(fixed + 2)};
    unsigned char uuid[16];

    for (size_t i = 0; i < 16; i++)
        uuid[i] = (unsigned char)(halves[i / 8] >> (8 * (i % 8)));
    uuid[6] = (unsigned char)((uuid[6] & 0x0f) | 0x40);
    uuid[8] = (unsigned char)((uuid[8] & 0x3f) | 0x80);
    batch_put_uuid(b, column, uuid);
}

static void put_product_id(struct batch *b, size_t column, const struct shop_row *r)
{
    put_uuid_of_product(b, column, r->fixed);
}

static void put_product_name(struct batch *b, size_t column, const struct shop_row *r)
{
    static const char *const kinds[] = {"Teapot", "Käseglocke", "Łyżka", "Crème brûlée torch",
                                        "茶碗",   "Lamp",       "Stool", "☕ Grinder"};
    struct text t = {.len = 0};

    say(&t, kinds[draw(r->fixed, 14, 8)]);
    say(&t, " No. ");
    say_int(&t, r->number + 1);
    put_text(b, column, &t);
}

static int64_t price_of(uint64_t fresh)
{
    return 1 + draw(fresh, 15, 50000);
}

static void put_price(struct batch *b, size_t column, const struct shop_row *r)
{
    put_cents(b, column, price_of(r->fresh));
}

static void put_weight(struct batch *b, size_t column, const struct shop_row *r)
{
    batch_put_double(b, column, (double)((float)(1 + draw(r->fixed, 16, 20000)) / 1000.0F));
}

static void put_tags(struct batch *b, size_t column, const struct shop_row *r)
{
    static const char *const tags[] = {"\"new\"", "\"sale\"", "\"a,b\"", "\"größer\"", "null"};
    struct text t = {.len = 0};

    say(&t, "[");
    for (int64_t i = 0, n = draw(r->fresh, 17, 4); i < n; i++) {
        say(&t, i ? "," : "");
        say(&t, tags[draw(r->fresh, 18 + (unsigned)i, 5)]);
    }
    say(&t, "]");
    put_text(b, column, &t);
}

static void put_released(struct batch *b, size_t column, const struct shop_row *r)
{
    if (draw(r->fixed, 22, 6))
        batch_put_int64(b, column, EPOCH_US / DAY_US - 1 - draw(r->fixed, 23, 2000));
}

static void put_opens_at(struct batch *b, size_t column, const struct shop_row *r)
{
    batch_put_int64(b, column, draw(r->fixed, 24, (int64_t)24 * 4) * HOUR_US / 4);
}

static void put_photo(struct batch *b, size_t column, const struct shop_row *r)
{
    char bytes[24];
    size_t n = (size_t)draw(r->fixed, 25, sizeof bytes + 1);

    if (draw(r->fixed, 26, 3) == 0)
        return;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(mix(r->fixed + i / 8) >> (8 * (i % 8)) & 0xff);
    batch_put_text(b, column, bytes, n);
}

static void put_buyer(struct batch *b, size_t column, const struct shop_row *r)
{
    batch_put_int64(b, column, r->number % r->config->rows + 1);
}

static void put_line(struct batch *b, size_t column, const struct shop_row *r)
{
    batch_put_int64(b, column, r->number / r->config->rows + 1);
}

static void put_bought(struct batch *b, size_t column, const struct shop_row *r)
{
    int64_t product = draw(r->fixed, 27, products(r->config));

    put_uuid_of_product(b, column, fixed_of(r->config, PRODUCTS, product));
}

static void put_quantity(struct batch *b, size_t column, const struct shop_row *r)
{
    batch_put_int64(b, column, 1 + draw(r->fixed, 28, 9));
}

static void put_amount(struct batch *b, size_t column, const struct shop_row *r)
{
    put_cents(b, column, (1 + draw(r->fixed, 28, 9)) * price_of(r->fixed));
}

static void put_purchased_at(struct batch *b, size_t column, const struct shop_row *r)
{
    int64_t before = r->tick ? 0 : draw(r->fixed, 29, 365) * DAY_US;

    batch_put_int64(b, column, changed_at(r) - before);
}

static void put_warranty(struct batch *b, size_t column, const struct shop_row *r)
{
    static const struct interval terms[] = {
        {24, 0, 0}, {0, 14, 0}, {6, 1, 90 * INT64_C(1000000)}, {0, 0, HOUR_US}};

    if (draw(r->fixed, 30, 3) == 0)
        batch_put_interval(b, column, terms[draw(r->fixed, 31, 4)]);
}

static void put_note(struct batch *b, size_t column, const struct shop_row *r)
{
    static const char *const notes[] = {
        "", "gift 🎁", "two\nlines", "for O'Brien", "a,b;\"c\"", "größte Vorsicht, bitte",
    };
    const char *note = notes[draw(r->fixed, 32, 6)];

    if (draw(r->fixed, 33, 2))
        batch_put_text(b, column, note, strlen(note));
}

/* clang-format off */
/*    name,        type, precision, scale, bits, source type, nullable */
static const struct shop_column user_columns[] = {
    {{"id",          {TYPE_INT, 0, 0, 0},         "", false, NULL}, put_user_id},
    {{"name",        {TYPE_STRING, 0, 0, 0},      "", false, NULL}, put_user_name},
    {{"email",       {TYPE_STRING, 0, 0, 0},      "", true, NULL}, put_email},
    {{"signed_up",   {TYPE_DATE, 0, 0, 0},        "", false, NULL}, put_signed_up},
    {{"score",       {TYPE_FLOAT, 0, 0, 64},      "", false, NULL}, put_score},
    {{"balance",     {TYPE_DECIMAL, 12, 2, 0},    "", false, NULL}, put_balance},
    {{"preferences", {TYPE_JSON, 0, 0, 0},        "", true, NULL}, put_preferences},
    {{"is_active",   {TYPE_BOOL, 0, 0, 0},        "", false, NULL}, put_is_active},
    {{"created_at",  {TYPE_TIMESTAMPTZ, 0, 0, 0}, "", false, NULL}, put_created_at},
    {{"updated_at",  {TYPE_TIMESTAMPTZ, 0, 0, 0}, "", false, NULL}, put_updated_at},
};
static const struct shop_column product_columns[] = {
    {{"id",         {TYPE_UUID, 0, 0, 0},        "", false, NULL}, put_product_id},
    {{"name",       {TYPE_STRING, 0, 0, 0},      "", false, NULL}, put_product_name},
    {{"price",      {TYPE_DECIMAL, 10, 2, 0},    "", false, NULL}, put_price},
    {{"weight",     {TYPE_FLOAT, 0, 0, 32},      "", false, NULL}, put_weight},
    {{"tags",       {TYPE_JSON, 0, 0, 0},        "", false, NULL}, put_tags},
    {{"released",   {TYPE_DATE, 0, 0, 0},        "", true, NULL}, put_released},
    {{"opens_at",   {TYPE_TIME, 0, 0, 0},        "", false, NULL}, put_opens_at},
    {{"photo",      {TYPE_BYTES, 0, 0, 0},       "", true, NULL}, put_photo},
    {{"updated_at", {TYPE_TIMESTAMPTZ, 0, 0, 0}, "", false, NULL}, put_updated_at},
};
static const struct shop_column purchase_columns[] = {
    {{"user_id",      {TYPE_INT, 0, 0, 0},         "", false, NULL}, put_buyer},
    {{"line",         {TYPE_INT, 0, 0, 0},         "", false, NULL}, put_line},
    {{"product_id",   {TYPE_UUID, 0, 0, 0},        "", false, NULL}, put_bought},
    {{"quantity",     {TYPE_INT, 0, 0, 0},         "", false, NULL}, put_quantity},
    {{"amount",       {TYPE_DECIMAL, 12, 2, 0},    "", false, NULL}, put_amount},
    {{"purchased_at", {TYPE_TIMESTAMP, 0, 0, 0},   "", false, NULL}, put_purchased_at},
    {{"warranty",     {TYPE_INTERVAL, 0, 0, 0},    "", true, NULL}, put_warranty},
    {{"note",         {TYPE_STRING, 0, 0, 0},      "", true, NULL}, put_note},
    {{"updated_at",   {TYPE_TIMESTAMPTZ, 0, 0, 0}, "", false, NULL}, put_updated_at},
};

const struct shop_stream shop_streams[SHOP_STREAMS] = {
    [USERS]     = {"users",     user_columns,     sizeof user_columns / sizeof *user_columns,
                   {0}, 1},
    [PRODUCTS]  = {"products",  product_columns,  sizeof product_columns / sizeof *product_columns,
                   {0}, 1},
    [PURCHASES] = {"purchases", purchase_columns, sizeof purchase_columns / sizeof *purchase_columns,
                   {0, 1}, 2},
};
/* clang-format on */

/* ----------------------------------------------------------------- history */

int64_t shop_rows(const struct sample_config *c, enum shop_stream_id stream, int64_t tick)
{
    switch (stream) {
    case USERS:
        return c->rows;
    case PRODUCTS:
        return products(c);
    case PURCHASES:
        return 3 * c->rows + tick * c->updates_per_run;
    case SHOP_STREAMS:
        break;
    }
    abort();
}

int64_t shop_changes(const struct sample_config *c, enum shop_stream_id stream)
{
    int64_t n = stream == PRODUCTS ? (c->updates_per_run + 4) / 5 : c->updates_per_run;

    if (stream != PURCHASES && n > shop_rows(c, stream, 0))
        return shop_rows(c, stream, 0);
    return n;
}

/*
 * The rows changed by a tick are the next ones of a window that rolls over all of them, which makes
 * "when did this row change last" a formula instead of a history. This is where it begins.
 */
static int64_t window(const struct sample_config *c, enum shop_stream_id stream)
{
    int64_t n = shop_rows(c, stream, 0);

    return (c->seed % n + n) % n;
}

int64_t shop_changed_row(const struct sample_config *c, enum shop_stream_id stream, int64_t tick,
                         int64_t k)
{
    int64_t change = (tick - 1) * shop_changes(c, stream) + k;
    int64_t n = shop_rows(c, stream, 0);

    return stream == PURCHASES ? n + change : (change + window(c, stream)) % n;
}

struct shop_row shop_row_at(const struct sample_config *c, enum shop_stream_id stream,
                            int64_t number, int64_t tick)
{
    struct shop_row r = {.config = c, .number = number, .fixed = fixed_of(c, stream, number)};
    int64_t n = shop_rows(c, stream, 0), per_tick = shop_changes(c, stream), done = tick * per_tick;
    /* The change that hit this row first; the next ones follow at distances of n. */
    int64_t first = number < n ? (number - window(c, stream) + n) % n : number - n;

    if (stream == PURCHASES) {
        r.tick = number < n ? 0 : first / per_tick + 1;
    } else if (first < done) {
        r.version = (done - 1 - first) / n + 1;
        r.tick = (first + (r.version - 1) * n) / per_tick + 1;
    }
    r.fresh = mix(r.fixed + (uint64_t)r.version);
    return r;
}
