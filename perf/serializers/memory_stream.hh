// Streams over memory that is there already, for cereal and Boost.
#ifndef WAYBILL_PERF_SERIALIZERS_MEMORY_STREAM_HH
#define WAYBILL_PERF_SERIALIZERS_MEMORY_STREAM_HH

#include <algorithm>
#include <cstddef>
#include <streambuf>

class MemoryStream : public std::streambuf
{
  public:
    void write_to(char *begin, std::size_t room) { setp(begin, begin + room); }
    std::size_t written() const { return static_cast<std::size_t>(pptr() - pbase()); }
    void read_from(char *begin, std::size_t length) { setg(begin, begin, begin + length); }

  protected:
    // What std::streambuf does, without its loop for buffers that can be refilled.
    std::streamsize xsputn(const char *from, std::streamsize count) final
    {
        if (count > epptr() - pptr())
            return 0;
        char *next = std::copy_n(from, count, pptr());
        setp_at(next);
        return count;
    }

    std::streamsize xsgetn(char *to, std::streamsize count) final
    {
        if (count > egptr() - gptr())
            return 0;
        std::copy_n(gptr(), count, to);
        setg(eback(), gptr() + count, egptr());
        return count;
    }

  private:
    // pbump takes an int alone, which 1 MiB fits.
    void setp_at(const char *next) { pbump(static_cast<int>(next - pptr())); }
};

#endif
