/*
 * target_fixture.h - a destination of any SQL engine with one stream or more, written to by hand.
 *
 * The same scenario runs against SQLite, PostgreSQL and MariaDB. Rows have the columns of
 * target_schema: id int (the key), v string, n int; a test may take another schema.
 */
#ifndef TESTS_SUPPORT_TARGET_FIXTURE_H
#define TESTS_SUPPORT_TARGET_FIXTURE_H

#include <pthread.h>

#include "connectors/connector.h"
#include "tests/support/tempdir.h"

struct target_hold; /* opaque: a session that waits */

enum engine { ENGINE_SQLITE, ENGINE_POSTGRES, ENGINE_MYSQL, ENGINE_COUNT };
extern const char *const engine_names[ENGINE_COUNT];

#define TARGET_MAX_STREAMS 8

struct target {
    enum engine engine;
    const struct destination_connector *connector;
    char dir[TEMPDIR_BYTES];
    const char *database; /* or path of the file */
    struct arena *mem;
    struct cancel *cancel;
    struct run run;
    struct doc *config_doc;
    void *config;
    struct stream streams[TARGET_MAX_STREAMS];
    struct selected_stream selected[TARGET_MAX_STREAMS];
    struct write_plan plan;
    struct stream_position at[TARGET_MAX_STREAMS]; /* of the last recover */
    struct counts did;                             /* of the last commit or finish, stream 0 */
    struct error err;
    struct destination *last; /* opened last */
    pthread_t holder;
    struct target_hold *hold;
};

/* `more`: further members of the configuration, each with a comma in front. One stream "t". */
void target_init(struct target *t, enum engine engine, const char *more);
void target_release(struct target *t);
/* Another stream with the columns of `schema`. */
void target_add(struct target *t, const char *name, const struct schema *schema);
/* How stream `i` is read and written from now on. */
void target_modes(struct target *t, size_t i, enum sync_mode sync, enum write_mode write);
void target_set_schema(struct target *t, size_t i, const struct schema *schema);
extern const struct schema target_schema;
/* A schema of `mem`: "id:int! v:string n:decimal(10,2)", '!' for the key. */
const struct schema *target_columns(struct target *t, const char *text);

/* As a user of the database; aborts the test on an error. What is "quoted" in `sql` is a name. */
void target_exec(struct target *t, const char *sql);
/* Rows as text: columns joined by '|', rows by ';', NULL as "~"; in t->mem. */
const char *target_text(struct target *t, const char *sql);
long long target_int(struct target *t, const char *sql);
/* A statement in the words of each engine. */
const char *target_words(const struct target *t, const char *sqlite, const char *postgres,
                         const char *mysql);

/* Opens and recovers; NULL with t->err on a failure. */
struct destination *target_open(struct target *t);
struct destination *target_last(const struct target *t);
/* Another session runs this, keeps its transaction open for so long and ends it by `end`: "commit",
 * or "" to be cut off. */
void target_hold(struct target *t, const char *sql, int64_t ms, const char *end);
void target_let_go(struct target *t); /* waits for it */
/* The next attempts belong to another run. */
void target_next_run(struct target *t);

/* A batch of canonical texts: "1,a,10;2,~,20", ~ for NULL, \n and \0 as escapes. */
struct batch *target_batch(struct target *t, const struct schema *schema, const char *rows);
/* Writes rows of the schema of stream `i`, takes ownership of nothing; -1 with t->err. */
int target_write(struct target *t, struct destination *d, size_t i, const char *rows);
int target_write_as(struct target *t, struct destination *d, size_t i, const struct schema *schema,
                    const char *rows);
int target_commit(struct target *t, struct destination *d, const char *position);
int target_finish(struct target *t, struct destination *d, size_t i, const char *position);
/* Open, write, finish, close, in a run of its own: 0 or -1 with t->err. */
int target_run(struct target *t, const char *rows, const char *position);

#endif
