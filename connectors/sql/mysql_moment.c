/*
 * Who may still commit something old (B4): the clock first, then the statements that run, then the
 * transactions of InnoDB.
 *
 * A statement takes its time when it begins and may wait long (for a lock on the table) before
 * InnoDB knows of it, so a running statement without a transaction counts as open too. Transactions
 * that cannot write do not count, our own readers among them. InnoDB answers from a copy that may
 * be old when many ask: the answer counts only when it holds our own transaction with this very
 * question. What a program took as the time in a transaction that had touched no table yet, cannot
 * be seen: the option `lookback_s` is for those. Without the right PROCESS nothing can be seen.
 *
 * A transaction is known by the second in which it began, since it gets its number only when it
 * first writes and loses its thread when it is prepared (XA); and by its number as well, which a
 * prepared one keeps over a restart. Others that began in the same second only make us wait longer.
 * A statement that has no transaction yet is known by its session, and waited for until that is
 * found with neither.
 */
#include <stdio.h>
#include <stdlib.h>

#include "connectors/base/clock.h"
#include "connectors/sql/mysql_source.h"

#define MAX_OPEN      10000
#define LOOKS_MAX     30
#define COPY_LIVES_MS 110 /* InnoDB makes a new one when the last was not asked for 100 ms */
#define APART_MS      500 /* so that several who ask leave such a gap between them */

struct token {
    const char *text;
    int64_t thread; /* of a statement; the tokens of its transaction replace it */
};

struct look {
    struct arena *mem;
    struct token *tokens;
    size_t n, n_statements;
    const char **also; /* how statements of these transactions may have been known */
    size_t n_also;
    bool fresh; /* our own transaction is among them, asking this question */
    bool too_many;
    char question[32];
};

static void add(struct look *l, const char *text, int64_t thread)
{
    l->too_many |= l->n == MAX_OPEN;
    if (l->n < MAX_OPEN)
        l->tokens[l->n++] = (struct token){text, thread};
}

static const char *session(struct look *l, int64_t thread)
{
    return arena_printf(l->mem, "c%lld", (long long)thread);
}

static int take_statement(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct look *l = arg;

    (void)n;
    (void)err;
    add(l, session(l, v[0].number), v[0].number);
    return 0;
}

/* look, thread, number, beginning, may write, is ours, question */
static int take_transaction(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct look *l = arg;
    int64_t thread = v[1].number;
    bool ours = v[5].number == 1;

    (void)n;
    (void)err;
    if (ours)
        l->fresh |= text_starts_with(sql_value_text(l->mem, &v[6]), l->question);
    /* Its statement is named by the transaction, or cannot write. */
    for (size_t i = 0; i < l->n_statements; i++) {
        if (l->tokens[i].thread == thread)
            l->tokens[i].text = NULL;
    }
    if (ours || v[4].number == 0)
        return 0;
    if (thread != 0 && l->n_also < MAX_OPEN)
        l->also[l->n_also++] = session(l, thread);
    add(l, arena_printf(l->mem, "b%s", sql_value_text(l->mem, &v[3])), 0);
    if (v[2].number != 0)
        add(l, arena_printf(l->mem, "x%s", sql_value_text(l->mem, &v[2])), 0);
    return 0;
}

static int ask_statements(struct mysql_reader *r, struct look *l, struct error *err)
{
    const char *sql = "SELECT id FROM information_schema.processlist"
                      " WHERE command IN ('Query', 'Execute') AND id <> connection_id()";

    if (mysql_driver.query(&r->conn->base, sql, NULL, 0, take_statement, l, err) < 0)
        return -1;
    l->n_statements = l->n;
    return 0;
}

static int ask_transactions(struct mysql_reader *r, struct look *l, struct error *err)
{
    char sql[400];

    snprintf(l->question, sizeof l->question, "SELECT %u AS look", ++r->looks);
    snprintf(sql, sizeof sql,
             "%s, trx_mysql_thread_id, trx_id, trx_started,"
             " trx_is_read_only = 0 AND trx_autocommit_non_locking = 0,"
             " trx_mysql_thread_id = connection_id(), trx_query"
             " FROM information_schema.innodb_trx",
             l->question);
    return mysql_driver.query(&r->conn->base, sql, NULL, 0, take_transaction, l, err);
}

static int64_t pause_ms(int look)
{
    int64_t apart = (int64_t)look * COPY_LIVES_MS;

    return COPY_LIVES_MS + clock_monotonic_us() % (apart < APART_MS ? apart : APART_MS);
}

/* Asks until the answer is not older than the question. */
static int look(struct mysql_reader *r, struct look *l, struct error *err)
{
    for (int i = 0; i < LOOKS_MAX && !l->fresh; i++) {
        l->n = l->n_also = 0;
        if (i > 0 && cancel_sleep_ms(r->base.run->cancel, pause_ms(i), err) < 0)
            return -1;
        if (ask_statements(r, l, err) < 0 || ask_transactions(r, l, err) < 0)
            return -1;
    }
    return 0;
}

/* 0 with l->fresh, or without it when the right to see is missing. */
static int look_around(struct mysql_reader *r, struct look *l, struct error *err)
{
    struct error why = ERROR_INIT;
    int64_t ignored;
    int rc;

    if (mysql_driver.exec(&r->conn->base, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
                          NULL, 0, &ignored, err) < 0)
        return -1;
    rc = look(r, l, &why);
    if (rc < 0 && why.code != ERR_PERMISSION) {
        *err = why;
        return -1;
    }
    return mysql_driver.exec(&r->conn->base, "COMMIT", NULL, 0, &ignored, err);
}

static void keep_tokens(const struct look *l, struct arena *mem, struct sql_moment *out)
{
    const char **open = arena_array(mem, l->n + 1, sizeof *open);

    out->open = open;
    for (size_t i = 0; i < l->n; i++) {
        if (l->tokens[i].text)
            open[out->n_open++] = l->tokens[i].text;
    }
    out->also = l->also;
    out->n_also = l->n_also;
}

int mysql_moment(struct sql_reader *base, struct arena *mem, struct sql_moment *out,
                 struct error *err)
{
    struct mysql_reader *r = (struct mysql_reader *)base;
    CLEANUP(free_cleanup) struct token *tokens = xalloc(MAX_OPEN * sizeof *tokens);
    struct look l = {
        .mem = mem, .tokens = tokens, .also = arena_array(mem, MAX_OPEN, sizeof(char *))};
    bool is_null;

    *out = (struct sql_moment){0};
    if (mysql_source_driver.number(base, "SELECT now(6)", NULL, 0, &out->unix_us, &is_null, err) <
        0)
        return -1;
    if (r->blind)
        return 0;
    if (look_around(r, &l, err) < 0)
        return -1;
    out->visible = l.fresh && !l.too_many;
    if (out->visible)
        keep_tokens(&l, mem, out);
    return 0;
}
