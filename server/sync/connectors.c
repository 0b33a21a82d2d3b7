#include "server/sync/connectors.h"

#include <string.h>

#include "connectors/registry.h"
#include "connectors/rest/described.h"

int connectors_described(const struct stored_connector *row, struct arena *mem,
                         const struct source_connector **out, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *document = NULL;
    struct problems problems = PROBLEMS_INIT(mem);

    if (doc_parse_trusted(row->document, strlen(row->document), &document, err) < 0)
        return error_wrap(err, "the document of connector \"%s\"", row->name);
    *out = described_source(mem, row->name, document, "", &problems);
    if (*out)
        return 0;
    return error_set_reason(err, ERR_DATA, "invalid_document", "connector \"%s\": %s: %s",
                            row->name, problems.items[0].pointer, problems.items[0].message);
}

int connectors_source(struct store *store, const char *name, struct arena *mem,
                      const struct source_connector **out, struct error *err)
{
    struct error why = ERROR_INIT;
    struct stored_connector row;

    *out = registry_source(name);
    if (*out)
        return 1;
    if (store_get_connector(store, name, mem, &row, &why) < 0) {
        if (why.code == ERR_NOT_FOUND)
            return 0;
        *err = why;
        return -1;
    }
    return connectors_described(&row, mem, out, err) < 0 ? -1 : 1;
}
