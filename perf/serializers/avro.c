/* Avro for C, by its generic values: writer, reader and the value decoded into are kept, and the
 * value to be written was filled beforehand. Integers are zigzag numbers of variable length. */
#include <avro.h>
#include <stdlib.h>

#include "perf/serializers/checksum.h"
#include "perf/serializers/contestant.h"

enum { ROOM = 2 << 20 };

struct codec {
    avro_schema_t schema;
    avro_value_iface_t *type;
    avro_value_t filled, decoded;
    avro_writer_t writer;
    avro_reader_t reader;
    char *archive;
    size_t length;
};

static void check(int wrong)
{
    if (wrong != 0) {
        contestant_fail("avro", avro_strerror());
    }
}

/* A NULL pointer is the error here. */
static void *must(void *made)
{
    if (made == NULL) {
        contestant_fail("avro", "cannot make something");
    }
    return made;
}

static struct codec *codec_open(const char *schema)
{
    struct codec *codec = must(calloc(1, sizeof *codec));
    check(avro_schema_from_json_length(schema, strlen(schema), &codec->schema));
    codec->type = must(avro_generic_class_from_schema(codec->schema));
    check(avro_generic_value_new(codec->type, &codec->filled));
    check(avro_generic_value_new(codec->type, &codec->decoded));
    codec->archive = must(malloc(ROOM));
    codec->writer = must(avro_writer_memory(codec->archive, ROOM));
    codec->reader = must(avro_reader_memory(codec->archive, ROOM));
    return codec;
}

static void codec_close(void *state)
{
    struct codec *codec = state;
    avro_reader_free(codec->reader);
    avro_writer_free(codec->writer);
    avro_value_decref(&codec->decoded);
    avro_value_decref(&codec->filled);
    avro_value_iface_decref(codec->type);
    avro_schema_decref(codec->schema);
    free(codec->archive);
    free(codec);
}

static size_t encode(void *state)
{
    struct codec *codec = state;
    avro_writer_reset(codec->writer);
    check(avro_value_write(codec->writer, &codec->filled));
    return codec->length = (size_t)avro_writer_tell(codec->writer);
}

static const avro_value_t *decode(struct codec *codec)
{
    avro_reader_memory_set_source(codec->reader, codec->archive, (int64_t)codec->length);
    check(avro_value_reset(&codec->decoded));
    check(avro_value_read(codec->reader, &codec->decoded));
    return &codec->decoded;
}

/* Field `index` of a record, or element of an array. */
static avro_value_t part(const avro_value_t *of, size_t index)
{
    avro_value_t value;
    check(avro_value_get_by_index(of, index, &value, NULL));
    return value;
}

static size_t count_of(const avro_value_t *array)
{
    size_t count = 0;
    check(avro_value_get_size(array, &count));
    return count;
}

static avro_value_t append(const avro_value_t *array)
{
    avro_value_t value;
    check(avro_value_append(array, &value, NULL));
    return value;
}

static void set_text(avro_value_t value, struct plain_text text)
{
    char *terminated = must(strndup(text.data, text.len));
    check(avro_value_set_string(&value, terminated));
    free(terminated);
}

static void set_long(avro_value_t value, int64_t number)
{
    check(avro_value_set_long(&value, number));
}

static void set_int(avro_value_t value, int32_t number)
{
    check(avro_value_set_int(&value, number));
}

static void set_double(avro_value_t value, double number)
{
    check(avro_value_set_double(&value, number));
}

static uint64_t sum_text(uint64_t sum, avro_value_t value)
{
    const char *text = NULL;
    size_t size = 0; /* with the NUL */
    check(avro_value_get_string(&value, &text, &size));
    return checksum_bytes(sum, text, size - 1);
}

static uint64_t sum_long(uint64_t sum, avro_value_t value)
{
    int64_t number = 0;
    check(avro_value_get_long(&value, &number));
    return checksum_long(sum, number);
}

static uint64_t sum_int(uint64_t sum, avro_value_t value)
{
    int32_t number = 0;
    check(avro_value_get_int(&value, &number));
    return checksum_long(sum, number);
}

