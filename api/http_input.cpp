#include "api/http_input.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace holdfast::api {
namespace {

constexpr std::size_t kLeastBytes = 8 << 10;

}  // namespace

void InputBuffer::shrink() {
  if (capacity_ <= kHeaderBytesMax + kLeastBytes || size() > kLeastBytes / 2) return;
  reallocate(kLeastBytes);
}

void InputBuffer::make_room(std::size_t least) {
  const std::size_t needed = size() + least;
  if (needed > capacity_) return reallocate(std::max(kLeastBytes, needed));
  std::memmove(bytes_.get(), bytes_.get() + begin_, size());
  end_ -= std::exchange(begin_, 0);
}

void InputBuffer::reallocate(std::size_t capacity) {
  std::unique_ptr<char[]> bytes(new char[capacity]);  // not zeroed: it is filled before it is read
  if (size() > 0) std::memcpy(bytes.get(), bytes_.get() + begin_, size());
  bytes_ = std::move(bytes);
  capacity_ = capacity;
  end_ -= std::exchange(begin_, 0);
}

HeaderScan::Found HeaderScan::look(std::string_view text) {
  for (;; ++at_) {
    at_ = std::min(text.find('\n', at_), text.size());
    if (at_ == text.size()) return Found::more;
    if (at_ == 0 || text[at_ - 1] != '\r') return Found::bare_line_feed;
    if (first_line_bytes_ == 0) first_line_bytes_ = at_ + 1;
    const std::string_view next = text.substr(at_ + 1);
    if (next.empty() || next == "\r") return Found::more;  // and looks at this line's end again
    if (next.front() == ' ' || next.front() == '\t') return Found::folded;
    if (next.starts_with("\r\n")) {
      header_bytes_ = at_ + 3;
      return Found::whole;
    }
  }
}

}  // namespace holdfast::api
