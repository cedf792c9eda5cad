/* The types whose archives are fuzzed: those of tests/serial, and what owns memory. */
#ifndef WAYBILL_TESTS_FUZZ_TYPES_H
#define WAYBILL_TESTS_FUZZ_TYPES_H

#include <waybill/waybill.h>

#include "tests/serial/types.h"

struct fuzz_lump {
    uint64_t cells[5];
};
WB_RMA_OBJECT_OF(struct fuzz_lump, lump)

/* clang-format off */
WB_ARRAY_OF(wb_bool, truths)
WB_ARRAY_OF(color, colors)
WB_ARRAY_OF(wb_rma_vector, vectors)
WB_ARRAY_OF(wb_buffer, buffers)
WB_OPTION_OF(wb_rma_vector, maybe_vector)
#define LOAD(C)                                                                                    \
    C(LOAD_VECTOR, wb_rma_vector, vector) C(LOAD_BUFFER, wb_buffer, buffer)                        \
    C(LOAD_BYTES, wb_bytes, bytes) C(LOAD_ALL, vectors, all) C(LOAD_MAYBE, maybe_vector, maybe)
WB_UNION(load, LOAD)
WB_ARRAY_OF(load, loads)
WB_MAP_OF(wb_str, wb_buffer, attachments)
/* clang-format on */

typedef struct box {
    wb_rma_vector content;
    wb_buffer wrap;
    struct box *inner;
    size_t count;
} box;
static void box_pass(struct wb_pass *p, box *v);
WB_CUSTOM(box, box_pass, 1)
static void box_pass(struct wb_pass *p, box *v)
{
    WB_PASS(p, wb_rma_vector, &v->content);
    WB_PASS(p, wb_buffer, &v->wrap);
    WB_PASS_ITEMS(p, box, &v->inner, &v->count);
}

/* clang-format off */
#define NUMBERS(F)                                                                                 \
    F(VALUE, i8, a) F(VALUE, u8, b) F(VALUE, i16, c) F(VALUE, u16, d) F(VALUE, i32, e)             \
    F(VALUE, u32, f) F(VALUE, i64, g) F(VALUE, u64, h) F(VALUE, f32, i) F(VALUE, f64, j)           \
    F(FIXED, wb_bool, k, 3) F(TYPE, truths, l) F(TYPE, colors, m)
WB_STRUCT(numbers, NUMBERS)
#define WORDS(F) F(STRING, wb_str, text) F(BYTES, wb_bytes, bytes) F(TYPE, names, more)
WB_STRUCT(words, WORDS)
#define FOREST(F) F(TYPE, tree, first) F(TYPE, tree, second) F(TYPE, old_tree, old)
WB_STRUCT(forest, FOREST)
#define BOXES(F) F(TYPE, box, first) F(TYPE, vectors, others)
WB_STRUCT(boxes, BOXES)
#define HANDLES(F)                                                                                 \
    F(RMA, wb_rma_vector, vector) F(OBJECT, lump, object) F(BUFFER, wb_buffer, buffer)             \
    F(TYPE, buffers, several) F(TYPE, maybe_vector, maybe) F(TYPE, loads, mixed)                   \
    F(TYPE, attachments, named) F(FIXED, wb_buffer, two, 2)
WB_STRUCT(handles, HANDLES)

/* An action that has grown, and what it was before: their archives are each other's. */
#define BEFORE(F) F(VALUE, u32, number) F(STRING, wb_str, label) F(RMA, wb_rma_vector, data)
#define GROWN(F)                                                                                   \
    BEFORE(F) F(ADDED, wb_u64, limit, 100) F(ADDED, wb_str, note, (wb_str){0})                     \
    F(ADDED, handles, extra, (handles){0})
WB_ACTION(before, BEFORE, EVERYTHING)
WB_ACTION(grown, GROWN, HANDLES)
/* clang-format on */

#endif
