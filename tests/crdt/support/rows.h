#pragma once
// Rows for tests: how a state is compared with another, and random histories of honest writers.

#include <rapidcheck.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "crdt/codec.h"
#include "crdt/delta.h"
#include "crdt/state.h"
#include "gossip/rng.h"

namespace holdfast::tests {

inline crdt::ReplicaId replica(std::uint64_t n) { return {0x1000 + n}; }
inline std::string sku_name(std::uint64_t n) { return "sku-" + std::to_string(n); }

inline std::string encode_row(const crdt::DecodedRow& row) {
  std::string payload, bytes;
  std::visit(
      [&](const auto& content) {
        if constexpr (std::is_same_v<std::decay_t<decltype(content)>, std::string>)
          payload = content;
        else
          crdt::append_payload(content, payload);
      },
      row.payload);
  crdt::append_row(row.kind, row.key, row.sequence, row.format, payload, bytes);
  return bytes;
}

// One version of one row, as its origin stamped it.
struct Version {
  crdt::ReplicaId origin;
  std::string bytes;
};

inline bool merge(crdt::State& state, const Version& version) {
  auto row = crdt::decode_row(version.bytes);
  if (!row.ok()) return false;
  const crdt::Sequence sequence = row->sequence;
  if (!state.merge(version.origin, *std::move(row)).ok()) return false;
  state.advance(version.origin, sequence);
  return true;
}

// Everything of `from`, as a peer that is sent all of it would take it.
inline void absorb(crdt::State& into, const crdt::State& from,
                   const std::vector<crdt::ReplicaId>& origins) {
  for (const crdt::ReplicaId origin : origins) {
    const crdt::Feed* feed = from.feed(origin);
    if (feed == nullptr) continue;
    for (auto at = feed->begin_after(0); at != feed->end(); ++at) {
      std::string bytes;
      crdt::append_item(*at->second, bytes);
      RC_ASSERT(merge(into, {origin, bytes}));
    }
    into.advance(origin, from.head(origin));
  }
}

// Every answer that a state gives about stock, as text.
inline std::string stock_answers(const crdt::State& state,
                                 const std::vector<crdt::ReplicaId>& origins) {
  std::ostringstream text;
  for (const auto& [sku, product] : state.catalogue()) {
    const crdt::BoundedCounter& stock = product->stock;
    text << sku << ' ' << stock.on_hand() << ' ' << stock.held() << ' ' << stock.available() << ' '
         << stock.allowance() << ' ' << stock.sold() << ' ' << stock.returned() << ' '
         << stock.exposure() << ' ' << stock.total_debt() << ' ' << stock.view_available();
    for (const crdt::ReplicaId origin : origins)
      text << " [" << stock.rights(origin) << ' ' << stock.unseen(origin) << ' '
           << stock.debt(origin) << ' ' << stock.ever_seized(origin) << ']';
    text << '\n';
  }
  return text.str();
}

// All that can be asked of a state, and the canonical bytes of every row in the order of its feed.
inline std::string fingerprint(const crdt::State& state,
                               const std::vector<crdt::ReplicaId>& origins) {
  std::ostringstream text;
  text << "digest " << state.digest() << " holds " << state.hold_count() << " open "
       << state.open_holds() << " products " << state.product_count() << '\n';
  text << stock_answers(state, origins);
  for (const auto& [sku, product] : state.catalogue())
    if (const crdt::SkuCell* cell = product->description())
      text << sku << " is " << cell->row.name << " by " << crdt::to_string(cell->origin) << '\n';
  for (const auto& [at, hold] : state.holds())
    text << crdt::to_string(at.first) << '/' << at.second << ' ' << hold->id << " stands at "
         << crdt::to_string(state.hold(hold->id)->origin) << '\n';
  for (const crdt::ReplicaId origin : origins) {
    const crdt::Feed* feed = state.feed(origin);
    text << crdt::to_string(origin) << " head " << state.head(origin) << '\n';
    if (feed == nullptr) continue;
    for (auto at = feed->begin_after(0); at != feed->end(); ++at) {
      std::string bytes;
      crdt::append_item(*at->second, bytes);
      text << bytes << '\n';
      if (at->second->kind == crdt::RowKind::key)
        text << "answered by " << crdt::to_string(state.key(crdt::row_key(*at->second))->origin)
             << '\n';
    }
  }
  return text.str();
}

// ── random histories ────────────────────────────────────────────────────────────────────────────

// One write of one writer, as numbers that rapidcheck can shrink.
struct Write {
  std::uint8_t writer = 0, what = 0, which = 0;
  std::uint16_t amount = 0;
  bool seal = false;
};
inline void showValue(const Write& w, std::ostream& out) {
  out << "{writer " << int(w.writer) << ", what " << int(w.what) << ", which " << int(w.which)
      << ", amount " << w.amount << (w.seal ? ", seal}" : "}");
}

}  // namespace holdfast::tests

