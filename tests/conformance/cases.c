#include "tests/conformance/cases.h"

extern const struct source_connector source_counter, source_sample;

static const char *counter_config(struct arena *mem, const char *dir)
{
    (void)dir;
    return arena_strdup(mem, "{\"rows\":5000}");
}

static const char *sample_config(struct arena *mem, const char *dir)
{
    (void)dir;
    return arena_strdup(mem, "{\"rows\":1500,\"updates_per_run\":100}");
}

const struct source_case source_cases[] = {
    {&source_counter, NULL, counter_config, NULL},
    {&source_sample, NULL, sample_config, NULL},
    {NULL, NULL, NULL, NULL},
};

const struct destination_case destination_cases[] = {
    {NULL, NULL, NULL, NULL, NULL},
};
