/* Records to build lists of. */
#ifndef WAYBILL_TESTS_SERIAL_CHUNKS_H
#define WAYBILL_TESTS_SERIAL_CHUNKS_H

#include "serial/chunk_list.h"

static inline struct wbi_chunk_record test_index_chunk(uint64_t offset, uint64_t len)
{
    return (struct wbi_chunk_record){.kind = WB_CHUNK_INDEX, .len = len, .address = offset};
}

static inline struct wbi_chunk_record test_offered_chunk(uint8_t kind, uint64_t address,
                                                         uint64_t len)
{
    return (struct wbi_chunk_record){
        .kind = kind, .key_len = 4, .len = len, .address = address, .key = "key"};
}

#endif
