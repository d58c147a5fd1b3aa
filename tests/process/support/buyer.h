#pragma once
// A customer in a thread of its own: reserves and commits, one unit after the other, over one
// connection, until it is told to stop.

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/process/support/http.h"

namespace process {

struct BuyerOptions {
  std::string name;        // begins the ids of its reservations
  std::vector<int> ports;  // another one is taken when a connection is refused
  int skus = 10;           // "s0", "s1" …
  int keeps_every = 0;     // of so many reservations one stays held; 0: none
  // Repeats what got no answer, or one of 500 and above, or was refused for want of stock: that may
  // be at a node that is down. Else each is a failure, and its end.
  bool repeats = false;
};

class Buyer {
 public:
  Buyer(BuyerOptions options, const std::atomic<bool>& stop);
  Buyer(const Buyer&) = delete;
  Buyer& operator=(const Buyer&) = delete;
  ~Buyer();

  int sold() const { return sold_; }  // any thread
  // After join():
  void join();
  const std::string& failed() const { return failed_; }  // empty: no call has
  // What was acknowledged last of each reservation: "held" or "committed".
  const std::map<std::string, std::string>& told() const { return told_; }

 private:
  void buy();
  bool ask(const std::string& method, const std::string& path, const std::string& body, int wanted);
  bool call(const std::string& text, Response& answer);
  bool connect();

  const BuyerOptions options_;
  const std::atomic<bool>& stop_;
  std::size_t at_ = 0;
  Connection connection_;
  int bought_ = 0;
  std::atomic<int> sold_ = 0;
  std::string failed_;
  std::map<std::string, std::string> told_;
  std::thread thread_;
};

}  // namespace process
