/*
 * Writes the seeds: valid inputs of each target.
 *   build/fuzz/tests/fuzz/fuzz_seeds tests/fuzz/seeds
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/archive.h"
#include "tests/fuzz/shape.h"

enum { SEEDS_A_KIND = 4, SEED_BYTES_MAX = 2000 };

static void write_file(const char *folder, const char *name, unsigned number, const uint8_t *data,
                       size_t size)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s-%u", folder, name, number);
    FILE *file = fopen(path, "wb");
    fuzz_check(file != NULL && fwrite(data, 1, size, file) == size && fclose(file) == 0,
               "%s cannot be written", path);
}

/* One that is valid and short enough to be kept. */
static size_t draw(unsigned kind, bool chunks, uint64_t *chance, uint8_t *data)
{
    static struct fuzz_shape shape;
    size_t size;
    bool fits;
    do {
        shape.chance = ++*chance;
        shape.chunks = chunks;
        fuzz_shape_draw(&shape, kind);
        size = fuzz_input_write(&shape.input, data, 2 * FUZZ_ARCHIVE_MAX);
        int status = fuzz_archive_try(data, size);
        fuzz_check(status == WB_OK || shape.chain > 0, "%s: what was drawn does not decode",
                   fuzz_kind_at(kind)->name); /* a chain may nest too deep */
        fits = status == WB_OK && size <= SEED_BYTES_MAX;
    } while (!fits);
    return size;
}

int main(int argc, char **argv)
{
    static uint8_t data[2 * FUZZ_ARCHIVE_MAX];
    char folder[4000];
    uint64_t chance = 1;
    fuzz_check(argc == 2, "usage: fuzz_seeds FOLDER (that has archive/ and parcel/)");
    (void)snprintf(folder, sizeof folder, "%s/archive", argv[1]);
    for (unsigned kind = 0; kind < fuzz_kind_count(); kind++) {
        for (unsigned i = 0; i < SEEDS_A_KIND; i++) {
            size_t size = draw(kind, i % 2 == 1, &chance, data);
            write_file(folder, fuzz_kind_at(kind)->name, i, data, size);
        }
    }
    return 0;
}
