#include "api/bench_wire.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "crdt/check.h"

namespace holdfast::api {
namespace {

constexpr std::size_t kIdDigits = 12;
constexpr std::size_t kRoomMin = 4'096;
constexpr std::size_t kHeadMax = 16'384;
constexpr std::size_t kAnswerMax = std::size_t{256} << 20;

void append_digits(std::string& out, std::uint64_t value, std::size_t width) {
  char digits[24];
  for (std::size_t i = width; i-- > 0; value /= 10) digits[i] = static_cast<char>('0' + value % 10);
  out.append(digits, width);
}
void append_number(std::string& out, std::uint64_t value) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

bool same_letters(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() &&
         std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b;
         });
}

}  // namespace

std::string bench_sku(std::string_view prefix, std::uint32_t sku) {
  std::string name = std::string(prefix) + "-";
  append_digits(name, sku, kBenchSkuDigits);
  return name;
}

BenchRequests::BenchRequests(const std::string& host, Names names)
    : head_(" HTTP/1.1\r\nHost: " + host +
            "\r\nContent-Type: application/json\r\nContent-Length: "),
      read_head_(" HTTP/1.1\r\nHost: " + host + "\r\n\r\n"),
      batch_head_("POST /v1/batch HTTP/1.1\r\nHost: " + host +
                  "\r\nContent-Type: application/x-ndjson\r\nContent-Length: "),
      id_prefix_(names.run + "-"),
      sku_prefix_(names.prefix + "-"),
      receipt_body_("{\"quantity\":" + std::to_string(names.quantity) + "}") {
  after_sku_ = "\",\"quantity\":" + std::to_string(names.quantity) + "}]";
  if (names.ttl_seconds != 900) {  // the node's own default is not said
    after_sku_ += ",\"ttl_seconds\":" + std::to_string(names.ttl_seconds);
  }
  after_sku_ += "}";
}

void BenchRequests::append_id(std::string& out, std::uint64_t number) const {
  out += id_prefix_;
  append_digits(out, number, kIdDigits);
}
void BenchRequests::append_sku(std::string& out, std::uint32_t sku) const {
  out += sku_prefix_;
  append_digits(out, sku, kBenchSkuDigits);
}
void BenchRequests::append_lines(std::string& out, std::uint32_t sku) const {
  out += "\"lines\":[{\"sku\":\"";
  append_sku(out, sku);
  out += after_sku_;
}

void BenchRequests::single(std::string& out, BenchOp op, std::uint64_t number,
                           std::uint32_t sku) const {
  switch (op) {
    case BenchOp::reserve: {
      out += "PUT /v1/reservations/";
      append_id(out, number);
      out += head_;
      append_number(out, 1 + 18 + sku_prefix_.size() + kBenchSkuDigits + after_sku_.size() - 1);
      out += "\r\n\r\n{";
      append_lines(out, sku);
      return;
    }
    case BenchOp::commit:
    case BenchOp::release:
      out += "POST /v1/reservations/";
      append_id(out, number);
      out += op == BenchOp::commit ? "/commit" : "/release";
      out += head_;
      out += "0\r\n\r\n";
      return;
    case BenchOp::receive:
      out += "POST /v1/skus/";
      append_sku(out, sku);
      out += "/receipts HTTP/1.1\r\nIdempotency-Key: ";
      append_id(out, number);
      out += std::string_view(head_).substr(9);
      append_number(out, receipt_body_.size());
      out += "\r\n\r\n";
      out += receipt_body_;
      return;
    case BenchOp::availability:
    case BenchOp::stock:
      out += op == BenchOp::stock ? "GET /v1/skus/" : "GET /v1/availability?sku=";
      append_sku(out, sku);
      if (op == BenchOp::stock) out += "/stock";
      out += read_head_;
      return;
  }
}

