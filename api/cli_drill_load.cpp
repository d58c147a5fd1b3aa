#include "api/cli_drill_load.h"

#include <thread>

#include <boost/json/serialize.hpp>

#include "api/cli_calls.h"
#include "api/cli_region_seller.h"

namespace holdfast::api {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint32_t kWaitMs = 50, kTtlSeconds = 3'600;
constexpr std::size_t kProblemsShown = 3;

// SplitMix64: which SKU a cart is of does not follow its number.
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

std::string target_of(const std::string& id, const char* verb = "") {
  return "/v1/reservations/" + percent_encoded(id) + verb;
}

HttpCall verb_call(const std::string& id, const char* verb) {
  return {.method = "POST", .target = target_of(id, verb), .body = "{}", .repeatable = true};
}

bool open_outcome(const absl::StatusOr<HttpAnswer>& answer) {
  if (answer.ok()) return answer->status == 504;
  return !absl::IsUnavailable(answer.status());
}

class Seller {
 public:
  Seller(const DrillSeller& seller, const DrillCatalogue& catalogue, SellerAccount& account)
      : seller_(seller),
        catalogue_(catalogue),
        account_(account),
        client_(seller.url, {.connect = milliseconds(1'000), .answer = milliseconds(5'000)}) {}

  void sell(std::uint64_t number, PhaseSales& sales) {
    const DrillCart cart = drill_cart(catalogue_, seller_.region, number);
    const bool plenty = !catalogue_.scarce(cart.sku);
    ++sales.carts;
    sales.plenty_carts += plenty;
    const json::object body{{"lines", json::array{json::object{{"sku", catalogue_.skus[cart.sku]},
                                                               {"quantity", cart.units}}}},
                            {"wait_ms", kWaitMs},
                            {"ttl_seconds", kTtlSeconds}};
    const auto begin = steady_clock::now();
    const auto held = client_.send(
        {.method = "PUT", .target = target_of(cart.id), .body = json::serialize(body)});
    const std::chrono::duration<double, std::milli> took = steady_clock::now() - begin;
    if (!held.ok() || !held->ok()) return not_sold(cart, held, sales);
    if (plenty) sales.reserve_ms.push_back(took.count());
    const auto committed = client_.send(verb_call(cart.id, "/commit"));
    if (!committed.ok() || !committed->ok()) {
      // It is held, whatever became of the commit.
      account_.unsettled.push_back({cart.id, seller_.url});
      ++(committed.ok() && committed->status != 504 ? sales.failed : sales.unanswered);
      return note(cart, committed);
    }
    const auto reservation = object_of(*committed, client_.url());
    if (!reservation.ok()) return;
    ++sales.sold;
    sales.plenty_sold += plenty;
    for (const auto& [sku, units] : committed_lines(*reservation)) {
      sales.units += units;
      account_.sold[cart.sku] += units;
    }
  }

 private:
  void not_sold(const DrillCart& cart, const absl::StatusOr<HttpAnswer>& answer,
                PhaseSales& sales) {
    if (open_outcome(answer)) {
      account_.unsettled.push_back({cart.id, seller_.url});
      ++sales.unanswered;
      return note(cart, answer);
    }
    if (!answer.ok()) {
      ++sales.unreached;
      return;
    }
    const auto problem = object_of(*answer, client_.url());
    if (problem.ok() && text_at(*problem, "code") == "insufficient_stock") {
      ++sales.refused;
      return;
    }
    ++sales.failed;
    note(cart, answer);
  }

  void note(const DrillCart& cart, const absl::StatusOr<HttpAnswer>& answer) {
    if (account_.problems.size() == kProblemsShown) return;
    account_.problems.push_back(
        cart.id + ": " +
        (answer.ok() ? problem_text(*answer) : std::string(answer.status().message())));
  }

  const DrillSeller& seller_;
  const DrillCatalogue& catalogue_;
  SellerAccount& account_;
  HttpClient client_;
};

}  // namespace

