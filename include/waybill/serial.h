/* The archive's three passes, a field at a time: wb_size_T, wb_put_T and wb_get_T. */
#ifndef WAYBILL_SERIAL_H
#define WAYBILL_SERIAL_H

#include <waybill/pass_get.h>
#include <waybill/pass_put.h>
#include <waybill/pass_size.h>

/* ---- scalars ---- */

#define WBI_SCALAR(name, type)                                                                     \
    static inline void wb_size_##name(struct wb_sizer *s, type v)                                  \
    {                                                                                              \
        (void)v;                                                                                   \
        wb_size_raw(s, sizeof(type));                                                              \
    }                                                                                              \
    static inline void wb_put_##name(struct wb_writer *w, type v)                                  \
    {                                                                                              \
        wb_put_raw(w, &v, sizeof v);                                                               \
    }                                                                                              \
    static inline type wb_get_##name(struct wb_reader *r)                                          \
    {                                                                                              \
        type v;                                                                                    \
        wb_get_raw(r, &v, sizeof v);                                                               \
        return v;                                                                                  \
    }

WBI_SCALAR(i8, wb_i8)
WBI_SCALAR(i16, wb_i16)
WBI_SCALAR(i32, wb_i32)
WBI_SCALAR(i64, wb_i64)
WBI_SCALAR(u8, wb_u8)
WBI_SCALAR(u16, wb_u16)
WBI_SCALAR(u32, wb_u32)
WBI_SCALAR(u64, wb_u64)
WBI_SCALAR(f32, wb_f32)
WBI_SCALAR(f64, wb_f64)

#endif
