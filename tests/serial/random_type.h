/*
 * Random types and random values of them. tests/serial/random/generate.c writes the types, and
 * beside each type T test_fill_T and test_same_T, of functions here and of such.
 */
#ifndef WAYBILL_TESTS_SERIAL_RANDOM_TYPE_H
#define WAYBILL_TESTS_SERIAL_RANDOM_TYPE_H

#include <waybill/action.h>

#include "tests/serial/arena.h"

/* What random values are made of. */
struct test_source {
    uint64_t state;
    struct test_arena *arena;      /* of what values borrow */
    struct wb_rma_allocator *pool; /* of what they own */
    size_t left;                   /* a bound on what is drawn from now on, in small values */
    size_t counted;                /* buffers' owners that are alive */
};

/* A random type: the generated functions of the struct that it is, or of one that has it alone. */
struct test_type {
    const char *name; /* NULL behind the last */
    size_t bytes;
    bool ends_early;  /* an archive without its last fields is one, too */
    bool passes_over; /* there may be more in the archive, of a later program */
    void (*size)(struct wb_sizer *s, const void *v);
    void (*put)(struct wb_writer *w, const void *v);
    int (*get)(struct wb_reader *r, void *v);
    void (*drop)(void *v);
    void (*fill)(struct test_source *s, void *v); /* *v is undefined before, and is dropped after */
    bool (*same)(const void *a, const void *b);   /* by meaning; floats by their bits */
};

/* Two generations of a struct of arguments, the later one with fields added. */
struct test_generations {
    const struct test_type *older, *newer;                /* NULL behind the last */
    bool (*common)(const void *older, const void *newer); /* whether the fields of both are alike */
    bool (*defaults)(const void *newer);                  /* whether the others are not there */
};

#define TEST_TYPE(T, early, over)                                                                  \
    static void T##_size_any(struct wb_sizer *s, const void *v)                                    \
    {                                                                                              \
        T##_size(s, v);                                                                            \
    }                                                                                              \
    static void T##_put_any(struct wb_writer *w, const void *v)                                    \
    {                                                                                              \
        T##_put(w, v);                                                                             \
    }                                                                                              \
    static int T##_get_any(struct wb_reader *r, void *v)                                           \
    {                                                                                              \
        return T##_get(r, v);                                                                      \
    }                                                                                              \
    static void T##_drop_any(void *v)                                                              \
    {                                                                                              \
        T##_drop(v);                                                                               \
    }                                                                                              \
    static void T##_fill_any(struct test_source *s, void *v)                                       \
    {                                                                                              \
        test_fill_##T(s, v);                                                                       \
    }                                                                                              \
    static bool T##_same_any(const void *a, const void *b)                                         \
    {                                                                                              \
        return test_same_##T(a, b);                                                                \
    }                                                                                              \
    static const struct test_type T##_entry = {.name = #T,                                         \
                                               .bytes = sizeof(T),                                 \
                                               .ends_early = (early),                              \
                                               .passes_over = (over),                              \
                                               .size = T##_size_any,                               \
                                               .put = T##_put_any,                                 \
                                               .get = T##_get_any,                                 \
                                               .drop = T##_drop_any,                               \
                                               .fill = T##_fill_any,                               \
                                               .same = T##_same_any};

/* A count of elements, each as much as `weight` small values, which are taken from s->left. */
size_t test_draw_count(struct test_source *s, size_t weight);

/* A length of bytes: mostly short, or about where a length takes more bytes or rma data is
 * aligned. */
size_t test_draw_length(struct test_source *s);

/* The arena's memory for `count` elements; of none, it may be NULL. */
void *test_draw_items(struct test_source *s, size_t count, size_t elem_bytes);

void test_fill_raw(struct test_source *s, void *data, size_t bytes);
void test_fill_wb_bool(struct test_source *s, wb_bool *v);
void test_fill_wb_str(struct test_source *s, wb_str *v);
void test_fill_wb_bytes(struct test_source *s, wb_bytes *v);
void test_fill_wb_rma_vector(struct test_source *s, wb_rma_vector *v);
void test_fill_wb_buffer(struct test_source *s, wb_buffer *v);

