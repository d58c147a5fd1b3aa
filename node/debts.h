#pragma once
// Debts: rights of this replica that are below 0, and how it gets them back from peers. Pure.
//
// The reachable peer that shows most rights is asked, one at a time for each product; if it gives
// less than it was asked for, the next is asked at once. It is asked again when its rights have
// risen, or after a while, since a view may be wrong. So a debt is repaid a few round trips after
// stock is seen here, however long it has stood.
//
// Threads  none of its own. Cost  a merged row of a product that is owed for, and each request:
//          O(peers log R). A tick: at most kLooksAtOnce products, those that are due.

#include <functional>
#include <map>
#include <set>
#include <string_view>
#include <vector>

#include "crdt/state.h"
#include "crdt/time.h"
#include "node/codec.h"

namespace holdfast::node {

class Debts {
 public:
  // Sends AskRights; 0: the peer cannot be reached. Else ended() follows.
  using Ask = std::function<std::uint64_t(ReplicaId peer, const AskRights&)>;
  using Peers = std::function<std::vector<ReplicaId>()>;  // that can be reached, nearest first
  Debts(const crdt::State& state, Ask ask, Peers peers)
      : state_(state), ask_(std::move(ask)), peers_(std::move(peers)) {}

  // Rights of this replica may have fallen below 0. False: they have not.
  bool owes(crdt::Product& product);
  // Another replica's row of this product was merged: there may be rights to ask for.
  void merged(const crdt::Product& product);
  void tick(crdt::Instant now);
  crdt::Instant wake_at() const;  // maximum: never
  bool owns(std::uint64_t call) const { return calls_.contains(call); }
  // `granted`: what the peer answered; nullptr: nothing.
  void ended(std::uint64_t call, const Granted* granted, crdt::Instant now);

 private:
  static constexpr std::size_t kLooksAtOnce = 1'000;

  struct Asked {
    Units had = 0;           // the rights that it showed
    Units promised = 0;      // the granted total that its last answer named
    bool gave_less = false;  // than it was asked for
  };
  struct Debt {
    crdt::Product* product = nullptr;
    crdt::Instant at{};         // when it is looked at, unless a request is in flight
    crdt::Instant forget_at{};  // when it is forgotten who was asked
    crdt::Millis wait{0};       // from one such time to the next
    std::uint64_t call = 0;     // in flight; 0: none
    ReplicaId peer;             // that it was sent to
    Units amount = 0, seen = 0;
    std::map<ReplicaId, Asked> asked;
  };

  void look(std::string_view sku, Debt& debt, crdt::Instant now);
  void look_at(std::string_view sku, Debt& debt, crdt::Instant at);
  void note_peers();
  Units granted_by(const crdt::Product& product, ReplicaId peer) const;

  const crdt::State& state_;
  Ask ask_;
  Peers peers_;
  std::map<std::string_view, Debt> debts_;  // by SKU
  // Those without a request in flight, by Debt::at.
  std::set<std::pair<crdt::Instant, std::string_view>> due_;
  std::map<std::uint64_t, std::string_view> calls_;
  std::vector<ReplicaId> reach_;  // ascending, as of the last tick
};

}  // namespace holdfast::node
