/* The sharing out of receives: whatever a device has, nobody sends what finds no receive. */
#include "engine/share.h"

#include <string.h>

#include "engine/wire.h"
#include "tests/support/program.h"

static struct wb_engine_config config;
static struct wbi_fabric_caps caps;
static struct wbi_shares shares;

static void prepare(void)
{
    wb_engine_config_default(&config);
    caps = (struct wbi_fabric_caps){.max_eager_bytes = 65536,
                                    .kept_slots = 3,
                                    .slot_sets = 1,
                                    .late_receives = 15,
                                    .channel_work = 64};
}

static void assert_sound_own(void)
{
    uint64_t other = caps.kept_slots + caps.late_receives;
    uint64_t all = shares.peers * (other + shares.credits_kept + shares.replies_kept) +
                   shares.credits_shared + shares.replies_granted;
    uint64_t work = (uint64_t)shares.peers * caps.channel_work;
    ck_assert_uint_eq(shares.receives, all);
    ck_assert_uint_eq(shares.slots, all + config.max_calls + shares.waiting + 2 * config.credits);
    ck_assert(caps.max_completions == 0 || all + work <= caps.max_completions);
    ck_assert(caps.max_receives == 0 || other + 2ULL * shares.channel_most <= caps.max_receives);
    ck_assert(shares.credits_kept >= 1 && shares.credits_kept <= shares.channel_most);
    ck_assert(shares.replies_kept >= 1 && shares.replies_kept <= shares.channel_most);
    ck_assert_uint_eq(shares.replies_shared + shares.place, 0);
    ck_assert(shares.peers >= 1 && shares.peers <= config.max_peers);
}

/* The equations of engine/share.h, and that everybody can do something. */
static void assert_sound(void)
{
    if (caps.own_receives) {
        assert_sound_own();
        return;
    }
    uint64_t each = caps.kept_slots + shares.credits_kept + shares.replies_kept;
    uint64_t all =
        caps.late_receives + shares.peers * each + shares.credits_shared + shares.replies_shared;
    uint64_t work = (uint64_t)shares.peers * caps.channel_work;
    ck_assert_uint_eq(shares.receives, all);
    ck_assert(caps.max_receives == 0 || all <= caps.max_receives);
    ck_assert(caps.max_completions == 0 || all + work <= caps.max_completions);
    ck_assert_uint_eq(shares.slots, all * caps.slot_sets + config.max_calls + shares.waiting +
                                        2 * config.credits);
    ck_assert(shares.credits_kept >= 1 && shares.replies_kept >= 1);
    ck_assert(shares.credits_kept <= config.credits);
    ck_assert(shares.peers >= 1 && shares.peers <= config.max_peers);
    ck_assert(caps.max_channels == 0 || shares.peers <= caps.max_channels);
    ck_assert_uint_le(shares.replies_shared, config.max_calls);
}

START_TEST(test_a_deep_device_gives_what_is_asked_for)
{
    static const uint32_t deep[] = {0, 1 << 20};
    for (unsigned i = 0; i < 2; i++) {
        caps.max_receives = caps.max_completions = deep[i];
        ck_assert_int_eq(wbi_share_out(&config, &caps, &shares), WB_OK);
        assert_sound();
        ck_assert_uint_eq(shares.peers, config.max_peers);
        ck_assert_uint_eq(shares.replies_shared, config.max_calls);
        ck_assert_uint_eq(shares.waiting, 0);
        ck_assert_uint_eq(shares.credits_kept, 4);
        ck_assert_uint_eq(shares.credits_shared, 16 * config.credits);
        ck_assert_uint_eq(shares.eager_bytes, config.eager_bytes);
    }
    config.credits = 2;
    ck_assert_int_eq(wbi_share_out(&config, &caps, &shares), WB_OK);
    assert_sound();
    ck_assert_uint_eq(shares.credits_kept, 2);
}
END_TEST

