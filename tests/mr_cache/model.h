/* What a model knows of a program's registered memory: which blocks it holds, by how many handles
 * each, and every byte of them. Tests that act at random compare it with what is there, and with
 * the pools' own books. What is not as the model says fails the test. One thread. */
#ifndef WAYBILL_TESTS_MR_CACHE_MODEL_H
#define WAYBILL_TESTS_MR_CACHE_MODEL_H

#include <waybill/buffer.h>

#include "tests/mr_cache/rma.h"

enum { MODEL_PLACES = 96, MODEL_POOLS = 128, MODEL_MOST_BYTES = 3 << 20 };

struct model_pool {
    struct wb_rma_allocator *handle; /* NULL: destroyed, though it may have blocks */
    uint64_t budget_bytes;
    bool has_checks;             /* its blocks have the bytes that were asked for, */
    uint64_t used_bytes, blocks; /* and in whole blocks they are more than this */
};

/* A block, or a buffer's counted memory. */
struct model_body {
    const void *anchor;      /* the block, or the owner; NULL: this entry is free */
    struct model_pool *pool; /* NULL: counted memory */
    uint64_t bytes;
    unsigned handles;
    bool tells; /* the program is told of its end */
};

enum model_kind { MODEL_NOTHING, MODEL_HEAP, MODEL_VECTOR, MODEL_OBJECT, MODEL_BUFFER };

/* Where the program keeps one handle. */
struct model_place {
    enum model_kind kind;
    void *memory;         /* MODEL_HEAP */
    wb_rma_vector vector; /* MODEL_VECTOR, MODEL_OBJECT */
    wb_buffer buffer;     /* MODEL_BUFFER */
    struct model_body *body;
    size_t bytes;            /* that are known: */
    unsigned char *expected; /* owned */
};

struct model {
    uint64_t random; /* state of the generator */
    uint64_t limit_bytes;
    struct model_pool pools[MODEL_POOLS]; /* all that there were */
    unsigned pool_count;
    struct model_body bodies[MODEL_PLACES];
    struct model_place places[MODEL_PLACES];
    unsigned ends, told; /* of memory whose end the program is told of: due, and told */
    unsigned served, refused;
};

/* A number below `bound`. */
uint64_t model_draw(struct model *model, uint64_t bound);

/* A place with nothing in it, or NULL. */
struct model_place *model_empty_place(struct model *model);

/* The place's kind and handle are set, on a block (of `pool`) or counted memory (pool NULL) that
 * nobody else has. Its `bytes` bytes are filled. */
void model_enter(struct model *model, struct model_place *place, struct model_pool *pool,
                 size_t bytes);

/* The place's kind and handle are set, on the `bytes` bytes from `first` on of what `of` has. */
void model_enter_part(struct model_place *place, const struct model_place *of, size_t first,
                      size_t bytes);

/* A vector was changed: it may have moved to a block that nobody else has, of the same pool. What
 * is expected has room for `bytes` bytes afterwards. */
void model_follow(struct model *model, struct model_place *place, size_t bytes);

/* The handle was dropped. */
void model_leave(struct model *model, struct model_place *place);

/* Fills the place's memory anew, if nobody else has it. */
void model_write(struct model *model, struct model_place *place);

/* Its memory has what it should have, and it knows whether it is alone. */
void model_check_place(const struct model_place *place);

/* The pools' books and figures are what the model says, and within the budgets. */
void model_check_books(struct model *model);

#endif
