/* The ring under the log: what is read is whole, or gone; whoever reads while it is written sees no
 * mixture of records. */
#include <pthread.h>
#include <stdatomic.h>

#include "engine/ring.h"
#include "tests/engine/scene.h"

enum { COUNT = 8, WORDS = 5 };

static struct wbi_ring ring;

/* Each word of a record says which one it is, and which word. */
static void write_next(void)
{
    uint64_t record[WORDS], number = wbi_ring_written(&ring);
    for (unsigned i = 0; i < WORDS; i++) {
        record[i] = number * WORDS + i;
    }
    wbi_ring_write(&ring, record);
}

static bool is_whole(const uint64_t *record, uint64_t number)
{
    bool whole = true;
    for (unsigned i = 0; i < WORDS; i++) {
        whole &= record[i] == number * WORDS + i;
    }
    return whole;
}

START_TEST(test_what_is_there_and_what_is_gone)
{
    uint64_t record[WORDS];
    ck_assert_int_eq(wbi_ring_open(&ring, COUNT, WORDS), WB_OK);
    for (uint64_t written = 1; written < 5 * COUNT; written++) {
        write_next();
        ck_assert_uint_eq(wbi_ring_written(&ring), written);
        /* the place of the oldest is where the next is being written, for all that a reader knows
         */
        uint64_t first = written >= COUNT ? written - COUNT + 1 : 0;
        for (uint64_t number = first; number < written; number++) {
            ck_assert(wbi_ring_read(&ring, number, record));
            ck_assert(is_whole(record, number));
        }
        for (uint64_t number = 0; number < first; number++) {
            ck_assert(!wbi_ring_read(&ring, number, record));
        }
    }
    wbi_ring_close(&ring);
}
END_TEST

static atomic_bool stop;

static void *write_on(void *nothing)
{
    while (!atomic_load(&stop)) {
        write_next();
    }
    return nothing;
}

START_TEST(test_reading_while_it_is_written)
{
    pthread_t writer;
    uint64_t record[WORDS], seen = 0;
    atomic_store(&stop, false);
    ck_assert_int_eq(wbi_ring_open(&ring, COUNT, WORDS), WB_OK);
    ck_assert_int_eq(pthread_create(&writer, NULL, write_on, NULL), 0);
    uint64_t start = test_clock_us();
    while (seen < 10000 && test_clock_us() - start < test_patience_us / 3) {
        uint64_t written = wbi_ring_written(&ring);
        for (uint64_t back = 1; back <= COUNT && back <= written; back++) {
            if (wbi_ring_read(&ring, written - back, record)) {
                seen++;
                test_check(is_whole(record, written - back), "a mixture of records");
            }
        }
    }
    atomic_store(&stop, true);
    ck_assert_int_eq(pthread_join(writer, NULL), 0);
    ck_assert_uint_ge(seen, 10000);
    wbi_ring_close(&ring);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_what_is_there_and_what_is_gone,
                                  test_reading_while_it_is_written};
    Suite *suite = suite_create("engine: rings");
    suite_add_tcase(suite, test_program_case("ring", tests, 2));
    return test_program_run(suite, argc, argv);
}
