#pragma once
// Rights: carts that lack local rights wait here while the rights are fetched from peers. Pure.
//
// First come, first served per SKU: rights that arrive go to the cart that has waited longest. A
// cart sets aside rights only of the SKUs that it lacks; its other lines are checked again at the
// end, and join the wait if they are gone. It ends at its deadline, or once nothing more can come:
// every reachable peer has answered none and shows none, and nothing is on its way.
//
// Asking: the peers that look richest first, among equals the nearest; one request in flight per
// SKU and peer. A request carries the granted total that is known here; the peer acts only if it is
// its own, so a repeated request is never granted twice. What an answer's total exceeds our rows by
// is on its way: it is subtracted before anybody is asked again. A peer that gave nothing is asked
// again as soon as it shows more rights, and after a while if it still shows any: units that move
// between two others are for a moment with neither.
//
// Waiting carts live in memory only: a crash forgets them (nothing was acknowledged), and rights
// that arrive later stay here.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "crdt/time.h"
#include "node/ledger.h"

namespace holdfast::node {

// A cart whose wait is over.
struct Served {
  std::vector<std::uint64_t> tokens;  // all that asked for it
  Outcome outcome;
  std::vector<Request> followers;  // verbs on its id that came meanwhile
};

class Rights {
 public:
  // Sends AskRights to a peer; 0: it is not reachable. Else the answer comes by answered() or
  // lost().
  using Ask = std::function<std::uint64_t(ReplicaId peer, const AskRights&)>;
  using Peers = std::function<std::vector<ReplicaId>()>;  // reachable, nearest first
  // What to ask for beyond the units that are lacking.
  using Ahead = std::function<Units(const crdt::Product&, Units lacking)>;
  Rights(crdt::State& state, Ask ask, Peers peers, Ahead ahead)
      : state_(state), ask_(std::move(ask)), peers_(std::move(peers)), ahead_(std::move(ahead)) {}
  void serve_from(Ledger& ledger) { ledger_ = &ledger; }

  Units aside(const crdt::Product& product) const;
  // What can be had at once of a cart that is short: held if it asks for parts, else refused.
  Outcome settle_for_less(Cart&& cart, Times now);
  // A cart that cannot be held now. Its outcome comes by take_served().
  void wait(Cart&& cart, std::uint64_t token, crdt::Instant until, Times now);
  bool waiting(std::string_view id) const { return by_id_.contains(id); }
  // Another request for a waiting id: joins it if the body is the same, else is told of the
  // conflict.
  void join(std::string_view id, std::uint64_t digest, std::uint64_t token);
  void follow(std::string_view id, Request&& verb);

  // Rights of this product were taken away: nothing of it is set aside any more.
  void lost(crdt::Product& product, Times now);
  // Rights of this product may have come, here or elsewhere: a row of it has changed.
  void gained(crdt::Product& product, Times now);
  void answered(std::uint64_t call, const Granted& granted, Times now);
  void lost(std::uint64_t call, Times now);  // no answer will come
  bool owns(std::uint64_t call) const { return calls_.contains(call); }
  void refuse_all(const Outcome& why);  // this replica holds nothing any more
  void tick(Times now);
  crdt::Instant wake_at() const;
  std::vector<Served> take_served() { return std::exchange(served_, {}); }
  std::size_t size() const { return carts_.size(); }

 private:
  struct Lack {
    std::size_t line = 0;
    Units need = 0;
    Units aside = 0;
  };
  struct Waiting {
    std::uint64_t order = 0;
    std::string id;
    Cart cart;
    crdt::Instant until;
    std::vector<Lack> lacks;
    std::vector<std::uint64_t> tokens;
    std::vector<Request> followers;
  };
  struct Asked {
    std::uint64_t call = 0;  // in flight, 0: none
    Units amount = 0;        // of that call
    Units seen = 0;          // the granted total that it named
    Units promised = 0;      // the granted total that its last answer named
    bool none = false;       // it gave nothing, or less than was asked
    Units had = 0;           // the rights that it showed then
  };
  struct Queue {
    std::vector<Waiting*> waiting;  // in order of arrival
    Units aside = 0;
    std::map<ReplicaId, Asked> asked;
    crdt::Instant again = crdt::Instant::max();  // when those who gave none are asked again
    crdt::Millis pause = kAskAgainFirst;
  };
  static constexpr crdt::Millis kAskAgainFirst{20}, kAskAgainLast{320};
  using Carts = std::map<std::uint64_t, std::unique_ptr<Waiting>>;  // by order of arrival

  static Lack* lack_of(Waiting& waiting, const crdt::Product* product);
  void add_lack(Waiting& waiting, std::size_t line);
  void pump(crdt::Product& product, Times now);
  void ask_peers(crdt::Product& product);
  template <typename Note>
  void call_ended(std::uint64_t call, Times now, Note&& note);
  Units on_its_way(const crdt::Product& product, ReplicaId peer, const Asked& asked) const;
  static bool says_none(const crdt::Product& product, ReplicaId peer, const Asked& asked);
  bool exhausted(const crdt::Product& product) const;
  bool some_show_any(const crdt::Product& product) const;
  void ask_again_later(const crdt::Product& product, Times now);
  void ask_again(std::string_view sku, Times now);
  void forget(const crdt::Product& product);
  bool try_hold(Waiting& waiting, Times now);
  void give_up(Waiting& waiting, Times now);
  void settle(Times now);
  void leave(Waiting& waiting);
  void serve(Waiting& waiting, Outcome outcome);

  crdt::State& state_;
  Ask ask_;
  Peers peers_;
  Ahead ahead_;
  Ledger* ledger_ = nullptr;
  Carts carts_;
  std::set<std::pair<crdt::Instant, std::uint64_t>> deadlines_;  // of carts_, by order
  std::uint64_t arrivals_ = 0;
  std::map<std::string, std::uint64_t, std::less<>> by_id_;
  std::map<const crdt::Product*, Queue> queues_;                // found by address, never walked
  std::set<std::pair<crdt::Instant, std::string_view>> again_;  // of queues_, by SKU
  std::map<std::uint64_t, std::pair<crdt::Product*, ReplicaId>> calls_;
  std::vector<crdt::Product*> touched_;  // products whose queue may move
  std::vector<Served> served_;
};

}  // namespace holdfast::node
