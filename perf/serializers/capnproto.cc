// Cap'n Proto: built on reused memory, so that one segment holds all; handed out as segments, as it
// is written to a socket, without a copy into one piece; read in place, where its bounds are
// checked as fields are read. With zero copy, large data are blobs that the message refers to.
#include <capnp/any.h>
#include <capnp/message.h>
#include <capnp/orphan.h>
#include <capnp/serialize.h>

#include <cstring>
#include <optional>
#include <vector>

#include "perf/serializers/contestant.hh"
#include <cases.capnp.h>

namespace
{

void put(capnp::Text::Builder to, const plain_text &from)
{
    std::memcpy(to.begin(), from.data, from.len);
}

std::uint64_t sum_text(std::uint64_t sum, capnp::Text::Reader string)
{
    return checksum_bytes(sum, string.begin(), string.size());
}

// A list's numbers lie in a row, which the library shows through its list of any type.
const void *numbers(capnp::AnyList::Reader list)
{
    return list.getRawBytes().begin();
}

template <class Number> capnp::Data::Reader blob(const Number *numbers, std::size_t count)
{
    return {reinterpret_cast<const kj::byte *>(numbers), count * sizeof(Number)};
}

template <class Root> void build_strings(Root root, const plain_record &from)
{
    auto strings = root.initStrings(static_cast<unsigned>(from.string_count));
    for (std::size_t i = 0; i < from.string_count; i++) {
        const plain_text &string = from.strings[i];
        put(strings.init(static_cast<unsigned>(i), static_cast<unsigned>(string.len)), string);
    }
}

template <class Root> std::uint64_t sum_strings(std::uint64_t sum, Root root)
{
    for (capnp::Text::Reader string : root.getStrings())
        sum = sum_text(sum, string);
    return sum;
}

struct RecordCase {
    using Root = cap::Record;
    static constexpr serial_case which = CASE_RECORD;

    static void build(capnp::MessageBuilder &message, const input &in)
    {
        auto root = message.initRoot<Root>();
        root.setIds(kj::arrayPtr(in.record.ids, in.record.id_count));
        build_strings(root, in.record);
    }

    static std::uint64_t sum(Root::Reader root)
    {
        auto ids = root.getIds();
        return sum_strings(checksum_words(0, numbers(ids), ids.size()), root);
    }
};

struct RecordBlobCase {
    using Root = cap::RecordBlob;
    static constexpr serial_case which = CASE_RECORD;

    static void build(capnp::MessageBuilder &message, const input &in)
    {
        auto root = message.initRoot<Root>();
        auto ids = blob(in.record.ids, in.record.id_count);
        root.adoptIds(message.getOrphanage().referenceExternalData(ids));
        build_strings(root, in.record);
    }

    static std::uint64_t sum(Root::Reader root)
    {
        auto ids = root.getIds();
        return sum_strings(checksum_words(0, ids.begin(), ids.size() / sizeof(std::int64_t)), root);
    }

    static std::size_t left(const input &in) { return in.record.id_count * sizeof(std::int64_t); }
};

struct ScalarsCase {
    using Root = cap::Scalars;
    static constexpr serial_case which = CASE_SCALARS;

    static void build(capnp::MessageBuilder &message, const input &in)
    {
        const plain_scalars &s = in.scalars;
        auto root = message.initRoot<Root>();
        root.setD0(s.d0), root.setD1(s.d1), root.setD2(s.d2), root.setD3(s.d3);
        root.setD4(s.d4), root.setD5(s.d5), root.setD6(s.d6), root.setD7(s.d7);
        root.setL0(s.l0), root.setL1(s.l1), root.setL2(s.l2);
        root.setL3(s.l3), root.setL4(s.l4), root.setL5(s.l5);
        root.setI0(s.i0), root.setI1(s.i1), root.setI2(s.i2);
        root.setI3(s.i3), root.setI4(s.i4), root.setI5(s.i5);
    }

    static std::uint64_t sum(Root::Reader root)
    {
        std::uint64_t sum = 0;
        for (double d : {root.getD0(), root.getD1(), root.getD2(), root.getD3(), root.getD4(),
                         root.getD5(), root.getD6(), root.getD7()})
            sum = checksum_double(sum, d);
        for (std::int64_t l :
             {root.getL0(), root.getL1(), root.getL2(), root.getL3(), root.getL4(), root.getL5()})
            sum = checksum_long(sum, l);
        for (std::int32_t i :
             {root.getI0(), root.getI1(), root.getI2(), root.getI3(), root.getI4(), root.getI5()})
            sum = checksum_long(sum, i);
        return sum;
    }
};

struct NestedCase {
    using Root = cap::Nested;
    static constexpr serial_case which = CASE_NESTED;

