#include "tests/fuzz/kinds.h"

#include "tests/fuzz/types.h"

/* The functions of T, whose C type is C, for a value that is known by its address alone. */
#define FAMILY(C, T)                                                                               \
    _Static_assert(sizeof(C) <= FUZZ_VALUE_MAX, "a value does not fit");                           \
    static int get_##T(struct wb_reader *reader, void *value)                                      \
    {                                                                                              \
        return T##_get(reader, (C *)value);                                                        \
    }                                                                                              \
    static void size_##T(struct wb_sizer *sizer, const void *value)                                \
    {                                                                                              \
        T##_size(sizer, (const C *)value);                                                         \
    }                                                                                              \
    static void put_##T(struct wb_writer *writer, const void *value)                               \
    {                                                                                              \
        T##_put(writer, (const C *)value);                                                         \
    }                                                                                              \
    static void drop_##T(void *value)                                                              \
    {                                                                                              \
        T##_drop((C *)value);                                                                      \
    }

FAMILY(numbers, numbers)
FAMILY(words, words)
FAMILY(everything, everything)
FAMILY(handles, handles)
FAMILY(forest, forest)
FAMILY(boxes, boxes)
FAMILY(struct before_in, before_in)
FAMILY(struct grown_in, grown_in)

#define KIND(C, T, is_exact)                                                                       \
    {                                                                                              \
        .name = #T, .fields = T##_fields, .bytes = sizeof(C), .exact = (is_exact), .get = get_##T, \
        .size = size_##T, .put = put_##T, .drop = drop_##T                                         \
    }

static const struct fuzz_kind kinds[] = {
    KIND(numbers, numbers, true),
    KIND(words, words, true),
    KIND(everything, everything, false), /* it has a tree */
    KIND(handles, handles, true),
    KIND(forest, forest, false),
    KIND(boxes, boxes, true),
    KIND(struct before_in, before_in, false),
    KIND(struct grown_in, grown_in, false),
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

const struct fuzz_kind *fuzz_kind_at(unsigned number)
{
    return &kinds[number % KINDS];
}

unsigned fuzz_kind_count(void)
{
    return KINDS;
}

static const struct fuzz_custom customs[] = {
    {.name = "tree", .version = 2, .own = {&wb_i32_type, &wb_i32_type}},
    {.name = "old_tree", .version = 1, .own = {&wb_i32_type}},
    {.name = "box", .version = 1, .own = {&wb_rma_vector_type, &wb_buffer_type}},
};

const struct fuzz_custom *fuzz_custom_named(const char *name)
{
    for (size_t i = 0; i < sizeof customs / sizeof customs[0]; i++) {
        if (strcmp(customs[i].name, name) == 0) {
            return &customs[i];
        }
    }
    return NULL;
}
