/*
 * wb_generate_types <seed> <count>: prints a C file of that many random types, of all families in
 * turn, and of pairs of generations; with what fills and compares their values, and a table of each
 * that is named after the seed. tests/serial/random_type.h has the rest.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/serial/arena.h"

enum {
    MOST_TYPES = 1000,
    MOST_FIELDS = 12,
    MOST_DEPTH = 6,
    MOST_WEIGHT = 60, /* of a type: about so many small values */
    MOST_RAW = 64,    /* bytes of a bitwise type that others have */
    OBJECTS = 5,
    SCALARS = 10, /* that begin the list of types */
    BUILT_IN = SCALARS + 5
};

/* In the order in which types are made; of a struct twice as often as of another. */
enum family {
    STRUCT,
    ARRAY,
    OPTION,
    UNION,
    STRUCT_TOO,
    MAP,
    ENUM,
    BITWISE_STRUCT,
    BITWISE,
    CUSTOM
};
enum { FAMILIES = CUSTOM + 1 };
static const char *const family_names[FAMILIES] = {"struct", "array", "option", "union", "struct",
                                                   "map",    "enum",  "bits",   "raw",   "custom"};

struct type {
    char name[32];
    unsigned weight, depth;
    unsigned bytes, align; /* of raw types; others have 0 */
};

static struct type types[MOST_TYPES + BUILT_IN] = {
    {"wb_u8", 1, 0, 1, 1},    {"wb_i8", 1, 0, 1, 1},         {"wb_u16", 1, 0, 2, 2},
    {"wb_i16", 1, 0, 2, 2},   {"wb_u32", 1, 0, 4, 4},        {"wb_i32", 1, 0, 4, 4},
    {"wb_f32", 1, 0, 4, 4},   {"wb_u64", 1, 0, 8, 8},        {"wb_i64", 1, 0, 8, 8},
    {"wb_f64", 1, 0, 8, 8},   {"wb_bool", 1, 0, 0, 0},       {"wb_str", 1, 0, 0, 0},
    {"wb_bytes", 1, 0, 0, 0}, {"wb_rma_vector", 2, 0, 0, 0}, {"wb_buffer", 2, 0, 0, 0},
};
static unsigned type_count = BUILT_IN;
static unsigned wish = FAMILIES; /* the family that the next pick takes one of, if it can */
static struct type objects[OBJECTS];
static uint64_t state;

enum kind { VALUE, STRING, BYTES, RMA, OBJECT, BUFFER, TYPE, FIXED, ADDED };
static const char *const kind_names[] = {"VALUE",  "STRING", "BYTES", "RMA",  "OBJECT",
                                         "BUFFER", "TYPE",   "FIXED", "ADDED"};

struct field {
    const struct type *type;
    enum kind kind;
    unsigned count; /* FIXED */
};

static unsigned below(unsigned bound)
{
    return (unsigned)test_random_below(&state, bound);
}

/* Prints one line of a format whose every $ stands for `name` and every @ for `other`. */
static void print_line(const char *format, const char *name, const char *other)
{
    for (; *format != '\0'; format++) {
        if (*format == '$') {
            printf("%s", name);
        } else if (*format == '@') {
            printf("%s", other);
        } else {
            putchar(*format);
        }
    }
    putchar('\n');
}

/* The newest one that is of the family wished for; NULL: there is none. */
static const struct type *pick_wished(unsigned most_weight, unsigned most_depth)
{
    for (unsigned i = type_count; wish < FAMILIES && i-- > BUILT_IN;) {
        bool fits = types[i].weight <= most_weight && types[i].depth <= most_depth;
        if (fits && (i - BUILT_IN) % FAMILIES == wish) {
            wish = FAMILIES;
            return &types[i];
        }
    }
    return NULL;
}

