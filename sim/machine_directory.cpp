// What happens to a machine's data directory beside its process: bases, copies put back by hand,
// and a fork that becomes another replica, as node/rejoin.h does it with files.

#include <utility>

#include "crdt/check.h"
#include "node/journal_of.h"
#include "node/reissue.h"
#include "sim/machine.h"

namespace holdfast::sim {

namespace {
constexpr std::size_t kBasesMax = 4;  // as node/rejoin.h
}

absl::StatusOr<std::unique_ptr<node::Engine>> Machine::load(const Image& image) const {
  Image copy = image;
  bool torn = false;
  const auto opened = Disk::open(copy, torn);
  if (!opened.ok()) return opened.status();
  const auto self = node::identity(*opened, {});
  if (!self.ok()) return self.status();
  node::EngineConfig config{.self = *self};
  config.mesh.self = *self;
  auto engine = std::make_unique<node::Engine>(std::move(config));
  if (const auto count = node::recover(*opened, *engine); !count.ok()) return count.status();
  return engine;
}

void Machine::write_image(const crdt::State& state, std::int64_t life_ms) {
  directory_ = {};
  Image& image = directory_.image;
  const auto write = [&](const std::string& value) {
    ++image.mark;
    image.journal[image.mark] = {value, Disk::checksum(image.mark, value)};
  };
  node::JournalOf journal(state, life_ms);
  for (std::string value; journal.next(value);) write(value);
  // Of a state without rows, that it is this replica's.
  if (image.mark == 0)
    write(node::encode(node::JournalValue{.self = state.self(), .life_ms = life_ms}));
  self_ = state.self();
}

void Machine::keep_base(std::uint64_t boot) {
  if (!options_.keeps_bases || directory_.image.empty()) return;
  auto& bases = directory_.bases;
  if (bases.size() >= kBasesMax) bases.erase(bases.begin());
  bases.emplace_back(boot, directory_.image);
}

void Machine::put_back(const Directory& directory, bool mark_stays) {
  HOLDFAST_CHECK(!lives());
  const std::uint64_t mark = directory_.image.mark;
  directory_ = directory;
  if (mark_stays) directory_.image.mark = mark;
  stopped_for_.clear();
  const auto loaded = load(directory.image);
  HOLDFAST_CHECK(loaded.ok());
  self_ = (*loaded)->state().self();
  bool torn = false;
  Image opened = directory_.image;
  watcher_.on_put_back(*this, (*loaded)->state(), Disk::open(opened, torn).ok());
}

void Machine::restore(const Image& image) {
  HOLDFAST_CHECK(!lives());
  const auto loaded = load(image);
  HOLDFAST_CHECK(loaded.ok());
  const crdt::State& old = (*loaded)->state();
  ++disks_;
  crdt::State fresh(crdt::ReplicaId{Random(options_.seed, "replica", disks_).next() | 1});
  node::JournalOf journal(old, 0);
  for (std::string text; journal.next(text);) {
    auto value = node::decode_journal_value(text);
    HOLDFAST_CHECK(value.ok());
    HOLDFAST_CHECK(node::replay(*std::move(value), fresh).ok());
  }
  write_image(fresh, 0);
  stopped_for_.clear();
}

absl::Status Machine::rejoin() {
  const node::ForkMark mark = directory_.fork;
  const auto now = load(directory_.image);
  if (!now.ok()) return now.status();
  std::unique_ptr<node::Engine> base;
  for (const auto& [boot, image] : directory_.bases) {
    if (boot != mark.boots.front().nonce) continue;
    auto loaded = load(image);
    if (!loaded.ok()) return loaded.status();
    base = *std::move(loaded);
  }
  Random random(options_.seed, "rejoin", life_);
  const crdt::ReplicaId fresh{random.next() | 1};
  const auto state = node::successor((*now)->state(), base ? &base->state() : nullptr, mark, fresh,
                                     random.next() | 1);
  if (!state.ok()) return state.status();
  write_image(**state, (*now)->loaded_life_ms());
  watcher_.on_rejoined(*this, mark, base ? &base->state() : nullptr, **state);
  return absl::OkStatus();
}

}  // namespace holdfast::sim
