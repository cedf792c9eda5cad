/* Hostile archives and landings of every kind of value (archive.h), and how inputs are mutated. */
#include "tests/fuzz/archive.h"
#include "tests/fuzz/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size); /* the fuzzer's own */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_archive_try(data, size);
    return 0;
}

/* ---- new inputs from old ones ---- */

/* Points the landings at marks that the archive has. */
static void aim(struct fuzz_input *input, uint64_t *chance)
{
    unsigned next = 0;
    for (size_t i = 0; i < input->len && next < input->landing_count; i++) {
        if (input->archive[i] == WB_LEN_CHUNK && fuzz_below(chance, 8) != 0) {
            input->landings[next++].position = (uint16_t)(i + 1);
        }
    }
}

static void change_archive(struct fuzz_input *input)
{
    input->len = LLVMFuzzerMutate(input->archive, input->len, FUZZ_ARCHIVE_MAX);
}

static void change_landings(struct fuzz_input *input, uint64_t *chance)
{
    if (input->landing_count < FUZZ_LANDINGS && fuzz_below(chance, 2) == 0) {
        struct fuzz_landing *landing = &input->landings[input->landing_count++];
        *landing = (struct fuzz_landing){.kind = (uint8_t)(2 + fuzz_below(chance, 2)),
                                         .len = (uint16_t)(8 * fuzz_below(chance, 32))};
    } else if (input->landing_count > 0) {
        input->landings[fuzz_below(chance, input->landing_count)].len =
            (uint16_t)fuzz_below(chance, 5000);
    }
    aim(input, chance);
}

/* A valid archive, as it is or disturbed up to three times. */
static size_t renew(unsigned kind, uint64_t *chance, uint8_t *data, size_t max_size)
{
    static struct fuzz_shape shape;
    shape.chance = *chance;
    shape.chunks = fuzz_below(chance, 3) != 0;
    fuzz_shape_draw(&shape, kind);
    for (unsigned left = fuzz_below(chance, 4); left > 0; left--) {
        fuzz_shape_disturb(&shape);
    }
    return fuzz_input_write(&shape.input, data, max_size);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static struct fuzz_input input;
    uint64_t chance = seed;
    unsigned what = fuzz_below(&chance, 12);
    if (what < 3) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    fuzz_input_read(&input, data, size);
    if (what < 7) {
        unsigned kind = what == 3 ? input.kind : fuzz_below(&chance, fuzz_kind_count());
        return renew(kind, &chance, data, max_size);
    }
    if (what < 10) {
        change_archive(&input);
        aim(&input, &chance);
    } else {
        change_landings(&input, &chance);
    }
    return fuzz_input_write(&input, data, max_size);
}
