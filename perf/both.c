#include "perf/both.h"

#include "perf/mirror.h"
#include "perf/ticks.h"

enum { WAIT_US = 10000 };

/* Serves until `served` calls in all have been taken. */
static int await_served(struct caller *caller, const struct service *service, uint64_t served,
                        const char **words)
{
    uint64_t start = 0;
    while (service->served < served) {
        if (service->mismatches > 0) {
            *words = "a payload that came from the server is wrong";
            return WB_ERR_REMOTE;
        }
        if (wb_peer_state(caller->peers[0]) == WB_PEER_LOST) {
            *words = wb_peer_reason(caller->peers[0]);
            return WB_ERR_PEER_LOST;
        }
        if (wb_wait(caller->engine, WAIT_US) == 0) {
            uint64_t now = clock_ns();
            start = start == 0 ? now : start;
            if ((now - start) / 1000 > caller->wanted.patience_us) {
                *words = "the server's own calls did not come";
                return WB_ERR_TIMED_OUT;
            }
        }
    }
    return WB_OK;
}

int both_burst(struct caller *caller, struct service *service, uint32_t calls,
               struct figures *figures, const char **words)
{
    int status = mirror_prepare(caller, calls);
    if (status != WB_OK) {
        *words = caller_words(caller, status);
        return status;
    }
    caller_write(caller, calls);
    caller->rtt = &figures->rtt;
    uint64_t served = service->served + calls;
    uint64_t checked = service->check_ticks;
    uint64_t start = ticks_now();
    status = mirror_go(caller);
    if (status == WB_OK) {
        status = caller_burst(caller, calls);
    }
    if (status != WB_OK) {
        *words = caller_words(caller, status);
        return status;
    }
    status = await_served(caller, service, served, words);
    uint64_t took = ticks_now() - start;
    uint64_t ours = service->check_ticks - checked;
    uint64_t checking = ours < caller->check_ticks ? ours : caller->check_ticks;
    figures_add_burst(figures, 2 * (uint64_t)calls, 2 * (uint64_t)calls * caller->wanted.size,
                      took > checking ? took - checking : 0);
    return status;
}
