#pragma once
// Engine: one replica as a pure state machine. (state, event, now) → effects; no socket, clock,
// file, lock, logger or random source. The driver (driver.h) feeds it and carries out what it says.
//
// A turn: on_request / on_net for each event, tick(), then take_reads(), and, if the store can take
// another batch and nothing gathers(), seal(). Events take effect in memory at once; everything
// that shows or depends on them leaves with the batch that seal() cuts, after that batch is
// durable. Reads of stock and availability alone may leave before (they may show what is not
// durable yet).
//
// The replica's life: milliseconds that its processes have run, kept in each journal value.
// Deadlines of holds are readings of it, so neither a clock's jump nor downtime expires a hold
// early.
//
// Invariants (beside those of State and Ledger)
//   E1  One request, one reply.
//   E2  What seal() returns is complete: replaying its journal values in order onto an empty engine
//       gives the state in which they were cut.
//   E3  Nothing is decided from the order of an unordered container.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "crdt/state.h"
#include "gossip/mesh.h"
#include "node/catch_up.h"
#include "node/codec.h"
#include "node/command.h"
#include "node/copies.h"
#include "node/decrees.h"
#include "node/drain.h"
#include "node/durability.h"
#include "node/estate.h"
#include "node/homes.h"
#include "node/ledger.h"
#include "node/ports.h"
#include "node/purge.h"
#include "node/reads.h"
#include "node/rebalancer.h"
#include "node/rights.h"

namespace holdfast::node {

struct EngineConfig {
  ReplicaId self;
  gossip::MeshConfig mesh;  // self and boot as here
  std::string http_address;
  std::uint64_t checkpoint_bytes = 64ull << 20;
  std::uint32_t open_holds_max = 5'000'000;
  bool faults_enabled = false;
  crdt::Millis durability_wait{1000};
  crdt::Millis keep_finished{24 * 3600 * 1000};  // holds, at least
  std::uint32_t weight = crdt::kWeightDefault;   // among the nodes of its region
  // Writes are refused until a peer has taken this process's first write, and so has judged this
  // node's data to be the latest.
  bool requires_peer = false;
  RebalanceOptions rebalance;
  std::uint64_t seed = 0;  // for jitter
};

// What one batch makes durable, and what is released when it is.
struct Sealed {
  std::uint64_t number = 0;
  std::string journal;  // empty: nothing changed
  std::optional<CheckpointSlice> checkpoint;
  std::vector<Reply> replies;
  gossip::MeshEffects net;
  bool empty() const { return journal.empty() && !checkpoint && replies.empty() && net.empty(); }
};

class Engine {
 public:
  explicit Engine(EngineConfig config);

  // ── recovery: rows, then journal entries, in the store's order; then start() ──
  // Errors: kDataLoss, saying what does not fit.
  absl::Status load_meta(std::string_view bytes);
  absl::Status load_row(const RowAddress& address, std::string_view bytes);
  absl::Status rows_loaded();  // after the last row, before the first entry
  absl::Status load_entry(std::uint64_t batch, std::string_view value);
  // After the last of them. Saved rows of another origin may contradict one another, and entries,
  // as long as a later entry forgets that origin: a checkpoint that was cut off leaves rows of two
  // histories.
  absl::Status loaded() const;
  // Writes this boot into the member row: the first write that the next seal() stamps.
  void start(crdt::Now now);

  // ── events ──
  // The command comes a few requests from now (State::Ahead). Changes nothing.
  void expect(const Command& command, crdt::State::Ahead step) const;
  void on_request(crdt::Now now, Request&& request);
  void on_net(crdt::Now now, gossip::NetEvent&& event);
  void tick(crdt::Now now);
  void set_storage_full(bool full) { storage_full_ = full; }
  // The process stops soon: it serves on meanwhile, and says that it is not ready.
  void set_stopping() { stopping_ = true; }
  void set_store_takes_slice(bool takes) { store_takes_slice_ = takes; }

