/*
 * routes.h - the table of routes and the handlers it names.
 *
 * A handler decodes, calls one function of store or sync, encodes. What they share is in the
 * other headers of this folder.
 */
#ifndef HANDLERS_ROUTES_H
#define HANDLERS_ROUTES_H

#include "server/http/http.h"

extern const struct route routes[]; /* ends with a NULL method */

/* health.c, info.c */
handler_fn handle_livez, handle_readyz, handle_startupz, handle_info;

/* metrics.c */
handler_fn handle_metrics;

/* docs.c */
handler_fn handle_root, handle_openapi, handle_docs, handle_docs_asset, handle_docs_connector;

/* connectors.c */
handler_fn handle_connectors, handle_connector, handle_connector_schema, handle_connector_template,
    handle_connector_validate, handle_connector_put, handle_connector_delete;

/* resources.c: one implementation, the kind is bound here */
handler_fn handle_sources, handle_source_create, handle_source, handle_source_put,
    handle_source_patch, handle_source_delete;
handler_fn handle_destinations, handle_destination_create, handle_destination,
    handle_destination_put, handle_destination_patch, handle_destination_delete;

/* jobs.c */
handler_fn handle_check, handle_source_check, handle_destination_check, handle_discover,
    handle_sample, handle_count;

/* catalogs.c */
handler_fn handle_catalog, handle_catalogs, handle_catalog_by_id, handle_catalog_diff;

/* connections.c */
handler_fn handle_connections, handle_connection_create, handle_connection, handle_connection_put,
    handle_connection_patch, handle_connection_delete, handle_connection_pause,
    handle_connection_resume;

/* streams.c */
handler_fn handle_streams, handle_streams_put, handle_streams_refresh;

/* state.c */
handler_fn handle_state, handle_state_put, handle_state_patch, handle_state_delete,
    handle_state_stream, handle_state_stream_put, handle_state_stream_delete;

/* start.c, adhoc.c */
handler_fn handle_run_start, handle_clear, handle_run_adhoc, handle_run_retry;

/* runs.c */
handler_fn handle_runs, handle_run, handle_run_streams, handle_run_cancel, handle_run_outcome,
    handle_run_delete;

/* tokens.c */
handler_fn handle_tokens, handle_token_create, handle_token_revoke;

/* logs.c */
handler_fn handle_run_logs;

#endif
