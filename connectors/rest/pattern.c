#include "connectors/rest/pattern.h"

#include <string.h>

/*
 * A program for threads that step through the text together (R. Cox, "Regular Expression Matching:
 * the Virtual Machine Approach"): each byte is looked at once by at most one thread per
 * instruction, so no expression can take longer than its length times the text's.
 */
enum op { OP_SET, OP_SPLIT, OP_JUMP, OP_SAVE, OP_BEGIN, OP_END, OP_MATCH };

struct instruction {
    enum op op;
    int x, y; /* SPLIT: first and second choice; JUMP: x; SAVE: x = 0 begin, 1 end */
    unsigned char set[32];
};

struct pattern {
    struct instruction code[PATTERN_MAX];
    int n;
    bool captures;
};

struct compiling {
    struct pattern *p;
    const char *at;
    const char *why;
    int depth;
};

static int emit(struct compiling *c, struct instruction i)
{
    if (c->p->n == PATTERN_MAX) {
        c->why = "it is too long";
        return 0;
    }
    c->p->code[c->p->n] = i;
    return c->p->n++;
}

static void set_add(unsigned char set[static 32], int c)
{
    set[c >> 3] |= (unsigned char)(1 << (c & 7));
}

static bool set_has(const unsigned char set[static 32], unsigned char c)
{
    return set[c >> 3] >> (c & 7) & 1;
}

static void add_range(unsigned char set[static 32], int from, int to)
{
    for (int i = from; i <= to; i++)
        set_add(set, i);
}

/* \d and its like; false for a character that stands for itself. */
static bool add_class(unsigned char set[static 32], char name)
{
    unsigned char in[32] = {0};
    bool negated = name >= 'A' && name <= 'Z';

    switch (negated ? name + ('a' - 'A') : name) {
    case 'd':
        add_range(in, '0', '9');
        break;
    case 'w':
        add_range(in, '0', '9');
        add_range(in, 'a', 'z');
        add_range(in, 'A', 'Z');
        set_add(in, '_');
        break;
    case 's':
        add_range(in, '\t', '\r');
        set_add(in, ' ');
        break;
    default:
        return false;
    }
    for (int i = 0; i < 256; i++) {
        if (set_has(in, (unsigned char)i) != negated)
            set_add(set, i);
    }
    return true;
}

static int literal(char escaped)
{
    return escaped == 'n' ? '\n' : escaped == 't' ? '\t' : (unsigned char)escaped;
}

/* One member of [ ]; *out_char is -1 when it was a class. */
static void read_member(struct compiling *c, unsigned char set[static 32], int *out_char)
{
    *out_char = (unsigned char)*c->at++;
    if (*out_char != '\\')
        return;
    if (!*c->at) {
        c->why = "it ends with a backslash";
        return;
    }
    if (add_class(set, *c->at))
        *out_char = -1;
    else
        *out_char = literal(*c->at);
    c->at++;
}

static void read_set(struct compiling *c, unsigned char set[static 32])
{
    unsigned char in[32] = {0};
    bool negated = *c->at == '^';

    c->at += negated;
    for (bool first = true; first || *c->at != ']'; first = false) {
        int from, to;

        if (!*c->at) {
            c->why = "a [ is not closed";
            return;
        }
        read_member(c, in, &from);
        if (from < 0 || c->why)
            continue;
        to = from;
        if (c->at[0] == '-' && c->at[1] && c->at[1] != ']') {
            c->at++;
            read_member(c, in, &to);
        }
        if (to < from)
            c->why = "a range in [ ] goes backwards";
        add_range(in, from, to);
    }
    c->at++;
    for (int i = 0; i < 256; i++) {
        if (set_has(in, (unsigned char)i) != negated)
            set_add(set, i);
    }
}

static void read_choices(struct compiling *c);

static void read_group(struct compiling *c)
{
    bool silent = strncmp(c->at, "?:", 2) == 0, capture = !silent && !c->p->captures;

    c->at += silent ? 2 : 0;
    if (++c->depth > 32) {
        c->why = "it is nested too deeply";
        return;
    }
    if (capture) {
        c->p->captures = true;
        emit(c, (struct instruction){.op = OP_SAVE, .x = 0});
    }
    read_choices(c);
    c->depth--;
    if (capture)
        emit(c, (struct instruction){.op = OP_SAVE, .x = 1});
    if (c->why)
        return;
    if (*c->at == ')')
        c->at++;
    else
        c->why = "a ( is not closed";
}

/* One item without what repeats it. */
static void read_item(struct compiling *c)
{
    struct instruction set = {.op = OP_SET};
    char ch = *c->at++;

    switch (ch) {
    case '(':
        read_group(c);
        return;
    case '^':
        emit(c, (struct instruction){.op = OP_BEGIN});
        return;
    case '$':
        emit(c, (struct instruction){.op = OP_END});
        return;
    case '[':
        read_set(c, set.set);
        break;
    case '.':
        memset(set.set, 0xff, sizeof set.set);
        break;
    case '\\':
        if (!*c->at) {
            c->why = "it ends with a backslash";
            return;
        }
        if (!add_class(set.set, *c->at))
            set_add(set.set, literal(*c->at));
        c->at++;
        break;
    case '*':
    case '+':
    case '?':
    case '{':
        c->why = "there is nothing to repeat, or { } is used";
        return;
    default:
        set_add(set.set, (unsigned char)ch);
    }
    emit(c, set);
}

