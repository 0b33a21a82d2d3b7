/*
 * Conditions: path op literal, joined by and, or, not and brackets. A tree, built by descent.
 */
#include <string.h>

#include "connectors/base/jsonread.h"
#include "connectors/base/text.h"
#include "connectors/rest/template_internal.h"

#define NESTING_MAX 32

enum kind { NODE_AND, NODE_OR, NODE_NOT, NODE_COMPARE };
enum op { OP_EQ, OP_NE, OP_LE, OP_GE, OP_LT, OP_GT, OP_IN, OP_LIKE, OP_EXISTS };

struct condition {
    enum kind kind;
    const struct condition *a, *b;
    struct scoped_path path;
    enum op op;
    struct rest_value literal; /* IN: an array */
    const struct pattern *pattern;
};

/* clang-format off */
static const struct {
    const char *text;
    enum op op;
    bool word;
} ops[] = {
    {"==", OP_EQ, false}, {"!=", OP_NE, false}, {"<=", OP_LE, false}, {">=", OP_GE, false},
    {"<",  OP_LT, false}, {">",  OP_GT, false}, {"~",  OP_LIKE, false},
    {"in", OP_IN, true},  {"exists", OP_EXISTS, true},
};
/* clang-format on */

struct parsing {
    struct arena *mem;
    const char *text, *at, *pointer;
    unsigned allowed;
    struct problems *problems;
    int depth;
    bool failed;
};

static const struct condition *complain(struct parsing *p, const char *why)
{
    if (!p->failed)
        problems_add(p->problems, p->pointer, "bad_template", "the condition \"%.200s\": %s",
                     p->text, why);
    p->failed = true;
    return NULL;
}

static void skip_blanks(struct parsing *p)
{
    p->at += strspn(p->at, " \t\n");
}

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Passes over a word when it comes next. */
static bool accept_word(struct parsing *p, const char *word)
{
    size_t n = strlen(word);

    skip_blanks(p);
    if (strncmp(p->at, word, n) != 0 || is_word_char(p->at[n]))
        return false;
    p->at += n;
    return true;
}

static bool accept_op(struct parsing *p, enum op *out)
{
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        size_t n = strlen(ops[i].text);

        skip_blanks(p);
        if (ops[i].word ? accept_word(p, ops[i].text) : strncmp(p->at, ops[i].text, n) == 0) {
            p->at += ops[i].word ? 0 : n;
            *out = ops[i].op;
            return true;
        }
    }
    return false;
}

static bool read_path(struct parsing *p, struct scoped_path *out)
{
    size_t n = 0;

    skip_blanks(p);
    while (p->at[n] && !strchr(" \t\n=!<>~()", p->at[n])) {
        const char *close = p->at[n] == '\'' ? strchr(p->at + n + 1, '\'') : NULL;

        n = close ? (size_t)(close - p->at) + 1 : n + 1;
    }
    if (n == 0) {
        complain(p, "a path is missing");
        return false;
    }
    if (!scoped_path_compile(p->mem, arena_memdup(p->mem, p->at, n), p->allowed, p->pointer,
                             p->problems, out)) {
        p->failed = true;
        return false;
    }
    p->at += n;
    return true;
}

