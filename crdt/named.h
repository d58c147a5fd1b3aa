#pragma once
// ByName: a table of items by name, for tables that grow by millions while customers wait. It is
// many small ones, each of which grows by itself, so that none makes a request wait for all of
// them to move; hashes are kept, so that growth reads no name, and names are those of the items
// (name_of(item), found beside its type).
//
// Cost  O(1); growth: at most a 256th of the items at once.

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "crdt/check.h"
#include "crdt/digest.h"

namespace holdfast::crdt {

// A name, not owned, and its hash. That is not against an adversary: names that were made to
// collide are found all the same, slowly.
struct Named {
  Named(std::string_view text) : hash(digest(text)), name(text) {}
  Named(const std::string& text) : Named(std::string_view(text)) {}
  std::uint64_t hash;
  std::string_view name;
};

template <typename Item>
class ByName {
 public:
  Item* find(const Named& named) const {  // nullptr: there is none
    const Table& table = table_of(named.hash);
    const auto at = table.find(named);
    return at == table.end() ? nullptr : at->item.get();
  }
  // Its owner, empty if it is new: then something of that name must be put there before anything
  // else is asked for.
  std::unique_ptr<Item>& owner(const Named& named) {
    return tables_[index_of(named.hash)]
        .lazy_emplace(named,
                      [&](const auto& make) {
                        make(Slot{named.hash, nullptr});
                        ++size_;
                      })
        ->item;
  }
  // Requires: it is there.
  std::unique_ptr<Item> take(const Named& named) {
    Table& table = tables_[index_of(named.hash)];
    const auto at = table.find(named);
    HOLDFAST_CHECK(at != table.end());
    std::unique_ptr<Item> owned = std::move(at->item);
    table.erase(at);
    --size_;
    return owned;
  }
  std::size_t size() const { return size_; }

  // Into the cache: where it is looked for.
  void prefetch(const Named& named) const { table_of(named.hash).prefetch(named); }
  // One of that hash, perhaps of another name, which is not read; nullptr: none.
  Item* glance(const Named& named) const {
    const Table& table = table_of(named.hash);
    const auto at = table.find(HashAlone{named.hash});
    return at == table.end() ? nullptr : at->item.get();
  }

 private:
  struct Slot {
    std::uint64_t hash;
    mutable std::unique_ptr<Item> item;
  };
  struct HashAlone {
    std::uint64_t hash;
  };
  struct Hash {
    using is_transparent = void;
    template <typename Hashed>
    std::size_t operator()(const Hashed& hashed) const {
      return hashed.hash;
    }
  };
  struct Same {
    using is_transparent = void;
    bool operator()(const Slot& a, const Named& b) const {
      return a.hash == b.hash && name_of(*a.item) == b.name;
    }
    bool operator()(const Slot& a, HashAlone b) const { return a.hash == b.hash; }
    bool operator()(const Slot& a, const Slot& b) const { return a.item == b.item; }
  };
  using Table = absl::flat_hash_set<Slot, Hash, Same>;
  static constexpr std::size_t kTables = 256;
  static std::size_t index_of(std::uint64_t hash) { return hash >> 56; }  // tables use the others
  const Table& table_of(std::uint64_t hash) const { return tables_[index_of(hash)]; }

  std::vector<Table> tables_ = std::vector<Table>(kTables);
  std::size_t size_ = 0;
};

}  // namespace holdfast::crdt
