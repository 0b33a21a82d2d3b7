/* redshift.h - the dialect, for the test. */
#ifndef REDSHIFT_H
#define REDSHIFT_H

#include "connectors/sql/dialect.h"

/* Once, before anything else. */
void redshift_prepare(void);
/* With DISTKEY and SORTKEY for new tables, or without. */
const struct sql_dialect *redshift_dialect(bool distribute);

#endif
