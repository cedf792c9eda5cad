#include "tests/fuzz/script.h"

#include <string.h>

#include "engine/filter.h"
#include "engine/wire.h"
#include "serial/chunk_list.h"
#include "tests/fuzz/actions.h"
#include "tests/fuzz/shape.h"
#include "tests/fuzz/tape.h"

static bool has_bytes(enum fuzz_step_kind kind)
{
    return kind <= FUZZ_HELLO || kind == FUZZ_LAY;
}

bool fuzz_step_next(const uint8_t *data, size_t size, size_t *at, struct fuzz_step *step)
{
    if (size - *at < 2) {
        return false;
    }
    *step = (struct fuzz_step){.kind = (enum fuzz_step_kind)(data[*at] % 16 % FUZZ_STEPS),
                               .of_server = (data[*at] & 16) != 0,
                               .byte = data[*at + 1],
                               .bytes = data + *at + 2};
    *at += 2;
    if (has_bytes(step->kind)) {
        size_t left = size - *at;
        size_t len = left >= 2 ? data[*at] | (size_t)data[*at + 1] << 8 : 0;
        *at += left >= 2 ? 2 : left;
        step->bytes = data + *at;
        step->len = len < size - *at ? len : size - *at;
        *at += step->len;
    }
    return true;
}

size_t fuzz_step_write(const struct fuzz_step *step, uint8_t *out, size_t room)
{
    size_t head = has_bytes(step->kind) ? 4 : 2;
    size_t len = head == 4 ? step->len : 0;
    if (head + len > room) {
        return 0;
    }
    out[0] = (uint8_t)((unsigned)step->kind | (step->of_server ? 16U : 0U));
    out[1] = step->byte;
    if (head == 4) {
        out[2] = (uint8_t)len;
        out[3] = (uint8_t)(len >> 8);
        memcpy(out + 4, step->bytes, len);
    }
    return head + len;
}

/* ---- messages ---- */

struct message {
    size_t len;
    uint8_t bytes[2 * FUZZ_ARCHIVE_MAX];
};

static struct message message, laid;
static struct fuzz_shape drawn;

static void add(struct message *to, const void *bytes, size_t len)
{
    if (to->len + len <= sizeof to->bytes) {
        memcpy(to->bytes + to->len, bytes, len);
        to->len += len;
    }
}

static void add_id(struct message *to, uint64_t id)
{
    uint8_t bytes[WBI_ID_BYTES];
    wbi_id_encode(id, bytes);
    add(to, bytes, sizeof bytes);
}

static void add_record(struct message *to, unsigned kind, uint64_t len, uint64_t address,
                       uint64_t *chance)
{
    static const uint8_t odd[] = {TAPE_KEY_REVOKED, TAPE_KEY_STUCK, TAPE_KEY_FOREIGN};
    struct wbi_chunk_record record = {.kind = (uint8_t)kind, .len = len, .address = address};
    uint8_t bytes[WBI_CHUNK_RECORD_MAX];
    if (kind != WB_CHUNK_INDEX) {
        record.key_len = TAPE_KEY;
        record.key[0] = fuzz_below(chance, 12) == 0 ? odd[fuzz_below(chance, 3)] : 1;
    }
    add(to, bytes, wbi_chunk_record_encode(&record, bytes));
}

/* The list of the landings that the shape has; returns its records. */
static uint32_t add_list(struct message *to, uint64_t *chance)
{
    const struct fuzz_input *input = &drawn.input;
    uint64_t from = 0;
    uint32_t records = 0;
    for (unsigned i = 0; i < input->landing_count; i++) {
        const struct fuzz_landing *landing = &input->landings[i];
        add_record(to, WB_CHUNK_INDEX, landing->position - from, from, chance);
        add_record(to, landing->kind, landing->len, fuzz_below(chance, 100), chance);
        from = landing->position;
        records += 2;
    }
    if (records > 0 && from < input->len) {
        add_record(to, WB_CHUNK_INDEX, input->len - from, from, chance);
        records++;
    }
    return records;
}

/* The archive as lz4 writes what it cannot make shorter. */
static void add_literals(struct message *to, const uint8_t *bytes, size_t len)
{
    uint8_t token = (uint8_t)((len < 15 ? len : 15) << 4);
    add(to, &token, 1);
    for (size_t left = len; left >= 15; left -= 255) {
        uint8_t more = (uint8_t)(left - 15 < 255 ? left - 15 : 255);
        add(to, &more, 1);
        if (more < 255) {
            break;
        }
    }
    add(to, bytes, len);
}

