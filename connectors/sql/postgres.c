#include "connectors/sql/postgres_internal.h"

const char *const postgres_ssl_modes[] = {"disable", "require", "verify-ca", "verify-full", NULL};
