#include "tests/fuzz/shape.h"

#include <string.h>

enum { DEEPEST = 6 };

unsigned fuzz_below(uint64_t *chance, unsigned below)
{
    *chance = *chance * 6364136223846793005u + 1442695040888963407u;
    return below > 0 ? (unsigned)(*chance >> 33) % below : 0;
}

static bool one_in(struct fuzz_shape *shape, unsigned many)
{
    return fuzz_below(&shape->chance, many) == 0;
}

/* ---- pieces ---- */

static void add_byte(struct fuzz_shape *shape, unsigned byte)
{
    if (shape->input.len < FUZZ_ARCHIVE_MAX) {
        shape->input.archive[shape->input.len++] = (uint8_t)byte;
    }
}

static void add_number(struct fuzz_shape *shape, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        add_byte(shape, (unsigned)(number >> 8 * i & 0xff));
    }
}

static void add_noise(struct fuzz_shape *shape, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        add_byte(shape, fuzz_below(&shape->chance, 256));
    }
}

static void mark(struct fuzz_shape *shape)
{
    if (shape->mark_count < FUZZ_MARKS) {
        shape->marks[shape->mark_count++] = (uint16_t)shape->input.len;
    }
}

static void add_tag(struct fuzz_shape *shape, unsigned tag)
{
    mark(shape);
    add_byte(shape, tag);
}

static void add_len(struct fuzz_shape *shape, size_t len)
{
    mark(shape);
    if (len < WB_LEN_U16) {
        add_byte(shape, (unsigned)len);
    } else {
        add_byte(shape, WB_LEN_U16);
        add_number(shape, len, 2);
    }
}

/* A chunk of `len` bytes in place of a length and bytes. False: it is to be packed. */
static bool add_chunk(struct fuzz_shape *shape, unsigned kind, size_t len)
{
    if (!shape->chunks || len == 0 || shape->input.landing_count == FUZZ_LANDINGS ||
        !one_in(shape, 3)) {
        return false;
    }
    add_tag(shape, WB_LEN_CHUNK);
    shape->input.landings[shape->input.landing_count++] = (struct fuzz_landing){
        .kind = (uint8_t)kind, .len = (uint16_t)len, .position = (uint16_t)shape->input.len};
    return true;
}

/* Short as a rule, and now and then of a form with more bytes. */
static size_t some_len(struct fuzz_shape *shape)
{
    if (one_in(shape, 60)) {
        return 4000 + fuzz_below(&shape->chance, 200);
    }
    return one_in(shape, 12) ? 245 + fuzz_below(&shape->chance, 20)
                             : fuzz_below(&shape->chance, 12);
}

static void add_gap(struct fuzz_shape *shape, size_t align)
{
    while (shape->input.len % align != 0 && shape->input.len < FUZZ_ARCHIVE_MAX) {
        add_byte(shape, 0);
    }
}

/* Lengths and what they announce: bytes that may be a chunk of one of two kinds. */
static void draw_bytes(struct fuzz_shape *shape, unsigned kind, unsigned or_kind)
{
    size_t len = some_len(shape);
    if (!add_chunk(shape, one_in(shape, 2) ? kind : or_kind, len)) {
        add_len(shape, len);
        add_noise(shape, len);
    }
}

static void draw_elements(struct fuzz_shape *shape, size_t elem_size, size_t count)
{
    size_t len = elem_size * count;
    add_len(shape, elem_size);
    if (!add_chunk(shape, WB_CHUNK_RMA, len)) {
        add_len(shape, len);
        if (len >= WB_INLINE_RMA_ALIGNED) {
            add_gap(shape, WB_INLINE_RMA_ALIGN);
        }
        add_noise(shape, len);
    }
}

static void draw_vector(struct fuzz_shape *shape)
{
    static const uint16_t sizes[] = {1, 4, 8, 24, 300};
    if (one_in(shape, 5)) {
        add_len(shape, 0);
        add_len(shape, 0);
        return;
    }
    size_t size = sizes[fuzz_below(&shape->chance, 5)];
    draw_elements(shape, size, some_len(shape) / size);
}

/* ---- types ---- */

static void draw_type(struct fuzz_shape *shape, const struct wb_type *type);

static void draw_field(struct fuzz_shape *shape, const struct wb_field *field)
{
    if (strcmp(field->kind, "OBJECT") == 0) {
        draw_elements(shape, (size_t)field->count, 1);
        return;
    }
    for (int64_t i = 0; i < field->count; i++) {
        draw_type(shape, field->of);
    }
}

static unsigned count_fields(const struct wb_field *fields)
{
    unsigned count = 0;
    while (fields[count].kind != NULL) {
        count++;
    }
    return count;
}

static bool is_raw(const struct wb_type *type)
{
    return type->kind == WB_TYPE_SCALAR || type->kind == WB_TYPE_BITWISE;
}

static size_t align_of(const struct wb_type *type)
{
    size_t most = 1;
    if (type->fields == NULL) {
        return type->bytes < WB_ARCHIVE_ALIGN ? type->bytes : WB_ARCHIVE_ALIGN;
    }
    for (const struct wb_field *field = type->fields; field->kind != NULL; field++) {
        size_t align = align_of(field->of);
        most = align > most ? align : most;
    }
    return most;
}

/* All lengths, and then all bytes. Many short ones are read several at a time. */
static void draw_texts(struct fuzz_shape *shape, size_t count)
{
    bool many = one_in(shape, 3);
    size_t packed = 0;
    count *= many ? 10 : 1;
    add_len(shape, count);
    for (size_t i = 0; i < count; i++) {
        size_t len = many ? fuzz_below(&shape->chance, 40) : some_len(shape);
        if (!add_chunk(shape, WB_CHUNK_POINTER, len)) {
            add_len(shape, len);
            packed += len;
        }
    }
    add_noise(shape, packed);
}