namespace rc {
template <>
struct Arbitrary<holdfast::tests::Write> {
  static Gen<holdfast::tests::Write> arbitrary() {
    using holdfast::tests::Write;
    return gen::build<Write>(gen::set(&Write::writer), gen::set(&Write::what),
                             gen::set(&Write::which), gen::set(&Write::amount),
                             gen::set(&Write::seal));
  }
};
}  // namespace rc

namespace holdfast::tests {

// Writes to `state` what `write` says. Totals only grow, as every writer of ours has it; nothing
// else about stock is respected.
inline void write_to(crdt::State& state, const Write& write) {
  using crdt::StockRow;
  const auto sku = sku_name(write.which % 3);
  const crdt::Units amount = 1 + write.amount % 500;
  switch (write.what % 10) {
    case 0:
    case 1:
    case 2: {
      crdt::Product& product = state.make_product(sku);
      state.change_stock(product, [&](StockRow& row) {
        static constexpr crdt::Units StockRow::*kFree[] = {
            &StockRow::received, &StockRow::withdrawn,         &StockRow::allowance_added,
            &StockRow::returned, &StockRow::allowance_removed, &StockRow::voided};
        row.*kFree[write.which % 6] += amount;
      });
      break;
    }
    case 3: {
      crdt::Product& product = state.make_product(sku);
      state.change_stock(product, [&](StockRow& row) {
        row.held += 2 * amount;
        row.released += amount / 2;
        row.sold += amount / 3;
        row.demand_milli = write.amount;
      });
      break;
    }
    case 4: {
      crdt::Product& product = state.make_product(sku);
      state.change_stock(product, [&](StockRow& row) {
        crdt::PeerTotals& peer = row.at(replica(write.amount % 4));
        static constexpr crdt::Units crdt::PeerTotals::*kTotals[] = {
            &crdt::PeerTotals::granted, &crdt::PeerTotals::seized, &crdt::PeerTotals::seen,
            &crdt::PeerTotals::debt_at_seen};
        peer.*kTotals[write.which % 4] += amount;
      });
      break;
    }
    case 5:
    case 6: {
      const std::string id = "cart-" + std::to_string(write.which % 5);
      if (crdt::Hold* hold = state.own_hold(id)) {
        state.change_hold(*hold, [&](crdt::HoldRow& row) {
          row.state = static_cast<crdt::HoldState>(1 + write.amount % 3);
          row.ended_at = write.amount;
        });
      } else {
        crdt::HoldRow row{.digest = write.amount};
        row.lines.push_back({.sku = sku, .requested = 5, .held = 4, .committed = 3, .returned = 1});
        if (write.amount % 2 == 1) row.adopted_from = replica(9);
        if (write.amount % 3 == 1) row.metadata = R"({"note": "Grüße"})";
        state.add_hold(id, std::move(row));
      }
      break;
    }
    case 7: {
      const std::string key = "POST /v1/x\nkey-" + std::to_string(write.which % 5);
      const crdt::Key* found = state.key(key);
      for (; found != nullptr && found->origin != state.self(); found = found->next_copy.get()) {
      }
      if (found == nullptr)
        state.put_key(key, {.digest = write.amount, .answer = "{}", .created_at = write.amount});
      break;
    }
    case 8:
      state.put_sku(state.make_product(sku),
                    {.time = write.amount, .name = "name " + std::to_string(write.amount)});
      break;
    default:
      state.put_member({.region = "eu",
                        .node = "eu-1",
                        .wire_version = 1,
                        .boots = {{.sequence = 1, .nonce = write.amount}}});
  }
}

// What three honest writers, who never hear of one another, stamped over time.
inline std::vector<Version> history(const std::vector<Write>& writes) {
  std::vector<std::unique_ptr<crdt::State>> writers;
  for (int i = 0; i < 3; ++i) writers.push_back(std::make_unique<crdt::State>(replica(i)));
  std::vector<Version> versions;
  const auto seal = [&](crdt::State& state) {
    std::string bytes;
    state.seal(bytes);
    auto rows = crdt::decode_rows(bytes);
    RC_ASSERT(rows.ok());
    for (const crdt::DecodedRow& row : *rows) versions.push_back({state.self(), encode_row(row)});
  };
  for (const Write& write : writes) {
    crdt::State& writer = *writers[write.writer % 3];
    write_to(writer, write);
    if (write.seal) seal(writer);
  }
  for (const auto& writer : writers) seal(*writer);
  return versions;
}

template <typename T>
void shuffle(std::vector<T>& items, gossip::Rng& rng) {
  for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[rng.below(i)]);
}

}  // namespace holdfast::tests
