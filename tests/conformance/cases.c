#include "tests/conformance/cases.h"

#include <stdio.h>
#include <stdlib.h>

extern const struct source_connector source_counter, source_file, source_sample;

#define FIXTURE_ROWS 5000 /* three batches */

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

/* Two CSV files that are one stream. */
static void make_files(const char *dir)
{
    for (int part = 0; part < 2; part++) {
        char path[256];
        FILE *f;

        snprintf(path, sizeof path, "%s/part%d.csv", dir, part);
        f = fopen(path, "w");
        if (!f)
            abort();
        fprintf(f, "id,name,price,note\n");
        for (int i = 0; i < FIXTURE_ROWS / 2; i++)
            fprintf(f, "%d,\"na\xc3\xafve, %d\",%d.50,%s\n", part * FIXTURE_ROWS / 2 + i, i, i % 90,
                    i % 3 ? "\"\"" : "");
        fclose(f);
    }
}

static const char *file_config(struct arena *mem, const char *dir)
{
    return arena_printf(mem, "{\"path\":\"%s\",\"stream\":\"rows\"}", dir);
}

static const char *file_broken(struct arena *mem, const char *dir)
{
    return arena_printf(mem, "{\"path\":\"%s/missing.csv\"}", dir);
}

const struct source_case source_cases[] = {
    {&source_counter, NULL, counter_config, NULL},
    {&source_file, make_files, file_config, file_broken},
    {&source_sample, NULL, sample_config, NULL},
    {NULL, NULL, NULL, NULL},
};

const struct destination_case destination_cases[] = {
    {NULL, NULL, NULL, NULL, NULL},
};