static void draw_array(struct fuzz_shape *shape, const struct wb_type *elem)
{
    size_t count = shape->depth > DEEPEST ? 0 : fuzz_below(&shape->chance, 5);
    if (elem->kind == WB_TYPE_STR || elem->kind == WB_TYPE_BYTES) {
        draw_texts(shape, count);
        return;
    }
    if (!is_raw(elem)) {
        add_len(shape, count);
        for (size_t i = 0; i < count; i++) {
            draw_type(shape, elem);
        }
        return;
    }
    count = some_len(shape) / elem->bytes;
    if (add_chunk(shape, WB_CHUNK_POINTER, count * elem->bytes)) {
        return;
    }
    add_len(shape, count);
    if (count > 0) {
        add_gap(shape, align_of(elem));
        add_noise(shape, count * elem->bytes);
    }
}

static void draw_custom(struct fuzz_shape *shape, const struct wb_type *type)
{
    const struct fuzz_custom *custom = fuzz_custom_named(type->name);
    unsigned version = 1 + fuzz_below(&shape->chance, custom->version);
    add_tag(shape, version);
    for (size_t i = 0; i < 3 && custom->own[i] != NULL; i++) {
        if (i == 0 || custom->version == 1 || version > 1) { /* a later one has more parts */
            draw_type(shape, custom->own[i]);
        }
    }
    size_t count = shape->depth > DEEPEST ? 0 : fuzz_below(&shape->chance, 3);
    /* a chain, which nests as deep as it may, or deeper */
    if (shape->depth > DEEPEST ? shape->depth < shape->chain : one_in(shape, 8)) {
        count = 1;
    }
    add_len(shape, count);
    for (size_t i = 0; i < count; i++) {
        draw_type(shape, type);
    }
}

static void draw_choice(struct fuzz_shape *shape, const struct wb_type *type)
{
    unsigned of = count_fields(type->fields);
    unsigned choice = fuzz_below(&shape->chance, of);
    if (type->kind == WB_TYPE_ENUM) {
        mark(shape);
        add_number(shape, (uint64_t)type->fields[choice].count, 4);
        return;
    }
    add_tag(shape, choice);
    draw_type(shape, type->fields[choice].of);
}

static void draw_type(struct fuzz_shape *shape, const struct wb_type *type)
{
    shape->depth++;
    switch (type->kind) {
    case WB_TYPE_SCALAR:
    case WB_TYPE_BITWISE:
        add_noise(shape, type->bytes);
        break;
    case WB_TYPE_BOOL:
        add_tag(shape, fuzz_below(&shape->chance, 2));
        break;
    case WB_TYPE_STR:
    case WB_TYPE_BYTES:
        draw_bytes(shape, WB_CHUNK_POINTER, WB_CHUNK_POINTER);
        break;
    case WB_TYPE_BUFFER:
        draw_bytes(shape, WB_CHUNK_POINTER, WB_CHUNK_RMA);
        break;
    case WB_TYPE_RMA:
    case WB_TYPE_OBJECT:
        draw_vector(shape);
        break;
    case WB_TYPE_STRUCT:
        for (const struct wb_field *field = type->fields; field->kind != NULL; field++) {
            draw_field(shape, field);
        }
        break;
    case WB_TYPE_ENUM:
    case WB_TYPE_UNION:
        draw_choice(shape, type);
        break;
    case WB_TYPE_ARRAY:
        draw_array(shape, type->elem);
        break;
    case WB_TYPE_OPTION:
        add_tag(shape, shape->chance >> 40 & 1);
        if (shape->input.archive[shape->input.len - 1] == 1) {
            draw_type(shape, type->elem);
        }
        break;
    default:
        draw_custom(shape, type);
        break;
    }
    shape->depth--;
}

/* An added field: its head, whose length is known when its value is drawn. */
static void draw_added(struct fuzz_shape *shape, const struct wb_field *field)
{
    mark(shape);
    size_t head = shape->input.len;
    add_number(shape, 0, 4);
    add_number(shape, wbi_added_id(field->type, field->name), 4);
    draw_type(shape, field->of);
    if (shape->input.len < FUZZ_ARCHIVE_MAX) {
        uint32_t len = (uint32_t)(shape->input.len - head - WB_ADDED_HEAD);
        memcpy(shape->input.archive + head, &len, sizeof len);
    }
}

void fuzz_shape_draw(struct fuzz_shape *shape, unsigned kind)
{
    shape->input.kind = (uint8_t)kind;
    fuzz_shape_draw_fields(shape, fuzz_kind_at(kind)->fields);
}

void fuzz_shape_draw_fields(struct fuzz_shape *shape, const struct wb_field *fields)
{
    shape->input.flags = (uint8_t)(one_in(shape, 3) ? FUZZ_BACKED : 0);
    shape->input.fails_at = 0;
    shape->input.landing_count = 0;
    shape->input.len = 0;
    shape->depth = shape->mark_count = 0;
    shape->chain = one_in(shape, 10) ? 60 + fuzz_below(&shape->chance, 10) : 0;
    for (const struct wb_field *field = fields; field->kind != NULL; field++) {
        if (strcmp(field->kind, "ADDED") != 0) {
            draw_field(shape, field);
        } else if (one_in(shape, 4)) {
            break; /* an older program's */
        } else {
            draw_added(shape, field);
        }
    }
}
