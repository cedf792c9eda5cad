/* protobuf-c: `protobuf-c` with int64 and int32, which take as many bytes as they need, and
 * `protobuf-c-fixed` with sfixed64 and sfixed32. Unpacks into a block that each archive starts
 * anew. */
#include <cases.pb-c.h>
#include <stdlib.h>

#include "perf/serializers/checksum.h"
#include "perf/serializers/contestant.h"

enum { ROOM = 2 << 20, ALIGNMENT = 16 };

/* Memory that is given out from its front and taken back at once. */
struct block {
    char *memory;
    size_t used;
};

static void fail(const char *what)
{
    contestant_fail("protobuf-c", what);
}

/* For the library: NULL where there is no room. */
static void *block_take(void *of, size_t bytes)
{
    struct block *block = of;
    size_t rounded = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (rounded > ROOM - block->used) {
        return NULL;
    }
    block->used += rounded;
    return block->memory + block->used - rounded;
}

static void block_keep(void *of, void *memory)
{
    (void)of;
    (void)memory;
}

/* The structs that protoc-c makes for both kinds of integers are the same but for their names; what
 * differs is in the descriptors. So the usual ones stand for both here. */
struct form {
    const char *library;
    const ProtobufCMessageDescriptor *record, *scalars, *nested, *group, *particle, *vector;
};
_Static_assert(sizeof(Wire__Record) == sizeof(Wire__RecordFixed), "records");
_Static_assert(sizeof(Wire__Scalars) == sizeof(Wire__ScalarsFixed), "scalars");
_Static_assert(sizeof(Wire__Nested) == sizeof(Wire__NestedFixed), "nested");
_Static_assert(sizeof(Wire__Group) == sizeof(Wire__GroupFixed), "groups");
_Static_assert(sizeof(Wire__Particle) == sizeof(Wire__ParticleFixed), "particles");

static const struct form usual = {"protobuf-c",
                                  &wire__record__descriptor,
                                  &wire__scalars__descriptor,
                                  &wire__nested__descriptor,
                                  &wire__group__descriptor,
                                  &wire__particle__descriptor,
                                  &wire__vector__descriptor};
static const struct form fixed = {"protobuf-c-fixed",
                                  &wire__record_fixed__descriptor,
                                  &wire__scalars_fixed__descriptor,
                                  &wire__nested_fixed__descriptor,
                                  &wire__group_fixed__descriptor,
                                  &wire__particle_fixed__descriptor,
                                  &wire__vector__descriptor};

struct codec {
    const ProtobufCMessageDescriptor *descriptor;
    uint64_t (*sum)(const ProtobufCMessage *message);
    ProtobufCMessage *message;
    struct block object, decoded;
    ProtobufCAllocator allocator;
    uint8_t *archive;
    size_t length;
};

static void *take(struct block *block, size_t bytes)
{
    void *taken = block_take(block, bytes);
    if (taken == NULL) {
        fail("no room for an object");
    }
    return taken;
}

static void *take_copy(struct block *block, const void *from, size_t bytes)
{
    void *copy = take(block, bytes);
    memcpy(copy, from, bytes);
    return copy;
}

/* A message whose fields are still to be set. */
static void *take_message(struct block *block, const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = take(block, descriptor->sizeof_message);
    protobuf_c_message_init(descriptor, message);
    return message;
}

static ProtobufCBinaryData take_text(struct block *block, const struct plain_text *text)
{
    return (ProtobufCBinaryData){text->len, take_copy(block, text->data, text->len)};
}

static uint64_t sum_text(uint64_t sum, ProtobufCBinaryData text)
{
    return checksum_bytes(sum, text.data, text.len);
}

static ProtobufCMessage *fill_record(struct block *block, const struct form *form,
                                     const struct input *input)
{
    const struct plain_record *from = &input->record;
    Wire__Record *record = take_message(block, form->record);
    record->n_ids = from->id_count;
    record->ids = take_copy(block, from->ids, from->id_count * sizeof *from->ids);
    record->n_strings = from->string_count;
    record->strings = take(block, from->string_count * sizeof *record->strings);
    for (size_t i = 0; i < from->string_count; i++) {
        record->strings[i] = take_text(block, &from->strings[i]);
    }
    return &record->base;
}

static uint64_t sum_record(const ProtobufCMessage *message)
{
    const Wire__Record *record = (const Wire__Record *)message;
    uint64_t sum = checksum_words(0, record->ids, record->n_ids);
    for (size_t i = 0; i < record->n_strings; i++) {
        sum = sum_text(sum, record->strings[i]);
    }
    return sum;
}

static ProtobufCMessage *fill_scalars(struct block *block, const struct form *form,
                                      const struct input *input)
{
    Wire__Scalars *scalars = take_message(block, form->scalars);
#define COPY(field) scalars->field = input->scalars.field;
    SCALARS_DOUBLES(COPY)
    SCALARS_LONGS(COPY)
    SCALARS_INTS(COPY)
    return &scalars->base;
}

static uint64_t sum_scalars(const ProtobufCMessage *message)
{
    const Wire__Scalars *scalars = (const Wire__Scalars *)message;
    uint64_t sum = 0;
#define ADD_DOUBLE(field) sum = checksum_double(sum, scalars->field);
#define ADD_INTEGER(field) sum = checksum_long(sum, scalars->field);
    SCALARS_DOUBLES(ADD_DOUBLE)
    SCALARS_LONGS(ADD_INTEGER)
    SCALARS_INTS(ADD_INTEGER)
    return sum;
}

