#include "sim/shrink.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <set>
#include <vector>

namespace holdfast::sim {
namespace {

using Numbers = std::vector<std::uint32_t>;

Numbers all_below(std::uint32_t count) {
  Numbers numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

Numbers without(const Numbers& all, const Numbers& some) {
  Numbers rest;
  std::set_difference(all.begin(), all.end(), some.begin(), some.end(), std::back_inserter(rest));
  return rest;
}

class Shrinking {
 public:
  Shrinking(const PlanSize& size, const std::string& invariant, const ShrinkTrial& trial,
            const ShrinkLimits& limits)
      : invariant_(invariant),
        trial_(trial),
        limits_(limits),
        all_faults_(all_below(size.faults)),
        all_operations_(all_below(size.operations)),
        kept_{all_faults_, all_operations_, size.end_ms} {}

  Shrunk run(std::int64_t at_ms) {
    // Most of the plan's end is often after the failure: trials are shorter without it.
    if (at_ms > 0 && at_ms < kept_.end_ms) fails_with_end(at_ms + 1);
    for (bool moved = true; moved && !exhausted_;) {
      const Kept before = kept_;
      ddmin(&Kept::faults);
      ddmin(&Kept::operations);
      bisect_end();
      moved = before != kept_;
    }
    return {
        .omissions = omissions(kept_), .left = left(), .trials = trials_, .minimal = !exhausted_};
  }

 private:
  struct Kept {
    Numbers faults, operations;
    std::int64_t end_ms = 0;
    auto operator<=>(const Kept&) const = default;
  };

  PlanSize left() const {
    return {static_cast<std::uint32_t>(kept_.faults.size()),
            static_cast<std::uint32_t>(kept_.operations.size()), kept_.end_ms};
  }

  Omissions omissions(const Kept& kept) const {
    Omissions omissions{.faults = without(all_faults_, kept.faults),
                        .operations = without(all_operations_, kept.operations)};
    if (end_moved_ || kept.end_ms != kept_.end_ms) omissions.end_ms = kept.end_ms;
    return omissions;
  }

  // Takes the candidate over if it fails in the same way.
  bool fails(const Kept& candidate) {
    if (exhausted_ || passed_.contains(candidate)) return false;
    if (trials_ == limits_.trials_max || (limits_.out_of_time && limits_.out_of_time())) {
      exhausted_ = true;
      return false;
    }
    ++trials_;
    const bool same = trial_(omissions(candidate)) == invariant_;
    if (same) {
      end_moved_ = end_moved_ || candidate.end_ms != kept_.end_ms;
      kept_ = candidate;
    } else {
      passed_.insert(candidate);
    }
    if (limits_.progress) limits_.progress(left(), trials_);
    return same;
  }

  bool fails_with(Numbers Kept::*list, Numbers numbers) {
    Kept candidate = kept_;
    candidate.*list = std::move(numbers);
    return fails(candidate);
  }

  bool fails_with_end(std::int64_t end_ms) {
    Kept candidate = kept_;
    candidate.end_ms = end_ms;
    return fails(candidate);
  }

  // Splits what is kept into parts, and keeps one of them alone, or goes without some, if that
  // fails.
  void ddmin(Numbers Kept::*list) {
    if (!(kept_.*list).empty() && fails_with(list, {})) return;  // none of them matters
    std::size_t parts = 2;
    while ((kept_.*list).size() >= 2 && !exhausted_) {
      const Numbers now = kept_.*list;
      if (reduce_to_part(list, now, parts)) {
        parts = 2;
      } else if (const std::size_t gone = leave_parts_out(list, now, parts); gone > 0) {
        parts = std::max<std::size_t>(parts - gone, 2);
      } else if (parts < now.size()) {
        parts = std::min(parts * 2, now.size());
      } else {
        return;
      }
    }
  }

  static Numbers part_of(const Numbers& numbers, std::size_t part, std::size_t parts) {
    return {numbers.begin() + static_cast<std::ptrdiff_t>(numbers.size() * part / parts),
            numbers.begin() + static_cast<std::ptrdiff_t>(numbers.size() * (part + 1) / parts)};
  }

  bool reduce_to_part(Numbers Kept::*list, const Numbers& now, std::size_t parts) {
    for (std::size_t part = 0; part < parts && !exhausted_; ++part)
      if (fails_with(list, part_of(now, part, parts))) return true;
    return false;
  }

  // How many of the parts could be left out, one after the other.
  std::size_t leave_parts_out(Numbers Kept::*list, const Numbers& now, std::size_t parts) {
    if (parts == 2) return 0;  // all but one of two parts is the other one
    std::size_t gone = 0;
    for (std::size_t part = 0; part < parts && !exhausted_; ++part)
      if (fails_with(list, without(kept_.*list, part_of(now, part, parts)))) ++gone;
    return gone;
  }

  void bisect_end() {
    std::int64_t passes = 0;  // as far as is known
    while (kept_.end_ms - passes > 1 && !exhausted_) {
      const std::int64_t middle = passes + (kept_.end_ms - passes) / 2;
      if (!fails_with_end(middle)) passes = middle;
    }
  }

  const std::string& invariant_;
  const ShrinkTrial& trial_;
  const ShrinkLimits& limits_;
  Numbers all_faults_, all_operations_;
  Kept kept_;
  std::set<Kept> passed_;  // or failed in another way; at most one a trial
  bool end_moved_ = false;
  std::uint32_t trials_ = 0;
  bool exhausted_ = false;
};

}  // namespace

Shrunk shrink(const PlanSize& size, const std::string& invariant, std::int64_t at_ms,
              const ShrinkTrial& trial, const ShrinkLimits& limits) {
  return Shrinking(size, invariant, trial, limits).run(at_ms);
}

}  // namespace holdfast::sim
