// Boost.Serialization: its binary archive without header, over a stream on reused memory, into a
// reused object; types are neither versioned nor tracked, which is its fast form.
#include <boost/archive/binary_iarchive.hpp>
#include <boost/archive/binary_oarchive.hpp>
#include <boost/serialization/level.hpp>
#include <boost/serialization/string.hpp>
#include <boost/serialization/tracking.hpp>
#include <boost/serialization/vector.hpp>

#include "perf/serializers/contestant.hh"
#include "perf/serializers/memory_stream.hh"
#include "perf/serializers/objects.hh"

#define WB_PLAIN(type)                                                                             \
    BOOST_CLASS_IMPLEMENTATION(type, boost::serialization::object_serializable)                    \
    BOOST_CLASS_TRACKING(type, boost::serialization::track_never)
WB_PLAIN(objects::Record)
WB_PLAIN(objects::Scalars)
WB_PLAIN(objects::Particle)
WB_PLAIN(objects::Group)
WB_PLAIN(objects::Nested)
WB_PLAIN(objects::Vector)
WB_PLAIN(std::vector<std::int64_t>)
WB_PLAIN(std::vector<std::int32_t>)
WB_PLAIN(std::vector<double>)
WB_PLAIN(std::vector<std::string>)
WB_PLAIN(std::vector<objects::Particle>)
WB_PLAIN(std::vector<objects::Group>)

namespace objects
{

template <class Archive> void serialize(Archive &archive, Record &r, unsigned)
{
    archive &r.ids &r.strings;
}

template <class Archive> void serialize(Archive &archive, Scalars &s, unsigned)
{
    archive &s.d0 &s.d1 &s.d2 &s.d3 &s.d4 &s.d5 &s.d6 &s.d7;
    archive &s.l0 &s.l1 &s.l2 &s.l3 &s.l4 &s.l5;
    archive &s.i0 &s.i1 &s.i2 &s.i3 &s.i4 &s.i5;
}

template <class Archive> void serialize(Archive &archive, Particle &p, unsigned)
{
    archive &p.id &p.weight &p.tags;
}

template <class Archive> void serialize(Archive &archive, Group &g, unsigned)
{
    archive &g.name &g.x &g.y &g.z &g.particles;
}

template <class Archive> void serialize(Archive &archive, Nested &n, unsigned)
{
    archive &n.groups;
}

template <class Archive> void serialize(Archive &archive, Vector &v, unsigned)
{
    archive &v.name &v.step &v.time &v.values;
}

} // namespace objects

namespace
{

constexpr unsigned bare = boost::archive::no_header | boost::archive::no_codecvt;

template <class Case, class Object> class Codec
{
  public:
    explicit Codec(const input &in) : memory_(archive_room) { Case::fill(object_, in); }

    std::size_t encode()
    {
        buffer_.write_to(memory_.data(), memory_.size());
        boost::archive::binary_oarchive archive(buffer_, bare);
        archive << object_;
        return length_ = buffer_.written();
    }

    std::uint64_t decode()
    {
        buffer_.read_from(memory_.data(), length_);
        boost::archive::binary_iarchive archive(buffer_, bare);
        archive >> decoded_;
        return Case::sum(decoded_);
    }

  private:
    Object object_{}, decoded_{};
    std::vector<char> memory_;
    std::size_t length_ = 0;
    MemoryStream buffer_;
};

template <class Case, class Object> contestant boost_row()
{
    return row<Codec<Case, Object>>("boost", Case::which, COUNTS_OBJECT);
}

} // namespace

const contestant boost_rows[] = {
    boost_row<objects::RecordCase, objects::Record>(),
    boost_row<objects::ScalarsCase, objects::Scalars>(),
    boost_row<objects::NestedCase, objects::Nested>(),
    boost_row<objects::VectorCase, objects::Vector>(),
    {},
};