static uint64_t sum_double(uint64_t sum, avro_value_t value)
{
    double number = 0;
    check(avro_value_get_double(&value, &number));
    return checksum_double(sum, number);
}

#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define ARRAY(items) "{\"type\":\"array\",\"items\":" items "}"
#define RECORD(name, fields) "{\"type\":\"record\",\"name\":\"" name "\",\"fields\":[" fields "]}"

static void *open_record(const struct contestant *row, const struct input *input)
{
    (void)row;
    struct codec *codec = codec_open(RECORD(
        "Record", FIELD("ids", ARRAY("\"long\"")) "," FIELD("strings", ARRAY("\"string\""))));
    avro_value_t ids = part(&codec->filled, 0), strings = part(&codec->filled, 1);
    for (size_t i = 0; i < input->record.id_count; i++) {
        set_long(append(&ids), input->record.ids[i]);
    }
    for (size_t i = 0; i < input->record.string_count; i++) {
        set_text(append(&strings), input->record.strings[i]);
    }
    return codec;
}

static uint64_t decode_record(void *state)
{
    const avro_value_t *record = decode(state);
    avro_value_t ids = part(record, 0), strings = part(record, 1);
    uint64_t sum = 0;
    for (size_t i = 0, count = count_of(&ids); i < count; i++) {
        sum = sum_long(sum, part(&ids, i));
    }
    for (size_t i = 0, count = count_of(&strings); i < count; i++) {
        sum = sum_text(sum, part(&strings, i));
    }
    return sum;
}

#define DOUBLE_FIELD(name) FIELD(#name, "\"double\"") ","
#define LONG_FIELD(name) FIELD(#name, "\"long\"") ","
#define INT_FIELD(name) FIELD(#name, "\"int\"") ","

static void *open_scalars(const struct contestant *row, const struct input *input)
{
    (void)row;
    /* The last field ends the list, which the names' own list leaves open. */
    struct codec *codec =
        codec_open(RECORD("Scalars", SCALARS_DOUBLES(DOUBLE_FIELD) SCALARS_LONGS(LONG_FIELD)
                                         SCALARS_INTS(INT_FIELD) FIELD("nothing", "\"null\"")));
    size_t next = 0;
#define SET_DOUBLE(name) set_double(part(&codec->filled, next++), input->scalars.name);
#define SET_LONG(name) set_long(part(&codec->filled, next++), input->scalars.name);
#define SET_INT(name) set_int(part(&codec->filled, next++), input->scalars.name);
    SCALARS_DOUBLES(SET_DOUBLE)
    SCALARS_LONGS(SET_LONG)
    SCALARS_INTS(SET_INT)
    return codec;
}

static uint64_t decode_scalars(void *state)
{
    const avro_value_t *scalars = decode(state);
    uint64_t sum = 0;
    size_t next = 0;
#define ADD_DOUBLE(name) sum = sum_double(sum, part(scalars, next++));
#define ADD_LONG(name) sum = sum_long(sum, part(scalars, next++));
#define ADD_INT(name) sum = sum_int(sum, part(scalars, next++));
    SCALARS_DOUBLES(ADD_DOUBLE)
    SCALARS_LONGS(ADD_LONG)
    SCALARS_INTS(ADD_INT)
    return sum;
}

#define PARTICLE                                                                                   \
    RECORD("Particle", FIELD("id", "\"long\"") "," FIELD("weight", "\"double\"") "," FIELD(        \
                           "tags", ARRAY("\"int\"")))
#define GROUP                                                                                      \
    RECORD("Group",                                                                                \
           FIELD("name", "\"string\"") "," FIELD("x", "\"double\"") "," FIELD(                     \
               "y", "\"double\"") "," FIELD("z", "\"double\"") "," FIELD("particles",              \
                                                                         ARRAY(PARTICLE)))

