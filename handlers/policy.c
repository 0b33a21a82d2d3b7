#include "handlers/policy.h"

#include "connectors/base/jsonwrite.h"

#define POLICY_BYTES ((size_t)64 << 10)

struct policy {
    const struct doc *namespace, *quarantine, *commit, *run_policy;
    const char *prefix, *schema_change, *metadata;
};

struct namespace_policy {
    const char *mode, *format;
};

struct quarantine_policy {
    int64_t max_rows;
    const struct doc *max_ratio;
};

struct commit_policy {
    int64_t max_rows, max_bytes, max_age_s;
};

struct run_policy {
    int64_t max_attempts, backoff_s, timeout_s, idle_timeout_s;
    const char *on_stream_error;
};

static const char *const modes[] = {"source", "destination", "custom", NULL};
static const char *const schema_changes[] = {"propagate_columns", "propagate_all", "ignore",
                                             "freeze", NULL};
static const char *const metadata_levels[] = {"none", "minimal", "full", NULL};
static const char *const on_errors[] = {"abort", "continue", "ignore", NULL};

static void check_ratio(const struct doc *value, const char *pointer, struct problems *problems)
{
    double ratio = doc_real(value, -1);

    if (!doc_is(value, DOC_INT) && !doc_is(value, DOC_REAL))
        problems_add(problems, pointer, "wrong_type", "expected a number, found %s",
                     doc_kind_name(doc_kind(value)));
    else if (!(ratio >= 0 && ratio <= 1))
        problems_add(problems, pointer, "out_of_range", "expected a number from 0 to 1");
}

/* clang-format off */
static const struct option namespace_options[] = {
    OPTION(struct namespace_policy, mode, .title = "Mode", .def = "source", .choices = modes,
           .help = "Whose namespace the tables go to: the source's, the destination's default, or "
                   "the one in format."),
    OPTION(struct namespace_policy, format, .title = "Format", .max = 255,
           .help = "The namespace itself; for mode custom."),
    OPTIONS_END,
};

static const struct option quarantine_options[] = {
    OPTION(struct quarantine_policy, max_rows, .title = "Rows", .def = "1000", .min = 0,
           .max = INT64_MAX, .help = "Rejected rows of one run at which it fails."),
    OPTION(struct quarantine_policy, max_ratio, .title = "Ratio", .check = check_ratio,
           .schema = "{\"type\":\"number\",\"minimum\":0,\"maximum\":1}",
           .help = "Share of rejected rows, looked at after 10,000 rows."),
    OPTIONS_END,
};

static const struct option commit_options[] = {
    OPTION(struct commit_policy, max_rows, .title = "Rows", .def = "50000", .min = 1,
           .max = 100000000, .help = "Rows after which a commit is due at the next checkpoint."),
    OPTION(struct commit_policy, max_bytes, .title = "Bytes", .def = "33554432", .min = 1,
           .max = (int64_t)1 << 40, .help = "Bytes after which a commit is due."),
    OPTION(struct commit_policy, max_age_s, .title = "Age", .def = "10", .min = 1, .max = 86400,
           .help = "Seconds that a row waits for its commit."),
    OPTIONS_END,
};

static const struct option run_options[] = {
    OPTION(struct run_policy, max_attempts, .title = "Attempts", .def = "3", .min = 1, .max = 100,
           .help = "How often a run is tried in all."),
    OPTION(struct run_policy, backoff_s, .title = "Pause", .def = "10", .min = 0, .max = 3600,
           .help = "Seconds before the second attempt; doubled for each further one."),
    OPTION(struct run_policy, timeout_s, .title = "Time limit", .def = "0", .min = 0,
           .max = 604800, .help = "Seconds for the whole run; 0 = none."),
    OPTION(struct run_policy, idle_timeout_s, .title = "Idle time limit", .def = "900", .min = 0,
           .max = 86400, .help = "Seconds without any progress; 0 = none."),
    OPTION(struct run_policy, on_stream_error, .title = "When a stream fails", .def = "continue",
           .choices = on_errors, .help = "Stop, go on with the others, or go on and succeed."),
    OPTIONS_END,
};
/* clang-format on */

static void check_namespace(const struct doc *value, const char *pointer, struct problems *problems)
{
    struct namespace_policy n = {0};

    if (options_decode(namespace_options, value, pointer, &n, problems->mem, problems) &&
        *n.mode == 'c' && !n.format)
        problems_add(problems, arena_printf(problems->mem, "%s/format", pointer), "required",
                     "mode custom needs a format");
}

