/*
 * evolve.h - what must happen to a table so that rows of another shape fit: a pure decision.
 *
 * Never a drop, never a narrowing: a column the source lost stays, a type only grows along the
 * lattice of data/type.h.
 */
#ifndef CONNECTORS_SQL_EVOLVE_H
#define CONNECTORS_SQL_EVOLVE_H

#include "connectors/catalog.h"

enum evolve_action {
    EVOLVE_KEEP,      /* the column holds every value of the new type, maybe as text */
    EVOLVE_ADD,       /* the table gets a column */
    EVOLVE_WIDEN,     /* the column gets the joined type */
    EVOLVE_LEAVE_OUT, /* new columns are ignored */
    EVOLVE_CONFLICT,  /* no type holds both: its cells go to quarantine */
};

struct evolve_column {
    const char *name;
    struct column_type type;
};

struct evolve_step {
    enum evolve_action action;
    struct column_type type; /* of the column afterwards */
};

/*
 * Fills steps[n_want], one for each column of `want`; columns are matched by name. `have` is the
 * table as it stands; without a column it is new, and everything is added whatever the policy.
 * FREEZE fails with SCHEMA, reason "schema_frozen", when a column is new, missing or of another
 * type.
 */
__attribute__((nonnull(3, 6, 7), warn_unused_result)) int
evolve_plan(const struct evolve_column *have, size_t n_have, const struct evolve_column *want,
            size_t n_want, enum drift_policy policy, struct evolve_step *steps, struct error *err);

#endif
