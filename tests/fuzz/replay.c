/* The main function of a fuzz target outside of a fuzzer: every file of the given folders once. */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "connectors/base/buf.h"
#include "tests/fuzz/fuzz.h"

#define MAX_FILE_BYTES ((size_t)64 << 20)

static void replay(const char *path)
{
    struct buf content = BUF_INIT(MAX_FILE_BYTES);
    FILE *f = fopen(path, "rb");
    uint8_t *exact;
    size_t n;

    MUST(f);
    do {
        char *at = buf_reserve(&content, 65536);

        MUST(at);
        n = fread(at, 1, 65536, f);
        content.len += n;
    } while (n);
    fclose(f);
    /* A copy of exactly this size, so that reading behind it is seen. */
    exact = malloc(content.len ? content.len : 1);
    MUST(exact);
    memcpy(exact, content.data, content.len);
    LLVMFuzzerTestOneInput(exact, content.len);
    free(exact);
    buf_release(&content);
}

int main(int argc, char **argv)
{
    size_t n = 0;

    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        struct dirent *e;

        MUST(dir);
        while ((e = readdir(dir))) {
            char path[4096];
            struct stat st;

            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            if (stat(path, &st) || !S_ISREG(st.st_mode))
                continue;
            replay(path);
            n++;
        }
        closedir(dir);
    }
    printf("%zu inputs\n", n);
    return n ? 0 : 1;
}