/* The archive as it is sent: sometimes filtered. Returns the flag. */
static uint8_t draw_filter(struct message *to, bool may_filter, uint64_t *chance)
{
    static uint8_t packed[FUZZ_ARCHIVE_MAX];
    const struct fuzz_input *input = &drawn.input;
    to->len = 0;
    if (fuzz_below(chance, 4) != 0 || !may_filter || input->len == 0) {
        add(to, input->archive, input->len);
        return 0;
    }
    size_t len = wbi_filter_apply(input->archive, input->len, packed);
    if (len > 0) {
        add(to, packed, len);
    } else {
        add_id(to, input->len);
        add_literals(to, input->archive, input->len);
    }
    return WBI_FLAG_FILTERED;
}

/* Header, list and archive, each on board or (sometimes) in `laid`, to be READ. */
static void compose(struct wbi_header *header, uint64_t *chance)
{
    static struct message list, archive;
    list.len = laid.len = message.len = 0;
    header->chunk_count = add_list(&list, chance);
    header->flags = draw_filter(&archive, header->status == 0, chance);
    bool long_archive = fuzz_below(chance, 6) == 0 && archive.len > 0;
    bool long_list = list.len > 0 && fuzz_below(chance, 6) == 0;
    if (long_archive || long_list || list.len > 0) {
        header->flags =
            (uint8_t)(header->flags | WBI_FLAG_LEASED | (long_archive ? WBI_FLAG_LONG_ARCHIVE : 0) |
                      (long_list ? WBI_FLAG_LONG_LIST : 0));
    }
    uint8_t head[WBI_REQUEST_BYTES];
    add(&message, head, wbi_header_encode(header, head));
    if ((header->flags & WBI_FLAG_LEASED) != 0) {
        add_id(&message, 1 + fuzz_below(chance, 4));
    }
    if (long_archive) {
        add_record(&message, WB_CHUNK_RMA, archive.len, laid.len, chance);
        add(&laid, archive.bytes, archive.len);
    }
    if (long_list) {
        add_record(&message, WB_CHUNK_RMA, list.len, laid.len, chance);
        add(&laid, list.bytes, list.len);
    } else {
        add(&message, list.bytes, list.len);
    }
    if (!long_archive) {
        add(&message, archive.bytes, archive.len);
    }
}

static const struct wb_field *draw_fields(uint64_t *chance, unsigned *action)
{
    const struct wb_field *of[] = {all_in_fields, never_in_fields, sum_in_fields};
    unsigned choice = fuzz_below(chance, 5);
    *action = choice < 3 ? choice : 0;
    return of[*action];
}

static void draw_archive(const struct wb_field *fields, unsigned disturbances, uint64_t *chance)
{
    drawn.chance = *chance * 31 + 7;
    drawn.chunks = fuzz_below(chance, 3) != 0;
    fuzz_shape_draw_fields(&drawn, fields);
    if (disturbances > 0) {
        fuzz_shape_disturb(&drawn);
    }
}

/* ---- steps ---- */

/* What is being written. */
struct draft {
    uint8_t *out;
    size_t len, room;
    unsigned bundled; /* messages that are still to be parcels of a bundle */
};

static void put(struct draft *draft, struct fuzz_step step)
{
    draft->len += fuzz_step_write(&step, draft->out + draft->len, draft->room - draft->len);
}

static void put_message(struct draft *draft, struct fuzz_step step, unsigned disturbances,
                        uint64_t *chance)
{
    bool bundled = draft->bundled > 0; /* without a turn, and what is laid stays the first's */
    draft->bundled -= bundled;
    if (laid.len > 0 && !bundled) {
        put(draft, (struct fuzz_step){.kind = FUZZ_LAY, .len = laid.len, .bytes = laid.bytes});
    }
    for (unsigned i = 1; i < disturbances && message.len > 0; i++) {
        size_t at = fuzz_below(chance, message.len < 160 ? (unsigned)message.len : 160);
        message.bytes[at] ^= (uint8_t)(1U << fuzz_below(chance, 8));
    }
    step.bytes = message.bytes;
    step.len = message.len < TAPE_EAGER ? message.len : TAPE_EAGER;
    put(draft, step);
    if (!bundled) {
        put(draft, (struct fuzz_step){.kind = FUZZ_TURN, .byte = (uint8_t)fuzz_below(chance, 6)});
    }
}

static void put_request(struct draft *draft, bool of_server, unsigned disturbances,
                        uint64_t *chance)
{
    unsigned action;
    struct wbi_header header = {.kind = WBI_REQUEST, .call_id = fuzz_below(chance, 4)};
    draw_archive(draw_fields(chance, &action), disturbances, chance);
    header.reply_room = fuzz_below(chance, 3) * 40000;
    header.deadline_us = fuzz_below(chance, 2) * 20000;
    compose(&header, chance);
    put_message(
        draft,
        (struct fuzz_step){.kind = FUZZ_REQUEST, .of_server = of_server, .byte = (uint8_t)action},
        disturbances, chance);
}

