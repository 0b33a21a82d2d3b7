#!/usr/bin/env python3
"""Who may include whom: the layer table, and the walls around third-party headers.

Every quoted include is written from the repository root. A violation fails the build's tests; the
libraries of CMake say the same a second time, at link time.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Folder, or files whose names begin so (the longest match decides) -> what they may include:
# folders, or single files.
LAYERS = {
    "connectors/base": ["connectors/base"],
    "connectors/data": ["connectors/data", "connectors/base"],
    "connectors/http": ["connectors/http", "connectors/base"],
    "connectors": ["connectors/*", "connectors/base", "connectors/data"],
    "connectors/main*": ["connectors/singer", "connectors/*", "connectors/base",
                         "connectors/data"],
    "connectors/files": ["connectors/files", "connectors/*", "connectors/base", "connectors/data"],
    "connectors/rest": ["connectors/rest", "connectors/http", "connectors/*", "connectors/base",
                        "connectors/data"],
    # Answers that are CSV or NDJSON are read as files are.
    "connectors/rest/page_*": ["connectors/rest", "connectors/files", "connectors/*",
                              "connectors/base", "connectors/data"],
    "connectors/sdk": ["connectors", "tests/support"],
    "connectors/examples": ["connectors", "tests/support"],
    "connectors/singer": ["connectors/singer", "connectors/*", "connectors/base",
                          "connectors/data"],
    "connectors/sql": ["connectors/sql", "connectors/*", "connectors/base", "connectors/data"],
    "connectors/sources": ["connectors/*", "connectors/base", "connectors/data", "connectors/files",
                           "connectors/rest",
                           "connectors/singer", "connectors/sql", "connectors/sources/sample_shop.h",
                           "connectors/sources/apis.h"],
    "connectors/destinations": ["connectors/*", "connectors/base", "connectors/data",
                                "connectors/files", "connectors/singer", "connectors/sql"],
    "server/http": ["server/http", "connectors/base"],
    "server/secrets": ["server/secrets", "connectors/base"],
    "server/store": ["server/store", "connectors/base"],
    "server/sync": ["server/sync", "server/store", "server/secrets", "connectors/*", "connectors/base",
                    "connectors/data", "connectors/rest/described.h"],
    "handlers": ["handlers", "server/app.h", "server/config.h", "server/http", "server/store",
                 "server/sync", "server/secrets", "connectors/*", "connectors/base",
                 "connectors/rest/described.h", "connectors/singer/asked.h",
                 "connectors/singer/position.h"],
    "server": ["server", "handlers", "connectors"],
}

# Third-party header -> the only files that may include it.
WALLS = {
    "microhttpd.h": ["server/http/"],
    "sqlite3.h": ["server/store/", "connectors/sql/sqlite"],
    "curl/curl.h": ["connectors/http/"],
    "openssl/evp.h": ["connectors/rest/jwt.c"],
    "openssl/pem.h": ["connectors/rest/jwt.c"],
    "libpq-fe.h": ["connectors/sql/postgres"],
    "mysql.h": ["connectors/sql/mysql"],
    "errmsg.h": ["connectors/sql/mysql"],
    "mysqld_error.h": ["connectors/sql/mysql"],
    "jansson.h": ["connectors/base/doc.c"],
    "yaml.h": ["connectors/base/docyaml.c"],
    "sodium.h": ["connectors/base/hash.c", "connectors/base/text.c", "server/secrets/",
                 "server/http/auth.c"],
    "zlib.h": ["connectors/files/", "server/http/"],
    "zstd.h": ["connectors/files/"],
}

# Projects of their own, built elsewhere: their files also include each other.
OUTSIDE = ("connectors/examples/", "connectors/sdk/new/")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def layer_of(path):
    folders = [f for f in LAYERS if path.startswith(f[:-1] if f.endswith("*") else f + "/")]
    return max(folders, key=len) if folders else None


def allowed(path, target):
    for entry in LAYERS[layer_of(path)]:
        if entry.endswith("/*"):  # the files directly in that folder
            folder = entry[:-2]
            if target.startswith(folder + "/") and "/" not in target[len(folder) + 1:]:
                return True
        elif target == entry or target.startswith(entry + "/"):
            return True
    return False


def check(path):
    for number, line in enumerate((ROOT / path).read_text().splitlines(), 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        kind, target = found.groups()
        if kind == '"' and path.startswith(OUTSIDE) and ((ROOT / path).parent / target).is_file():
            continue
        if kind == '"':
            if not (ROOT / target).is_file():
                yield f"{path}:{number}: \"{target}\" is not a path from the repository root"
            elif layer_of(path) and not allowed(path, target):
                yield f"{path}:{number}: {layer_of(path)} may not include \"{target}\""
        elif target in WALLS and not any(path.startswith(p) for p in WALLS[target]):
            yield f"{path}:{number}: <{target}> belongs in {', '.join(WALLS[target])}"


def main():
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.c", "*.h"], cwd=ROOT,
                           capture_output=True, text=True, check=True).stdout.split()
    product = [f for f in files if not f.startswith("tests/")]
    problems = [p for f in product for p in check(f)]
    print("\n".join(problems) or f"{len(product)} files keep to their layers")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
