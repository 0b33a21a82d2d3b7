/* The destination's side of a delivery: opening, writing, committing. */
#include <stdlib.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/singer/deliver_internal.h"

/* ---------------------------------------------------------------------- opening */

/* What stands beside the rows of a stream: the version they are of. */
static const char *position_text(struct arena *mem, const char *version)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(4096);
    struct jsonw w = JSONW_INIT(&b);

    jsonw_object(&w);
    jsonw_put_string(&w, "kind", "singer");
    jsonw_put_string(&w, "version", version);
    jsonw_object_end(&w);
    return arena_strdup(mem, buf_str(&b));
}

/* Whether the rows that the destination has for a stream are of another version, or were left by a
 * run that did not end. */
static bool must_begin_anew(const struct flow *f, const struct stream_position *p)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    struct error ignored = ERROR_INIT;
    const char *have;

    if (f->was_opened)
        return false;
    if (f->want.write_mode == WRITE_OVERWRITE)
        return p->position != NULL;
    if (!f->version || (!p->position && p->seq == 0))
        return false;
    if (!p->position || doc_parse(p->position, strlen(p->position), &d, &ignored) < 0)
        return true;
    have = doc_string(doc_get(d, "version"), NULL);
    return !have || strcmp(have, f->version) != 0;
}

static int open_plan(struct delivery *x, const struct selected_stream *streams, size_t n,
                     bool restart, struct stream_position *out, struct error *err)
{
    const struct deliver *how = x->how;

    x->plan_run = *how->run;
    x->plan_run.mem = x->plan_mem;
    x->plan = (struct write_plan){.pipeline = how->pipeline,
                                  .streams = streams,
                                  .n = n,
                                  .max_quarantined_rows = how->max_bad_rows,
                                  .max_quarantined_ratio = how->max_bad_ratio,
                                  .metadata = METADATA_NONE,
                                  .restart = restart};
    if (how->destination->open(how->config, &x->plan_run, &x->plan, &x->d, err) < 0) {
        x->d = NULL;
        return -1;
    }
    return x->d->ops->recover(x->d, out, err);
}

static void close_destination(struct delivery *x)
{
    if (x->d)
        x->d->ops->close(x->d);
    x->d = NULL;
}

/* Streams whose old rows are to go begin a generation of their own; *out says whether one does. */
static int begin_anew(struct delivery *x, const struct stream_position *have, bool *out,
                      struct error *err)
{
    struct selected_stream *streams = arena_array(x->plan_mem, x->n, sizeof *streams);
    struct stream_position *ignored = arena_array(x->plan_mem, x->n, sizeof *ignored);
    size_t n = 0;

    for (size_t i = 0; i < x->n; i++) {
        if (!must_begin_anew(x->flows[i], &have[i]))
            continue;
        x->flows[i]->anew = true;
        streams[n++] = x->flows[i]->want;
    }
    *out = n > 0;
    if (n == 0)
        return 0;
    close_destination(x);
    return open_plan(x, streams, n, true, ignored, err);
}

