#pragma once
// Router: one contract over many shards. A state machine without socket, clock or random source,
// (event, now) → calls to nodes and replies; what is in its memory is never more than a hint, so
// routers come and go, and any number of them may run side by side.
//
// A request about one SKU goes to a node of its shard: in this router's region the SKU's home
// (node/homes.h), unless that has much more in hand than another; of a further region only if none
// of the own can be reached and the shop allows it (fallback). It is sent once more, to another
// node, if it was not sent at all, or if sending it twice does no harm; a POST without
// Idempotency-Key is given one for that. A read that takes long is asked of a second node as well.
//
// A cart over several shards (router_reserve.cpp, router_carts.cpp). All parts but one are held
// first, at once, under ids of their own ("part:…"); then the last one, in the first of the shards
// by name, under the cart's own id, and its metadata names the others: that is the record, and the
// moment at which the cart is made. If a part is refused, the others are released. Refused for want
// of stock while others compete, it is tried once more part by part in that order, so that of two
// carts that want the same last units one gets them. A commit begins with the record, and that
// decides it; if another part has expired by then, what was sold is returned, and the cart is
// closed. A commit of some lines alone ends with the record, and is undone if it stops before.
//
// While SKUs move from one shard to another (router_moves.cpp) each router hands their units over,
// SKU by SKU, and at once what a customer asks for. Until a SKU has been marked as moved it is
// where it was; what may be a repetition of an older call is asked there first, and stays that way
// until the map says that the move has ended.
//
// A sweep (router_sweep.cpp) finds what a router that ended left half done, by the nodes' own
// rows: parts whose record never came, carts that are committed in part.
//
// Cost  one call to a node for a request about one shard; a cart over n shards: n calls, two after
//       one another; a verb on a reservation that this router has not seen: one read at each shard.

#include <array>
#include <coroutine>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/router_task.h"
#include "api/shard_map.h"
#include "crdt/time.h"
#include "node/command.h"