    static void build_group(cap::Group::Builder group, const plain_group &from)
    {
        put(group.initName(static_cast<unsigned>(from.name.len)), from.name);
        group.setX(from.position[0]);
        group.setY(from.position[1]);
        group.setZ(from.position[2]);
        auto particles = group.initParticles(static_cast<unsigned>(from.particle_count));
        for (unsigned i = 0; i < from.particle_count; i++) {
            const plain_particle &particle = from.particles[i];
            auto to = particles[i];
            to.setId(particle.id);
            to.setWeight(particle.weight);
            to.setTags(kj::arrayPtr(particle.tags, particle.tag_count));
        }
    }

    static void build(capnp::MessageBuilder &message, const input &in)
    {
        auto groups =
            message.initRoot<Root>().initGroups(static_cast<unsigned>(in.nested.group_count));
        for (unsigned i = 0; i < in.nested.group_count; i++)
            build_group(groups[i], in.nested.groups[i]);
    }

    static std::uint64_t sum(Root::Reader root)
    {
        std::uint64_t sum = 0;
        for (auto group : root.getGroups()) {
            sum = sum_text(sum, group.getName());
            sum = checksum_double(sum, group.getX());
            sum = checksum_double(sum, group.getY());
            sum = checksum_double(sum, group.getZ());
            for (auto particle : group.getParticles()) {
                sum = checksum_long(sum, particle.getId());
                sum = checksum_double(sum, particle.getWeight());
                auto tags = particle.getTags();
                sum = checksum_ints(sum, numbers(tags), tags.size());
            }
        }
        return sum;
    }
};

template <class Root> void build_header(Root root, const plain_vector &from)
{
    put(root.initName(static_cast<unsigned>(from.name.len)), from.name);
    root.setStep(from.step);
    root.setTime(from.time);
}

template <class Root> std::uint64_t sum_header(Root root)
{
    return checksum_double(checksum_long(sum_text(0, root.getName()), root.getStep()),
                           root.getTime());
}

struct VectorCase {
    using Root = cap::Vector;
    static constexpr serial_case which = CASE_VECTOR;

    static void build(capnp::MessageBuilder &message, const input &in)
    {
        auto root = message.initRoot<Root>();
        build_header(root, in.vector);
        root.setValues(kj::arrayPtr(in.vector.values, in.vector.value_count));
    }

    static std::uint64_t sum(Root::Reader root)
    {
        auto values = root.getValues();
        return checksum_vector(sum_header(root), numbers(values), values.size());
    }
};

struct VectorBlobCase {
    using Root = cap::VectorBlob;
    static constexpr serial_case which = CASE_VECTOR;

    static void build(capnp::MessageBuilder &message, const input &in)
    {
        auto root = message.initRoot<Root>();
        build_header(root, in.vector);
        auto values = blob(in.vector.values, in.vector.value_count);
        root.adoptValues(message.getOrphanage().referenceExternalData(values));
    }

    static std::uint64_t sum(Root::Reader root)
    {
        auto values = root.getValues();
        return checksum_vector(sum_header(root), values.begin(), values.size() / sizeof(double));
    }

    static std::size_t left(const input &in) { return in.vector.value_count * sizeof(double); }
};

template <class Case, bool zero_copy> class Codec
{
  public:
    explicit Codec(const input &in) : in_(in), memory_(archive_room / sizeof(capnp::word)) {}

    std::size_t encode()
    {
        message_.reset(); // which zeroes the memory again
        message_.emplace(
            kj::arrayPtr(reinterpret_cast<capnp::word *>(memory_.data()), memory_.size()));
        Case::build(*message_, in_);
        segments_ = message_->getSegmentsForOutput();
        std::size_t bytes = capnp::computeSerializedSizeInWords(segments_) * sizeof(capnp::word);
        if constexpr (zero_copy)
            bytes -= Case::left(in_);
        return bytes;
    }

    std::uint64_t decode()
    {
        capnp::SegmentArrayMessageReader reader(segments_);
        return Case::sum(reader.template getRoot<typename Case::Root>());
    }

  private:
    const input &in_;
    std::vector<std::uint64_t> memory_;
    std::optional<capnp::MallocMessageBuilder> message_;
    kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>> segments_;
};

template <class Case> contestant copying()
{
    return row<Codec<Case, false>>("capnproto", Case::which, COUNTS_BUILD);
}

template <class Case> contestant referring()
{
    return row<Codec<Case, true>>("capnproto", Case::which, COUNTS_BUILD, true);
}

} // namespace

const contestant capnproto_rows[] = {
    copying<RecordCase>(),
    referring<RecordBlobCase>(),
    copying<ScalarsCase>(),
    copying<NestedCase>(),
    copying<VectorCase>(),
    referring<VectorBlobCase>(),
    {},
};
