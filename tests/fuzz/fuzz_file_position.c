/* Any bytes as a position or a manifest: what is accepted is written back and accepted again. */
#include <string.h>

#include "connectors/files/manifest.h"
#include "connectors/files/position.h"
#include "tests/fuzz/fuzz.h"

static void check_position(const char *text, struct arena *mem)
{
    struct buf once = BUF_INIT(1 << 24), twice = BUF_INIT(1 << 24);
    struct error err = ERROR_INIT;
    struct file_position p;

    if (file_position_parse(text, mem, &p, &err) == 0) {
        file_position_write(&p, &once);
        MUST(file_position_parse(buf_str(&once), mem, &p, &err) == 0);
        file_position_write(&p, &twice);
        MUST(!strcmp(buf_str(&once), buf_str(&twice)));
    }
    buf_release(&once);
    buf_release(&twice);
}

static void check_manifest(const char *text, size_t n, struct arena *mem)
{
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT(1 << 24);
    struct manifest m, again;

    if (manifest_parse(text, n, mem, &m, &err) == 0) {
        m.files = NULL;
        m.n_files = 0;
        manifest_write(&m, &out);
        MUST(manifest_parse(buf_str(&out), out.len, mem, &again, &err) == 0);
        MUST(again.generation == m.generation && again.number == m.number &&
             again.fence == m.fence && again.live == m.live);
        MUST(!m.position == !again.position);
        MUST(!m.position || !strcmp(m.position, again.position));
        MUST(again.counts.read == m.counts.read);
    }
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *mem = arena_new();
    const char *text = arena_memdup(mem, (const char *)data, size);

    check_position(text, mem);
    check_manifest(text, size, mem);
    arena_free(mem);
    return 0;
}
