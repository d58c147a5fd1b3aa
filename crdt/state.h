#pragma once
// State: every row of every origin, in memory, joined.
//
// Invariants
//   I1  Only rows of `self` are changed here; rows of others are replaced by later versions.
//   I2  A row's sequence is that of its latest stamped write; a feed holds each row once.
//   I3  V[o] = head(o) never goes back, but for drop_origin, which forgets o whole; every row of o
//       at or below it is here, in that version or a later one, or was dropped: a key by age, a
//       finished hold at or below floor(o).
//   I4  The joins (products' stock, the hold and key indexes, digest) equal those of the rows.
// Own changes take effect at once and are stamped at the next seal(): however often a row changed
// in between, it is written once, with one new sequence.
//
// Threads  none of its own; one owner. No clock, no I/O. Deterministic.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "crdt/bounded_counter.h"
#include "crdt/codec.h"
#include "crdt/feed.h"
#include "crdt/named.h"
#include "crdt/rows.h"
#include "crdt/version_vector.h"

namespace holdfast::crdt {

struct SkuCell : FeedItem {
  SkuRow row;
  Product* product = nullptr;
};

// Everything about one SKU.
struct Product {
  std::string sku;
  BoundedCounter stock;
  bool seized = false;                                 // some replica's rights were
  bool ever_moved = false;                             // some description may say so
  std::vector<std::unique_ptr<SkuCell>> descriptions;  // one an origin
  // The last writer's, by (time, origin). nullptr: the SKU is not known (no sku row has arrived).
  const SkuCell* description() const;
  // What the highest version says of where it is; its version is 0 if nothing ever did.
  const MovedTo& moved() const;
};

struct Hold : FeedItem {
  bool copied = false;   // there is, or was, another copy of this id
  bool counted = false;  // in open_holds()
  std::string id;
  HoldRow row;
  std::unique_ptr<Hold> next_copy;  // the same id at another origin
};

struct Key : FeedItem {
  std::string key;
  KeyRow row;
  std::unique_ptr<Key> next_copy;
};

struct Member : FeedItem {
  MemberRow row;
};

struct Decree : FeedItem {
  std::string key;
  DecreeRow row;
};

struct Opaque : FeedItem {  // a row of a kind that this version does not know
  std::string key;
  std::string bytes;
};

// What tables of them find them by (named.h).
inline const std::string& name_of(const Product& product) { return product.sku; }
inline const std::string& name_of(const Hold& hold) { return hold.id; }
inline const std::string& name_of(const Key& key) { return key.key; }

// The row's own key, whatever its kind.
std::string_view row_key(const FeedItem& item);
// Appends the row as codec.h has it.
void append_item(const FeedItem& item, std::string& out);

// Whether rows of this kind are part of State::digest(), and what such a row adds to it.
bool counts_in_digest(RowKind kind);
std::uint64_t row_digest(const FeedItem& item, Sequence sequence);

// A home's copy, or an heir's of it: not one that was adopted with units of its own.
inline bool in_line(const HoldRow& row) { return row.estate_of || !row.adopted_from; }
// Which of two copies of one reservation stands: one that was not overruled; committed, released on
// request, held, expired; of held ones that which is held longer, then an heir before a home before
// an adopter; of ended ones a home before whoever stood in for it; the lower replica id. A total
// order: every node shows the same one. Among commits it never changes: so never do all give way.
bool stands_before(const Hold& a, const Hold& b);

class State {
 public:
  explicit State(ReplicaId self);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  ReplicaId self() const { return self_; }

