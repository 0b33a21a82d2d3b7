#include "handlers/policy.h"

#include "handlers/body.h"
#include "server/sync/settings.h"

bool policy_has(const char *member)
{
    return option_find(sync_settings_options, member) != NULL;
}

const char *policy_text(struct arena *mem, const struct doc *d, const char *pointer,
                        struct problems *problems)
{
    CLEANUP(doc_free_cleanup) struct doc *whole = NULL;
    struct sync_settings decoded;

    if (!sync_settings_decode(d, pointer, mem, &decoded, problems))
        return "{}";
    whole = sync_settings_normalized(d);
    return body_text(mem, whole);
}
