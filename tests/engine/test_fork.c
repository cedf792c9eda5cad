/* fork: the child is refused whatever takes its parent's engine, and the parent notices nothing. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/engine/scene.h"

static struct test_scene scene;

/* The engines' threads have begun, and sleep: AddressSanitizer of gcc 12 does not take the locks of
 * its allocator around fork, and a thread that begins holds them (seen once in 250 runs: the child
 * waited for ever for one). */
static pid_t fork_at_rest(void)
{
    test_sleep_us(20000);
    return fork();
}

enum { BYTES = 3 << 20 };

/* What a child does ends with its number, or with 0; it must not run into Check. */
#define EXPECT(number, what)                                                                       \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            _exit(number);                                                                         \
        }                                                                                          \
    } while (0)

static bool refused(int status)
{
    return status == WB_ERR_CLOSED && strstr(wb_last_error(), "fork") != NULL;
}

static void never_called(void *user)
{
    (void)user;
    _exit(30);
}

static void use_what_is_inherited(struct wb_call *open, struct wb_call *ended)
{
    struct sum_in in = {.a = 1, .b = 2};
    struct sum_out out;
    struct wb_call *call = NULL;
    struct wb_peer *peer = NULL;
    struct wb_rma_allocator *allocator = NULL;
    static char memory[4096];
    EXPECT(1, refused(wb_progress(scene.friend)));
    EXPECT(2, refused(wb_wait(scene.friend, 1000)));
    EXPECT(3, refused(sum_call(scene.peer, &in, &out, NULL)));
    EXPECT(4, refused(sum_async(scene.peer, &in, NULL, &call)));
    EXPECT(5, refused(sum_finish(open, &out)));
    EXPECT(6, refused(sum_finish(ended, &out)));
    EXPECT(7, refused(wb_call_wait(open, 1000)));
    EXPECT(8, refused(wb_connect(scene.friend, scene.host_url, &peer)) && peer == NULL);
    EXPECT(9, refused(wb_listen(scene.host, "shm://fork")));
    EXPECT(10, refused(wb_peer_wait(scene.peer, 1000)));
    EXPECT(11, refused(wb_mr_pin(scene.friend, memory, sizeof memory, 0)));
    EXPECT(12, refused(wb_mr_unpin(scene.friend, memory, sizeof memory)));
    EXPECT(13, refused(wb_rma_allocator_create(scene.friend, NULL, &allocator)));
    uint64_t timeout_us;
    EXPECT(14, refused(wb_engine_arm(scene.friend, &timeout_us)));
    EXPECT(15, refused(wb_call_cancel(open)));
    EXPECT(16, refused(wb_call_wait_all(&open, 1, 1000)));
    EXPECT(17, refused(wb_engine_run(scene.friend, 1)));
    EXPECT(18, refused(wb_engine_halt(scene.friend)));
    EXPECT(19, refused(wb_peer_on_room(scene.peer, never_called, NULL)));
    wb_peer_close(scene.peer);
    wb_engine_destroy(scene.friend);
    wb_engine_destroy(scene.host);
}

/* Engines of the child's own; and a child of that, for which they are its parent's. */
static void make_its_own(void)
{
    struct wb_engine *engine = NULL;
    EXPECT(20, wb_engine_create(NULL, &engine) == WB_OK);
    EXPECT(21, wb_progress(engine) >= 0);
    pid_t pid = fork_at_rest();
    if (pid == 0) {
        EXPECT(1, refused(wb_progress(engine)));
        _exit(0);
    }
    int how = -1;
    EXPECT(22, waitpid(pid, &how, 0) == pid && how == 0);
    EXPECT(23, wb_progress(engine) >= 0);
    wb_engine_destroy(engine);
}

START_TEST(test_a_child_and_its_parent)
{
    struct sum_in in = {.a = 1, .b = 2};
    struct sum_out out;
    struct wb_call *open = NULL, *ended = NULL;
    wb_rma_vector vector;
    test_scene_open(&scene, NULL);
    struct wb_rma_allocator *pool = wb_engine_allocator(scene.friend);
    ck_assert_int_eq(wb_rma_vector_create(pool, 1, BYTES, &vector), WB_OK);
    test_pattern_fill(vector.data, BYTES, 1);
    ck_assert_int_eq(sum_async(scene.peer, &in, NULL, &ended), WB_OK);
    test_scene_until(&scene, wb_call_done(ended));
    ck_assert_int_eq(sum_async(scene.peer, &in, NULL, &open), WB_OK);
    pid_t pid = fork_at_rest();
    if (pid == 0) {
        use_what_is_inherited(open, ended);
        if (_i == 1) {
            make_its_own();
        }
        _exit(0);
    }
    int how = -1;
    ck_assert_int_eq(waitpid(pid, &how, 0), pid);
    ck_assert_msg(WIFEXITED(how) && WEXITSTATUS(how) == 0, "the child ended with 0x%x", how);
    ck_assert_uint_eq(test_pattern_check(vector.data, BYTES, 1), BYTES);
    test_scene_until(&scene, wb_call_done(open));
    ck_assert_int_eq(sum_finish(open, &out), WB_OK);
    ck_assert_uint_eq(out.sum, 3);
    ck_assert_int_eq(sum_finish(ended, &out), WB_OK);
    wb_rma_vector_drop(&vector);
    test_scene_assert_serves(&scene);
    test_scene_close(&scene);
}
END_TEST

/* The child has none of the parent's blocks, to write to or to read. */
START_TEST(test_blocks_are_not_the_childs)
{
    wb_rma_vector vector;
    test_scene_open(&scene, NULL);
    struct wb_rma_allocator *pool = wb_engine_allocator(scene.friend);
    ck_assert_int_eq(wb_rma_vector_create(pool, 1, BYTES, &vector), WB_OK);
    test_pattern_fill(vector.data, BYTES, 1);
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork_at_rest();
    if (pid == 0) {
        EXPECT(1, write(ends[1], vector.data, 1) < 0); /* EFAULT: it is not there */
        _exit(0);
    }
    int how = -1;
    ck_assert_int_eq(waitpid(pid, &how, 0), pid);
    ck_assert_int_eq(how, 0);
    close(ends[0]);
    close(ends[1]);
    ck_assert_uint_eq(test_pattern_check(vector.data, BYTES, 1), BYTES);
    wb_rma_vector_drop(&vector);
    test_scene_close(&scene);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("fork");
    TCase *tcase = tcase_create("fork");
    tcase_set_timeout(tcase, 60);
#ifdef __SANITIZE_THREAD__
    enum { KINDS = 1 }; /* TSan ends a child that makes threads */
#else
    enum { KINDS = 2 };
#endif
    tcase_add_loop_test(tcase, test_a_child_and_its_parent, 0, KINDS);
    tcase_add_test(tcase, test_blocks_are_not_the_childs);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
