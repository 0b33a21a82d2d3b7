#!/usr/bin/env python3
"""Q1: SQL is built in few places. A value is a parameter, a name goes through sql_put_name; what else becomes
text of a statement is of a closed set, or the caller's own query in its place.

Three rules, with the exceptions listed and explained: formats that look like SQL have no %s outside the
builder; text from a variable is not appended to a statement outside the builder; and nobody calls the
quoting functions of the libraries, whose NULL somebody would forget to check.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What makes statements, as pure functions with golden files; fuzz_ident_quote proves its quoting.
BUILDER = ("connectors/sql/statement", "connectors/sql/dialect", "connectors/sql/scan.c")
FOLDERS = ("connectors", "server", "handlers", "openapi")
WORDS = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|DROP|ALTER|CREATE|WHERE|FROM|VALUES|SET|PRAGMA|ATTACH|COPY|LOAD DATA|CALL|"
                   r"connectord_convert|set_config)\b|^[ ,(]*'%s'")
QUOTING = re.compile(r"\b(PQescape\w+|mysql_(?:real_)?escape\w*|mysql_hex_string|sqlite3_v?m?s?n?printf)\s*\(")
CALL = re.compile(r"\b(buf_printf|arena_printf|snprintf|buf_puts)\s*\(")

# The line of the call, without blanks at its ends -> why it may.
ALLOWED = {
    'buf_printf(&sql, "DROP %s ", strcmp(a->kind, "trigger") ? "INDEX" : "TRIGGER");': "one of two words",
    "buf_printf(&sql, \"pg_catalog.set_config('%s', '%s', false)\", settings[i].name,": "a constant table",
    "buf_printf(&sql, \"pg_catalog.set_config('%s', $1, false)\", settings[i].name);": "a constant table",
    "buf_printf(out, \", '%s', '%s')\", old_type, new_type);": "names of our own types",
    'if (prepare(r->conn, arena_printf(mem, "SELECT * FROM (%s\\n) AS q", text), &within, err) < 0)':
        "a query of the configuration, as a whole and alone: P6, L2",
    'buf_printf(&sql, "SELECT * FROM (%s\\n) AS q", text);': "the same",
    "snprintf(sql, sizeof sql,": "a constant, and a number of ours",
    'buf_printf(sql, " AND %s IN (", column);': "constants of this file",
    "buf_puts(&sql, before);": "a constant of this file", "buf_puts(&sql, behind);": "the same",
    "buf_puts(&sql, steps[i]);": "the same", "buf_puts(&sql, steps[i + 1]);": "the same",
    "buf_puts(&sql, literal);": "a value that the server itself has written as a literal, for DDL, which has no parameters",
    "buf_puts(&sql, a->sql);": "a statement that the database wrote: an index to be made again",
}


def without_comments(text):
    return re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), text, flags=re.S)


def arguments(text, at):
    """Those of the call whose parenthesis is before `at`, split at the commas of its own level."""
    found, depth, begin, i = [], 0, at, at
    while i < len(text):
        c = text[i]
        if c in "\"'":
            i += 1
            while text[i] != c:
                i += 1 + (text[i] == "\\")
        elif c in "([{":
            depth += 1
        elif c in ")]}" and depth:
            depth -= 1
        elif c == ")" or c == "," and not depth:
            found.append(text[begin:i].strip())
            begin = i + 1
            if c == ")":
                return found
        i += 1
    return found


def is_literal(word):
    """A literal, or a choice between literals; names of constants in capitals are some."""
    word = re.sub(r'"(?:\\.|[^"\\])*"|\b[A-Z][A-Z_]+\b', '""', word)
    return re.fullmatch(r'(?:[^?:"]*\?\s*)?(?:""\s*)+(?::\s*(?:[^?:"]*\?\s*)?(?:""\s*)+)*', word) is not None


def check(path):
    text = without_comments((ROOT / path).read_text())
    lines = text.splitlines()
    for call in QUOTING.finditer(text):
        yield call.start(), f"{call[1]} may return NULL: use sql_put_name or a parameter"
    if path.startswith(BUILDER):
        return
    for call in CALL.finditer(text):
        number = text.count("\n", 0, call.start())
        if lines[number].strip() in ALLOWED:
            USED.add(lines[number].strip())
            continue
        words = arguments(text, call.end())
        if call[1] == "buf_puts":
            if len(words) == 2 and words[0] in ("&sql", "sql", "&full", "&select") and not is_literal(words[1]):
                yield call.start(), "text of a variable becomes SQL"
            continue
        texts = [w for w in words if w.startswith('"')][:1]
        if texts and "%s" in texts[0] and WORDS.search(texts[0].strip('"')):
            yield call.start(), "%s in SQL outside the builder"


USED = set()


def self_test():
    """The rules see what they are for."""
    assert WORDS.search("SELECT * FROM %s") and WORDS.search("'%s'") and not WORDS.search("the stream %s")
    assert is_literal('i ? ", " : " ("') and is_literal('"a" "b"') and not is_literal("name") and not is_literal('x ? name : "b"')
    assert arguments('f(a, "b,)", g(c, d))', 2) == ["a", '"b,)"', "g(c, d)"]


def main():
    self_test()
    files = [str(p.relative_to(ROOT)) for f in FOLDERS for p in sorted((ROOT / f).rglob("*.c"))]
    wrong = []
    for path in files:
        text = without_comments((ROOT / path).read_text())
        wrong += [f"{path}:{text.count(chr(10), 0, at) + 1}: {why}" for at, why in check(path)]
    wrong += [f"tests/lint/sql.py: nothing is like this any more: {line}" for line in ALLOWED if line not in USED]
    print("\n".join(wrong) or f"{len(files)} files build no SQL of their own")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
