// cereal: its binary archive over streams on reused memory, into a reused object.
#include <cereal/archives/binary.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>
#include <istream>
#include <ostream>

#include "perf/serializers/contestant.hh"
#include "perf/serializers/memory_stream.hh"
#include "perf/serializers/objects.hh"

namespace objects
{

template <class Archive> void serialize(Archive &archive, Record &r)
{
    archive(r.ids, r.strings);
}

template <class Archive> void serialize(Archive &archive, Scalars &s)
{
    archive(s.d0, s.d1, s.d2, s.d3, s.d4, s.d5, s.d6, s.d7);
    archive(s.l0, s.l1, s.l2, s.l3, s.l4, s.l5);
    archive(s.i0, s.i1, s.i2, s.i3, s.i4, s.i5);
}

template <class Archive> void serialize(Archive &archive, Particle &p)
{
    archive(p.id, p.weight, p.tags);
}

template <class Archive> void serialize(Archive &archive, Group &g)
{
    archive(g.name, g.x, g.y, g.z, g.particles);
}

template <class Archive> void serialize(Archive &archive, Nested &n)
{
    archive(n.groups);
}

template <class Archive> void serialize(Archive &archive, Vector &v)
{
    archive(v.name, v.step, v.time, v.values);
}

} // namespace objects

namespace
{

template <class Case, class Object> class Codec
{
  public:
    explicit Codec(const input &in) : memory_(archive_room) { Case::fill(object_, in); }

    std::size_t encode()
    {
        buffer_.write_to(memory_.data(), memory_.size());
        cereal::BinaryOutputArchive archive(out_);
        archive(object_);
        return length_ = buffer_.written();
    }

    std::uint64_t decode()
    {
        buffer_.read_from(memory_.data(), length_);
        cereal::BinaryInputArchive archive(in_);
        archive(decoded_);
        return Case::sum(decoded_);
    }

  private:
    Object object_{}, decoded_{};
    std::vector<char> memory_;
    std::size_t length_ = 0;
    MemoryStream buffer_;
    std::ostream out_{&buffer_};
    std::istream in_{&buffer_};
};

template <class Case, class Object> contestant cereal_row()
{
    return row<Codec<Case, Object>>("cereal", Case::which, COUNTS_OBJECT);
}

} // namespace

const contestant cereal_rows[] = {
    cereal_row<objects::RecordCase, objects::Record>(),
    cereal_row<objects::ScalarsCase, objects::Scalars>(),
    cereal_row<objects::NestedCase, objects::Nested>(),
    cereal_row<objects::VectorCase, objects::Vector>(),
    {},
};
