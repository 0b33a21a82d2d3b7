#include <string.h>

#include "connectors/base/jsonwrite.h"
#include "handlers/routes.h"
#include "server/app.h"
#include "server/store/store.h"
#include "server/sync/runs.h"

int handle_livez(struct app *app, struct request *req, struct response *res, struct error *err)
{
    (void)app;
    (void)req;
    (void)err;
    res->content_type = "text/plain; charset=utf-8";
    buf_puts(&res->body, "ok\n");
    return 0;
}

int handle_readyz(struct app *app, struct request *req, struct response *res, struct error *err)
{
    static const char *const known[] = {"verbose", NULL};
    struct jsonw w = JSONW_INIT(&res->body);
    bool draining = http_is_draining(app->http), store;
    struct error why = ERROR_INIT;

    if (request_query_only(req, known, err) < 0)
        return -1;
    store = store_ping(app->store, &why) == 0;
    res->status = store && !draining ? 200 : 503;
    jsonw_object(&w);
    jsonw_put_bool(&w, "ready", store && !draining);
    if (request_query(req, "verbose")) {
        jsonw_key(&w, "checks");
        jsonw_object(&w);
        jsonw_put_string(&w, "store", store ? "ok" : "failing");
        jsonw_put_string(&w, "draining", draining ? "yes" : "ok");
        jsonw_object_end(&w);
    }
    jsonw_object_end(&w);
    return 0;
}