/* A type of at most that weight and depth; a made one more often than a built-in one. */
static const struct type *pick(unsigned most_weight, unsigned most_depth)
{
    const struct type *wished = pick_wished(most_weight, most_depth);
    if (wished != NULL) {
        return wished;
    }
    for (unsigned tries = 0; tries < 20 && type_count > BUILT_IN; tries++) {
        unsigned made = type_count - BUILT_IN;
        unsigned recent = made > 12 && below(2) == 0 ? 12 : made;
        const struct type *type =
            below(3) == 0 ? &types[below(BUILT_IN)] : &types[type_count - 1 - below(recent)];
        if (type->weight <= most_weight && type->depth <= most_depth) {
            return type;
        }
    }
    return &types[below(BUILT_IN - 2)];
}

/* Takes its part of the struct's *weight, and remembers how deep it is. */
static struct field draw_field(unsigned *weight, unsigned *depth)
{
    static const unsigned char built_in[] = {
        [STRING] = 11, [BYTES] = 12, [RMA] = 13, [BUFFER] = 14};
    struct field field = {.kind = (enum kind)below(FIXED + 1), .count = 1};
    unsigned room = MOST_WEIGHT - *weight;
    if (room < 8) {
        field.kind = VALUE;
    }
    if (field.kind == VALUE) {
        field.type = &types[below(SCALARS)];
    } else if (field.kind == OBJECT) {
        field.type = &objects[below(OBJECTS)];
    } else if (field.kind == TYPE) {
        field.type = pick(room, MOST_DEPTH - 1);
    } else if (field.kind == FIXED) {
        field.count = 1 + below(4);
        field.type = pick(room / field.count, MOST_DEPTH - 1);
    } else {
        field.type = &types[built_in[field.kind]];
    }
    *weight += field.type->weight * field.count;
    *depth = field.type->depth > *depth ? field.type->depth : *depth;
    return field;
}

/* F(kind, type, f<index>, ...) */
static void print_field(const struct field *field, unsigned index)
{
    const char *type = field->type->name;
    printf(" F(%s, %s, f%u", kind_names[field->kind],
           field->kind == VALUE ? type + strlen("wb_") : type, index);
    if (field->kind == FIXED) {
        printf(", %u", field->count);
    } else if (field->kind == ADDED) {
        printf(", (%s){0}", type);
    }
    printf(")");
}

static void print_list(const char *list, const struct field *fields, unsigned count)
{
    printf("#define %s(F)", list);
    for (unsigned i = 0; i < count; i++) {
        print_field(&fields[i], i);
    }
    printf("\n");
}

static void print_fill_head(const char *name)
{
    print_line("WBI_GENERATED void test_fill_$(struct test_source *s, $ *v)\n{", name, "");
}

static void print_same_head(const char *name)
{
    print_line("WBI_GENERATED bool test_same_$(const $ *a, const $ *b)\n{", name, "");
}

/* What compares the fields that a and b have at the same names. */
static void print_comparison(const struct field *fields, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const char *type = fields[i].type->name;
        if (fields[i].kind == FIXED) {
            printf("    for (size_t i = 0; i < %u; i++)\n        if (!test_same_%s(&a->f%u[i], "
                   "&b->f%u[i])) return false;\n",
                   fields[i].count, type, i, i);
        } else {
            printf("    if (!test_same_%s(&a->f%u, &b->f%u)) return false;\n", type, i, i);
        }
    }
    printf("    return true;\n}\n");
}

static void print_values(const char *name, const struct field *fields, unsigned count)
{
    print_fill_head(name);
    printf("    memset(v, 0, sizeof *v);\n");
    for (unsigned i = 0; i < count; i++) {
        const char *type = fields[i].type->name;
        if (fields[i].kind == FIXED) {
            printf("    for (size_t i = 0; i < %u; i++) test_fill_%s(s, &v->f%u[i]);\n",
                   fields[i].count, type, i);
        } else {
            printf("    test_fill_%s(s, &v->f%u);\n", type, i);
        }
    }
    printf("}\n");
    print_same_head(name);
    print_comparison(fields, count);
}

