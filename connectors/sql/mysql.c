#include "connectors/sql/mysql_internal.h"

const char *const mysql_ssl_modes[] = {"disable", "require", "verify-ca", "verify-full", NULL};
