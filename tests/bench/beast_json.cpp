// The ceiling that versus compares with: an HTTP server of Boost.Beast and Boost.JSON that does
// nothing. It parses the body of a reservation and answers one like Holdfast's; to a GET it answers
// an availability. No routing, no checks, no state, no disk. One thread.
//   beast_json PORT

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;
namespace asio = boost::asio;
using tcp = asio::ip::tcp;
// Of the context's own executor: any_io_executor would cost two indirections an operation.
using Socket = asio::basic_stream_socket<tcp, asio::io_context::executor_type>;
using Acceptor = asio::basic_socket_acceptor<tcp, asio::io_context::executor_type>;

std::string reservation(std::string_view target, const std::string& body) {
  unsigned char memory[4'096];
  json::monotonic_resource resource(memory);
  const json::value value = json::parse(body, &resource);
  json::array lines(&resource);
  for (const auto& line : value.at("lines").as_array()) {
    const auto quantity = line.at("quantity").to_number<std::int64_t>();
    lines.emplace_back(json::object({{"sku", line.at("sku").as_string()},
                                     {"requested", quantity},
                                     {"held", quantity},
                                     {"committed", 0},
                                     {"returned", 0}},
                                    &resource));
  }
  const json::object answer({{"id", target.substr(target.rfind('/') + 1)},
                             {"state", "held"},
                             {"final", false},
                             {"home", "353583e588be7d34"},
                             {"home_node", "eu-1"},
                             {"home_region", "eu"},
                             {"lines", std::move(lines)},
                             {"created_at", "2026-11-28T17:08:40.975Z"},
                             {"expires_at", "2026-11-28T17:23:40.975Z"},
                             {"ended_at", nullptr}},
                            &resource);
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
  explicit Session(Socket socket) : socket_(std::move(socket)) {}

  void read() {
    request_ = {};
    http::async_read(socket_, buffer_, request_,
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
    http::async_write(socket_, answer_,
                      [self = shared_from_this()](beast::error_code error, std::size_t) {
                        if (!error) self->read();
                      });
  }

  Socket socket_;
  beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  http::response<http::string_body> answer_;
};

void accept(Acceptor& acceptor) {
  acceptor.async_accept([&acceptor](beast::error_code error, Socket socket) {
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
  asio::io_context io(1);
  const auto port = static_cast<unsigned short>(std::atoi(argv[1]));
  Acceptor acceptor(io, tcp::endpoint{asio::ip::make_address("127.0.0.1"), port});
  accept(acceptor);
  io.run();
}
