/* One type of each sort, and a struct that has them all. */
#ifndef WAYBILL_TESTS_SERIAL_TYPES_H
#define WAYBILL_TESTS_SERIAL_TYPES_H

#include <waybill/custom.h>

/* clang-format off */
#define POINT(F) F(VALUE, f64, x) F(VALUE, f64, y)
WB_STRUCT(point, POINT)
WB_ARRAY_OF(point, path)
WB_ARRAY_OF(path, paths)
WB_ARRAY_OF(wb_str, names)
WB_ARRAY_OF(wb_f64, doubles)
WB_ARRAY_OF(wb_u16, shorts)
WB_OPTION_OF(point, maybe_point)
#define COLOR(E) E(RED, 1) E(GREEN, 2) E(NONE, -7)
WB_ENUM(color, COLOR)
#define SHAPE(C) C(SHAPE_DOT, point, dot) C(SHAPE_PATH, path, path) C(SHAPE_WORDS, wb_str, words)
WB_UNION(shape, SHAPE)
WB_ARRAY_OF(shape, shapes)
WB_MAP_OF(wb_str, wb_i64, settings)
#define CELL(F) F(VALUE, u32, id) F(VALUE, u16, row) F(FIXED, wb_u8, rgb, 2)
WB_BITWISE_STRUCT(cell, CELL)
WB_ARRAY_OF(cell, cells)
typedef struct raw_pair { uint64_t a, b; } raw_pair;
WB_BITWISE(raw_pair)
/* clang-format on */

typedef struct tree {
    wb_i32 weight;
    wb_i32 extra; /* since version 2 */
    struct tree *children;
    size_t count;
} tree;
static void tree_pass(struct wb_pass *p, tree *v);
WB_CUSTOM(tree, tree_pass, 2)

/* The older program's. */
typedef struct tree old_tree;
static void old_tree_pass(struct wb_pass *p, old_tree *v);
WB_CUSTOM(old_tree, old_tree_pass, 1)

static void tree_pass(struct wb_pass *p, tree *v)
{
    WB_PASS(p, wb_i32, &v->weight);
    if (p->version >= 2) {
        WB_PASS(p, wb_i32, &v->extra);
    }
    WB_PASS_ITEMS(p, tree, &v->children, &v->count);
}

static void old_tree_pass(struct wb_pass *p, old_tree *v)
{
    WB_PASS(p, wb_i32, &v->weight);
    WB_PASS_ITEMS(p, old_tree, &v->children, &v->count);
}

/* clang-format off */
#define EVERYTHING(F)                                                                              \
    F(TYPE, wb_bool, flag) F(TYPE, point, where) F(VALUE, u8, odd) F(TYPE, doubles, numbers)       \
    F(STRING, wb_str, label) F(TYPE, path, way) F(TYPE, paths, ways) F(TYPE, names, words)         \
    F(FIXED, wb_i32, three, 3) F(TYPE, shorts, small) F(TYPE, maybe_point, maybe)                  \
    F(TYPE, color, paint) F(TYPE, shapes, figures) F(TYPE, settings, options)                      \
    F(TYPE, cell, one) F(TYPE, cells, many) F(TYPE, raw_pair, raw) F(TYPE, tree, root)             \
    F(FIXED, point, corners, 2) F(BYTES, wb_bytes, rest)
WB_STRUCT(everything, EVERYTHING)
/* clang-format on */

#endif
