/* What goes wrong on purpose: remote errors, actions that are not there or are others, addresses.
 */
#include <stdio.h>
#include <string.h>

#include "tests/conformance/world.h"

/* An action that no engine here has. */
WB_ACTION(unheard_of, TEST_ADD_IN, TEST_NONE)

static void assert_fails(int code, const char *text, const char *expected)
{
    struct wb_error error = {.code = -99, .text = "not touched"};
    struct wb_call_options options = {.error = &error};
    struct fail_in in = {.code = code, .text = wb_str_of(text)};
    struct fail_out out;
    test_assert_status(fail_call(test_world.peer, &in, &out, &options), WB_ERR_REMOTE);
    ck_assert_int_eq(error.code, code);
    ck_assert_str_eq(error.text, expected);
    fail_out_drop(&out);
}

START_TEST(test_remote_errors_have_code_and_text)
{
    char longest[300];
    char expected[120];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    snprintf(expected, sizeof expected, "%.119s", longest);
    test_world_open(1);
    assert_fails(1, "", "");
    assert_fails(42, "no such dog", "no such dog");
    assert_fails(INT32_MAX, "100% of it", "100% of it");
    assert_fails(7, longest, expected);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "xxx"));
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

START_TEST(test_an_error_is_told_without_a_place_for_it)
{
    test_world_open(1);
    struct fail_in in = {.code = 3, .text = wb_str_of("spilt milk")};
    struct fail_out out;
    test_assert_status(fail_call(test_world.peer, &in, &out, NULL), WB_ERR_REMOTE);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "spilt milk"));
    test_world_close();
}
END_TEST

START_TEST(test_a_peers_words_are_no_terminal_codes)
{
    test_world_open(1);
    struct wb_error error = {0};
    struct wb_call_options options = {.error = &error};
    struct fail_in in = {.code = 3, .text = wb_str_of("a\033[31mred\nline\x7f")};
    struct fail_out out;
    test_assert_status(fail_call(test_world.peer, &in, &out, &options), WB_ERR_REMOTE);
    for (const char *at = error.text; *at != '\0'; at++) {
        ck_assert_msg(*at >= ' ' && *at != 0x7f, "byte %d in the text", *at);
    }
    test_world_close();
}
END_TEST

START_TEST(test_a_handlers_own_status)
{
    static const int statuses[] = {WB_ERR_BUDGET, WB_ERR_INVALID, WB_ERR_NO_MEMORY};
    test_world_open(1);
    for (unsigned i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        struct give_status_in in = {.status = statuses[i]};
        struct give_status_out out;
        test_assert_status(give_status_call(test_world.peer, &in, &out, NULL), statuses[i]);
    }
    test_world_close();
}
END_TEST

START_TEST(test_unknown_action)
{
    test_world.server_config.credits = 2; /* none of which may get lost */
    test_world_open(1);
    struct unheard_of_in in = {.a = 1};
    struct unheard_of_out out;
    for (unsigned i = 0; i < 10; i++) {
        test_assert_status(unheard_of_call(test_world.peer, &in, &out, NULL),
                           WB_ERR_UNKNOWN_ACTION);
    }
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

START_TEST(test_signature_mismatch)
{
    test_world_open(1);
    test_assert_status(test_shape_call(test_world.peer), WB_ERR_SIGNATURE);
    test_assert_status(test_shape_call_right(test_world.peer), WB_OK);
    test_assert_status(test_shape_call(test_world.peer), WB_ERR_SIGNATURE);
    test_world_close();
}
END_TEST

START_TEST(test_an_action_is_registered_once)
{
    test_world_open(1);
    test_assert_status(test_shape_register(test_world.engine), WB_ERR_EXISTS);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "shape"));
    test_world_close();
}
END_TEST

START_TEST(test_arguments_that_cannot_be)
{
    test_world_open(1);
    static const size_t lengths[] = {1,
                                     100,
                                     5000,
                                     (size_t)1 << 40,
                                     PTRDIFF_MAX,
                                     (size_t)PTRDIFF_MAX + 1,
                                     SIZE_MAX - 64,
                                     SIZE_MAX - 40,
                                     SIZE_MAX - 8,
                                     SIZE_MAX};
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct digest_in in = {.raw = {.data = NULL, .len = lengths[i]}};
        struct digest_out out;
        int status = digest_call(test_world.peer, &in, &out, NULL);
        ck_assert_msg(status == WB_ERR_INVALID || status == WB_ERR_BUDGET, "%zu bytes at NULL: %s",
                      lengths[i], wb_status_name(status));
        struct wb_call_options copy = {.flags = WB_CALL_COPY};
        status = digest_call(test_world.peer, &in, &out, &copy);
        ck_assert_msg(status == WB_ERR_INVALID || status == WB_ERR_BUDGET, "%zu bytes at NULL: %s",
                      lengths[i], wb_status_name(status));
    }
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

