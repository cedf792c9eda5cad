/* What is done to a valid archive, so that it may be one no more. */
#include <string.h>

#include "tests/fuzz/shape.h"

/* Makes room for, or takes away, `by` bytes at `at`; landings behind move along, or (half the time)
 * do not. */
static void move_tail(struct fuzz_shape *shape, size_t at, int by)
{
    struct fuzz_input *input = &shape->input;
    size_t from = by < 0 ? at + (size_t)-by : at, to = by < 0 ? at : at + (size_t)by;
    if (from > input->len || to + (input->len - from) > FUZZ_ARCHIVE_MAX) {
        return;
    }
    memmove(input->archive + to, input->archive + from, input->len - from);
    input->len = to + (input->len - from);
    for (unsigned i = 0; i < input->landing_count && fuzz_below(&shape->chance, 2) == 0; i++) {
        if (input->landings[i].position > at) {
            input->landings[i].position = (uint16_t)(input->landings[i].position + by);
        }
    }
}

/* A length in one of its longer forms: true, too large, or of bytes that nobody has. */
static void lengthen(struct fuzz_shape *shape, size_t at)
{
    struct fuzz_input *input = &shape->input;
    unsigned form = fuzz_below(&shape->chance, 3);
    int bytes = 2 << form;
    uint64_t len = input->archive[at];
    switch (fuzz_below(&shape->chance, 4)) {
    case 0:
        break;
    case 1:
        len = UINT64_MAX >> fuzz_below(&shape->chance, 64);
        break;
    case 2:
        len = input->len - at + fuzz_below(&shape->chance, 16);
        break;
    default:
        len = (uint64_t)1 << fuzz_below(&shape->chance, 64);
        break;
    }
    if (input->len + (size_t)bytes <= FUZZ_ARCHIVE_MAX) {
        move_tail(shape, at, bytes);
        input->archive[at] = (uint8_t)(WB_LEN_U16 + form);
        memcpy(input->archive + at + 1, &len, (size_t)bytes);
    }
}

static void disturb_byte(struct fuzz_shape *shape, size_t at)
{
    static const uint8_t telling[] = {0, 1, 2, 3, 7, 64, 127, 128, 251, 252, 253, 254, 255};
    uint8_t *byte = &shape->input.archive[at];
    switch (fuzz_below(&shape->chance, 4)) {
    case 0:
        *byte = (uint8_t)(*byte + 1);
        break;
    case 1:
        *byte = (uint8_t)(*byte - 1);
        break;
    default:
        *byte = telling[fuzz_below(&shape->chance, sizeof telling)];
        break;
    }
}

static void disturb_landing(struct fuzz_shape *shape)
{
    struct fuzz_input *input = &shape->input;
    struct fuzz_landing *landing =
        &input->landings[fuzz_below(&shape->chance, input->landing_count)];
    switch (fuzz_below(&shape->chance, 6)) {
    case 0:
        landing->kind ^= 1;
        break;
    case 1:
        landing->len = (uint16_t)(landing->len + 7 - fuzz_below(&shape->chance, 15));
        break;
    case 2:
        landing->position = (uint16_t)(landing->position + 2 - fuzz_below(&shape->chance, 5));
        break;
    case 3:
        *landing = input->landings[--input->landing_count];
        break;
    case 4:
        input->landing_count--; /* the last: a mark without a chunk */
        break;
    default:
        if (input->landing_count < FUZZ_LANDINGS) {
            input->landings[input->landing_count++] = *landing;
        }
        break;
    }
}

/* Puts a piece of the archive elsewhere. */
static void splice(struct fuzz_shape *shape)
{
    struct fuzz_input *input = &shape->input;
    size_t from = fuzz_below(&shape->chance, (unsigned)input->len);
    size_t to = fuzz_below(&shape->chance, (unsigned)input->len);
    size_t longest = input->len - (from > to ? from : to);
    size_t len = 1 + fuzz_below(&shape->chance, (unsigned)longest);
    memmove(input->archive + to, input->archive + from, len);
}

void fuzz_shape_disturb(struct fuzz_shape *shape)
{
    struct fuzz_input *input = &shape->input;
    size_t at = input->len;
    if (shape->mark_count > 0) {
        at = shape->marks[fuzz_below(&shape->chance, shape->mark_count)];
    }
    unsigned what = fuzz_below(&shape->chance, 10);
    if (what < 3 && input->landing_count > 0) {
        disturb_landing(shape);
    } else if (at >= input->len || what == 3) {
        input->fails_at = (uint8_t)(1 + fuzz_below(&shape->chance, 4));
        input->flags |= (uint8_t)(fuzz_below(&shape->chance, 2) * FUZZ_LATER);
    } else if (what < 7) {
        disturb_byte(shape, at);
    } else if (what == 7) {
        lengthen(shape, at);
    } else if (what == 8) {
        splice(shape);
    } else {
        move_tail(shape, at, (int)fuzz_below(&shape->chance, 9) - 6);
    }
}
