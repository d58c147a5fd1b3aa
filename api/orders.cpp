#include "api/orders.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <optional>
#include <unordered_map>

#include "absl/status/status.h"
#include "api/csv.h"

namespace holdfast::api {
namespace {

constexpr std::array<std::string_view, 10> kFees = {"POST",         "DOT",       "D", "M",    "C2",
                                                    "BANK CHARGES", "AMAZONFEE", "S", "CRUK", "B"};
constexpr std::array<std::string_view, 7> kColumns = {
    "InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "CustomerID", "Country"};
enum Column { kInvoice, kCode, kDescription, kQuantity, kDate, kCustomer, kCountry };

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

std::string upper(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return upper(c); });
  return out;
}

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size()) return std::nullopt;
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

std::optional<std::int64_t> parse_date(std::string_view text) {
  const auto y = digits(text, 0, 4), m = digits(text, 5, 2), d = digits(text, 8, 2);
  if (!y || !m || !d || text[4] != '-' || text[7] != '-') return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{*y}, std::chrono::month(*m),
                                         std::chrono::day(*d)};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days{date}.time_since_epoch().count() * std::int64_t{86'400};
}

std::optional<std::int64_t> parse_time(std::string_view text) {
  const auto date = parse_date(text.substr(0, 10));
  const auto h = digits(text, 11, 2), m = digits(text, 14, 2);
  if (!date || !h || !m || (text[10] != ' ' && text[10] != 'T') || text[13] != ':')
    return std::nullopt;
  std::optional<int> s = 0;
  if (text.size() != 16)
    s = text.size() == 19 && text[16] == ':' ? digits(text, 17, 2) : std::nullopt;
  if (!s || *h > 23 || *m > 59 || *s > 59) return std::nullopt;
  return *date + *h * 3600 + *m * 60 + *s;
}

std::optional<std::int64_t> parse_quantity(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (value > crdt::kLineUnitsMax || value < -crdt::kLineUnitsMax) return std::nullopt;
  return value;
}

class OrdersReader {
 public:
  explicit OrdersReader(std::string_view day) : day_(day) {}

  absl::Status read_header(const CsvRecord& record) {
    if (!record.broken.empty()) {
      return absl::InvalidArgumentError("line 1 (the header): " + record.broken);
    }
    for (std::size_t i = 0; i < kColumns.size(); ++i) {
      const auto found = std::find(record.fields.begin(), record.fields.end(), kColumns[i]);
      if (found == record.fields.end()) {
        return absl::InvalidArgumentError(
            "line 1 (the header) has no column " + std::string(kColumns[i]) +
            "; needed are InvoiceNo, StockCode, Description, Quantity, "
            "InvoiceDate, CustomerID, Country");
      }
      column_[i] = static_cast<std::size_t>(found - record.fields.begin());
    }
    fields_ = record.fields.size();
    return absl::OkStatus();
  }

  void read_line(const CsvRecord& record) {
    if (!record.broken.empty()) return broken(record.line, record.broken);
    if (record.fields.size() != fields_) {
      return broken(record.line, std::to_string(record.fields.size()) +
                                     " fields where the header has " + std::to_string(fields_));
    }
    const auto field = [&](Column c) { return trimmed(record.fields[column_[c]]); };
    const std::string_view date = field(kDate);
    if (!day_.empty() && date.substr(0, 10) != day_) return;
    ++orders_.lines;
    const auto time = parse_time(date);
    if (!time) {
      return broken(record.line, "InvoiceDate '" + std::string(date.substr(0, 40)) +
                                     "' is not YYYY-MM-DD HH:MM:SS");
    }
    const auto quantity = parse_quantity(field(kQuantity));
    if (!quantity) {
      return broken(record.line, "Quantity '" + std::string(field(kQuantity).substr(0, 40)) +
                                     "' is not a whole number within ±1,000,000,000");
    }
    if (!crdt::valid_name(field(kInvoice))) {
      return broken(record.line, "InvoiceNo '" + std::string(field(kInvoice).substr(0, 40)) +
                                     "' is not 1–128 of A–Z a–z 0–9 . _ : -");
    }
    if (field(kCode).empty()) return broken(record.line, "StockCode is empty");
    if (is_fee(field(kCode))) {
      ++orders_.fee_lines;
      return;
    }
    add(record.line, invoice(field(kInvoice), *time, field(kCustomer), field(kCountry)),
        sku_of_stock_code(field(kCode)), *quantity, field(kDescription));
  }

