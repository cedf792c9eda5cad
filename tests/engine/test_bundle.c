/* What is a bundle, and what is none; and parts of slots. No engine. */
#include "engine/bundle.h"

#include <pthread.h>
#include <string.h>
#include <waybill/status.h>

#include "engine/slots.h"
#include "engine/wire.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

enum { ROOM = 4096 };

static _Alignas(64) uint8_t bytes[ROOM];
static size_t len;

/* A parcel of so many bytes behind what is there. */
static void add(size_t parcel, uint8_t kind)
{
    size_t at = wbi_bundle_next(len);
    memset(bytes + len, 0, at - len);
    wbi_bundle_put_frame(bytes + at, parcel);
    memset(bytes + at + WBI_BUNDLE_FRAME, 0xab, parcel);
    bytes[at + WBI_BUNDLE_FRAME] = kind;
    len = at + WBI_BUNDLE_FRAME + parcel;
}

static void make(unsigned parcels, size_t parcel)
{
    len = 0;
    for (unsigned i = 0; i < parcels; i++) {
        add(parcel, i % 2 == 0 ? WBI_REQUEST : WBI_REPLY);
    }
}

static int check(uint32_t *count, const char **what)
{
    return wbi_bundle_check(bytes, len, count, what);
}

static void assert_bad(const char *words)
{
    uint32_t count = 77;
    const char *what = NULL;
    ck_assert_int_eq(check(&count, &what), WB_ERR_PROTOCOL);
    ck_assert_msg(what != NULL && strstr(what, words) != NULL, "\"%s\" does not say \"%s\"", what,
                  words);
    ck_assert_uint_eq(count, 77);
}

START_TEST(test_bundles)
{
    for (size_t parcel = 1; parcel < 60; parcel++) {
        for (uint32_t parcels = 2; parcels <= WBI_BUNDLE_MOST; parcels++) {
            uint32_t count;
            const char *what;
            make(parcels, parcel);
            ck_assert_int_eq(check(&count, &what), WB_OK);
            ck_assert_uint_eq(count, parcels);
        }
    }
}
END_TEST

START_TEST(test_too_few_and_too_many)
{
    len = 0;
    assert_bad("too few");
    make(1, 40);
    assert_bad("too few");
    make(WBI_BUNDLE_MOST + 1, 40);
    assert_bad("too many");
}
END_TEST

/* Wherever it ends but where a parcel does: cut in one, in a frame, in a gap. */
START_TEST(test_cut_off)
{
    uint32_t count;
    const char *what;
    make(3, 37);
    size_t whole = len, two = 2 * wbi_bundle_next(WBI_BUNDLE_FRAME + 37) - 3;
    for (len = 1; len < whole; len++) {
        int status = check(&count, &what);
        ck_assert_int_eq(status, len == two ? WB_OK : WB_ERR_PROTOCOL);
    }
}
END_TEST

START_TEST(test_bytes_behind)
{
    for (size_t more = 1; more < 40; more++) {
        for (size_t parcel = 30; parcel < 60; parcel++) {
            make(2, parcel);
            memset(bytes + len, 0, more);
            len += more;
            assert_bad("a bundle");
        }
    }
}
END_TEST

START_TEST(test_bytes_between)
{
    make(2, 37);
    for (size_t at = WBI_BUNDLE_FRAME + 37; at < wbi_bundle_next(WBI_BUNDLE_FRAME + 37); at++) {
        bytes[at] = 1;
        assert_bad("between");
        bytes[at] = 0;
    }
}
END_TEST

/* Parcels of no bytes, of more than there are, up to where sums could turn over. */
START_TEST(test_lengths_that_lie)
{
    static const uint32_t lengths[] = {0,           36,          41,          60,         4000,
                                       0x7fffffffU, 0xfffffff0U, 0xfffffff8U, 0xffffffffU};
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (unsigned which = 0; which < 2; which++) {
            uint32_t count;
            const char *what;
            make(2, 37);
            size_t frame = which == 0 ? 0 : wbi_bundle_next(WBI_BUNDLE_FRAME + 37);
            memcpy(bytes + frame, &lengths[i], sizeof lengths[i]);
            ck_assert_int_eq(check(&count, &what), WB_ERR_PROTOCOL);
        }
    }
    make(2, 37);
    bytes[4] = 1;
    assert_bad("does not hold");
}
END_TEST

START_TEST(test_kinds_that_travel_alone)
{
    for (unsigned kind = 0; kind < 256; kind++) {
        make(2, 40);
        bytes[WBI_BUNDLE_FRAME] = (uint8_t)kind;
        if (kind != WBI_REQUEST && kind != WBI_REPLY) {
            assert_bad("no request");
        }
    }
}
END_TEST

