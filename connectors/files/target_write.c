/* Rows of the destination on their way into files that no manifest names yet. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"
#include "connectors/files/target_stream.h"

#define WRITE_BYTES ((size_t)256 << 10)

/* ---------------------------------------------------------------------- files */

/* "<number>-<random>": the number is that of the manifest that will name the file. */
static char *unique_name(const struct target_stream *s, const char *prefix, const char *extension,
                         const char *extension_too)
{
    size_t room = strlen(prefix) + strlen(extension) + strlen(extension_too) + 40;
    char *name = xalloc(room), hex[17];
    unsigned char salt[8];

    hash_random(salt, sizeof salt);
    text_hex(salt, sizeof salt, hex);
    snprintf(name, room, "%s%010lld-%s%s%s", prefix, (long long)s->last.number + 1, hex, extension,
             extension_too);
    return name;
}

static int create(const struct target *t, const char *folder, const char *name,
                  enum files_compression compression, struct output **out, struct error *err)
{
    CLEANUP(output_close_folder) int dir = -1;

    if (output_open_folder(t->root, t->config->path, folder, &dir, err) < 0)
        return -1;
    return output_create(dir, folder, name, compression, out, err);
}

static int open_data(struct target *t, struct target_stream *s, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const char *folder = manifest_data_folder(mem, s->folder, s->last.generation);

    s->data_name = unique_name(s, "", files_format_extension(t->format),
                               files_compression_extension(t->compression));
    if (create(t, folder, s->data_name, t->compression, &s->data, err) < 0)
        return -1;
    t->n_open++;
    encoder_put_header(s->encoder, &t->text);
    return 0;
}

static int open_quarantine(struct target *t, struct target_stream *s, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const char *prefix = arena_printf(mem, "%s-%010lld-", s->folder, (long long)s->last.generation);

    if (output_make_folders(t->root, t->config->path, MANIFEST_QUARANTINE, err) < 0)
        return -1;
    s->quarantine_name = unique_name(s, prefix, ".ndjson", "");
    return create(t, MANIFEST_QUARANTINE, s->quarantine_name, FILES_PLAIN, &s->quarantine, err);
}

static void keep_file(struct target_stream *s, const struct manifest_file *f)
{
    if (s->n_files == s->cap_files) {
        s->cap_files = s->cap_files ? 2 * s->cap_files : 4;
        s->files = xrealloc(s->files, s->cap_files * sizeof *s->files);
    }
    s->files[s->n_files++] = *f;
}

static int sync_folder(const struct target *t, const char *folder, struct error *err)
{
    CLEANUP(output_close_folder) int dir = -1;

    if (output_open_folder(t->root, t->config->path, folder, &dir, err) < 0)
        return -1;
    return output_sync_folder(dir, folder, err);
}

/* Seals one file and puts it on the list of the next commit. */
static int seal(const struct target *t, struct target_stream *s, struct output *o,
                const char *folder, const char *name, struct manifest_file *f, struct error *err)
{
    if (output_seal(o, &f->size, f->sha256, err) < 0 || sync_folder(t, folder, err) < 0)
        return -1;
    f->name = arena_printf(s->names, "%s/%s", folder, name);
    keep_file(s, f);
    return 0;
}

static int seal_data(struct target *t, struct target_stream *s, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct manifest_file f = {.rows = s->data_rows};
    int rc;

    if (!s->data)
        return 0;
    t->n_open--;
    rc = seal(t, s, TAKE(s->data), manifest_data_folder(mem, s->folder, s->last.generation),
              s->data_name, &f, err);
    s->data_rows = 0;
    free(TAKE(s->data_name));
    return rc;
}

int target_seal(struct target *t, struct target_stream *s, struct error *err)
{
    struct manifest_file f = {.rows = s->quarantine_rows, .quarantine = true};
    int rc = seal_data(t, s, err);

    if (rc < 0 || !s->quarantine)
        return rc;
    rc = seal(t, s, TAKE(s->quarantine), MANIFEST_QUARANTINE, s->quarantine_name, &f, err);
    s->quarantine_rows = 0;
    free(TAKE(s->quarantine_name));
    return rc;
}

void target_forget_files(struct target_stream *s)
{
    arena_clear(s->names);
    s->n_files = 0;
}

void target_forget(struct target *t, struct target_stream *s)
{
    t->n_open -= s->data != NULL;
    output_discard(TAKE(s->data));
    output_discard(TAKE(s->quarantine));
    free(TAKE(s->data_name));
    free(TAKE(s->quarantine_name));
    for (size_t i = 0; i < s->n_files; i++)
        unlinkat(t->root, s->files[i].name, 0);
    target_forget_files(s);
    s->pending = (struct counts){0};
    s->data_rows = s->quarantine_rows = s->ordinal = 0;
}

