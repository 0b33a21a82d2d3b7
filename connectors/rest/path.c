#include "connectors/rest/path.h"

#include <string.h>

#include "connectors/base/jsonread.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"

#define STEPS_MAX 64

/* ------------------------------------------------------------------ compiling */

struct reading {
    struct arena *mem;
    const char *at;
    bool each;
    struct path_step steps[STEPS_MAX];
    size_t n;
};

static const char *add_step(struct reading *r, struct path_step step)
{
    if (r->n == STEPS_MAX)
        return "it is too long";
    r->steps[r->n++] = step;
    return NULL;
}

static const char *read_name(struct reading *r)
{
    size_t n = strcspn(r->at, ".[]'\" ");
    const char *name = r->at;

    if (n == 0)
        return "a name is missing";
    r->at += n;
    return add_step(r, (struct path_step){PATH_KEY, arena_memdup(r->mem, name, n), 0});
}

/* ['any name'], with \' for an apostrophe. */
static const char *read_quoted(struct reading *r)
{
    struct buf name = BUF_INIT(4096);
    char quote = *r->at++;
    const char *why;

    while (*r->at && *r->at != quote) {
        if (*r->at == '\\' && r->at[1])
            r->at++;
        buf_putc(&name, *r->at++);
    }
    why = *r->at == quote ? NULL : "a quote is not closed";
    if (!why) {
        r->at++;
        why = add_step(r, (struct path_step){PATH_KEY, arena_strdup(r->mem, buf_str(&name)), 0});
    }
    buf_release(&name);
    return why;
}

static const char *read_index(struct reading *r)
{
    size_t n = strcspn(r->at, "]");
    int64_t index;

    if (!text_to_int64(r->at, n, &index) || index < -1000000 || index > 1000000)
        return "an index is no number";
    r->at += n;
    return add_step(r, (struct path_step){PATH_INDEX, NULL, (long)index});
}

static const char *read_bracket(struct reading *r)
{
    const char *why;

    r->at++;
    if (*r->at == '*') {
        r->at++;
        why = r->each ? add_step(r, (struct path_step){PATH_EACH, NULL, 0})
                      : "[*] means many values, and one is wanted here";
    } else if (*r->at == '\'' || *r->at == '"') {
        why = read_quoted(r);
    } else {
        why = read_index(r);
    }
    if (why)
        return why;
    if (*r->at != ']')
        return "a bracket is not closed";
    r->at++;
    return NULL;
}

const char *path_compile(struct arena *mem, const char *text, bool each, struct path *out)
{
    struct reading r = {.mem = mem, .at = text, .each = each};
    const char *why = NULL;
    bool first = true;

    if (*r.at == '$') {
        r.at++;
        first = false;
    }
    while (*r.at && !why) {
        if (*r.at == '[') {
            why = read_bracket(&r);
        } else if (first) {
            why = read_name(&r);
        } else if (*r.at == '.') {
            r.at++;
            why = read_name(&r);
        } else {
            why = "a dot or bracket is expected";
        }
        first = false;
    }
    if (why)
        return why;
    *out = (struct path){.text = arena_strdup(mem, text), .n = r.n};
    if (r.n > 0) {
        struct path_step *steps = arena_array(mem, r.n, sizeof *steps);

        memcpy(steps, r.steps, r.n * sizeof *steps);
        out->steps = steps;
    }
    return NULL;
}

/* --------------------------------------------------------------------- finding */

static bool is_key(const struct jsonread *r, const char *key)
{
    return r->text.len == strlen(key) && memcmp(r->text.ptr, key, r->text.len) == 0;
}

/* Members of the object that was just opened: the scanner stops behind the wanted key. */
static int find_member(struct jsonread *r, const char *key, bool *out_found, struct error *err)
{
    enum jsonread_token t;
    struct slice ignored;

    *out_found = false;
    for (;;) {
        if (jsonread_next(r, &t, err) < 0)
            return -1;
        if (t == JSONREAD_OBJECT_END)
            return 0;
        if (is_key(r, key)) {
            *out_found = true;
            return 0;
        }
        if (jsonread_next(r, &t, err) < 0 || jsonread_skip(r, t, &ignored, err) < 0)
            return -1;
    }
}

/* Elements of the array that was just opened; *out_token is the first of the wanted one. */
static int find_element(struct jsonread *r, long index, enum jsonread_token *out_token,
                        bool *out_found, struct error *err)
{
    struct slice ignored;

    *out_found = false;
    for (long i = 0;; i++) {
        if (jsonread_next(r, out_token, err) < 0)
            return -1;
        if (*out_token == JSONREAD_ARRAY_END)
            return 0;
        if (i == index) {
            *out_found = true;
            return 0;
        }
        if (jsonread_skip(r, *out_token, &ignored, err) < 0)
            return -1;
    }
}

static int count_elements(struct slice array, long *out, struct error *err)
{
    CLEANUP(jsonread_release) struct jsonread r;
    enum jsonread_token t;
    struct slice ignored;

    jsonread_init(&r);
    jsonread_start(&r, array.ptr, array.len);
    *out = 0;
    if (jsonread_next(&r, &t, err) < 0)
        return -1;
    for (;;) {
        if (jsonread_next(&r, &t, err) < 0)
            return -1;
        if (t == JSONREAD_ARRAY_END)
            return 0;
        ++*out;
        if (jsonread_skip(&r, t, &ignored, err) < 0)
            return -1;
    }
}

