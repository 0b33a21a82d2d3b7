/*
 * metric_table.h - every metric of the service: one row each.
 *
 * A row is X(ID, KIND, NAME, LABELS, HELP). KIND is COUNTER, GAUGE, or the set of buckets of a
 * histogram: REQUEST_TIMES or RUN_TIMES. LABELS are the names of at most four labels, separated by
 * commas; the set of values of each must be closed, and of a single label it may be given
 * ("reason=rate|capacity"): those series exist from the start, and every other value becomes
 * "_OTHER". What a name says to be seconds is given in microseconds. Those of connections are the
 * exception: they are written where they are looked up, when the operator asked for them.
 */
#ifndef CONNECTORS_BASE_METRIC_TABLE_H
#define CONNECTORS_BASE_METRIC_TABLE_H

/* clang-format off */
#define METRICS(X) \
    X(BUILD_INFO, GAUGE, "connectord_build_info", "version,revision", \
      "Always 1; says which program this is.") \
    \
    X(HTTP_REQUESTS, COUNTER, "connectord_http_requests_total", "method,route,code", \
      "Requests by method, pattern of the route (_OTHER where there is none) and status; 499 is a client that left.") \
    X(HTTP_TIMES, REQUEST_TIMES, "connectord_http_request_duration_seconds", "method,route", \
      "From the request line to the last byte of the answer; followed logs and waiting requests included.") \
    X(HTTP_IN_FLIGHT, GAUGE, "connectord_http_requests_in_flight", "", \
      "Requests that have no complete answer yet, followers included.") \
    X(HTTP_CONNECTIONS, GAUGE, "connectord_http_connections", "", \
      "Open connections of clients.") \
    X(HTTP_REJECTED, COUNTER, "connectord_http_rejected_total", \
      "reason=malformed|too_large|header_timeout|body_timeout|write_timeout|rate|capacity", \
      "Requests and connections refused before a handler saw them, or cut.") \
    X(AUTH_FAILURES, COUNTER, "connectord_auth_failures_total", \
      "reason=no_token|wrong_token|too_many|foreign_host", \
      "Requests without a right token; too_many are wrong ones of a source that had its share.") \
    X(AUTHZ_DENIED, COUNTER, "connectord_authz_denied_total", "reason=insufficient_scope", \
      "Requests whose token is right but opens less.") \
    X(LOG_FOLLOWERS, GAUGE, "connectord_log_followers", "", \
      "Clients that follow the log of a run.") \
    \
    X(RUNS, COUNTER, "connectord_runs_total", "kind,source,destination,status,trigger", \
      "Runs that have ended, by the connectors on both sides.") \
    X(RUNS_ACTIVE, GAUGE, "connectord_runs_active", "", \
      "Runs that a worker works on.") \
    X(RUNS_QUEUED, GAUGE, "connectord_runs_queued", "", \
      "Runs that wait for a worker.") \
    X(RUN_WORKERS, GAUGE, "connectord_run_workers", "for=long|short", \
      "Workers: for syncs and clears, and for checks, discoveries, samples and counts.") \
    X(RUN_DURATION, RUN_TIMES, "connectord_run_duration_seconds", "status", \
      "From claim to end of syncs and clears.") \
    X(RUN_QUEUE_WAIT, RUN_TIMES, "connectord_run_queue_wait_seconds", "", \
      "From the request to the claim by a worker, of all runs.") \
    X(RUN_ROWS, COUNTER, "connectord_run_rows_total", "connector,direction", \
      "Rows read from sources and rows committed to destinations.") \
    X(RUN_BYTES, COUNTER, "connectord_run_bytes_total", "connector,direction", \
      "Bytes of these rows in memory.") \
    X(RUN_QUARANTINED, COUNTER, "connectord_run_quarantined_rows_total", "connector", \
      "Rows that the destination could not take as they were.") \
    X(RUN_RETRIES, COUNTER, "connectord_run_retries_total", "code", \
      "Further attempts of runs, by the code of the error before.") \
    X(RUNS_STUCK, COUNTER, "connectord_runs_stuck_total", "", \
      "Cancelled runs that had not stopped after the grace time.") \
    X(CHECKPOINT_AGE, GAUGE, "connectord_run_checkpoint_age_seconds", "", \
      "The longest time that an active sync has gone without a commit.") \
    \
    X(CONNECTION_ROWS, COUNTER, "connectord_connection_rows_total", "connection", \
      "With the setting metrics_per_connection: rows that syncs of the connection have committed since the start.") \
    X(CONNECTION_BYTES, COUNTER, "connectord_connection_bytes_total", "connection", \
      "With the setting metrics_per_connection: bytes of these rows in memory.") \
    X(CONNECTION_SUCCESS, GAUGE, "connectord_connection_last_success_timestamp_seconds", "connection", \
      "With the setting metrics_per_connection: when the last sync of the connection that succeeded ended; 0 = never.") \
    X(CONNECTION_DURATION, GAUGE, "connectord_connection_last_duration_seconds", "connection", \
      "With the setting metrics_per_connection: how long the last sync of the connection took, however it ended; 0 = none has ended.") \
    \
    X(EGRESS_CONNECTIONS, COUNTER, "connectord_egress_connections_total", "protocol,result", \
      "Connections that connectors began: made, failed at once, or denied.") \
    X(EGRESS_DENIED, COUNTER, "connectord_egress_denied_total", \
      "rule=never_allowed|own_listener|egress_deny|egress_allow|loopback", \
      "Addresses that were refused, by what refused them; egress_allow is the want of a rule that opens.") \
    X(EXEC_PROCESSES, GAUGE, "connectord_exec_processes", "", \
      "Programs of connectors that run.") \
    X(EXEC_KILLS, COUNTER, "connectord_exec_kills_total", "reason=cancelled|hung|not_needed|signal", \
      "Programs that did not end by themselves; signal is one that somebody else sent, or a limit of theirs.") \
    X(LIMITS_HIT, COUNTER, "connectord_limits_hit_total", "site,limit", \
      "Things that were larger than a documented limit, by part of the program and code of the error.") \
    \
    X(UNSEAL_FAILURES, COUNTER, "connectord_secrets_unseal_failures_total", \
      "reason=changed|key_missing", \
      "Sealed values that did not open: changed or moved, or sealed under a key that the ring lacks.") \
    X(PENDING_RESEAL, GAUGE, "connectord_secrets_pending_reseal", "", \
      "Sources and destinations with secrets under another key than the active one; a rotation ends that.") \
    X(KEYRING_ACTIVE, GAUGE, "connectord_keyring_active_info", "kid", \
      "1 for the id of the key that secrets are sealed under now.") \
    X(REDACTIONS, COUNTER, "connectord_redactions_total", "", \
      "Places in logs and answers where a secret was covered.") \
    \
    X(STORE_TRANSACTIONS, COUNTER, "connectord_store_transactions_total", "kind=read|write|relax", \
      "Transactions begun on the store.") \
    X(STORE_BUSY, COUNTER, "connectord_store_busy_total", "", \
      "Transactions given up after waiting for another writer.") \
    X(STORE_ERRORS, COUNTER, "connectord_store_errors_total", \
      "code=database_busy|insufficient_storage|store_io|store_corrupt|read_only", \
      "Failures that the store reported.") \
    X(STORE_SIZE, GAUGE, "connectord_store_size_bytes", "", \
      "Size of the file of the store.") \
    X(STORE_WAL, GAUGE, "connectord_store_wal_bytes", "", \
      "Size of the write-ahead log of the store.") \
    X(STORE_FREE, GAUGE, "connectord_store_free_bytes", "", \
      "Space left on the file system of the store.") \
    X(STORE_VERSION, GAUGE, "connectord_store_schema_version", "", \
      "Version of the schema of the store.") \
    X(BACKUP_TIME, GAUGE, "connectord_backup_last_success_timestamp_seconds", "", \
      "When the last backup of the store was complete; 0 = never.") \
    X(BACKUP_DURATION, GAUGE, "connectord_backup_duration_seconds", "", \
      "How long that backup took.") \
    \
    X(LOG_LINES, COUNTER, "connectord_log_lines_total", "level=debug|info|warn|error", \
      "Lines of the log of the service.") \
    X(LOG_DROPPED, COUNTER, "connectord_log_dropped_total", "", \
      "Lines that standard output did not take.") \
    X(LOG_REPEATED, COUNTER, "connectord_log_repeated_total", "", \
      "Lines left out because the same one came too often.") \
    X(BEAT_AGE, GAUGE, "connectord_watchdog_beat_age_seconds", "thread=http|runs", \
      "Time since the threads that watch over the others were last seen awake.") \
    \
    X(PROCESS_CPU, COUNTER, "process_cpu_seconds_total", "", \
      "User and system time of this process.") \
    X(PROCESS_RESIDENT, GAUGE, "process_resident_memory_bytes", "", \
      "Resident memory of this process.") \
    X(PROCESS_VIRTUAL, GAUGE, "process_virtual_memory_bytes", "", \
      "Virtual memory of this process.") \
    X(PROCESS_FDS, GAUGE, "process_open_fds", "", \
      "Open file descriptors.") \
    X(PROCESS_MAX_FDS, GAUGE, "process_max_fds", "", \
      "The most file descriptors that may be open.") \
    X(PROCESS_THREADS, GAUGE, "process_threads", "", \
      "Threads of this process.") \
    X(PROCESS_START, GAUGE, "process_start_time_seconds", "", \
      "When this process started, in seconds since 1970.")
/* clang-format on */

#endif
