// Thrift: its binary protocol over a memory buffer, compiled for exactly these (templates), so that
// no call is virtual; buffers and the object decoded into are reused.
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>

#include <memory>

#include "perf/serializers/contestant.hh"
#include "perf/serializers/objects.hh"
#include <cases_types.h>
#include <cases_types.tcc>

namespace
{

using apache::thrift::protocol::TBinaryProtocolT;
using apache::thrift::transport::TMemoryBuffer;

template <class Case, class Object> class Codec
{
  public:
    explicit Codec(const input &in) { Case::fill(object_, in); }

    std::size_t encode()
    {
        out_->resetBuffer();
        object_.write(&writer_);
        return out_->available_read();
    }

    std::uint64_t decode()
    {
        std::uint8_t *bytes = nullptr;
        std::uint32_t length = 0;
        out_->getBuffer(&bytes, &length);
        in_->resetBuffer(bytes, length); // observes
        decoded_.read(&reader_);
        in_->readEnd(); // else its limit of 100 MB holds for all messages together
        return Case::sum(decoded_);
    }

  private:
    Object object_, decoded_;
    std::shared_ptr<TMemoryBuffer> out_{std::make_shared<TMemoryBuffer>()};
    std::shared_ptr<TMemoryBuffer> in_{std::make_shared<TMemoryBuffer>()};
    TBinaryProtocolT<TMemoryBuffer> writer_{out_};
    TBinaryProtocolT<TMemoryBuffer> reader_{in_};
};

template <class Case, class Object> contestant thrift_row()
{
    return row<Codec<Case, Object>>("thrift", Case::which, COUNTS_OBJECT);
}

} // namespace

const contestant thrift_rows[] = {
    thrift_row<objects::RecordCase, thrifty::Record>(),
    thrift_row<objects::ScalarsCase, thrifty::Scalars>(),
    thrift_row<objects::NestedCase, thrifty::Nested>(),
    thrift_row<objects::VectorCase, thrifty::Vector>(),
    {},
};
