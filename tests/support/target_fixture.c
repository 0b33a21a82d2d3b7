#include "tests/support/target_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/databases.h"
#include "tests/support/harness.h"
#include "tests/support/sqlite_fixture.h"

extern const struct destination_connector destination_sqlite, destination_postgres,
    destination_mysql;

const char *const engine_names[ENGINE_COUNT] = {"sqlite", "postgres", "mysql"};
static const struct destination_connector *const connectors[ENGINE_COUNT] = {
    &destination_sqlite, &destination_postgres, &destination_mysql};

static const struct column columns[] = {
    {.name = "id", .type = {.type = TYPE_INT}, .source_type = ""},
    {.name = "v", .type = {.type = TYPE_STRING}, .source_type = "", .nullable = true},
    {.name = "n", .type = {.type = TYPE_INT}, .source_type = "", .nullable = true},
};
static const size_t first_column = 0;
const struct schema target_schema = {columns, 3, &first_column, 1};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    abort();
}

static enum database_kind kind_of(const struct target *t)
{
    return t->engine == ENGINE_POSTGRES ? DATABASE_POSTGRES : DATABASE_MYSQL;
}

void target_init(struct target *t, enum engine engine, const char *more)
{
    const char *config;

    *t = (struct target){.engine = engine, .connector = connectors[engine], .err = ERROR_INIT};
    t->mem = arena_new();
    tempdir_make(t->dir);
    if (cancel_new(&t->cancel, &t->err) < 0)
        die("target", t->err.message);
    t->run = (struct run){.mem = t->mem, .cancel = t->cancel, .log = &log_nowhere, .id = "1"};
    if (engine == ENGINE_SQLITE) {
        t->database = arena_printf(t->mem, "%s/to.db", t->dir);
        config = arena_printf(t->mem, "{\"path\":\"%s\"%s}", t->database, more);
    } else {
        t->database = databases_new(kind_of(t), t->mem);
        config = databases_config(kind_of(t), t->database, more, t->mem);
    }
    if (harness_decode(t->connector->options, t->connector->config_size, config, t->mem, &t->config,
                       &t->config_doc, &t->err) < 0)
        die("configuration", t->err.message);
    t->plan = (struct write_plan){.pipeline = "test",
                                  .streams = t->selected,
                                  .max_quarantined_rows = 1000,
                                  .max_quarantined_ratio = 1,
                                  .metadata = METADATA_MINIMAL};
    target_add(t, "t", &target_schema);
}

void target_release(struct target *t)
{
    cancel_free(t->cancel);
    doc_free(t->config_doc);
    tempdir_remove(t->dir);
    arena_free(t->mem);
}

void target_set_schema(struct target *t, size_t i, const struct schema *schema)
{
    t->streams[i].schema = schema;
    t->selected[i].schema = schema;
}

void target_add(struct target *t, const char *name, const struct schema *schema)
{
    size_t i = t->plan.n++;

    t->streams[i] =
        (struct stream){.namespace = "", .name = name, .schema = schema, .row_estimate = -1};
    t->selected[i] = (struct selected_stream){.stream = &t->streams[i],
                                              .schema = schema,
                                              .cursor = -1,
                                              .alias = name,
                                              .destination_namespace = "",
                                              .write_mode = WRITE_OVERWRITE};
}

void target_modes(struct target *t, size_t i, enum sync_mode sync, enum write_mode write)
{
    t->selected[i].sync_mode = sync;
    t->selected[i].write_mode = write;
}

const struct schema *target_columns(struct target *t, const char *text)
{
    struct column *c = arena_array(t->mem, 64, sizeof *c);
    size_t *key = arena_array(t->mem, 64, sizeof *key);
    struct schema *s = arena_alloc(t->mem, sizeof *s);
    char *copy = arena_strdup(t->mem, text), *rest = NULL;

    *s = (struct schema){c, 0, key, 0};
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *colon = strchr(word, ':'), *mark = strchr(word, '!');

        *colon = '\0';
        if (mark) {
            *mark = '\0';
            key[s->n_key++] = s->n_columns;
        }
        c[s->n_columns].name = word;
        c[s->n_columns].source_type = "";
        c[s->n_columns].nullable = !mark;
        if (!type_parse(colon + 1, &c[s->n_columns++].type))
            die("no type", colon + 1);
    }
    return s;
}

/* Names between double quotes, for MariaDB between its own. */
static const char *in_words(const struct target *t, const char *sql)
{
    char *copy = arena_strdup(t->mem, sql);

    for (char *s = copy; *s && t->engine == ENGINE_MYSQL; s++) {
        if (*s == '"')
            *s = '`';
    }
    return copy;
}

const char *target_words(const struct target *t, const char *sqlite, const char *postgres,
                         const char *mysql)
{
    const char *const words[ENGINE_COUNT] = {sqlite, postgres, mysql};

    return words[t->engine];
}

