#include "connectors/base/metric.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "connectors/base/arena.h"
#include "connectors/base/cleanup.h"

/* ------------------------------------------------------------------- the table */

enum kind { COUNTER, GAUGE, REQUEST_TIMES, RUN_TIMES };

/* clang-format off */
#define METRIC_ROW(id, kind, name, labels, help) [METRIC_##id] = {kind, name, labels, help},
static const struct row {
    enum kind kind;
    const char *name, *labels, *help;
} table[] = {METRICS(METRIC_ROW)};
#undef METRIC_ROW
/* clang-format on */

#define MAX_BUCKETS 14

/* Upper bounds as text and in microseconds. Those of requests are OpenTelemetry's. */
static const struct buckets {
    size_t n;
    const char *text[MAX_BUCKETS];
    int64_t us[MAX_BUCKETS];
} buckets_of[] = {
    [REQUEST_TIMES] = {14,
                       {"0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75",
                        "1", "2.5", "5", "7.5", "10"},
                       {5000, 10000, 25000, 50000, 75000, 100000, 250000, 500000, 750000, 1000000,
                        2500000, 5000000, 7500000, 10000000}},
    [RUN_TIMES] = {8,
                   {"1", "5", "15", "60", "300", "900", "3600", "14400"},
                   {1000000, 5000000, 15000000, 60000000, 300000000, 900000000, 3600000000,
                    14400000000}},
};

static bool is_histogram(enum metric m)
{
    return table[m].kind == REQUEST_TIMES || table[m].kind == RUN_TIMES;
}

static bool is_seconds(const char *name)
{
    return strstr(name, "_seconds") != NULL;
}

/* ---------------------------------------------------------------------- series */

/* Never freed: the series of a process are few, and a reader may look at them at any time. */
struct series {
    struct series *next; /* of the same metric */
    enum metric metric;
    struct metric_labels labels;
    _Atomic int64_t value; /* of a histogram: the sum */
    _Atomic int64_t counts[MAX_BUCKETS + 1];
};

#define SLOTS 4096 /* a power of two, above METRIC_MAX_LINES */

/* Found without a lock, added under one. Open addressing; a slot is filled once and for all. */
static _Atomic(struct series *) slots[SLOTS];
static _Atomic(struct series *) first[METRIC_N];
static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;
static size_t n_lines;

/* The series without labels. */
static struct series plain[METRIC_N];

static size_t hash_of(enum metric m, const struct metric_labels *labels)
{
    uint64_t h = 1469598103934665603u ^ m;

    for (size_t i = 0; i < METRIC_MAX_LABELS && labels->value[i]; i++) {
        for (const char *c = labels->value[i]; *c; c++)
            h = (h ^ (unsigned char)*c) * 1099511628211u;
        h = (h ^ 0xff) * 1099511628211u;
    }
    return (size_t)(h ^ h >> 32);
}

static bool same(const struct series *s, enum metric m, const struct metric_labels *labels)
{
    if (s->metric != m)
        return false;
    for (size_t i = 0; i < METRIC_MAX_LABELS; i++) {
        const char *a = s->labels.value[i], *b = labels->value[i];

        if (a != b && (!a || !b || strcmp(a, b) != 0))
            return false;
    }
    return true;
}

/* The series with these labels, or NULL with the free slot where it belongs. */
static struct series *look_up(enum metric m, const struct metric_labels *labels, size_t *out_slot)
{
    size_t i = hash_of(m, labels) & (SLOTS - 1);
    struct series *s;

    while ((s = atomic_load_explicit(&slots[i], memory_order_acquire)) != NULL) {
        if (same(s, m, labels))
            return s;
        i = (i + 1) & (SLOTS - 1);
    }
    *out_slot = i;
    return NULL;
}

static size_t lines_of(enum metric m)
{
    return is_histogram(m) ? buckets_of[table[m].kind].n + 3 : 1;
}

static struct series *add(enum metric m, const struct metric_labels *labels, size_t slot)
{
    struct series *s = xalloc(sizeof *s);