int deliver_open(struct delivery *x, struct error *err)
{
    struct selected_stream *streams;
    struct stream_position *have;
    bool restarted;

    if (deliver_flush(x, err) < 0 || deliver_commit(x, err) < 0)
        return -1;
    close_destination(x);
    arena_free(x->plan_mem);
    x->plan_mem = arena_new();
    streams = arena_array(x->plan_mem, x->n + 1, sizeof *streams);
    have = arena_array(x->plan_mem, x->n + 1, sizeof *have);
    x->upto = arena_array(x->plan_mem, x->n + 1, sizeof *x->upto);
    x->none = arena_array(x->plan_mem, x->n + 1, sizeof *x->none);
    x->did = arena_array(x->plan_mem, x->n + 1, sizeof *x->did);
    for (size_t i = 0; i < x->n; i++)
        streams[i] = x->flows[i]->want;
    if (open_plan(x, streams, x->n, false, have, err) < 0 ||
        begin_anew(x, have, &restarted, err) < 0)
        return -1;
    if (restarted) {
        close_destination(x);
        if (open_plan(x, streams, x->n, false, have, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < x->n; i++) {
        struct flow *f = x->flows[i];

        f->at = i;
        f->is_open = f->was_opened = true;
        f->position = position_text(x->mem, f->version);
    }
    return 0;
}

/* ---------------------------------------------------------------------- writing */

int deliver_write(struct delivery *x, struct flow *f, struct error *err)
{
    struct batch *rows = f->intake.rows;
    size_t n_rejected;

    if (!batch_is_empty(rows)) {
        batch_rejected(rows, &n_rejected);
        if (x->d->ops->write(x->d, f->at, rows, err) < 0)
            return -1;
        f->rows += (int64_t)(batch_rows(rows) + n_rejected);
        x->rows += (int64_t)(batch_rows(rows) + n_rejected);
        x->bytes += (int64_t)batch_bytes(rows);
        if (x->first_us == 0)
            x->first_us = clock_monotonic_us();
    }
    batch_reset(rows, f->intake.bind.schema);
    return 0;
}

int deliver_flush(struct delivery *x, struct error *err)
{
    for (size_t i = 0; i < x->n; i++) {
        if (!batch_is_empty(x->flows[i]->intake.rows) && deliver_write(x, x->flows[i], err) < 0)
            return -1;
    }
    return 0;
}

static int check_counts(const struct flow *f, const struct counts *did, struct error *err)
{
    if (did->read == f->rows && counts_balance(did))
        return 0;
    return error_set_reason(err, ERR_INTERNAL, "accounting_error",
                            "stream \"%s\": the destination was given %lld rows and accounts for "
                            "%lld",
                            f->stream.name, (long long)f->rows, (long long)did->read);
}

static int settle(struct delivery *x, struct flow *f, const struct counts *did, struct error *err)
{
    if (check_counts(f, did, err) < 0)
        return -1;
    f->rows = 0;
    counts_add(&x->result->counts, did);
    return 0;
}

/* Nothing is given back while rows are written that nobody sees yet. */
static bool is_hidden(const struct delivery *x)
{
    for (size_t i = 0; i < x->n; i++) {
        if (x->flows[i]->anew)
            return true;
    }
    return false;
}

static int tell_states(struct delivery *x, struct error *err)
{
    char *text;

    while ((text = pending_take(&x->states))) {
        int status = x->how->state(x->how->arg, (struct slice){text, strlen(text)}, err);

        free(text);
        if (status < 0)
            return -1;
    }
    return 0;
}

static int commit_rows(struct delivery *x, struct error *err)
{
    for (size_t i = 0; i < x->n; i++) {
        const struct flow *f = x->flows[i];

        if (f->is_open) {
            x->upto[f->at] = f->rows > 0 ? f->position : NULL; /* NULL: nothing is new */
            x->did[f->at] = (struct counts){0};
        }
    }
    if (x->d->ops->commit(x->d, x->upto, x->none, x->did, err) < 0)
        return -1;
    for (size_t i = 0; i < x->n; i++) {
        if (x->flows[i]->is_open && settle(x, x->flows[i], &x->did[x->flows[i]->at], err) < 0)
            return -1;
    }
    x->rows = x->bytes = x->first_us = 0;
    return 0;
}

int deliver_commit(struct delivery *x, struct error *err)
{
    if (x->rows > 0 && commit_rows(x, err) < 0)
        return -1;
    return is_hidden(x) ? 0 : tell_states(x, err);
}

/* ----------------------------------------------------------------------- ending */

static int finish_flow(struct delivery *x, struct flow *f, struct error *err)
{
    const struct counts none = {0};
    struct counts did = {0};

    if (f->anew && f->version && !f->is_activated)
        return error_set_reason(err, ERR_DATA, "not_activated",
                                "stream \"%s\" ended without an ACTIVATE_VERSION of version %s: "
                                "its new rows are not shown, the old ones stay",
                                f->stream.name, f->version);
    if (x->d->ops->finish(x->d, f->at, f->position, &none, &did, err) < 0)
        return error_wrap(err, "stream \"%s\"", f->stream.name);
    f->anew = false;
    return settle(x, f, &did, err);
}

int deliver_finish(struct delivery *x, struct error *err)
{
    for (size_t i = 0; i < x->n; i++) {
        if (!x->flows[i]->is_open) {
            if (deliver_open(x, err) < 0)
                return -1;
            break;
        }
    }
    if (deliver_flush(x, err) < 0 || deliver_commit(x, err) < 0)
        return -1;
    for (size_t i = 0; i < x->n; i++) {
        if (finish_flow(x, x->flows[i], err) < 0)
            return -1;
    }
    return tell_states(x, err);
}

void deliver_close(struct delivery *x)
{
    close_destination(x);
    arena_free(x->plan_mem);
}
