#include "tests/support/rdma.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES = 8, GIDS = 16 };

struct device {
    char name[64], address[16];
};

/* The IPv4 address that a GID stands for: 0000:0000:0000:0000:0000:ffff:0a4d:0001. */
static bool read_gid(const char *device, unsigned index, char address[16])
{
    char path[300];
    unsigned high, low;
    snprintf(path, sizeof path, "/sys/class/infiniband/%s/ports/1/gids/%u", device, index);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    bool is_v4 = fscanf(file, "0000:0000:0000:0000:0000:ffff:%4x:%4x", &high, &low) == 2;
    fclose(file);
    if (is_v4) {
        snprintf(address, 16, "%u.%u.%u.%u", high >> 8 & 255, high & 255, low >> 8 & 255,
                 low & 255);
    }
    return is_v4;
}

static bool describe(const char *name, struct device *device)
{
    snprintf(device->name, sizeof device->name, "%.63s", name);
    for (unsigned i = 0; i < GIDS; i++) {
        if (read_gid(name, i, device->address)) {
            return true;
        }
    }
    return false;
}

static const struct device *find(unsigned number)
{
    static struct device devices[DEVICES];
    static unsigned count;
    struct dirent **entries = NULL;
    int found = count == 0 ? scandir("/sys/class/infiniband", &entries, NULL, alphasort) : 0;
    for (int i = 0; i < found; i++) {
        if (entries[i]->d_name[0] != '.' && count < DEVICES) {
            count += describe(entries[i]->d_name, &devices[count]);
        }
        free(entries[i]);
    }
    free(entries);
    if (number >= count) {
        fprintf(stderr, "RDMA device number %u with an IPv4 address is needed; see scripts/vm\n",
                number);
        exit(EXIT_FAILURE);
    }
    return &devices[number];
}

const char *test_rdma_device(unsigned number)
{
    return find(number)->name;
}

const char *test_rdma_address(unsigned number)
{
    return find(number)->address;
}