/* The empty handle, or one element of `bytes` bytes. */
void test_fill_object(struct test_source *s, wb_rma_vector *v, size_t bytes);

/* Whether two ranges are alike; those of 0 bytes are, wherever they are. */
bool test_same_raw(const void *a, size_t a_bytes, const void *b, size_t b_bytes);
bool test_same_wb_rma_vector(const wb_rma_vector *a, const wb_rma_vector *b);

static inline bool test_same_wb_bool(const wb_bool *a, const wb_bool *b)
{
    return *a == *b;
}

static inline bool test_same_wb_str(const wb_str *a, const wb_str *b)
{
    return test_same_raw(a->data, a->len, b->data, b->len);
}

static inline bool test_same_wb_bytes(const wb_bytes *a, const wb_bytes *b)
{
    return test_same_raw(a->data, a->len, b->data, b->len);
}

static inline bool test_same_wb_buffer(const wb_buffer *a, const wb_buffer *b)
{
    return test_same_raw(a->data, a->len, b->data, b->len);
}

#define TEST_RAW_VALUES(T)                                                                         \
    WBI_GENERATED void test_fill_##T(struct test_source *s, T *v)                                  \
    {                                                                                              \
        test_fill_raw(s, v, sizeof *v);                                                            \
    }                                                                                              \
    WBI_GENERATED bool test_same_##T(const T *a, const T *b)                                       \
    {                                                                                              \
        return test_same_raw(a, sizeof *a, b, sizeof *b);                                          \
    }

TEST_RAW_VALUES(wb_i8)
TEST_RAW_VALUES(wb_i16)
TEST_RAW_VALUES(wb_i32)
TEST_RAW_VALUES(wb_i64)
TEST_RAW_VALUES(wb_u8)
TEST_RAW_VALUES(wb_u16)
TEST_RAW_VALUES(wb_u32)
TEST_RAW_VALUES(wb_u64)
TEST_RAW_VALUES(wb_f32)
TEST_RAW_VALUES(wb_f64)

/* Beside WB_ARRAY_OF(T, NAME), whose elements weigh that much. */
#define TEST_ARRAY_VALUES(T, NAME, weight)                                                         \
    WBI_GENERATED void test_fill_##NAME(struct test_source *s, NAME *v)                            \
    {                                                                                              \
        size_t len = test_draw_count(s, (weight));                                                 \
        T *items = test_draw_items(s, len, sizeof *items);                                         \
        for (size_t i = 0; i < len; i++) {                                                         \
            test_fill_##T(s, &items[i]);                                                           \
        }                                                                                          \
        *v = (NAME){.data = items, .len = len};                                                    \
    }                                                                                              \
    WBI_GENERATED bool test_same_##NAME(const NAME *a, const NAME *b)                              \
    {                                                                                              \
        bool same = a->len == b->len && (uintptr_t)b->data % _Alignof(T) == 0;                     \
        for (size_t i = 0; same && i < a->len; i++) {                                              \
            same = test_same_##T(&a->data[i], &b->data[i]);                                        \
        }                                                                                          \
        return same;                                                                               \
    }

