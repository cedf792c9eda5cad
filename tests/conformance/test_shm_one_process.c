/* The suite on shm, both engines in one process: what thread sanitizers can see all of. */
#include "tests/conformance/shm_url.h"
#include "tests/conformance/world.h"

int main(int argc, char **argv)
{
    static const struct fabric_under_test shm = {.scheme = "shm",
                                                 .revokes_at_once = true,
                                                 .has_time = true,
                                                 .make_url = test_shm_url,
                                                 .bad_addresses = test_shm_bad_addresses};
    return test_conformance_run(&shm, argc, argv);
}
