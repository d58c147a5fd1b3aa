#pragma once
// HTTP/1.1 as a load generator needs it: requests appended to reused buffers, and a reader that
// finds the end of an answer. Pure. Not for other ends than our own node and the benchmarks' peers:
// an answer needs a Content-Length.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/bench_plan.h"

namespace holdfast::api {

// Writes the requests of one run to one node.
class BenchRequests {
 public:
  // SKUs are PREFIX-000000, PREFIX-000001, …; reservations RUN-000000000000, …
  struct Names {
    std::string prefix, run;
    std::uint64_t quantity = 1;
    std::uint32_t ttl_seconds = 900;
  };
  BenchRequests(const std::string& host, Names names);

  // `number` is the reservation's, or for receive the key's; the operations use what they need.
  void single(std::string& out, BenchOp op, std::uint64_t number, std::uint32_t sku) const;
  // A line of a batch, with its end; and the whole request around `lines`.
  void line(std::string& lines, BenchOp op, std::uint64_t number, std::uint32_t sku) const;
  void batch(std::string& out, std::string_view lines) const;

 private:
  void request(std::string& out, std::string_view method, std::string_view body) const;
  void append_id(std::string& out, std::uint64_t number) const;
  void append_sku(std::string& out, std::uint32_t sku) const;
  void append_lines(std::string& out, std::uint32_t sku) const;

  std::string head_;  // from " HTTP/1.1" to "Content-Length: "
  std::string read_head_, batch_head_, id_prefix_, sku_prefix_, after_sku_, receipt_body_;
};

inline constexpr std::size_t kBenchSkuDigits = 6;
std::string bench_sku(std::string_view prefix, std::uint32_t sku);

class BenchAnswer {
 public:
  enum class State : std::uint8_t { incomplete, complete, malformed };

  // Free room of at least 4 KiB at data(), size `room()`. Then: how much came.
  char* data();
  std::size_t room() const { return buffer_.size() - filled_; }
  State received(std::size_t bytes);
  void next();  // forgets the answer

  // Of a complete answer, until next():
  int status() const { return status_; }
  bool closes() const { return closes_; }
  std::string_view body() const { return {buffer_.data() + body_at_, body_bytes_}; }
  std::size_t bytes() const { return filled_; }

 private:
  bool read_head(std::size_t end);

  std::vector<char> buffer_;
  std::size_t filled_ = 0, scanned_ = 0, body_at_ = 0, body_bytes_ = 0;
  int status_ = 0;
  bool closes_ = false;
};

// `code` of a problem document, or of the line of a batch; "http_500" and so on without one.
std::string problem_code(std::string_view body, int status);
// The status that a line of a batch's answer begins with; 0: it does not.
int line_status(std::string_view line);

}  // namespace holdfast::api
