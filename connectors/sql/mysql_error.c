/* What the numbers of the server's and the library's errors mean to us. */
#include <errmsg.h>
#include <mysqld_error.h>

#include "connectors/sql/mysql_internal.h"

/* Numbers that only MySQL has, or that the library's header does not name. */
#define MYSQL_ER_QUERY_TIMEOUT              3024
#define MYSQL_ER_DUP_ENTRY_AUTOINCREMENT    1569
#define MYSQL_ER_CLIENT_INTERACTION_TIMEOUT 4031
#define MYSQL_ER_CHECK_VIOLATED             3819
#define MYSQL_ER_INVALID_JSON_TEXT          3140
#define MYSQL_ER_INVALID_JSON_CHARSET       3144
#define MYSQL_ER_LOCK_NOWAIT                3572
#define MYSQL_ER_CAPACITY_EXCEEDED          3170
#define MYSQL_ER_ACCOUNT_LOCKED             3118
#define MYSQL_ER_LOCAL_INFILE_DISABLED      3948
#define MYSQL_ER_SESSION_WAS_KILLED         3169
#define MYSQL_ER_SECURE_TRANSPORT_REQUIRED  3159
#define MYSQL_ER_SERVER_OFFLINE             3032

/* clang-format off */
static const struct class {
    unsigned number;
    enum error_code code;
    const char *reason;
} classes[] = {
    /* of the library */
    {CR_CONNECTION_ERROR,                 ERR_TRANSIENT,    "host_unreachable"},
    {CR_CONN_HOST_ERROR,                  ERR_TRANSIENT,    "host_unreachable"},
    {CR_UNKNOWN_HOST,                     ERR_TRANSIENT,    "host_unknown"},
    {CR_SERVER_GONE_ERROR,                ERR_TRANSIENT,    "connection_lost"},
    {CR_SERVER_LOST,                      ERR_TRANSIENT,    "connection_lost"},
    {CR_SERVER_HANDSHAKE_ERR,             ERR_TRANSIENT,    "connection_lost"},
    {CR_MALFORMED_PACKET,                 ERR_TRANSIENT,    "connection_lost"},
    {CR_ERR_NET_READ,                     ERR_TRANSIENT,    "connection_lost"},
    {CR_ERR_NET_WRITE,                    ERR_TRANSIENT,    "connection_lost"},
    {CR_SSL_CONNECTION_ERROR,             ERR_CONFIG,       "tls_failed"},
    {CR_OUT_OF_MEMORY,                    ERR_RESOURCE,     "out_of_memory"},
    {CR_NET_PACKET_TOO_LARGE,             ERR_TOO_LARGE,    NULL},
    {CR_VERSION_ERROR,                    ERR_CONFIG,       NULL},
    {CR_SECURE_AUTH,                      ERR_UNAUTHORIZED, "auth_failed"},
    {CR_AUTH_PLUGIN_CANNOT_LOAD,          ERR_UNAUTHORIZED, "auth_failed"},
    {CR_AUTH_PLUGIN_ERR,                  ERR_UNAUTHORIZED, "auth_failed"},
    {CR_PLUGIN_NOT_ALLOWED,               ERR_UNAUTHORIZED, "insecure_auth"},
    {CR_ERR_LOAD_PLUGIN,                  ERR_UNAUTHORIZED, "auth_failed"},
    /* who may do what */
    {ER_ACCESS_DENIED_ERROR,              ERR_UNAUTHORIZED, "auth_failed"},
    {ER_ACCESS_DENIED_NO_PASSWORD_ERROR,  ERR_UNAUTHORIZED, "auth_failed"},
    {ER_HOST_NOT_PRIVILEGED,              ERR_UNAUTHORIZED, "auth_failed"},
    {ER_HOST_IS_BLOCKED,                  ERR_UNAUTHORIZED, "auth_failed"},
    {ER_USER_IS_BLOCKED,                  ERR_UNAUTHORIZED, "auth_failed"},
    {ER_ACCOUNT_HAS_BEEN_LOCKED,          ERR_UNAUTHORIZED, "auth_failed"},
    {MYSQL_ER_ACCOUNT_LOCKED,             ERR_UNAUTHORIZED, "auth_failed"},
    {ER_MUST_CHANGE_PASSWORD,             ERR_UNAUTHORIZED, "auth_failed"},
    {ER_MUST_CHANGE_PASSWORD_LOGIN,       ERR_UNAUTHORIZED, "auth_failed"},
    {MYSQL_ER_SECURE_TRANSPORT_REQUIRED,  ERR_CONFIG,       "tls_failed"},
    {ER_DBACCESS_DENIED_ERROR,            ERR_PERMISSION,   "permission_denied"},
    {ER_TABLEACCESS_DENIED_ERROR,         ERR_PERMISSION,   "permission_denied"},
    {ER_COLUMNACCESS_DENIED_ERROR,        ERR_PERMISSION,   "permission_denied"},
    {ER_SPECIFIC_ACCESS_DENIED_ERROR,     ERR_PERMISSION,   "permission_denied"},
    {ER_PROCACCESS_DENIED_ERROR,          ERR_PERMISSION,   "permission_denied"},
    {ER_VIEW_NO_EXPLAIN,                  ERR_PERMISSION,   "permission_denied"},
    {ER_KILL_DENIED_ERROR,                ERR_PERMISSION,   "permission_denied"},
    {ER_NOT_ALLOWED_COMMAND,              ERR_PERMISSION,   "local_infile_refused"},
    {ER_LOAD_INFILE_CAPABILITY_DISABLED,  ERR_PERMISSION,   "local_infile_refused"},
    {MYSQL_ER_LOCAL_INFILE_DISABLED,      ERR_PERMISSION,   "local_infile_refused"},
    {ER_OPTION_PREVENTS_STATEMENT,        ERR_PERMISSION,   "read_only"},
    {ER_READ_ONLY_MODE,                   ERR_PERMISSION,   "read_only"},
    {ER_INNODB_READ_ONLY,                 ERR_PERMISSION,   "read_only"},
    {ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, ERR_PERMISSION, "read_only"},
    {ER_OPEN_AS_READONLY,                 ERR_PERMISSION,   "read_only"},
    {ER_CANT_UPDATE_WITH_READLOCK,        ERR_CONTENTION,   "lock_timeout"},
    /* what is there */
    {ER_BAD_DB_ERROR,                     ERR_CONFIG,       "database_missing"},
    {ER_NO_SUCH_TABLE,                    ERR_SCHEMA,       "table_missing"},
    {ER_NO_SUCH_TABLE_IN_ENGINE,          ERR_SCHEMA,       "table_missing"},
    {ER_BAD_TABLE_ERROR,                  ERR_SCHEMA,       "table_missing"},
    {ER_UNKNOWN_TABLE,                    ERR_SCHEMA,       "table_missing"},
    {ER_BAD_FIELD_ERROR,                  ERR_SCHEMA,       "column_missing"},
    {ER_VIEW_INVALID,                     ERR_SCHEMA,       "view_invalid"},
    {ER_TABLE_EXISTS_ERROR,               ERR_CONFLICT,     "table_exists"},
    {ER_TABLE_DEF_CHANGED,                ERR_CONTENTION,   "schema_changed"},
    /* what passes */
    {ER_CON_COUNT_ERROR,                  ERR_TRANSIENT,    "too_many_connections"},
    {ER_TOO_MANY_USER_CONNECTIONS,        ERR_TRANSIENT,    "too_many_connections"},
    {ER_USER_LIMIT_REACHED,               ERR_TRANSIENT,    "too_many_connections"},
    {ER_SERVER_SHUTDOWN,                  ERR_TRANSIENT,    "admin_shutdown"},
    {ER_NORMAL_SHUTDOWN,                  ERR_TRANSIENT,    "admin_shutdown"},
    {MYSQL_ER_SERVER_OFFLINE,             ERR_TRANSIENT,    "cannot_connect_now"},
    {ER_CONNECTION_KILLED,                ERR_TRANSIENT,    "admin_shutdown"},
    {MYSQL_ER_SESSION_WAS_KILLED,         ERR_TRANSIENT,    "admin_shutdown"},
    {ER_QUERY_INTERRUPTED,                ERR_TRANSIENT,    "admin_shutdown"},
    {ER_ABORTING_CONNECTION,              ERR_TRANSIENT,    "connection_lost"},
    {ER_NEW_ABORTING_CONNECTION,          ERR_TRANSIENT,    "connection_lost"},
    {ER_NET_READ_ERROR,                   ERR_TRANSIENT,    "connection_lost"},
    {ER_NET_READ_INTERRUPTED,             ERR_TRANSIENT,    "connection_lost"},
    {ER_NET_ERROR_ON_WRITE,               ERR_TRANSIENT,    "connection_lost"},
    {ER_NET_WRITE_INTERRUPTED,            ERR_TRANSIENT,    "connection_lost"},
    {ER_NET_PACKETS_OUT_OF_ORDER,         ERR_TRANSIENT,    "connection_lost"},
    {MYSQL_ER_CLIENT_INTERACTION_TIMEOUT, ERR_TRANSIENT,    "connection_lost"},
    {ER_STATEMENT_TIMEOUT,                ERR_TRANSIENT,    "statement_timeout"},
    {MYSQL_ER_QUERY_TIMEOUT,              ERR_TRANSIENT,    "statement_timeout"},
    {ER_LOCK_WAIT_TIMEOUT,                ERR_CONTENTION,   "lock_timeout"},
    {MYSQL_ER_LOCK_NOWAIT,                ERR_CONTENTION,   "lock_timeout"},
    {ER_LOCK_DEADLOCK,                    ERR_CONTENTION,   "deadlock"},
    {ER_LOCK_ABORTED,                     ERR_CONTENTION,   "deadlock"},
    {ER_CHECKREAD,                        ERR_CONTENTION,   "serialization"},
    {ER_NEED_REPREPARE,                   ERR_CONTENTION,   "schema_changed"},
    /* what is used up */
    {ER_DISK_FULL,                        ERR_RESOURCE,     "disk_full"},
    {ER_RECORD_FILE_FULL,                 ERR_RESOURCE,     "disk_full"},
    {ER_INDEX_FILE_FULL,                  ERR_RESOURCE,     "disk_full"},
    {ER_TEMP_FILE_WRITE_FAILURE,          ERR_RESOURCE,     "disk_full"},
    {ER_ERROR_ON_WRITE,                   ERR_RESOURCE,     "disk_full"},
    {ER_INNODB_UNDO_LOG_FULL,             ERR_RESOURCE,     "disk_full"},
    {ER_TRANS_CACHE_FULL,                 ERR_RESOURCE,     "transaction_too_large"},
    {ER_LOCK_TABLE_FULL,                  ERR_RESOURCE,     "transaction_too_large"},
    {ER_OUTOFMEMORY,                      ERR_RESOURCE,     "out_of_memory"},
    {ER_OUT_OF_RESOURCES,                 ERR_RESOURCE,     "out_of_memory"},
    {ER_ENGINE_OUT_OF_MEMORY,             ERR_RESOURCE,     "out_of_memory"},
    {MYSQL_ER_CAPACITY_EXCEEDED,          ERR_RESOURCE,     "out_of_memory"},
    {ER_OUT_OF_SORTMEMORY,                ERR_RESOURCE,     "out_of_memory"},
    /* values */
    {ER_NET_PACKET_TOO_LARGE,             ERR_TOO_LARGE,    NULL},
    {ER_WARN_ALLOWED_PACKET_OVERFLOWED,   ERR_TOO_LARGE,    NULL},
    {ER_TOO_BIG_ROWSIZE,                  ERR_SCHEMA,       "row_too_wide"},
    {ER_TOO_LONG_KEY,                     ERR_SCHEMA,       "key_too_long"},
    {ER_TOO_MANY_FIELDS,                  ERR_SCHEMA,       "row_too_wide"},
    {ER_BAD_NULL_ERROR,                   ERR_DATA,         "constraint"},
    {ER_WARN_NULL_TO_NOTNULL,             ERR_DATA,         "constraint"},
    {ER_NO_DEFAULT_FOR_FIELD,             ERR_DATA,         "constraint"},
    {ER_NO_DEFAULT_FOR_VIEW_FIELD,        ERR_DATA,         "constraint"},
    {ER_DUP_KEY,                          ERR_DATA,         "constraint"},
    {ER_DUP_ENTRY,                        ERR_DATA,         "constraint"},
    {ER_DUP_ENTRY_WITH_KEY_NAME,          ERR_DATA,         "constraint"},
    {MYSQL_ER_DUP_ENTRY_AUTOINCREMENT,    ERR_DATA,         "constraint"},
    {ER_DUP_UNIQUE,                       ERR_DATA,         "constraint"},
    {ER_NO_REFERENCED_ROW,                ERR_DATA,         "constraint"},
    {ER_NO_REFERENCED_ROW_2,              ERR_DATA,         "constraint"},
    {ER_ROW_IS_REFERENCED,                ERR_DATA,         "constraint"},
    {ER_ROW_IS_REFERENCED_2,              ERR_DATA,         "constraint"},
    {ER_CONSTRAINT_FAILED,                ERR_DATA,         "constraint"},
    {MYSQL_ER_CHECK_VIOLATED,             ERR_DATA,         "constraint"},
    {ER_NO_PARTITION_FOR_GIVEN_VALUE,     ERR_DATA,         "constraint"},
    {ER_ROW_DOES_NOT_MATCH_GIVEN_PARTITION_SET, ERR_DATA,   "constraint"},
    {ER_VIEW_CHECK_FAILED,                ERR_DATA,         "constraint"},
    {ER_WARN_DATA_OUT_OF_RANGE,           ERR_DATA,         "value_rejected"},
    {ER_DATA_OUT_OF_RANGE,                ERR_DATA,         "value_rejected"},
    {WARN_DATA_TRUNCATED,                 ERR_DATA,         "value_rejected"},
    {ER_DATA_TOO_LONG,                    ERR_DATA,         "value_rejected"},
    {ER_TOO_LONG_STRING,                  ERR_DATA,         "value_rejected"},
    {ER_TRUNCATED_WRONG_VALUE,            ERR_DATA,         "value_rejected"},
    {ER_TRUNCATED_WRONG_VALUE_FOR_FIELD,  ERR_DATA,         "value_rejected"},
    {ER_WRONG_VALUE_FOR_TYPE,             ERR_DATA,         "value_rejected"},
    {ER_WRONG_VALUE,                      ERR_DATA,         "value_rejected"},
    {ER_INVALID_CHARACTER_STRING,         ERR_DATA,         "value_rejected"},
    {ER_CANNOT_CONVERT_CHARACTER,         ERR_DATA,         "value_rejected"},
    {ER_CANT_CREATE_GEOMETRY_OBJECT,      ERR_DATA,         "value_rejected"},
    {ER_DIVISION_BY_ZERO,                 ERR_DATA,         "value_rejected"},
    {ER_WARN_TOO_FEW_RECORDS,             ERR_DATA,         "value_rejected"},
    {ER_WARN_TOO_MANY_RECORDS,            ERR_DATA,         "value_rejected"},
    {MYSQL_ER_INVALID_JSON_TEXT,          ERR_DATA,         "value_rejected"},
    {MYSQL_ER_INVALID_JSON_CHARSET,       ERR_DATA,         "value_rejected"},
    /* what is broken */
    {ER_CRASHED_ON_USAGE,                 ERR_DATA,         "corrupt"},
    {ER_CRASHED_ON_REPAIR,                ERR_DATA,         "corrupt"},
    {ER_NOT_KEYFILE,                      ERR_DATA,         "corrupt"},
    {ER_PARSE_ERROR,                      ERR_SCHEMA,       "sql_error"},
    {ER_SYNTAX_ERROR,                     ERR_SCHEMA,       "sql_error"},
};
/* clang-format on */

