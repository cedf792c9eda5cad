/* Leases and keys, alone. */
#include <check.h>
#include <string.h>

#include "engine/shm/lease.h"

static struct wbi_shm_leases leases;
static struct wbi_shm_head head;
static _Atomic uint64_t *const words = head.leases;
static uint8_t shelves[WBI_SHM_SHELVES_BYTES];
static struct wbi_offer offers[WBI_SHM_LEASES + 1];

static void reset(void)
{
    memset(&leases, 0, sizeof leases);
    memset(offers, 0, sizeof offers);
    for (int i = 0; i < WBI_SHM_LEASES; i++) {
        atomic_store(&words[i], 0);
    }
    wbi_shm_leases_init(&leases, &(struct wbi_shm_segment){.head = &head, .shelves = shelves});
}

static struct wbi_shm_key key_of(const struct wbi_offer *offer)
{
    struct wbi_shm_key key;
    ck_assert(wbi_shm_key_decode(offer->key, offer->key_len, &key));
    return key;
}

START_TEST(the_key_has_fixed_bytes)
{
    static const uint8_t golden[16] = {4, 3, 2, 1, 0x23, 1, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1};
    uint8_t bytes[WBI_SHM_KEY_BYTES];
    struct wbi_shm_key key = {0x01020304, 0x123, 0x0102030405060708};
    wbi_shm_key_encode(&key, bytes);
    ck_assert_mem_eq(bytes, golden, sizeof golden);
    struct wbi_shm_key back = {0, 0, 0};
    ck_assert(wbi_shm_key_decode(golden, sizeof golden, &back));
    ck_assert_mem_eq(&back, &key, sizeof key);
}
END_TEST

START_TEST(keys_that_name_no_lease)
{
    struct wbi_shm_key key = {1, WBI_SHM_LEASES - 1, 1};
    uint8_t bytes[WBI_SHM_KEY_BYTES];
    wbi_shm_key_encode(&key, bytes);
    ck_assert(wbi_shm_key_decode(bytes, 16, &key));
    ck_assert(!wbi_shm_key_decode(bytes, 15, &key));
    ck_assert(!wbi_shm_key_decode(bytes, 17, &key));
    ck_assert(!wbi_shm_key_decode(bytes, 0, &key));
    wbi_shm_key_encode(&(struct wbi_shm_key){1, WBI_SHM_LEASES, 1}, bytes);
    ck_assert(!wbi_shm_key_decode(bytes, 16, &key));
    wbi_shm_key_encode(&(struct wbi_shm_key){1, 0, 0}, bytes);
    ck_assert(!wbi_shm_key_decode(bytes, 16, &key));
}
END_TEST

START_TEST(a_lease_stands_until_it_is_ended)
{
    ck_assert_int_eq(wbi_shm_lease_take(&leases, &offers[0], 9, 0), WB_OK);
    struct wbi_shm_key key = key_of(&offers[0]);
    ck_assert_uint_eq(key.segment, 9);
    ck_assert(wbi_shm_lease_stands(&words[key.lease], key.value));
    ck_assert(wbi_shm_lease_stood(&words[key.lease], key.value));
    wbi_shm_lease_end(&leases, &offers[0]);
    ck_assert(!wbi_shm_lease_stands(&words[key.lease], key.value));
    ck_assert(!wbi_shm_lease_stood(&words[key.lease], key.value));
}
END_TEST

START_TEST(values_never_come_again)
{
    uint64_t last = 0;
    for (int i = 0; i < 5000; i++) {
        ck_assert_int_eq(wbi_shm_lease_take(&leases, &offers[0], 1, 0), WB_OK);
        ck_assert_uint_gt(key_of(&offers[0]).value, last);
        last = key_of(&offers[0]).value;
        wbi_shm_lease_end(&leases, &offers[0]);
    }
}
END_TEST

