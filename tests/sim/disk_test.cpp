#include "sim/disk.h"

#include <doctest/doctest.h>

using namespace holdfast::sim;
namespace node = holdfast::node;
using holdfast::crdt::ReplicaId;
using holdfast::crdt::RowKind;

namespace {

node::RowAddress address(const std::string& key) { return {ReplicaId{7}, RowKind::stock, key}; }

// A process that writes to a disk, and what it is told.
struct Writer {
  Events events;
  Image image;
  DiskOptions options;
  bool paused = false;
  int failures = 0;
  std::vector<std::uint64_t> durable, released;
  std::unique_ptr<Disk> disk;

  explicit Writer(std::uint64_t seed = 1) {
    disk = std::make_unique<Disk>(
        events, image, options, seed,
        Disk::Hooks{.durable = [this](const node::Batch& b) { durable.push_back(b.number); },
                    .failed = [this] { ++failures; },
                    .may_release = [this] { return !paused; }});
  }
  void write(std::uint64_t number, const std::string& journal,
             std::optional<node::CheckpointSlice> slice = std::nullopt) {
    disk->write({.number = number,
                 .journal = journal,
                 .checkpoint = std::move(slice),
                 .release = [this, number] { released.push_back(number); }});
  }
  void run() {
    while (events.next_at() != kNever) events.step(kNever);
  }
  void run_to(Time limit) {
    while (events.step(limit)) {
    }
  }
};

struct Content {
  bool opened = false, torn = false;
  std::string error, meta;
  std::map<std::string, std::string> rows;
  std::map<std::uint64_t, std::string> journal;
};

Content opened(Image& image) {
  Content content;
  const auto recovered = Disk::open(image, content.torn);
  content.opened = recovered.ok();
  if (!recovered.ok()) {
    content.error = std::string(recovered.status().message());
    return content;
  }
  content.meta = recovered->meta;
  const auto read = recovered->read(
      [&](node::RowAddress&& at, std::string_view bytes) {
        content.rows[at.key] = std::string(bytes);
        return absl::OkStatus();
      },
      [&](std::uint64_t batch, std::string_view bytes) {
        content.journal[batch] = std::string(bytes);
        return absl::OkStatus();
      });
  CHECK(read.ok());
  return content;
}

using Journal = std::map<std::uint64_t, std::string>;
using Numbers = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("disk: batches become durable one after the other, and are released when they are") {
  Writer writer;
  writer.write(1, "one");
  writer.write(2, "two");
  CHECK(writer.disk->pending() == 2);
  CHECK(writer.image.empty());
  while (writer.durable.empty()) REQUIRE(writer.events.step(kNever - 1));
  CHECK(writer.released == Numbers{1});
  CHECK(writer.disk->pending() == 1);
  writer.run();
  CHECK(writer.durable == Numbers{1, 2});
  CHECK(writer.released == Numbers{1, 2});
  const Content content = opened(writer.image);
  CHECK(content.journal == Journal{{1, "one"}, {2, "two"}});
  CHECK_FALSE(content.torn);
}

TEST_CASE("disk: a batch without content is released in its turn, and writes nothing") {
  Writer writer;
  writer.write(1, "one");
  writer.write(2, "");
  writer.write(2, "two");
  writer.run();
  CHECK(writer.released == Numbers{1, 2, 2});
  CHECK(writer.durable == Numbers{1, 2});
  CHECK(writer.image.mark == 2);
  CHECK(opened(writer.image).journal == Journal{{1, "one"}, {2, "two"}});
}

TEST_CASE("disk: what a write takes grows with its bytes and with the slowness") {
  const auto takes = [](double slow, std::size_t bytes) {
    Writer writer;
    writer.options.slow = slow;
    writer.options.bytes_per_second = 1e6;
    writer.write(1, std::string(bytes, 'x'));
    writer.run();
    return writer.events.now();
  };
  CHECK(takes(1, 1'000'000) >= kSecond);
  CHECK(takes(1, 1'000'000) < kSecond + 100 * kMillisecond);
  CHECK(takes(10, 1'000'000) >= 10 * kSecond);
  CHECK(takes(1, 1) < 100 * kMillisecond);
}

TEST_CASE("disk: a loss of power forgets, tears or keeps the batch in hand, and all behind it") {
  Writer writer;
  writer.write(1, "one");
  writer.run();
  writer.write(2, "twotwo");
  writer.write(3, "three");
  Content content;
  SUBCASE("forgets") {
    writer.disk->lose_power(PowerLoss::forgets);
    content = opened(writer.image);
    CHECK_FALSE(content.torn);
    CHECK(content.journal == Journal{{1, "one"}});
    CHECK(writer.durable == Numbers{1});
  }
  SUBCASE("tears: cut off when the disk is opened") {
    writer.disk->lose_power(PowerLoss::tears);
    CHECK(writer.image.journal.size() == 2);
    content = opened(writer.image);
    CHECK(content.torn);
    CHECK(content.journal == Journal{{1, "one"}});
    CHECK(writer.durable == Numbers{1});
    CHECK_FALSE(opened(writer.image).torn);  // once only
  }
  SUBCASE("keeps: durable, and never released") {
    writer.disk->lose_power(PowerLoss::keeps);
    content = opened(writer.image);
    CHECK_FALSE(content.torn);
    CHECK(content.journal == Journal{{1, "one"}, {2, "twotwo"}});
    CHECK(writer.durable == Numbers{1, 2});
  }
  writer.run();  // nothing of this process goes on
  CHECK(writer.released == Numbers{1});
  CHECK(opened(writer.image).journal == content.journal);
}

TEST_CASE("disk: a journal that ends below the mark is not opened") {
  Writer writer;
  writer.write(1, "one");
  writer.write(2, "two");
  writer.run();
  CHECK(writer.image.mark == 2);
  writer.image.journal.erase(2);
  CHECK(opened(writer.image).error == "the store holds less than its high-water mark");
}

TEST_CASE("disk: released is what damage may not take: a torn batch below the mark is an error") {
  Writer writer;
  writer.write(1, "one");
  writer.write(2, "two");
  writer.run();
  writer.image.journal[2].bytes = "t";
  const Content content = opened(writer.image);
  CHECK(content.torn);
  CHECK_FALSE(content.opened);
}

TEST_CASE("disk: a failing write is told, and nothing of it or behind it is released") {
  int kept = 0, lost = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Writer writer(seed);
    writer.write(1, "one");
    writer.run();
    writer.options.failing = 1;
    writer.write(2, "two");
    writer.write(3, "three");
    writer.run();
    CHECK(writer.failures == 1);
    CHECK(writer.released == Numbers{1});
    CHECK(writer.image.mark == 1);
    const Content content = opened(writer.image);
    CHECK_FALSE(content.journal.contains(3));
    // It may be there all the same; then whoever watches knows.
    CHECK(content.journal.contains(2) == (writer.durable == Numbers{1, 2}));
    ++(content.journal.contains(2) ? kept : lost);
  }
  CHECK(kept > 5);
  CHECK(lost > 5);
}