/* Moves the code from `start` on one place down, for a split in front of it. */
static void make_room(struct compiling *c, int start)
{
    struct instruction *code = c->p->code;

    if (c->p->n == PATTERN_MAX) {
        c->why = "it is too long";
        return;
    }
    memmove(&code[start + 1], &code[start], (size_t)(c->p->n - start) * sizeof *code);
    c->p->n++;
    for (int i = start + 1; i < c->p->n; i++) {
        if (code[i].op == OP_SPLIT || code[i].op == OP_JUMP) {
            code[i].x += code[i].x >= start;
            code[i].y += code[i].y >= start;
        }
    }
}

static void repeat(struct compiling *c, int start, char how)
{
    if (how == '+') {
        int at = emit(c, (struct instruction){.op = OP_SPLIT, .x = start});

        c->p->code[at].y = at + 1;
        return;
    }
    make_room(c, start);
    if (c->why)
        return;
    if (how == '*')
        emit(c, (struct instruction){.op = OP_JUMP, .x = start});
    c->p->code[start] = (struct instruction){.op = OP_SPLIT, .x = start + 1, .y = c->p->n};
}

static void read_sequence(struct compiling *c)
{
    while (*c->at && *c->at != '|' && *c->at != ')' && !c->why) {
        int start = c->p->n;

        read_item(c);
        if (!c->why && (*c->at == '*' || *c->at == '+' || *c->at == '?'))
            repeat(c, start, *c->at++);
        if (!c->why && (*c->at == '*' || *c->at == '+' || *c->at == '?' || *c->at == '{'))
            c->why = "something is repeated twice, or { } is used";
    }
}

static void read_choices(struct compiling *c)
{
    int start = c->p->n, jump;

    read_sequence(c);
    if (*c->at != '|' || c->why)
        return;
    c->at++;
    make_room(c, start);
    jump = emit(c, (struct instruction){.op = OP_JUMP});
    if (c->why)
        return;
    c->p->code[start] = (struct instruction){.op = OP_SPLIT, .x = start + 1, .y = c->p->n};
    read_choices(c);
    c->p->code[jump].x = c->p->n;
}

const char *pattern_compile(struct arena *mem, const char *text, const struct pattern **out)
{
    struct pattern *p = arena_alloc(mem, sizeof *p);
    struct compiling c = {.p = p, .at = text};

    p->n = 0;
    p->captures = false;
    read_choices(&c);
    if (!c.why && *c.at)
        c.why = "a ) was not opened";
    emit(&c, (struct instruction){.op = OP_MATCH});
    *out = p;
    return c.why;
}

/* -------------------------------------------------------------------- matching */

struct thread {
    int at;
    const char *start, *begin, *end; /* of the match; of the capture */
};
struct list {
    struct thread threads[PATTERN_MAX];
    int n;
    bool there[PATTERN_MAX];
};

struct search {
    const struct pattern *p;
    struct slice text;
};

/* Follows everything that reads no byte. The nesting is bounded by the program's length. */
static void add_thread(const struct search *s, struct list *l, struct thread t, const char *here)
{
    const struct instruction *i = &s->p->code[t.at];

    if (l->there[t.at])
        return;
    l->there[t.at] = true;
    switch (i->op) {
    case OP_JUMP:
        t.at = i->x;
        add_thread(s, l, t, here);
        return;
    case OP_SPLIT:
        t.at = i->x;
        add_thread(s, l, t, here);
        t.at = i->y;
        add_thread(s, l, t, here);
        return;
    case OP_SAVE:
        if (i->x == 0)
            t.begin = here;
        else
            t.end = here;
        t.at++;
        add_thread(s, l, t, here);
        return;
    case OP_BEGIN:
    case OP_END:
        if (here != (i->op == OP_BEGIN ? s->text.ptr : s->text.ptr + s->text.len))
            return;
        t.at++;
        add_thread(s, l, t, here);
        return;
    case OP_SET:
    case OP_MATCH:
        l->threads[l->n++] = t;
        return;
    }
}

static void clear(struct list *l)
{
    l->n = 0;
    memset(l->there, 0, sizeof l->there);
}

bool pattern_find(const struct pattern *p, struct slice text, struct slice *out)
{
    struct search s = {p, text.ptr ? text : (struct slice){"", 0}};
    struct list lists[2], *now = &lists[0], *next = &lists[1];
    const char *end = s.text.ptr + s.text.len;
    bool found = false;

    clear(now);
    for (const char *here = s.text.ptr;; here++) {
        clear(next);
        if (!found)
            add_thread(&s, now, (struct thread){.at = 0, .start = here}, here);
        for (int i = 0; i < now->n; i++) {
            struct thread t = now->threads[i];

            if (p->code[t.at].op == OP_MATCH) {
                found = true;
                if (!p->captures)
                    *out = (struct slice){t.start, (size_t)(here - t.start)};
                else if (t.begin && t.end)
                    *out = (struct slice){t.begin, (size_t)(t.end - t.begin)};
                else
                    *out = (struct slice){"", 0};
                break; /* those behind it would be taken later */
            }
            if (here < end && set_has(p->code[t.at].set, (unsigned char)*here)) {
                t.at++;
                add_thread(&s, next, t, here + 1);
            }
        }
        if (here == end || (found && next->n == 0))
            return found;
        struct list *swap = now;
        now = next;
        next = swap;
    }
}
