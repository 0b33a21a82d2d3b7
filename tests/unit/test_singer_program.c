#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/base/hash.h"
#include "connectors/singer/program.h"
#include "connectors/singer/speech.h"
#include "tests/support/tempdir.h"

static bool decode(const char *json, struct arena *mem, struct doc **d, struct program_list *out,
                   struct problems *problems)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(doc_parse(json, strlen(json), d, &err), 0, "%s", err.message);
    return programs_decode(*d, "/exec", mem, out, problems);
}

Test(singer_program, is_listed_by_name)
{
    struct arena *mem = arena_new();
    struct problems problems = PROBLEMS_INIT(mem);
    struct error err = ERROR_INIT;
    struct program_list list;
    struct doc *d;

    cr_assert(decode("{\"enabled\":true,\"programs\":[{\"name\":\"tap\",\"path\":\"/bin/true\","
                     "\"args\":[\"-x\"]}]}",
                     mem, &d, &list, &problems));
    programs_set(&list);
    cr_assert_str_eq(program_find("tap", &err)->path, "/bin/true");
    cr_assert_str_eq(program_find("tap", &err)->args.items[0], "-x");
    cr_assert_null(program_find("other", &err));
    cr_assert_str_eq(error_reason(&err), "program_not_listed");
    doc_free(d);
    arena_free(mem);
}

Test(singer_program, is_not_there_unless_the_section_is_enabled)
{
    struct arena *mem = arena_new();
    struct problems problems = PROBLEMS_INIT(mem);
    struct program_list list;
    struct doc *d;

    cr_assert(decode("{\"programs\":[{\"name\":\"tap\",\"path\":\"/bin/true\"}]}", mem, &d, &list,
                     &problems));
    cr_assert_eq(list.n, 0);
    doc_free(d);
    arena_free(mem);
}

Test(singer_program, of_a_wrong_list_is_told_with_all_mistakes)
{
    struct arena *mem = arena_new();
    struct problems problems = PROBLEMS_INIT(mem);
    struct program_list list;
    struct doc *d;

    cr_assert_not(
        decode("{\"enabled\":1,\"more\":2,\"programs\":[{\"name\":\"a\",\"path\":\"tap\"},"
               "{\"name\":\"a\",\"path\":\"/b\",\"sha256\":\"zz\"},{\"name\":\"a\","
               "\"path\":\"/b\"}]}",
               mem, &d, &list, &problems));
    cr_assert_geq(problems.n, 4);
    doc_free(d);
    arena_free(mem);
}

static int open_one(const char *path, const char *sha256, const char **out_reason)
{
    struct program p = {.name = "x", .path = path, .sha256 = sha256};
    struct error err = ERROR_INIT;
    int fd, status = program_open(&p, &fd, &err);

    if (status == 0)
        close(fd);
    *out_reason = error_reason(&err);
    return status;
}

Test(singer_program, is_opened_only_as_it_was_listed)
{
    char dir[TEMPDIR_BYTES], path[128], link_path[128], hex[HASH_HEX_BYTES];
    const char *reason;
    FILE *f;

    tempdir_make(dir);
    snprintf(path, sizeof path, "%s/tap", dir);
    snprintf(link_path, sizeof link_path, "%s/link", dir);
    f = fopen(path, "w");
    fputs("#!/bin/sh\n", f);
    fclose(f);
    cr_assert_eq(symlink(path, link_path), 0);

    chmod(path, 0644);
    cr_assert_eq(open_one(path, NULL, &reason), -1);
    cr_assert_str_eq(reason, "program_refused", "it is not executable");
    chmod(path, 0755);
    cr_assert_eq(open_one(path, NULL, &reason), 0);
    cr_assert_eq(open_one(link_path, NULL, &reason), -1);
    cr_assert_str_eq(reason, "program_refused", "it is a link");
    hash_bytes_hex("#!/bin/sh\n", 10, hex);
    cr_assert_eq(open_one(path, hex, &reason), 0);
    hash_bytes_hex("#!/bin/bash\n", 12, hex);
    cr_assert_eq(open_one(path, hex, &reason), -1);
    cr_assert_str_eq(reason, "program_changed");
    chmod(path, 0775);
    cr_assert_eq(open_one(path, NULL, &reason), -1);
    cr_assert_str_eq(reason, "program_refused", "its group may change it");
    cr_assert_eq(open_one(dir, NULL, &reason), -1, "it is a folder");
    tempdir_remove(dir);
}

