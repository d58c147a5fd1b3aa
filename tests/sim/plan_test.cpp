#include "sim/plan.h"

#include <algorithm>
#include <set>

#include <doctest/doctest.h>

using namespace holdfast::sim;

namespace {

constexpr std::uint64_t kSeeds = 400;

std::size_t lines_with(const std::string& text, const std::string& beginning) {
  std::size_t count = text.starts_with(beginning) ? 1 : 0;
  for (std::size_t at = 0; (at = text.find("\n" + beginning, at)) != std::string::npos; ++at)
    ++count;
  return count;
}

// A seed with enough of both to leave some out.
std::uint64_t rich_seed() {
  for (std::uint64_t seed = 1;; ++seed)
    if (const PlanSize size = plan_size(seed); size.faults > 5 && size.operations > 50) return seed;
}

bool same(const PlannedFault& a, const PlannedFault& b) {
  return a.at_ms == b.at_ms && a.for_ms == b.for_ms && a.kind == b.kind && a.a == b.a &&
         a.b == b.b && a.amount == b.amount && a.one_way == b.one_way;
}
bool same(const PlannedOperation& a, const PlannedOperation& b) {
  return a.at_ms == b.at_ms && a.kind == b.kind && a.node == b.node && a.x == b.x && a.y == b.y;
}

template <typename T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const T& x, const T& y) { return same(x, y); });
}

}  // namespace

TEST_CASE("plan: a seed draws the same plan each time, and another seed another") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CHECK(describe_plan(seed) == describe_plan(seed));
    const Plan one = draw_plan(seed), two = draw_plan(seed);
    CHECK(same(one.faults, two.faults));
    CHECK(same(one.operations, two.operations));
    CHECK(one.core == two.core);
    CHECK(one.world.seed == two.world.seed);
    CHECK(describe_plan(seed) != describe_plan(seed + 1));
  }
}

TEST_CASE("plan: everything is in time order, ends with the plan, and names nodes that there are") {
  std::set<std::size_t> regions, nodes;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Plan plan = draw_plan(seed);
    CAPTURE(seed);
    const std::size_t count = plan.world.nodes.size();
    regions.insert(plan.world.regions.size());
    nodes.insert(plan.nodes);
    CHECK(plan.nodes >= 1);
    CHECK(count - plan.nodes <= 1);  // a spare
    CHECK((count == plan.nodes || plan.world.nodes.back().spare));
    CHECK(plan.skus >= 1);
    CHECK(plan.world.window_bytes >= plan.world.piece_bytes);
    CHECK(plan.world.suspect_after > plan.world.heartbeat);
    CHECK_FALSE(plan.core.empty());
    CHECK(std::is_sorted(plan.core.begin(), plan.core.end()));
    CHECK(plan.core.back() < plan.nodes);
    std::int64_t before = 0;
    bool well = true;
    for (const PlannedFault& fault : plan.faults) {
      well = well && fault.at_ms >= before && fault.at_ms + fault.for_ms <= plan.end_ms &&
             fault.for_ms >= 0 && fault.a < count && fault.b < count && fault.amount >= 0 &&
             fault.amount < 1 && fault.copied_ms >= 0 && fault.copied_ms <= fault.at_ms;
      before = fault.at_ms;
    }
    CHECK(well);
    before = 0;
    for (const PlannedOperation& one : plan.operations) {
      well = well && one.at_ms >= before && one.at_ms <= plan.end_ms && one.node < count;
      before = one.at_ms;
    }
    CHECK(well);
  }
  CHECK(*regions.begin() == 1);
  CHECK(*regions.rbegin() >= 4);
  CHECK(*nodes.begin() == 1);
  CHECK(*nodes.rbegin() == 6);
}

