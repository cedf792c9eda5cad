#include "tests/engine/forge.h"

#include <string.h>

#include "tests/support/program.h"

void test_forge_header(struct test_forgery *forgery, const struct wbi_header *header)
{
    memset(forgery->bytes, 0, sizeof forgery->bytes);
    forgery->len = wbi_header_encode(header, forgery->bytes);
}

void test_forge_bytes(struct test_forgery *forgery, const void *bytes, size_t len)
{
    test_check(forgery->len + len <= sizeof forgery->bytes, "the forgery is too long");
    memcpy(forgery->bytes + forgery->len, bytes, len);
    forgery->len += len;
}

void test_forge_id(struct test_forgery *forgery, uint64_t id)
{
    uint8_t bytes[WBI_ID_BYTES];
    wbi_id_encode(id, bytes);
    test_forge_bytes(forgery, bytes, sizeof bytes);
}

void test_forge_record(struct test_forgery *forgery, const struct wbi_chunk_record *record)
{
    uint8_t bytes[WBI_CHUNK_RECORD_MAX];
    test_forge_bytes(forgery, bytes, wbi_chunk_record_encode(record, bytes));
}

struct wbi_header test_forge_request(struct wb_action *action, uint64_t call_id, uint8_t flags,
                                     uint32_t chunks)
{
    wb_action_prepare(action);
    return (struct wbi_header){.kind = WBI_REQUEST,
                               .flags = flags,
                               .chunk_count = chunks,
                               .call_id = call_id,
                               .action = atomic_load(&action->id),
                               .signature = atomic_load(&action->signature)};
}

struct wbi_chunk_record test_forge_index(uint64_t offset, uint64_t len)
{
    return (struct wbi_chunk_record){.kind = WB_CHUNK_INDEX, .len = len, .address = offset};
}

struct wbi_chunk_record test_forge_chunk(uint8_t kind, uint64_t len, uint8_t key_len, uint8_t fill)
{
    struct wbi_chunk_record record = {.kind = kind, .key_len = key_len, .len = len};
    memset(record.key, fill, key_len);
    return record;
}

struct wbi_chunk_record test_forge_offered(const struct wbi_offer *offer, uint8_t kind,
                                           uint64_t len)
{
    struct wbi_chunk_record record = {
        .kind = kind, .key_len = (uint8_t)offer->key_len, .len = len, .address = offer->address};
    memcpy(record.key, offer->key, offer->key_len);
    return record;
}