  // ── reading ──
  Product* product(std::string_view sku) const;  // nullptr: no row of it
  const absl::btree_map<std::string_view, Product*>& catalogue() const { return catalogue_; }
  // The copy of a reservation that stands (stands_before), of those that no heir ends by name.
  // nullptr: none is here.
  Hold* hold(std::string_view id) const;
  bool superseded(const Hold& copy) const;  // held, and an heir's copy, or its root, ended it
  Hold* own_hold(std::string_view id) const;
  Hold* hold_of(std::string_view id, ReplicaId origin) const;  // its copy
  Hold* first_copy(std::string_view id) const;                 // all of them: along next_copy
  Key* key(std::string_view key) const;  // of the lowest replica id that has it
  Key* key_of(std::string_view key, ReplicaId origin) const;
  Key* first_key(std::string_view key) const;  // all of them: along next_copy
  const Member* member(ReplicaId replica) const;
  const absl::btree_map<ReplicaId, std::unique_ptr<Member>>& members() const { return members_; }
  // Every hold, by (origin, number): the order of lists.
  using HoldIndex = absl::btree_map<std::pair<ReplicaId, std::uint64_t>, Hold*>;
  const HoldIndex& holds() const { return holds_by_number_; }

  // Every decree, by (target, generation, origin).
  using DecreeIndex =
      absl::btree_map<std::tuple<ReplicaId, std::uint32_t, ReplicaId>, std::unique_ptr<Decree>>;
  const DecreeIndex& decrees() const { return decrees_; }
  // A failover that its issuer has not closed. Nobody would close that of a retired issuer: it
  // counts as closed, and what it seized is repaid all the same.
  bool is_open(const Decree& decree) const;
  // Declared lost by a failover that is open, in this view.
  bool decreed(ReplicaId replica) const { return decreed_.contains(replica); }
  // Never returns. O(1), like the above.
  bool retired(ReplicaId replica) const { return successors_.contains(replica); }
  const ReplicaSet& retired() const { return retired_; }
  // Who ends a retired replica's holds: of several retirements the lowest successor; of one that is
  // retired itself, its own. The replica itself if it is not retired. If that never comes
  // to an end, since some name each other: the lowest that is not retired of all that any replica
  // on the way names, or nobody.
  ReplicaId heir(ReplicaId of) const;
  // Replicas that may have spent more than they had: that were forks of others (rows.h), since they
  // write again what those had spent; and heirs, since they may have to take an end back.
  const ReplicaSet& owing() const { return owing_; }
  // Its rows were dropped as void, and those that stand have not all come again.
  bool awaits(ReplicaId origin) const { return awaited_.contains(origin); }
  // Products of which rights were seized, or of which one of those has a row, by SKU.
  const absl::btree_map<std::string_view, Product*>& seized() const { return seized_; }

  Sequence head(ReplicaId origin) const;
  // No finished hold of `origin` at or below it is here any more: a delta from below it, cut here,
  // is not whole (delta.h). At most head(); goes back as that does.
  Sequence floor(ReplicaId origin) const;
  const Feed* feed(ReplicaId origin) const;  // nullptr: no row of it
  const VersionVector& vector() const { return vector_; }
  // Nonce of the boot that wrote `sequence`, by the origin's own member row; 0 if it is not here.
  std::uint64_t boot_of(ReplicaId origin, Sequence sequence) const;
  // Its boots, by its own member row; none: that is not here.
  const std::vector<Boot>& boots(ReplicaId origin) const;
  // Some member row that is here says that this boot is void (rows.h).
  bool voided(std::uint64_t boot) const { return voided_.contains(boot); }
  bool any_voided(const std::vector<Boot>& boots) const;
  // Units that this replica must not spend though its rights show them: it has seen that an origin
  // seized them, whose rows were dropped (drop_origin) and have not come again yet as far as those
  // that stand. O(1) where none are awaited.
  Units withheld(const Product& product) const;
  // Over all stock, hold and sku rows, as stamped: equal where the same rows are.
  std::uint64_t digest() const { return digest_; }
  std::size_t hold_count() const { return holds_by_number_.size(); }
  std::size_t open_holds() const { return open_holds_; }  // held copies, less the superseded
  std::size_t own_open_holds() const { return own_open_holds_; }
  // Rows that are not dropped by age: all but key rows.
  std::size_t lasting_rows() const;
  // Of those: how many were dropped, so far; and of these: finished holds that all had seen end.
  std::uint64_t rows_dropped() const { return rows_dropped_; }
  std::uint64_t purged() const { return purged_; }
  std::size_t product_count() const { return products_.size(); }

