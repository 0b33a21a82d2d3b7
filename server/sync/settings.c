#include "server/sync/settings.h"

#include <string.h>

struct whole {
    const struct doc *namespace, *quarantine, *commit, *run_policy;
    const char *prefix, *schema_change, *metadata;
};
struct namespace_part {
    const char *mode, *format;
};
struct quarantine_part {
    int64_t max_rows;
    const struct doc *max_ratio;
};
struct commit_part {
    int64_t max_rows, max_bytes, max_age_s;
};
struct policy_part {
    int64_t max_attempts, timeout_s, idle_timeout_s, resource_backoff_s, parallel_streams;
    const struct doc *backoff_s;
    const char *on_stream_error;
};

/* The order is that of the enumerators. */
static const char *const modes[] = {"source", "destination", "custom", NULL};
static const char *const metadata_levels[] = {"none", "minimal", "full", NULL};
static const char *const on_errors[] = {"continue", "abort", "ignore", NULL};
static const char *const schema_changes[] = {"propagate_columns", "propagate_all", "ignore",
                                             "freeze", NULL};
static const enum drift_policy drifts[] = {DRIFT_EVOLVE, DRIFT_EVOLVE, DRIFT_IGNORE, DRIFT_FREEZE};

static void check_number(const struct doc *value, const char *pointer, struct problems *problems,
                         double most)
{
    double v = doc_real(value, -1);

    if (!doc_is(value, DOC_INT) && !doc_is(value, DOC_REAL))
        problems_add(problems, pointer, "wrong_type", "expected a number, found %s",
                     doc_kind_name(doc_kind(value)));
    else if (!(v >= 0 && v <= most))
        problems_add(problems, pointer, "out_of_range", "expected a number from 0 to %g", most);
}

static void check_ratio(const struct doc *value, const char *pointer, struct problems *problems)
{
    check_number(value, pointer, problems, 1);
}

static void check_backoff(const struct doc *value, const char *pointer, struct problems *problems)
{
    check_number(value, pointer, problems, 3600);
}

/* clang-format off */
static const struct option namespace_options[] = {
    OPTION(struct namespace_part, mode, .title = "Mode", .def = "source", .choices = modes,
           .help = "Whose namespace the tables go to."),
    OPTION(struct namespace_part, format, .title = "Format", .max = 255,
           .help = "The namespace itself; for mode custom."),
    OPTIONS_END,
};
static const struct option quarantine_options[] = {
    OPTION(struct quarantine_part, max_rows, .title = "Rows", .def = "1000", .min = 0,
           .max = INT64_MAX, .help = "Rejected rows of one run at which it fails."),
    OPTION(struct quarantine_part, max_ratio, .title = "Ratio", .check = check_ratio,
           .schema = "{\"type\":\"number\"}",
           .help = "Share of rejected rows, looked at after 10,000 rows."),
    OPTIONS_END,
};
static const struct option commit_options[] = {
    OPTION(struct commit_part, max_rows, .title = "Rows", .def = "50000", .min = 1,
           .max = 100000000, .help = "Rows after which a commit is due at the next checkpoint."),
    OPTION(struct commit_part, max_bytes, .title = "Bytes", .def = "33554432", .min = 1,
           .max = (int64_t)1 << 40, .help = "Bytes after which a commit is due."),
    OPTION(struct commit_part, max_age_s, .title = "Age", .def = "10", .min = 1, .max = 86400,
           .help = "Seconds that a row waits for its commit."),
    OPTIONS_END,
};
static const struct option policy_options[] = {
    OPTION(struct policy_part, max_attempts, .title = "Attempts", .def = "5", .min = 1, .max = 100,
           .help = "Tries in a row that commit nothing."),
    OPTION(struct policy_part, backoff_s, .title = "Pause", .check = check_backoff,
           .schema = "{\"type\":\"number\"}",
           .help = "Seconds before the second attempt, doubled for each further one."),
    OPTION(struct policy_part, resource_backoff_s, .title = "Pause for want of room", .def = "60",
           .min = 0, .max = 3600,
           .help = "Seconds at least before the next attempt when a disk is full or another resource "
                   "is used up; up to ten times as long."),
    OPTION(struct policy_part, timeout_s, .title = "Time limit", .def = "0", .min = 0,
           .max = 604800, .help = "Seconds for the whole run; 0 = none."),
    OPTION(struct policy_part, idle_timeout_s, .title = "Idle time limit", .def = "900", .min = 0,
           .max = 86400, .help = "Seconds without any progress; 0 = none."),
    OPTION(struct policy_part, on_stream_error, .title = "When a stream fails", .def = "continue",
           .choices = on_errors, .help = "Stop, go on with the others, or go on and succeed."),
    OPTION(struct policy_part, parallel_streams, .title = "Streams at the same time", .def = "1",
           .min = 1, .max = RUN_MAX_LANES,
           .help = "With 1, all streams are read in one snapshot. With more, those that are read at "
                   "the same time have a connection each, and each is consistent in itself. The "
                   "service may allow fewer, and a file takes one writer."),
    OPTIONS_END,
};
const struct option sync_settings_options[] = {
    OPTION(struct whole, namespace, .title = "Namespace", .help = "Where tables go."),
    OPTION(struct whole, prefix, .title = "Prefix", .def = "", .max = 64,
           .help = "Put in front of every table or file name."),
    OPTION(struct whole, schema_change, .title = "Schema changes", .def = "propagate_columns",
           .choices = schema_changes, .help = "What becomes of new columns."),
    OPTION(struct whole, metadata, .title = "Metadata columns", .def = "minimal",
           .choices = metadata_levels, .help = "How many columns of our own are added."),
    OPTION(struct whole, quarantine, .title = "Quarantine",
           .help = "How many rejected rows are too many."),
    OPTION(struct whole, commit, .title = "Commits", .help = "How much is committed at once."),
    OPTION(struct whole, run_policy, .title = "Run policy", .help = "Attempts and time limits."),
    OPTIONS_END,
};
/* clang-format on */

