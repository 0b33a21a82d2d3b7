#include "connectors/rest/template.h"

#include <string.h>

#include "connectors/base/jsonwrite.h"
#include "connectors/rest/template_internal.h"

#define FILTERS_MAX 16

enum part_kind { PART_TEXT, PART_EXPRESSION };

struct part {
    enum part_kind kind;
    struct slice text;
    struct scoped_path path;
    const struct filter_use *filters;
    size_t n_filters;
    struct part *next;
};

enum template_kind { TEMPLATE_VALUE, TEMPLATE_PARTS, TEMPLATE_ARRAY, TEMPLATE_OBJECT };

struct template
{
    enum template_kind kind;
    unsigned scopes;
    struct rest_value value; /* VALUE */
    const struct part *parts;
    const char **keys; /* OBJECT */
    const struct template **items;
    size_t n;
};

static const char *const scope_names[] = {
#define X(name) #name,
    SCOPES(X)
#undef X
};

/* ---------------------------------------------------------------------- paths */

bool scoped_path_compile(struct arena *mem, const char *text, unsigned allowed, const char *pointer,
                         struct problems *problems, struct scoped_path *out)
{
    struct path whole;
    const char *why = path_compile(mem, text, false, &whole);

    if (!why && (whole.n == 0 || whole.steps[0].kind != PATH_KEY || text[0] == '$'))
        why = "it does not begin with the name of a scope";
    if (why) {
        problems_add(problems, pointer, "bad_template", "\"%s\" is no path: %s", text, why);
        return false;
    }
    for (int i = 0; i < SCOPE_COUNT; i++) {
        if (strcmp(scope_names[i], whole.steps[0].key) != 0 || !(allowed >> i & 1))
            continue;
        out->scope = (enum scope)i;
        out->path = (struct path){whole.text, whole.steps + 1, whole.n - 1};
        return true;
    }
    problems_add(problems, pointer, "unknown_scope", "\"%s\" in \"%s\" means nothing here",
                 whole.steps[0].key, text);
    return false;
}

int scoped_path_find(const struct scoped_path *p, const struct scopes *s, struct arena *mem,
                     struct rest_value *out, struct error *err)
{
    *out = (struct rest_value){0};
    return s->json[p->scope].ptr ? path_find(&p->path, s->json[p->scope], mem, out, err) : 0;
}

/* ------------------------------------------------------------------ compiling */

struct compiling {
    struct arena *mem;
    unsigned allowed;
    const char *pointer;
    struct problems *problems;
    unsigned scopes;
};

static void skip_blanks(const char **at)
{
    *at += strspn(*at, " \t\n");
}

static void complain(struct compiling *c, const char *text, const char *why)
{
    problems_add(c->problems, c->pointer, "bad_template", "\"%.200s\": %s", text, why);
}

/* An argument behind a colon: 'text', or a word that stands for itself. */
static bool read_argument(struct compiling *c, const char **at, struct rest_value *out)
{
    const char *begin = *at;

    if (*begin == '\'' || *begin == '"') {
        const char *end = strchr(begin + 1, *begin);

        if (!end) {
            complain(c, begin, "a quote is not closed");
            return false;
        }
        *out = rest_string(c->mem, begin + 1, (size_t)(end - begin - 1));
        *at = end + 1;
        return true;
    }
    *at += strcspn(begin, " |\t\n");
    if (*at == begin) {
        complain(c, begin, "an argument is missing");
        return false;
    }
    const struct slice word = {arena_memdup(c->mem, begin, (size_t)(*at - begin)),
                               (size_t)(*at - begin)};
    struct error not_json = ERROR_INIT;

    if (rest_value_read(word, c->mem, out, &not_json) < 0)
        *out = rest_string(c->mem, word.ptr, word.len);
    return true;
}

static bool read_filter(struct compiling *c, const char **at, struct filter_use *out)
{
    const char *begin, *why;
    size_t n;

    skip_blanks(at);
    begin = *at;
    n = strcspn(begin, " :|\t\n");
    *at += n;
    out->filter = filter_find(arena_memdup(c->mem, begin, n));
    if (!out->filter) {
        problems_add(c->problems, c->pointer, "unknown_filter", "there is no filter \"%.*s\"",
                     (int)n, begin);
        return false;
    }
    if (**at == ':') {
        ++*at;
        if (!read_argument(c, at, &out->arg))
            return false;
    }
    if (out->filter->takes != (out->arg.kind != VALUE_MISSING)) {
        complain(c, begin,
                 out->filter->takes ? "the filter needs an argument, as in name:'x'"
                                    : "the filter takes no argument");
        return false;
    }
    if (strcmp(out->filter->name, "regex") == 0) {
        why = pattern_compile(c->mem, rest_value_text(&out->arg, c->mem), &out->pattern);
        if (why) {
            complain(c, begin, why);
            return false;
        }
    }
    return true;
}