  // ── effects ──
  std::vector<Reply> take_reads() { return std::exchange(reads_, {}); }
  // What there is to seal may wait for company: rows of peers alone, a moment after the last batch.
  // A batch of their own costs as much as one of requests, and their senders rarely wait for it.
  bool gathers(crdt::Now now);
  Sealed seal(crdt::Now now);
  crdt::Instant wake_at() const { return wake_at_; }
  // Set: this process must end, and why.
  const std::optional<std::string>& fatal() const { return fatal_; }
  bool drains() const { return drain_.running(); }
  // It was told to leave (StartDrain), and may: the process stops listening, and says Leave.
  bool may_leave(crdt::Instant now) const { return drain_.ready(now) && !drain_.has_left(); }
  // Set with fatal(): it has, in good order.
  bool has_left() const { return drain_.has_left(); }
  // Set with fatal(): this data directory is a fork of its replica, from the first of these boots
  // on. The next start becomes another replica (rejoin.h).
  const std::vector<crdt::Boot>& forked() const { return forked_; }
  // Every other member has taken a write of this process: nobody can show any more that it is a
  // fork. False if there is no other member.
  bool confirmed_by_all() const { return confirmed_by_all_; }
  // Of the last entry that was loaded, or of the meta record; while it is not started.
  std::int64_t loaded_life_ms() const { return life_before_ms_; }

  const crdt::State& state() const { return state_; }
  Stats stats(crdt::Now now) const;
  bool reaches(ReplicaId peer) const { return mesh_.reachable(peer); }
  // Whole checkpoint now, whatever its size: for a graceful stop.
  void checkpoint_all() { checkpoint_wanted_ = true; }
  bool checkpoint_active() const { return checkpoint_wanted_ || checkpointing_; }

 private:
  // Who waits for an outcome: a client here, or another node's call.
  struct Caller {
    std::uint64_t token = 0;                   // of the client, or the call's id
    gossip::LinkId link = 0;                   // 0: a client
    Durability durability = Durability::node;  // of a reservation, before it is told of it
    bool perhaps_made = false;  // another node may have made it: no refusal is the last word
  };
  struct Away {  // a command that another node decides
    Caller caller;
    ReservationCommand command;
    ReplicaId to;
    crdt::Instant until;
    bool can_be_made_here = false;  // a reservation that is there for no other reason than rights
    crdt::Instant asked;            // then
  };
  struct Search {  // nobody here knows this reservation: all peers are asked
    Caller caller;
    ReservationCommand command;
    std::vector<std::uint64_t> calls;  // not answered yet
    bool some_missing = false;         // a member could not be asked, or did not answer
    crdt::Instant until;
  };

  Times times(crdt::Now now) const;
  Readers readers(crdt::Now now) const {
    return {state_, ledger_, mesh_, now, times(now).life_ms, own_state()};
  }
  const char* own_state() const {
    return stopping_ ? "stopping" : catch_up_.over() ? "live" : "starting";
  }
  void wake(crdt::Instant at) { wake_at_ = std::min(wake_at_, at); }
  void finish(const Caller& caller, Outcome&& outcome);
  void answer(const Caller& caller, Outcome&& outcome);  // now, whatever was asked for
  static Outcome not_known_yet();
  std::optional<Outcome> refuse_write(const Command& command) const;
  bool awaits_peer() const { return config_.requires_peer && confirmed_by_.empty(); }
  void run(crdt::Now now, const Caller& caller, Command&& command);

  // One overload a command.
  void on(crdt::Now now, const Caller& caller, PutSku&& command);
  void on(crdt::Now now, const Caller& caller, Receive&& command);
  void on(crdt::Now now, const Caller& caller, Adjust&& command);
  void on(crdt::Now now, const Caller& caller, Allow&& command);
  void on(crdt::Now now, const Caller& caller, MoveOut&& command);
  void on(crdt::Now now, const Caller& caller, MoveIn&& command);
  void on(crdt::Now now, const Caller& caller, GrantTo&& command);
  void on(crdt::Now now, const Caller& caller, GetSku&& command);
  void on(crdt::Now now, const Caller& caller, ListSkus&& command);
  void on(crdt::Now now, const Caller& caller, GetStock&& command);
  void on(crdt::Now now, const Caller& caller, GetAvailability&& command);
  void on(crdt::Now now, const Caller& caller, ListReservations&& command);
  void on(crdt::Now now, const Caller& caller, Failover&& command);
  void on(crdt::Now now, const Caller& caller, Retire&& command);
  void on(crdt::Now now, const Caller& caller, ListFailovers&& command);
  void on(crdt::Now now, const Caller& caller, StartDrain&& command);
  void on(crdt::Now now, const Caller& caller, StopDrain&& command);
  void on(crdt::Now now, const Caller& caller, GetDrain&& command);
  void on(crdt::Now now, const Caller& caller, Leave&& command);
  void on(crdt::Now now, const Caller& caller, GetCluster&& command);
  void on(crdt::Now now, const Caller& caller, GetStats&& command);
  void on(crdt::Now now, const Caller& caller, SetFault&& command);
  void on(crdt::Now now, const Caller& caller, ClearFault&& command);
  void on(crdt::Now now, const Caller& caller, ListFaults&& command);
  void on(crdt::Now now, const Caller& caller, Reserve&& command);
  template <typename C>
  requires std::constructible_from<ReservationCommand, C>
  void on(crdt::Now now, const Caller& caller, C&& command) {
    on_reservation(now, caller, ReservationCommand(std::forward<C>(command)));
  }