/* Beside WB_OPTION_OF(T, NAME). Where nothing is there is rubbish, which nobody may look at. */
#define TEST_OPTION_VALUES(T, NAME)                                                                \
    WBI_GENERATED void test_fill_##NAME(struct test_source *s, NAME *v)                            \
    {                                                                                              \
        memset(v, 0xa5, sizeof *v);                                                                \
        v->has = test_random_below(&s->state, 4) != 0;                                             \
        if (v->has) {                                                                              \
            test_fill_##T(s, &v->value);                                                           \
        }                                                                                          \
    }                                                                                              \
    WBI_GENERATED bool test_same_##NAME(const NAME *a, const NAME *b)                              \
    {                                                                                              \
        return a->has == b->has && (!a->has || test_same_##T(&a->value, &b->value));               \
    }

/* Beside WB_MAP_OF(K, V, NAME). */
#define TEST_MAP_VALUES(K, V, NAME, weight)                                                        \
    WBI_GENERATED void test_fill_##NAME##_pair(struct test_source *s, NAME##_pair *v)              \
    {                                                                                              \
        test_fill_##K(s, &v->key);                                                                 \
        test_fill_##V(s, &v->value);                                                               \
    }                                                                                              \
    WBI_GENERATED bool test_same_##NAME##_pair(const NAME##_pair *a, const NAME##_pair *b)         \
    {                                                                                              \
        return test_same_##K(&a->key, &b->key) && test_same_##V(&a->value, &b->value);             \
    }                                                                                              \
    TEST_ARRAY_VALUES(NAME##_pair, NAME, weight)

/* Beside WB_ENUM(NAME, VALUES). */
#define TEST_ENUM_NAME(name, value) name,
#define TEST_ENUM_VALUES(NAME, VALUES)                                                             \
    WBI_GENERATED void test_fill_##NAME(struct test_source *s, NAME *v)                            \
    {                                                                                              \
        static const NAME values[] = {VALUES(TEST_ENUM_NAME)};                                     \
        *v = values[test_random_below(&s->state, sizeof values / sizeof *values)];                 \
    }                                                                                              \
    WBI_GENERATED bool test_same_##NAME(const NAME *a, const NAME *b)                              \
    {                                                                                              \
        return *a == *b;                                                                           \
    }

/* Beside WB_RMA_OBJECT_OF(type, NAME). */
#define TEST_OBJECT_VALUES(NAME)                                                                   \
    WBI_GENERATED void test_fill_##NAME(struct test_source *s, NAME *v)                            \
    {                                                                                              \
        test_fill_object(s, &v->vector, NAME##_bytes);                                             \
    }                                                                                              \
    WBI_GENERATED bool test_same_##NAME(const NAME *a, const NAME *b)                              \
    {                                                                                              \
        return test_same_wb_rma_vector(&a->vector, &b->vector);                                    \
    }

/* Declares the custom type T: a PART, and an array of ELEM, each of which weighs that much. */
#define TEST_CUSTOM(T, PART, ELEM, weight)                                                         \
    typedef struct T {                                                                             \
        PART part;                                                                                 \
        ELEM *items;                                                                               \
        size_t count;                                                                              \
    } T;                                                                                           \
    static void T##_pass(struct wb_pass *p, T *v);                                                 \
    WB_CUSTOM(T, T##_pass, 1)                                                                      \
    static void T##_pass(struct wb_pass *p, T *v)                                                  \
    {                                                                                              \
        WB_PASS(p, PART, &v->part);                                                                \
        WB_PASS_ITEMS(p, ELEM, &v->items, &v->count);                                              \
    }                                                                                              \
    WBI_GENERATED void test_fill_##T(struct test_source *s, T *v)                                  \
    {                                                                                              \
        v->count = test_draw_count(s, (weight));                                                   \
        v->items = test_draw_items(s, v->count, sizeof *v->items);                                 \
        for (size_t i = 0; i < v->count; i++) {                                                    \
            test_fill_##ELEM(s, &v->items[i]);                                                     \
        }                                                                                          \
        test_fill_##PART(s, &v->part);                                                             \
    }                                                                                              \
    WBI_GENERATED bool test_same_##T(const T *a, const T *b)                                       \
    {                                                                                              \
        bool same = a->count == b->count && test_same_##PART(&a->part, &b->part);                  \
        for (size_t i = 0; same && i < a->count; i++) {                                            \
            same = test_same_##ELEM(&a->items[i], &b->items[i]);                                   \
        }                                                                                          \
        return same;                                                                               \
    }

#endif
