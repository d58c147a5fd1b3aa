#pragma once
// Bytes that a connection has received and not yet parsed, and the search for the end of a header
// in them. Pure: no sockets.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace holdfast::api {

inline constexpr std::size_t kHeaderBytesMax = 16 << 10;

// A queue of bytes: filled at its end, consumed from its front. It grows as it is asked to; what it
// is asked for is bounded by its user.
class InputBuffer {
 public:
  std::string_view text() const { return {bytes_.get() + begin_, size()}; }
  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  // `bytes` ≤ size().
  void consume(std::size_t bytes) {
    begin_ += bytes;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  void clear() { begin_ = end_ = 0; }
  // Room for at least `least` bytes behind what is there; all views of it become invalid.
  std::span<char> prepare(std::size_t least) {
    if (capacity_ - end_ < least) make_room(least);
    return {bytes_.get() + end_, capacity_ - end_};
  }
  // `bytes` of the room were filled.
  void commit(std::size_t bytes) { end_ += bytes; }
  // Gives memory back that only a large body needed.
  void shrink();
  std::size_t capacity() const { return capacity_; }

 private:
  void make_room(std::size_t least);
  void reallocate(std::size_t capacity);

  std::unique_ptr<char[]> bytes_;
  std::size_t capacity_ = 0, begin_ = 0, end_ = 0;
};

// Looks for the blank line that ends a header, and for the two things in a header that parsers
// disagree about: a line continued on the next, and a line that ends with a bare line feed. One for
// each header; it reads each byte once, however the header arrives.
class HeaderScan {
 public:
  enum class Found : std::uint8_t { more, whole, folded, bare_line_feed };
  // `text` begins with the header and holds at least what it held at the last call.
  Found look(std::string_view text);
  // With its blank line; after `whole`.
  std::size_t header_bytes() const { return header_bytes_; }
  // Whether the first line has more than `bytes`, as far as it has been looked at.
  bool first_line_exceeds(std::size_t bytes) const {
    return (first_line_bytes_ > 0 ? first_line_bytes_ : at_) > bytes;
  }

 private:
  std::size_t at_ = 0, header_bytes_ = 0, first_line_bytes_ = 0;
};

}  // namespace holdfast::api