/* Compressors hold memory: the ninth file waits until another one is whole. */
static int make_room(struct target *t, struct error *err)
{
    for (size_t i = 0; t->n_open >= TARGET_MAX_OPEN && i < t->plan->n; i++) {
        if (seal_data(t, &t->streams[i], err) < 0)
            return -1;
    }
    return 0;
}

/* ------------------------------------------------------------------ quarantine */

struct odd_thing {
    bool is_row;
    const char *column; /* NULL for a row */
    enum reason reason;
    const char *detail; /* NULL = none */
    struct slice raw;
    size_t row; /* of the batch, for its key; SIZE_MAX = none */
};

/* The key as an array of texts, when the stream has one. */
static void put_key(struct jsonw *w, const struct batch *rows, size_t row)
{
    const struct schema *schema = batch_schema(rows);
    struct buf text = BUF_INIT(BATCH_MAX_VALUE * 2);

    jsonw_array(w);
    for (size_t i = 0; i < schema->n_key; i++) {
        struct column_view v = batch_column(rows, schema->key[i]);

        buf_clear(&text);
        if (column_has(&v, row)) {
            batch_cell_text(rows, schema->key[i], row, &text);
            jsonw_string_n(w, buf_str(&text), text.len);
        } else {
            jsonw_null(w);
        }
    }
    jsonw_array_end(w);
    buf_release(&text);
}

static void put_raw(struct jsonw *w, struct slice raw)
{
    struct buf base64 = BUF_INIT(2 * BATCH_ODD_BYTES + BATCH_MAX_VALUE);
    bool text = text_is_utf8(raw.ptr, raw.len);

    jsonw_key(w, "raw");
    if (text) {
        jsonw_string_n(w, raw.ptr, raw.len);
    } else {
        text_put_base64(&base64, raw.ptr, raw.len);
        jsonw_string_n(w, buf_str(&base64), base64.len);
        buf_release(&base64);
    }
    jsonw_put_string(w, "encoding", text ? "utf-8" : "base64");
}

static int quarantine(struct target *t, struct target_stream *s, const struct batch *rows,
                      const struct odd_thing *q, struct error *err)
{
    struct jsonw w = JSONW_INIT(&t->odd);

    if (!s->quarantine && open_quarantine(t, s, err) < 0)
        return -1;
    jsonw_object(&w);
    jsonw_put_string(&w, "stream", s->want->alias);
    jsonw_put_int(&w, "generation", s->last.generation);
    jsonw_put_int(&w, "seq", s->last.seq + 1);
    jsonw_put_int(&w, "ordinal", s->ordinal++);
    jsonw_put_string(&w, "level", q->is_row ? "row" : "cell");
    jsonw_put_string(&w, "column", q->column);
    jsonw_put_string(&w, "reason", reason_name(q->reason));
    jsonw_put_string(&w, "detail", q->detail);
    jsonw_key(&w, "key");
    if (q->row != SIZE_MAX && batch_schema(rows)->n_key)
        put_key(&w, rows, q->row);
    else
        jsonw_null(&w);
    put_raw(&w, q->raw);
    jsonw_put_string(&w, "run_id", t->run->id);
    jsonw_put_time_ms(&w, "at", clock_unix_us());
    jsonw_object_end(&w);
    buf_putc(&t->odd, '\n');
    s->quarantine_rows++;
    return 0;
}

static int quarantine_rejected(struct target *t, struct target_stream *s, const struct batch *rows,
                               const struct rejected_row *r, struct error *err)
{
    struct odd_thing q = {
        .is_row = true, .reason = r->reason, .detail = r->detail, .raw = r->raw, .row = SIZE_MAX};

    s->pending.read++;
    s->pending.quarantined_rows++;
    return quarantine(t, s, rows, &q, err);
}

/* The row itself is what goes to quarantine, as a line of JSON. */
static int quarantine_row(struct target *t, struct target_stream *s, const struct batch *rows,
                          size_t row, struct error *err)
{
    const struct schema *schema = batch_schema(rows);
    struct odd_thing q = {.is_row = true, .reason = REASON_NULL_KEY, .row = row};
    struct buf text = BUF_INIT((size_t)128 << 20);
    struct jsonw w = JSONW_INIT(&text);
    int rc;

    jsonw_object(&w);
    for (size_t i = 0; i < schema->n_columns; i++) {
        jsonw_key(&w, schema->columns[i].name);
        w.comma = true;
        ndjson_put_cell(&text, rows, i, row);
    }
    jsonw_object_end(&w);
    q.detail = "a column of the key is NULL or NaN";
    q.raw = (struct slice){buf_str(&text), text.len < BATCH_ODD_BYTES ? text.len : BATCH_ODD_BYTES};
    s->pending.quarantined_rows++;
    rc = quarantine(t, s, rows, &q, err);
    buf_release(&text);
    return rc;
}

