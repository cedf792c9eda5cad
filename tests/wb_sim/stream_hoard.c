#include "tests/wb_sim/stream_hoard.h"

#include <waybill/waybill.h>

#include "tests/simverbs/model.h"
#include "tests/wb_sim/play.h"
#include "tests/wb_sim/stream_sides.h"

enum { MOST_BLOCKS = 128, STEPS_A_HOARD = 300, STEPS_IT_STAYS = 60, LEAST_BYTES = 64 };
static const uint64_t most_bytes = 1 << 18;

struct hoard {
    wb_rma_vector blocks[MOST_BLOCKS];
    unsigned count;
};

struct hoard *hoards_new(const struct play *play)
{
    return sim_new(play->options->hosts * sizeof(struct hoard));
}

/* Blocks that halve in size whenever none of a size is left. */
static void take_all(struct node *node)
{
    struct hoard *hoard = &node->play->streams->hoards[node->number];
    uint64_t bytes = most_bytes;
    while (bytes >= LEAST_BYTES && hoard->count < MOST_BLOCKS) {
        wb_rma_vector *block = &hoard->blocks[hoard->count];
        if (wb_rma_vector_create(wb_engine_allocator(node->engine), 1, bytes, block) == WB_OK) {
            hoard->count++;
        } else {
            bytes /= 2;
        }
    }
    node->play->summary.hoards++;
}

void hoard_drop(struct node *node)
{
    struct hoard *hoard = &node->play->streams->hoards[node->number];
    while (hoard->count > 0) {
        wb_rma_vector_drop(&hoard->blocks[--hoard->count]);
    }
}

void hoards_step(struct play *play)
{
    struct node *node = &play->nodes[streams_below(play, play->host_count)];
    if (!play->tight || !node_runs(node)) {
        return;
    }
    sim_host_enter(node->host);
    bool has = play->streams->hoards[node->number].count > 0;
    if (!has && streams_below(play, STEPS_A_HOARD) == 0) {
        take_all(node);
    } else if (has && streams_below(play, STEPS_IT_STAYS) == 0) {
        hoard_drop(node);
    }
}
