/*
 * What the server counts of its requests.
 */
#include <stdio.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/metric.h"
#include "server/http/internal.h"

void measure_request(const struct request *req)
{
    const char *method = req->method == METHOD_UNKNOWN ? "_OTHER" : req->method_name;
    const char *route = req->match.route ? req->match.route->pattern : "_OTHER";
    char code[12];

    snprintf(code, sizeof code, "%d", req->status ? req->status : 499);
    metric_add_for(METRIC_HTTP_REQUESTS, METRIC_LABELS(method, route, code), 1);
    metric_observe_for(METRIC_HTTP_TIMES, METRIC_LABELS(method, route),
                       clock_monotonic_us() - req->started_us);
}

void measure_refusal(const char *reason)
{
    static const struct {
        const char *reason, *label;
    } known[] = {
        {"bad_request", "malformed"},       {"invalid_target", "malformed"},
        {"invalid_header", "malformed"},    {"method_not_implemented", "malformed"},
        {"body_too_large", "too_large"},    {"target_too_long", "too_large"},
        {"headers_too_large", "too_large"}, {"overloaded", "capacity"},
        {"too_many_followers", "capacity"}, {"rate_limited", "rate"},
    };

    for (size_t i = 0; reason && i < sizeof known / sizeof *known; i++) {
        if (!strcmp(known[i].reason, reason))
            metric_add_for(METRIC_HTTP_REJECTED, METRIC_LABELS(known[i].label), 1);
    }
}

void measure_late(enum conn_phase phase)
{
    static const char *const labels[] = {
        [PHASE_HEADERS] = "header_timeout",
        [PHASE_BODY] = "body_timeout",
        [PHASE_WRITE] = "write_timeout",
    };

    /* An idle connection is closed as a matter of course. */
    if (phase < sizeof labels / sizeof *labels && labels[phase])
        metric_add_for(METRIC_HTTP_REJECTED, METRIC_LABELS(labels[phase]), 1);
}
