/* A planted defect: a late reply is the reply of whoever has its call's place now. */
#include "engine/call.h"

struct wb_call *__wrap_wbi_call_find(struct wbi_calls *calls, uint64_t id);

struct wb_call *__wrap_wbi_call_find(struct wbi_calls *calls, uint64_t id)
{
    uint32_t index = (uint32_t)id;
    struct wb_call *call = index < calls->count ? &calls->table[index] : NULL;
    bool open = call != NULL && atomic_load(&call->state) == WBI_CALL_OPEN;
    return open ? call : NULL;
}
