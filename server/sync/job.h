/*
 * job.h - one claimed run on its worker: what it is given and what it brings. Private to
 * server/sync.
 */
#ifndef SERVER_SYNC_JOB_H
#define SERVER_SYNC_JOB_H

#include "connectors/base/doc.h"
#include "connectors/base/jsonwrite.h"
#include "server/sync/credentials.h"
#include "server/sync/runs_internal.h"
#include "server/sync/sealed.h"
#include "server/sync/setup.h"

#define JOB_MAX_DOCS 12

struct job {
    struct runs *runs;
    struct arena *mem; /* of the run */
    struct run_row row;
    const struct doc *request;        /* what to do, see runs.h */
    const char *source, *destination; /* names of the connectors, once known; for counting */
    struct cancel *cancel;
    struct logstream *log;
    struct redactor *redactor; /* the secrets that it works with */
    /* What comes of it. */
    struct run_result result;
    const char *result_text;        /* JSON, or NULL */
    struct progress *progress;      /* of a sync; NULL before it began */
    struct doc *docs[JOB_MAX_DOCS]; /* configurations are borrowed from them; freed with the job */
    size_t n_docs;
    /* What the source of the job may do besides reading. */
    struct credentials credentials;
    struct run_host host;
    struct job_notes *notes; /* requests that were made; NULL = nobody wants to know */
};

/* Each fills job->result; outcome SUCCEEDED with an unset error is what they begin with. */
void job_sync(struct job *j);
void job_clear(struct job *j);
void job_check(struct job *j);
void job_discover(struct job *j);
void job_sample(struct job *j);
void job_count(struct job *j);

/* Marks the job as failed, or as cancelled when that is why. */
void job_fail(struct job *j, enum fault_origin origin, const struct error *why);

/* Requests of a source, as a JSON array without its brackets. Of one thread. */
struct job_notes {
    struct buf text;
    struct jsonw w;
    int64_t n;
};

/* What connectors are given by a job. */
struct run job_run(struct job *j, const char *origin);

/* A text of the store as a document that lives as long as the job; NULL text gives NULL. */
__attribute__((nonnull(1, 3, 4), warn_unused_result)) int
job_parse(struct job *j, const char *text, const struct doc **out, struct error *err);

/* Source and destination: the stored ones of the row, else those in the request. */
CHECKED int job_source(struct job *j, struct source_setup *out, struct error *err);
CHECKED int job_destination(struct job *j, struct destination_setup *out, struct error *err);

/* Stores what was discovered when the source is a stored one: *out_id is the catalog's (0 = not
 * stored), *out_diff the difference to the one before as JSON text, or NULL when there is none. */
CHECKED int job_store_catalog(struct job *j, const struct catalog *catalog, int64_t *out_id,
                              const char **out_diff, struct error *err);

/* What a run works with. */
struct sync_plan {
    struct source_setup source;
    struct destination_setup destination;
    struct sync_settings settings;
    struct stream_setup streams;
    const char *pipeline;
    bool full_refresh;
};
/* Loads, discovers and resolves. Failures are in job->result; true when there is a plan. */
bool job_plan(struct job *j, struct sync_plan *out);

#endif
