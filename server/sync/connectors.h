/*
 * connectors.h - source connectors by name, whether they are built in or were described by a
 * document in the store. Safe from any thread.
 */
#ifndef SERVER_SYNC_CONNECTORS_H
#define SERVER_SYNC_CONNECTORS_H

#include "connectors/connector.h"
#include "server/store/store.h"

/*
 * 1 with *out, 0 when there is none. What was described belongs to `mem` and stays as it is there
 * when the document is replaced. Fails when the store does, and with DATA "invalid_document" when a
 * stored document is not one any more, as after an older program was put back.
 */
CHECKED int connectors_source(struct store *store, const char *name, struct arena *mem,
                              const struct source_connector **out, struct error *err);

/* A stored document as a connector. */
CHECKED int connectors_described(const struct stored_connector *row, struct arena *mem,
                                 const struct source_connector **out, struct error *err);

#endif
