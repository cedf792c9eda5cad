/* Where the vectors of an archive are, before their chunks have landed. */
#ifndef WBI_SERIAL_FIND_H
#define WBI_SERIAL_FIND_H

#include <stdint.h>
#include <waybill/type.h>

#define WBI_NO_LANDING UINT32_MAX

struct wbi_vector_at {
    const void
        *packed;      /* its first byte in the archive; NULL: it is a chunk, or the empty handle */
    uint32_t landing; /* the number of its chunk, or WBI_NO_LANDING */
};

/*
 * Finds the first `most` vectors and objects of an archive, in the order in which they stand there;
 * empty handles count, buffers do not. `archive` is a reader at its beginning, with landings that
 * may have no data yet, and is not changed. The search ends at what does not decode, which is left
 * to whoever decodes it in earnest; at a custom type, whose functions are the program's; and where
 * a field is not described. *count is how many were found; found[] beyond is untouched. Any
 * thread. WB_OK, or WB_ERR_NO_MEMORY: there may be more.
 */
int wbi_find_vectors(const struct wb_reader *archive, const struct wb_field *fields, uint32_t most,
                     struct wbi_vector_at *found, uint32_t *count);

#endif