  Orders finish() {
    std::erase_if(orders_.invoices,
                  [](const Invoice& i) { return i.sold.empty() && i.gone.empty(); });
    std::stable_sort(orders_.invoices.begin(), orders_.invoices.end(),
                     [](const Invoice& a, const Invoice& b) { return a.time_s < b.time_s; });
    return std::move(orders_);
  }

 private:
  void broken(std::size_t line, std::string reason) {
    ++orders_.broken_count;
    if (orders_.broken.size() < kBrokenLinesKept)
      orders_.broken.push_back({line, std::move(reason)});
  }

  Invoice& invoice(std::string_view number, std::int64_t time, std::string_view customer,
                   std::string_view country) {
    const auto [entry, added] =
        by_number_.try_emplace(std::string(number), orders_.invoices.size());
    if (added) {
      orders_.invoices.push_back({.number = std::string(number),
                                  .cancellation = upper(number.front()) == 'C',
                                  .time_s = time,
                                  .customer = std::string(customer),
                                  .country = std::string(country)});
    }
    return orders_.invoices[entry->second];
  }

  void add(std::size_t line, Invoice& invoice, const std::string& sku, std::int64_t quantity,
           std::string_view description) {
    if (quantity == 0 || (invoice.cancellation && quantity > 0)) {
      ++orders_.zero_lines;
      return;
    }
    if (quantity < 0) {
      invoice.gone.push_back({sku, -quantity});
    } else {
      const auto at =
          std::lower_bound(invoice.sold.begin(), invoice.sold.end(), sku,
                           [](const OrderLine& l, const std::string& s) { return l.sku < s; });
      if (at == invoice.sold.end() || at->sku != sku) {
        invoice.sold.insert(at, {sku, quantity});
      } else if (at->quantity + quantity > crdt::kLineUnitsMax) {
        return broken(line, "more than 1,000,000,000 units of one SKU in one invoice");
      } else {
        at->quantity += quantity;
      }
    }
    std::string& name = orders_.names[sku];
    if (name.empty()) name = description;
  }

  std::string day_;
  std::array<std::size_t, kColumns.size()> column_{};
  std::size_t fields_ = 0;
  std::unordered_map<std::string, std::size_t> by_number_;
  Orders orders_;
};

}  // namespace

std::string sku_of_stock_code(std::string_view stock_code) {
  std::string sku(stock_code.substr(0, 128));
  for (char& c : sku) {
    c = upper(c);
    const bool kept = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
                      c == ':' || c == '-';
    if (!kept) c = '-';
  }
  return sku;
}

bool is_fee(std::string_view stock_code) {
  return std::find(kFees.begin(), kFees.end(), upper(stock_code)) != kFees.end();
}

absl::StatusOr<Orders> parse_orders(std::string_view csv, std::string_view day) {
  if (!day.empty() && (day.size() != 10 || !parse_date(day))) {
    return absl::InvalidArgumentError("'" + std::string(day) + "' is not a date YYYY-MM-DD");
  }
  CsvReader reader(csv);
  CsvRecord record;
  OrdersReader orders(day);
  if (!reader.next(record))
    return absl::InvalidArgumentError("the file is empty: it has no header line");
  if (auto status = orders.read_header(record); !status.ok()) return status;
  while (reader.next(record)) orders.read_line(record);
  return orders.finish();
}

std::map<std::string, crdt::Units> demand_of(const Orders& orders) {
  std::map<std::string, crdt::Units> demand;
  for (const auto& invoice : orders.invoices) {
    for (const auto& line : invoice.sold) demand[line.sku] += line.quantity;
    for (const auto& line : invoice.gone)
      demand[line.sku] += invoice.cancellation ? 0 : line.quantity;
  }
  return demand;
}

}  // namespace holdfast::api
