#include "tests/support/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

static char root[64];

static void need(int condition, const char *what)
{
    if (condition)
        return;
    perror(what);
    abort();
}

const char *folder_make(void)
{
    snprintf(root, sizeof root, "/tmp/test_files_XXXXXX");
    need(mkdtemp(root) != NULL, "mkdtemp");
    return root;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void folder_remove(void)
{
    if (*root)
        nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    *root = '\0';
}

const char *folder_path(const char *name)
{
    static char ring[8][512];
    static unsigned next;
    char *out = ring[next++ % 8];

    snprintf(out, sizeof ring[0], "%s%s%s", root, *name ? "/" : "", name);
    return out;
}

static void put(const char *name, const char *mode, const void *bytes, size_t n)
{
    FILE *f = fopen(folder_path(name), mode);

    need(f != NULL, name);
    need(fwrite(bytes, 1, n, f) == n, name);
    need(fclose(f) == 0, name);
}

void folder_write(const char *name, const void *bytes, size_t n)
{
    put(name, "we", bytes, n);
}

void folder_puts(const char *name, const char *text)
{
    put(name, "we", text, strlen(text));
}

void folder_append(const char *name, const char *text)
{
    put(name, "ae", text, strlen(text));
}

void folder_append_gzip(const char *name, const void *bytes, size_t n)
{
    z_stream z = {0};
    unsigned char *packed = malloc(n + n / 100 + 1024);
    union {
        const void *from;
        unsigned char *to; /* zlib's field has no const */
    } in = {.from = bytes};

    need(packed && deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK, "zlib");
    z.next_in = in.to;
    z.avail_in = (unsigned)n;
    z.next_out = packed;
    z.avail_out = (unsigned)(n + n / 100 + 1024);
    need(deflate(&z, Z_FINISH) == Z_STREAM_END, "deflate");
    put(name, "ae", packed, z.total_out);
    deflateEnd(&z);
    free(packed);
}

void folder_append_zstd(const char *name, const void *bytes, size_t n)
{
    size_t room = ZSTD_compressBound(n);
    char *packed = malloc(room);
    size_t packed_n = packed ? ZSTD_compress(packed, room, bytes, n, 3) : 0;

    need(packed && !ZSTD_isError(packed_n), "zstd");
    put(name, "ae", packed, packed_n);
    free(packed);
}

void folder_cut(const char *name, long size)
{
    need(truncate(folder_path(name), size) == 0, name);
}

char *folder_read(const char *name, size_t *out_n)
{
    FILE *f = fopen(folder_path(name), "re");
    struct stat st;
    char *out;

    need(f && fstat(fileno(f), &st) == 0, name);
    out = malloc((size_t)st.st_size + 1);
    need(out && fread(out, 1, (size_t)st.st_size, f) == (size_t)st.st_size, name);
    out[st.st_size] = '\0';
    *out_n = (size_t)st.st_size;
    fclose(f);
    return out;
}

static size_t find(const char *below, const char *suffix, char *out_last, size_t room)
{
    DIR *d = opendir(folder_path(below));
    size_t n = 0;

    if (!d)
        return 0;
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        size_t len = strlen(e->d_name), n_suffix = strlen(suffix);

        if (e->d_name[0] == '.' || len < n_suffix ||
            strcmp(e->d_name + len - n_suffix, suffix) != 0)
            continue;
        n++;
        snprintf(out_last, room, "%s/%s", below, e->d_name);
    }
    closedir(d);
    return n;
}

size_t folder_count(const char *below, const char *suffix)
{
    char ignored[600];

    return find(below, suffix, ignored, sizeof ignored);
}

const char *folder_only(const char *below, const char *suffix)
{
    static char name[600];

    need(find(below, suffix, name, sizeof name) == 1, below);
    return name;
}
