#include <waybill/type.h>

#define SCALAR(T)                                                                                  \
    const struct wb_type T##_type = {                                                              \
        .kind = WB_TYPE_SCALAR, .name = #T, .bytes = sizeof(T), .wire_min = sizeof(T)};

SCALAR(wb_i8)
SCALAR(wb_i16)
SCALAR(wb_i32)
SCALAR(wb_i64)
SCALAR(wb_u8)
SCALAR(wb_u16)
SCALAR(wb_u32)
SCALAR(wb_u64)
SCALAR(wb_f32)
SCALAR(wb_f64)

const struct wb_type wb_bool_type = {
    .kind = WB_TYPE_BOOL, .name = "wb_bool", .bytes = 1, .wire_min = 1};
const struct wb_type wb_str_type = {
    .kind = WB_TYPE_STR, .name = "wb_str", .bytes = sizeof(wb_str), .wire_min = 1};
const struct wb_type wb_bytes_type = {
    .kind = WB_TYPE_BYTES, .name = "wb_bytes", .bytes = sizeof(wb_bytes), .wire_min = 1};
const struct wb_type wb_rma_vector_type = {
    .kind = WB_TYPE_RMA, .name = "wb_rma_vector", .bytes = sizeof(wb_rma_vector), .wire_min = 2};
const struct wb_type wb_buffer_type = {
    .kind = WB_TYPE_BUFFER, .name = "wb_buffer", .bytes = sizeof(wb_buffer), .wire_min = 1};
const struct wb_type wb_object_type = {
    .kind = WB_TYPE_OBJECT, .name = "object", .bytes = sizeof(wb_rma_vector), .wire_min = 2};
