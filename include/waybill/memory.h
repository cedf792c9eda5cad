/* Registered memory, whole: the allocator, and the typed containers that live in it. */
#ifndef WAYBILL_MEMORY_H
#define WAYBILL_MEMORY_H

#include <waybill/allocator.h>
#include <waybill/vector.h>

#endif