    s->metric = m;
    for (size_t i = 0; i < METRIC_MAX_LABELS && labels->value[i]; i++)
        s->labels.value[i] = xstrdup(labels->value[i]);
    s->next = atomic_load(&first[m]);
    n_lines += lines_of(m);
    atomic_store(&first[m], s);
    atomic_store_explicit(&slots[slot], s, memory_order_release);
    return s;
}

/* Is `value` among those that the table gives, if it gives any? */
static bool is_listed(enum metric m, const char *value)
{
    const char *p = strchr(table[m].labels, '=');
    size_t n = strlen(value);

    while (p) {
        p++;
        if (!strncmp(p, value, n) && (p[n] == '|' || p[n] == '\0'))
            return true;
        p = strchr(p, '|');
    }
    return !strchr(table[m].labels, '=');
}

static size_t count_labels(enum metric m)
{
    size_t n = *table[m].labels != '\0';

    for (const char *p = table[m].labels; *p; p++)
        n += *p == ',';
    return n;
}

/* As many labels as the table has, none of them NULL. */
static void complete(enum metric m, const struct metric_labels *given, bool other,
                     struct metric_labels *out)
{
    size_t n = count_labels(m);

    for (size_t i = 0; i < METRIC_MAX_LABELS; i++) {
        const char *v = given->value[i] ? given->value[i] : "";

        assert((i < n || !given->value[i]) && "more labels than the table has");
        out->value[i] = i >= n ? NULL : other || !is_listed(m, v) ? "_OTHER" : v;
    }
}

static struct series *find_or_add(enum metric m, const struct metric_labels *given)
{
    struct metric_labels labels;
    struct series *s;
    size_t slot;

    complete(m, given, false, &labels);
    s = look_up(m, &labels, &slot);
    if (s)
        return s;
    {
        LOCK_GUARD(&adding);

        if (n_lines + lines_of(m) > METRIC_MAX_LINES)
            complete(m, given, true, &labels);
        s = look_up(m, &labels, &slot);
        return s ? s : add(m, &labels, slot);
    }
}

static struct series *series_of(enum metric m, const struct metric_labels *labels)
{
    return labels ? find_or_add(m, labels) : &plain[m];
}

/* --------------------------------------------------------------------- counting */

void metric_add(enum metric m, int64_t n)
{
    metric_add_for(m, NULL, n);
}

void metric_add_for(enum metric m, const struct metric_labels *labels, int64_t n)
{
    atomic_fetch_add_explicit(&series_of(m, labels)->value, n, memory_order_relaxed);
}

void metric_set(enum metric m, int64_t value)
{
    metric_set_for(m, NULL, value);
}

void metric_set_for(enum metric m, const struct metric_labels *labels, int64_t value)
{
    atomic_store_explicit(&series_of(m, labels)->value, value, memory_order_relaxed);
}

void metric_observe(enum metric m, int64_t us)
{
    metric_observe_for(m, NULL, us);
}

void metric_observe_for(enum metric m, const struct metric_labels *labels, int64_t us)
{
    const struct buckets *b = &buckets_of[table[m].kind];
    struct series *s = series_of(m, labels);
    size_t i = 0;

    assert(is_histogram(m));
    while (i < b->n && us > b->us[i])
        i++;
    atomic_fetch_add_explicit(&s->counts[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->value, us, memory_order_relaxed);
}

int64_t metric_value(enum metric m, const struct metric_labels *labels)
{
    struct metric_labels whole;
    const struct series *s = &plain[m];
    size_t slot;

    if (labels) {
        complete(m, labels, false, &whole);
        s = look_up(m, &whole, &slot);
    }
    return s ? atomic_load_explicit(&s->value, memory_order_relaxed) : 0;
}

/* ---------------------------------------------------------------------- writing */

static void put_number(struct buf *out, enum metric m, int64_t value)
{
    uint64_t part = value < 0 ? -(uint64_t)value : (uint64_t)value;

    if (!is_seconds(table[m].name))
        buf_printf(out, "%" PRId64 "\n", value);
    else
        buf_printf(out, "%s%" PRIu64 ".%06" PRIu64 "\n", value < 0 ? "-" : "", part / 1000000,
                   part % 1000000);
}

static void put_escaped(struct buf *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '\n')
            buf_puts(out, "\\n");
        else if (*s == '\\' || *s == '"')
            buf_printf(out, "\\%c", *s);
        else
            buf_putc(out, *s);
    }
}