Test(singer_program, says_its_levels_in_many_shapes)
{
    static const struct {
        const char *line;
        enum log_level level;
        const char *message;
    } lines[] = {
        {"INFO reading table", LOG_INFO, "reading table"},
        {"CRITICAL it broke", LOG_ERROR, "it broke"},
        {"2024-01-02 03:04:05,678 WARNING slow", LOG_WARN, "slow"},
        {"2024-01-02 03:04:05 | DEBUG    | tap.x | detail", LOG_DEBUG, "tap.x | detail"},
        {"[ERROR] bad", LOG_ERROR, "bad"},
        {"time=2024-01-02 name=tap level=ERROR message=not there", LOG_ERROR, "not there"},
        {"{\"level\":\"WARNING\",\"message\":\"mind it\",\"tags\":{\"a\":1}}", LOG_WARN, "mind it"},
        {"Error is how this sentence begins", LOG_INFO, "Error is how this sentence begins"},
        {"Traceback (most recent call last):", LOG_INFO, "Traceback (most recent call last):"},
        {"{\"level\":5}", LOG_INFO, "{\"level\":5}"},
        {"", LOG_INFO, ""},
    };
    struct buf scratch = BUF_INIT(4096);

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct slice message;
        enum log_level level =
            speech_level(lines[i].line, strlen(lines[i].line), &scratch, &message);

        cr_assert_eq(level, lines[i].level, "%s", lines[i].line);
        cr_assert(message.len == strlen(lines[i].message) &&
                      !memcmp(message.ptr, lines[i].message, message.len),
                  "%s: %.*s", lines[i].line, (int)message.len, message.ptr);
    }
    buf_release(&scratch);
}

struct heard {
    struct log log; /* first */
    struct buf text;
};

static void hear(struct log *log, enum log_level level, const struct log_line *line)
{
    struct heard *h = (struct heard *)log;

    buf_printf(&h->text, "%s:%s\n", log_level_name(level), line->fields[1].text);
}

Test(singer_program, never_shows_secrets_nor_endless_lines)
{
    static const char *secrets[] = {"hunter2", "s3cret"};
    struct heard h = {.log = {.emit = hear}, .text = BUF_INIT(1 << 20)};
    struct speech s;

    speech_init(&s, &h.log, "tap", (struct string_list){secrets, 2});
    speech_take(&s, "login hunter2 and s3cr", 22);
    speech_take(&s, "et\nERROR no\xff utf-8\r\n", 20);
    cr_assert(strstr(buf_str(&h.text), "info:login *** and ***\n"), "%s", buf_str(&h.text));
    cr_assert(strstr(buf_str(&h.text), "error:no\xef\xbf\xbd utf-8\n"), "%s", buf_str(&h.text));
    for (int i = 0; i < 100; i++)
        speech_take(&s,
                    "0123456789012345678901234567890123456789012345678901234567890123456789"
                    "0123456789012345678901234567890123456789",
                    110);
    speech_end(&s);
    cr_assert(strstr(buf_str(&h.text), " [cut]\n"));
    cr_assert_lt(h.text.len, SPEECH_MAX_LINE + 200);
    cr_assert_str_eq(speech_last(&s), "no\xef\xbf\xbd utf-8");
    speech_release(&s);
    buf_release(&h.text);
}