/* What is not in the table: the library's own misuse is ours, the rest is about a statement. */
static const struct class unknown_library = {0, ERR_INTERNAL, NULL};
static const struct class unknown_server = {0, ERR_SCHEMA, "sql_error"};

static const struct class *find(unsigned number)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (classes[i].number == number)
            return &classes[i];
    }
    return number >= CR_MIN_ERROR && number <= CR_MAX_ERROR ? &unknown_library : &unknown_server;
}

/* The same number stands for a certificate that is wrong and for a connection that broke while it
 * was shown; only the text tells, and it is the library's own or OpenSSL's. */
static bool is_broken_handshake(unsigned number, const char *said)
{
    static const char *const signs[] = {"unexpected eof", "reset by peer", "timed out",
                                        "Broken pipe"};

    for (size_t i = 0; number == CR_SSL_CONNECTION_ERROR && i < sizeof signs / sizeof *signs; i++) {
        if (strstr(said, signs[i]))
            return true;
    }
    return false;
}

/* These quote the value that was refused, which is nobody's business in a log. */
static const unsigned quoting[] = {
    ER_DUP_ENTRY,
    ER_DUP_ENTRY_WITH_KEY_NAME,
    MYSQL_ER_DUP_ENTRY_AUTOINCREMENT,
    ER_TRUNCATED_WRONG_VALUE,
    ER_TRUNCATED_WRONG_VALUE_FOR_FIELD,
    ER_WRONG_VALUE_FOR_TYPE,
    ER_WRONG_VALUE,
    ER_INVALID_CHARACTER_STRING,
    ER_CANNOT_CONVERT_CHARACTER,
    ER_DATA_OUT_OF_RANGE,
    ER_NO_PARTITION_FOR_GIVEN_VALUE,
};