void BenchRequests::line(std::string& lines, BenchOp op, std::uint64_t number,
                         std::uint32_t sku) const {
  HOLDFAST_CHECK(in_batches(op));
  lines += "{\"op\":\"";
  lines += kBenchOpNames[static_cast<std::size_t>(op)];
  if (op == BenchOp::receive) {
    lines += "\",\"sku\":\"";
    append_sku(lines, sku);
    lines += "\",\"key\":\"";
    append_id(lines, number);
    lines += "\",";
    lines += std::string_view(receipt_body_).substr(1);
  } else {
    lines += "\",\"id\":\"";
    append_id(lines, number);
    if (op == BenchOp::reserve) {
      lines += "\",";
      append_lines(lines, sku);
    } else {
      lines += "\"}";
    }
  }
  lines += '\n';
}

void BenchRequests::batch(std::string& out, std::string_view lines) const {
  out += batch_head_;
  append_number(out, lines.size());
  out += "\r\n\r\n";
  out += lines;
}

char* BenchAnswer::data() {
  if (room() < kRoomMin) buffer_.resize(std::max(2 * buffer_.size(), 4 * kRoomMin));
  return buffer_.data() + filled_;
}

void BenchAnswer::next() {
  filled_ = scanned_ = body_at_ = body_bytes_ = 0;
  closes_ = false;
}

BenchAnswer::State BenchAnswer::received(std::size_t bytes) {
  filled_ += bytes;
  if (body_at_ == 0) {
    // The end of the header may have come in two pieces.
    const std::size_t from = scanned_ > 3 ? scanned_ - 3 : 0;
    const void* found = memmem(buffer_.data() + from, filled_ - from, "\r\n\r\n", 4);
    if (found == nullptr) {
      scanned_ = filled_;
      return filled_ > kHeadMax ? State::malformed : State::incomplete;
    }
    const auto end = static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data());
    if (!read_head(end)) return State::malformed;
    body_at_ = end + 4;
    const std::size_t whole = body_at_ + body_bytes_;
    if (buffer_.size() < whole) buffer_.resize(whole);
  }
  const std::size_t whole = body_at_ + body_bytes_;
  if (filled_ < whole) return State::incomplete;
  return filled_ == whole ? State::complete : State::malformed;  // nobody asked for more
}

bool BenchAnswer::read_head(std::size_t end) {
  std::string_view head(buffer_.data(), end);
  if (head.size() < 12 || !head.starts_with("HTTP/1.1 ")) return false;
  if (std::from_chars(head.data() + 9, head.data() + 12, status_).ptr != head.data() + 12) {
    return false;
  }
  bool sized = status_ == 204;
  for (auto at = head.find("\r\n"); at != head.npos; at = head.find("\r\n")) {
    head.remove_prefix(at + 2);
    const auto line = head.substr(0, head.find("\r\n"));
    const auto colon = line.find(':');
    if (colon == line.npos) return false;
    if (colon != 14 && colon != 10) continue;
    auto value = line.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    if (same_letters(line.substr(0, colon), "content-length")) {
      const auto [rest, error] =
          std::from_chars(value.data(), value.data() + value.size(), body_bytes_);
      sized = error == std::errc() && rest == value.data() + value.size();
      if (!sized || body_bytes_ > kAnswerMax) return false;
    } else if (same_letters(line.substr(0, colon), "connection")) {
      closes_ = same_letters(value, "close");
    }
  }
  return sized;
}

std::string problem_code(std::string_view body, int status) {
  constexpr std::string_view kMember = "\"code\":\"";
  const auto at = body.find(kMember);
  if (at == body.npos) return "http_" + std::to_string(status);
  const auto code = body.substr(at + kMember.size(), 64);
  const auto end = code.find('"');
  return end == code.npos ? "http_" + std::to_string(status) : std::string(code.substr(0, end));
}

int line_status(std::string_view line) {
  constexpr std::string_view kBegin = "{\"status\":";
  if (!line.starts_with(kBegin) || line.size() < kBegin.size() + 3) return 0;
  int status = 0;
  const char* from = line.data() + kBegin.size();
  return std::from_chars(from, from + 3, status).ptr == from + 3 ? status : 0;
}

}  // namespace holdfast::api
