// Protocol Buffers for C++: `protobuf` with int64 and int32, which take as many bytes as they need,
// and `protobuf-fixed` with sfixed64 and sfixed32. Into a reused message, which keeps its strings.
#include <vector>

#include "perf/serializers/contestant.hh"
#include <cases.pb.h>

namespace
{

struct RecordCase {
    static constexpr serial_case which = CASE_RECORD;

    template <class Record> static void fill(Record &record, const input &in)
    {
        const plain_record &from = in.record;
        record.mutable_ids()->Add(from.ids, from.ids + from.id_count);
        for (std::size_t i = 0; i < from.string_count; i++)
            record.add_strings(from.strings[i].data, from.strings[i].len);
    }

    template <class Record> static std::uint64_t sum(const Record &record)
    {
        std::uint64_t sum =
            checksum_words(0, record.ids().data(), static_cast<std::size_t>(record.ids_size()));
        for (const std::string &string : record.strings())
            sum = checksum_bytes(sum, string.data(), string.size());
        return sum;
    }
};

struct ScalarsCase {
    static constexpr serial_case which = CASE_SCALARS;

    template <class Scalars> static void fill(Scalars &scalars, const input &in)
    {
#define WB_COPY(field) scalars.set_##field(in.scalars.field);
        SCALARS_DOUBLES(WB_COPY)
        SCALARS_LONGS(WB_COPY)
        SCALARS_INTS(WB_COPY)
    }

    template <class Scalars> static std::uint64_t sum(const Scalars &scalars)
    {
        std::uint64_t sum = 0;
#define WB_DOUBLE(field) sum = checksum_double(sum, scalars.field());
#define WB_INTEGER(field) sum = checksum_long(sum, scalars.field());
        SCALARS_DOUBLES(WB_DOUBLE)
        SCALARS_LONGS(WB_INTEGER)
        SCALARS_INTS(WB_INTEGER)
        return sum;
    }
};

struct NestedCase {
    static constexpr serial_case which = CASE_NESTED;

    template <class Group> static void fill_group(Group &group, const plain_group &from)
    {
        group.set_name(from.name.data, from.name.len);
        group.set_x(from.position[0]);
        group.set_y(from.position[1]);
        group.set_z(from.position[2]);
        for (std::size_t i = 0; i < from.particle_count; i++) {
            const plain_particle &particle = from.particles[i];
            auto &to = *group.add_particles();
            to.set_id(particle.id);
            to.set_weight(particle.weight);
            to.mutable_tags()->Add(particle.tags, particle.tags + particle.tag_count);
        }
    }

    template <class Nested> static void fill(Nested &nested, const input &in)
    {
        for (std::size_t i = 0; i < in.nested.group_count; i++)
            fill_group(*nested.add_groups(), in.nested.groups[i]);
    }

    template <class Nested> static std::uint64_t sum(const Nested &nested)
    {
        std::uint64_t sum = 0;
        for (const auto &group : nested.groups()) {
            sum = checksum_bytes(sum, group.name().data(), group.name().size());
            sum = checksum_double(sum, group.x());
            sum = checksum_double(sum, group.y());
            sum = checksum_double(sum, group.z());
            for (const auto &particle : group.particles()) {
                sum = checksum_long(sum, particle.id());
                sum = checksum_double(sum, particle.weight());
                sum = checksum_ints(sum, particle.tags().data(),
                                    static_cast<std::size_t>(particle.tags_size()));
            }
        }
        return sum;
    }
};

struct VectorCase {
    static constexpr serial_case which = CASE_VECTOR;

    static void fill(wire::Vector &vector, const input &in)
    {
        const plain_vector &from = in.vector;
        vector.set_name(from.name.data, from.name.len);
        vector.set_step(from.step);
        vector.set_time(from.time);
        vector.mutable_values()->Add(from.values, from.values + from.value_count);
    }

    static std::uint64_t sum(const wire::Vector &vector)
    {
        std::uint64_t sum = checksum_bytes(0, vector.name().data(), vector.name().size());
        sum = checksum_long(sum, vector.step());
        sum = checksum_double(sum, vector.time());
        return checksum_vector(sum, vector.values().data(),
                               static_cast<std::size_t>(vector.values_size()));
    }
};

template <class Case, class Message> class Codec
{
  public:
    explicit Codec(const input &in) : memory_(archive_room) { Case::fill(message_, in); }

    std::size_t encode()
    {
        length_ = message_.ByteSizeLong();
        if (length_ > memory_.size())
            contestant_fail("protobuf", "the archive has no room");
        message_.SerializeWithCachedSizesToArray(memory_.data());
        return length_;
    }

    std::uint64_t decode()
    {
        if (!decoded_.ParseFromArray(memory_.data(), static_cast<int>(length_)))
            contestant_fail("protobuf", "an archive does not parse");
        return Case::sum(decoded_);
    }

  private:
    Message message_, decoded_;
    std::vector<std::uint8_t> memory_;
    std::size_t length_ = 0;
};

template <class Case, class Message> contestant usual()
{
    return row<Codec<Case, Message>>("protobuf", Case::which, COUNTS_OBJECT);
}

template <class Case, class Message> contestant fixed()
{
    return row<Codec<Case, Message>>("protobuf-fixed", Case::which, COUNTS_OBJECT);
}

} // namespace

const contestant protobuf_rows[] = {
    usual<RecordCase, wire::Record>(),
    fixed<RecordCase, wire::RecordFixed>(),
    usual<ScalarsCase, wire::Scalars>(),
    fixed<ScalarsCase, wire::ScalarsFixed>(),
    usual<NestedCase, wire::Nested>(),
    fixed<NestedCase, wire::NestedFixed>(),
    usual<VectorCase, wire::Vector>(), // has no array of integers, so one row is enough
    {},
};
