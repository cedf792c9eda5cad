/* Strangers that send an engine what they like (parcel.h), and how inputs are mutated. */
#include <string.h>

#include "tests/fuzz/parcel.h"
#include "tests/fuzz/script.h"
#include "tests/fuzz/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size); /* the fuzzer's own */

enum { INPUT_MAX = 1 << 16, STEPS_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_parcel_try(data, size);
    return 0;
}

/* One of the steps, changed by the fuzzer's own means. */
static void change_step(struct fuzz_step *step, uint8_t *room)
{
    if (step->len == 0) {
        step->byte++;
        return;
    }
    memcpy(room, step->bytes, step->len);
    step->len = LLVMFuzzerMutate(room, step->len, UINT16_MAX);
    step->bytes = room;
}

/* Writes the input anew with one place changed: a step is changed, doubled or left out, or new ones
 * are put before it. */
static size_t rewrite(const uint8_t *data, size_t size, uint64_t *chance, uint8_t *out, size_t room)
{
    static uint8_t changed[UINT16_MAX];
    struct fuzz_step step;
    size_t at = 0, len = 0;
    unsigned steps = 0;
    while (steps < STEPS_MAX && fuzz_step_next(data, size, &at, &step)) {
        steps++;
    }
    unsigned place = fuzz_below(chance, steps + 1), what = fuzz_below(chance, 8);
    at = 0;
    for (unsigned i = 0; i <= steps; i++) {
        bool more = i < steps && fuzz_step_next(data, size, &at, &step);
        if (i == place && what < 3) {
            len += fuzz_script_draw(chance, fuzz_below(chance, 4), out + len, room - len);
        } else if (i == place && what < 6 && more) {
            change_step(&step, changed);
        } else if (i == place && what == 6 && more) {
            len += fuzz_step_write(&step, out + len, room - len);
        } else if (i == place) {
            continue;
        }
        len += more ? fuzz_step_write(&step, out + len, room - len) : 0;
    }
    return len;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static uint8_t out[INPUT_MAX];
    uint64_t chance = seed;
    unsigned what = fuzz_below(&chance, 8);
    size_t room = max_size < sizeof out ? max_size : sizeof out, len = 0;
    if (what == 0) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    if (what == 1) {
        for (unsigned left = 1 + fuzz_below(&chance, 4); left > 0; left--) {
            len += fuzz_script_draw(&chance, fuzz_below(&chance, 4), out + len, room - len);
        }
    } else {
        len = rewrite(data, size, &chance, out, room);
    }
    memcpy(data, out, len);
    return len;
}