TEST_CASE("plan: each seed leaves about half of the kinds out, and each kind is in some") {
  std::vector<int> faults(kAllFaultKinds);
  std::vector<int> operations(kOperationKinds + kTwiceKinds);
  int without_faults = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Plan plan = draw_plan(seed);
    std::set<FaultKind> seen_faults;
    std::set<OperationKind> seen_operations;
    for (const PlannedFault& fault : plan.faults) seen_faults.insert(fault.kind);
    for (const PlannedOperation& one : plan.operations) seen_operations.insert(one.kind);
    without_faults += seen_faults.empty() ? 1 : 0;
    for (const FaultKind kind : seen_faults) ++faults[static_cast<std::size_t>(kind)];
    for (const OperationKind kind : seen_operations) ++operations[static_cast<std::size_t>(kind)];
  }
  const auto share = [](int count) { return static_cast<double>(count) / kSeeds; };
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    CAPTURE(name_of(static_cast<FaultKind>(kind)));
    CHECK(share(faults[kind]) > 0.2);  // of half of the seeds, and not always with enough faults
    CHECK(share(faults[kind]) < 0.55);
  }
  for (std::size_t kind = kFaultKinds; kind < faults.size(); ++kind) {
    CAPTURE(name_of(static_cast<FaultKind>(kind)));
    CHECK(share(faults[kind]) > 0.05);
    CHECK(share(faults[kind]) < 0.4);
  }
  for (std::size_t kind = kOperationKinds; kind < operations.size(); ++kind) {
    CHECK(share(operations[kind]) > 0.05);
    CHECK(share(operations[kind]) < 0.4);
  }
  for (std::size_t kind = 0; kind < kOperationKinds; ++kind) {
    const auto as_kind = static_cast<OperationKind>(kind);
    CAPTURE(name_of(as_kind));
    const bool always = as_kind == OperationKind::receive || as_kind == OperationKind::reserve;
    CHECK(share(operations[kind]) > (always ? 0.99 : 0.35));
    CHECK(share(operations[kind]) < (always ? 1.01 : 0.75));
  }
  CHECK(share(without_faults) > 0.01);
  CHECK(share(without_faults) < 0.15);
}

TEST_CASE("plan: its size is what there is to leave out, and what the description counts") {
  const std::uint64_t seed = rich_seed();
  const Plan plan = draw_plan(seed);
  const PlanSize size = plan_size(seed);
  CHECK(size.faults == plan.faults.size());
  CHECK(size.operations == plan.operations.size());
  CHECK(size.end_ms == plan.end_ms);
  const std::string text = describe_plan(seed);
  CHECK(lines_with(text, "fault ") == size.faults);
  CHECK(lines_with(text, "operation ") == size.operations);
}

TEST_CASE("plan: what is left out is gone, and the rest is as it was") {
  const std::uint64_t seed = rich_seed();
  const Plan whole = draw_plan(seed);
  const Omissions omissions{.faults = {0, 2, 5}, .operations = {1, 3, 40}};
  Plan plan = draw_plan(seed);
  omit(plan, omissions);
  std::vector<PlannedFault> faults;
  for (std::size_t i = 0; i < whole.faults.size(); ++i)
    if (i != 0 && i != 2 && i != 5) faults.push_back(whole.faults[i]);
  std::vector<PlannedOperation> operations;
  for (std::size_t i = 0; i < whole.operations.size(); ++i)
    if (i != 1 && i != 3 && i != 40) operations.push_back(whole.operations[i]);
  CHECK(same(plan.faults, faults));
  CHECK(same(plan.operations, operations));
  CHECK(plan.end_ms == whole.end_ms);
  const std::string text = describe_plan(seed, omissions);
  CHECK(lines_with(text, "fault 0:") == 0);
  CHECK(lines_with(text, "fault 1:") == 1);  // numbers stay
  CHECK(lines_with(text, "operation 40:") == 0);
  CHECK(lines_with(text, "operation ") == operations.size());
}

TEST_CASE("plan: an earlier end leaves out what is later, and ends the faults of before") {
  const std::uint64_t seed = rich_seed();
  const Plan whole = draw_plan(seed);
  const std::int64_t end_ms = whole.faults[2].at_ms + whole.faults[2].for_ms / 2;
  Plan plan = draw_plan(seed);
  omit(plan, {.end_ms = end_ms});
  CHECK(plan.end_ms == end_ms);
  CHECK(plan.faults.size() >= 3);
  for (const PlannedFault& fault : plan.faults) CHECK(fault.at_ms + fault.for_ms <= end_ms);
  for (const PlannedOperation& one : plan.operations) CHECK(one.at_ms <= end_ms);
  CHECK(lines_with(describe_plan(seed, {.end_ms = end_ms}), "fault ") == plan.faults.size());
  Plan later = draw_plan(seed);
  omit(later, {.end_ms = whole.end_ms + 1});
  CHECK(later.end_ms == whole.end_ms);
}
