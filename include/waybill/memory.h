/* Memory that travels, whole: the allocator, the typed containers that live in it, and the buffer
 * around all other memory. */
#ifndef WAYBILL_MEMORY_H
#define WAYBILL_MEMORY_H

#include <waybill/allocator.h>
#include <waybill/buffer.h>
#include <waybill/object.h>
#include <waybill/vector.h>

#endif
