/* What tests ask and tell valgrind. Costs nothing without it, and is nothing without its headers.
 */
#ifndef WAYBILL_TESTS_SUPPORT_MEMCHECK_H
#define WAYBILL_TESTS_SUPPORT_MEMCHECK_H

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_CHECK_MEM_IS_DEFINED(at, bytes) ((void)(at), (void)(bytes))
#define VALGRIND_MAKE_MEM_UNDEFINED(at, bytes) ((void)(at), (void)(bytes))
#endif

#endif
