/*
 * Valid archives of any kind, drawn by chance from its description, and where in them what stands:
 * so that what disturbs one can aim.
 */
#ifndef WAYBILL_TESTS_FUZZ_SHAPE_H
#define WAYBILL_TESTS_FUZZ_SHAPE_H

#include <stdint.h>

#include "tests/fuzz/input.h"
#include "tests/fuzz/kinds.h"

enum { FUZZ_MARKS = 256 };

struct fuzz_shape {
    struct fuzz_input input;
    uint64_t chance; /* the state of the generator: any number */
    bool chunks;     /* whether there may be landings */
    unsigned depth;  /* while it is drawn */
    unsigned chain;  /* how deep custom values are to nest at least; 0: as it comes */
    unsigned mark_count;
    uint16_t marks[FUZZ_MARKS]; /* positions of lengths, counts, tags, versions and heads */
};

/* Draws an archive of that kind into shape->input; chance and chunks are set. */
void fuzz_shape_draw(struct fuzz_shape *shape, unsigned kind);

/* The same for a list of fields; the input's kind is left as it is. */
void fuzz_shape_draw_fields(struct fuzz_shape *shape, const struct wb_field *fields);

/* Makes it wrong in one place, or perhaps not. */
void fuzz_shape_disturb(struct fuzz_shape *shape);

/* A number below `below`; 0 where there is none. */
unsigned fuzz_below(uint64_t *chance, unsigned below);

#endif
