/* Security requirement S5: references name only what the operator has listed. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "server/secrets/references.h"
#include "tests/support/tempdir.h"

static struct arena *mem;
static char folder[TEMPDIR_BYTES];
static struct problems problems;
static struct error err;

static void setup(void)
{
    mem = arena_new();
    tempdir_make(folder);
    problems = PROBLEMS_INIT(mem);
    err = ERROR_INIT;
}

static void teardown(void)
{
    tempdir_remove(folder);
    arena_free(mem);
}

TestSuite(references, .init = setup, .fini = teardown);

static const char *lookup(const char *name)
{
    return !strcmp(name, "WAREHOUSE") ? "from-the-environment"
           : !strcmp(name, "TINY")    ? "tiny"
                                      : NULL;
}

static const char *file(const char *name, const char *text, size_t n)
{
    const char *path = arena_printf(mem, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");

    cr_assert_not_null(f);
    cr_assert_eq(fwrite(text, 1, n, f), n);
    fclose(f);
    return path;
}

static const struct references *listing(const char *a, const char *b)
{
    const char *const names[] = {a, b};

    return references_new(mem, names, b ? 2 : 1, lookup, "/secret_references", &problems);
}

/* The value, or the reason. */
static const char *resolved(const struct references *refs, const char *text)
{
    const char *out;

    err = ERROR_INIT;
    return references_resolve(refs, text, mem, &out, &err) == 0 ? out : error_reason(&err);
}

Test(references, have_a_form)
{
    cr_assert(reference_is("${env:WAREHOUSE}"));
    cr_assert(reference_is("${file:/run/secrets/x}"));
    cr_assert_not(reference_is("x${env:WAREHOUSE}")); /* no template inside a longer text */
    cr_assert_not(reference_is("${env:WAREHOUSE}x"));
    cr_assert_not(reference_is("${vault:x}"));
    cr_assert_not(reference_is("${}"));
    cr_assert_not(reference_is(""));
}

Test(references, resolve_to_what_was_listed)
{
    const char *path = file("secret", "from-a-file\n", 12);
    const struct references *refs = listing("env:WAREHOUSE", arena_printf(mem, "file:%s", path));
    const char *of_file = arena_printf(mem, "${file:%s}", path);

    cr_assert_eq(problems.n, 0);
    cr_assert_str_eq(resolved(refs, "${env:WAREHOUSE}"), "from-the-environment");
    cr_assert_str_eq(resolved(refs, of_file), "from-a-file");
    file("secret", "rotated-file", 12); /* read when it is needed */
    cr_assert_str_eq(resolved(refs, of_file), "rotated-file");
    cr_assert(references_allow(refs, of_file));
}

Test(references, to_anything_else_are_refused)
{
    const struct references *refs = listing("env:WAREHOUSE", NULL);
    static const char *const others[] = {"${env:HOME}",       "${env:WAREHOUS}",
                                         "${env:WAREHOUSE }", "${file:/etc/passwd}",
                                         "${env:WAREHOUSE}}", "text"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        cr_assert_str_eq(resolved(refs, others[i]), "unresolved_reference", "%s", others[i]);
        cr_assert_not(references_allow(refs, others[i]));
    }
    cr_assert_not(references_allow(NULL, "${env:WAREHOUSE}"));
    cr_assert_str_eq(resolved(NULL, "${env:WAREHOUSE}"), "unresolved_reference");
}

Test(references, that_stand_for_nothing_usable_say_why)
{
    const char *nul = file("nul", "with\0nul", 8), *tiny = file("tiny", "short\n", 6);
    const struct references *refs = listing("env:MISSING", "env:TINY");

    cr_assert_str_eq(resolved(refs, "${env:MISSING}"), "unresolved_reference");
    cr_assert_not_null(strstr(err.message, "was not set"));
    cr_assert_str_eq(resolved(refs, "${env:TINY}"), "unresolved_reference");
    cr_assert_null(strstr(err.message, "tiny")); /* never the value */
    refs = listing(arena_printf(mem, "file:%s", nul), arena_printf(mem, "file:%s", tiny));
    cr_assert_str_eq(resolved(refs, arena_printf(mem, "${file:%s}", nul)), "unresolved_reference");
    cr_assert_not_null(strstr(err.message, "NUL"));
    cr_assert_str_eq(resolved(refs, arena_printf(mem, "${file:%s}", tiny)), "unresolved_reference");
    refs = listing("file:/nowhere/at/all", "file:/dev/zero");
    cr_assert_str_eq(resolved(refs, "${file:/nowhere/at/all}"), "unresolved_reference");
    cr_assert_str_eq(resolved(refs, "${file:/dev/zero}"), "unresolved_reference");
}

Test(references, lists_are_checked)
{
    static const char *const bad[] = {"WAREHOUSE", "env:", "file:relative", "vault:x"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        listing(bad[i], NULL);
        cr_assert_eq(problems.n, i + 1);
        cr_assert_str_eq(problems.items[i].pointer, "/secret_references");
    }
}

Test(references, name_the_whole_of_a_name)
{
    const char *empty = file("empty", "", 0);
    const struct references *refs = listing("env:WAREHOUSE", arena_printf(mem, "file:%s", empty));

    cr_assert_str_eq(resolved(refs, "${env:WAREHOUSF}"), "unresolved_reference");
    cr_assert_str_eq(resolved(refs, arena_printf(mem, "${file:%s}", empty)),
                     "unresolved_reference");
    cr_assert_not_null(strstr(err.message, "shorter than 6 bytes"));
}
