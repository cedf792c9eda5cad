/* Receives, of a shared queue or of a queue pair's own. */
#include <errno.h>
#include <string.h>

#include "tests/simverbs/model.h"

static int post(struct sim_receive_queue *queue, const struct ibv_recv_wr *wr)
{
    if (wr->num_sge < 0 || (uint32_t)wr->num_sge > queue->max_sge) {
        return EINVAL;
    }
    if (queue->count == queue->depth) {
        return ENOMEM;
    }
    struct sim_receive *receive = &queue->ring[(queue->first + queue->count++) % queue->depth];
    receive->wr_id = wr->wr_id;
    receive->sge_count = wr->num_sge;
    if (wr->num_sge > 0) {
        memcpy(receive->sges, wr->sg_list, (size_t)wr->num_sge * sizeof *wr->sg_list);
    }
    return 0;
}

int sim_receives_post(struct sim_receive_queue *queue, struct ibv_recv_wr *wr,
                      struct ibv_recv_wr **bad)
{
    static const int errors[] = {ENOMEM, 0};
    int error = sim_call_fails("post of receives", errors);
    for (; wr != NULL; wr = wr->next) {
        error = error == 0 ? post(queue, wr) : error;
        if (error != 0) {
            *bad = wr;
            return error;
        }
    }
    return 0;
}
