#include "api/cli_region_seller.h"

#include <algorithm>
#include <thread>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "api/cli_calls.h"

namespace holdfast::api {
namespace {

namespace json = boost::json;
using std::chrono::steady_clock;

bool mendable(const absl::StatusOr<HttpAnswer>& answer) {
  if (answer.ok()) return answer->status == 429 || answer->status == 503 || answer->status == 504;
  return absl::IsUnavailable(answer.status()) || absl::IsDeadlineExceeded(answer.status()) ||
         absl::IsUnknown(answer.status());
}

std::string reason_of(const absl::StatusOr<HttpAnswer>& answer) {
  return answer.ok() ? problem_text(*answer) : std::string(answer.status().message());
}

bool has_code(const HttpAnswer& answer, const std::string& code) {
  const auto object = object_of(answer, "");
  return object.ok() && text_at(*object, "code") == code;
}

HttpCall post(std::string target, const json::object& body, const std::string& key) {
  HttpCall call{.method = "POST",
                .target = std::move(target),
                .body = json::serialize(body),
                .repeatable = true};
  if (!key.empty()) call.headers.emplace_back("Idempotency-Key", key);
  return call;
}

json::array lines_of(const std::vector<OrderLine>& lines) {
  json::array array;
  for (const auto& line : lines) {
    array.push_back(json::object{{"sku", line.sku}, {"quantity", line.quantity}});
  }
  return array;
}

}  // namespace

void sleep_until(steady_clock::time_point then, const std::atomic<bool>& stop) {
  for (auto now = steady_clock::now(); now < then && !stop; now = steady_clock::now()) {
    std::this_thread::sleep_for(
        std::min<steady_clock::duration>(then - now, std::chrono::milliseconds(50)));
  }
}

RegionSeller::RegionSeller(HttpUrl url, SellerOptions options, RegionAccount& account,
                           SellingProgress& progress)
    : client_(std::move(url), {.answer = std::chrono::milliseconds(10'000 + options.wait_ms)}),
      options_(std::move(options)),
      account_(account),
      progress_(progress) {}

void RegionSeller::sell(const Invoice& invoice) {
  if (!invoice.sold.empty()) sell_cart(invoice);
  std::size_t number = 0;
  for (const auto& line : invoice.gone) {
    if (progress_.stop) break;
    const std::string key = options_.prefix + invoice.number + "-" + std::to_string(++number);
    invoice.cancellation ? take_back(invoice, line, key) : write_off(invoice, line, key);
  }
  ++progress_.done;
}

absl::StatusOr<HttpAnswer> RegionSeller::call(const HttpCall& call) {
  auto pause = std::chrono::milliseconds(50);
  for (unsigned attempt = 0;; ++attempt) {
    auto answer = client_.send(call);
    if (!mendable(answer) || attempt == options_.retries_max || progress_.stop) return answer;
    ++account_.retries;
    sleep_until(steady_clock::now() + pause, progress_.stop);
    pause = std::min(pause * 2, std::chrono::milliseconds(1'000));
  }
}

void RegionSeller::sell_cart(const Invoice& invoice) {
  const std::string target =
      "/v1/reservations/" + percent_encoded(options_.prefix + invoice.number);
  const json::object body{{"lines", lines_of(invoice.sold)},
                          {"ttl_seconds", options_.ttl_seconds},
                          {"wait_ms", options_.wait_ms}};
  const auto begin = steady_clock::now();
  const auto held = call({.method = "PUT", .target = target, .body = json::serialize(body)});
  if (held.ok() && held->status == 409 && has_code(*held, "insufficient_stock")) {
    return refuse_cart(invoice);
  }
  if (!held.ok() || !held->ok()) return fail_cart(invoice, reason_of(held));
  auto reservation = object_of(*held, client_.url());
  if (reservation.ok() && text_at(*reservation, "state") == "held") {
    const auto committed = call(post(target + "/commit", {}, {}));
    if (!committed.ok() || !committed->ok()) {
      for (const auto& line : invoice.sold) account_.skus[line.sku].held += line.quantity;
      return fail_cart(invoice, reason_of(committed));
    }
    reservation = object_of(*committed, client_.url());
  }
  if (!reservation.ok()) return fail_cart(invoice, std::string(reservation.status().message()));
  if (text_at(*reservation, "state") != "committed") {
    return fail_cart(invoice, "the reservation is " + text_at(*reservation, "state") +
                                  ", not committed (an earlier replay? choose another --prefix)");
  }
  const std::chrono::duration<double, std::milli> took = steady_clock::now() - begin;
  account_.cart_ms.push_back(took.count());
  record_cart(invoice, *reservation);
}

void RegionSeller::record_cart(const Invoice& invoice, const json::object& reservation) {
  ++account_.carts_accepted;
  ++progress_.accepted;
  for (const auto& value : array_at(reservation, "lines")) {
    if (!value.is_object()) continue;
    const std::string sku = text_at(value.get_object(), "sku");
    const auto committed = number_at(value.get_object(), "committed");
    ++account_.lines_accepted;
    account_.units_accepted += committed;
    account_.skus[sku].sold += committed;
    if (invoice.customer.empty()) continue;
    sold_[{invoice.customer, sku}].push_back({options_.prefix + invoice.number, committed});
  }
}

void RegionSeller::refuse_cart(const Invoice& invoice) {
  ++account_.carts_refused;
  ++progress_.refused;
  account_.lines_refused += invoice.sold.size();
  for (const auto& line : invoice.sold) account_.units_refused += line.quantity;
}

void RegionSeller::fail_cart(const Invoice& invoice, const std::string& why) {
  ++account_.carts_failed;
  account_.note_problem("cart " + invoice.number + ": " + why);
}

void RegionSeller::fail_call(const Invoice& invoice, const absl::StatusOr<HttpAnswer>& answer) {
  ++account_.failed_calls;
  account_.note_problem(invoice.number + ": " + reason_of(answer));
}

// What this replay sold to the customer comes back to that reservation; what they bought before it
// began comes back as units that arrive.
void RegionSeller::take_back(const Invoice& invoice, const OrderLine& line,
                             const std::string& key) {
  const auto purchases = sold_.find({invoice.customer, line.sku});
  if (!invoice.customer.empty() && purchases != sold_.end()) {
    auto& list = purchases->second;
    const auto purchase = std::find_if(list.rbegin(), list.rend(), [&](const SoldLine& sold) {
      return sold.left >= line.quantity;
    });
    if (purchase != list.rend()) {
      const auto answer =
          call(post("/v1/reservations/" + percent_encoded(purchase->reservation) + "/return",
                    {{"lines", lines_of({line})}}, key));
      if (!answer.ok() || !answer->ok()) return fail_call(invoice, answer);
      purchase->left -= line.quantity;
      ++account_.returns_to_sales;
      account_.units_returned += line.quantity;
      account_.skus[line.sku].returned += line.quantity;
      return;
    }
  }
  const auto answer = call(post("/v1/skus/" + percent_encoded(line.sku) + "/receipts",
                                {{"quantity", line.quantity}}, key));
  if (!answer.ok() || !answer->ok()) return fail_call(invoice, answer);
  ++account_.returns_as_stock;
  account_.units_returned_as_stock += line.quantity;
  account_.skus[line.sku].received += line.quantity;
}

void RegionSeller::write_off(const Invoice& invoice, const OrderLine& line,
                             const std::string& key) {
  const auto answer =
      call(post("/v1/skus/" + percent_encoded(line.sku) + "/adjustments",
                {{"delta", -line.quantity}, {"reason", "invoice " + invoice.number}}, key));
  if (answer.ok() && answer->status == 409 && has_code(*answer, "insufficient_rights")) {
    ++account_.losses_refused;
    return;
  }
  if (!answer.ok() || !answer->ok()) return fail_call(invoice, answer);
  ++account_.losses;
  account_.skus[line.sku].withdrawn += line.quantity;
}

}  // namespace holdfast::api
