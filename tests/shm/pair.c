#include "tests/shm/pair.h"

struct test_side server, client;
struct test_end *at_server, *at_client;

void meet_pair(void)
{
    test_side_open(&server, 0);
    test_side_open(&client, 0);
    test_meet(&server, &client, &at_server, &at_client);
}

void part_pair(void)
{
    test_side_close(&client);
    test_side_close(&server);
}