/* The value ends where "' for " begins last, or with the last quote: it may hold quotes itself. */
static const char *without_value(unsigned number, const char *said, struct buf *out)
{
    const char *begin = strchr(said, '\''), *end = NULL;
    bool quotes = false;

    for (size_t i = 0; i < sizeof quoting / sizeof *quoting; i++)
        quotes = quotes || quoting[i] == number;
    if (!quotes || !begin)
        return said;
    for (const char *at = begin + 1; (at = strstr(at, "' for ")); at++)
        end = at;
    if (!end)
        end = strrchr(said, '\'');
    if (end <= begin)
        end = said + strlen(said) - 1; /* cut off by the library */
    buf_printf(out, "%.*s'...'%s", (int)(begin - said), said, end + 1);
    return buf_str(out);
}

/* The text may hold anything; a message is one line of UTF-8. */
static void put_line(const char *said, struct buf *out)
{
    text_put_utf8(out, said, strnlen(said, 400));
    for (size_t i = 0; i < out->len; i++) {
        if ((unsigned char)out->data[i] < ' ')
            out->data[i] = ' ';
    }
}

int mysql_fail_as(struct mysql_conn *c, unsigned number, const char *said, const char *what,
                  struct error *err)
{
    static const struct class broken = {0, ERR_TRANSIENT, "connection_lost"};
    const struct class *class = is_broken_handshake(number, said) ? &broken : find(number);
    CLEANUP(buf_release) struct buf line = BUF_INIT(2000);
    CLEANUP(buf_release) struct buf kept = BUF_INIT(MYSQL_ERRMSG_SIZE + 16);

    /* The socket of a cancelled run is shut down, which looks like a lost connection. */
    if (cancel_check(c->run->cancel, err) < 0)
        return -1;
    if (number == CR_PLUGIN_NOT_ALLOWED)
        said = "the server wants the password in a way that is not safe without TLS, or that is "
               "not known here"; /* the library's own text quotes what it has overwritten */
    put_line(without_value(number, said, &kept), &line);
    error_set_at(err, class->code, class->reason, __FILE__, __LINE__, "%s: %s: %s (error %u)",
                 c->server_name, what, line.len ? buf_str(&line) : "no reason was given", number);
    return -1;
}

int mysql_fail(struct mysql_conn *c, MYSQL_STMT *stmt, const char *what, struct error *err)
{
    unsigned number = stmt ? mysql_stmt_errno(stmt) : 0;

    if (number)
        return mysql_fail_as(c, number, mysql_stmt_error(stmt), what, err);
    return mysql_fail_as(c, mysql_errno(c->my), mysql_error(c->my), what, err);
}