static int quarantine_cells(struct target *t, struct target_stream *s, const struct batch *rows,
                            const struct odd_cell *odd, size_t n, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        struct odd_thing q = {.column = batch_schema(rows)->columns[odd[i].column].name,
                              .reason = odd[i].reason,
                              .raw = odd[i].original,
                              .row = odd[i].row};

        s->pending.quarantined_cells++;
        if (quarantine(t, s, rows, &q, err) < 0)
            return -1;
    }
    return 0;
}

/* ------------------------------------------------------------------------ rows */

static bool has_key(const struct batch *rows, size_t row)
{
    const struct schema *schema = batch_schema(rows);

    for (size_t i = 0; i < schema->n_key; i++) {
        struct column_view v = batch_column(rows, schema->key[i]);

        if (!column_has(&v, row))
            return false;
        if (v.storage == STORAGE_DOUBLE && isnan(v.doubles[row]))
            return false;
    }
    return true;
}

static int write_out(struct target *t, struct target_stream *s, size_t more_than, struct error *err)
{
    if (t->text.len > more_than) {
        if (buf_ok(&t->text, "a row", err) < 0 ||
            output_write(s->data, t->text.data, t->text.len, err) < 0)
            return -1;
        buf_clear(&t->text);
    }
    if (t->odd.len > more_than) {
        if (buf_ok(&t->odd, "a quarantined row", err) < 0 ||
            output_write(s->quarantine, t->odd.data, t->odd.len, err) < 0)
            return -1;
        buf_clear(&t->odd);
    }
    return 0;
}

static int put_row(struct target *t, struct target_stream *s, const struct batch *rows, size_t row,
                   const struct odd_cell *odd, size_t n_odd, struct error *err)
{
    s->pending.read++;
    if (!has_key(rows, row))
        return quarantine_row(t, s, rows, row, err);
    if (!s->data && open_data(t, s, err) < 0)
        return -1;
    encoder_put_row(s->encoder, &t->text, rows, row, odd, n_odd);
    s->data_rows++;
    s->pending.inserted++;
    return n_odd ? quarantine_cells(t, s, rows, odd, n_odd, err) : 0;
}

/* Rows in their order, with what stands between them. */
static int put_rows(struct target *t, struct target_stream *s, const struct batch *rows,
                    struct error *err)
{
    size_t n_odd, n_rejected, odd_at = 0, rejected_at = 0;
    const struct odd_cell *odd = batch_odd_cells(rows, &n_odd);
    const struct rejected_row *rejected = batch_rejected(rows, &n_rejected);

    for (size_t row = 0; row <= batch_rows(rows); row++) {
        size_t first = odd_at;

        for (; rejected_at < n_rejected && rejected[rejected_at].before_row <= row; rejected_at++) {
            if (quarantine_rejected(t, s, rows, &rejected[rejected_at], err) < 0)
                return -1;
        }
        if (row == batch_rows(rows))
            break;
        while (odd_at < n_odd && odd[odd_at].row == row)
            odd_at++;
        if (put_row(t, s, rows, row, odd + first, odd_at - first, err) < 0 ||
            write_out(t, s, WRITE_BYTES, err) < 0)
            return -1;
    }
    return write_out(t, s, 0, err);
}

/* An encoder for batches of this shape. Another shape of CSV is another file. */
static int follow_schema(struct target *t, struct target_stream *s, const struct schema *schema,
                         struct error *err)
{
    const struct encode_options options = {
        .format = t->format,
        .csv = {.delimiter = *t->config->delimiter, .null_value = t->config->null_value},
        .metadata = t->plan->metadata,
        .run_id = t->run->id,
        .synced_unix_us = t->run->started_unix_us,
        .generation = s->last.generation,
    };
    struct encoder *e;

    if (s->encoder && encoder_fits(s->encoder, schema))
        return 0;
    if (encoder_new(&options, s->want, schema, &e, err) < 0)
        return -1;
    encoder_free(s->encoder);
    s->encoder = e;
    return t->format == FILES_CSV ? seal_data(t, s, err) : 0;
}

int target_write(struct target *t, size_t stream, const struct batch *rows, struct error *err)
{
    struct target_stream *s = &t->streams[stream];

    buf_clear(&t->text);
    buf_clear(&t->odd);
    if (cancel_check(t->run->cancel, err) < 0 || follow_schema(t, s, batch_schema(rows), err) < 0)
        return -1;
    if (!s->data && make_room(t, err) < 0)
        return -1;
    return put_rows(t, s, rows, err);
}
