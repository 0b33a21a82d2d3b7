/* The limits that hold whatever is connected, for people. */
#include <inttypes.h>
#include <stdio.h>

#include "connectors/catalog.h"
#include "connectors/connector.h"
#include "connectors/data/batch.h"
#include "connectors/data/schema.h"

void connector_tell_limits(tell_fn *tell, void *arg)
{
    char text[128];

    snprintf(text, sizeof text, "%zu MiB; a larger one goes to quarantine", BATCH_MAX_VALUE >> 20);
    tell(arg, "a value", text);
    snprintf(text, sizeof text, "%d", SCHEMA_MAX_COLUMNS);
    tell(arg, "columns of a stream", text);
    snprintf(text, sizeof text, "%d", CATALOG_MAX_STREAMS);
    tell(arg, "streams", text);
}
