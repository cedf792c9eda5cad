#include "tests/serial/printing.h"

#include <stdio.h>

int test_print(const struct wb_field *fields, const struct test_parcel *parcel, char **text)
{
    size_t len;
    FILE *out = open_memstream(text, &len);
    ck_assert_ptr_nonnull(out);
    int status = wb_archive_print(out, fields, parcel->archive, parcel->archive_bytes,
                                  parcel->landings, parcel->landing_count);
    fclose(out);
    return status;
}
