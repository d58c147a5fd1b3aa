#include "tests/process/support/buyer.h"

#include <chrono>

#include "tests/process/support/cluster.h"

namespace process {

namespace {

// Nobody listens anywhere for so long: that is a failure, too.
constexpr std::chrono::seconds kConnectWithin{20};
constexpr std::chrono::milliseconds kRepeatAfter{10};

}  // namespace

Buyer::Buyer(BuyerOptions options, const std::atomic<bool>& stop)
    : options_(std::move(options)), stop_(stop), thread_([this] {
        while (!stop_ && failed_.empty()) buy();
      }) {}

Buyer::~Buyer() { join(); }

void Buyer::join() {
  if (thread_.joinable()) thread_.join();
}

void Buyer::buy() {
  const std::string id = options_.name + "-" + std::to_string(++bought_);
  const std::string path = "/v1/reservations/" + id;
  const std::string sku = "s" + std::to_string(bought_ % options_.skus);
  if (!ask("PUT", path, reservation(sku, 1, R"("wait_ms":2000,"ttl_seconds":3600)"), 201)) return;
  told_[id] = "held";
  if (options_.keeps_every > 0 && bought_ % options_.keeps_every == 0) return;
  if (!ask("POST", path + "/commit", "", 200)) return;
  told_[id] = "committed";
  ++sold_;
}

// A put that is repeated may be 200: it had been done.
bool Buyer::ask(const std::string& method, const std::string& path, const std::string& body,
                int wanted) {
  const std::string text =
      method + " " + path + " HTTP/1.1\r\nHost: x\r\n" +
      "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
      "\r\n\r\n" + body;
  for (bool again = false;; again = true) {
    Response answer;
    const bool answered = call(text, answer);
    if (answered && (answer.status == wanted || (again && answer.ok()))) return true;
    if (options_.repeats &&
        (!answered || answer.status >= 500 || answer.code() == "insufficient_stock")) {
      std::this_thread::sleep_for(kRepeatAfter);
      continue;
    }
    failed_ = method + " " + path + ": " +
              (answered ? std::to_string(answer.status) + " " : std::string()) + answer.body;
    return false;
  }
}

// False: no answer; the body says why.
bool Buyer::call(const std::string& text, Response& answer) {
  if (!connect()) {
    answer.body = "nobody listens";
    return false;
  }
  try {
    connection_.send(text);
    answer = connection_.read_response();
    if (answer.headers.contains("connection")) connection_.close();
    return true;
  } catch (const NoAnswer& none) {
    connection_.close();
    answer.body = none.what();
    return false;
  }
}

bool Buyer::connect() {
  const auto end = std::chrono::steady_clock::now() + kConnectWithin;
  while (!connection_.open()) {
    try {
      connection_ = Connection(options_.ports[at_]);
    } catch (const NoAnswer&) {
      if (std::chrono::steady_clock::now() > end) return false;
      at_ = (at_ + 1) % options_.ports.size();
      if (at_ == 0) std::this_thread::sleep_for(kRepeatAfter);
    }
  }
  return true;
}

}  // namespace process
