/* Statuses: each has its own name, which is the enum's, and a sentence. */
#include <stdio.h>
#include <string.h>

#include "engine/fabric.h"
#include "tests/support/program.h"

#define STATUSES(S)                                                                                \
    S(WB_OK, 0)                                                                                    \
    S(WB_AGAIN, -1)                                                                                \
    S(WB_ERR_INVALID, -2)                                                                          \
    S(WB_ERR_NO_MEMORY, -3)                                                                        \
    S(WB_ERR_BUDGET, -4)                                                                           \
    S(WB_ERR_SHARED, -5)                                                                           \
    S(WB_ERR_BAD_URL, -6)                                                                          \
    S(WB_ERR_NO_FABRIC, -7)                                                                        \
    S(WB_ERR_IN_USE, -8)                                                                           \
    S(WB_ERR_REFUSED, -9)                                                                          \
    S(WB_ERR_VERSION, -10)                                                                         \
    S(WB_ERR_PROTOCOL, -11)                                                                        \
    S(WB_ERR_UNKNOWN_ACTION, -12)                                                                  \
    S(WB_ERR_SIGNATURE, -13)                                                                       \
    S(WB_ERR_REMOTE, -14)                                                                          \
    S(WB_ERR_TIMED_OUT, -15)                                                                       \
    S(WB_ERR_CANCELLED, -16)                                                                       \
    S(WB_ERR_PEER_LOST, -17)                                                                       \
    S(WB_ERR_NOT_SENT, -18)                                                                        \
    S(WB_ERR_REPLY_TOO_LARGE, -19)                                                                 \
    S(WB_ERR_MALFORMED, -20)                                                                       \
    S(WB_ERR_DEADLOCK, -21)                                                                        \
    S(WB_ERR_CLOSED, -22)                                                                          \
    S(WB_ERR_REVOKED, -23)                                                                         \
    S(WB_ERR_SYSTEM, -24)                                                                          \
    S(WB_ERR_EXISTS, -25)                                                                          \
    S(WB_ERR_BUSY, -26)                                                                            \
    S(WB_END, -27)

static const struct {
    int status, value;
    const char *name;
} statuses[] = {
#define ROW(status, value) {status, value, #status},
    STATUSES(ROW)
#undef ROW
};
enum { COUNT = sizeof statuses / sizeof statuses[0] };

START_TEST(test_values_are_the_wires)
{
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(statuses[i].status, statuses[i].value);
    }
}
END_TEST

START_TEST(test_names_are_the_enums)
{
    for (int i = 0; i < COUNT; i++) {
        ck_assert_str_eq(wb_status_name(statuses[i].status), statuses[i].name);
    }
}
END_TEST

/* A status that was added without a row above fails here. */
START_TEST(test_there_are_no_others)
{
    static const int strange[] = {-COUNT, -COUNT - 1, -1000, INT32_MIN, 1, 42, INT32_MAX};
    for (unsigned i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        ck_assert_str_eq(wb_status_name(strange[i]), "WB_ERR_UNKNOWN");
        ck_assert_uint_gt(strlen(wb_status_text(strange[i])), 0);
    }
}
END_TEST

START_TEST(test_texts_are_one_line_and_differ)
{
    for (int i = 0; i < COUNT; i++) {
        const char *text = wb_status_text(statuses[i].status);
        ck_assert_uint_gt(strlen(text), 0);
        ck_assert_ptr_null(strchr(text, '\n'));
        for (int j = 0; j < i; j++) {
            ck_assert_str_ne(text, wb_status_text(statuses[j].status));
        }
    }
}
END_TEST

START_TEST(test_the_last_error_is_bounded_and_the_threads_own)
{
    char longest[2000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    ck_assert_int_eq(wbi_error(WB_ERR_SYSTEM, "%s: %d", "open", 7), WB_ERR_SYSTEM);
    ck_assert_str_eq(wb_last_error(), "open: 7");
    wbi_error(WB_ERR_SYSTEM, "%s", longest);
    ck_assert_uint_gt(strlen(wb_last_error()), 100);
    ck_assert_uint_lt(strlen(wb_last_error()), sizeof longest);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_values_are_the_wires, test_names_are_the_enums,
                                  test_there_are_no_others, test_texts_are_one_line_and_differ,
                                  test_the_last_error_is_bounded_and_the_threads_own};
    Suite *suite = suite_create("statuses");
    suite_add_tcase(suite, test_program_case("statuses", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