START_TEST(test_a_tiny_device)
{
    caps.max_receives = 256;
    caps.max_completions = 1024;
    caps.channel_work = 16;
    ck_assert_int_eq(wbi_share_out(&config, &caps, &shares), WB_OK);
    assert_sound();
    ck_assert_uint_eq(shares.peers, 41);
    ck_assert_uint_eq(shares.replies_shared, 18);
    ck_assert_uint_eq(shares.credits_shared, 18);
    ck_assert_uint_eq(shares.waiting, config.credits);
    config.max_peers = 2; /* what peers do not take is for calls */
    ck_assert_int_eq(wbi_share_out(&config, &caps, &shares), WB_OK);
    assert_sound();
    ck_assert_uint_eq(shares.peers, 2);
    ck_assert_uint_ge(shares.replies_shared, 100);
}
END_TEST

/* From what is too little for one peer to what is enough for all; more is never worse. */
START_TEST(test_every_depth)
{
    uint32_t peers = 0, first = 0;
    for (uint32_t depth = 1; depth < 20000; depth += 1 + depth / 64) {
        caps.max_receives = depth;
        caps.max_completions = 8 * depth;
        int status = wbi_share_out(&config, &caps, &shares);
        if (status != WB_OK) {
            ck_assert_int_eq(status, WB_ERR_NO_FABRIC);
            ck_assert_uint_eq(peers, 0);
            continue;
        }
        assert_sound();
        first = first == 0 ? depth : first;
        ck_assert_uint_ge(shares.peers, peers);
        peers = shares.peers;
    }
    ck_assert_uint_eq(first, 15 + 3 + 1 + 1);
    ck_assert_uint_eq(peers, config.max_peers);
}
END_TEST

START_TEST(test_receives_of_each_channels_own)
{
    caps.own_receives = true;
    caps.late_receives = 3;
    for (uint32_t depth = 1; depth < 600; depth++) {
        caps.max_receives = depth;
        int status = wbi_share_out(&config, &caps, &shares);
        ck_assert_int_eq(status, depth < 3 + 3 + 2 ? WB_ERR_NO_FABRIC : WB_OK);
        if (status == WB_OK) {
            assert_sound();
            ck_assert_uint_eq(shares.peers, config.max_peers);
        }
    }
    for (uint32_t entries = 1; entries < 100000; entries += 1 + entries / 64) {
        caps.max_completions = entries;
        int status = wbi_share_out(&config, &caps, &shares);
        ck_assert_int_eq(status, entries < 64 + 3 + 3 + 2 ? WB_ERR_NO_FABRIC : WB_OK);
        if (status == WB_OK) {
            assert_sound();
        }
    }
}
END_TEST

START_TEST(test_other_limits)
{
    caps.max_channels = 5;
    caps.slot_sets = 3;
    ck_assert_int_eq(wbi_share_out(&config, &caps, &shares), WB_OK);
    assert_sound();
    ck_assert_uint_eq(shares.peers, 5);
    caps.max_completions = 500; /* work of channels, with any number of receives */
    ck_assert_int_eq(wbi_share_out(&config, &caps, &shares), WB_OK);
    assert_sound();
    ck_assert_uint_eq(shares.peers, 5);
    caps.max_eager_bytes = 4096;
    ck_assert_int_eq(wbi_share_out(&config, &caps, &shares), WB_OK);
    ck_assert_uint_eq(shares.eager_bytes, 4096);
}
END_TEST

START_TEST(test_what_is_too_small)
{
    struct wbi_shares untouched;
    memset(&shares, 0x5a, sizeof shares);
    untouched = shares;
    caps.max_receives = 19;
    ck_assert_int_eq(wbi_share_out(&config, &caps, &shares), WB_ERR_NO_FABRIC);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "19 receives"));
    caps.max_receives = 0;
    caps.max_eager_bytes = WBI_EAGER_MIN - 1;
    ck_assert_int_eq(wbi_share_out(&config, &caps, &shares), WB_ERR_NO_FABRIC);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "511 bytes"));
    ck_assert_mem_eq(&shares, &untouched, sizeof shares);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {
        test_a_deep_device_gives_what_is_asked_for, test_a_tiny_device, test_every_depth,
        test_receives_of_each_channels_own,         test_other_limits,  test_what_is_too_small};
    Suite *suite = suite_create("share");
    TCase *tcase = test_program_case("share", tests, sizeof tests / sizeof tests[0]);
    tcase_add_checked_fixture(tcase, prepare, NULL);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