static Wire__Particle *fill_particle(struct block *block, const struct form *form,
                                     const struct plain_particle *from)
{
    Wire__Particle *particle = take_message(block, form->particle);
    particle->id = from->id;
    particle->weight = from->weight;
    particle->n_tags = from->tag_count;
    particle->tags = take_copy(block, from->tags, from->tag_count * sizeof *from->tags);
    return particle;
}

static Wire__Group *fill_group(struct block *block, const struct form *form,
                               const struct plain_group *from)
{
    Wire__Group *group = take_message(block, form->group);
    group->name = take_text(block, &from->name);
    group->x = from->position[0];
    group->y = from->position[1];
    group->z = from->position[2];
    group->n_particles = from->particle_count;
    group->particles = take(block, from->particle_count * sizeof(Wire__Particle *));
    for (size_t i = 0; i < from->particle_count; i++) {
        group->particles[i] = fill_particle(block, form, &from->particles[i]);
    }
    return group;
}

static ProtobufCMessage *fill_nested(struct block *block, const struct form *form,
                                     const struct input *input)
{
    const struct plain_nested *from = &input->nested;
    Wire__Nested *nested = take_message(block, form->nested);
    nested->n_groups = from->group_count;
    nested->groups = take(block, from->group_count * sizeof(Wire__Group *));
    for (size_t i = 0; i < from->group_count; i++) {
        nested->groups[i] = fill_group(block, form, &from->groups[i]);
    }
    return &nested->base;
}

static uint64_t sum_nested(const ProtobufCMessage *message)
{
    const Wire__Nested *nested = (const Wire__Nested *)message;
    uint64_t sum = 0;
    for (size_t i = 0; i < nested->n_groups; i++) {
        const Wire__Group *group = nested->groups[i];
        sum = sum_text(sum, group->name);
        sum = checksum_double(sum, group->x);
        sum = checksum_double(sum, group->y);
        sum = checksum_double(sum, group->z);
        for (size_t k = 0; k < group->n_particles; k++) {
            const Wire__Particle *particle = group->particles[k];
            sum = checksum_long(sum, particle->id);
            sum = checksum_double(sum, particle->weight);
            sum = checksum_ints(sum, particle->tags, particle->n_tags);
        }
    }
    return sum;
}

static ProtobufCMessage *fill_vector(struct block *block, const struct form *form,
                                     const struct input *input)
{
    const struct plain_vector *from = &input->vector;
    Wire__Vector *vector = take_message(block, form->vector);
    vector->name = take_text(block, &from->name);
    vector->step = from->step;
    vector->time = from->time;
    vector->n_values = from->value_count;
    vector->values = take_copy(block, from->values, from->value_count * sizeof(double));
    return &vector->base;
}

static uint64_t sum_vector(const ProtobufCMessage *message)
{
    const Wire__Vector *vector = (const Wire__Vector *)message;
    uint64_t sum = sum_text(0, vector->name);
    sum = checksum_long(sum, vector->step);
    sum = checksum_double(sum, vector->time);
    return checksum_vector(sum, vector->values, vector->n_values);
}

static const struct {
    ProtobufCMessage *(*fill)(struct block *, const struct form *, const struct input *);
    uint64_t (*sum)(const ProtobufCMessage *);
} functions[CASES] = {
    [CASE_RECORD] = {fill_record, sum_record},
    [CASE_SCALARS] = {fill_scalars, sum_scalars},
    [CASE_NESTED] = {fill_nested, sum_nested},
    [CASE_VECTOR] = {fill_vector, sum_vector},
};

static size_t encode(void *state)
{
    struct codec *codec = state;
    codec->length = protobuf_c_message_get_packed_size(codec->message);
    if (codec->length > ROOM) {
        fail("the archive has no room");
    }
    return protobuf_c_message_pack(codec->message, codec->archive);
}

static uint64_t decode(void *state)
{
    struct codec *codec = state;
    codec->decoded.used = 0;
    ProtobufCMessage *message = protobuf_c_message_unpack(codec->descriptor, &codec->allocator,
                                                          codec->length, codec->archive);
    if (message == NULL) {
        fail("an archive does not unpack");
    }
    return codec->sum(message);
}

static void *open_row(const struct contestant *row, const struct input *input)
{
    const struct form *form = strcmp(row->library, usual.library) == 0 ? &usual : &fixed;
    struct codec *codec = calloc(1, sizeof *codec);
    if (codec == NULL) {
        fail("no memory");
    }
    codec->object.memory = malloc(ROOM);
    codec->decoded.memory = malloc(ROOM);
    codec->archive = malloc(ROOM);
    if (codec->object.memory == NULL || codec->decoded.memory == NULL || codec->archive == NULL) {
        fail("no memory");
    }
    codec->allocator = (ProtobufCAllocator){block_take, block_keep, &codec->decoded};
    codec->sum = functions[row->which].sum;
    codec->message = functions[row->which].fill(&codec->object, form, input);
    codec->descriptor = codec->message->descriptor;
    return codec;
}

static void close_row(void *state)
{
    struct codec *codec = state;
    free(codec->object.memory);
    free(codec->decoded.memory);
    free(codec->archive);
    free(codec);
}

#define ROW(library, which)                                                                        \
    {                                                                                              \
        library, which, false, COUNTS_OBJECT, open_row, encode, decode, close_row                  \
    }

const struct contestant protobuf_c_rows[] = {
    ROW("protobuf-c", CASE_RECORD),
    ROW("protobuf-c-fixed", CASE_RECORD),
    ROW("protobuf-c", CASE_SCALARS),
    ROW("protobuf-c-fixed", CASE_SCALARS),
    ROW("protobuf-c", CASE_NESTED),
    ROW("protobuf-c-fixed", CASE_NESTED),
    ROW("protobuf-c", CASE_VECTOR), /* has no array of integers, so one row is enough */
    {.library = NULL},
};
