#include "connectors/sql/evolve.h"

#include <string.h>

static const struct evolve_column *find(const struct evolve_column *columns, size_t n,
                                        const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(columns[i].name, name) == 0)
            return &columns[i];
    }
    return NULL;
}

static struct evolve_step step_of(const struct evolve_column *have,
                                  const struct evolve_column *want, enum drift_policy policy)
{
    struct column_type joined;

    if (!have)
        return (struct evolve_step){policy == DRIFT_IGNORE ? EVOLVE_LEAVE_OUT : EVOLVE_ADD,
                                    want->type};
    if (!type_join(have->type, want->type, &joined))
        return (struct evolve_step){EVOLVE_CONFLICT, have->type};
    if (type_equal(joined, have->type))
        return (struct evolve_step){EVOLVE_KEEP, have->type};
    if (policy == DRIFT_IGNORE)
        return (struct evolve_step){EVOLVE_CONFLICT, have->type};
    return (struct evolve_step){EVOLVE_WIDEN, joined};
}

static const char *const frozen[] = {
    [EVOLVE_KEEP] = NULL,
    [EVOLVE_ADD] = "is new",
    [EVOLVE_WIDEN] = "has another type",
    [EVOLVE_LEAVE_OUT] = "is new",
    [EVOLVE_CONFLICT] = "has another type",
};

int evolve_plan(const struct evolve_column *have, size_t n_have, const struct evolve_column *want,
                size_t n_want, enum drift_policy policy, struct evolve_step *steps,
                struct error *err)
{
    if (n_have == 0) {
        for (size_t i = 0; i < n_want; i++)
            steps[i] = (struct evolve_step){EVOLVE_ADD, want[i].type};
        return 0;
    }
    for (size_t i = 0; i < n_want; i++) {
        steps[i] = step_of(find(have, n_have, want[i].name), &want[i], policy);
        if (policy == DRIFT_FREEZE && frozen[steps[i].action])
            return error_set_reason(err, ERR_SCHEMA, "schema_frozen",
                                    "column \"%s\" %s, and the shape of the stream is frozen",
                                    want[i].name, frozen[steps[i].action]);
    }
    for (size_t i = 0; i < n_have && policy == DRIFT_FREEZE; i++) {
        if (!find(want, n_want, have[i].name))
            return error_set_reason(err, ERR_SCHEMA, "schema_frozen",
                                    "column \"%s\" is gone, and the shape of the stream is frozen",
                                    have[i].name);
    }
    return 0;
}
