#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "server/memlimit.h"
#include "tests/support/tempdir.h"

#define GIB       ((int64_t)1 << 30)
#define MIB       ((int64_t)1 << 20)
#define ENDLESS_1 "9223372036854771712\n"

static struct arena *mem;
static char root[TEMPDIR_BYTES];

static void setup(void)
{
    mem = arena_new();
    tempdir_make(root);
}

static void teardown(void)
{
    tempdir_remove(root);
    arena_free(mem);
}

TestSuite(memlimit, .init = setup, .fini = teardown);

/* A file below the root, with the folders that it needs. */
static void put(const char *path, const char *text)
{
    char *whole = arena_printf(mem, "%s%s", root, path);
    FILE *f;

    for (char *p = whole + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        cr_assert(mkdir(whole, 0700) == 0 || errno == EEXIST);
        *p = '/';
    }
    f = fopen(whole, "w");
    cr_assert_not_null(f);
    cr_assert_geq(fputs(text, f), 0);
    fclose(f);
}

/* The least limit is this one, which this file says. */
static void expect(int64_t bytes, const char *file)
{
    struct memlimit found = memlimit_find(root, mem);

    cr_expect_eq(found.bytes, bytes, "%lld", (long long)found.bytes);
    cr_expect_str_eq(found.file, *file ? arena_printf(mem, "%s%s", root, file) : "");
}

Test(memlimit, of_our_own_group_in_version_2)
{
    put("/proc/self/cgroup", "0::/system.slice/connectord.service\n");
    put("/sys/fs/cgroup/system.slice/connectord.service/memory.max", "1073741824\n");
    put("/sys/fs/cgroup/system.slice/memory.max", "max\n");
    expect(GIB, "/sys/fs/cgroup/system.slice/connectord.service/memory.max");
}

Test(memlimit, of_the_group_above_where_ours_has_none)
{
    put("/proc/self/cgroup", "0::/a/b/c\n");
    put("/sys/fs/cgroup/a/b/c/memory.max", "max\n");
    put("/sys/fs/cgroup/a/memory.max", "2147483648\n"); /* b has no such file */
    expect(2 * GIB, "/sys/fs/cgroup/a/memory.max");
}

Test(memlimit, the_least_counts_and_of_equal_ones_the_nearest)
{
    put("/proc/self/cgroup", "0::/a/b/c\n");
    put("/sys/fs/cgroup/a/b/c/memory.max", "4294967296\n");
    put("/sys/fs/cgroup/a/b/memory.max", "1073741824\n");
    put("/sys/fs/cgroup/a/memory.max", "1073741824\n");
    expect(GIB, "/sys/fs/cgroup/a/b/memory.max");
}

Test(memlimit, of_the_mount_itself_in_a_container)
{
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/memory.max", "536870912\n");
    expect(512 * MIB, "/sys/fs/cgroup/memory.max");
    /* The path that the host sees, and one that leads out of what a container sees. */
    put("/proc/self/cgroup", "0::/docker/0123456789abcdef\n");
    expect(512 * MIB, "/sys/fs/cgroup/memory.max");
    put("/proc/self/cgroup", "0::/../other\n");
    put("/sys/fs/other/memory.max", "1048576\n");
    expect(512 * MIB, "/sys/fs/cgroup/memory.max");
}

Test(memlimit, of_version_1)
{
    put("/proc/self/cgroup", "5:memory_pressure,cpu:/x\n4:cpuset,memory:/docker/abc\n1:cpu:/x\n");
    put("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", ENDLESS_1);
    put("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "1\n");
    expect(INT64_MAX, "");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n");
    expect(256 * MIB, "/sys/fs/cgroup/memory/memory.limit_in_bytes");
}

Test(memlimit, of_the_version_that_has_the_memory_where_there_are_both)
{
    put("/proc/self/cgroup", "4:memory:/a\n1:name=systemd:/\n0::/\n");
    put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "268435456\n");
    put("/sys/fs/cgroup/unified/cgroup.procs", "1\n");
    expect(256 * MIB, "/sys/fs/cgroup/memory/a/memory.limit_in_bytes");
}

Test(memlimit, there_is_none_where_nothing_sensible_says_so)
{
    static const char *const groups[] = {"", "\n", "0", "0:", "0::", "0::relative\n", "::\n"};
    static const char *const limits[] = {"", "\n", "-1\n", "12x\n", "99999999999999999999\n"};

    expect(INT64_MAX, ""); /* no such file */
    put("/sys/fs/cgroup/memory.max", "1\n");
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        put("/proc/self/cgroup", groups[i]);
        expect(INT64_MAX, "");
    }
    put("/proc/self/cgroup", "0::/\n");
    expect(1, "/sys/fs/cgroup/memory.max"); /* or nothing above would be tested */
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        put("/sys/fs/cgroup/memory.max", limits[i]);
        expect(INT64_MAX, "");
    }
}

/* ---------------------------------------------------------------------- the warning */

static const struct settings four_syncs = {
    .workers = 4, .memory_budget_bytes = 16 * MIB, .max_parallel_streams = 4};

static char said[1024];

static void note(struct log *log, enum log_level level, const struct log_line *line)
{
    (void)log;
    cr_assert_eq(level, LOG_WARN);
    cr_assert_eq(*said, '\0', "said twice");
    for (size_t i = 0; i < LOG_MAX_FIELDS && line->fields[i].key; i++) {
        const struct log_field *f = &line->fields[i];
        size_t n = strlen(said);

        if (!f->text)
            snprintf(said + n, sizeof said - n, "%s=%lld ", f->key, (long long)f->number);
    }
}

static struct log warnings = {note, LOG_DEBUG};

static const char *warning_at(const struct settings *s, int64_t limit)
{
    *said = '\0';
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/memory.max", arena_printf(mem, "%lld\n", (long long)limit));
    memlimit_check(s, root, &warnings);
    return said;
}

Test(memlimit, what_is_needed_is_that_of_all_syncs_at_once_and_of_the_service)
{
    struct settings s = four_syncs;

    cr_expect_eq(memlimit_needed(&s), 4 * (16 + 3 * 8) * MIB + 256 * MIB);
    s.max_parallel_streams = 1;
    cr_expect_eq(memlimit_needed(&s), 4 * 16 * MIB + 256 * MIB);
    s = (struct settings){
        .workers = 64, .memory_budget_bytes = 16 * GIB, .max_parallel_streams = 16};
    cr_expect_eq(memlimit_needed(&s), 64 * (16 * GIB + 120 * MIB) + 256 * MIB);
}

Test(memlimit, warns_from_the_first_byte_that_is_missing)
{
    cr_expect_str_eq(warning_at(&four_syncs, 416 * MIB), "");
    cr_expect_str_eq(warning_at(&four_syncs, 416 * MIB - 1),
                     "needed_bytes=436207616 limit_bytes=436207615 workers=4 workers_that_fit=3 ");
    cr_expect_str_eq(warning_at(&four_syncs, 256 * MIB),
                     "needed_bytes=436207616 limit_bytes=268435456 workers=4 workers_that_fit=0 ");
    cr_expect_str_eq(warning_at(&four_syncs, 0),
                     "needed_bytes=436207616 limit_bytes=0 workers=4 workers_that_fit=0 ");
}

Test(memlimit, is_silent_without_a_limit)
{
    *said = '\0';
    memlimit_check(&four_syncs, root, &warnings);
    cr_expect_str_eq(said, "");
}
