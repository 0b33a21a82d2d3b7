/* The program of a destination: a Singer target. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "connectors/main.h"
#include "connectors/main_run.h"
#include "connectors/singer/deliver.h"

/* Who owns the tables: every target of ours may go on with what another has written. */
#define PIPELINE "singer"

/* Nothing came for so long: what is there is committed, so that its STATE is given back. */
#define IDLE_MS 1000

/* Where messages come from, and where states go. */
struct ends {
    struct main_run *p;
    int fd;
    struct buf line;
};

static int fill(void *arg, char *room, size_t n, size_t *out_n, bool *out_end, struct error *err)
{
    const struct ends *e = arg;
    struct pollfd fds[] = {{.fd = e->fd, .events = POLLIN},
                           {.fd = cancel_fd(e->p->run.cancel), .events = POLLIN}};
    ssize_t got;

    *out_n = 0;
    if (poll(fds, 2, IDLE_MS) < 0 && errno != EINTR)
        return error_set_errno(err, errno, "waiting for messages");
    if (cancel_check(e->p->run.cancel, err) < 0)
        return -1;
    if (!fds[0].revents)
        return 0;
    got = read(e->fd, room, n);
    if (got < 0 && errno != EINTR && errno != EAGAIN)
        return error_set_errno(err, errno, "reading messages");
    *out_n = got > 0 ? (size_t)got : 0;
    *out_end = got == 0;
    return 0;
}

/* ------------------------------------------------------------------------ states */

static int write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, bytes, n);

        if (done < 0 && errno != EINTR)
            return -1;
        bytes += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    return fsync(fd);
}

/* The file has the old state or the new one, and nothing in between. */
static int replace_file(const char *path, const struct buf *text, struct error *err)
{
    CLEANUP(buf_release) struct buf beside = BUF_INIT(8192);
    int fd, status;

    buf_printf(&beside, "%s.new", path);
    fd = open(buf_str(&beside), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "writing the state \"%s\"", buf_str(&beside));
    status = write_all(fd, text->data, text->len);
    close(fd);
    if (status < 0 || rename(buf_str(&beside), path) < 0)
        return error_set_errno(err, errno, "writing the state \"%s\"", path);
    return 0;
}

/* One line with the value, as Singer's targets write it. */
static int give_back(void *arg, struct slice value, struct error *err)
{
    struct ends *e = arg;

    buf_clear(&e->line);
    buf_put(&e->line, value.ptr, value.len);
    buf_putc(&e->line, '\n');
    if (buf_ok(&e->line, "a STATE", err) < 0 || main_write(e->line.data, e->line.len, err) < 0)
        return -1;
    return e->p->line.state ? replace_file(e->p->line.state, &e->line, err) : 0;
}

/* ---------------------------------------------------------------------- the sync */

static void tell_end(const struct main_run *p, const struct deliver_result *r)
{
    const struct counts *c = &r->counts;

    log_info(p->run.log, .message = "all messages are delivered",
             .fields = {log_int("streams", (int64_t)r->n_streams), log_int("records", c->read),
                        log_int("inserted", c->inserted), log_int("updated", c->updated),
                        log_int("unchanged", c->unchanged), log_int("folded", c->folded)});
    if (c->quarantined_rows > 0 || c->quarantined_cells > 0)
        log_warn(p->run.log, .message = "what cannot be stored as it is went to quarantine",
                 .fields = {log_int("rows", c->quarantined_rows),
                            log_int("cells", c->quarantined_cells)});
}

static int deliver(struct main_run *p, struct ends *e, const struct doc *catalog)
{
    struct lines lines = {.fill = fill, .arg = e};
    const struct deliver how = {.destination = p->connector->destination,
                                .config = p->config,
                                .run = &p->run,
                                .pipeline = PIPELINE,
                                .catalog = catalog,
                                .input = &lines,
                                .state = give_back,
                                .arg = e,
                                .max_bad_rows = 1000,
                                .max_bad_ratio = 0.01,
                                .commit_rows = 100000,
                                .commit_bytes = 64 << 20,
                                .commit_age_us = 10000000};
    struct deliver_result result;
    struct error err = ERROR_INIT;
    int status = singer_deliver(&how, &result, &err);

    lines_release(&lines);
    if (status < 0)
        return main_fail(&err);
    tell_end(p, &result);
    return MAIN_DONE;
}

static int work(struct main_run *p)
{
    CLEANUP(doc_free_cleanup) struct doc *catalog = NULL;
    struct ends e = {.p = p, .fd = STDIN_FILENO, .line = BUF_INIT((size_t)64 << 20)};
    int status;

    if (!main_document("catalog", NULL, p->line.catalog_json, &catalog))
        return MAIN_USAGE;
    if (p->line.input_file_path) {
        e.fd = open(p->line.input_file_path, O_RDONLY | O_CLOEXEC);
        if (e.fd < 0) {
            fprintf(stderr, "the messages: opening \"%s\" failed: %s\n", p->line.input_file_path,
                    strerrordesc_np(errno));
            return MAIN_USAGE;
        }
    }
    status = deliver(p, &e, catalog);
    buf_release(&e.line);
    if (e.fd != STDIN_FILENO)
        close(e.fd);
    return status;
}

int connector_main_destination(int argc, char **argv, const struct destination_connector *c)
{
    const struct main_connector connector = {.kind = MAIN_DESTINATION,
                                             .name = c->name,
                                             .title = c->title,
                                             .docs = c->docs,
                                             .options = c->options,
                                             .config_size = c->config_size,
                                             .destination = c};

    return main_run(argc, argv, &connector, work);
}
