// Contestants in C++: a row from a class.
#ifndef WAYBILL_PERF_SERIALIZERS_CONTESTANT_HH
#define WAYBILL_PERF_SERIALIZERS_CONTESTANT_HH

#include <cstddef>
#include <cstdint>

#include "perf/serializers/checksum.h"
#include "perf/serializers/contestant.h"

// Room for any archive.
constexpr std::size_t archive_room = std::size_t{2} << 20;

// Codec(const input &) is open; encode() and decode() are as in struct contestant.
template <class Codec>
contestant row(const char *library, serial_case which, counts counted, bool zero_copy = false)
{
    return {library,
            which,
            zero_copy,
            counted,
            [](const contestant *, const input *in) -> void * { return new Codec(*in); },
            [](void *codec) -> std::size_t { return static_cast<Codec *>(codec)->encode(); },
            [](void *codec) -> std::uint64_t { return static_cast<Codec *>(codec)->decode(); },
            [](void *codec) { delete static_cast<Codec *>(codec); }};
}

#endif
