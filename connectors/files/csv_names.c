/*
 * What records of CSV say: the text of a field, and the names of columns.
 */
#include <string.h>

#include "connectors/base/text.h"
#include "connectors/files/cell.h"
#include "connectors/files/csv.h"

void csv_text_init(struct csv_text *t, const struct files_dialect *d)
{
    t->plain = BUF_INIT(d->max_line_bytes);
    t->wide = BUF_INIT(2 * d->max_line_bytes);
}

void csv_text_release(struct csv_text *t)
{
    buf_release(&t->plain);
    buf_release(&t->wide);
}

struct slice csv_field_text(const struct csv_field *f, const struct files_dialect *d,
                            struct csv_text *t)
{
    struct slice s = {f->ptr, f->len};

    if (f->doubled) {
        buf_clear(&t->plain);
        csv_unquote(&t->plain, f, d->quote);
        s = (struct slice){buf_str(&t->plain), t->plain.len};
    }
    if (d->latin1) {
        buf_clear(&t->wide);
        cell_put_latin1(&t->wide, s.ptr, s.len);
        s = (struct slice){buf_str(&t->wide), t->wide.len};
    }
    return s;
}

static bool is_taken(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(names[i], name))
            return true;
    }
    return false;
}

/* A column without a name gets its number, one whose name is taken a number behind it. */
static const char *unique_name(const char *const *names, size_t i, const char *name,
                               struct arena *mem)
{
    const char *wanted = *name ? name : arena_printf(mem, "column%zu", i + 1);

    name = wanted;
    for (int k = 2; is_taken(names, i, name); k++)
        name = arena_printf(mem, "%s_%d", wanted, k);
    return name;
}

int csv_names(const struct csv_record *first, const struct files_dialect *d, const char *where,
              struct csv_text *t, struct arena *mem, const char ***out, struct error *err)
{
    size_t n = first->n_fields;
    const char **names;

    if (n > SCHEMA_MAX_COLUMNS)
        return error_set(err, ERR_TOO_LARGE, "%s line %lld: %zu columns are more than %d", where,
                         (long long)first->line, n, SCHEMA_MAX_COLUMNS);
    names = arena_array(mem, n, sizeof *names);
    for (size_t i = 0; i < n; i++) {
        struct slice s = {"", 0};
        const char *name;

        if (d->header)
            s = csv_field_text(&first->fields[i], d, t);
        name = arena_memdup(mem, s.ptr, s.len);
        if (!text_is_utf8(s.ptr, s.len) || strlen(name) != s.len)
            return error_set(err, ERR_DATA,
                             "%s line %lld, column %zu: the name of the column is not UTF-8 text",
                             where, (long long)first->line, i + 1);
        names[i] = unique_name(names, i, name, mem);
    }
    *out = names;
    return 0;
}
