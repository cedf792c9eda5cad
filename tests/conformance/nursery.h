/*
 * The nursery: a process that starts servers in processes of their own, and does to them what it is
 * told, over one socket. It was forked before the test's process had any engine or thread, or it
 * runs on another host; so a server inherits nothing, and nothing is exec'ed.
 *
 * Each order has one answer. On one host the socket is a pair's end, between hosts it is TCP:
 * orders and answers are structs of one program, which both ends run.
 */
#ifndef WAYBILL_TESTS_CONFORMANCE_NURSERY_H
#define WAYBILL_TESTS_CONFORMANCE_NURSERY_H

#include <stdbool.h>
#include <sys/types.h>

#include "tests/conformance/service.h"

enum { TEST_URL_BYTES = 128 };

enum test_wish {
    TEST_START = 1, /* a server at `url`: answers its pid, and its engine's status with words */
    TEST_FIGURES,   /* what its engine and its pool have */
    TEST_STOP,      /* in order; answers as waitpid does */
    TEST_KILL,      /* with SIGKILL; likewise */
    TEST_FREEZE,    /* with SIGSTOP; answers when none of its threads runs */
    TEST_THAW
};

struct test_order {
    enum test_wish wish;
    pid_t pid; /* of the server; not START */
    char url[TEST_URL_BYTES];
    struct wb_engine_config config;
};

struct test_answer {
    pid_t pid;  /* 0: there is no such server, or it has not begun */
    int result; /* a wb_status, or what waitpid said */
    char words[256];
    struct test_figures figures;
};

/* Whole, or false. */
bool test_say(int socket, const void *message, size_t bytes);
bool test_hear(int socket, void *message, size_t bytes);

/* Obeys until the socket is closed; then all servers that are left are killed. Takes the socket. */
void test_nursery_keep(int socket);

#endif