void target_exec(struct target *t, const char *sql)
{
    if (t->engine == ENGINE_SQLITE)
        fixture_exec(t->database, sql);
    else
        databases_run(kind_of(t), t->database, in_words(t, sql));
}

const char *target_text(struct target *t, const char *sql)
{
    if (t->engine == ENGINE_SQLITE)
        return arena_strdup(t->mem, fixture_text(t->database, sql));
    return databases_rows(kind_of(t), t->database, in_words(t, sql), t->mem);
}

long long target_int(struct target *t, const char *sql)
{
    return atoll(target_text(t, sql));
}

struct destination *target_open(struct target *t)
{
    struct destination *d;

    t->err = ERROR_INIT;
    if (t->connector->open(t->config, &t->run, &t->plan, &d, &t->err) < 0)
        return NULL;
    if (d->ops->recover(d, t->at, &t->err) < 0) {
        d->ops->close(d);
        return NULL;
    }
    t->last = d;
    return d;
}

struct destination *target_last(const struct target *t)
{
    return t->last;
}

struct target_hold {
    struct databases_session *session;
    int64_t ms;
    const char *end;
};

static void *hold(void *arg)
{
    struct target_hold *h = arg;

    usleep((useconds_t)(h->ms * 1000));
    databases_close(h->session, h->end);
    return NULL;
}

void target_hold(struct target *t, const char *sql, int64_t ms, const char *end)
{
    struct target_hold *h = arena_alloc(t->mem, sizeof *h);

    *h = (struct target_hold){databases_open(kind_of(t), t->database, in_words(t, sql), t->mem), ms,
                              end};
    t->hold = h;
    if (pthread_create(&t->holder, NULL, hold, h) != 0)
        die("starting a thread", "it failed");
}

void target_let_go(struct target *t)
{
    pthread_join(t->holder, NULL);
    t->hold = NULL;
}

void target_next_run(struct target *t)
{
    static int n = 1;

    t->run.id = arena_printf(t->mem, "%d", ++n);
}

static void put_cell(struct batch *b, size_t column, const char *s, size_t n)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT((size_t)4 << 20);

    if (n == 1 && *s == '~')
        return;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\\' && i + 1 < n && s[i + 1] == '0') {
            buf_putc(&text, '\0');
            i++;
        } else if (s[i] == '\\' && i + 1 < n && strchr(",;~\\", s[i + 1])) {
            buf_putc(&text, s[++i]);
        } else {
            buf_putc(&text, s[i]);
        }
    }
    /* Deeper documents than our own reader takes come from databases. */
    if (batch_schema(b)->columns[column].type.type == TYPE_JSON)
        batch_put_text(b, column, buf_str(&text), text.len);
    else
        batch_put_parsed(b, column, buf_str(&text), text.len);
}

static const char *cell_end(const char *s)
{
    while (*s && *s != ',' && *s != ';')
        s += *s == '\\' && s[1] ? 2 : 1;
    return s;
}

struct batch *target_batch(struct target *t, const struct schema *schema, const char *rows)
{
    struct batch *b = batch_new(schema);

    (void)t;
    for (const char *s = rows; *s;) {
        for (size_t c = 0; c < schema->n_columns; c++) {
            const char *end = cell_end(s);

            put_cell(b, c, s, (size_t)(end - s));
            s = *end == ',' ? end + 1 : end;
        }
        batch_end_row(b);
        s += *s == ';';
    }
    return b;
}

int target_write_as(struct target *t, struct destination *d, size_t i, const struct schema *schema,
                    const char *rows)
{
    struct batch *b = target_batch(t, schema, rows);
    int rc = d->ops->write(d, i, b, &t->err);

    batch_free(b);
    return rc;
}

int target_write(struct target *t, struct destination *d, size_t i, const char *rows)
{
    return target_write_as(t, d, i, t->selected[i].schema, rows);
}

int target_commit(struct target *t, struct destination *d, const char *position)
{
    const char *upto[TARGET_MAX_STREAMS] = {position};
    struct counts none[TARGET_MAX_STREAMS] = {0}, out[TARGET_MAX_STREAMS] = {0};
    int rc = d->ops->commit(d, upto, none, out, &t->err);

    if (rc == 0)
        t->did = out[0];
    return rc;
}

int target_finish(struct target *t, struct destination *d, size_t i, const char *position)
{
    struct counts none = {0}, out = {0};
    int rc = d->ops->finish(d, i, position, &none, &out, &t->err);

    if (rc == 0)
        t->did = out;
    return rc;
}

int target_run(struct target *t, const char *rows, const char *position)
{
    struct destination *d;
    int rc;

    target_next_run(t);
    d = target_open(t);
    if (!d)
        return -1;
    rc = target_write(t, d, 0, rows);
    if (rc == 0)
        rc = target_finish(t, d, 0, position);
    d->ops->close(d);
    return rc;
}
