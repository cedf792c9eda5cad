/*
 * Types with a function of their own: one that serves all passes, after the serialize() of Boost
 * and HPX. It puts its parts through WB_PASS in the same order whatever the pass is:
 *
 *   typedef struct tree { wb_i32 weight; struct tree *children; size_t count; } tree;
 *   static void tree_pass(struct wb_pass *p, tree *v);
 *   WB_CUSTOM(tree, tree_pass, 1)
 *   static void tree_pass(struct wb_pass *p, tree *v)
 *   {
 *       WB_PASS(p, wb_i32, &v->weight);
 *       WB_PASS_ITEMS(p, tree, &v->children, &v->count);
 *   }
 *
 * Before its parts stands the version, a byte, that its sender has: on reading p->version is that
 * one, from 1 to the receiver's own, so that the function knows which parts are there. A value
 * nests at most WB_DEPTH_LIMIT deep, or as config.max_depth says. The function does nothing with
 * the engine or its calls: a message stands half written, and its lane is kept meanwhile.
 */
#ifndef WAYBILL_CUSTOM_H
#define WAYBILL_CUSTOM_H

#include <waybill/container.h>

enum { WB_DEPTH_LIMIT = 64 };

enum wb_pass_mode { WB_PASS_SIZE, WB_PASS_PUT, WB_PASS_GET, WB_PASS_DROP };

/* What a type's function works on. mode tells which pass it is; version which parts there are. */
struct wb_pass {
    enum wb_pass_mode mode;
    unsigned version;
    struct wb_sizer *sizer;   /* of SIZE */
    struct wb_writer *writer; /* of PUT */
    struct wb_reader *reader; /* of GET */
};

/*
 * Where a printer watches the reader: prints the value that comes next, of that type, named by the
 * C expression `name` (or element `index` of that, if it is not SIZE_MAX), leaves the reader before
 * it, and returns the printer, which the reader is without until the value has been read in
 * earnest.
 */
WB_API struct wb_printer *wb_pass_show(struct wb_reader *r, const struct wb_type *type,
                                       const char *name, size_t index);
static inline struct wb_printer *wbi_pass_show(struct wb_reader *r, const struct wb_type *type,
                                               const char *name, size_t index)
{
    return r->printer == NULL ? NULL : wb_pass_show(r, type, name, index);
}

