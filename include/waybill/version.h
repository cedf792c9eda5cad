/* The versions of the library and of what it speaks. */
#ifndef WAYBILL_VERSION_H
#define WAYBILL_VERSION_H

#include <waybill/status.h>

#define WB_VERSION_MAJOR 0
#define WB_VERSION_MINOR 1
#define WB_VERSION_PATCH 0

/* The wire versions that this library speaks, both ends included. */
#define WB_WIRE_VERSION_MIN 1
#define WB_WIRE_VERSION_MAX 1

/* Returns "major.minor.patch" of the library that is linked; static storage; any thread. */
WB_API const char *wb_version(void);

#endif
