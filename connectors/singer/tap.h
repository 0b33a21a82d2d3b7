/*
 * tap.h - a Singer tap of the operator's list as a source.
 *
 * Discovery and sync are runs of the program. A STATE is a barrier for all streams: the rows of
 * every stream before it and the STATE become durable together, so all streams of a run are read by
 * one call. The position of a stream is {"kind":"singer","epoch":N,"version":V,"value":STATE}, the
 * value as the tap wrote it; of the positions of several streams the one with the highest epoch
 * counts, since the rows before it are durable in all of them.
 *
 * A stream that is read anew has no position until its end, which a tap only tells with its own: a
 * run that has one commits nothing of any stream behind its first row before the tap has ended
 * well.
 */
#ifndef CONNECTORS_SINGER_TAP_H
#define CONNECTORS_SINGER_TAP_H

#include "connectors/connector.h"

struct singer_tap {
    const char *program;
    const struct doc *config;
    const char *catalog_flag; /* "catalog" or "properties" */
};

int tap_check(const void *config, struct run *run, struct error *err);
int tap_discover(const void *config, struct run *run, struct catalog *out, struct error *err);
int tap_count(const void *config, struct run *run, const struct stream *stream, int64_t *out_count,
              bool *out_exact, struct error *err);
int tap_read(const void *config, struct run *run, const struct read_request *req, struct sink *out,
             struct error *err);

#endif