/* The place of a word that the option table has accepted. */
static size_t place_of(const char *const *words, const char *word)
{
    size_t i = 0;

    while (word && words[i] && strcmp(words[i], word) != 0)
        i++;
    return i;
}

static const char *below(struct arena *mem, const char *pointer, const char *member)
{
    return arena_printf(mem, "%s/%s", pointer, member);
}

/* What is no object has been complained about as a member of the whole. */
static const struct doc *part_of(const struct doc *part)
{
    return doc_is(part, DOC_OBJECT) ? part : NULL;
}

bool sync_settings_decode(const struct doc *d, const char *pointer, struct arena *mem,
                          struct sync_settings *out, struct problems *problems)
{
    struct whole all = {0};
    struct namespace_part ns = {0};
    struct quarantine_part quarantine = {0};
    struct commit_part commit = {0};
    struct policy_part policy = {0};
    bool ok = options_decode(sync_settings_options, d, pointer, &all, mem, problems);

    ok &= options_decode(namespace_options, part_of(all.namespace),
                         below(mem, pointer, "namespace"), &ns, mem, problems);
    ok &= options_decode(quarantine_options, part_of(all.quarantine),
                         below(mem, pointer, "quarantine"), &quarantine, mem, problems);
    ok &= options_decode(commit_options, part_of(all.commit), below(mem, pointer, "commit"),
                         &commit, mem, problems);
    ok &= options_decode(policy_options, part_of(all.run_policy), below(mem, pointer, "run_policy"),
                         &policy, mem, problems);
    if (doc_is(all.namespace, DOC_OBJECT) && ns.mode && !strcmp(ns.mode, "custom") && !ns.format) {
        problems_add(problems, below(mem, pointer, "namespace/format"), "required",
                     "mode custom needs a format");
        ok = false;
    }
    if (!ok)
        return false;
    *out = (struct sync_settings){
        .policy = RUN_POLICY_DEFAULT,
        .commit = {commit.max_rows, commit.max_bytes, commit.max_age_s * 1000000},
        .namespace_mode = (enum namespace_mode)place_of(modes, ns.mode),
        .namespace_format = ns.format,
        .prefix = all.prefix,
        .drift = drifts[place_of(schema_changes, all.schema_change)],
    };
    out->policy.max_attempts = policy.max_attempts;
    out->policy.backoff_ms =
        (int64_t)(doc_real(policy.backoff_s, (double)out->policy.backoff_ms / 1000) * 1000);
    out->policy.resource_backoff_ms = policy.resource_backoff_s * 1000;
    out->policy.parallel_streams = policy.parallel_streams;
    out->policy.timeout_s = policy.timeout_s;
    out->policy.idle_timeout_s = policy.idle_timeout_s;
    out->policy.on_stream_error =
        (enum stream_error_policy)place_of(on_errors, policy.on_stream_error);
    out->policy.metadata = (enum metadata_level)place_of(metadata_levels, all.metadata);
    out->policy.max_quarantined_rows = quarantine.max_rows;
    out->policy.max_quarantined_ratio =
        doc_real(quarantine.max_ratio, out->policy.max_quarantined_ratio);
    return true;
}

/* The part with its defaults; `real` (may be NULL) is a number without a row type of its own. */
static void put_part(struct doc *whole, const char *name, const struct option *table,
                     const char *real, double fallback)
{
    CLEANUP(doc_free_cleanup)
    struct doc *part = doc_is(doc_get(whole, name), DOC_OBJECT) ? doc_copy(doc_get(whole, name))
                                                                : doc_new_object();

    if (real && (!doc_get(part, real) || doc_is(doc_get(part, real), DOC_NULL)))
        doc_set(part, real, doc_new_real(fallback));
    doc_set(whole, name, options_normalized(table, part));
}

struct doc *sync_settings_normalized(const struct doc *d)
{
    const struct run_policy policy = RUN_POLICY_DEFAULT;
    CLEANUP(doc_free_cleanup) struct doc *whole = d ? doc_copy(d) : doc_new_object();

    put_part(whole, "namespace", namespace_options, NULL, 0);
    put_part(whole, "quarantine", quarantine_options, "max_ratio", policy.max_quarantined_ratio);
    put_part(whole, "commit", commit_options, NULL, 0);
    put_part(whole, "run_policy", policy_options, "backoff_s", (double)policy.backoff_ms / 1000);
    /* In the order of the table: the same settings are the same text. */
    return options_normalized(sync_settings_options, whole);
}