static void fill_particle(avro_value_t value, const struct plain_particle *from)
{
    set_long(part(&value, 0), from->id);
    set_double(part(&value, 1), from->weight);
    avro_value_t tags = part(&value, 2);
    for (size_t i = 0; i < from->tag_count; i++) {
        set_int(append(&tags), from->tags[i]);
    }
}

static void fill_group(avro_value_t value, const struct plain_group *from)
{
    set_text(part(&value, 0), from->name);
    for (size_t i = 0; i < 3; i++) {
        set_double(part(&value, 1 + i), from->position[i]);
    }
    avro_value_t particles = part(&value, 4);
    for (size_t i = 0; i < from->particle_count; i++) {
        fill_particle(append(&particles), &from->particles[i]);
    }
}

static void *open_nested(const struct contestant *row, const struct input *input)
{
    (void)row;
    struct codec *codec = codec_open(RECORD("Nested", FIELD("groups", ARRAY(GROUP))));
    avro_value_t groups = part(&codec->filled, 0);
    for (size_t i = 0; i < input->nested.group_count; i++) {
        fill_group(append(&groups), &input->nested.groups[i]);
    }
    return codec;
}

static uint64_t sum_particle(uint64_t sum, avro_value_t value)
{
    sum = sum_long(sum, part(&value, 0));
    sum = sum_double(sum, part(&value, 1));
    avro_value_t tags = part(&value, 2);
    for (size_t i = 0, count = count_of(&tags); i < count; i++) {
        sum = sum_int(sum, part(&tags, i));
    }
    return sum;
}

static uint64_t sum_group(uint64_t sum, avro_value_t value)
{
    sum = sum_text(sum, part(&value, 0));
    for (size_t i = 0; i < 3; i++) {
        sum = sum_double(sum, part(&value, 1 + i));
    }
    avro_value_t particles = part(&value, 4);
    for (size_t i = 0, count = count_of(&particles); i < count; i++) {
        sum = sum_particle(sum, part(&particles, i));
    }
    return sum;
}

static uint64_t decode_nested(void *state)
{
    avro_value_t groups = part(decode(state), 0);
    uint64_t sum = 0;
    for (size_t i = 0, count = count_of(&groups); i < count; i++) {
        sum = sum_group(sum, part(&groups, i));
    }
    return sum;
}

static void *open_vector(const struct contestant *row, const struct input *input)
{
    (void)row;
    struct codec *codec = codec_open(
        RECORD("Vector", FIELD("name", "\"string\"") "," FIELD("step", "\"long\"") "," FIELD(
                             "time", "\"double\"") "," FIELD("values", ARRAY("\"double\""))));
    const struct plain_vector *from = &input->vector;
    set_text(part(&codec->filled, 0), from->name);
    set_long(part(&codec->filled, 1), from->step);
    set_double(part(&codec->filled, 2), from->time);
    avro_value_t values = part(&codec->filled, 3);
    for (size_t i = 0; i < from->value_count; i++) {
        set_double(append(&values), from->values[i]);
    }
    return codec;
}

static uint64_t decode_vector(void *state)
{
    const avro_value_t *vector = decode(state);
    uint64_t sum = sum_text(0, part(vector, 0));
    sum = sum_long(sum, part(vector, 1));
    sum = sum_double(sum, part(vector, 2));
    avro_value_t values = part(vector, 3);
    size_t count = count_of(&values);
    size_t step = checksum_whole || count < 2 ? 1 : count - 1; /* as checksum_vector */
    sum += count;
    for (size_t i = 0; i < count; i += step) {
        sum = sum_double(sum, part(&values, i));
    }
    return sum;
}

#define ROW(which, opens, decodes)                                                                 \
    {                                                                                              \
        "avro", which, false, COUNTS_OBJECT, opens, encode, decodes, codec_close                   \
    }

const struct contestant avro_rows[] = {
    ROW(CASE_RECORD, open_record, decode_record),
    ROW(CASE_SCALARS, open_scalars, decode_scalars),
    ROW(CASE_NESTED, open_nested, decode_nested),
    ROW(CASE_VECTOR, open_vector, decode_vector),
    {.library = NULL},
};
