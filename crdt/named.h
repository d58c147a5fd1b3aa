#pragma once
// ByName: a table of items by name, for tables that grow by millions while customers wait. It is
// many small ones, each of which grows by itself, so that none makes a request wait for all of
// them to move; hashes are kept, so that growth reads no name.
//
// Cost  O(1); growth: at most a 256th of the items at once.

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
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
    return at == table.end() ? nullptr : at->second.get();
  }
  // Its owner, empty if it is new. The name must be that of what is put there, and stay where it
  // is.
  std::unique_ptr<Item>& owner(const Named& named) {
    const auto [at, made] = tables_[index_of(named.hash)].try_emplace(named);
    size_ += made ? 1 : 0;
    return at->second;
  }
  // Requires: it is there.
  std::unique_ptr<Item> take(const Named& named) {
    Table& table = tables_[index_of(named.hash)];
    const auto at = table.find(named);
    HOLDFAST_CHECK(at != table.end());
    std::unique_ptr<Item> owned = std::move(at->second);
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
    return at == table.end() ? nullptr : at->second.get();
  }

 private:
  struct HashAlone {
    std::uint64_t hash;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const Named& named) const { return named.hash; }
    std::size_t operator()(HashAlone alone) const { return alone.hash; }
  };
  struct Same {
    using is_transparent = void;
    bool operator()(const Named& a, const Named& b) const {
      return a.hash == b.hash && a.name == b.name;
    }
    bool operator()(const Named& a, HashAlone b) const { return a.hash == b.hash; }
  };
  using Table = absl::flat_hash_map<Named, std::unique_ptr<Item>, Hash, Same>;
  static constexpr std::size_t kTables = 256;
  static std::size_t index_of(std::uint64_t hash) { return hash >> 56; }  // tables use the others
  const Table& table_of(std::uint64_t hash) const { return tables_[index_of(hash)]; }

  std::vector<Table> tables_ = std::vector<Table>(kTables);
  std::size_t size_ = 0;
};

}  // namespace holdfast::crdt
