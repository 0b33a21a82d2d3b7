/* What PostgreSQL says, as a class, a reason and one sentence. */
#include <ctype.h>
#include <string.h>

#include "connectors/base/text.h"
#include "connectors/sql/postgres_internal.h"

/* clang-format off */
static const struct {
    const char *state; /* all five characters, or the first two for a whole class */
    enum error_code code;
    const char *reason;
} classes[] = {
    {"08P01", ERR_INTERNAL,     "protocol"},
    {"08",    ERR_TRANSIENT,    "connection_lost"},
    {"0A",    ERR_UNSUPPORTED,  NULL},
    {"21",    ERR_DATA,         "value_rejected"},
    {"22",    ERR_DATA,         "value_rejected"},
    {"23",    ERR_DATA,         "constraint"},
    {"25006", ERR_PERMISSION,   "read_only"},
    {"25P03", ERR_TRANSIENT,    "idle_timeout"},
    {"25",    ERR_INTERNAL,     "transaction_state"},
    {"27",    ERR_DATA,         "constraint"},
    {"28",    ERR_UNAUTHORIZED, "auth_failed"},
    {"3D",    ERR_CONFIG,       "database_missing"},
    {"3F",    ERR_CONFIG,       "schema_missing"},
    {"40001", ERR_CONTENTION,   "serialization"},
    {"40P01", ERR_CONTENTION,   "deadlock"},
    {"40",    ERR_CONTENTION,   "serialization"},
    {"42501", ERR_PERMISSION,   "permission_denied"},
    {"42P01", ERR_SCHEMA,       "table_missing"},
    {"42703", ERR_SCHEMA,       "column_missing"},
    {"42804", ERR_SCHEMA,       "sql_error"},
    {"42",    ERR_SCHEMA,       "sql_error"},
    {"44",    ERR_DATA,         "constraint"},
    {"53100", ERR_RESOURCE,     "disk_full"},
    {"53200", ERR_RESOURCE,     "out_of_memory"},
    {"53300", ERR_TRANSIENT,    "too_many_connections"},
    {"53",    ERR_RESOURCE,     NULL},
    {"54",    ERR_TOO_LARGE,    NULL},
    {"55P03", ERR_CONTENTION,   "lock_timeout"},
    {"55006", ERR_CONTENTION,   "object_in_use"},
    {"55",    ERR_SCHEMA,       "not_in_state"},
    {"57014", ERR_TRANSIENT,    "statement_timeout"},
    {"57P01", ERR_TRANSIENT,    "admin_shutdown"},
    {"57P02", ERR_TRANSIENT,    "admin_shutdown"},
    {"57P03", ERR_TRANSIENT,    "cannot_connect_now"},
    {"57P04", ERR_CONFIG,       "database_missing"},
    {"57P05", ERR_TRANSIENT,    "idle_timeout"},
    {"57",    ERR_TRANSIENT,    "admin_shutdown"},
    {"58",    ERR_TRANSIENT,    "io_error"},
    {"72",    ERR_TRANSIENT,    "snapshot_too_old"},
    {"HV",    ERR_TRANSIENT,    "foreign_server"},
    {"P0",    ERR_DATA,         "constraint"}, /* raised by a trigger */
    {"XX001", ERR_DATA,         "corrupt"},
    {"XX002", ERR_DATA,         "corrupt"},
    {"XX",    ERR_INTERNAL,     "server_error"},
};
/* clang-format on */

static void classify(const char *state, enum error_code *code, const char **reason)
{
    *code = ERR_INTERNAL;
    *reason = NULL;
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (strncmp(state, classes[i].state, strlen(classes[i].state)) == 0) {
            *code = classes[i].code;
            *reason = classes[i].reason;
            return;
        }
    }
}

/* One line of what the server said, which may be any number of bytes of anything. */
static void put_line(struct buf *out, const char *s, size_t n)
{
    size_t cut = n < 600 ? n : 600, from = out->len;

    while (cut > 0 && isspace((unsigned char)s[cut - 1]))
        cut--;
    text_put_utf8(out, s, cut);
    for (size_t i = from; i < out->len; i++) {
        if ((unsigned char)out->data[i] < ' ')
            out->data[i] = ' ';
    }
}

static void put_field(struct buf *out, const PGresult *result, int field, const char *before)
{
    const char *text = PQresultErrorField(result, field);

    if (!text || *text == '\0')
        return;
    buf_puts(out, before);
    put_line(out, text, strlen(text));
}

/* The sentence without the values that it quotes, as in: value "x" is out of range for type y, or
 * invalid input syntax for type y: "x". */
static void put_unquoted(struct buf *out, const char *text)
{
    const char *value = strncmp(text, "value \"", 7) == 0 ? text + 6 : NULL;
    const char *end = value ? strrchr(value, '"') : strstr(text, ": \"");

    if (value) {
        put_line(out, "value", 5);
        put_line(out, end + 1, strlen(end + 1));
        return;
    }
    put_line(out, text, end ? (size_t)(end - text) : strlen(text));
}