/* Puts *value, of type T, through the pass. After a failure values are read as zero. */
#define WB_PASS(p, T, value) WBI_PASS_NAMED(p, T, value, #value, SIZE_MAX)
#define WBI_PASS_NAMED(p, T, value, name, index)                                                   \
    do {                                                                                           \
        struct wb_out out_;                                                                        \
        struct wb_in in_;                                                                          \
        if ((p)->mode == WB_PASS_SIZE) {                                                           \
            (p)->sizer->bytes = T##_wire_size((p)->sizer, (p)->sizer->bytes, (value));             \
        } else if ((p)->mode == WB_PASS_DROP) {                                                    \
            T##_drop(value);                                                                       \
        } else if ((p)->mode == WB_PASS_PUT) {                                                     \
            if (wbi_writer_open((p)->writer, T##_wire_min, &out_)) {                               \
                wbi_writer_close((p)->writer, T##_wire_put((p)->writer, out_, (value)));           \
            }                                                                                      \
        } else {                                                                                   \
            struct wb_printer *printer_ = wbi_pass_show((p)->reader, &T##_type, (name), (index));  \
            if (wbi_reader_open((p)->reader, T##_wire_min, &in_)) {                                \
                wbi_reader_close((p)->reader, T##_wire_get((p)->reader, in_, (value)));            \
            } else {                                                                               \
                memset((value), 0, sizeof *(value));                                               \
            }                                                                                      \
            (p)->reader->printer = printer_;                                                       \
        }                                                                                          \
    } while (0)

/* Puts an array of *count elements of type T at *items through the pass; reading, it is the
 * arena's. */
#define WB_PASS_ITEMS(p, T, items, count)                                                          \
    do {                                                                                           \
        void *items_ = *(items);                                                                   \
        wb_pass_count((p), &items_, (count), sizeof **(items));                                    \
        if ((p)->mode == WB_PASS_GET) {                                                            \
            *(items) = items_;                                                                     \
        }                                                                                          \
        for (size_t i_ = 0; i_ < *(count); i_++) {                                                 \
            WBI_PASS_NAMED(p, T, &(*(items))[i_], #items, i_);                                     \
        }                                                                                          \
    } while (0)

/* The count of an array whose elements take a byte each or more, and (reading) memory for them. */
WB_API void wb_pass_count(struct wb_pass *p, void **items, size_t *count, size_t elem_bytes);

/* Around a value of a custom type: begin answers false where the value is not to be passed. */
WB_API bool wb_custom_put_begin(struct wb_writer *w, struct wb_out o, unsigned version);
WB_API bool wb_custom_get_begin(struct wb_reader *r, struct wb_in in, unsigned version,
                                unsigned *found);

/* Makes the complete type T travel by `function`(pass, value); version is 1 to 255. */
#define WB_CUSTOM(T, function, type_version)                                                       \
    _Static_assert((type_version) >= 1 && (type_version) <= 255, "a version is a byte");           \
    enum { T##_wire_min = 1, T##_wire_raw = 0, T##_fixed = 0, T##_views = 1, T##_owns = 1 };       \
    WBI_GENERATED struct wb_in T##_walk(struct wb_reader *r, struct wb_in in);                     \
    WBI_UNUSED static const struct wb_type T##_type = {.kind = WB_TYPE_CUSTOM,                     \
                                                       .name = #T,                                 \
                                                       .bytes = sizeof(T),                         \
                                                       .version = (type_version),                  \
                                                       .wire_min = 1,                              \
                                                       .walk = T##_walk};                          \
    WBI_GENERATED size_t T##_wire_size(struct wb_sizer *s, size_t at, const T *v)                  \
    {                                                                                              \
        struct wb_pass pass = {.mode = WB_PASS_SIZE, .version = (type_version), .sizer = s};       \
        s->bytes = wbi_sum(at, 1);                                                                 \
        function(&pass, (T *)(uintptr_t)v);                                                        \
        return s->bytes;                                                                           \
    }                                                                                              \
    WBI_GENERATED struct wb_out T##_wire_put(struct wb_writer *w, struct wb_out o, const T *v)     \
    {                                                                                              \
        struct wb_pass pass = {.mode = WB_PASS_PUT, .version = (type_version), .writer = w};       \
        if (!wb_custom_put_begin(w, o, (type_version))) {                                          \
            return o;                                                                              \
        }                                                                                          \
        function(&pass, (T *)(uintptr_t)v);                                                        \
        return (struct wb_out){.at = w->at, .spare = w->spare};                                    \
    }                                                                                              \
    WBI_GENERATED struct wb_in T##_wire_get(struct wb_reader *r, struct wb_in in, T *v)            \
    {                                                                                              \
        struct wb_pass pass = {.mode = WB_PASS_GET, .reader = r};                                  \
        memset(v, 0, sizeof *v);                                                                   \
        if (!wb_custom_get_begin(r, in, (type_version), &pass.version)) {                          \
            in.spare = 0;                                                                          \
            return in;                                                                             \
        }                                                                                          \
        function(&pass, v);                                                                        \
        r->depth--;                                                                                \
        return (struct wb_in){.at = r->at, .spare = r->spare};                                     \
    }                                                                                              \
    WBI_GENERATED void T##_drop(T *v)                                                              \
    {                                                                                              \
        struct wb_pass pass = {.mode = WB_PASS_DROP, .version = (type_version)};                   \
        function(&pass, v);                                                                        \
        memset(v, 0, sizeof *v);                                                                   \
    }                                                                                              \
    WBI_GENERATED struct wb_in T##_walk(struct wb_reader *r, struct wb_in in)                      \
    {                                                                                              \
        T value;                                                                                   \
        in = T##_wire_get(r, in, &value);                                                          \
        T##_drop(&value);                                                                          \
        return in;                                                                                 \
    }

#endif