static void make_struct(struct type *type)
{
    struct field fields[MOST_FIELDS];
    unsigned count = 1 + below(MOST_FIELDS);
    for (unsigned i = 0; i < count; i++) {
        fields[i] = draw_field(&type->weight, &type->depth);
    }
    char list[40];
    (void)snprintf(list, sizeof list, "%s_FIELDS", type->name);
    print_list(list, fields, count);
    print_line("WB_STRUCT($, @)", type->name, list);
    print_values(type->name, fields, count);
}

static void make_array(struct type *type)
{
    const struct type *elem = pick(MOST_WEIGHT / 2, MOST_DEPTH - 1);
    printf("WB_ARRAY_OF(%s, %s)\nTEST_ARRAY_VALUES(%s, %s, %u)\n", elem->name, type->name,
           elem->name, type->name, elem->weight);
    type->weight = 2;
    type->depth = elem->depth;
}

static void make_option(struct type *type)
{
    const struct type *value = pick(MOST_WEIGHT / 2, MOST_DEPTH - 1);
    print_line("WB_OPTION_OF(@, $)\nTEST_OPTION_VALUES(@, $)", type->name, value->name);
    type->weight = 1 + value->weight;
    type->depth = value->depth;
}

static void make_union(struct type *type)
{
    const struct type *cases[6];
    unsigned count = 1 + below(6);
    printf("#define %s_CASES(C)", type->name);
    for (unsigned i = 0; i < count; i++) {
        cases[i] = pick(MOST_WEIGHT / 2, MOST_DEPTH - 1);
        type->weight = cases[i]->weight > type->weight ? cases[i]->weight : type->weight;
        type->depth = cases[i]->depth > type->depth ? cases[i]->depth : type->depth;
        printf(" C(%s_IS%u, %s, f%u)", type->name, i, cases[i]->name, i);
    }
    printf("\n");
    print_line("WB_UNION($, $_CASES)", type->name, "");
    print_fill_head(type->name);
    print_line("    memset(v, 0xa5, sizeof *v);", "", "");
    printf("    v->tag = (enum %s_tag)test_random_below(&s->state, %u);\n", type->name, count);
    printf("    switch ((int)v->tag) {\n");
    for (unsigned i = 0; i < count; i++) {
        printf("    case %u: test_fill_%s(s, &v->as.f%u); break;\n", i, cases[i]->name, i);
    }
    printf("    }\n}\n");
    print_same_head(type->name);
    printf("    switch (a->tag == b->tag ? (int)a->tag : -1) {\n");
    for (unsigned i = 0; i < count; i++) {
        printf("    case %u: return test_same_%s(&a->as.f%u, &b->as.f%u);\n", i, cases[i]->name, i,
               i);
    }
    printf("    default: return false;\n    }\n}\n");
}

static void make_map(struct type *type)
{
    const struct type *key = pick(4, 2), *value = pick(MOST_WEIGHT / 2, MOST_DEPTH - 1);
    printf("WB_MAP_OF(%s, %s, %s)\nTEST_MAP_VALUES(%s, %s, %s, %u)\n", key->name, value->name,
           type->name, key->name, value->name, type->name, key->weight + value->weight);
    type->weight = 2;
    type->depth = key->depth > value->depth ? key->depth : value->depth;
}

/* Values rise by steps of any width, from any first one on. */
static void make_enum(struct type *type)
{
    unsigned count = 1 + below(8);
    long value = below(2) == 0 ? -(long)below(3) : -(long)below(2000000000);
    printf("#define %s_VALUES(E)", type->name);
    for (unsigned i = 0; i < count; i++) {
        printf(" E(%s_IS%u, %ld)", type->name, i, value);
        value += below(2) == 0 ? 1 : 1 + (long)below(400000000);
    }
    printf("\n");
    print_line("WB_ENUM($, $_VALUES)\nTEST_ENUM_VALUES($, $_VALUES)", type->name, "");
    type->weight = 1;
}

static void print_raw_values(struct type *type)
{
    print_line("TEST_RAW_VALUES($)", type->name, "");
    type->weight = 1 + type->bytes / 16;
    type->depth = 0;
}

