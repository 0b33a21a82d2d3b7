/*
 * Bodies that are packed files: each file in one is a body of its own, and their records follow
 * each other. What is around the records is that of the last file.
 */
#include "connectors/files/unpack.h"
#include "connectors/rest/page_internal.h"

static int take_record(void *arg, struct slice record, struct error *err)
{
    struct page *p = arg;

    p->n_records++;
    return p->each(p->arg, record, err);
}

static int end_file(struct page *p, struct error *err)
{
    struct slice envelope;
    bool found;

    if (!p->inner)
        return 0;
    if (page_end(p->inner, &envelope, &found, err) < 0)
        return -1;
    p->found |= found;
    buf_clear(&p->envelope);
    buf_put(&p->envelope, envelope.ptr, envelope.len);
    page_free(p->inner);
    p->inner = NULL;
    return buf_ok(&p->envelope, "what is around the records", err);
}

static int begin_file(void *arg, struct error *err)
{
    struct page *p = arg;
    struct page_settings how = p->how;

    if (end_file(p, err) < 0)
        return -1;
    how.packing = PAGE_UNPACKED;
    p->inner = page_new(&how, take_record, p);
    return 0;
}

static int take_piece(void *arg, const char *bytes, size_t n, struct error *err)
{
    return page_feed(((struct page *)arg)->inner, bytes, n, err);
}

void page_init_packed(struct page *p)
{
    const struct unpack_taker to = {.piece = take_piece, .begin = begin_file, .arg = p};

    p->unpack =
        unpack_new(p->how.packing == PAGE_GZIP ? UNPACK_GZIP : UNPACK_ZIP, p->how.max_bytes, &to);
}

void page_release_packed(struct page *p)
{
    unpack_free(p->unpack);
    page_free(p->inner);
}

int page_feed_packed(struct page *p, const char *bytes, size_t n, struct error *err)
{
    return unpack_feed(p->unpack, bytes, n, err);
}

int page_end_packed(struct page *p, struct error *err)
{
    return unpack_end(p->unpack, err) < 0 ? -1 : end_file(p, err);
}
