#include "connectors/singer/deliver.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/singer/deliver_internal.h"

static struct flow *find(struct delivery *x, struct slice name)
{
    struct flow *f = x->current;

    if (f && strlen(f->stream.name) == name.len && !memcmp(f->stream.name, name.ptr, name.len))
        return f;
    for (size_t i = 0; i < x->n; i++) {
        f = x->flows[i];
        if (strlen(f->stream.name) == name.len && !memcmp(f->stream.name, name.ptr, name.len))
            return x->current = f;
    }
    return NULL;
}

static int take_schema(struct delivery *x, const struct singer_message *m, struct error *err)
{
    struct singer_schema s;
    struct flow *f = find(x, m->stream);

    if (singer_read_schema(m->line, x->mem, &s, err) < 0)
        return -1;
    if (!f)
        return flow_new(x, &s, &f, err);
    /* Records before it were read with the SCHEMA before it. */
    if (f->is_open && deliver_write(x, f, err) < 0) {
        doc_free(s.settings);
        return -1;
    }
    if (flow_change(x, f, &s, err) < 0) {
        if (f->last.settings != s.settings)
            doc_free(s.settings);
        return -1;
    }
    return 0;
}

/* The version of a stream is that of its first message, and stays. */
static int take_version(struct delivery *x, struct flow *f, struct slice version, struct error *err)
{
    if (version.len == 0)
        return 0;
    if (!f->version && !f->was_opened)
        f->version = arena_memdup(x->mem, version.ptr, version.len);
    if (f->version && strlen(f->version) == version.len &&
        !memcmp(f->version, version.ptr, version.len))
        return 0;
    return error_set_reason(err, ERR_UNSUPPORTED, "version_changed",
                            "stream \"%s\" changes its version in the middle of the input",
                            f->stream.name);
}

static bool is_due(const struct delivery *x)
{
    const struct deliver *how = x->how;

    return x->first_us != 0 && (x->rows >= how->commit_rows || x->bytes >= how->commit_bytes ||
                                clock_monotonic_us() - x->first_us >= how->commit_age_us);
}

static int commit_all(struct delivery *x, struct error *err)
{
    return deliver_flush(x, err) < 0 ? -1 : deliver_commit(x, err);
}

static int take_record(struct delivery *x, const struct singer_message *m, struct error *err)
{
    struct flow *f = find(x, m->stream);
    enum intake_outcome got;

    if (!f)
        return error_set_reason(err, ERR_DATA, "record_before_schema",
                                "a RECORD of stream \"%.*s\" came before its SCHEMA",
                                (int)(m->stream.len < 200 ? m->stream.len : 200), m->stream.ptr);
    if (take_version(x, f, m->version, err) < 0 || (!f->is_open && deliver_open(x, err) < 0))
        return -1;
    do {
        if (intake_record(&f->intake, m, &got, err) < 0)
            return -1;
        if (got != INTAKE_TAKEN && deliver_write(x, f, err) < 0)
            return -1;
    } while (got == INTAKE_WIDENED);
    if (got == INTAKE_FULL && is_due(x))
        return commit_all(x, err);
    return 0;
}

static bool holds_rows(const struct delivery *x)
{
    for (size_t i = 0; i < x->n; i++) {
        if (!batch_is_empty(x->flows[i]->intake.rows))
            return true;
    }
    return x->rows > 0;
}

static int take_state(struct delivery *x, const struct singer_message *m, struct error *err)
{
    pending_put(&x->states, m->value);
    if (!holds_rows(x))
        return deliver_commit(x, err);
    return is_due(x) ? commit_all(x, err) : 0;
}

static int take_activation(struct delivery *x, const struct singer_message *m, struct error *err)
{
    struct flow *f = find(x, m->stream);

    if (!f)
        return error_set_reason(err, ERR_DATA, "record_before_schema",
                                "an ACTIVATE_VERSION of stream \"%.*s\" came before its SCHEMA",
                                (int)(m->stream.len < 200 ? m->stream.len : 200), m->stream.ptr);
    if (take_version(x, f, m->version, err) < 0)
        return -1;
    f->is_activated = true;
    return 0;
}

static int take(struct delivery *x, struct slice line, struct error *err)
{
    struct singer_message m;

    if (singer_parse(&x->parser, line, &m, err) < 0)
        return -1;
    switch (m.kind) {
    case SINGER_SCHEMA:
        return take_schema(x, &m, err);
    case SINGER_RECORD:
        return take_record(x, &m, err);
    case SINGER_STATE:
        return take_state(x, &m, err);
    case SINGER_ACTIVATE_VERSION:
        return take_activation(x, &m, err);
    }
    abort();
}

static int run(struct delivery *x, struct error *err)
{
    for (;;) {
        enum lines_outcome got;
        struct slice line;

        if (cancel_check(x->how->run->cancel, err) < 0 ||
            lines_next(x->how->input, &got, &line, err) < 0)
            return -1;
        if (got == LINES_END)
            return deliver_finish(x, err);
        if (got == LINES_LINE && take(x, line, err) < 0) {
            return err->code == ERR_CANCELLED ? -1
                                              : error_wrap(err, "line %zu", x->how->input->number);
        }
        /* Nobody writes: what waits for its STATE need not wait for more. */
        if (got == LINES_NOTHING_YET && (x->states.n > 0 || is_due(x)) && commit_all(x, err) < 0)
            return -1;
    }
}

int singer_deliver(const struct deliver *how, struct deliver_result *out, struct error *err)
{
    struct delivery x = {.how = how, .result = out, .mem = arena_new(), .plan_mem = arena_new()};
    int status;

    *out = (struct deliver_result){0};
    singer_parser_init(&x.parser);
    status = run(&x, err);
    out->n_streams = x.n;
    deliver_close(&x);
    for (size_t i = 0; i < x.n; i++)
        flow_free(x.flows[i]);
    free(x.flows);
    pending_release(&x.states);
    singer_parser_release(&x.parser);
    arena_free(x.mem);
    return status;
}
