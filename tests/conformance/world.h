/*
 * The suite's world: a fabric, servers on it, and one client engine that the test drives. A test
 * opens the world, does its work, and closes it; closing asserts that nothing is under way and
 * nothing held, at both ends. What a failed test leaves behind is cleared away before the next.
 */
#ifndef WAYBILL_TESTS_CONFORMANCE_WORLD_H
#define WAYBILL_TESTS_CONFORMANCE_WORLD_H

#include "tests/conformance/actions.h"
#include "tests/conformance/actions_handles.h"
#include "tests/conformance/host.h"
#include "tests/conformance/service.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"
#include "tests/support/scale.h"

/* What a program chooses. */
struct fabric_under_test {
    const char *scheme;
    bool two_processes; /* servers are processes of their own, that can be killed and stopped */
    int (*find_nursery)(void); /* they run on another host: a socket to its nursery; NULL: here */
    bool revokes_at_once; /* takes a chunk from a peer without its help; a silent peer that has one
                             and gives none back is lost where that cannot be */
    bool has_time;        /* for what takes half a minute: said by one program of a kind */
    /* Writes the URL of this run's server number `number`; other runs have others. */
    void (*make_url)(char *url, size_t size, unsigned number);
    /* The same for the client, where that has other addresses than the servers; or NULL. */
    void (*make_own_url)(char *url, size_t size, unsigned number);
    const char *const
        *bad_addresses; /* what this fabric cannot read behind "scheme://"; ends with NULL */
};

enum { TEST_SERVERS = 2 };

struct test_world {
    const struct fabric_under_test *fabric;
    struct test_host host;
    struct wb_engine_config server_config,
        client_config; /* the defaults, until a test changes them */
    struct test_server servers[TEST_SERVERS];
    struct test_service client;
    struct wb_engine *engine;      /* the client's */
    struct wb_rma_allocator *pool; /* the client's */
    struct wb_peer *peers[TEST_SERVERS];
    unsigned others;      /* connections to each server beside that: see test_world_open */
    struct wb_peer *peer; /* the first */
};

extern struct test_world test_world;

/*
 * Starts `servers` servers and the client, and connects it to them. With TEST_LANES=N in the
 * environment each engine has N lanes, and the client a second connection to each server, made
 * first and never used: those under test do not live on the lanes that listen.
 */
void test_world_open(unsigned servers);

/* Asserts that both ends are quiet, and ends everything. */
void test_world_close(void);

/* Asserts that both ends are quiet, and the client holds `blocks` blocks. */
void test_world_assert_quiet(uint64_t blocks);

/* As the fixtures of each case: default configurations; what is left over is ended. */
void test_world_prepare(void);
void test_world_clear(void);

/* The URL of server number `number`: 0 and 1 are the servers', others are nobody's. */
void test_world_url(unsigned number, char url[TEST_URL_BYTES]);

/* The same where the client can listen. */
void test_world_own_url(unsigned number, char url[TEST_URL_BYTES]);

/* Whether the environment has TEST_RAILS: the engines have rails, as far as the fabric does. */
bool test_world_rails_asked(void);

/* Connects the client to server `index` anew, which must succeed. */
void test_world_connect(unsigned index);

/* A vector of the client's pool with the pattern of `seed`. Must succeed. */
wb_rma_vector test_world_vector(uint32_t elem_size, size_t count, uint64_t seed);

/* Asserts that an ordinary call works, with everything in it. */
void test_world_assert_works(struct wb_peer *peer);

/* Makes progress until the call has ended, then finishes it: for tests that expect an end in
 * bounded time whatever it is. */
#define test_assert_done(call)                                                                     \
    ck_assert_msg(wb_call_wait(call, test_patience_us) == WB_OK, "the call does not end: %s",      \
                  wb_last_error())

/* A status by its name. */
#define test_assert_status(got, wanted)                                                            \
    do {                                                                                           \
        int got_ = (got), wanted_ = (wanted);                                                      \
        ck_assert_msg(got_ == wanted_, "%s is %s, not %s (last error: %s)", #got,                  \
                      wb_status_name(got_), wb_status_name(wanted_), wb_last_error());             \
    } while (0)

/* The parts of the suite. */
TCase *test_arguments_case(void);
TCase *test_payload_case(void);
TCase *test_types_case(void);
TCase *test_chunks_case(void);
TCase *test_handles_case(void);
TCase *test_into_case(void);
TCase *test_pins_case(void);
TCase *test_ranges_case(void);
TCase *test_filter_case(void);
TCase *test_traffic_case(void);
TCase *test_errors_case(void);
TCase *test_budget_case(void);
TCase *test_sizes_case(void);
TCase *test_allocators_case(void);
TCase *test_handlers_case(void);
TCase *test_futures_case(void);
TCase *test_later_case(void);
TCase *test_streams_case(void);
TCase *test_stream_ends_case(void);
TCase *test_strange_streams_case(void);
TCase *test_crew_case(void);
TCase *test_room_case(void);
TCase *test_time_case(void);
TCase *test_ends_case(void);
TCase *test_watch_case(void);
TCase *test_drain_case(void);
TCase *test_lines_case(void);
TCase *test_death_case(void);

/* A case of these tests, in this world. */
TCase *test_world_case(const char *name, const TTest *const *tests, unsigned count);

/* Runs the suite on a fabric; main's result. To be called before any engine and any thread. */
int test_conformance_run(const struct fabric_under_test *fabric, int argc, char **argv);

#endif
