/*
 * postgres.h - PostgreSQL (11 and later) behind the SQL engine: the driver, and what its source and
 * destination share.
 *
 * A connection is made from typed options only, as an array of keywords that we chose (never a
 * connection string, no environment, no password file), and ends early when its run is cancelled:
 * what the server is doing then is cancelled as well. Certificates of authorities come as PEM text
 * and reach libpq through a file in memory.
 */
#ifndef CONNECTORS_SQL_POSTGRES_H
#define CONNECTORS_SQL_POSTGRES_H

#include "connectors/sql/dialect.h"

struct sql_source_driver;

/* Removes from the environment what libpq would read there: PG* and the home directory. Call it
 * before there are threads. */
void postgres_forget_environment(void);

/* What a source and a destination both say about the server. */
#define POSTGRES_SERVER_MEMBERS                                                     \
    const char *host;                                                               \
    int64_t port;                                                                   \
    const char *database, *username, *password;                                     \
    const char *ssl_mode;      /* disable, require, verify-ca, verify-full */       \
    const char *ssl_root_cert; /* PEM text; NULL = the authorities of the system */ \
    int64_t connect_timeout_s, statement_timeout_s /* 0 = none */

struct postgres_server {
    POSTGRES_SERVER_MEMBERS;
};

/* Sources. `config` is this; see source.h for the settings. */
struct postgres_source {
    union {
        struct postgres_server server;
        struct {
            POSTGRES_SERVER_MEMBERS;
        };
    };
    struct string_list schemas; /* to discover; none = all but the system's */
    const struct doc *queries;  /* {"stream name": "SELECT ..."} */
    int64_t lookback_s, skew_s, safe_wait_s;
    const char *null_cursor;
};
extern const struct sql_source_driver postgres_source_driver;

/* Destinations. `config` is this. */
struct postgres_destination {
    union {
        struct postgres_server server;
        struct {
            POSTGRES_SERVER_MEMBERS;
        };
    };
    const char *schema; /* where streams go that do not say; made when it is missing */
    bool adopt_table;
};
extern const struct sql_driver postgres_driver;
/* 0 when tables can be created in the schema; leaves nothing behind. */
CHECKED int postgres_check_writable(const struct postgres_destination *to, struct run *run,
                                    struct error *err);

/* The rows of an option table that describe the server, for a struct with the members above. */
extern const char *const postgres_ssl_modes[];
/* clang-format off */
#define POSTGRES_SERVER_OPTIONS(T)                                                                 \
    OPTION(T, host, .title = "Host", .flags = OPTION_REQUIRED | OPTION_BINDING, .min = 1,          \
           .max = 255, .help = "Name or address of the server: one host, no list and no socket.",  \
           .example = "db.example.com"),                                                           \
    OPTION(T, port, .title = "Port", .flags = OPTION_BINDING, .def = "5432", .min = 1,             \
           .max = 65535, .help = "TCP port of the server."),                                       \
    OPTION(T, database, .title = "Database", .flags = OPTION_REQUIRED | OPTION_BINDING, .min = 1,  \
           .max = 63, .help = "Name of the database.", .example = "shop"),                         \
    OPTION(T, username, .title = "User", .flags = OPTION_REQUIRED | OPTION_BINDING, .min = 1,      \
           .max = 63, .help = "Role to log in as.", .example = "reader"),                          \
    OPTION(T, password, .title = "Password", .flags = OPTION_SECRET, .max = 1024,                  \
           .help = "Password of the role; none for roles that need none."),                        \
    OPTION(T, ssl_mode, .title = "TLS", .flags = OPTION_BINDING, .def = "verify-full",             \
           .choices = postgres_ssl_modes,                                                          \
           .help = "How the connection is protected. verify-full checks certificate and name, "    \
                   "verify-ca the certificate, require only encrypts, disable sends everything, "  \
                   "the password perhaps included, in clear."),                                    \
    OPTION(T, ssl_root_cert, .title = "Certificate authorities", .flags = OPTION_BINDING,          \
           .max = 262144, .help = "PEM text of the authorities that may have signed the server's " \
                   "certificate. Without it those of the system count."),                          \
    OPTION(T, connect_timeout_s, .title = "Seconds to connect", .def = "10", .min = 1, .max = 300, \
           .help = "How long connecting may take."),                                               \
    OPTION(T, statement_timeout_s, .title = "Seconds per statement", .def = "0", .min = 0,         \
           .max = 86400, .help = "How long one statement may take; 0 sets no limit.")
/* clang-format on */

/* Which declared types become which of ours, for people. */
void postgres_tell_types(tell_fn *tell, void *arg);

#endif