static const struct type *pick_raw(void)
{
    const struct type *type;
    do {
        type = below(2) == 0 ? &types[below(SCALARS)] : &types[below(type_count)];
    } while (type->bytes == 0 || type->bytes > MOST_RAW);
    return type;
}

/* Bytes fill what would be padding. */
static void make_bitwise_struct(struct type *type)
{
    unsigned count = 1 + below(6), index = 0;
    type->align = 1;
    printf("#define %s_FIELDS(F)", type->name);
    for (unsigned i = 0; i <= count; i++) {
        const struct type *raw = pick_raw();
        unsigned align = i < count ? raw->align : type->align;
        if (type->bytes % align != 0) {
            struct field gap = {&types[0], FIXED, align - type->bytes % align};
            print_field(&gap, index++);
            type->bytes += gap.count;
        }
        if (i < count) {
            struct field field = {raw, (enum kind)(TYPE + below(2)), 1 + below(3)};
            field.count = field.kind == FIXED ? field.count : 1;
            field.kind = field.kind == TYPE && raw < types + SCALARS ? VALUE : field.kind;
            print_field(&field, index++);
            type->bytes += raw->bytes * field.count;
            type->align = align > type->align ? align : type->align;
        }
    }
    printf("\n");
    print_line("WB_BITWISE_STRUCT($, $_FIELDS)", type->name, "");
    print_raw_values(type);
}

/* Its padding travels, too. */
static void make_bitwise(struct type *type)
{
    unsigned rest = 1 + below(20);
    type->align = 1U << below(4);
    type->bytes = (type->align + rest + type->align - 1) / type->align * type->align;
    printf("typedef struct { uint%u_t first; uint8_t rest[%u]; } %s;\n", 8 * type->align, rest,
           type->name);
    print_line("WB_BITWISE($)", type->name, "");
    print_raw_values(type);
}

static void make_custom(struct type *type)
{
    const struct type *part = pick(MOST_WEIGHT / 2, MOST_DEPTH - 1), *elem = pick(16, 2);
    printf("TEST_CUSTOM(%s, %s, %s, %u)\n", type->name, part->name, elem->name, elem->weight);
    type->weight = 2 + part->weight;
    type->depth = part->depth > elem->depth ? part->depth : elem->depth;
}

static void make_objects(void)
{
    for (unsigned i = 0; i < OBJECTS; i++) {
        struct type *type = &objects[i];
        unsigned bytes = i == 0 ? 4090 + below(12) : 1 + below(i == 1 ? 5000 : 300);
        (void)snprintf(type->name, sizeof type->name, "object%u", i);
        type->weight = 2;
        printf("struct %s_body { uint8_t bytes[%u]; };\n", type->name, bytes);
        print_line("WB_RMA_OBJECT_OF(struct $_body, $)\nTEST_OBJECT_VALUES($)", type->name, "");
    }
}

/* The type, and its line in the table by way of a struct. In some four seeds each family meets each
 * other inside it. */
static void make_type(unsigned seed, unsigned index)
{
    static void (*const make[FAMILIES])(struct type *) = {
        make_struct, make_array, make_option,         make_union,   make_struct,
        make_map,    make_enum,  make_bitwise_struct, make_bitwise, make_custom};
    unsigned family = index % FAMILIES;
    struct type *type = &types[type_count];
    char list[48], box[48];
    (void)snprintf(type->name, sizeof type->name, "t%u_%u_%s", seed, index, family_names[family]);
    wish = (seed * 6 + index / FAMILIES) % FAMILIES;
    make[family](type);
    wish = FAMILIES;
    type->depth++;
    type_count++;
    if (family == STRUCT || family == STRUCT_TOO) {
        print_line("TEST_TYPE($, false, false)\n", type->name, "");
        return;
    }
    struct field field = {type, TYPE, 1};
    (void)snprintf(list, sizeof list, "%s_BOX", type->name);
    (void)snprintf(box, sizeof box, "%s_box", type->name);
    print_list(list, &field, 1);
    print_line("WB_STRUCT($, @)", box, list);
    print_values(box, &field, 1);
    print_line("TEST_TYPE($, false, false)\n", box, "");
}