/* 'text', a number, true, false, null, or a list in JSON (with either quote). */
static bool read_literal(struct parsing *p, struct rest_value *out)
{
    struct error not_json = ERROR_INIT;
    size_t n;

    skip_blanks(p);
    if (*p->at == '\'') {
        const char *close = strchr(p->at + 1, '\'');

        if (!close)
            return complain(p, "a quote is not closed") != NULL;
        *out = rest_string(p->mem, p->at + 1, (size_t)(close - p->at - 1));
        p->at = close + 1;
        return true;
    }
    if (*p->at == '[') {
        char *list;

        n = strcspn(p->at, "]") + (strchr(p->at, ']') != NULL);
        list = arena_memdup(p->mem, p->at, n);
        for (char *c = list; *c; c++)
            *c = *c == '\'' ? '"' : *c;
        p->at += n;
        if (rest_value_read((struct slice){list, n}, p->mem, out, &not_json) < 0)
            return complain(p, "a list cannot be read") != NULL;
        return true;
    }
    if (*p->at == '"') {
        for (n = 1; p->at[n] && p->at[n] != '"'; n++)
            n += p->at[n] == '\\' && p->at[n + 1];
        n += p->at[n] == '"';
    } else {
        n = strcspn(p->at, " \t\n()");
    }
    if (n == 0 || rest_value_read((struct slice){arena_memdup(p->mem, p->at, n), n}, p->mem, out,
                                  &not_json) < 0)
        return complain(p, "a text in quotes, a number, true, false, null or a list is expected") !=
               NULL;
    p->at += n;
    return true;
}

static struct condition *node(struct parsing *p, enum kind kind, const struct condition *a,
                              const struct condition *b)
{
    struct condition *c = arena_alloc(p->mem, sizeof *c);

    *c = (struct condition){.kind = kind, .a = a, .b = b};
    return c;
}

static const struct condition *parse_comparison(struct parsing *p)
{
    struct condition *c = node(p, NODE_COMPARE, NULL, NULL);
    const char *why;

    if (!read_path(p, &c->path))
        return NULL;
    if (!accept_op(p, &c->op))
        return complain(p, "an operator is missing");
    if (c->op == OP_EXISTS)
        return c;
    if (!read_literal(p, &c->literal))
        return NULL;
    if ((c->op == OP_IN) != (c->literal.kind == VALUE_ARRAY))
        return complain(p, "a list goes with \"in\" and with nothing else");
    if (c->op != OP_LIKE)
        return c;
    why = pattern_compile(p->mem, rest_value_text(&c->literal, p->mem), &c->pattern);
    return why ? complain(p, why) : c;
}

static const struct condition *parse_or(struct parsing *p);

static const struct condition *parse_not(struct parsing *p)
{
    const struct condition *c;

    if (++p->depth > NESTING_MAX)
        return complain(p, "it is nested too deeply");
    if (accept_word(p, "not")) {
        c = parse_not(p);
        c = c ? node(p, NODE_NOT, c, NULL) : NULL;
    } else if (skip_blanks(p), *p->at == '(') {
        p->at++;
        c = parse_or(p);
        skip_blanks(p);
        if (c && *p->at != ')')
            c = complain(p, "a bracket is not closed");
        p->at += c != NULL;
    } else {
        c = parse_comparison(p);
    }
    p->depth--;
    return c;
}

static const struct condition *parse_and(struct parsing *p)
{
    const struct condition *a = parse_not(p);

    while (a && accept_word(p, "and")) {
        const struct condition *b = parse_not(p);

        a = b ? node(p, NODE_AND, a, b) : NULL;
    }
    return a;
}

static const struct condition *parse_or(struct parsing *p)
{
    const struct condition *a = parse_and(p);

    while (a && accept_word(p, "or")) {
        const struct condition *b = parse_and(p);

        a = b ? node(p, NODE_OR, a, b) : NULL;
    }
    return a;
}

const struct condition *condition_compile(struct arena *mem, const char *text, unsigned allowed,
                                          const char *pointer, struct problems *problems)
{
    struct parsing p = {.mem = mem,
                        .text = text,
                        .at = text,
                        .pointer = pointer,
                        .allowed = allowed,
                        .problems = problems};
    const struct condition *c = parse_or(&p);

    skip_blanks(&p);
    if (c && *p.at)
        return complain(&p, "something stands behind it");
    return c;
}

/* -------------------------------------------------------------------- deciding */

static int sign(bool less, bool greater)
{
    return (int)greater - (int)less;
}

/* Numbers by value, times by instant where both are, everything else by bytes. False when the two
 * cannot be compared. */
