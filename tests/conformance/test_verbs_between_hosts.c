/* The suite on verbs between two hosts: host 0 runs the tests, host 1 the servers, started by its
 * nursery, which host 0 reaches by TCP. See scripts/vm --hosts 2. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/conformance/verbs_url.h"
#include "tests/conformance/world.h"

enum { NURSERY_PORT = 20300, FIRST_PORT = 20400, TRIES = 600, BETWEEN_TRIES_US = 100000 };

/* The address of a host, for its nursery. */
static struct sockaddr_in address_of(unsigned host)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(NURSERY_PORT)};
    const char *addresses = getenv("WB_VM_ADDRESSES");
    char texts[2][64];
    if (addresses == NULL || sscanf(addresses, "%63s %63s", texts[0], texts[1]) != 2 ||
        inet_pton(AF_INET, texts[host], &address.sin_addr) != 1) {
        fprintf(stderr, "this program runs in two guests: scripts/vm --hosts 2\n");
        exit(EXIT_FAILURE);
    }
    return address;
}

static void write_url(char *url, size_t size, unsigned host, unsigned number)
{
    struct sockaddr_in address = address_of(host);
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
    snprintf(url, size, "verbs://%s:%u", text, FIRST_PORT + number);
}

static void make_url(char *url, size_t size, unsigned number)
{
    write_url(url, size, 1, number);
}

static void make_own_url(char *url, size_t size, unsigned number)
{
    write_url(url, size, 0, number);
}

static int give_up(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

/* Host 1 may be at something else yet. */
static int find_nursery(void)
{
    struct sockaddr_in address = address_of(1);
    for (unsigned i = 0; i < TRIES; i++) {
        int end = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (end >= 0 && connect(end, (struct sockaddr *)&address, sizeof address) == 0) {
            return end;
        }
        close(end);
        test_sleep_us(BETWEEN_TRIES_US);
    }
    return give_up("host 1 has no nursery");
}

/* Host 1: obeys host 0 until that has done. */
static int run_host_1(void)
{
    struct sockaddr_in address = address_of(1);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 1) != 0) {
        return give_up("no nursery can be kept here");
    }
    int end = accept(listener, NULL, NULL);
    close(listener);
    if (end < 0) {
        return give_up("accept");
    }
    test_nursery_keep(end);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static const struct fabric_under_test verbs = {.scheme = "verbs",
                                                   .two_processes = true,
                                                   .find_nursery = find_nursery,
                                                   .make_url = make_url,
                                                   .make_own_url = make_own_url,
                                                   .bad_addresses = test_verbs_bad_addresses};
    const char *host = getenv("WB_VM_HOST");
    if (host != NULL && strcmp(host, "1") == 0) {
        return run_host_1();
    }
    return test_conformance_run(&verbs, argc, argv);
}
