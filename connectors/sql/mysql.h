/*
 * mysql.h - MariaDB and MySQL behind the SQL engine: the driver, and what its source and
 * destination share.
 *
 * A connection is made from typed options only; no option file is read. Its text is utf8mb4 and its
 * time zone UTC. It ends early when its run is cancelled, and what the server is doing then is
 * killed. A file is never read for LOAD DATA LOCAL, whatever a server asks for: the only thing
 * handed out is the batch being written.
 */
#ifndef CONNECTORS_SQL_MYSQL_H
#define CONNECTORS_SQL_MYSQL_H

#include "connectors/sql/dialect.h"

struct sql_source_driver;

/* What a source and a destination both say about the server. */
#define MYSQL_SERVER_MEMBERS                                                        \
    const char *host;                                                               \
    int64_t port;                                                                   \
    const char *database, *username, *password;                                     \
    const char *ssl_mode;      /* disable, require, verify-ca, verify-full */       \
    const char *ssl_root_cert; /* PEM text; NULL = the authorities of the system */ \
    int64_t connect_timeout_s, statement_timeout_s /* 0 = none */

struct mysql_server {
    MYSQL_SERVER_MEMBERS;
};

/* Sources. `config` is this; see source.h for the settings. */
struct mysql_source {
    union {
        struct mysql_server server;
        struct {
            MYSQL_SERVER_MEMBERS;
        };
    };
    struct string_list schemas; /* databases to discover; none = `database` alone */
    const struct doc *queries;  /* {"stream name": "SELECT ..."} */
    bool tinyint1_is_bool;
    int64_t lookback_s, skew_s, safe_wait_s;
    const char *null_cursor;
};
extern const struct sql_source_driver mysql_source_driver;

/* Destinations. `config` is this; streams without a namespace go into `database`. */
struct mysql_destination {
    union {
        struct mysql_server server;
        struct {
            MYSQL_SERVER_MEMBERS;
        };
    };
    bool adopt_table;
    const char *load; /* auto, local_infile, insert */
};
extern const struct sql_driver mysql_driver;
/* 0 when tables can be created in the database; leaves nothing behind. */
CHECKED int mysql_check_writable(const struct mysql_destination *to, struct run *run,
                                 struct error *err);

/* Called once, before threads are started: the client library would take plug-ins and a password
 * from the environment. */
void mysql_forget_environment(void);

/* The rows of an option table that describe the server, for a struct with the members above. */
extern const char *const mysql_ssl_modes[];
/* clang-format off */
#define MYSQL_SERVER_OPTIONS(T)                                                                    \
    OPTION(T, host, .title = "Host", .flags = OPTION_REQUIRED | OPTION_BINDING, .min = 1,          \
           .max = 255, .help = "Name or address of the server.", .example = "db.example.com"),     \
    OPTION(T, port, .title = "Port", .flags = OPTION_BINDING, .def = "3306", .min = 1,             \
           .max = 65535, .help = "TCP port of the server."),                                       \
    OPTION(T, database, .title = "Database", .flags = OPTION_REQUIRED | OPTION_BINDING, .min = 1,  \
           .max = 64, .help = "Name of the database.", .example = "shop"),                         \
    OPTION(T, username, .title = "User", .flags = OPTION_REQUIRED | OPTION_BINDING, .min = 1,      \
           .max = 80, .help = "User to log in as.", .example = "reader"),                          \
    OPTION(T, password, .title = "Password", .flags = OPTION_SECRET, .max = 1024,                  \
           .help = "Password of the user; none for users that need none."),                        \
    OPTION(T, ssl_mode, .title = "TLS", .flags = OPTION_BINDING, .def = "verify-full",             \
           .choices = mysql_ssl_modes,                                                             \
           .help = "How the connection is protected. verify-full checks certificate and name, "    \
                   "verify-ca the certificate, require only encrypts, disable sends everything "   \
                   "in clear."),                                                                   \
    OPTION(T, ssl_root_cert, .title = "Certificate authorities", .flags = OPTION_BINDING,          \
           .max = 262144, .help = "PEM text of the authorities that may have signed the server's " \
                   "certificate. Without it those of the system count."),                          \
    OPTION(T, connect_timeout_s, .title = "Seconds to connect", .def = "10", .min = 1, .max = 300, \
           .help = "How long connecting may take."),                                               \
    OPTION(T, statement_timeout_s, .title = "Seconds per statement", .def = "0", .min = 0,         \
           .max = 86400, .help = "How long one statement may take; 0 sets no limit.")
/* clang-format on */

/* Which declared types become which of ours, for people. */
void mysql_tell_types(tell_fn *tell, void *arg);

#endif
