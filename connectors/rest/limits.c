/* What an API may send, for people. */
#include <stdio.h>

#include "connectors/rest/page.h"
#include "connectors/rest/page_internal.h"
#include "connectors/rest/reader.h"

void rest_tell_limits(tell_fn *tell, void *arg)
{
    char text[64];

    snprintf(text, sizeof text, "%zu MiB", PAGE_MAX_RECORD >> 20);
    tell(arg, "a record", text);
    snprintf(text, sizeof text, "%zu MiB", PAGE_MAX_ENVELOPE >> 20);
    tell(arg, "what stands around the records of a page", text);
    snprintf(text, sizeof text, "%d deep", PAGE_MAX_DEPTH);
    tell(arg, "JSON of an answer", text);
}
