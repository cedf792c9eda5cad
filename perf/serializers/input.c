#include "perf/serializers/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/common_say.h"
#include "perf/demo_record_file.h"
#include "perf/serializers/checksum.h"

enum { GROUPS = 20, PARTICLES = 8, TAGS = 8, NAME_BYTES = 16 };
enum { VALUES = (1 << 20) / sizeof(double) };

/* All that an input points to. */
struct memory {
    struct record record;
    struct plain_text *strings;
    char names[GROUPS][NAME_BYTES];
    struct plain_group groups[GROUPS];
    struct plain_particle particles[GROUPS][PARTICLES];
    int32_t tags[GROUPS][PARTICLES][TAGS];
    double values[VALUES];
};

static int fill_record(struct plain_record *record, struct memory *memory, const char *file)
{
    int wrong = record_read(&memory->record, file);
    if (wrong != 0) {
        return wrong;
    }
    size_t count = memory->record.string_count;
    memory->strings = calloc(count, sizeof *memory->strings);
    if (memory->strings == NULL) {
        return say(EXIT_FAILURE, "no memory for %zu strings", count);
    }
    for (size_t i = 0; i < count; i++) {
        memory->strings[i] = (struct plain_text){memory->record.string, memory->record.string_len};
    }
    *record = (struct plain_record){.ids = memory->record.ids,
                                    .id_count = memory->record.id_count,
                                    .strings = memory->strings,
                                    .string_count = count};
    return 0;
}

/* Numbers of mixed size and sign, as counters, times and measures are. */
static struct plain_scalars some_scalars(void)
{
    return (struct plain_scalars){
        0.25, -17.5, 3.14159265, 1e-9,       6.02214e23,       273.15, -0.001,
        42,   1,     -12345,     1764138673, 9007199254740993, -7,     1000000007,
        3,    -400,  65536,      -1,         2000000000,       77};
}

static void fill_particle(struct plain_particle *particle, int32_t *tags, size_t number)
{
    *particle = (struct plain_particle){.id = (int64_t)(number * 1000003),
                                        .weight = 1.0 / (double)(number + 1),
                                        .tags = tags,
                                        .tag_count = number * 5 % TAGS};
    for (size_t i = 0; i < TAGS; i++) {
        tags[i] = (int32_t)(number * 37 + i * i) - 2000;
    }
}

static void fill_nested(struct plain_nested *nested, struct memory *memory)
{
    for (size_t i = 0; i < GROUPS; i++) {
        char *name = memory->names[i];
        snprintf(name, NAME_BYTES, "group-%zu", i);
        double at = (double)i;
        memory->groups[i] = (struct plain_group){.name = {name, strlen(name)},
                                                 .position = {at, at * 0.5, -at},
                                                 .particles = memory->particles[i],
                                                 .particle_count = PARTICLES};
        for (size_t k = 0; k < PARTICLES; k++) {
            fill_particle(&memory->particles[i][k], memory->tags[i][k], i * PARTICLES + k);
        }
    }
    *nested = (struct plain_nested){memory->groups, GROUPS};
}

static void fill_vector(struct plain_vector *vector, struct memory *memory)
{
    static const char name[] = "temperature";
    for (size_t i = 0; i < VALUES; i++) {
        memory->values[i] = (double)i * 0.125 - 1000;
    }
    *vector = (struct plain_vector){.name = {name, sizeof name - 1},
                                    .step = 123456,
                                    .time = 0.75,
                                    .values = memory->values,
                                    .value_count = VALUES};
}

int input_open(struct input *input, const char *record_file)
{
    *input = (struct input){0};
    struct memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL) {
        return say(EXIT_FAILURE, "no memory for the input");
    }
    input->memory = memory;
    int wrong = fill_record(&input->record, memory, record_file);
    if (wrong != 0) {
        input_close(input);
        return wrong;
    }
    input->scalars = some_scalars();
    fill_nested(&input->nested, memory);
    fill_vector(&input->vector, memory);
    return 0;
}

void input_close(struct input *input)
{
    struct memory *memory = input->memory;
    if (memory != NULL) {
        record_drop(&memory->record);
        free(memory->strings);
        free(memory);
    }
    *input = (struct input){0};
}

static uint64_t sum_record(const struct plain_record *record)
{
    uint64_t sum = checksum_words(0, record->ids, record->id_count);
    for (size_t i = 0; i < record->string_count; i++) {
        sum = checksum_bytes(sum, record->strings[i].data, record->strings[i].len);
    }
    return sum;
}

static uint64_t sum_scalars(const struct plain_scalars *s)
{
    uint64_t sum = 0;
#define ADD_DOUBLE(field) sum = checksum_double(sum, s->field);
#define ADD_INTEGER(field) sum = checksum_long(sum, s->field);
    SCALARS_DOUBLES(ADD_DOUBLE)
    SCALARS_LONGS(ADD_INTEGER)
    SCALARS_INTS(ADD_INTEGER)
    return sum;
}

static uint64_t sum_group(uint64_t sum, const struct plain_group *group)
{
    sum = checksum_bytes(sum, group->name.data, group->name.len);
    for (size_t i = 0; i < 3; i++) {
        sum = checksum_double(sum, group->position[i]);
    }
    for (size_t i = 0; i < group->particle_count; i++) {
        const struct plain_particle *particle = &group->particles[i];
        sum = checksum_long(sum, particle->id);
        sum = checksum_double(sum, particle->weight);
        sum = checksum_ints(sum, particle->tags, particle->tag_count);
    }
    return sum;
}

static uint64_t sum_nested(const struct plain_nested *nested)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < nested->group_count; i++) {
        sum = sum_group(sum, &nested->groups[i]);
    }
    return sum;
}

static uint64_t sum_vector(const struct plain_vector *vector)
{
    uint64_t sum = checksum_bytes(0, vector->name.data, vector->name.len);
    sum = checksum_long(sum, vector->step);
    sum = checksum_double(sum, vector->time);
    return checksum_vector(sum, vector->values, vector->value_count);
}

uint64_t input_checksum(const struct input *input, enum serial_case which)
{
    switch (which) {
    case CASE_RECORD:
        return sum_record(&input->record);
    case CASE_SCALARS:
        return sum_scalars(&input->scalars);
    case CASE_NESTED:
        return sum_nested(&input->nested);
    default:
        return sum_vector(&input->vector);
    }
}
