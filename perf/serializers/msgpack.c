/*
 * msgpack-c: packed straight from the plain input into a buffer that is kept, each struct as an
 * array of its fields; unpacked into objects of a zone that is kept too. Integers take as many
 * bytes as they need; strings stay in the archive. Arrays are of elements with a type each, so that
 * its users send many doubles as one byte range. With zero copy its vrefbuffer refers to strings
 * and byte ranges where they are; the receiver gets them within the archive, so they count as its
 * bytes.
 */
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "perf/serializers/checksum.h"
#include "perf/serializers/contestant.h"

enum { ROOM = 2 << 20, ZONE_ROOM = 64 << 10 };

struct codec {
    const struct input *input;
    bool zero_copy;
    msgpack_packer packer;
    msgpack_zone zone;
    msgpack_sbuffer copied;       /* without zero copy */
    msgpack_vrefbuffer referring; /* with it */
    char *archive;                /* in one piece */
    size_t length;
};

static void fail(const char *what)
{
    contestant_fail("msgpack-c", what);
}

static msgpack_packer *start(struct codec *codec)
{
    if (codec->zero_copy) {
        msgpack_vrefbuffer_clear(&codec->referring);
    } else {
        msgpack_sbuffer_clear(&codec->copied);
    }
    return &codec->packer;
}

static size_t finish(struct codec *codec)
{
    if (!codec->zero_copy) {
        codec->archive = codec->copied.data;
        codec->length = codec->copied.size;
    }
    return codec->length; /* with zero copy, that of the same archive as it was gathered first */
}

/* Copies what the buffer refers to into one piece, as the receiver has it. */
static void gather(struct codec *codec)
{
    const msgpack_iovec *piece = msgpack_vrefbuffer_vec(&codec->referring);
    size_t count = msgpack_vrefbuffer_veclen(&codec->referring);
    for (size_t i = 0; i < count; i++) {
        if (piece[i].iov_len > ROOM - codec->length) {
            fail("the archive has no room");
        }
        memcpy(codec->archive + codec->length, piece[i].iov_base, piece[i].iov_len);
        codec->length += piece[i].iov_len;
    }
}

static void *open_row(const struct contestant *row, const struct input *input)
{
    struct codec *codec = calloc(1, sizeof *codec);
    if (codec == NULL || !msgpack_zone_init(&codec->zone, ZONE_ROOM)) {
        fail("no memory");
    }
    codec->input = input;
    codec->zero_copy = row->zero_copy;
    if (!row->zero_copy) {
        msgpack_sbuffer_init(&codec->copied);
        msgpack_packer_init(&codec->packer, &codec->copied, msgpack_sbuffer_write);
        return codec;
    }
    codec->archive = malloc(ROOM);
    if (codec->archive == NULL ||
        !msgpack_vrefbuffer_init(&codec->referring, MSGPACK_VREFBUFFER_REF_SIZE,
                                 MSGPACK_VREFBUFFER_CHUNK_SIZE)) {
        fail("no memory");
    }
    msgpack_packer_init(&codec->packer, &codec->referring, msgpack_vrefbuffer_write);
    row->encode(codec);
    gather(codec);
    return codec;
}

static void close_row(void *state)
{
    struct codec *codec = state;
    if (codec->zero_copy) {
        msgpack_vrefbuffer_destroy(&codec->referring);
        free(codec->archive);
    } else {
        msgpack_sbuffer_destroy(&codec->copied);
    }
    msgpack_zone_destroy(&codec->zone);
    free(codec);
}

/* What is unpacked must be an array of `count` elements, or of any number where that is 0. */
static msgpack_object_array array_of(const msgpack_object *object, size_t count)
{
    if (object->type != MSGPACK_OBJECT_ARRAY || (count != 0 && object->via.array.size != count)) {
        fail("an array of another size");
    }
    return object->via.array;
}

static msgpack_object_array unpack(struct codec *codec, size_t fields)
{
    msgpack_object object;
    size_t offset = 0;
    msgpack_zone_clear(&codec->zone);
    if (msgpack_unpack(codec->archive, codec->length, &offset, &codec->zone, &object) !=
        MSGPACK_UNPACK_SUCCESS) {
        fail("an archive does not unpack");
    }
    return array_of(&object, fields);
}

static void pack_text(msgpack_packer *packer, struct plain_text text)
{
    msgpack_pack_str(packer, text.len);
    msgpack_pack_str_body(packer, text.data, text.len);
}

static uint64_t sum_text(uint64_t sum, const msgpack_object *object)
{
    return checksum_bytes(sum, object->via.str.ptr, object->via.str.size);
}

/* An integer's 64 bits are the same whether its type is of positive or of negative ones. */
static uint64_t sum_integer(uint64_t sum, const msgpack_object *object)
{
    return checksum_long(sum, object->via.i64);
}

static uint64_t sum_double(uint64_t sum, const msgpack_object *object)
{
    return checksum_double(sum, object->via.f64);
}

static uint64_t sum_integers(uint64_t sum, const msgpack_object *object)
{
    msgpack_object_array all = array_of(object, 0);
    for (uint32_t i = 0; i < all.size; i++) {
        sum = sum_integer(sum, &all.ptr[i]);
    }
    return sum;
}