PhaseSales& PhaseSales::operator+=(const PhaseSales& other) {
  carts += other.carts;
  sold += other.sold;
  refused += other.refused;
  unreached += other.unreached;
  unanswered += other.unanswered;
  failed += other.failed;
  units += other.units;
  plenty_carts += other.plenty_carts;
  plenty_sold += other.plenty_sold;
  reserve_ms.insert(reserve_ms.end(), other.reserve_ms.begin(), other.reserve_ms.end());
  return *this;
}

SellerAccount& SellerAccount::operator+=(const SellerAccount& other) {
  for (std::size_t i = 0; i < kDrillPhases; ++i) phases[i] += other.phases[i];
  if (sold.size() < other.sold.size()) sold.resize(other.sold.size());
  for (std::size_t i = 0; i < other.sold.size(); ++i) sold[i] += other.sold[i];
  unsettled.insert(unsettled.end(), other.unsettled.begin(), other.unsettled.end());
  for (const auto& problem : other.problems) {
    if (problems.size() < kProblemsShown) problems.push_back(problem);
  }
  return *this;
}

DrillCart drill_cart(const DrillCatalogue& catalogue, const std::string& region, std::uint64_t n) {
  std::uint64_t seed = n;
  for (const char c : region) seed = mixed(seed + static_cast<unsigned char>(c));
  const std::uint64_t random = mixed(seed);
  return {.id = catalogue.prefix + region + "-" + std::to_string(n),
          .sku = static_cast<std::size_t>(random % catalogue.skus.size()),
          .units = static_cast<crdt::Units>(1 + (random >> 40) % 3)};
}

void sell_drill_carts(const DrillSeller& seller, const DrillCatalogue& catalogue, DrillState& state,
                      SellerAccount& account) {
  Seller sells(seller, catalogue, account);
  for (std::uint64_t n = seller.first;; n += seller.step) {
    const std::chrono::duration<double> offset(static_cast<double>(n) / seller.rate);
    sleep_until(seller.begin + std::chrono::duration_cast<steady_clock::duration>(offset),
                state.stop);
    if (state.stop) return;
    sells.sell(n, account.phases[static_cast<std::size_t>(state.phase.load())]);
    ++state.done;
  }
}

absl::StatusOr<std::vector<std::pair<std::string, crdt::Units>>> settle(const Unsettled& cart) {
  HttpClient client(cart.url);
  const auto deadline = steady_clock::now() + std::chrono::seconds(15);
  for (;;) {
    const auto answer = client.send({.target = target_of(cart.id)});
    absl::Status status = answer.status();
    if (answer.ok() && answer->status == 404)
      return std::vector<std::pair<std::string, crdt::Units>>{};
    if (answer.ok() && answer->ok()) {
      const auto reservation = object_of(*answer, client.url());
      if (!reservation.ok()) return reservation.status();
      if (text_at(*reservation, "state") != "held") return committed_lines(*reservation);
      const auto released = client.send(verb_call(cart.id, "/release"));
      status = released.status();
      if (released.ok() && !released->ok()) status = absl::InternalError(problem_text(*released));
    } else if (answer.ok()) {
      status = absl::InternalError(problem_text(*answer));
    }
    if (steady_clock::now() > deadline) {
      return absl::DeadlineExceededError("what became of cart " + cart.id +
                                         " cannot be found out: " + std::string(status.message()));
    }
    std::this_thread::sleep_for(milliseconds(100));
  }
}

std::vector<std::pair<std::string, crdt::Units>> committed_lines(const json::object& reservation) {
  std::vector<std::pair<std::string, crdt::Units>> lines;
  for (const auto& line : array_at(reservation, "lines")) {
    if (!line.is_object()) continue;
    lines.emplace_back(text_at(line.get_object(), "sku"),
                       number_at(line.get_object(), "committed"));
  }
  return lines;
}

}  // namespace holdfast::api
