/* The suite on verbs, servers in processes of their own, which can die. */
#include "tests/conformance/verbs_url.h"
#include "tests/conformance/world.h"

int main(int argc, char **argv)
{
    static const struct fabric_under_test verbs = {.scheme = "verbs",
                                                   .two_processes = true,
                                                   .make_url = test_verbs_url,
                                                   .bad_addresses = test_verbs_bad_addresses};
    return test_conformance_run(&verbs, argc, argv);
}
