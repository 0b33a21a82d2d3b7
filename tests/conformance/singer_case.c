#include "tests/conformance/singer_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "connectors/singer/program.h"

/* Goes on behind the id in its state; a second stream has no key and is always whole. */
static const char tap[] =
    "#!/bin/sh\n"
    "schema='{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"integer\"},"
    "\"name\":{\"type\":[\"null\",\"string\"]}}}'\n"
    "case \"$*\" in\n"
    "*--discover*)\n"
    "  echo "
    "'{\"streams\":[{\"tap_stream_id\":\"items\",\"stream\":\"items\",\"schema\":'\"$schema\"',"
    "\"metadata\":[{\"breadcrumb\":[],\"metadata\":{\"table-key-properties\":[\"id\"],"
    "\"valid-replication-keys\":[\"id\"]}}]},'\n"
    "  echo '{\"tap_stream_id\":\"plain\",\"stream\":\"plain\",\"schema\":'\"$schema\"',"
    "\"metadata\":[{\"breadcrumb\":[],\"metadata\":{"
    "\"forced-replication-method\":\"FULL_TABLE\"}}]}]}'\n"
    "  exit;;\n"
    "esac\n"
    "from=0\n"
    "[ -f state.json ] && from=$(sed 's/[^0-9]//g' state.json)\n"
    "for stream in items plain; do\n"
    "  echo '{\"type\":\"SCHEMA\",\"stream\":\"'$stream'\",\"key_properties\":[],"
    "\"schema\":'\"$schema\"'}'\n"
    "done\n"
    "exec awk -v from=\"${from:-0}\" 'BEGIN {\n"
    "  for (i = 1; i <= 5000; i++) {\n"
    "    if (i <= 3000) printf \"{\\\"type\\\":\\\"RECORD\\\",\\\"stream\\\":\\\"plain\\\","
    "\\\"record\\\":{\\\"id\\\":%d}}\\n\", i\n"
    "    if (i <= from) continue\n"
    "    printf \"{\\\"type\\\": \\\"RECORD\\\", \\\"stream\\\": \\\"items\\\", "
    "\\\"record\\\": {\\\"id\\\": %d, \\\"name\\\": \\\"item %d\\\"}}\\n\", i, i\n"
    "    if (i % 500 == 0) printf \"{\\\"type\\\":\\\"STATE\\\",\\\"value\\\":"
    "{\\\"at\\\":%d}}\\n\", i\n"
    "  }\n"
    "}'\n";

void singer_prepare(const char *dir)
{
    static struct program program;
    static char path[256];
    FILE *f;

    snprintf(path, sizeof path, "%s/tap", dir);
    f = fopen(path, "w");
    if (!f || fputs(tap, f) < 0 || fclose(f) != 0 || chmod(path, 0755) != 0)
        abort();
    program = (struct program){
        .name = "tap", .path = path, .limits = {(int64_t)1 << 30, 256, 4096, (int64_t)1 << 30}};
    programs_set(&(struct program_list){&program, 1});
}

const char *singer_config(struct arena *mem, const char *dir)
{
    (void)dir;
    return arena_strdup(mem, "{\"program\":\"tap\"}");
}

const char *singer_broken(struct arena *mem, const char *dir)
{
    (void)dir;
    return arena_strdup(mem, "{\"program\":\"nobody listed this\"}");
}