/* A call of the engine's and its reply. */
static void put_reply(struct draft *draft, unsigned disturbances, uint64_t *chance)
{
    struct wbi_header header = {.kind = WBI_REPLY, .credits = 1};
    uint8_t what = (uint8_t)fuzz_below(chance, 256);
    put(draft, (struct fuzz_step){.kind = FUZZ_CALL, .of_server = true, .byte = what});
    put(draft, (struct fuzz_step){.kind = FUZZ_TURN, .byte = 3});
    draw_archive(what % 2 == 0 ? sum_out_fields : all_out_fields, disturbances, chance);
    if (fuzz_below(chance, 8) == 0) {
        header.status = -(int32_t)fuzz_below(chance, 40);
        drawn.input.landing_count = 0;
    }
    compose(&header, chance);
    put_message(draft, (struct fuzz_step){.kind = FUZZ_REPLY, .of_server = true}, disturbances,
                chance);
}

static void put_control(struct draft *draft, unsigned disturbances, uint64_t *chance)
{
    struct wbi_header header = {.kind = WBI_CONTROL,
                                .credits = (uint16_t)fuzz_below(chance, 4),
                                .release_count = fuzz_below(chance, 4),
                                .cancel_count = fuzz_below(chance, 3)};
    uint8_t head[WBI_CONTROL_BYTES];
    message.len = laid.len = 0;
    add(&message, head, wbi_header_encode(&header, head));
    for (uint32_t i = 0; i < header.release_count + header.cancel_count; i++) {
        add_id(&message, fuzz_below(chance, 4));
    }
    put_message(draft,
                (struct fuzz_step){.kind = FUZZ_CONTROL,
                                   .of_server = fuzz_below(chance, 2) == 0,
                                   .byte = (uint8_t)fuzz_below(chance, 8)},
                disturbances, chance);
}

static void put_hello(struct draft *draft, unsigned disturbances, uint64_t *chance)
{
    struct wbi_hello hello = {.version_min = 1,
                              .version_max = (uint8_t)(1 + fuzz_below(chance, 2)),
                              .eager_bytes = 512U << fuzz_below(chance, 5),
                              .credits = fuzz_below(chance, 64),
                              .read_depth = fuzz_below(chance, 9),
                              .features = fuzz_below(chance, 4)};
    bool of_server = fuzz_below(chance, 2) == 0;
    put(draft, (struct fuzz_step){.kind = FUZZ_LOSE, .of_server = of_server});
    put(draft, (struct fuzz_step){.kind = FUZZ_TURN, .byte = 2});
    message.len = WBI_HELLO_BYTES;
    laid.len = 0;
    wbi_hello_encode(&hello, message.bytes);
    put_message(draft, (struct fuzz_step){.kind = FUZZ_HELLO, .of_server = of_server}, disturbances,
                chance);
}

/* Some requests in one message. */
static void put_bundle(struct draft *draft, unsigned disturbances, uint64_t *chance)
{
    bool of_server = fuzz_below(chance, 2) == 0;
    unsigned count = 2 + fuzz_below(chance, 3);
    unsigned early = disturbances > 1 && fuzz_below(chance, 4) == 0 ? fuzz_below(chance, 8) : 0;
    put(draft, (struct fuzz_step){.kind = FUZZ_BUNDLE,
                                  .of_server = of_server,
                                  .byte = (uint8_t)(count | early << 5)});
    draft->bundled = count;
    for (unsigned i = 0; i < count; i++) {
        put_request(draft, of_server, disturbances, chance);
    }
    put(draft, (struct fuzz_step){.kind = FUZZ_TURN, .byte = (uint8_t)fuzz_below(chance, 6)});
}

size_t fuzz_script_draw(uint64_t *chance, unsigned disturbances, uint8_t *out, size_t room)
{
    struct draft draft = {.out = out, .room = room};
    switch (fuzz_below(chance, 12)) {
    case 0:
        put_hello(&draft, disturbances, chance);
        break;
    case 1:
    case 2:
        put_control(&draft, disturbances, chance);
        break;
    case 3:
    case 4:
    case 5:
        put_reply(&draft, disturbances, chance);
        break;
    case 6:
        put(&draft, (struct fuzz_step){.kind = FUZZ_DEAF,
                                       .of_server = fuzz_below(chance, 2) == 0,
                                       .byte = (uint8_t)fuzz_below(chance, 4)});
        put(&draft, (struct fuzz_step){.kind = FUZZ_PASS, .byte = (uint8_t)fuzz_below(chance, 24)});
        break;
    case 7:
    case 8:
        put_bundle(&draft, disturbances, chance);
        break;
    default:
        put_request(&draft, fuzz_below(chance, 2) == 0, disturbances, chance);
        break;
    }
    return draft.len;
}