  // engine_reservations.cpp: where a reservation is decided
  void on_reservation(crdt::Now now, const Caller& caller, ReservationCommand&& command);
  void reserve(crdt::Now now, const Caller& caller, Reserve&& command, bool ask_home = true);
  void ask_home_of_sku(crdt::Now now, const Caller& caller, ReplicaId to, Reserve&& command);
  std::vector<Seat> seats_of_region(crdt::Instant now) const;
  ReplicaId home_of_what_lacks(const Cart& cart, crdt::Instant now) const;
  void decide(crdt::Now now, const Caller& caller, Cart&& cart);
  void stock_came(crdt::Now now, const std::string& sku);
  crdt::Hold* decided_here(const std::string& id, bool made_here) const;
  void without_home(crdt::Now now, const Caller& caller, const crdt::Hold& standing,
                    ReservationCommand&& command);
  void apply(crdt::Now now, const Caller& caller, crdt::Hold& hold, ReservationCommand&& command);
  void forward(crdt::Now now, const Caller& caller, ReplicaId to, ReservationCommand&& command);
  bool may_get_more(crdt::Now now, const Away& away) const;
  void make_here(crdt::Now now, Away&& away, bool said_no);
  void search(crdt::Now now, const Caller& caller, ReservationCommand&& command);
  void end_search(Search&& search);
  void lost_away(crdt::Now now, Away&& away, bool sent);
  void give_way_to_what_came(Outcome& outcome, crdt::Now now);
  void deliver_served(crdt::Now now);
  void check_durability(crdt::Now now);
  void offer_freed(const crdt::Hold& hold, Times now);
  std::uint64_t hold_token(const Caller& caller);

  // engine_peers.cpp: what peers ask and answer
  void on_mesh(crdt::Now now, std::vector<gossip::MeshEvent>&& events);
  void on_delta(crdt::Now now, gossip::DeltaIn&& in);
  const crdt::StockCell* stock_of(ReplicaId origin, const std::string& sku) const;
  void on_merged(const crdt::FeedItem& item);
  void drop_void_rows();
  void look_for_what_is_gone(ReplicaId origin);
  void note_fork(const std::string& detail, std::vector<crdt::Boot> boots);
  void on_call(crdt::Now now, gossip::CallIn&& in);
  Granted grant_on_request(const AskRights& ask, ReplicaId to);
  void on_answer(crdt::Now now, std::uint64_t call, std::string_view body);
  void on_lost(crdt::Now now, std::uint64_t call);
  void check_calls(crdt::Now now);

  // engine_identity.cpp: whether this is the latest of its replica, and what it owes as a former
  // fork
  void drop_covered_boots(crdt::MemberRow& row) const;
  void look_for_confirmation();
  void look_for_namesakes();
  ReplicaId former_self() const;
  void retire_former_self(crdt::Now now);

  // engine_drain.cpp
  std::variant<ReplicaId, Outcome> successor_named(const std::string& name) const;
  bool is_live(ReplicaId peer) const;
  void tell_whether_draining(bool draining);
  void replace_successor(crdt::Now now);
  bool pass_on(crdt::Now now, const Caller& caller, Command&& command);
  void pass_on_held_back(crdt::Now now);

