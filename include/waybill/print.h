/*
 * An archive in words, for debugging: one line for each value, with its offset in the archive, its
 * type, its name and the value. The description that the macros make of a field list is all that is
 * needed: RECORD_fields, where RECORD is a type of WB_STRUCT, or NAME_in or NAME_out of an action.
 *
 *        0  wb_f64 factor = 2.5
 *        8  wb_str label = 5 bytes "hello"
 *       14  path way: 2 of point
 *       15    point way[0]:
 *       15      wb_f64 x = 1
 */
#ifndef WAYBILL_PRINT_H
#define WAYBILL_PRINT_H

#include <stdio.h>
#include <waybill/archive.h>
#include <waybill/type.h>

/*
 * Prints the archive, which begins at a multiple of WB_ARCHIVE_ALIGN in memory, to `out`; all
 * arguments are borrowed. landings: the chunks that its marks stand for, in order; data is NULL
 * for what has not landed, and block is not looked at.
 *
 * The archive is not trusted. It is walked by the reader's own functions, so what is refused here,
 * at the line that ends in "!" and why, is what a receiver refuses; but memory of the arena is not
 * needed, and bytes behind the last field are taken for added fields as an action's are. Strings,
 * arrays and the number of lines are cut: at most WB_PRINT_LINES of WB_PRINT_LINE bytes each. What
 * is not printed is checked all the same. A custom type is read by its function, whose parts
 * are printed as they pass; parts that the function reads from the reader itself are not.
 *
 * Returns WB_OK; WB_ERR_MALFORMED; WB_ERR_INVALID (an archive that is not aligned, a chunk inside a
 * custom type that has not landed); WB_ERR_NO_MEMORY (arrays of strings, parts of a custom type);
 * WB_ERR_SYSTEM where `out` has an error. What could be printed has been. Any thread, one at a time
 * for an `out`.
 */
WB_API int wb_archive_print(FILE *out, const struct wb_field *fields, const void *archive,
                            size_t bytes, const struct wb_landing *landings,
                            uint32_t landing_count);

/*
 * Says why a reader has failed, and at which value: "way[3].x, at byte 117: the archive ends inside
 * a value". The archive is walked again by its description (a custom type's function runs once
 * more). Where that finds nothing to refuse (no memory, or a type's function that failed by
 * itself), and for a reader that has not failed, the text is the reader's words alone. Returns the
 * bytes needed without the final 0, as snprintf. Any thread.
 */
WB_API int wb_reader_find_fault(const struct wb_reader *failed, const struct wb_field *fields,
                                char *text, size_t size);

enum { WB_PRINT_LINES = 1000, WB_PRINT_LINE = 512 };

#endif