/* Whatever it is, it is read within its bounds (AddressSanitizer), and what is accepted has parcels
 * that lie in it, one behind the other. */
START_TEST(test_random_bytes)
{
    uint64_t chance = 1;
    for (unsigned round = 0; round < 20000; round++) {
        make(2 + (unsigned)(test_pattern_random(&chance) % 4),
             1 + test_pattern_random(&chance) % 90);
        for (unsigned i = (unsigned)(test_pattern_random(&chance) % 4); i > 0; i--) {
            bytes[test_pattern_random(&chance) % len] = (uint8_t)test_pattern_random(&chance);
        }
        len -= test_pattern_random(&chance) % 3;
        uint32_t count, seen = 0;
        const char *what;
        if (check(&count, &what) == WB_OK) {
            size_t at = 0, end = 0;
            for (; at < len; seen++) {
                ck_assert_uint_ge(at, end);
                end = at + WBI_BUNDLE_FRAME + wbi_bundle_length(bytes + at);
                ck_assert_uint_le(end, len);
                at = wbi_bundle_next(end);
            }
            ck_assert_uint_eq(end, len);
            ck_assert_uint_eq(seen, count);
        }
    }
}
END_TEST

/* ---- slots ---- */

static struct wbi_slots slots;

static uint32_t free_slots(void)
{
    uint32_t count = slots.arena.count - slots.fresh;
    for (const struct wbi_free_slot *slot = slots.free; slot != NULL; slot = slot->next) {
        count++;
    }
    for (const struct wbi_free_slot *slot = slots.returned; slot != NULL; slot = slot->next) {
        count++;
    }
    return count;
}

/* A bundle in a slot: of `parcels`, those of the bits in `kept` are kept. */
static void receive(unsigned parcels, unsigned kept, uint8_t *parts[WBI_BUNDLE_MOST])
{
    uint8_t *slot = wbi_slots_take(&slots);
    ck_assert_ptr_nonnull(slot);
    make(parcels, 40);
    memcpy(slot, bytes, len);
    wbi_slots_share(slot, parcels);
    uint32_t not_kept = 0;
    for (unsigned i = 0; i < parcels; i++) {
        parts[i] = slot + i * wbi_bundle_next(WBI_BUNDLE_FRAME + 40) + WBI_BUNDLE_FRAME;
        ck_assert_uint_eq(wbi_slots_part(slot, parts[i]), 40);
        not_kept += (kept >> i & 1) == 0;
    }
    wbi_slots_shared(&slots, slot, not_kept);
}

/* A slot is free when its last part is, in whatever order, and not before. */
START_TEST(test_a_slot_outlives_its_parts)
{
    ck_assert_int_eq(wbi_slots_open(&slots, ROOM, 4), WB_OK);
    for (unsigned kept = 0; kept < 16; kept++) {
        for (unsigned first = 0; first < 4; first++) {
            uint8_t *parts[WBI_BUNDLE_MOST];
            receive(4, kept, parts);
            unsigned left = kept;
            for (unsigned i = 0; i < 4; i++) {
                unsigned which = (first + i) % 4;
                ck_assert_uint_eq(free_slots(), left == 0 ? 4 : 3);
                if ((left >> which & 1) != 0) {
                    wbi_slots_return(&slots, parts[which]);
                    left &= ~(1U << which);
                }
            }
            ck_assert_uint_eq(free_slots(), 4);
        }
    }
    wbi_slots_close(&slots);
}
END_TEST

static void *return_some(void *context)
{
    uint8_t **parts = context;
    for (unsigned i = 0; i < WBI_BUNDLE_MOST; i += 2) {
        wbi_slots_return(&slots, parts[i]);
    }
    return NULL;
}

START_TEST(test_parts_of_two_threads)
{
    ck_assert_int_eq(wbi_slots_open(&slots, ROOM, 2), WB_OK);
    for (unsigned round = 0; round < 200; round++) {
        uint8_t *parts[WBI_BUNDLE_MOST];
        pthread_t thread;
        receive(WBI_BUNDLE_MOST, (1U << WBI_BUNDLE_MOST) - 1, parts);
        ck_assert_int_eq(pthread_create(&thread, NULL, return_some, parts), 0);
        return_some(parts + 1);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        ck_assert_uint_eq(free_slots(), 2);
    }
    wbi_slots_close(&slots);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_bundles,
                                  test_too_few_and_too_many,
                                  test_cut_off,
                                  test_bytes_behind,
                                  test_bytes_between,
                                  test_lengths_that_lie,
                                  test_random_bytes,
                                  test_kinds_that_travel_alone,
                                  test_a_slot_outlives_its_parts,
                                  test_parts_of_two_threads};
    Suite *suite = suite_create("bundles");
    suite_add_tcase(suite, test_program_case("bundles", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