  bool is_over() const;
  Outcome serves_nobody() const;
  bool heir_has_all() const;
  void leave_for_good(crdt::Now now);
  std::vector<crdt::VectorEntry> acknowledged() const;
  void refresh_member(crdt::Now now);
  void begin_checkpoint(crdt::Now now);
  // Somebody waits for the one that runs, or for the next.
  bool checkpoint_hurries() const {
    return checkpoint_wanted_ || (checkpointing_ && checkpoint_is_wanted_);
  }
  // Of the slice that goes with a batch of so much journal; 0: none goes.
  std::size_t slice_rows(crdt::Now now, std::size_t journal_bytes) const;
  void add_checkpoint_slice(crdt::Now now, Sealed& sealed);

  EngineConfig config_;
  crdt::State state_;
  gossip::Mesh mesh_;
  Ledger ledger_;
  Rights rights_;
  Rebalancer rebalancer_;
  Decrees decrees_;
  Copies copies_;
  Estate estate_;
  Purge purge_;
  Drain drain_;
  DurabilityWaits durability_waits_;

  std::uint64_t batch_ = 0;
  crdt::Instant sealed_at_{};        // the last batch with rows
  std::int64_t life_before_ms_ = 0;  // when this process started
  crdt::Instant started_{};
  bool running_ = false;
  bool urgent_ = false;  // a grant was made: rows leave without being coalesced
  bool storage_full_ = false, stopping_ = false;
  CatchUp catch_up_;
  bool store_takes_slice_ = true;
  std::optional<std::string> fatal_;
  std::vector<crdt::Boot> forked_;
  crdt::Sequence boot_sequence_ = 0;
  std::set<ReplicaId> confirmed_by_;
  bool confirmed_by_all_ = false;
  // Their rows were void, and others have not come yet; the keys that they shared with others.
  std::map<ReplicaId, std::vector<std::string>> taken_anew_;
  std::set<ReplicaId> namesakes_;  // others that live with this node's name; told
  ReplicaId former_self_;
  std::optional<crdt::Instant> former_self_due_;  // when it is judged whether the former one lives
  bool former_self_lives_ = false;                // as it was at the last look
  crdt::Instant wake_at_ = crdt::Instant::max();

  // About reservations, after it has left: for its heir, once that knows. At most kHeldBackMax.
  static constexpr std::size_t kHeldBackMax = 65'536;
  struct HeldBack {
    Caller caller;
    ReservationCommand command;
    crdt::Instant until;  // in order: all are held back equally long
  };
  std::vector<HeldBack> held_back_;

  std::vector<Reply> reads_, replies_;
  std::map<ReplicaId, JournalPart> merged_;  // of this batch
  std::vector<JournalDrop> dropped_;         // likewise
  std::map<std::uint64_t, Away> away_;       // by call
  // Homes of SKUs that did not answer, though they seem to be reachable: not asked till then.
  std::map<ReplicaId, crdt::Instant> silent_until_;
  std::map<std::uint64_t, Search> searches_;
  std::map<std::uint64_t, std::uint64_t> search_calls_;  // call → search
  std::uint64_t last_search_ = 0;
  // By the token that rights_ or durability_waits_ has.
  std::map<std::uint64_t, Caller> waiting_callers_;
  std::uint64_t last_waiting_ = 0;

  Times times_;  // of the event that is being handled
  std::vector<gossip::Note> notes_;
  crdt::Instant member_due_{};
  bool moved_since_member_ = false;
  crdt::Instant keys_due_{};
  std::uint64_t journal_since_checkpoint_ = 0;
  std::uint64_t rows_saved_ = 0;  // that the meta record promised
  bool checkpointing_ = false, checkpoint_wanted_ = false;
  bool checkpoint_is_wanted_ = false;              // somebody waits for the one that runs
  std::size_t rows_to_save_ = 0, rows_taken_ = 0;  // of it
  crdt::Instant slice_due_{};                      // its next, by the clock
  Meta checkpoint_meta_;                           // of the one that runs; at recovery, the last
  std::uint64_t dropped_before_it_ = 0;            // State::rows_dropped() when it began
  std::map<ReplicaId, std::string> misfits_;       // at recovery; see loaded()
  std::uint64_t misfit_rows_ = 0;
  Stats counted_;
};

}  // namespace holdfast::node
