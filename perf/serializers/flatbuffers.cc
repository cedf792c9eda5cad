// FlatBuffers: one builder that is cleared for each archive; reading is in place. `flatbuffers`
// trusts the archive, which is the library's fast form; `flatbuffers-verified` runs its verifier
// first, as what comes over a network needs. It cannot leave large data out of its buffer: no
// zero-copy rows.
#include "perf/serializers/contestant.hh"
#include <cases_generated.h>

namespace
{

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;
using flatbuffers::String;

Offset<String> text(FlatBufferBuilder &builder, const plain_text &from)
{
    return builder.CreateString(from.data, from.len);
}

std::uint64_t sum_string(std::uint64_t sum, const String *string)
{
    return checksum_bytes(sum, string->data(), string->size());
}

struct RecordCase {
    using Root = flat::Record;
    static constexpr serial_case which = CASE_RECORD;

    std::vector<Offset<String>> offsets; // kept from archive to archive

    Offset<Root> build(FlatBufferBuilder &builder, const input &in)
    {
        const plain_record &from = in.record;
        offsets.resize(from.string_count);
        for (std::size_t i = 0; i < from.string_count; i++)
            offsets[i] = text(builder, from.strings[i]);
        auto strings = builder.CreateVector(offsets);
        auto ids = builder.CreateVector(from.ids, from.id_count);
        return flat::CreateRecord(builder, ids, strings);
    }

    static std::uint64_t sum(const Root &record)
    {
        std::uint64_t sum = checksum_words(0, record.ids()->data(), record.ids()->size());
        for (const String *string : *record.strings())
            sum = sum_string(sum, string);
        return sum;
    }
};

struct ScalarsCase {
    using Root = flat::ScalarsHolder;
    static constexpr serial_case which = CASE_SCALARS;

    static Offset<Root> build(FlatBufferBuilder &builder, const input &in)
    {
        const plain_scalars &s = in.scalars;
        flat::Scalars scalars(s.d0, s.d1, s.d2, s.d3, s.d4, s.d5, s.d6, s.d7, s.l0, s.l1, s.l2,
                              s.l3, s.l4, s.l5, s.i0, s.i1, s.i2, s.i3, s.i4, s.i5);
        return flat::CreateScalarsHolder(builder, &scalars);
    }

    static std::uint64_t sum(const Root &holder)
    {
        const flat::Scalars &scalars = *holder.scalars();
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
    using Root = flat::Nested;
    static constexpr serial_case which = CASE_NESTED;

    std::vector<Offset<flat::Particle>> particles; // both kept from archive to archive
    std::vector<Offset<flat::Group>> groups;

    Offset<flat::Group> build_group(FlatBufferBuilder &builder, const plain_group &from)
    {
        particles.resize(from.particle_count);
        for (std::size_t i = 0; i < from.particle_count; i++) {
            const plain_particle &particle = from.particles[i];
            auto tags = builder.CreateVector(particle.tags, particle.tag_count);
            particles[i] = flat::CreateParticle(builder, particle.id, particle.weight, tags);
        }
        auto all = builder.CreateVector(particles);
        auto name = text(builder, from.name);
        flat::Position position(from.position[0], from.position[1], from.position[2]);
        return flat::CreateGroup(builder, name, &position, all);
    }

    Offset<Root> build(FlatBufferBuilder &builder, const input &in)
    {
        groups.resize(in.nested.group_count);
        for (std::size_t i = 0; i < in.nested.group_count; i++)
            groups[i] = build_group(builder, in.nested.groups[i]);
        return flat::CreateNested(builder, builder.CreateVector(groups));
    }

    static std::uint64_t sum(const Root &nested)
    {
        std::uint64_t sum = 0;
        for (const flat::Group *group : *nested.groups()) {
            sum = sum_string(sum, group->name());
            const flat::Position &position = *group->position();
            sum = checksum_double(sum, position.x());
            sum = checksum_double(sum, position.y());
            sum = checksum_double(sum, position.z());
            for (const flat::Particle *particle : *group->particles()) {
                sum = checksum_long(sum, particle->id());
                sum = checksum_double(sum, particle->weight());
                sum = checksum_ints(sum, particle->tags()->data(), particle->tags()->size());
            }
        }
        return sum;
    }
};

struct VectorCase {
    using Root = flat::Vector;
    static constexpr serial_case which = CASE_VECTOR;

    static Offset<Root> build(FlatBufferBuilder &builder, const input &in)
    {
        const plain_vector &from = in.vector;
        auto values = builder.CreateVector(from.values, from.value_count);
        auto name = text(builder, from.name);
        return flat::CreateVector(builder, name, from.step, from.time, values);
    }

    static std::uint64_t sum(const Root &vector)
    {
        std::uint64_t sum = sum_string(0, vector.name());
        sum = checksum_long(sum, vector.step());
        sum = checksum_double(sum, vector.time());
        return checksum_vector(sum, vector.values()->data(), vector.values()->size());
    }
};

template <class Case, bool verified> class Codec
{
  public:
    explicit Codec(const input &in) : in_(in) {}

    std::size_t encode()
    {
        builder_.Clear();
        builder_.Finish(case_.build(builder_, in_));
        return builder_.GetSize();
    }

    std::uint64_t decode()
    {
        if (verified) {
            flatbuffers::Verifier verifier(builder_.GetBufferPointer(), builder_.GetSize());
            if (!verifier.VerifyBuffer<typename Case::Root>())
                contestant_fail("flatbuffers-verified", "the verifier refuses an archive");
        }
        return Case::sum(*flatbuffers::GetRoot<typename Case::Root>(builder_.GetBufferPointer()));
    }

  private:
    const input &in_;
    FlatBufferBuilder builder_;
    Case case_;
};

template <class Case> contestant trusting()
{
    return row<Codec<Case, false>>("flatbuffers", Case::which, COUNTS_BUILD);
}

template <class Case> contestant verified()
{
    return row<Codec<Case, true>>("flatbuffers-verified", Case::which, COUNTS_BUILD);
}

} // namespace

const contestant flatbuffers_rows[] = {
    trusting<RecordCase>(),  verified<RecordCase>(), trusting<ScalarsCase>(),
    verified<ScalarsCase>(), trusting<NestedCase>(), verified<NestedCase>(),
    trusting<VectorCase>(),  verified<VectorCase>(), {},
};
