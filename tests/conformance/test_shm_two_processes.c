/* The suite on shm, servers in processes of their own, which can die. */
#include "tests/conformance/shm_url.h"
#include "tests/conformance/world.h"

int main(int argc, char **argv)
{
    static const struct fabric_under_test shm = {.scheme = "shm",
                                                 .two_processes = true,
                                                 .revokes_at_once = true,
                                                 .make_url = test_shm_url,
                                                 .bad_addresses = test_shm_bad_addresses};
    return test_conformance_run(&shm, argc, argv);
}
