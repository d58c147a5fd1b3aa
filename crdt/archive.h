#pragma once
// Two cereal archives for bytes that cross a wire or a disk. Include from codecs only.
//
// CompactOut writes integers as LEB128 varints (signed ones zigzag), strings and containers with
// their length before them; what it writes is in the string when it is flushed or destroyed, since
// a string that grows by a byte at a time costs more than the bytes. BoundedIn reads that and
// believes nothing: a count may not exceed the bytes that are left (each element takes at least
// one), a varint must be the shortest form of its value, a number must fit its type, a bool is 0
// or 1. So equal values have equal bytes, both ways, and what a frame can make us allocate is a
// small multiple of its own size.
//
// Errors: BoundedIn throws Malformed (or what cereal and the standard library throw); the codec
// that uses it catches std::exception and returns a Status.

#include <algorithm>
#include <cereal/cereal.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace holdfast::crdt {

struct Malformed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

constexpr std::size_t kVarintBytesMost = 10;

// LEB128, at most 10 bytes. Behind the last of them.
inline char* put_varint(char* at, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) *at++ = static_cast<char>(value | 0x80);
  *at++ = static_cast<char>(value);
  return at;
}

class CompactOut : public cereal::OutputArchive<CompactOut, cereal::AllowEmptyClassElision> {
 public:
  explicit CompactOut(std::string& out) : OutputArchive(this), out_(&out) {}
  ~CompactOut() { flush(); }
  CompactOut(const CompactOut&) = delete;
  CompactOut& operator=(const CompactOut&) = delete;

  // What follows goes to `out`. An archive costs some hundred instructions to make, since cereal
  // keeps tables of pointers in it: one that writes many small things is used again.
  // The one before may be gone by then: all that was for it has been flushed.
  void turn_to(std::string& out) {
    at_ = buffer_;
    out_ = &out;
  }
  void flush() {
    if (at_ == buffer_) return;
    out_->append(buffer_, at_);
    at_ = buffer_;
  }

  void varint(std::uint64_t value) {
    if (room() < kVarintBytesMost) flush();
    at_ = put_varint(at_, value);
  }
  void bytes(std::string_view text) {
    if (text.size() > room()) {
      flush();
      if (text.size() > room()) {
        out_->append(text);
        return;
      }
    }
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }

 private:
  std::size_t room() const { return static_cast<std::size_t>(std::end(buffer_) - at_); }

  std::string* out_;
  char buffer_[256];
  char* at_ = buffer_;
};

class BoundedIn : public cereal::InputArchive<BoundedIn, cereal::AllowEmptyClassElision> {
 public:
  explicit BoundedIn(std::string_view in) : InputArchive(this), in_(in) {}

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      if (in_.empty()) throw Malformed("truncated number");
      const auto byte = static_cast<unsigned char>(in_.front());
      in_.remove_prefix(1);
      if (shift == 63 && byte > 1) throw Malformed("number over 64 bits");
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (byte == 0 && shift > 0) throw Malformed("number not in its shortest form");
        return value;
      }
    }
  }
  // A count of elements of at least `smallest` bytes each.
  std::size_t count(std::size_t smallest = 1) {
    const std::uint64_t value = varint();
    if (value > in_.size() / smallest) throw Malformed("count exceeds the bytes that are left");
    return static_cast<std::size_t>(value);
  }
  std::string_view bytes(std::size_t size) {
    if (size > in_.size()) throw Malformed("truncated bytes");
    const std::string_view text = in_.substr(0, size);
    in_.remove_prefix(size);
    return text;
  }
  std::string_view left() const { return in_; }
  void expect_end() const {
    if (!in_.empty()) throw Malformed("bytes left over");
  }

 private:
  std::string_view in_;
};

template <typename T>
constexpr bool is_number = std::is_integral_v<T> && !std::is_same_v<T, bool>;

template <typename T>
std::enable_if_t<is_number<T>> CEREAL_SAVE_FUNCTION_NAME(CompactOut& ar, const T& value) {
  if constexpr (std::is_signed_v<T>) {
    const auto wide = static_cast<std::int64_t>(value);
    ar.varint((static_cast<std::uint64_t>(wide) << 1) ^ static_cast<std::uint64_t>(wide >> 63));
  } else {
    ar.varint(value);
  }
}
template <typename T>
std::enable_if_t<is_number<T>> CEREAL_LOAD_FUNCTION_NAME(BoundedIn& ar, T& value) {
  const std::uint64_t raw = ar.varint();
  if constexpr (std::is_signed_v<T>) {
    const auto wide = static_cast<std::int64_t>(raw >> 1) ^ -static_cast<std::int64_t>(raw & 1);
    if (wide < std::numeric_limits<T>::min() || wide > std::numeric_limits<T>::max())
      throw Malformed("number out of range");
    value = static_cast<T>(wide);
  } else {
    if (raw > std::numeric_limits<T>::max()) throw Malformed("number out of range");
    value = static_cast<T>(raw);
  }
}

inline void CEREAL_SAVE_FUNCTION_NAME(CompactOut& ar, const bool& value) {
  ar.varint(value ? 1 : 0);
}
inline void CEREAL_LOAD_FUNCTION_NAME(BoundedIn& ar, bool& value) {
  const std::uint64_t raw = ar.varint();
  if (raw > 1) throw Malformed("a flag that is neither 0 nor 1");
  value = raw == 1;
}

inline void CEREAL_SAVE_FUNCTION_NAME(CompactOut& ar, const std::string& text) {
  ar.varint(text.size());
  ar.bytes(text);
}
inline void CEREAL_LOAD_FUNCTION_NAME(BoundedIn& ar, std::string& text) {
  text.assign(ar.bytes(ar.count()));
}

template <typename T>
void CEREAL_SAVE_FUNCTION_NAME(CompactOut& ar, const cereal::SizeTag<T>& tag) {
  ar.varint(tag.size);
}

// Grows as the elements are read: bytes that claim many and then end cost what they hold.
template <typename T>
void CEREAL_LOAD_FUNCTION_NAME(BoundedIn& ar, std::vector<T>& list) {
  list.clear();
  const std::size_t size = ar.count();
  list.reserve(std::min<std::size_t>(size, 16));
  while (list.size() < size) ar(list.emplace_back());
}

}  // namespace holdfast::crdt

CEREAL_SETUP_ARCHIVE_TRAITS(holdfast::crdt::BoundedIn, holdfast::crdt::CompactOut)
