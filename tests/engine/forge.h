/* Messages that lie, put together piece by piece. */
#ifndef WAYBILL_TESTS_ENGINE_FORGE_H
#define WAYBILL_TESTS_ENGINE_FORGE_H

#include <waybill/waybill.h>

#include "engine/wire.h"
#include "serial/chunk_list.h"
#include "tests/engine/stranger.h"

struct test_forgery {
    size_t len;
    uint8_t bytes[TEST_STRANGER_EAGER];
};

/* Begins with a header as it is. */
void test_forge_header(struct test_forgery *forgery, const struct wbi_header *header);
void test_forge_id(struct test_forgery *forgery, uint64_t id);
void test_forge_record(struct test_forgery *forgery, const struct wbi_chunk_record *record);
void test_forge_bytes(struct test_forgery *forgery, const void *bytes, size_t len);

/* The header of a request to an action, with `chunks` records in its list. */
struct wbi_header test_forge_request(struct wb_action *action, uint64_t call_id, uint8_t flags,
                                     uint32_t chunks);

/* The record of an index chunk, and of an offered one with a key of `key_len` bytes `fill`. */
struct wbi_chunk_record test_forge_index(uint64_t offset, uint64_t len);
struct wbi_chunk_record test_forge_chunk(uint8_t kind, uint64_t len, uint8_t key_len, uint8_t fill);

/* The record of what the stranger really offers. */
struct wbi_chunk_record test_forge_offered(const struct wbi_offer *offer, uint8_t kind,
                                           uint64_t len);

#endif
