#include "sim/quota_weak.h"

#include <algorithm>

#include "crdt/pn_counter.h"
#include "sim/timeline.h"

namespace holdfast::sim {
namespace {

class Weak {
 public:
  Weak(const WeakRun& run, std::uint64_t seed)
      : run_(run), random_(seed, "weak", run.clients), regions_(run.one_way_us.size()) {
    for (Region& region : regions_) {
      region.heard.resize(regions_.size());
      region.stock.grow({}, {.up = run.units});
    }
    for (std::size_t i = 0; i < regions_.size(); ++i) {
      for (std::uint32_t client = 0; client < run.clients; ++client)
        time_.after(random_.between(0, kThinkUsMax), [this, i] { buy(i); });
      if (run.gossip_us > 0)
        time_.after(random_.between(0, run.gossip_us), [this, i] { gossip(i); });
    }
  }
  std::int64_t run() {
    while (!time_.empty()) time_.step();
    crdt::Units sold = 0;
    for (std::size_t i = 0; i < regions_.size(); ++i) sold += regions_[i].heard[i].down;
    return std::max<crdt::Units>(0, sold - run_.units);
  }

 private:
  struct Region {
    crdt::PnCounter stock;
    std::vector<crdt::PnPair> heard;  // by region
    crdt::Units told = 0;
  };
  void learn(Region& region, std::size_t of, crdt::Units down) {
    crdt::PnPair after = region.heard[of];
    after.down = std::max(after.down, down);
    region.stock.grow(region.heard[of], after);
    region.heard[of] = after;
  }
  // Units are never added: a region that has seen none left sells no more.
  bool over(const Region& region) const { return region.stock.value() <= 0; }

  void buy(std::size_t at) {
    time_.after(kOperationUs, [this, at] {
      Region& region = regions_[at];
      if (over(region)) return;
      learn(region, at, region.heard[at].down + 1);
      if (run_.gossip_us == 0) tell(at);
      time_.after(random_.between(kThinkUsMin, kThinkUsMax), [this, at] { buy(at); });
    });
  }
  void gossip(std::size_t at) {
    Region& region = regions_[at];
    const bool news = region.heard[at].down > region.told;
    if (news) tell(at);
    if (news || !over(region)) time_.after(run_.gossip_us, [this, at] { gossip(at); });
  }
  void tell(std::size_t at) {
    const crdt::Units down = regions_[at].told = regions_[at].heard[at].down;
    for (std::size_t to = 0; to < regions_.size(); ++to)
      if (to != at)
        time_.after(run_.one_way_us[at][to] + run_.more_lag_us,
                    [this, at, to, down] { learn(regions_[to], at, down); });
  }

  const WeakRun& run_;
  Random random_;
  Timeline time_;
  std::vector<Region> regions_;
};

}  // namespace

std::int64_t run_weak(const WeakRun& run, std::uint64_t seed) { return Weak(run, seed).run(); }

}  // namespace holdfast::sim
