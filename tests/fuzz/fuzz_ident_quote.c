/*
 * Q2: a name is quoted so that the database reads back exactly this name, and nothing behind it: in
 * the dialects of all three databases.
 */
#include <string.h>

#include "connectors/base/text.h"
#include "connectors/sql/dialect.h"
#include "tests/fuzz/fuzz.h"

/* What a database makes of a quoted name; *out_n bytes of `sql` were read. */
static void read_back(const char *sql, char quote, struct buf *out, size_t *out_n)
{
    size_t at = 1;

    MUST(sql[0] == quote);
    for (;; at++) {
        MUST(sql[at] != '\0');
        if (sql[at] == quote && sql[++at] != quote)
            break;
        buf_putc(out, sql[at]);
    }
    *out_n = at;
}

static void check(const struct sql_dialect *d, char quote, const char *name)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(1 << 20);
    CLEANUP(buf_release) struct buf back = BUF_INIT(1 << 20);
    size_t n;

    sql_put_name(d, name, &sql);
    read_back(buf_str(&sql), quote, &back, &n);
    MUST(n == sql.len);
    MUST(strcmp(buf_str(&back), name) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[512];

    if (size == 0 || size >= sizeof name || memchr(data, '\0', size) ||
        !text_is_utf8((const char *)data, size))
        return 0;
    memcpy(name, data, size);
    name[size] = '\0';
    check(&sql_sqlite, '"', name);
    check(&sql_postgres, '"', name);
    check(&sql_mysql, '`', name);
    return 0;
}
