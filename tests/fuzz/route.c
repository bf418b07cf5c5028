/* Any bytes as a message: routed, and parsed and decoded if that is where they go. */
#include "cdp/proto.h"
#include "cdp/route.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const cJSON *message)
{
    const cJSON *part = cJSON_GetObjectItemCaseSensitive(message, "params");
    struct proto_runtime_evaluate_result evaluate;
    struct proto_node_worker_attached_to_worker attached;
    struct proto_heap_profiler_heap_stats_update update;
    struct proto_heap_profiler_get_sampling_profile_result profile;
    struct err e = ERR_NONE;
    int rc = proto_runtime_evaluate_result_decode(part, &evaluate, &e);
    assert(!rc || (rc == ERR_PROTOCOL && e.text[0]));
    assert(rc || evaluate.result.type);
    rc = proto_node_worker_attached_to_worker_decode(part, &attached, &e);
    assert(rc || attached.worker_info.title);
    rc = proto_heap_profiler_heap_stats_update_decode(part, &update, &e);
    assert(rc || cJSON_IsArray(update.stats_update));
    rc = proto_heap_profiler_get_sampling_profile_result_decode(part, &profile, &e);
    assert(rc || cJSON_IsArray(profile.profile.head.children));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1);
    memcpy(text, data, size);
    struct route r = route_message(text, size);
    if (r.kind != ROUTE_JSON) {
        assert(r.text >= text && r.text + r.length <= text + size);
        assert(!r.session_id || r.session_id + r.session_id_length < r.text);
    }
    cJSON *tree = NULL;
    char *again = NULL;
    size_t length;
    if (json_parse(text, size, &tree, NULL) == 0) {
        decode(tree);
        int rc = json_print(tree, &again, &length, NULL);
        cJSON *second = NULL;
        assert(rc || json_parse(again, length, &second, NULL) == 0);
        cJSON_Delete(second);
    }
    free(again);
    cJSON_Delete(tree);
    free(text);
    return 0;
}