static bool read_expression(struct compiling *c, const char *text, struct part *out)
{
    struct filter_use filters[FILTERS_MAX];
    const char *at = text;
    const char *path;
    size_t n;

    skip_blanks(&at);
    path = at;
    /* A bracketed name may hold anything. */
    for (n = 0; path[n] && !strchr(" |\t\n", path[n]); n++) {
        const char *close =
            path[n] == '\'' || path[n] == '"' ? strchr(path + n + 1, path[n]) : NULL;

        if (close)
            n = (size_t)(close - path);
    }
    if (!scoped_path_compile(c->mem, arena_memdup(c->mem, path, n), c->allowed, c->pointer,
                             c->problems, &out->path))
        return false;
    c->scopes |= 1u << out->path.scope;
    at = path + n;
    for (skip_blanks(&at); *at == '|'; skip_blanks(&at)) {
        at++;
        if (out->n_filters == FILTERS_MAX) {
            complain(c, text, "there are too many filters");
            return false;
        }
        filters[out->n_filters] = (struct filter_use){0};
        if (!read_filter(c, &at, &filters[out->n_filters]))
            return false;
        out->n_filters++;
    }
    if (*at) {
        complain(c, text, "something stands behind the expression");
        return false;
    }
    if (out->n_filters > 0) {
        struct filter_use *kept = arena_array(c->mem, out->n_filters, sizeof *kept);

        memcpy(kept, filters, out->n_filters * sizeof *kept);
        out->filters = kept;
    }
    return true;
}

/* The end of an expression: }} outside of quotes. */
static const char *find_close(const char *s)
{
    for (; *s; s++) {
        if (*s == '\'' || *s == '"') {
            const char *end = strchr(s + 1, *s);

            if (end)
                s = end;
        } else if (s[0] == '}' && s[1] == '}') {
            return s;
        }
    }
    return NULL;
}

static bool compile_text(struct compiling *c, const char *text, struct template *out)
{
    struct part *first = NULL, **last = &first;

    for (const char *at = text; *at;) {
        const char *open = strstr(at, "{{"), *close = open ? find_close(open + 2) : NULL;
        struct part *p = arena_alloc(c->mem, sizeof *p);
        size_t n = open ? (size_t)(open - at) : strlen(at);

        *p = (struct part){0};
        *last = p;
        last = &p->next;
        if (n > 0) {
            p->text = (struct slice){arena_memdup(c->mem, at, n), n};
            at += n;
            continue;
        }
        if (!close) {
            complain(c, text, "{{ is not closed");
            return false;
        }
        p->kind = PART_EXPRESSION;
        if (!read_expression(c, arena_memdup(c->mem, open + 2, (size_t)(close - open - 2)), p))
            return false;
        at = close + 2;
    }
    out->kind = TEMPLATE_PARTS;
    out->parts = first;
    return true;
}

static const struct template *compile(struct compiling *c, const struct doc *value);

static bool compile_items(struct compiling *c, const struct doc *value, struct template *out)
{
    bool object = doc_is(value, DOC_OBJECT), good = true;
    const struct doc_member *it = object ? doc_first(value) : NULL;

    out->kind = object ? TEMPLATE_OBJECT : TEMPLATE_ARRAY;
    out->n = doc_count(value);
    out->items = arena_array(c->mem, out->n + 1, sizeof *out->items);
    out->keys = arena_array(c->mem, out->n + 1, sizeof *out->keys);
    for (size_t i = 0; i < out->n; i++) {
        struct buf pointer = BUF_INIT(65536);
        const char *kept = c->pointer;

        buf_puts(&pointer, kept);
        if (object) {
            out->keys[i] = arena_strdup(c->mem, doc_member_key(it));
            doc_pointer_put(&pointer, out->keys[i]);
        } else {
            buf_printf(&pointer, "/%zu", i);
        }
        c->pointer = buf_str(&pointer);
        out->items[i] = compile(c, object ? doc_member_value(it) : doc_at(value, i));
        good &= out->items[i] != NULL;
        c->pointer = kept;
        buf_release(&pointer);
        it = object ? doc_next(value, it) : NULL;
    }
    return good;
}

static const struct template *compile(struct compiling *c, const struct doc *value)
{
    struct template *t = arena_alloc(c->mem, sizeof *t);
    const char *s = doc_is(value, DOC_STRING) ? doc_string(value, "") : NULL;
    unsigned before = c->scopes;
    bool good = true;

    *t = (struct template){.kind = TEMPLATE_VALUE};
    c->scopes = 0;
    if (s && strstr(s, "{{")) {
        good = compile_text(c, s, t);
    } else if (doc_is(value, DOC_ARRAY) || doc_is(value, DOC_OBJECT)) {
        good = compile_items(c, value, t);
    } else if (s) {
        t->value = rest_string(c->mem, s, strlen(s));
    } else {
        struct buf text = BUF_INIT(256);
        struct error err = ERROR_INIT;

        doc_write(value, &text);
        good = rest_value_read((struct slice){arena_strdup(c->mem, buf_str(&text)), text.len},
                               c->mem, &t->value, &err) == 0;
        buf_release(&text);
    }
    t->scopes = c->scopes;
    c->scopes |= before;
    return good ? t : NULL;
}