START_TEST(all_leases_are_given_once)
{
    static bool given[WBI_SHM_LEASES];
    for (int i = 0; i < WBI_SHM_LEASES; i++) {
        ck_assert_int_eq(wbi_shm_lease_take(&leases, &offers[i], 1, 0), WB_OK);
        uint32_t lease = key_of(&offers[i]).lease;
        ck_assert(!given[lease]);
        given[lease] = true;
    }
    ck_assert_int_eq(wbi_shm_lease_take(&leases, &offers[WBI_SHM_LEASES], 1, 0), WB_AGAIN);
    wbi_shm_lease_end(&leases, &offers[WBI_SHM_LEASES]); /* holds none: ignored */
    wbi_shm_lease_end(&leases, &offers[7]);
    wbi_shm_lease_end(&leases, &offers[7]);
    ck_assert_int_eq(wbi_shm_lease_take(&leases, &offers[WBI_SHM_LEASES], 1, 0), WB_OK);
    ck_assert_uint_eq(key_of(&offers[WBI_SHM_LEASES]).lease, key_of(&offers[7]).lease);
    wbi_shm_lease_end(&leases, &offers[7]); /* not the holder any more */
    struct wbi_shm_key key = key_of(&offers[WBI_SHM_LEASES]);
    ck_assert(wbi_shm_lease_stands(&words[key.lease], key.value));
}
END_TEST

START_TEST(a_small_chunk_of_user_memory_lies_on_a_shelf)
{
    static uint8_t memory[WBI_SHM_SHELF_BYTES + 1];
    uint64_t address = (uintptr_t)memory;
    memset(memory, 5, sizeof memory);
    offers[0] = (struct wbi_offer){.data = memory, .len = WBI_SHM_SHELF_BYTES};
    offers[1] = (struct wbi_offer){.data = memory, .len = WBI_SHM_SHELF_BYTES + 1};
    offers[2] = offers[0];
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(wbi_shm_lease_take(&leases, &offers[i], WBI_SHM_USER_MEMORY, address),
                         WB_OK);
    }
    ck_assert_int_eq(wbi_shm_lease_take(&leases, &offers[2], 3, 7), WB_OK);
    ck_assert_uint_eq(key_of(&offers[0]).segment, WBI_SHM_SHELVED);
    ck_assert_uint_le(offers[0].address, WBI_SHM_SHELVES_BYTES - WBI_SHM_SHELF_BYTES);
    ck_assert_mem_eq(shelves + offers[0].address, memory, WBI_SHM_SHELF_BYTES);
    ck_assert(!leases.of[offers[0].lease].user_memory);
    ck_assert_uint_eq(key_of(&offers[1]).segment, WBI_SHM_USER_MEMORY);
    ck_assert_uint_eq(offers[1].address, address);
    ck_assert_uint_eq(key_of(&offers[2]).segment, 3);
    ck_assert_uint_eq(offers[2].address, 7);
    ck_assert_uint_eq(leases.free_shelf_count, WBI_SHM_SHELVES - 1);
}
END_TEST

START_TEST(closing_ends_all)
{
    static const uint8_t memory[8];
    for (int i = 0; i < 100; i++) {
        offers[i] = (struct wbi_offer){.data = memory, .len = sizeof memory};
        ck_assert_int_eq(wbi_shm_lease_take(&leases, &offers[i], WBI_SHM_USER_MEMORY, 0), WB_OK);
    }
    ck_assert_uint_eq(leases.free_shelf_count, 0);
    wbi_shm_leases_end(&leases);
    for (int i = 0; i < WBI_SHM_LEASES; i++) {
        ck_assert_uint_eq(atomic_load(&words[i]), 0);
    }
    ck_assert_uint_eq(leases.free_count, WBI_SHM_LEASES);
    ck_assert_uint_eq(leases.free_shelf_count, WBI_SHM_SHELVES);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shm lease");
    TCase *tests = tcase_create("lease");
    tcase_add_checked_fixture(tests, reset, NULL);
    tcase_add_test(tests, the_key_has_fixed_bytes);
    tcase_add_test(tests, keys_that_name_no_lease);
    tcase_add_test(tests, a_lease_stands_until_it_is_ended);
    tcase_add_test(tests, values_never_come_again);
    tcase_add_test(tests, all_leases_are_given_once);
    tcase_add_test(tests, a_small_chunk_of_user_memory_lies_on_a_shelf);
    tcase_add_test(tests, closing_ends_all);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
