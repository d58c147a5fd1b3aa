#pragma once
// Beast's parser, with the rules that it lacks, keeping no more fields than are needed. Few include
// this: it is slow to compile.

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cstdint>
#include <string_view>

#include "api/http_fields.h"
#include "api/http_message.h"
#include "api/problem.h"
#include "api/routes.h"

namespace holdfast::api {

class RequestParser : public boost::beast::http::basic_parser<true> {
 public:
  explicit RequestParser(Incoming& incoming) : in_(incoming) {
    header_limit(kHeaderBytesMax + 1);
    eager(true);
  }

 private:
  using Text = boost::beast::string_view;
  static std::string_view view(Text text) { return {text.data(), text.size()}; }

  void on_request_impl(boost::beast::http::verb, Text method, Text target, int version,
                       boost::system::error_code& ec) override {
    in_.method = view(method);
    in_.old_client = version < 11;
    if (target.size() > kTargetBytesMax) {
      in_.problem = target_too_long();
      ec = boost::beast::http::error::bad_target;
      return;
    }
    in_.target = view(target);
    body_limit(body_bytes_max(in_.target));
  }
  void on_response_impl(int, Text, int, boost::system::error_code&) override {}

  void on_field_impl(boost::beast::http::field, Text name, Text value,
                     boost::system::error_code&) override {
    if (!header_done_) rules_.take(in_, view(name), view(value));  // trailers change nothing
  }

  void on_header_impl(boost::system::error_code& ec) override {
    header_done_ = true;
    in_.problem = rules_.judge(in_);
    if (in_.problem) ec = boost::beast::http::error::bad_field;
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>&,
                         boost::system::error_code&) override {}
  std::size_t on_body_impl(Text data, boost::system::error_code&) override {
    in_.body.append(data.data(), data.size());
    return data.size();
  }
  void on_chunk_header_impl(std::uint64_t, Text, boost::system::error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text data, boost::system::error_code&) override {
    in_.body.append(data.data(), data.size());
    return data.size();
  }
  void on_finish_impl(boost::system::error_code&) override {}

  Incoming& in_;
  HeaderRules rules_;
  bool header_done_ = false;
};

}  // namespace holdfast::api
