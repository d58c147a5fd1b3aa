// The ceiling that versus compares with: an HTTP server of Boost.Beast and Boost.JSON that does
// nothing. It parses the body of a reservation and answers one like Holdfast's; to a GET it answers
// an availability. No routing, no checks, no state, no disk. One thread.
//   beast_json PORT

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;
using tcp = boost::asio::ip::tcp;

std::string reservation(std::string_view target, const std::string& body) {
  const json::value value = json::parse(body);
  json::array lines;
  for (const auto& line : value.at("lines").as_array()) {
    const auto quantity = line.at("quantity").to_number<std::int64_t>();
    lines.push_back({{"sku", line.at("sku").as_string()},
                     {"requested", quantity},
                     {"held", quantity},
                     {"committed", 0},
                     {"returned", 0}});
  }
  const json::object answer{{"id", target.substr(target.rfind('/') + 1)},
                            {"state", "held"},
                            {"final", false},
                            {"home", "353583e588be7d34"},
                            {"home_node", "eu-1"},
                            {"home_region", "eu"},
                            {"lines", std::move(lines)},
                            {"created_at", "2026-11-28T17:08:40.975Z"},
                            {"expires_at", "2026-11-28T17:23:40.975Z"},
                            {"ended_at", nullptr}};
  return json::serialize(answer);
}

std::string availability(std::string_view target) {
  const json::object item{{"sku", target.substr(target.rfind('=') + 1)},
                          {"known", true},
                          {"available", 1'000'000},
                          {"local_available", 1'000'000}};
  return json::serialize(json::object{{"items", json::array{item}}});
}

class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(tcp::socket socket) : stream_(std::move(socket)) {}

  void read() {
    request_ = {};
    http::async_read(stream_, buffer_, request_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                       if (!error) self->answer();
                     });
  }

 private:
  void answer() {
    answer_ = {};
    answer_.version(11);
    answer_.set(http::field::content_type, "application/json");
    const bool get = request_.method() == http::verb::get;
    answer_.result(get ? http::status::ok : http::status::created);
    const std::string_view target(request_.target().data(), request_.target().size());
    try {
      answer_.body() = get ? availability(target) : reservation(target, request_.body());
    } catch (const std::exception& error) {
      answer_.result(http::status::bad_request);
      answer_.body() = error.what();
    }
    answer_.prepare_payload();
    http::async_write(stream_, answer_,
                      [self = shared_from_this()](beast::error_code error, std::size_t) {
                        if (!error) self->read();
                      });
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  http::response<http::string_body> answer_;
};

void accept(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](beast::error_code error, tcp::socket socket) {
    if (!error) {
      socket.set_option(tcp::no_delay(true));
      std::make_shared<Session>(std::move(socket))->read();
    }
    accept(acceptor);
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: beast_json PORT\n";
    return 2;
  }
  boost::asio::io_context io(1);
  const auto port = static_cast<unsigned short>(std::atoi(argv[1]));
  tcp::acceptor acceptor(io, {boost::asio::ip::make_address("127.0.0.1"), port});
  accept(acceptor);
  io.run();
}
