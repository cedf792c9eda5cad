// The cases as objects with members of the standard library, for libraries that serialize such: the
// structs themselves for cereal and Boost, and how they are filled and read, which Thrift's
// generated structs share, as their members have the same names.
#ifndef WAYBILL_PERF_SERIALIZERS_OBJECTS_HH
#define WAYBILL_PERF_SERIALIZERS_OBJECTS_HH

#include <cstdint>
#include <string>
#include <vector>

#include "perf/serializers/checksum.h"
#include "perf/serializers/input.h"

namespace objects
{

struct Record {
    std::vector<std::int64_t> ids;
    std::vector<std::string> strings;
};

struct Scalars {
    double d0, d1, d2, d3, d4, d5, d6, d7;
    std::int64_t l0, l1, l2, l3, l4, l5;
    std::int32_t i0, i1, i2, i3, i4, i5;
};

struct Particle {
    std::int64_t id;
    double weight;
    std::vector<std::int32_t> tags;
};

struct Group {
    std::string name;
    double x, y, z;
    std::vector<Particle> particles;
};

struct Nested {
    std::vector<Group> groups;
};

struct Vector {
    std::string name;
    std::int64_t step;
    double time;
    std::vector<double> values;
};

inline std::string string_of(const plain_text &text)
{
    return {text.data, text.len};
}

template <class Record> void fill_record(Record &record, const input &in)
{
    const plain_record &from = in.record;
    record.ids.assign(from.ids, from.ids + from.id_count);
    for (std::size_t i = 0; i < from.string_count; i++)
        record.strings.push_back(string_of(from.strings[i]));
}

template <class Record> std::uint64_t sum_record(const Record &record)
{
    std::uint64_t sum = checksum_words(0, record.ids.data(), record.ids.size());
    for (const std::string &string : record.strings)
        sum = checksum_bytes(sum, string.data(), string.size());
    return sum;
}

template <class Scalars> void fill_scalars(Scalars &scalars, const input &in)
{
#define WB_COPY(field) scalars.field = in.scalars.field;
    SCALARS_DOUBLES(WB_COPY)
    SCALARS_LONGS(WB_COPY)
    SCALARS_INTS(WB_COPY)
#undef WB_COPY
}

template <class Scalars> std::uint64_t sum_scalars(const Scalars &scalars)
{
    std::uint64_t sum = 0;
#define WB_DOUBLE(field) sum = checksum_double(sum, scalars.field);
#define WB_INTEGER(field) sum = checksum_long(sum, scalars.field);
    SCALARS_DOUBLES(WB_DOUBLE)
    SCALARS_LONGS(WB_INTEGER)
    SCALARS_INTS(WB_INTEGER)
#undef WB_DOUBLE
#undef WB_INTEGER
    return sum;
}

template <class Group> void fill_group(Group &group, const plain_group &from)
{
    group.name = string_of(from.name);
    group.x = from.position[0];
    group.y = from.position[1];
    group.z = from.position[2];
    group.particles.resize(from.particle_count);
    for (std::size_t i = 0; i < from.particle_count; i++) {
        const plain_particle &particle = from.particles[i];
        group.particles[i].id = particle.id;
        group.particles[i].weight = particle.weight;
        group.particles[i].tags.assign(particle.tags, particle.tags + particle.tag_count);
    }
}

template <class Nested> void fill_nested(Nested &nested, const input &in)
{
    nested.groups.resize(in.nested.group_count);
    for (std::size_t i = 0; i < in.nested.group_count; i++)
        fill_group(nested.groups[i], in.nested.groups[i]);
}

template <class Nested> std::uint64_t sum_nested(const Nested &nested)
{
    std::uint64_t sum = 0;
    for (const auto &group : nested.groups) {
        sum = checksum_bytes(sum, group.name.data(), group.name.size());
        sum = checksum_double(sum, group.x);
        sum = checksum_double(sum, group.y);
        sum = checksum_double(sum, group.z);
        for (const auto &particle : group.particles) {
            sum = checksum_long(sum, particle.id);
            sum = checksum_double(sum, particle.weight);
            sum = checksum_ints(sum, particle.tags.data(), particle.tags.size());
        }
    }
    return sum;
}

template <class Vector> void fill_vector(Vector &vector, const input &in)
{
    const plain_vector &from = in.vector;
    vector.name = string_of(from.name);
    vector.step = from.step;
    vector.time = from.time;
    vector.values.assign(from.values, from.values + from.value_count);
}

template <class Vector> std::uint64_t sum_vector(const Vector &vector)
{
    std::uint64_t sum = checksum_bytes(0, vector.name.data(), vector.name.size());
    sum = checksum_long(sum, vector.step);
    sum = checksum_double(sum, vector.time);
    return checksum_vector(sum, vector.values.data(), vector.values.size());
}

// Each case with its functions, for templates over all of them.
struct RecordCase {
    static constexpr serial_case which = CASE_RECORD;
    template <class T> static void fill(T &object, const input &in) { fill_record(object, in); }
    template <class T> static std::uint64_t sum(const T &object) { return sum_record(object); }
};

struct ScalarsCase {
    static constexpr serial_case which = CASE_SCALARS;
    template <class T> static void fill(T &object, const input &in) { fill_scalars(object, in); }
    template <class T> static std::uint64_t sum(const T &object) { return sum_scalars(object); }
};

struct NestedCase {
    static constexpr serial_case which = CASE_NESTED;
    template <class T> static void fill(T &object, const input &in) { fill_nested(object, in); }
    template <class T> static std::uint64_t sum(const T &object) { return sum_nested(object); }
};

struct VectorCase {
    static constexpr serial_case which = CASE_VECTOR;
    template <class T> static void fill(T &object, const input &in) { fill_vector(object, in); }
    template <class T> static std::uint64_t sum(const T &object) { return sum_vector(object); }
};

} // namespace objects

#endif
