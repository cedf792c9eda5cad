/* What wb_fabric_info says of a device, and what wb_check finds on the way to a peer. */
#include <stdarg.h>
#include <string.h>

#include "tests/simverbs/scene_pair.h"
#include "tests/support/program.h"

static struct sim_pair pair;

static const struct sim_profile *const profiles[] = {&sim_profile_mlx5, &sim_profile_rxe,
                                                     &sim_profile_aries, &sim_profile_tiny};
enum { PROFILES = sizeof profiles / sizeof profiles[0] };

/* ---- what is here ---- */

static const struct wb_fabric_info *verbs_info(void)
{
    static struct wb_fabric_info info;
    for (unsigned i = 0; wb_fabric_info(i, &info) == WB_OK; i++) {
        if (strcmp(info.scheme, "verbs") == 0) {
            return &info;
        }
    }
    ck_abort_msg("there is no fabric verbs");
    return NULL;
}

static void assert_says(const char *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void assert_says(const char *text, const char *format, ...)
{
    char wanted[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(wanted, sizeof wanted, format, arguments);
    va_end(arguments);
    ck_assert_msg(strstr(text, wanted) != NULL, "no \"%s\" in:\n%s", wanted, text);
}

START_TEST(test_a_device_is_described)
{
    const struct sim_profile *profile = profiles[_i];
    bool windows = (profile->attr.device_cap_flags & IBV_DEVICE_MEM_WINDOW_TYPE_2B) != 0;
    sim_pair_open(&pair, 1, profile);
    const struct wb_fabric_info *info = verbs_info();
    ck_assert_msg(info->usable, "%s", info->why_not);
    assert_says(info->details, "device %s_0 firmware %s", profile->name,
                profile->attr.fw_ver[0] != 0 ? profile->attr.fw_ver : "none");
    assert_says(info->details, "state PORT_ACTIVE, link Ethernet (RoCE), mtu %u of %u bytes",
                128U << profile->active_mtu, 128U << profile->max_mtu);
    assert_says(info->details, "::ffff:10.0.0.1 (RoCE v2)");
    assert_says(info->details, "read_depth %d out, %d in; max_sge %d; max_sge_rd %d\n",
                profile->attr.max_qp_init_rd_atom, profile->attr.max_qp_rd_atom,
                profile->attr.max_sge, profile->attr.max_sge_rd);
    assert_says(info->details, "memory_windows %s\n", windows ? "type 2B" : "none");
    assert_says(info->details, "memlock ");
    sim_pair_close(&pair);
}
END_TEST

START_TEST(test_a_machine_without_a_link)
{
    sim_pair_open(&pair, 1, &sim_profile_mlx5);
    sim_link_set(pair.client_device, false);
    const struct wb_fabric_info *info = verbs_info();
    ck_assert(!info->usable);
    ck_assert_str_ne(info->why_not, "");
    assert_says(info->details, "state PORT_DOWN, ");
    sim_pair_close(&pair);
}
END_TEST

/* ---- what will go wrong ---- */

struct findings {
    char text[3000]; /* "good|doubt|bad LINE" */
    int bad;
};

static void note(void *context, enum wb_verdict verdict, const char *line)
{
    static const char *const words[] = {"good", "doubt", "bad"};
    struct findings *findings = context;
    size_t used = strlen(findings->text);
    snprintf(findings->text + used, sizeof findings->text - used, "%s %s\n", words[verdict], line);
    findings->bad += verdict == WB_CHECK_BAD;
}

/* What wb_check says on the client's host, with the pair's configuration. */
static const char *check(const char *url, int bad)
{
    static struct findings findings;
    findings = (struct findings){.bad = 0};
    int told = wb_check(&pair.config, url, note, &findings);
    ck_assert_msg(told == bad, "%d findings are bad, not %d:\n%s", told, bad, findings.text);
    ck_assert_int_eq(findings.bad, bad);
    return findings.text;
}

START_TEST(test_all_is_well)
{
    const struct sim_profile *profile = profiles[_i];
    sim_pair_open(&pair, 1, profile);
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
    const char *said = check(sim_pair_url, 0);
    assert_says(said, "good the way leads over %s_0, port 1\n", profile->name);
    assert_says(said, "good source GID ::ffff:10.0.0.1\n");
    assert_says(said, "%s packets of %u bytes",
                profile->active_mtu < profile->max_mtu ? "doubt" : "good",
                128U << profile->active_mtu);
    assert_says(said, "good connected in ");
    assert_says(said, "good a call with 6000 bytes was answered in ");
    sim_pair_close(&pair);
}
END_TEST

/* Found before anything is tried, and then nothing is. */
START_TEST(test_what_is_wrong_here)
{
    sim_pair_open(&pair, 1, &sim_profile_rxe);
    assert_says(check("tcp://10.0.0.2:1", 1), "bad tcp://10.0.0.2:1: there is no fabric");
    check(NULL, 1);
    check("verbs://10.0.0.2:none", 1);
    assert_says(check("verbs://*:7471", 1), "name the host that is to be reached");
    assert_says(check("verbs://192.168.9.9:7471", 1), "bad ");

    pair.config.verbs.mtu = 2048;
    const char *said = check(sim_pair_url, 1);
    assert_says(said, "bad verbs.mtu is 2048, and the port's active one is 1024 bytes");
    ck_assert_ptr_null(strstr(said, "connect"));
    pair.config.verbs = (struct wb_verbs_config){.devices = "none_0"};
    assert_says(check(sim_pair_url, 1), "none_0");
    pair.config.verbs = (struct wb_verbs_config){.mtu = 0};
    pair.config.max_calls = 0;
    assert_says(check(sim_pair_url, 1), "max_calls");
    sim_pair_close(&pair);
}
END_TEST

/* The way leads over a device that the engine does not use. */
START_TEST(test_the_wrong_device)
{
    sim_pair_open(&pair, 1, &sim_profile_mlx5);
    sim_device_add(pair.client_host, &sim_profile_rxe, "10.0.1.1");
    pair.config.verbs.devices = "rxe_1";
    const char *said = check(sim_pair_url, 1);
    assert_says(said,
                "bad the address is reached over mlx5_0, which is none of the devices in use");
    sim_pair_close(&pair);
}
END_TEST

/* Found by trying. */
START_TEST(test_what_is_wrong_there)
{
    sim_pair_open(&pair, 1, profiles[_i]);
    assert_says(check(sim_pair_url, 1), "bad no connection: ");
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
    sim_on_wait(NULL, NULL); /* the server makes no progress */
    assert_says(check(sim_pair_url, 1), "bad no connection: ");
    sim_device_stop(pair.server_device);
    assert_says(check(sim_pair_url, 1), "bad no connection: ");
    sim_device_revive(pair.server_device);
    sim_pair_close(&pair);
}
END_TEST

static void clear(void)
{
    sim_pair_clear(&pair);
}

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: what is said of the network");
    TCase *tcase = tcase_create("check");
    tcase_add_checked_fixture(tcase, NULL, clear);
    tcase_add_loop_test(tcase, test_a_device_is_described, 0, PROFILES);
    tcase_add_test(tcase, test_a_machine_without_a_link);
    tcase_add_loop_test(tcase, test_all_is_well, 0, PROFILES);
    tcase_add_test(tcase, test_what_is_wrong_here);
    tcase_add_test(tcase, test_the_wrong_device);
    tcase_add_loop_test(tcase, test_what_is_wrong_there, 0, PROFILES);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
