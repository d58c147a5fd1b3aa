#pragma once
// Named: a name and its hash, the key of the tables that grow by millions. No name is read again
// when a table grows, and none but the one that is sought when it is searched.
//
// The name is not owned, and lives in what it is the key of. The hash is not against an adversary:
// names that were made to collide are found all the same, slowly.

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "crdt/digest.h"

namespace holdfast::crdt {

struct Named {
  Named(std::string_view text) : hash(digest(text)), name(text) {}  // NOLINT: a name is its key
  std::uint64_t hash;
  std::string_view name;
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
};

template <typename Item>
using ByName = absl::flat_hash_map<Named, std::unique_ptr<Item>, Named::Hash, Named::Same>;

// One of that hash, perhaps of another name: to fetch it into the cache.
template <typename Item>
const Item* glance(const ByName<Item>& items, std::string_view name) {
  const auto at = items.find(Named::HashAlone{digest(name)});
  return at == items.end() ? nullptr : at->second.get();
}

}  // namespace holdfast::crdt