const struct template *template_compile(struct arena *mem, const struct doc *value,
                                        unsigned allowed, const char *pointer,
                                        struct problems *problems)
{
    struct compiling c = {mem, allowed, pointer, problems, 0};

    /* cppcheck-suppress CastIntegerToAddressAtReturn ; it takes "template" for C++ */
    return compile(&c, value);
}

static bool has_default(const struct part *p)
{
    for (size_t i = 0; i < p->n_filters; i++) {
        if (p->filters[i].filter->takes_missing)
            return true;
    }
    return false;
}

const char *template_unknown(const struct template *t, enum scope scope,
                             bool (*known)(const void *arg, const char *name), const void *arg)
{
    const char *name = NULL;

    for (const struct part *p = t->kind == TEMPLATE_PARTS ? t->parts : NULL; p; p = p->next) {
        if (p->kind != PART_EXPRESSION || p->path.scope != scope || p->path.path.n == 0 ||
            p->path.path.steps[0].kind != PATH_KEY || has_default(p))
            continue;
        if (!known(arg, p->path.path.steps[0].key))
            return p->path.path.steps[0].key;
    }
    for (size_t i = 0; i < t->n && !name; i++)
        name = template_unknown(t->items[i], scope, known, arg);
    return name;
}

unsigned template_scopes(const struct template *t)
{
    return t->scopes;
}

/* ------------------------------------------------------------------- rendering */

static int evaluate(const struct part *p, const struct scopes *s, struct arena *mem,
                    struct rest_value *out, struct error *err)
{
    if (scoped_path_find(&p->path, s, mem, out, err) < 0)
        return -1;
    for (size_t i = 0; i < p->n_filters; i++) {
        struct rest_value in = *out;

        if (in.kind == VALUE_MISSING && !p->filters[i].filter->takes_missing)
            continue; /* a default may follow */
        if (p->filters[i].filter->apply(&in, &p->filters[i], mem, out, err) < 0)
            return error_wrap(err, "%s of \"%s\"", p->filters[i].filter->name, p->path.path.text);
    }
    if (out->kind == VALUE_MISSING)
        return error_set_reason(err, ERR_CONFIG, "template_missing", "there is no \"%s\"",
                                p->path.path.text);
    return 0;
}

static int render_parts(const struct template *t, const struct scopes *s, struct arena *mem,
                        struct rest_value *out, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(TEMPLATE_MAX_OUTPUT);
    struct rest_value v;

    if (t->parts->kind == PART_EXPRESSION && !t->parts->next)
        return evaluate(t->parts, s, mem, out, err);
    for (const struct part *p = t->parts; p; p = p->next) {
        if (p->kind == PART_TEXT) {
            buf_put(&text, p->text.ptr, p->text.len);
            continue;
        }
        if (evaluate(p, s, mem, &v, err) < 0)
            return -1;
        if (v.kind != VALUE_NULL)
            buf_put(&text, v.text.ptr, v.text.len);
    }
    if (buf_ok(&text, "what a template gives", err) < 0)
        return -1;
    *out = rest_string(mem, buf_str(&text), text.len);
    return 0;
}

static int render_items(const struct template *t, const struct scopes *s, struct arena *mem,
                        struct rest_value *out, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(TEMPLATE_MAX_OUTPUT);
    bool object = t->kind == TEMPLATE_OBJECT;
    struct rest_value v;

    buf_putc(&text, object ? '{' : '[');
    for (size_t i = 0; i < t->n; i++) {
        struct jsonw w = JSONW_INIT(&text);

        if (i > 0)
            buf_putc(&text, ',');
        if (object) {
            jsonw_string(&w, t->keys[i]);
            buf_putc(&text, ':');
        }
        if (template_render(t->items[i], s, mem, &v, err) < 0)
            return -1;
        rest_value_put_json(&v, &text);
    }
    buf_putc(&text, object ? '}' : ']');
    if (buf_ok(&text, "what a template gives", err) < 0)
        return -1;
    *out = (struct rest_value){object ? VALUE_OBJECT : VALUE_ARRAY,
                               {arena_memdup(mem, buf_str(&text), text.len), text.len}};
    return 0;
}

int template_render(const struct template *t, const struct scopes *s, struct arena *mem,
                    struct rest_value *out, struct error *err)
{
    switch (t->kind) {
    case TEMPLATE_PARTS:
        return render_parts(t, s, mem, out, err);
    case TEMPLATE_ARRAY:
    case TEMPLATE_OBJECT:
        return render_items(t, s, mem, out, err);
    case TEMPLATE_VALUE:
        break;
    }
    *out = t->value;
    return 0;
}