static void check_quarantine(const struct doc *value, const char *pointer,
                             struct problems *problems)
{
    struct quarantine_policy q = {0};

    (void)options_decode(quarantine_options, value, pointer, &q, problems->mem, problems);
}

static void check_commit(const struct doc *value, const char *pointer, struct problems *problems)
{
    struct commit_policy c = {0};

    (void)options_decode(commit_options, value, pointer, &c, problems->mem, problems);
}

static void check_run_policy(const struct doc *value, const char *pointer,
                             struct problems *problems)
{
    struct run_policy r = {0};

    (void)options_decode(run_options, value, pointer, &r, problems->mem, problems);
}

/* clang-format off */
const struct option policy_options[] = {
    OPTION(struct policy, namespace, .title = "Namespace", .check = check_namespace,
           .help = "Where tables go."),
    OPTION(struct policy, prefix, .title = "Prefix", .def = "", .max = 64,
           .help = "Put in front of every table or file name."),
    OPTION(struct policy, schema_change, .title = "Schema changes", .def = "propagate_columns",
           .choices = schema_changes,
           .help = "What becomes of new columns, and of new streams at a refresh."),
    OPTION(struct policy, metadata, .title = "Metadata columns", .def = "minimal",
           .choices = metadata_levels, .help = "How many columns of our own are added."),
    OPTION(struct policy, quarantine, .title = "Quarantine", .check = check_quarantine,
           .help = "How many rejected rows are too many."),
    OPTION(struct policy, commit, .title = "Commits", .check = check_commit,
           .help = "How much is committed at once."),
    OPTION(struct policy, run_policy, .title = "Run policy", .check = check_run_policy,
           .help = "Attempts and time limits."),
    OPTIONS_END,
};
/* clang-format on */

static void put_run_policy(struct jsonw *w, const struct run_policy *r)
{
    jsonw_key(w, "run_policy");
    jsonw_object(w);
    jsonw_put_int(w, "max_attempts", r->max_attempts);
    jsonw_put_int(w, "backoff_s", r->backoff_s);
    jsonw_put_int(w, "timeout_s", r->timeout_s);
    jsonw_put_int(w, "idle_timeout_s", r->idle_timeout_s);
    jsonw_put_string(w, "on_stream_error", r->on_stream_error);
    jsonw_object_end(w);
}

static void put_commit(struct jsonw *w, const struct commit_policy *c)
{
    jsonw_key(w, "commit");
    jsonw_object(w);
    jsonw_put_int(w, "max_rows", c->max_rows);
    jsonw_put_int(w, "max_bytes", c->max_bytes);
    jsonw_put_int(w, "max_age_s", c->max_age_s);
    jsonw_object_end(w);
}

const char *policy_text(struct arena *mem, const struct doc *d, const char *pointer,
                        struct problems *problems)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(POLICY_BYTES);
    /* The parts were checked, and complained about, as members of the whole. */
    struct problems said = PROBLEMS_INIT(mem);
    struct jsonw w = JSONW_INIT(&b);
    struct namespace_policy n = {0};
    struct quarantine_policy q = {0};
    struct commit_policy c = {0};
    struct run_policy r = {0};
    struct policy p = {0};

    if (!options_decode(policy_options, d, pointer, &p, mem, problems) ||
        !options_decode(namespace_options, p.namespace, "", &n, mem, &said) ||
        !options_decode(quarantine_options, p.quarantine, "", &q, mem, &said) ||
        !options_decode(commit_options, p.commit, "", &c, mem, &said) ||
        !options_decode(run_options, p.run_policy, "", &r, mem, &said))
        return "{}";
    jsonw_object(&w);
    jsonw_key(&w, "namespace");
    jsonw_object(&w);
    jsonw_put_string(&w, "mode", n.mode);
    jsonw_put_string(&w, "format", n.format);
    jsonw_object_end(&w);
    jsonw_put_string(&w, "prefix", p.prefix);
    jsonw_put_string(&w, "schema_change", p.schema_change);
    jsonw_put_string(&w, "metadata", p.metadata);
    jsonw_key(&w, "quarantine");
    jsonw_object(&w);
    jsonw_put_int(&w, "max_rows", q.max_rows);
    jsonw_key(&w, "max_ratio");
    jsonw_double(&w, doc_real(q.max_ratio, 0.01));
    jsonw_object_end(&w);
    put_commit(&w, &c);
    put_run_policy(&w, &r);
    jsonw_object_end(&w);
    return arena_memdup(mem, buf_str(&b), b.len);
}
