// verify --url: the figures of a running node against its own lists.
//
// `held` is what all copies of reservations say, those included that another stands for: a home
// that is away goes on to hold what others have adopted. What was sold and returned is checked from
// below: finished reservations are purged, and copies that gave way are not counted.

#include <map>

#include "api/cli_calls.h"
#include "api/cli_store.h"

namespace holdfast::api {
namespace {

using node::StoreReport;
using node::Units;

constexpr int kAttempts = 5;  // while rows change between the first page and the last

struct Listed {
  Units held = 0, sold = 0, returned = 0;
};
struct Figures {
  std::map<std::string, boost::json::object> stock;  // by SKU
  std::map<std::string, Listed> listed;
  SeenCluster before, after;
  std::int64_t reservations = 0, other_copies = 0;
  bool retirements = false;
};

absl::StatusOr<boost::json::object> get(HttpClient& client, const std::string& target) {
  const auto answer = client.send({.target = target});
  if (!answer.ok()) return answer.status();
  if (!answer->ok()) return absl::InternalError(problem_text(*answer));
  return object_of(*answer, client.url());
}

// Each item of a list, page after page.
template <typename Take>
absl::Status walk(HttpClient& client, const std::string& list, Take&& take) {
  const std::string first = list + (list.find('?') == list.npos ? "?" : "&") + "limit=500";
  std::string cursor;
  do {
    const auto page =
        get(client, first + (cursor.empty() ? "" : "&cursor=" + percent_encoded(cursor)));
    if (!page.ok()) return page.status();
    for (const auto& item : array_at(*page, "items"))
      if (item.is_object())
        if (absl::Status status = take(item.get_object()); !status.ok()) return status;
    cursor = text_at(*page, "next");
  } while (!cursor.empty());
  return absl::OkStatus();
}

void add(Figures& figures, const boost::json::object& reservation) {
  const bool stands = flag_at(reservation, "stands");
  ++(stands ? figures.reservations : figures.other_copies);
  const bool sold = stands && text_at(reservation, "state") == "committed";
  for (const auto& value : array_at(reservation, "lines")) {
    if (!value.is_object()) continue;
    const auto& line = value.get_object();
    Listed& sums = figures.listed[text_at(line, "sku")];
    sums.held += number_at(line, "in_held");
    if (!sold) continue;
    sums.sold += number_at(line, "committed");
    sums.returned += number_at(line, "returned");
  }
}

absl::StatusOr<Figures> read(HttpClient& client, const CliProgress& show) {
  Figures figures;
  auto cluster = get_cluster(client);
  if (!cluster.ok()) return cluster.status();
  figures.before = *std::move(cluster);
  const auto decrees = get(client, "/v1/failovers");
  if (!decrees.ok()) return decrees.status();
  for (const auto& decree : array_at(*decrees, "failovers"))
    figures.retirements =
        figures.retirements ||
        (decree.is_object() && text_at(decree.get_object(), "kind") == "retirement");
  absl::Status status = walk(client, "/v1/skus", [&](const boost::json::object& sku) {
    const std::string name = text_at(sku, "sku");
    auto stock = get(client, "/v1/skus/" + percent_encoded(name) + "/stock");
    if (!stock.ok()) return stock.status();
    figures.stock[name] = *std::move(stock);
    if (figures.stock.size() % 500 == 0) show(std::to_string(figures.stock.size()) + " SKUs");
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  status = walk(client, "/v1/reservations?copies=all", [&](const boost::json::object& reservation) {
    add(figures, reservation);
    if (figures.reservations % 5'000 == 0)
      show(std::to_string(figures.reservations) + " reservations");
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  cluster = get_cluster(client);
  if (!cluster.ok()) return cluster.status();
  figures.after = *std::move(cluster);
  return figures;
}

void compare(const Figures& figures, StoreReport& report) {
  const auto check = [&](const char* what, const std::string& sku, Units is, Units should,
                         bool least) {
    if (least ? is < should : is != should)
      report.differences.push_back(
          {.what = what, .sku = sku, .is = is, .should = should, .at_least = least});
  };
  for (const auto& [sku, stock] : figures.stock) {
    const auto at = figures.listed.find(sku);
    const Listed listed = at == figures.listed.end() ? Listed{} : at->second;
    const Units held = number_at(stock, "held");
    if (figures.retirements) {  // an heir's copies, which end another's, may be purged before those
      check("in open holds", sku, listed.held, held, true);
    } else {
      check("held", sku, held, listed.held, false);
    }
    check("sold", sku, number_at(stock, "sold"), listed.sold, true);
    check("returned", sku, number_at(stock, "returned"), listed.returned, true);
    Units rights = 0;
    for (const auto& region : array_at(stock, "by_region"))
      if (region.is_object()) rights += number_at(region.get_object(), "rights");
    const Units available = number_at(stock, "available");
    check("rights of all regions", sku, rights, available + number_at(stock, "allowance"), false);
    check("oversold", sku, number_at(stock, "oversold"), std::max<Units>(0, -available), false);
    // It is larger where a grant is here and what paid for it is not yet.
    check("available", sku, available, number_at(stock, "on_hand") - number_at(stock, "held"),
          true);
  }
  for (const auto& [sku, listed] : figures.listed)
    if (!figures.stock.contains(sku) && (listed.held != 0 || listed.sold > 0))
      check("held and sold of a SKU that is not listed", sku, 0, listed.held + listed.sold, false);
}

}  // namespace

StoreReport verify_node(const std::string& url, const CliProgress& show) {
  StoreReport report;
  const auto parsed = parse_http_url(url);
  if (!parsed.ok()) {
    report.problem = std::string(parsed.status().message());
    return report;
  }
  HttpClient client(*parsed);
  for (int attempt = 1;; ++attempt) {
    const auto figures = read(client, show);
    if (!figures.ok()) {
      report.problem = std::string(figures.status().message());
      return report;
    }
    const bool still = figures->before.digest == figures->after.digest;
    StoreReport found;
    found.verified = true;
    found.texts = {{"url", client.url()}, {"digest", figures->after.digest}};
    found.numbers = {{"skus", static_cast<std::int64_t>(figures->stock.size())},
                     {"reservations", figures->reservations},
                     {"other_copies", figures->other_copies}};
    compare(*figures, found);
    if (still || found.differences.empty()) return found;
    if (attempt < kAttempts) continue;
    report.problem =
        "the figures moved while they were read, " + std::to_string(kAttempts) +
        " times: stop what writes to the node, or verify its data directory (--data-dir), which is "
        "read at one moment";
    return report;
  }
}

}  // namespace holdfast::api
