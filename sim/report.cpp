#include "sim/report.h"

#include <algorithm>
#include <string_view>

#include "crdt/check.h"
#include "sim/page.h"

namespace holdfast::sim {
namespace {

// JSON within a <script> element of HTML. The characters below occur in strings only, where an
// escape stands for the same: so no text in the data can end the element or begin a comment, and
// no line separator splits it.
std::string safe_in_script(std::string_view json) {
  std::string out;
  out.reserve(json.size() + json.size() / 16);
  for (std::size_t i = 0; i < json.size(); ++i) {
    switch (json[i]) {
      case '<':
        out += "\\u003c";
        break;
      case '>':
        out += "\\u003e";
        break;
      case '&':
        out += "\\u0026";
        break;
      default:
        if (json.substr(i, 3) == "\xE2\x80\xA8" || json.substr(i, 3) == "\xE2\x80\xA9") {
          out += json[i + 2] == '\xA8' ? "\\u2028" : "\\u2029";
          i += 2;
        } else {
          out += json[i];
        }
    }
  }
  return out;
}

}  // namespace

bool Heading::passed() const {
  return std::all_of(checks.begin(), checks.end(),
                     [](const CheckResult& check) { return check.passed; });
}

std::uint64_t Totals::carts_refused() const {
  std::uint64_t sum = 0;
  for (const auto& [reason, count] : refused) sum += count;
  return sum;
}

std::optional<double> Totals::availability() const {
  if (carts == 0) return std::nullopt;
  return static_cast<double>(carts - carts_failed) / static_cast<double>(carts);
}

std::optional<double> Totals::wan_bytes_per_reservation() const {
  if (carts_accepted == 0) return std::nullopt;
  return static_cast<double>(wan_bytes) / static_cast<double>(carts_accepted);
}

std::string html_of(const std::string& json) {
  const auto page = report_page();
  const auto at = page.find(kPagePlaceholder);
  HOLDFAST_CHECK(at != page.npos);
  std::string out(page.substr(0, at));
  out += safe_in_script(json);
  out += page.substr(at + kPagePlaceholder.size());
  return out;
}

}  // namespace holdfast::sim