static bool compare(const struct rest_value *a, const struct rest_value *b, int *out)
{
    int64_t i, j;
    double x, y;

    if (a->kind == VALUE_NUMBER && b->kind == VALUE_NUMBER) {
        if (text_to_int64(a->text.ptr, a->text.len, &i) &&
            text_to_int64(b->text.ptr, b->text.len, &j)) {
            *out = sign(i<j, i> j);
            return true;
        }
        if (!text_to_double(a->text.ptr, a->text.len, &x) ||
            !text_to_double(b->text.ptr, b->text.len, &y))
            return false;
        *out = sign(x<y, x> y);
        return true;
    }
    if (a->kind != b->kind || a->kind == VALUE_OBJECT || a->kind == VALUE_ARRAY)
        return false;
    if (a->kind == VALUE_STRING && rest_instant(a, &i) && rest_instant(b, &j)) {
        *out = sign(i<j, i> j);
        return true;
    }
    *out = memcmp(a->text.ptr, b->text.ptr, a->text.len < b->text.len ? a->text.len : b->text.len);
    if (*out == 0)
        *out = sign(a->text.len<b->text.len, a->text.len> b->text.len);
    return true;
}

static int is_in(const struct rest_value *v, struct slice list, struct arena *mem, bool *out,
                 struct error *err)
{
    CLEANUP(jsonread_release) struct jsonread r;
    enum jsonread_token t;
    struct rest_value item;
    struct slice raw;
    int order;

    *out = false;
    jsonread_init(&r);
    jsonread_start(&r, list.ptr, list.len);
    if (jsonread_next(&r, &t, err) < 0)
        return -1;
    for (;;) {
        if (jsonread_next(&r, &t, err) < 0)
            return -1;
        if (t == JSONREAD_ARRAY_END)
            return 0;
        if (jsonread_skip(&r, t, &raw, err) < 0 || rest_value_read(raw, mem, &item, err) < 0)
            return -1;
        *out |= compare(v, &item, &order) && order == 0;
    }
}

static bool decide(enum op op, bool comparable, int order)
{
    switch (op) {
    case OP_EQ:
        return comparable && order == 0;
    case OP_NE:
        return !comparable || order != 0;
    case OP_LT:
        return comparable && order < 0;
    case OP_LE:
        return comparable && order <= 0;
    case OP_GT:
        return comparable && order > 0;
    case OP_GE:
        return comparable && order >= 0;
    case OP_IN:
    case OP_LIKE:
    case OP_EXISTS:
        break;
    }
    return false;
}

static int holds_comparison(const struct condition *c, const struct scopes *s, struct arena *mem,
                            bool *out, struct error *err)
{
    struct rest_value v;
    struct slice ignored;
    bool comparable;
    int order = 0;

    *out = false;
    if (scoped_path_find(&c->path, s, mem, &v, err) < 0)
        return -1;
    if (c->op == OP_EXISTS)
        *out = v.kind != VALUE_MISSING && v.kind != VALUE_NULL;
    if (c->op == OP_EXISTS || v.kind == VALUE_MISSING)
        return 0;
    if (c->op == OP_IN)
        return is_in(&v, c->literal.text, mem, out, err);
    if (c->op == OP_LIKE) {
        *out = v.kind == VALUE_STRING && pattern_find(c->pattern, v.text, &ignored);
        return 0;
    }
    comparable = compare(&v, &c->literal, &order);
    *out = decide(c->op, comparable, order);
    return 0;
}

int condition_holds(const struct condition *c, const struct scopes *s, struct arena *mem, bool *out,
                    struct error *err)
{
    if (c->kind == NODE_COMPARE)
        return holds_comparison(c, s, mem, out, err);
    if (condition_holds(c->a, s, mem, out, err) < 0)
        return -1;
    if (c->kind == NODE_NOT) {
        *out = !*out;
        return 0;
    }
    if (*out == (c->kind == NODE_OR))
        return 0;
    return condition_holds(c->b, s, mem, out, err);
}
