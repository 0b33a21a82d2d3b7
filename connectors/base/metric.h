/*
 * metric.h - what the service counts about itself, and that as text for Prometheus.
 *
 * A new metric is a row of metric_table.h and a call where the thing happens. Every call is cheap
 * (an atomic addition, after a lookup by hash where there are labels), never blocks on a reader
 * and never fails; any thread. Metrics of the whole process, since there is one service in it.
 */
#ifndef CONNECTORS_BASE_METRIC_H
#define CONNECTORS_BASE_METRIC_H

#include <stdint.h>

#include "connectors/base/buf.h"
#include "connectors/base/metric_table.h"

#define METRIC_MAX_LABELS 5

/* Lines of samples that labels may bring about, in all; what would be more is counted in one series
 * of its metric whose labels are all "_OTHER". */
#define METRIC_MAX_LINES 2400

#define METRIC_ID(id, kind, name, labels, help) METRIC_##id,
enum metric { METRICS(METRIC_ID) METRIC_N };
#undef METRIC_ID

/* The values of the labels, in the order of the table, as text that is copied; NULL is "". */
struct metric_labels {
    const char *value[METRIC_MAX_LABELS];
};
#define METRIC_LABELS(...) (&(const struct metric_labels){{__VA_ARGS__}})

/* Of a counter or a gauge; `n` may be negative for a gauge. */
void metric_add(enum metric m, int64_t n);
void metric_add_for(enum metric m, const struct metric_labels *labels, int64_t n);
/* A gauge, or a counter that is kept elsewhere. */
void metric_set(enum metric m, int64_t value);
void metric_set_for(enum metric m, const struct metric_labels *labels, int64_t value);
/* Of a histogram. */
void metric_observe(enum metric m, int64_t us);
void metric_observe_for(enum metric m, const struct metric_labels *labels, int64_t us);

/* The present value of a counter or gauge; 0 for a series that is not there yet. */
int64_t metric_value(enum metric m, const struct metric_labels *labels);

/*
 * Text format 0.0.4, every metric with HELP and TYPE, in the order of the table. `more` adds what
 * is kept elsewhere, with metric_write_sample: it is called after the series of each metric, and
 * may be NULL.
 */
void metric_write_all(void (*more)(void *arg, enum metric m, struct buf *out), void *arg,
                      struct buf *out);
/* One sample of a counter or a gauge. */
void metric_write_sample(enum metric m, const struct metric_labels *labels, int64_t value,
                         struct buf *out);

#endif
