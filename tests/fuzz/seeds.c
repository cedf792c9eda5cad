/*
 * Writes the seeds: valid inputs of each target.
 *   build/fuzz/tests/fuzz/fuzz_seeds tests/fuzz/seeds
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/archive.h"
#include "tests/fuzz/parcel.h"
#include "tests/fuzz/script.h"
#include "tests/fuzz/shape.h"

enum { SEEDS_A_KIND = 4, SCRIPTS = 24, SCRIPT_PARTS = 3, SEED_BYTES_MAX = 2000 };

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

static void write_archives(const char *folder)
{
    static uint8_t data[2 * FUZZ_ARCHIVE_MAX];
    uint64_t chance = 1;
    for (unsigned kind = 0; kind < fuzz_kind_count(); kind++) {
        for (unsigned i = 0; i < SEEDS_A_KIND; i++) {
            size_t size = draw(kind, i % 2 == 1, &chance, data);
            write_file(folder, fuzz_kind_at(kind)->name, i, data, size);
        }
    }
}

static void write_scripts(const char *folder)
{
    static uint8_t data[SCRIPT_PARTS * SEED_BYTES_MAX];
    uint64_t chance = 1;
    for (unsigned i = 0; i < SCRIPTS; i++) {
        size_t size = 0;
        for (unsigned part = 0; part < SCRIPT_PARTS; part++) {
            size += fuzz_script_draw(&chance, 0, data + size, SEED_BYTES_MAX);
        }
        fuzz_parcel_try(data, size);
        write_file(folder, "script", i, data, size);
    }
}

int main(int argc, char **argv)
{
    char folder[4000];
    fuzz_check(argc == 2, "usage: fuzz_seeds FOLDER (that has archive/ and parcel/)");
    (void)snprintf(folder, sizeof folder, "%s/archive", argv[1]);
    write_archives(folder);
    (void)snprintf(folder, sizeof folder, "%s/parcel", argv[1]);
    write_scripts(folder);
    return 0;
}