static size_t encode_record(void *state)
{
    struct codec *codec = state;
    const struct plain_record *record = &codec->input->record;
    msgpack_packer *packer = start(codec);
    msgpack_pack_array(packer, 2);
    msgpack_pack_array(packer, record->id_count);
    for (size_t i = 0; i < record->id_count; i++) {
        msgpack_pack_int64(packer, record->ids[i]);
    }
    msgpack_pack_array(packer, record->string_count);
    for (size_t i = 0; i < record->string_count; i++) {
        pack_text(packer, record->strings[i]);
    }
    return finish(codec);
}

static uint64_t decode_record(void *state)
{
    msgpack_object_array record = unpack(state, 2);
    uint64_t sum = sum_integers(0, &record.ptr[0]);
    msgpack_object_array strings = array_of(&record.ptr[1], 0);
    for (uint32_t i = 0; i < strings.size; i++) {
        sum = sum_text(sum, &strings.ptr[i]);
    }
    return sum;
}

static size_t encode_scalars(void *state)
{
    struct codec *codec = state;
    const struct plain_scalars *scalars = &codec->input->scalars;
    msgpack_packer *packer = start(codec);
    msgpack_pack_array(packer, 20);
#define PACK_DOUBLE(field) msgpack_pack_double(packer, scalars->field);
#define PACK_LONG(field) msgpack_pack_int64(packer, scalars->field);
#define PACK_INT(field) msgpack_pack_int32(packer, scalars->field);
    SCALARS_DOUBLES(PACK_DOUBLE)
    SCALARS_LONGS(PACK_LONG)
    SCALARS_INTS(PACK_INT)
    return finish(codec);
}

static uint64_t decode_scalars(void *state)
{
    const msgpack_object *field = unpack(state, 20).ptr;
    uint64_t sum = 0;
#define ADD_DOUBLE(name) sum = sum_double(sum, field++);
#define ADD_INTEGER(name) sum = sum_integer(sum, field++);
    SCALARS_DOUBLES(ADD_DOUBLE)
    SCALARS_LONGS(ADD_INTEGER)
    SCALARS_INTS(ADD_INTEGER)
    return sum;
}

static void pack_group(msgpack_packer *packer, const struct plain_group *group)
{
    msgpack_pack_array(packer, 5);
    pack_text(packer, group->name);
    for (size_t i = 0; i < 3; i++) {
        msgpack_pack_double(packer, group->position[i]);
    }
    msgpack_pack_array(packer, group->particle_count);
    for (size_t i = 0; i < group->particle_count; i++) {
        const struct plain_particle *particle = &group->particles[i];
        msgpack_pack_array(packer, 3);
        msgpack_pack_int64(packer, particle->id);
        msgpack_pack_double(packer, particle->weight);
        msgpack_pack_array(packer, particle->tag_count);
        for (size_t k = 0; k < particle->tag_count; k++) {
            msgpack_pack_int32(packer, particle->tags[k]);
        }
    }
}

static size_t encode_nested(void *state)
{
    struct codec *codec = state;
    const struct plain_nested *nested = &codec->input->nested;
    msgpack_packer *packer = start(codec);
    msgpack_pack_array(packer, nested->group_count);
    for (size_t i = 0; i < nested->group_count; i++) {
        pack_group(packer, &nested->groups[i]);
    }
    return finish(codec);
}

static uint64_t sum_group(uint64_t sum, const msgpack_object *field)
{
    sum = sum_text(sum, &field[0]);
    for (size_t i = 1; i < 4; i++) {
        sum = sum_double(sum, &field[i]);
    }
    msgpack_object_array particles = array_of(&field[4], 0);
    for (uint32_t i = 0; i < particles.size; i++) {
        const msgpack_object *particle = array_of(&particles.ptr[i], 3).ptr;
        sum = sum_integer(sum, &particle[0]);
        sum = sum_double(sum, &particle[1]);
        sum = sum_integers(sum, &particle[2]);
    }
    return sum;
}

static uint64_t decode_nested(void *state)
{
    msgpack_object_array groups = unpack(state, 0);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < groups.size; i++) {
        sum = sum_group(sum, array_of(&groups.ptr[i], 5).ptr);
    }
    return sum;
}

static size_t encode_vector(void *state)
{
    struct codec *codec = state;
    const struct plain_vector *vector = &codec->input->vector;
    msgpack_packer *packer = start(codec);
    msgpack_pack_array(packer, 4);
    pack_text(packer, vector->name);
    msgpack_pack_int64(packer, vector->step);
    msgpack_pack_double(packer, vector->time);
    msgpack_pack_bin(packer, vector->value_count * sizeof(double));
    msgpack_pack_bin_body(packer, vector->values, vector->value_count * sizeof(double));
    return finish(codec);
}

static uint64_t decode_vector(void *state)
{
    const msgpack_object *field = unpack(state, 4).ptr;
    uint64_t sum = sum_text(0, &field[0]);
    sum = sum_integer(sum, &field[1]);
    sum = sum_double(sum, &field[2]);
    return checksum_vector(sum, field[3].via.bin.ptr, field[3].via.bin.size / sizeof(double));
}

#define ROW(which, zero_copy, name)                                                                \
    {                                                                                              \
        "msgpack-c", which, zero_copy, COUNTS_BUILD, open_row, encode_##name, decode_##name,       \
            close_row                                                                              \
    }

const struct contestant msgpack_rows[] = {
    ROW(CASE_RECORD, false, record),
    ROW(CASE_RECORD, true, record),
    ROW(CASE_SCALARS, false, scalars),
    ROW(CASE_NESTED, false, nested),
    ROW(CASE_VECTOR, false, vector),
    ROW(CASE_VECTOR, true, vector),
    {.library = NULL},
};
