// A change feed: rows in the order of their latest writes.

#include "crdt/feed.h"

#include <doctest/doctest.h>

#include <map>
#include <memory>

#include "tests/support/property.h"

using namespace holdfast::crdt;
using holdfast::tests::check_property;

namespace {

// What a feed promises, said plainly.
struct Model {
  std::map<Sequence, FeedItem*> rows;
  bool place(FeedItem& item, Sequence sequence) {
    const auto [at, made] = rows.emplace(sequence, &item);
    if (at->second != &item) return false;
    if (item.sequence != sequence) rows.erase(item.sequence);
    return true;
  }
};

bool same(const Feed& feed, const Model& model, Sequence after) {
  auto is = feed.begin_after(after);
  for (auto at = model.rows.upper_bound(after); at != model.rows.end(); ++at, ++is)
    if (is == feed.end() || is->first != at->first || is->second != at->second) return false;
  return is == feed.end();
}

}  // namespace

TEST_SUITE("feed") {
  TEST_CASE("a feed is a map by sequence, whatever its gaps") {
    check_property("place, remove and walk as in a map", [] {
      Feed feed;
      Model model;
      std::vector<std::unique_ptr<FeedItem>> items;
      Sequence last = 0;
      const int steps = *rc::gen::inRange(1, 900);
      for (int step = 0; step < steps; ++step) {
        const int what = *rc::gen::inRange(0, 100);
        if (items.empty() || what < 40) items.push_back(std::make_unique<FeedItem>());
        FeedItem& item =
            what < 40 ? *items.back() : *items[*rc::gen::inRange<std::size_t>(0, items.size())];
        if (what >= 90) {
          feed.remove(item);
          model.rows.erase(item.sequence);
          item.sequence = 0;
          continue;
        }
        const Sequence gap = what % 10 != 0 ? 1 : *rc::gen::inRange<Sequence>(1, 3'000);
        const bool behind = what % 10 == 1 && last > 1;
        const Sequence to = behind ? *rc::gen::inRange<Sequence>(1, last) : last + gap;
        const bool expected = model.place(item, to);
        RC_ASSERT(feed.place(item, to) == expected);
        if (expected) {
          RC_ASSERT(item.sequence == to);
          last = std::max(last, to);
        }
        RC_ASSERT(feed.size() == model.rows.size());
      }
      RC_ASSERT(same(feed, model, 0));
      const Sequence after = *rc::gen::inRange<Sequence>(0, last + 2);
      RC_ASSERT(same(feed, model, after));
      const auto at = model.rows.find(after);
      RC_ASSERT(feed.at(after) == (at == model.rows.end() ? nullptr : at->second));
    });
  }

  // Dense: the ring grows to its most and rows leave it; then sparse: it shrinks again.
  TEST_CASE("rows stay in order while the ring grows, is left, and shrinks") {
    Feed feed;
    Model model;
    const std::size_t count = Feed::kSlotsMost * 2;
    std::vector<FeedItem> items(count);
    Sequence last = 0;
    const auto place = [&](FeedItem& item, Sequence sequence) {
      REQUIRE(model.place(item, sequence));
      REQUIRE(feed.place(item, sequence));
      last = sequence;
    };
    for (FeedItem& item : items) place(item, last + 1);
    CHECK(same(feed, model, 0));
    for (std::size_t i = 0; i < count; i += 3) place(items[i], last + 1);
    CHECK(same(feed, model, 0));
    CHECK(same(feed, model, count - 10));
    for (std::size_t i = 0; i < count; i += 1'000) place(items[i], last + 50'000);
    CHECK(same(feed, model, 0));
    for (std::size_t i = 0; i < count; i += 7) place(items[i], last + 1);
    CHECK(same(feed, model, 0));
    for (std::size_t i = 0; i < count; i += 2) {
      model.rows.erase(items[i].sequence);
      feed.remove(items[i]);
    }
    CHECK(same(feed, model, 0));
    CHECK(feed.size() == count / 2);
    for (std::size_t i = 1; i < count; i += 2) feed.remove(items[i]);
    CHECK(feed.size() == 0);
    CHECK(feed.begin_after(0) == feed.end());
    FeedItem early, late, next;  // behind the last, in what is one slot of the least ring
    CHECK(feed.place(early, last - 2 * Feed::kSlotsLeast));
    CHECK(feed.place(late, last - Feed::kSlotsLeast));
    CHECK(feed.place(next, last + 1));
    CHECK(feed.at(early.sequence) == &early);
    CHECK(feed.at(late.sequence) == &late);
    CHECK(feed.at(last) == nullptr);
  }

  TEST_CASE("two rows cannot have one sequence") {
    Feed feed;
    FeedItem one, other;
    CHECK(feed.place(one, 5));
    CHECK_FALSE(feed.place(other, 5));
    CHECK(other.sequence == 0);
    CHECK(feed.place(one, 5));
    CHECK(feed.place(other, 100'000));  // far ahead: 5 is in the tree
    CHECK_FALSE(feed.place(other, 5));
    CHECK(feed.at(5) == &one);
    CHECK(feed.at(100'000) == &other);
    CHECK(feed.size() == 2);
  }
}
