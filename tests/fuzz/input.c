#include "tests/fuzz/input.h"

#include <string.h>

static uint8_t next_byte(const uint8_t **at, const uint8_t *end)
{
    return *at < end ? *(*at)++ : 0;
}

static uint16_t next_u16(const uint8_t **at, const uint8_t *end)
{
    uint16_t low = next_byte(at, end);
    return (uint16_t)(low | next_byte(at, end) << 8);
}

void fuzz_input_read(struct fuzz_input *input, const uint8_t *data, size_t size)
{
    const uint8_t *at = data, *end = data + size;
    input->kind = next_byte(&at, end);
    input->flags = next_byte(&at, end);
    input->fails_at = next_byte(&at, end);
    input->landing_count = next_byte(&at, end) % (FUZZ_LANDINGS + 1);
    for (unsigned i = 0; i < input->landing_count; i++) {
        struct fuzz_landing *landing = &input->landings[i];
        landing->kind = next_byte(&at, end);
        landing->len = next_u16(&at, end);
        landing->position = next_u16(&at, end);
    }
    size_t left = (size_t)(end - at);
    input->len = left < FUZZ_ARCHIVE_MAX ? left : FUZZ_ARCHIVE_MAX;
    if (input->len > 0) {
        memcpy(input->archive, at, input->len);
    }
}

size_t fuzz_input_write(const struct fuzz_input *input, uint8_t *data, size_t room)
{
    uint8_t head[FUZZ_HEAD + FUZZ_LANDINGS * FUZZ_LANDING] = {
        input->kind, input->flags, input->fails_at, (uint8_t)input->landing_count};
    uint8_t *at = head + FUZZ_HEAD;
    for (unsigned i = 0; i < input->landing_count; i++) {
        const struct fuzz_landing *landing = &input->landings[i];
        *at++ = landing->kind;
        *at++ = (uint8_t)landing->len;
        *at++ = (uint8_t)(landing->len >> 8);
        *at++ = (uint8_t)landing->position;
        *at++ = (uint8_t)(landing->position >> 8);
    }
    size_t head_len = (size_t)(at - head);
    head_len = head_len < room ? head_len : room;
    memcpy(data, head, head_len);
    size_t len = input->len < room - head_len ? input->len : room - head_len;
    memcpy(data + head_len, input->archive, len);
    return head_len + len;
}