static int take(struct jsonread *r, enum jsonread_token t, struct arena *mem,
                struct rest_value *out, struct error *err)
{
    struct slice raw;

    switch (t) {
    case JSONREAD_STRING:
        *out = (struct rest_value){VALUE_STRING,
                                   {arena_memdup(mem, r->text.ptr, r->text.len), r->text.len}};
        return 0;
    case JSONREAD_NUMBER:
        *out = (struct rest_value){VALUE_NUMBER, r->text};
        return 0;
    case JSONREAD_TRUE:
        *out = (struct rest_value){VALUE_BOOL, {"true", 4}};
        return 0;
    case JSONREAD_FALSE:
        *out = (struct rest_value){VALUE_BOOL, {"false", 5}};
        return 0;
    case JSONREAD_NULL:
        *out = (struct rest_value){VALUE_NULL, {"null", 4}};
        return 0;
    case JSONREAD_OBJECT:
    case JSONREAD_ARRAY:
        if (jsonread_skip(r, t, &raw, err) < 0)
            return -1;
        *out = (struct rest_value){t == JSONREAD_OBJECT ? VALUE_OBJECT : VALUE_ARRAY, raw};
        return 0;
    case JSONREAD_END:
    case JSONREAD_OBJECT_END:
    case JSONREAD_ARRAY_END:
    case JSONREAD_KEY:
        break;
    }
    return error_set(err, ERR_INTERNAL, "a value was expected");
}

/* The element of an array given by its text. */
static int step_from_end(struct slice array, long index, struct arena *mem, struct rest_value *out,
                         struct error *err);

static int walk(const struct path_step *steps, size_t n, struct slice json, struct arena *mem,
                struct rest_value *out, struct error *err)
{
    CLEANUP(jsonread_release) struct jsonread r;
    enum jsonread_token t;
    bool found = true;

    jsonread_init(&r);
    jsonread_start(&r, json.ptr, json.len);
    if (jsonread_next(&r, &t, err) < 0)
        return -1;
    for (size_t i = 0; i < n && found; i++) {
        found = false;
        if (steps[i].kind == PATH_KEY && t == JSONREAD_OBJECT) {
            if (find_member(&r, steps[i].key, &found, err) < 0 ||
                (found && jsonread_next(&r, &t, err) < 0))
                return -1;
        } else if (steps[i].kind == PATH_INDEX && t == JSONREAD_ARRAY && steps[i].index >= 0) {
            if (find_element(&r, steps[i].index, &t, &found, err) < 0)
                return -1;
        } else if (steps[i].kind == PATH_INDEX && t == JSONREAD_ARRAY) {
            struct rest_value array, element;

            if (take(&r, t, mem, &array, err) < 0 ||
                step_from_end(array.text, steps[i].index, mem, &element, err) < 0)
                return -1;
            if (element.kind == VALUE_OBJECT || element.kind == VALUE_ARRAY)
                return walk(steps + i + 1, n - i - 1, element.text, mem, out, err);
            *out = i + 1 == n ? element : (struct rest_value){0};
            return 0;
        }
    }
    if (!found)
        return 0;
    return take(&r, t, mem, out, err);
}

static int step_from_end(struct slice array, long index, struct arena *mem, struct rest_value *out,
                         struct error *err)
{
    struct path_step step = {PATH_INDEX, NULL, 0};
    long count;

    *out = (struct rest_value){0};
    if (count_elements(array, &count, err) < 0)
        return -1;
    step.index = count + index;
    return step.index < 0 ? 0 : walk(&step, 1, array, mem, out, err);
}

int path_find(const struct path *p, struct slice json, struct arena *mem, struct rest_value *out,
              struct error *err)
{
    *out = (struct rest_value){0};
    return walk(p->steps, p->n, json, mem, out, err);
}

int rest_value_read(struct slice json, struct arena *mem, struct rest_value *out, struct error *err)
{
    CLEANUP(jsonread_release) struct jsonread r;
    enum jsonread_token t;

    *out = (struct rest_value){0};
    jsonread_init(&r);
    jsonread_start(&r, json.ptr, json.len);
    if (jsonread_next(&r, &t, err) < 0 || take(&r, t, mem, out, err) < 0)
        return -1;
    return jsonread_next(&r, &t, err); /* nothing stands behind it */
}

void rest_value_put_json(const struct rest_value *v, struct buf *out)
{
    struct jsonw w = JSONW_INIT(out);

    if (v->kind == VALUE_STRING)
        jsonw_string_n(&w, v->text.ptr, v->text.len);
    else if (v->kind == VALUE_MISSING)
        jsonw_null(&w);
    else
        buf_put(out, v->text.ptr, v->text.len);
}

const char *rest_value_text(const struct rest_value *v, struct arena *mem)
{
    if (v->kind == VALUE_MISSING || v->kind == VALUE_NULL)
        return "";
    return arena_memdup(mem, v->text.ptr, v->text.len);
}