TEST_CASE("disk: the share of writes that fail is the one that is asked for") {
  int failed = 0;
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    Writer writer(seed);
    writer.options.failing = 0.1;
    writer.write(1, "one");
    writer.run();
    failed += writer.failures;
  }
  CHECK(failed > 50);
  CHECK(failed < 150);
}

TEST_CASE("disk: while the process stands still nothing is released") {
  Writer writer;
  writer.paused = true;
  writer.write(1, "one");
  writer.write(2, "two");
  writer.run();
  CHECK(writer.durable == Numbers{1});
  CHECK(writer.released.empty());
  writer.paused = false;
  writer.disk->resume();
  writer.run();
  CHECK(writer.released == Numbers{1, 2});
}

TEST_CASE("disk: rows are there when the meta record is, with their journal dropped") {
  Writer writer;
  writer.write(1, "one");
  node::CheckpointSlice first{.put = {{address("a"), "A"}, {address("b"), "B"}}};
  writer.write(2, "two", first);
  while (writer.released.size() < 2) REQUIRE(writer.events.step(kNever - 1));
  CHECK_FALSE(writer.disk->takes_slice());
  CHECK(opened(writer.image).rows.empty());  // written beside, after the release
  SUBCASE("the process ends in the middle of it") {
    writer.disk->lose_power(PowerLoss::keeps);
    writer.run();
    const Content content = opened(writer.image);
    CHECK(content.rows.empty());
    CHECK(content.journal == Journal{{1, "one"}, {2, "two"}});
  }
  SUBCASE("it is finished; the last one of the checkpoint drops the journal") {
    writer.run();
    CHECK(writer.disk->takes_slice());
    Content content = opened(writer.image);
    CHECK(content.rows.empty());  // not flushed yet
    CHECK(content.journal.size() == 2);
    CHECK(content.meta.empty());
    node::CheckpointSlice last{
        .put = {{address("c"), "C"}}, .drop = {address("a")}, .journal_through = 2, .meta = "meta"};
    writer.write(3, "three", last);
    writer.run();
    content = opened(writer.image);
    CHECK(content.rows == std::map<std::string, std::string>{{"b", "B"}, {"c", "C"}});
    CHECK(content.journal == Journal{{3, "three"}});
    CHECK(content.meta == "meta");
  }
}

TEST_CASE("disk: of a checkpoint that is cut off some of the first rows are there, or none") {
  std::map<std::size_t, int> kept;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Writer writer(seed);
    writer.write(1, "one", {{.put = {{address("a"), "A"}, {address("b"), "B"}}}});
    writer.run();
    writer.disk->lose_power(PowerLoss::forgets);
    const Content content = opened(writer.image);
    CHECK(content.journal == Journal{{1, "one"}});
    ++kept[content.rows.size()];
    if (content.rows.size() == 1) CHECK(content.rows.contains("a"));
  }
  for (const std::size_t rows : {0, 1, 2}) CHECK(kept[rows] > 10);
}

TEST_CASE("disk: a full one says so") {
  Writer writer;
  CHECK(writer.disk->free_bytes() > 0);
  writer.options.full = true;
  CHECK(writer.disk->free_bytes() == 0);
}

TEST_CASE("disk: a process may end while it is told that a batch is durable") {
  Writer writer;
  writer.disk->write({.number = 1, .journal = "one", .release = [&] { writer.disk.reset(); }});
  writer.run();
  CHECK(writer.disk == nullptr);
  CHECK(opened(writer.image).journal == Journal{{1, "one"}});
}
