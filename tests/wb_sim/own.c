#include "tests/wb_sim/own.h"

#include <string.h>

#include "tests/wb_sim/play.h"

enum { SPARE = 64 }; /* a READ that has to be aligned takes more than the vector */

void own_open(struct node *node, struct open_call *open, struct entry *entry)
{
    if (entry->own && wb_rma_vector_create(wb_engine_allocator(node->engine), 1,
                                           entry_vector_back(entry) + SPARE, &open->own) != WB_OK) {
        entry->own = false;
    }
    open->own_data = open->own.data;
}

void own_begun(struct open_call *open)
{
    if (open->number % 2 == 0) {
        wb_rma_vector_drop(&open->own);
    }
}

void own_check(const struct play *play, const struct open_call *open, const wb_rma_vector *got)
{
    if (open->own_data != NULL && got->block != NULL && got->data != open->own_data) {
        play_fail(play, "the vector of call %llu came back elsewhere",
                  (unsigned long long)open->number);
    }
}

void own_close(const struct play *play, struct open_call *open)
{
    if (!wb_rma_vector_is_exclusive(&open->own)) {
        play_fail(play, "call %llu has ended, and its vector may still be written to",
                  (unsigned long long)open->number);
    }
    if (open->own.block != NULL) {
        memset(open->own.data, 0xee, open->own.count);
    }
    wb_rma_vector_drop(&open->own);
}