static void make_generation(const char *action, const struct field *fields, unsigned count,
                            bool has_added)
{
    char list[48], record[48];
    (void)snprintf(list, sizeof list, "%s_FIELDS", action);
    (void)snprintf(record, sizeof record, "%s_in", action);
    print_list(list, fields, count);
    print_line("WB_ACTION($, @, NOTHING)", action, list);
    print_line("typedef struct $ $;", record, "");
    print_values(record, fields, count);
    print_line("TEST_TYPE($, @, true)\n", record, has_added ? "true" : "false");
}

/* Arguments, and the same with some fields more. */
static void make_generations(unsigned seed, unsigned index)
{
    struct field fields[MOST_FIELDS];
    unsigned count = 1 + below(MOST_FIELDS / 2), added = 1 + below(MOST_FIELDS / 2);
    unsigned weight = 0, depth = 0;
    char older[32], newer[32];
    for (unsigned i = 0; i < count; i++) {
        fields[i] = draw_field(&weight, &depth);
    }
    for (unsigned i = count; i < count + added; i++) {
        fields[i] = (struct field){pick(MOST_WEIGHT / 4, MOST_DEPTH), ADDED, 1};
    }
    (void)snprintf(older, sizeof older, "t%u_%u_older", seed, index);
    (void)snprintf(newer, sizeof newer, "t%u_%u_newer", seed, index);
    make_generation(older, fields, count, false);
    make_generation(newer, fields, count + added, true);
    printf("static bool t%u_%u_common(const void *older, const void *newer)\n{\n", seed, index);
    print_line("    const $_in *a = older;\n    const @_in *b = newer;", older, newer);
    print_comparison(fields, count);
    printf("static bool t%u_%u_defaults(const void *newer)\n{\n", seed, index);
    print_line("    const $_in *a = newer;", newer, "");
    for (unsigned i = count; i < count + added; i++) {
        const char *name = fields[i].type->name;
        printf("    if (!test_same_%s(&a->f%u, &(%s){0})) return false;\n", name, i, name);
    }
    printf("    return true;\n}\n");
}

static void print_tables(unsigned seed, unsigned count, unsigned pairs)
{
    printf("const struct test_type *const test_types_%u[] = {\n", seed);
    for (unsigned i = 0; i < count; i++) {
        unsigned family = i % FAMILIES;
        bool is_struct = family == STRUCT || family == STRUCT_TOO;
        printf("    &%s%s_entry,\n", types[BUILT_IN + i].name, is_struct ? "" : "_box");
    }
    for (unsigned i = 0; i < pairs; i++) {
        printf("    &t%u_%u_older_in_entry, &t%u_%u_newer_in_entry,\n", seed, i, seed, i);
    }
    printf("    NULL};\nconst struct test_generations test_generations_%u[] = {\n", seed);
    for (unsigned i = 0; i < pairs; i++) {
        printf("    {&t%u_%u_older_in_entry, &t%u_%u_newer_in_entry, t%u_%u_common, "
               "t%u_%u_defaults},\n",
               seed, i, seed, i, seed, i, seed, i);
    }
    printf("    {0}};\n");
}

int main(int argc, char **argv)
{
    unsigned seed = argc == 3 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    unsigned count = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    unsigned pairs = count / 8;
    if (count == 0 || count > MOST_TYPES) {
        (void)fprintf(stderr, "usage: wb_generate_types <seed> <count>\n");
        return 2;
    }
    state = seed;
    printf("/* Random types by seed %u. */\n#include \"tests/serial/random_type.h\"\n\n"
           "#define NOTHING(F)\n"
           "extern const struct test_type *const test_types_%u[];\n"
           "extern const struct test_generations test_generations_%u[];\n\n",
           seed, seed, seed);
    make_objects();
    for (unsigned i = 0; i < count; i++) {
        make_type(seed, i);
    }
    for (unsigned i = 0; i < pairs; i++) {
        make_generations(seed, i);
    }
    print_tables(seed, count, pairs);
    return ferror(stdout) ? 1 : 0;
}