  // ── own writes ──
  Product& make_product(std::string_view sku);  // found or made
  template <typename Edit>
  void change_stock(Product& product, Edit&& edit) {
    StockCell& cell = own_stock(product);
    product.stock.change(cell, std::forward<Edit>(edit));
    touch(cell);
  }
  // Requires: no own hold of that id. Gives it its number.
  Hold& add_hold(std::string id, HoldRow&& row);
  template <typename Edit>
  void change_hold(Hold& hold, Edit&& edit) {
    edit(hold.row);
    recount(hold);
    touch(hold);
  }
  void put_key(std::string key, KeyRow row);
  Key* own_key(std::string_view key) const { return key_of(key, self_); }
  void undo_key(Key& key);  // an own one: what it did was undone
  void put_sku(Product& product, SkuRow row);
  void put_member(MemberRow row);
  void put_decree(DecreeRow row);  // new, or a later version of an own one
  bool has_unsealed() const { return !dirty_.empty(); }
  // Stamps the own rows touched since the last seal; appends them to `out` in order of sequence.
  void seal(std::string& out);

  // ── ahead of a request ──
  // It comes a few requests from now: fetches into the cache what it will touch, one pointer
  // further with each step. So memory that is far away is waited for while others are decided.
  // Changes nothing, and touches nothing that is not near yet.
  enum class Ahead { tables, items, arrays, cells };
  void expect_hold(std::string_view id, Ahead step) const;
  // Step `items`: which product it will be, most likely; else nullptr.
  const Product* expect_product(std::string_view sku, Ahead step) const;

  // ── merging ──
  // Whether a row is one that `origin` could have written, given what is here. Changes nothing.
  // `known`: is set to what a stock row would replace, if that is here, for merge().
  absl::Status fits(ReplicaId origin, const DecodedRow& row, StockCell** known = nullptr) const;
  // Takes a row of `origin` if it is newer than what is here. The row, or nullptr if it was not
  // newer. Error, and nothing changed: the row contradicts what one writer could have written.
  // `known`: what fits() found, if nothing was dropped since; then it is not searched for again.
  absl::StatusOr<FeedItem*> merge(ReplicaId origin, DecodedRow&& row, StockCell* known = nullptr);
  // Everything of `origin` up to `to` has been merged. Holds that its purge floor lets go are gone.
  void advance(ReplicaId origin, Sequence to);

  // ── dropping (state_drop.cpp) ──
  // Drops the key rows written before `wall_ms`, of any origin; at most `count_max` of them.
  void drop_keys_before(std::int64_t wall_ms, std::size_t count_max);
  // Drops these holds of one origin, finished and stamped, and raises its floor: no other finished
  // one may be at or below it, but such as are to be stamped anew. One's own floor goes into the
  // member row. Cost: O(log rows) a hold.
  void purge(ReplicaId origin, const std::vector<Hold*>& holds, Sequence floor);
  // The same, of all finished holds at or below `floor`, which is at most head(). Cost: a walk over
  // the rows since the last floor.
  void raise_floor(ReplicaId origin, Sequence floor);
  // All rows of `origin` up to `to` have been merged from one peer that has nothing else of it, and
  // these are the ids of the holds among them. Of others that are here, at or below `to`, the end
  // was purged while this replica was away, and of a retired origin no floor says so: drops them.
  // Those that were dropped.
  using HoldIds = absl::flat_hash_set<std::string>;
  std::vector<HoldVersion> drop_absent(ReplicaId origin, Sequence to, const HoldIds& present);
  // That again, at recovery: unless a later version is here.
  void drop_version(ReplicaId origin, const HoldVersion& version);
  // Forgets everything of that origin, its entry in the vector and its floor too: what is here is
  // not its history, and is taken anew, from 0. Pointers to its holds, keys, members and decrees
  // are void afterwards; those to products are not. Requires: not self.
  void drop_origin(ReplicaId origin);

