#include "connectors/singer/tap.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/base/arena.h"
#include "connectors/catalog_internal.h"
#include "connectors/singer/asked.h"
#include "connectors/singer/message.h"
#include "connectors/singer/tap_internal.h"

#define MAX_CATALOG_BYTES ((size_t)64 << 20)

/* ---------------------------------------------------------------------- running */

/* Everything the tap prints until its good end. */
static int read_all(struct process *p, struct buf *out, struct error *err)
{
    unsigned ready;
    size_t n;

    while (!process_at_end(p)) {
        char *room = buf_reserve(out, 1 << 16);

        if (!room)
            return error_set(err, ERR_TOO_LARGE, "its catalog is larger than %zu bytes",
                             MAX_CATALOG_BYTES);
        if (process_wait(p, PROCESS_OUTPUT, -1, &ready, err) < 0 ||
            process_read(p, room, 1 << 16, &n, err) < 0)
            return -1;
        out->len += n;
    }
    return process_finish(p, PROCESS_GRACE_MS, err);
}

static int start(const struct singer_tap *tap, struct run *run, const char *const *args,
                 struct private_file *files, size_t n_files, struct process **out,
                 struct error *err)
{
    const struct program *program = program_find(tap->program, err);
    struct buf config = BUF_INIT(MAX_CATALOG_BYTES);
    struct process_start how = {
        .program = program, .args = args, .files = files, .n_files = n_files};
    int status;

    if (!program)
        return -1;
    how.secrets = asked_secrets(program, tap->config, run);
    if (tap->config)
        doc_write(tap->config, &config);
    else
        buf_puts(&config, "{}");
    files[0] = (struct private_file){"config.json", buf_str(&config), config.len};
    status = process_start(&how, run, out, err);
    buf_release(&config);
    return status;
}

/* ------------------------------------------------------------------- the catalog */

/* The entries with their references in their place. */
static int tidy(struct doc *catalog, struct error *err)
{
    const struct doc *streams = doc_get(catalog, "streams");
    struct doc *fresh;

    if (!doc_is(streams, DOC_ARRAY))
        return error_set(err, ERR_DATA, "it has no array \"streams\"");
    fresh = doc_new_array();
    for (size_t i = 0; i < doc_count(streams); i++) {
        struct doc *entry = doc_copy(doc_at(streams, i)), *schema;

        doc_append(fresh, entry);
        if (!doc_get(entry, "schema"))
            continue;
        if (singer_inline_refs(doc_get(entry, "schema"), &schema, err) < 0) {
            error_wrap(err, "stream \"%s\"", singer_stream_name(entry));
            doc_free(fresh);
            return -1;
        }
        doc_set(entry, "schema", schema);
    }
    doc_set(catalog, "streams", fresh);
    return 0;
}

static int bad_catalog(const struct singer_tap *tap, struct error *err)
{
    struct error why = *err;

    *err = ERROR_INIT;
    return error_set_reason(err, ERR_DATA, "bad_catalog",
                            "program \"%s\" printed no catalog with --discover: %s", tap->program,
                            why.message);
}

int tap_catalog(const struct singer_tap *tap, struct run *run, struct doc **out, struct error *err)
{
    static const char *const args[] = {"--config", "@config.json", "--discover", NULL};
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_CATALOG_BYTES);
    CLEANUP(process_free_cleanup) struct process *p = NULL;
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    struct private_file file;

    if (start(tap, run, args, &file, 1, &p, err) < 0 || read_all(p, &text, err) < 0)
        return -1;
    if (doc_parse_trusted(buf_str(&text), text.len, &d, err) < 0 || tidy(d, err) < 0)
        return bad_catalog(tap, err);
    *out = TAKE(d);
    return 0;
}

/* Taps say little about how they go on: one that has chosen a method itself, or says nothing of
 * methods at all, keeps its own bookmarks. */
static bool keeps_its_own(const struct doc *entry, const struct stream *s)
{
    const struct doc *m = singer_metadata(entry, NULL);

    return s->incremental && s->n_cursors == 0 &&
           (!m || *doc_string(doc_get(m, "forced-replication-method"), "") ||
            !strcmp(doc_string(doc_get(entry, "replication_method"), ""), SINGER_INCREMENTAL));
}

int tap_discover(const void *config, struct run *run, struct catalog *out, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;

    if (tap_catalog(config, run, &d, err) < 0)
        return -1;
    if (catalog_from_singer(d, out, err) < 0)
        return bad_catalog(config, err);
    for (size_t i = 0; i < out->n; i++)
        out->streams[i].source_defined_cursor |=
            keeps_its_own(doc_at(doc_get(d, "streams"), i), &out->streams[i]);
    return 0;
}

int tap_check(const void *config, struct run *run, struct error *err)
{
    struct catalog ignored = CATALOG_INIT(run->mem);

    return tap_discover(config, run, &ignored, err);
}

int tap_count(const void *config, struct run *run, const struct stream *stream, int64_t *out_count,
              bool *out_exact, struct error *err)
{
    (void)config, (void)run, (void)out_count, (void)out_exact;
    return error_set(err, ERR_UNSUPPORTED, "a Singer tap cannot count the rows of \"%s\"",
                     stream->name);
}

/* ------------------------------------------------------------------------ a sync */

int tap_start(const struct singer_tap *tap, struct run *run, const struct doc *catalog,
              const char *state, struct process **out, struct error *err)
{
    const char *flag = arena_printf(run->mem, "--%s", tap->catalog_flag);
    const char *const args[] = {
        "--config", "@config.json", flag, "@catalog.json", state ? "--state" : NULL, "@state.json",
        NULL};
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_CATALOG_BYTES);
    struct private_file files[3];

    doc_write(catalog, &text);
    files[1] = (struct private_file){"catalog.json", buf_str(&text), text.len};
    files[2] = (struct private_file){"state.json", state, state ? strlen(state) : 0};
    if (buf_ok(&text, "the catalog", err) < 0)
        return -1;
    return start(tap, run, args, files, state ? 3 : 2, out, err);
}
