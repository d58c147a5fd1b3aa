#pragma once
// Clients: requests made at random, and an oracle that knows of them nothing but what was asked and
// what was answered. At the end every request without a clear answer is asked again, as a client
// would, until it has one; then on_hand, held, sold, returned and allowance of every SKU follow in
// closed form, and so does what every reservation must be.

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "tests/node/support/cluster.h"

namespace holdfast::tests {

// Numbers that rapidcheck makes and shrinks: what to do, where, and two more for the rest.
using Step = std::tuple<int, int, int, int>;

class Clients {
 public:
  // `skus` SKUs, made at node 0 and known everywhere.
  Clients(Cluster& cluster, int skus);

  // One request at random, at `node`; it is not waited for.
  void ask(std::size_t node, int kind, int x, int y);
  // Takes note of the answers that have come.
  void collect();
  // Asks again what has no clear answer. All nodes must live and see each other.
  void resolve();
  // Compares every node with what must be. Empty: all is well.
  std::string verdict();

 private:
  struct Asked {
    Command command;
    std::size_t node = 0;
    std::uint64_t token = 0;
    bool clear = false;
  };
  struct Cart {
    std::optional<std::vector<Units>> held, committed;  // by line
    bool released = false;
    std::map<std::string, Units> returned;
  };

  std::string sku(int number) const { return "s" + std::to_string(number % skus_); }
  Command make(int kind, int x, int y);
  std::string known_id(int number) const {
    return "r" + std::to_string(number % std::max(1, carts_made_));
  }
  node::IdempotencyKey new_key() { return {"POST /v1", "k" + std::to_string(++keys_made_)}; }
  void note(Asked& asked, Outcome outcome);
  void note_lines(std::optional<std::vector<Units>>& known, const ReservationView& view,
                  std::uint32_t crdt::HoldLine::*field, const std::string& what);
  void wrong(const std::string& what) { wrong_ += what + "\n"; }

  Cluster& cluster_;
  const int skus_;
  int carts_made_ = 0, keys_made_ = 0;
  std::vector<Asked> asked_;
  std::map<std::string, Cart> carts_;
  struct Figures {
    Units received = 0, allowance = 0, held = 0, sold = 0, returned = 0;
  };
  std::string check_carts(std::map<std::string, Figures>& figures);
  std::map<std::string, Figures> figures_;
  std::string wrong_;
};

}  // namespace holdfast::tests