/* Of rows that are refused the details are values, which belong into quarantine and into no log. */
static void put_message(struct buf *out, const PGresult *result, bool of_rows)
{
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    if (of_rows) {
        put_unquoted(out, text ? text : "");
        return;
    }
    put_field(out, result, PG_DIAG_MESSAGE_PRIMARY, "");
    put_field(out, result, PG_DIAG_MESSAGE_DETAIL, ": ");
    put_field(out, result, PG_DIAG_MESSAGE_HINT, ": ");
}

/* Where in a COPY: "COPY t, line 7, column c". The value that may follow is the user's. */
static void put_copy_line(struct buf *out, const PGresult *result)
{
    const char *text = PQresultErrorField(result, PG_DIAG_CONTEXT);
    size_t n;

    if (!text || strncmp(text, "COPY ", 5) != 0)
        return;
    n = strcspn(text, "\n");
    for (size_t i = 0; i + 1 < n; i++) {
        if (text[i] == ':' && text[i + 1] == ' ') {
            n = i;
            break;
        }
    }
    buf_puts(out, " (");
    put_line(out, text, n);
    buf_puts(out, ")");
}

/* What libpq says when an allocation fails, of an answer that is larger than
 * connectors/base/ceiling.h allows, for instance. */
static bool wants_too_much(const char *text)
{
    return strstr(text, "cannot allocate memory") || strstr(text, "out of memory");
}

int postgres_fail(struct postgres_conn *c, const PGresult *result, const char *what,
                  struct error *err)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    CLEANUP(buf_release) struct buf said = BUF_INIT(4096);
    enum error_code code = ERR_TRANSIENT;
    const char *reason = "connection_lost";

    if (cancel_check(c->run->cancel, err) < 0)
        return -1;
    if (state) {
        classify(state, &code, &reason);
        put_message(&said, result, code == ERR_DATA);
        put_copy_line(&said, result);
    } else {
        const char *text = PQerrorMessage(c->pg);

        /* libpq itself complains of what the server sends; without a word the answer is of another
         * kind than the statement's, ours or theirs to blame. */
        if (wants_too_much(text)) {
            code = ERR_RESOURCE;
            reason = "out_of_memory";
        } else if (PQstatus(c->pg) == CONNECTION_OK && *text) {
            reason = "protocol";
        } else if (PQstatus(c->pg) == CONNECTION_OK) {
            code = ERR_INTERNAL;
            reason = NULL;
            text = "the answer is not of the kind that was asked for";
        }
        put_line(&said, text, strlen(text));
    }
    error_set_at(err, code, reason, __FILE__, __LINE__, "%s: %s: %s", c->server_name, what,
                 buf_str(&said));
    return -1;
}

/* ------------------------------------------------------------- connecting */

/* Finds "FATAL:  28P01: message" as verbose messages have it, in whatever language. */
static const char *find_state(const char *text, char state[static 6])
{
    for (const char *at = strstr(text, ":  "); at; at = strstr(at + 3, ":  ")) {
        size_t n = strspn(at + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");

        if (n == 5 && at[8] == ':' && at[9] == ' ') {
            memcpy(state, at + 3, 5);
            state[5] = '\0';
            return at + 10;
        }
    }
    return NULL;
}

static bool was_cut(const char *text)
{
    return strstr(text, "SYSCALL error") || strstr(text, "closed the connection unexpectedly") ||
           strstr(text, "could not receive data") || strstr(text, "could not send data");
}

int postgres_fail_connect(const PGconn *pg, ConnStatusType stage, const char *server_name,
                          struct error *err)
{
    const char *text = PQerrorMessage(pg), *failed = strstr(text, " failed: ");
    CLEANUP(buf_release) struct buf said = BUF_INIT(4096);
    enum error_code code = ERR_TRANSIENT;
    const char *reason = "host_unreachable", *message;
    char state[6];

    /* libpq puts the address in front, which server_name says better. */
    if (failed && strncmp(text, "connection to server at ", 24) == 0)
        text = failed + 9;
    message = find_state(text, state);
    if (message) {
        classify(state, &code, &reason);
        put_line(&said, message, strcspn(message, "\n"));
    } else {
        if (PQconnectionNeedsPassword(pg))
            text = "the server asks for a password, and none is given";
        put_line(&said, text, strcspn(text, "\n"));
        if (was_cut(text)) {
            reason = "connection_lost";
        } else if (stage == CONNECTION_SSL_STARTUP) {
            code = ERR_CONFIG;
            reason = "tls_failed";
        } else if (strstr(text, "expected authentication request")) {
            code = ERR_CONFIG;
            reason = "not_postgres";
        } else if (PQconnectionNeedsPassword(pg) || stage == CONNECTION_AWAITING_RESPONSE) {
            code = ERR_UNAUTHORIZED;
            reason = "auth_failed";
        }
    }
    error_set_at(err, code, reason, __FILE__, __LINE__, "cannot connect to %s: %s", server_name,
                 buf_str(&said));
    return -1;
}
