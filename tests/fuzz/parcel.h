/* An engine, its strangers, and its honest peer, for fuzz_parcel. One thread, but for the engine's
 * own that grows pools. */
#ifndef WAYBILL_TESTS_FUZZ_PARCEL_H
#define WAYBILL_TESTS_FUZZ_PARCEL_H

#include <stddef.h>
#include <stdint.h>

/*
 * Connects the strangers, takes the input's steps, hangs up, and sees that everything came to an
 * end, that nothing is held, and that the engine still answers its honest peer. Dies where that is
 * not so. The engine is made at the first call, and lasts.
 */
void fuzz_parcel_try(const uint8_t *data, size_t size);

#endif