/* {method="GET",le="0.1"}; nothing at all when there are no labels. */
static void put_labels(struct buf *out, const struct series *s, const char *le)
{
    const char *name = table[s->metric].labels;
    const char *between = "{";

    for (size_t i = 0; i < METRIC_MAX_LABELS && s->labels.value[i]; i++) {
        size_t n = strcspn(name, ",=");

        buf_puts(out, between);
        buf_put(out, name, n);
        buf_puts(out, "=\"");
        put_escaped(out, s->labels.value[i]);
        buf_putc(out, '"');
        name += n + (name[n] == ',');
        between = ",";
    }
    if (le)
        buf_printf(out, "%sle=\"%s\"", between, le);
    if (le || s->labels.value[0])
        buf_putc(out, '}');
    buf_putc(out, ' ');
}

/* The count is the sum of what was read, so that the buckets agree with it whatever is added
 * meanwhile. */
static void put_histogram(struct buf *out, enum metric m, const struct series *s)
{
    const struct buckets *b = &buckets_of[table[m].kind];
    int64_t n = 0;

    for (size_t i = 0; i <= b->n; i++) {
        n += atomic_load_explicit(&s->counts[i], memory_order_relaxed);
        buf_printf(out, "%s_bucket", table[m].name);
        put_labels(out, s, i < b->n ? b->text[i] : "+Inf");
        buf_printf(out, "%" PRId64 "\n", n);
    }
    buf_printf(out, "%s_sum", table[m].name);
    put_labels(out, s, NULL);
    put_number(out, m, atomic_load_explicit(&s->value, memory_order_relaxed));
    buf_printf(out, "%s_count", table[m].name);
    put_labels(out, s, NULL);
    buf_printf(out, "%" PRId64 "\n", n);
}

static void put_series(struct buf *out, enum metric m, const struct series *s)
{
    if (is_histogram(m)) {
        put_histogram(out, m, s);
        return;
    }
    buf_puts(out, table[m].name);
    put_labels(out, s, NULL);
    put_number(out, m, atomic_load_explicit(&s->value, memory_order_relaxed));
}

/* A rate can be taken of a counter only from the second time that it is seen: so it is there before
 * the first thing is counted. */
static void add_listed(enum metric m)
{
    const char *p = strchr(table[m].labels, '=');
    char value[64];

    while (p) {
        size_t n = strcspn(++p, "|");

        assert(n < sizeof value);
        memcpy(value, p, n);
        value[n] = '\0';
        (void)find_or_add(m, METRIC_LABELS(value));
        p = strchr(p, '|');
    }
}

void metric_write_sample(enum metric m, const struct metric_labels *labels, int64_t value,
                         struct buf *out)
{
    struct series s = {.metric = m, .value = value};

    assert(!is_histogram(m));
    complete(m, labels, false, &s.labels);
    put_series(out, m, &s);
}

void metric_write_all(void (*more)(void *arg, enum metric m, struct buf *out), void *arg,
                      struct buf *out)
{
    for (enum metric m = 0; m < METRIC_N; m++) {
        const struct row *row = &table[m];

        add_listed(m);
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name,
                   row->kind == COUNTER ? "counter"
                   : row->kind == GAUGE ? "gauge"
                                        : "histogram");
        if (!*row->labels)
            put_series(out, m, &plain[m]);
        for (const struct series *s = atomic_load(&first[m]); s; s = s->next)
            put_series(out, m, s);
        if (more)
            more(arg, m, out);
    }
}