  // ── checkpoints ──
  // What has changed since the last begin_checkpoint is what this one will save.
  void begin_checkpoint();
  // Hands over up to `rows_max` rows as they are now; nothing may be unsealed. True: no more.
  using SaveRow =
      std::function<void(const FeedItem& item, std::string_view key, std::string&& bytes)>;
  using DropRow = std::function<void(const FeedItem& item, std::string_view key)>;
  bool save(std::size_t rows_max, const SaveRow& put, const DropRow& drop);
  std::size_t unsaved() const { return unsaved_.size(); }
  // Everything that is here came from the store: nothing is unsaved.
  void all_saved();

 private:
  struct Origin {
    Feed feed;
    Sequence head = 0;
    Sequence floor = 0;
    absl::btree_map<std::pair<RowKind, std::string>, std::unique_ptr<Opaque>> opaque;
  };
  Origin& origin(ReplicaId id);
  StockCell& own_stock(Product& product);
  void touch(FeedItem& item);
  void mark_unsaved(FeedItem& item);
  bool place(FeedItem& item, Sequence sequence);
  absl::Status fits_feed(ReplicaId origin, const DecodedRow& row) const;  // fits(), but for totals
  void index_decrees();
  ReplicaId least_named(ReplicaId of) const;
  void note_seizures(const StockCell& cell);
  void count_open(Hold& hold, bool open);
  void recount(Hold& changed);
  void recount_stand_ins(ReplicaId retired);
  Hold& insert_hold(std::string&& id, ReplicaId origin, HoldRow&& row);
  Key& insert_key(std::string key, ReplicaId origin, KeyRow row);
  void note_former_fork(const Member& member);
  void await_rows(ReplicaId origin, Sequence upto);
  void note_undone(const Key& key);
  void note_owing(ReplicaId replica);
  FeedItem& cell_for(ReplicaId origin, DecodedRow& row, bool& made);
  void set_payload(FeedItem& item, DecodedRow&& row);
  void unlist(const Hold& hold, std::uint64_t number);
  void unlist(const Key& key);
  void drop(FeedItem& item);
  void purge(Hold& hold);
  std::shared_ptr<FeedItem> take_out(FeedItem& item);
  std::shared_ptr<FeedItem> take_out(Hold& hold);
  std::shared_ptr<FeedItem> take_out(Key& key);
  bool is_here(const FeedItem& dropped) const;

  ReplicaId self_;
  absl::btree_map<ReplicaId, std::unique_ptr<Origin>> origins_;
  Origin* own_ = nullptr;
  VersionVector vector_;  // the origins' heads
  ByName<Product> products_;
  absl::btree_map<std::string_view, Product*> catalogue_;
  ByName<Hold> holds_;
  HoldIndex holds_by_number_;
  std::uint64_t last_number_ = 0;
  ByName<Key> keys_;
  absl::btree_multimap<std::int64_t, Key*> keys_by_age_;
  absl::btree_map<ReplicaId, std::unique_ptr<Member>> members_;
  DecreeIndex decrees_;
  ReplicaSet decreed_, retired_, owing_;
  absl::btree_map<ReplicaId, ReplicaId> successors_;  // of the retired
  absl::btree_map<std::string_view, Product*> seized_;
  std::vector<FeedItem*> dirty_;
  std::vector<FeedItem*> unsaved_, saving_;
  // Rows that were dropped, and still have to be from the store. One that was here again when a
  // checkpoint began is saved over what the store has; one that comes back later is in the journal,
  // behind what that checkpoint lets go, and the store must not keep the row before it: that may be
  // of another history (drop_origin), with a higher sequence.
  struct Gone {
    std::shared_ptr<FeedItem> item;
    bool is_back = false;
  };
  std::vector<Gone> gone_;
  std::uint64_t purged_ = 0, rows_dropped_ = 0;
  absl::flat_hash_set<std::uint64_t> voided_;
  // Of origins whose rows were dropped: how far those reach that stand. Until they have come that
  // far, what this replica knew of them may be missing (withheld).
  absl::btree_map<ReplicaId, Sequence> awaited_;
  std::uint64_t digest_ = 0;
  std::size_t open_holds_ = 0, own_open_holds_ = 0;
};

}  // namespace holdfast::crdt
