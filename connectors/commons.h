/*
 * commons.h - what the calls of one run share. Safe from any thread.
 *
 * A run with several lanes calls `read` at the same time, each for streams of its own, and calls it
 * again for streams that failed. What takes long to find out and is the same for all of them is
 * found out once: who needs a thing first makes it, and whoever needs it meanwhile waits. Things
 * are kept until the run is over, so they must not point into the memory of a call; from then on,
 * as far as their maker does not say otherwise, nobody changes them.
 */
#ifndef CONNECTORS_COMMONS_H
#define CONNECTORS_COMMONS_H

#include "connectors/base/cancel.h"
#include "connectors/catalog.h"

struct commons; /* opaque */

/* `all`: every stream of the run, in whichever call it will be; it must outlive the commons. */
struct commons *commons_new(const struct selection *all);
void commons_free(struct commons *k); /* accepts NULL */
DEFINE_CLEANUP(struct commons *, commons_free_cleanup, commons_free);
const struct selection *commons_selection(const struct commons *k);

/*
 * The thing of this name: 0 with *out. 1 = nobody has it, and the caller is the one to make it:
 * commons_put or commons_give_up must follow. Fails with CANCELLED while it waits for another one.
 */
CHECKED int commons_take(struct commons *k, const char *name, const struct cancel *cancel,
                         void **out, struct error *err);
void commons_put(struct commons *k, const char *name, void *thing, void (*release)(void *thing));
void commons_give_up(struct commons *k, const char *name);

#endif