namespace holdfast::api {

struct RouterConfig {
  std::string region;  // whose nodes are asked; empty: any
  std::vector<std::string>
      fallback;                  // further regions, in this order, if none of it can be reached
  crdt::Millis hedge_after{50};  // a read: then a second node is asked, too
  crdt::Millis probe_every{1'000};
  crdt::Millis sweep_every{30'000};
  // A cart that has been between two ends for so long: no router is still at it.
  crdt::Millis settle_after{20'000};
  // Likewise a part without a record, which a customer may be waiting for.
  crdt::Millis left_over_after{180'000};
  crdt::Millis move_every{2'000};        // between two looks at what is left to move
  crdt::Millis leftovers_every{60'000};  // likewise when nothing moves any more
  std::uint64_t seed = 0;  // of ids and keys: must differ between routers, and between starts
};

// A call to a node; it must be answered by on_answer() or on_lost(), once.
struct RouterCall {
  std::uint64_t id = 0;
  std::string url;
  node::Command command;
  crdt::Millis timeout{0};
};

class Router {
 public:
  Router(RouterConfig config, ShardMap map);
  ~Router();

  void on_request(crdt::Now now, node::Request&& request);
  void on_answer(crdt::Now now, std::uint64_t call, node::Outcome&& outcome);
  // No answer came; `sent`: it may have been done all the same.
  void on_lost(crdt::Now now, std::uint64_t call, bool sent);
  void tick(crdt::Now now);
  // Errors: kInvalidArgument; then the map in use stays.
  absl::Status use(ShardMap map);

  std::vector<RouterCall> take_calls() { return std::exchange(calls_, {}); }
  std::vector<node::Reply> take_replies() { return std::exchange(replies_, {}); }
  // What people should read in the log.
  std::vector<std::string> take_notes() { return std::exchange(notes_, {}); }
  crdt::Instant wake_at() const;
  bool ready() const;  // of some shard a node can be reached
  bool whole() const;  // of each
  const ShardMap& map() const { return map_; }

 private:
  struct Node {
    std::string url, name, region;
    crdt::ReplicaId replica;
    std::uint32_t weight = 0;
    bool known = false;   // by the map, or by a node that is known
    bool member = false;  // live, by what it says itself
    bool retired = false;
    bool up = false;  // it answered last time
    bool probing = false;
    std::uint32_t in_hand = 0;
    bool serves() const { return known && up && member; }
  };
  struct Group {  // of one shard
    std::string name;
    bool in_map = false;
    std::map<std::string, std::unique_ptr<Node>> nodes;  // by URL; none is ever erased
  };
  struct Arrival {
    int tag = 0;
    bool answered = false, sent = true;  // neither: it was not sent
    node::Outcome outcome;
  };
  // What a coroutine waits for: answers to what it asked, and times. It ends all that it waits for
  // with itself.
  class Inbox {
   public:
    explicit Inbox(Router& router) : router_(router) {}
    ~Inbox();
    Inbox(const Inbox&) = delete;
    Inbox& operator=(const Inbox&) = delete;
    void ask(int tag, Node& node, node::Command command, crdt::Millis timeout);
    void after(int tag, crdt::Millis wait);
    void arrive(Arrival&& arrival);
    struct Wait {
      Inbox& inbox;
      bool await_ready() const { return !inbox.arrived_.empty(); }
      void await_suspend(std::coroutine_handle<> waits) const { inbox.waits_ = waits; }
      Arrival await_resume() const { return inbox.take(); }
    };
    Wait next() { return {*this}; }  // co_await inbox.next()
    Arrival take();

   private:
    Router& router_;
    std::vector<std::uint64_t> asked_;  // calls that may still be open
    bool timed_ = false;
    std::deque<Arrival> arrived_;
    std::coroutine_handle<> waits_;
  };
  struct Asked {
    Inbox* inbox = nullptr;  // nobody waits any more
    int tag = 0;
    Node* node = nullptr;
  };
  // Which node to ask first. (No aggregate: those that are made within a co_await expression GCC 12
  // destroys twice; commands for that reason come from functions.)
  struct Hint {
    Hint() = default;
    explicit Hint(std::string of) : sku(std::move(of)) {}
    explicit Hint(crdt::ReplicaId home) : replica(home) {}
    std::string sku;
    crdt::ReplicaId replica;
  };
  // A reservation as its record has it.
  struct Part {
    std::size_t shard = 0;
    std::string id;
  };
  struct Cart {
    std::size_t shard = 0;  // of the record
    crdt::ReplicaId home;
    std::vector<Part> others;  // none: all of it is in the record
  };
  // All parts of a cart, just read; the record first.
  struct Whole {
    std::vector<Part> parts;
    std::vector<node::ReservationView> views;  // of each
  };
  struct Share {  // of a return: what one part is asked to take back
    Part part;
    node::Return back;
  };
  struct Returned {  // lists of SKUs
    std::string now, before;
  };
  using Answer = node::Outcome;
  using Wholes = std::variant<Whole, Answer>;

  // router.cpp
  // The shard where a SKU belongs by the map, and where it is, as far as is known here.
  std::size_t home_of(std::string_view sku) const { return places_[map_.shard_of(sku)]; }
  std::size_t place_of(const std::string& sku) const;
  Task<bool> serve(std::uint64_t token, node::Command command);
  Task<Answer> decide(node::Command command);
  // Of one reservation one call after the other, in the order of their coming; as far as this
  // router goes. Nodes decide between routers.
  class Turn {
   public:
    Turn(Router& router, std::string id);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    bool is_mine() const { return mine_; }
    void take() { mine_ = true; }
    Inbox::Wait comes() { return inbox_.next(); }

   private:
    Router& router_;
    const std::string id_;
    bool mine_ = false;
    Inbox inbox_;
  };
  Task<Answer> in_turn(node::Command command, std::string id);
  static std::string hexadecimal(std::uint64_t number) {
    return crdt::to_string(crdt::ReplicaId{number});
  }
  Task<bool> pause(crdt::Millis time);
  static node::IdempotencyKey* key_of(node::Command& command);  // nullptr: it takes none
  static std::string sku_of(const node::Command& command);      // "": it is about none
  std::string fresh();  // 16 hexadecimal digits that no other call gets

  // router_nodes.cpp
  bool can_be_reached(std::size_t shard) const;
  Task<Answer> at_shard(std::size_t shard, node::Command command, Hint hint);
  Task<Answer> ask_hedged(std::vector<Node*> candidates, node::Command command);
  Task<bool> probe(std::size_t group, std::string url);
  std::vector<Node*> candidates(std::size_t shard, const Hint& hint);
  void probe_all();
  void learn(Group& group, const node::ClusterView& view);
  Answer unreachable(std::size_t shard, const std::string& what) const;

  // router_views.cpp
  Task<Answer> availability(node::GetAvailability command);
  Task<Answer> list(node::ListSkus command);
  Task<Answer> list(node::ListReservations command);
  Answer cluster() const;
  Answer metrics() const;

  // router_moves.cpp
  std::size_t was_at(std::string_view sku) const { return places_[map_.shard_before(sku)]; }
  bool is_moving(std::string_view sku) const {
    return map_.moving() && home_of(sku) != was_at(sku);
  }
  std::vector<std::string> moving_of(const node::Reserve& cart) const;  // its SKUs that do
  Task<Answer> at_sku(node::Command command, std::string sku);
  Task<Answer> stock_of_both(node::GetStock command);
  bool follow(Answer& moved);
  Task<bool> move_all();
  Task<bool> move_from(std::size_t shard, std::uint64_t version);
  std::optional<Task<bool>> move_one(const node::SkuView& item, std::size_t shard);
  Task<bool> bring(std::string sku, std::size_t from, std::size_t to, node::Units seen);
  Task<std::optional<node::Units>> hand_over(std::string sku, std::uint64_t version, Node* from,
                                             Node* to, std::string shard);
  Task<bool> fetch_from_pairs(std::string sku, std::uint64_t version, Node* from, Node* but,
                              std::size_t to);
  Task<bool> describe(std::string sku, Node* from, Node* to);
  Task<bool> bring_for(std::vector<std::string> skus, crdt::Instant since);
  void came_free(std::size_t shard, const Answer& answer);
  void bring_what_came_free();
  Task<bool> bring_after(std::string sku, std::size_t shard);
  Node* taker_of(const std::string& sku, std::size_t shard, const std::string& region) const;
  std::vector<Node*> live_nodes(std::size_t shard) const;
  Task<Answer> ask_node(Node* node, node::Command command);
  static node::Command describing(std::string sku) { return node::GetSku{std::move(sku)}; }

  // router_reserve.cpp
  Task<Answer> reserve(node::Reserve cart);
  Task<Answer> reserve_where_it_is(node::Reserve cart);
  // By the map as it was when the cart came: another one may follow meanwhile.
  using Split = std::map<std::size_t, std::vector<node::Line>>;
  Task<Answer> reserve_in_parts(node::Reserve cart, std::vector<std::size_t> shards, Split lines);
  Task<std::optional<Answer>> hold_parts(const node::Reserve& cart, const Split& lines,
                                         const std::vector<std::size_t>& shards, Whole& held,
                                         bool in_order, std::size_t record_at);
  Task<Answer> make_record(const node::Reserve& cart, std::vector<node::Line> lines,
                           std::size_t shard, std::vector<Part> others);
  Task<std::optional<Answer>> standing(const node::Reserve& cart, std::vector<std::size_t> shards);
  Task<std::optional<Answer>> standing_where_it_may_be(const node::Reserve& cart);
  Task<bool> release_all(std::vector<Part> parts);

  // router_carts.cpp
  Task<Answer> verb(node::Command command, std::string id);
  Task<Answer> commit(node::Commit command, Cart cart);
  Task<Answer> commit_lines(node::Commit command, Cart cart);
  Task<Answer> finish_commit(Cart cart, node::ReservationView record);
  Task<Answer> release(node::Release command, Cart cart);
  Task<Answer> extend(node::Extend command, Cart cart);
  Task<Answer> give_back(node::Return command, Cart cart);
  Task<Answer> show(std::string id, Cart cart, node::Code code);
  Task<std::variant<Cart, Answer>> locate(std::string id);
  Task<Wholes> read_all(std::string id, Cart cart);
  Task<bool> read_at_homes(Whole& whole);
  bool has_left(std::size_t shard, crdt::ReplicaId replica) const;  // no node that is known is it
  Task<std::vector<Answer>> take_back(const std::vector<Share>& shares);
  static std::optional<Answer> refusal(const std::string& cart, const std::vector<Share>& shares,
                                       const std::vector<Answer>& answers, Returned& returned);
  static bool have_sold(const Whole& whole, const std::vector<node::Line>& lines);
  Task<bool> undo(Whole whole);
  Task<Answer> settle_lines(node::Commit command, Cart cart, Answer why);
  Task<std::vector<Answer>> at_parts(std::vector<Part> parts, std::vector<node::Command> commands);
  std::optional<Cart> cart_of(const node::ReservationView& view, std::size_t shard) const;
  void remember(const std::string& id, Cart cart);
  bool take_parts(Cart& cart, const node::ReservationView& record);   // true: it had others
  static const node::ReservationView* view_of(const Answer& answer);  // nullptr: it shows none
  static bool sold(const node::ReservationView& view);  // some of it, and not come back
  static node::Command reading(std::string id);
  static node::Command committing(std::string id);
  static node::Command releasing(std::string id);
  static bool some_expired(const Whole& whole);  // of the parts beside the record
  static std::string part_of(const node::ReservationView& view);

  // router_sweep.cpp
  Task<bool> sweep();
  Task<bool> sweep_shard(std::size_t shard, crdt::HoldState state, std::int64_t before);
  void finish_later(const std::string& id, Cart cart);
  Task<bool> settle_unfinished(std::string id, Cart cart);
  Task<bool> undo_sold(Whole whole);
  Task<bool> sweep_overruled(std::size_t shard);
  Task<bool> undo_parts_of(node::ReservationView overruled, Cart cart);
  bool knows_record_of(const node::ReservationView& part) const;
  Task<bool> look_at(std::size_t shard, node::ReservationView view, std::int64_t before);
  Task<bool> settle_part(std::size_t shard, node::ReservationView part, std::int64_t before);
  Task<bool> settle_cart(node::ReservationView record, Cart cart, std::int64_t before);
  std::optional<std::size_t> shard_named(const std::string& name) const;

  void ended(crdt::Now now, std::uint64_t call, Arrival&& arrival);
  void start(Task<bool> task);
  void reap();

  RouterConfig config_;
  ShardMap map_;
  // Every shard that a map has named, in the order of their coming: a shard's place never changes,
  // so that what is under way goes on through a new map.
  std::vector<std::unique_ptr<Group>> groups_;
  std::vector<std::size_t> places_;                 // in groups_, of map_.shards
  std::map<std::string, std::deque<Inbox*>> busy_;  // ids of reservations, and who waits for them
  crdt::Now now_{};
  std::uint64_t last_call_ = 0, drawn_ = 0;
  std::unordered_map<std::uint64_t, Asked> asked_;
  std::multimap<crdt::Instant, std::pair<Inbox*, int>> times_;
  std::vector<RouterCall> calls_;
  std::vector<node::Reply> replies_;
  std::vector<std::string> notes_;
  crdt::Instant probe_at_{}, sweep_at_{};
  bool sweeping_ = false, swept_ = false;
  std::vector<Inbox*> handed_over_;  // whose turn has come
  std::optional<crdt::Instant> started_;
  // Commits of which a part could not be reached. Beyond so many all committed records are looked
  // at once more, as when a router starts.
  static constexpr std::size_t kUnfinishedMax = 100'000;
  std::map<std::string, Cart> unfinished_;

  // ── moves of SKUs; all of it ends with the map ──
  struct Progress {
    std::uint64_t skus = 0, moved = 0;  // that move; of which nothing is left
    node::Units left = 0, held = 0;     // units of the others in their old shard
  };
  bool moving_ = false;  // a look is under way
  crdt::Instant move_at_{};
  Progress looked_, looking_;                           // the last look, and this one
  std::unordered_map<std::string, std::size_t> moved_;  // SKUs that are marked, and where they are
  std::unordered_map<std::string, node::Units> emptied_;  // and what they had handed over by then
  struct Brought {
    bool under_way = false;
    crdt::Instant ended{};
  };
  std::unordered_map<std::string, Brought> brought_;  // for customers who asked
  std::map<std::string, std::size_t> came_free_;      // SKUs, and the shard that they are not of

  static constexpr std::size_t kRememberedMax = 200'000;
  std::unordered_map<std::string, Cart> carts_;  // where reservations are, the latest
  std::deque<std::string> remembered_;           // their ids, in the order of their coming

  enum Count { requests, calls, again, hedged, parts, settled, brought };  // named in metrics()
  std::array<std::uint64_t, 7> counts_{};
  std::deque<Task<bool>> tasks_;  // last: they end before what they wait for
};

}  // namespace holdfast::api
