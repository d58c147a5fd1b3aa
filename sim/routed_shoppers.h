#pragma once
// Customers of routers: each makes a cart, ends it, and repeats every call until its answer is
// clear, at whatever router lives. What they were told is the account by which routed_audit.h
// judges.

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "sim/routed_world.h"

namespace holdfast::sim {

using UnitsBySku = std::map<std::string, node::Units>;

struct CartAccount {
  explicit CartAccount(const RoutedOperation& operation)
      : cart(operation), random(operation.seed) {}

  enum class Commit : std::uint8_t { never, asked, told, refused };
  const RoutedOperation& cart;
  Random random;
  bool held = false;  // the customer was told so
  bool held_before_move = false;
  Commit commit = Commit::never;
  std::optional<std::vector<node::Line>> lines;  // that were to be committed; none: all
  UnitsBySku sold;                               // as told
  UnitsBySku asked_back, told_back;
  std::uint32_t unclear = 0;  // answers so far
  bool done = false;
};

class RoutedShoppers {
 public:
  explicit RoutedShoppers(RoutedWorld& world);

  void open_shop();  // puts all SKUs, with their first stock
  void schedule(Time begin);
  void mended() { mended_ = true; }
  bool done() const { return under_way_ == 0; }  // all have had clear answers, or have gone

  const std::deque<CartAccount>& carts() const { return carts_; }
  const UnitsBySku& received() const { return received_; }

  // One call at some router that lives; nothing: no answer came.
  using OnReply = std::function<void(std::optional<node::Outcome>&& outcome)>;
  void ask(const node::Command& command, OnReply done);
  static UnitsBySku units_sold(const node::ReservationView& view);  // and not come back

 private:
  using OnOutcome = std::function<void(node::Outcome&& outcome)>;
  bool is_clear(const node::Outcome& outcome) const;
  void repeat(const node::Command& command, OnOutcome then);
  void repeat(CartAccount& account, const node::Command& command, OnOutcome then);
  void compare(CartAccount& account, std::shared_ptr<std::optional<bool>> first, bool ok);
  void after_a_while(CartAccount& account, std::function<void()> then);
  void reserve(CartAccount& account);
  void extend(CartAccount& account);
  void end(CartAccount& account);
  void commit(CartAccount& account);
  void give_back(CartAccount& account);
  // Some part of it was sold by a node that has left since, say its shard's rows.
  bool home_has_left(const CartAccount& account);
  void leave(CartAccount& account);
  void receive(const node::Receive& receipt);
  void read(Random random);
  bool moves(const std::string& sku) const;

  RoutedWorld& world_;
  Random random_;
  bool mended_ = true;  // until faults begin
  std::size_t under_way_ = 0;
  std::deque<CartAccount> carts_;
  UnitsBySku received_;
};

}  // namespace holdfast::sim
