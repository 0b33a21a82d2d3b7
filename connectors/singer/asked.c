#include "connectors/singer/asked.h"

#include <pthread.h>
#include <stdlib.h>

#include "connectors/base/clock.h"
#include "connectors/secret.h"
#include "connectors/singer/process.h"

#define GRACE_MS 500 /* it only had to say something */

/* ----------------------------------------------------------------------- asking */

/* Everything it prints, until its good end. */
static int hear(struct process *p, struct buf *out, struct error *err)
{
    int64_t until_us = clock_monotonic_us() + (int64_t)ASKED_WAIT_MS * 1000;
    int64_t left_ms = ASKED_WAIT_MS;
    unsigned ready;
    size_t n;

    while (!process_at_end(p)) {
        char *room = buf_reserve(out, 1 << 14);

        if (!room || left_ms <= 0)
            return error_set(err, ERR_TOO_LARGE, "the answer is too long, or takes too long");
        if (process_wait(p, PROCESS_OUTPUT, left_ms, &ready, err) < 0 ||
            process_read(p, room, 1 << 14, &n, err) < 0)
            return -1;
        out->len += n;
        left_ms = (until_us - clock_monotonic_us()) / 1000;
    }
    return process_finish(p, left_ms < 0 ? 0 : left_ms, err);
}

static int run_with(const struct program *p, const char *flag, struct run *run, struct doc **out,
                    struct error *err)
{
    const char *const args[] = {flag, NULL};
    const struct process_start how = {.program = p, .args = args, .grace_ms = GRACE_MS};
    CLEANUP(buf_release) struct buf text = BUF_INIT(ASKED_MAX_BYTES);
    CLEANUP(process_free_cleanup) struct process *process = NULL;

    if (process_start(&how, run, &process, err) < 0 || hear(process, &text, err) < 0)
        return -1;
    return doc_parse(buf_str(&text), text.len, out, err);
}

/* NULL when it does not know the flag, or answers with something else. */
static struct doc *ask(const struct program *p, const char *flag)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct run run = {.mem = mem, .log = &log_nowhere, .id = ""};
    struct error why = ERROR_INIT;
    struct doc *answer = NULL;

    if (cancel_new(&run.cancel, &why) < 0)
        return NULL;
    if (run_with(p, flag, &run, &answer, &why) < 0)
        answer = NULL;
    cancel_free(run.cancel);
    return answer;
}

static struct doc *member(const struct doc *answer, const char *name)
{
    const struct doc *value = doc_get(answer, name);

    return doc_is(value, DOC_OBJECT) ? doc_copy(value) : NULL;
}

static void ask_for_config(const struct program *p, struct doc **schema, struct doc **template)
{
    CLEANUP(doc_free_cleanup) struct doc *spec = ask(p, "--spec");
    CLEANUP(doc_free_cleanup) struct doc *templates = NULL;

    *schema = member(spec, "config_schema");
    *template = member(spec, "template");
    if (*schema)
        return;
    templates = ask(p, "--show_templates");
    doc_free(*template);
    *template = member(templates, "config");
}

/* ---------------------------------------------------------------------- keeping */

struct answer {
    struct answer *next;
    const struct program *of; /* the list lives as long as the process */
    int64_t asked_us;
    struct doc *schema, *template;
};
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct answer *answers;

static struct answer *find(const struct program *p)
{
    struct answer *a = answers;

    while (a && a->of != p)
        a = a->next;
    return a;
}

static struct doc *copy(const struct doc *d)
{
    return d ? doc_copy(d) : NULL;
}

static bool remembered(const struct program *p, int64_t kept_us, struct doc **schema,
                       struct doc **template)
{
    LOCK_GUARD(&mutex);
    const struct answer *a = find(p);

    if (!a || clock_monotonic_us() - a->asked_us > kept_us)
        return false;
    *schema = copy(a->schema);
    *template = copy(a->template);
    return true;
}

static void remember(const struct program *p, const struct doc *schema, const struct doc *template)
{
    LOCK_GUARD(&mutex);
    struct answer *a = find(p);

    if (!a) {
        a = xalloc(sizeof *a);
        *a = (struct answer){.next = answers, .of = p};
        answers = a;
    }
    doc_free(a->schema);
    doc_free(a->template);
    a->schema = copy(schema);
    a->template = copy(template);
    a->asked_us = clock_monotonic_us();
}

/* What is not older than `kept_us`, else what it says now. */
static void known_config(const struct program *p, int64_t kept_us, struct doc **out_schema,
                         struct doc **out_template)
{
    *out_schema = copy(p->config_schema);
    *out_template = NULL;
    if (*out_schema || remembered(p, kept_us, out_schema, out_template))
        return;
    ask_for_config(p, out_schema, out_template);
    remember(p, *out_schema, *out_template);
}

void asked_config(const struct program *p, struct doc **out_schema, struct doc **out_template)
{
    known_config(p, (int64_t)ASKED_KEPT_S * 1000000, out_schema, out_template);
}

struct string_list asked_secrets(const struct program *p, const struct doc *config, struct run *run)
{
    CLEANUP(doc_free_cleanup) struct doc *schema = NULL;
    CLEANUP(doc_free_cleanup) struct doc *template = NULL;
    struct secrets s = SECRETS_INIT(run->mem);

    if (doc_count(config) == 0)
        return (struct string_list){.n = 0};
    known_config(p, INT64_MAX, &schema, &template);
    secrets_add_settings(&s, config, schema);
    if (run->redactor)
        secrets_keep_out(&s, run->redactor);
    return (struct string_list){s.items, s.n};
}

/* -------------------------------------------------------------------- completing */

int asked_complete_schema(const char *program, struct doc *schema, struct error *err)
{
    const struct program *p = program_find(program, err);
    struct doc *own, *template, *properties = doc_get_mutable(schema, "properties");

    if (!p)
        return -1;
    asked_config(p, &own, &template);
    doc_free(template);
    if (own && properties) {
        doc_set(own, "writeOnly", doc_new_bool(true));
        doc_set(properties, "config", own);
    } else {
        doc_free(own);
    }
    return 0;
}

int asked_complete_template(const char *program, struct doc *template, struct error *err)
{
    const struct program *p = program_find(program, err);
    struct doc *schema, *own;

    if (!p)
        return -1;
    asked_config(p, &schema, &own);
    doc_free(schema);
    doc_set(template, "program", doc_new_string(program));
    if (own)
        doc_set(template, "config", own);
    return 0;
}