/* ---- addresses ---- */

/* Connecting is refused at once, or as soon as the fabric knows. */
static void assert_refused(const char *url)
{
    struct wb_peer *peer = NULL;
    int status = wb_connect(test_world.engine, url, &peer);
    if (status == WB_OK) {
        status = wb_peer_wait(peer, test_patience_us);
        ck_assert_int_eq(wb_peer_state(peer), WB_PEER_LOST);
        ck_assert_ptr_nonnull(strstr(wb_peer_reason(peer), url));
        wb_peer_close(peer);
    }
    test_assert_status(status, WB_ERR_REFUSED);
    ck_assert_msg(strstr(wb_last_error(), url) != NULL, "\"%s\" does not name %s", wb_last_error(),
                  url);
}

START_TEST(test_connection_refused)
{
    char nobody[TEST_URL_BYTES];
    test_world_open(1);
    test_world_url(77, nobody);
    for (unsigned i = 0; i < 3; i++) {
        assert_refused(nobody);
    }
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

START_TEST(test_calls_to_nobody)
{
    char nobody[TEST_URL_BYTES];
    struct wb_peer *peer = NULL;
    test_world_open(1);
    test_world_url(77, nobody);
    if (wb_connect(test_world.engine, nobody, &peer) == WB_OK) {
        struct add_in in = {.a = 1};
        struct add_out out;
        test_assert_status(add_call(peer, &in, &out, NULL), WB_ERR_NOT_SENT);
        test_assert_status(add_call(peer, &in, &out, NULL), WB_ERR_NOT_SENT);
        wb_peer_close(peer);
    }
    test_world_close();
}
END_TEST

START_TEST(test_name_in_use)
{
    struct wb_engine *second = NULL;
    char url[TEST_URL_BYTES];
    test_world_open(1);
    test_world_own_url(0, url);
    if (test_world.fabric->make_own_url != NULL) { /* the server has it on another host */
        test_assert_status(wb_listen(test_world.engine, url), WB_OK);
    }
    test_assert_status(wb_listen(test_world.engine, url), WB_ERR_IN_USE);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), strstr(url, "://") + 3));
    test_assert_status(wb_engine_create(&test_world.client_config, &second), WB_OK);
    test_assert_status(wb_listen(second, url), WB_ERR_IN_USE);
    wb_engine_destroy(second);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

static void assert_bad_url(const char *url, int wanted)
{
    struct wb_peer *peer = NULL;
    int status = wb_listen(test_world.engine, url);
    ck_assert_msg(status == wanted, "listen at \"%s\": %s", url ? url : "(null)",
                  wb_status_name(status));
    ck_assert_uint_gt(strlen(wb_last_error()), 0);
    status = wb_connect(test_world.engine, url, &peer);
    ck_assert_msg(status == wanted, "connect to \"%s\": %s", url ? url : "(null)",
                  wb_status_name(status));
    ck_assert_ptr_null(peer);
}

START_TEST(test_bad_urls)
{
    static const char *const no_urls[] = {NULL, "",     "x",      ":",     "//",
                                          ":/", "shm:", "shm:/a", "shm//a"};
    static const char *const no_fabrics[] = {"://",      "://a",    "nosuch://a", "sh://a",
                                             "shmm://a", "SHM://a", " shm://a"};
    char url[TEST_URL_BYTES];
    test_world_open(1);
    for (unsigned i = 0; i < sizeof no_urls / sizeof no_urls[0]; i++) {
        assert_bad_url(no_urls[i], WB_ERR_BAD_URL);
    }
    for (unsigned i = 0; i < sizeof no_fabrics / sizeof no_fabrics[0]; i++) {
        assert_bad_url(no_fabrics[i], WB_ERR_NO_FABRIC);
    }
    for (const char *const *bad = test_world.fabric->bad_addresses; *bad != NULL; bad++) {
        snprintf(url, sizeof url, "%s://%s", test_world.fabric->scheme, *bad);
        assert_bad_url(url, WB_ERR_BAD_URL);
    }
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

TCase *test_errors_case(void)
{
    const TTest *const tests[] = {test_remote_errors_have_code_and_text,
                                  test_an_error_is_told_without_a_place_for_it,
                                  test_a_peers_words_are_no_terminal_codes,
                                  test_a_handlers_own_status,
                                  test_unknown_action,
                                  test_signature_mismatch,
                                  test_an_action_is_registered_once,
                                  test_arguments_that_cannot_be,
                                  test_connection_refused,
                                  test_calls_to_nobody,
                                  test_name_in_use,
                                  test_bad_urls};
    return test_world_case("errors", tests, sizeof tests / sizeof tests[0]);
}
