/* A planted defect: the deadline of a call frees its buffers, without a thought for who reads them;
 * all other ends wait as they should. */
#include "engine/call.h"
#include "tests/wb_sim/planted/take_back.h"

void __real_wbi_call_end(struct wb_call *call, int status, const char *text);
void __wrap_wbi_call_end(struct wb_call *call, int status, const char *text);

void __wrap_wbi_call_end(struct wb_call *call, int status, const char *text)
{
    struct wbi_lease_set *set = call->set;
    if (status == WB_ERR_TIMED_OUT && set != NULL && set->sent) {
        set->call = NULL;
        call->set = NULL;
        if (!planted_take_back(set)) {
            set->call = call;
            call->set = set;
        }
    }
    __real_wbi_call_end(call, status, text);
}
