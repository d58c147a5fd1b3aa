#include "sim/table_reader.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/time_span.h"

namespace holdfast::sim {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

std::string number_text(double number) { return to_string(TomlValue{.data = number}); }

constexpr double kNoLimit = 1e15;

// "must be an integer from 1 to 50" and the like.
std::string wanted(const std::string& kind, const std::string& low, const std::string& high,
                   bool limited) {
  return "must be " + kind + (limited ? " from " + low + " to " + high : " of at least " + low);
}

}  // namespace

// ── problems ────────────────────────────────────────────────────────────────────────────────────

void Problems::add(std::uint32_t line, const std::string& key, const std::string& problem) {
  const std::string place = line == 0 ? file_ : file_ + ":" + std::to_string(line);
  items_.push_back(
      {line == 0 ? ~0u : line, place + ": " + (key.empty() ? "" : key + ": ") + problem});
}

absl::Status Problems::status() const {
  if (items_.empty()) return absl::OkStatus();
  std::vector<Item> sorted = items_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Item& a, const Item& b) { return a.line < b.line; });
  std::string text;
  for (std::size_t i = 0; i < std::min(sorted.size(), kShown); ++i) {
    text += (i == 0 ? "" : "\n") + sorted[i].text;
  }
  if (sorted.size() > kShown) {
    text += "\nand " + std::to_string(sorted.size() - kShown) + " more";
  }
  return absl::InvalidArgumentError(text);
}

// ── keys ────────────────────────────────────────────────────────────────────────────────────────

std::string TableReader::full(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

const TomlMember* TableReader::find(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.emplace_back(key);
  for (const TomlMember& member : *table_) {
    if (member.key == key) return &member;
  }
  return nullptr;
}

void TableReader::require(std::string_view key) {
  if (!has(key)) problems_->add(line_, full(key), "is missing: set it");
}

void TableReader::note(const TomlMember& member, const std::string& problem) {
  problems_->add(member.line, full(member.key), problem);
}

void TableReader::note(std::string_view key, const std::string& problem) {
  const TomlMember* member = find(key);
  problems_->add(member ? member->line : line_, full(key), problem);
}

void TableReader::note(const std::string& problem) { problems_->add(line_, path_, problem); }

void TableReader::finish() {
  for (const TomlMember& member : *table_) {
    if (std::find(known_.begin(), known_.end(), member.key) != known_.end()) continue;
    const auto near = nearest(member.key, known_);
    std::vector<std::string> sorted = known_;
    std::sort(sorted.begin(), sorted.end());
    note(member, near ? "is not a known key; did you mean " + full(*near) + "?"
                      : "is not a known key; known here: " + joined(sorted));
  }
}

std::vector<const TomlMember*> TableReader::members() const {
  std::vector<const TomlMember*> all;
  for (const TomlMember& member : *table_) all.push_back(&member);
  return all;
}

// ── values ──────────────────────────────────────────────────────────────────────────────────────

std::optional<std::int64_t> TableReader::integer_of(const TomlMember& member,
                                                    const TomlValue& value,
                                                    Range<std::int64_t> allowed) {
  const auto* integer = value.as<std::int64_t>();
  if (integer && *integer >= allowed.low && *integer <= allowed.high) return *integer;
  note(member, wanted("an integer", std::to_string(allowed.low), std::to_string(allowed.high),
                      static_cast<double>(allowed.high) < kNoLimit) +
                   ", is " + to_string(value));
  return std::nullopt;
}

std::optional<double> TableReader::number_of(const TomlMember& member, const TomlValue& value,
                                             Range<double> allowed) {
  std::optional<double> number;
  if (const auto* integer = value.as<std::int64_t>()) number = static_cast<double>(*integer);
  if (const auto* real = value.as<double>()) number = *real;
  if (number && std::isfinite(*number) && *number >= allowed.low && *number <= allowed.high) {
    return number;
  }
  note(member, wanted("a number", number_text(allowed.low), number_text(allowed.high),
                      allowed.high < kNoLimit) +
                   ", is " + to_string(value));
  return std::nullopt;
}

std::optional<Time> TableReader::span_of(const TomlMember& member, const TomlValue& value,
                                         Range<Time> allowed) {
  const auto* text = value.as<std::string>();
  const auto us = text ? parse_span(*text) : std::nullopt;
  if (!us) {
    note(member, "must be a span of time in quotes, such as \"90s\", \"1h30m\" or \"250ms\", is " +
                     to_string(value));
    return std::nullopt;
  }
  if (*us >= allowed.low && *us <= allowed.high) return us;
  note(member, "must be from " + span_text(allowed.low) + " to " + span_text(allowed.high) +
                   ", is " + to_string(value));
  return std::nullopt;
}

void TableReader::flag(std::string_view key, bool& out) {
  const TomlMember* member = find(key);
  if (!member) return;
  const bool* value = member->value.as<bool>();
  if (value) {
    out = *value;
  } else {
    note(*member, "must be true or false, is " + to_string(member->value));
  }
}

void TableReader::text(std::string_view key, std::string& out) {
  const TomlMember* member = find(key);
  if (!member) return;
  const auto* value = member->value.as<std::string>();
  if (value && !value->empty() && value->size() <= 1'000) {
    out = *value;
  } else {
    note(*member, "must be text in quotes of 1 to 1000 bytes, is " + to_string(member->value));
  }
}

void TableReader::one_of(std::string_view key, std::string& out,
                         const std::vector<std::string>& choices) {
  const TomlMember* member = find(key);
  if (!member) return;
  const auto* value = member->value.as<std::string>();
  if (value && std::find(choices.begin(), choices.end(), *value) != choices.end()) {
    out = *value;
  } else {
    note(*member, "must be one of " + joined(choices) + ", is " + to_string(member->value));
  }
}

void TableReader::integer(std::string_view key, std::int64_t& out, Range<std::int64_t> allowed) {
  const TomlMember* member = find(key);
  if (member) out = integer_of(*member, member->value, allowed).value_or(out);
}

void TableReader::number(std::string_view key, double& out, Range<double> allowed) {
  const TomlMember* member = find(key);
  if (member) out = number_of(*member, member->value, allowed).value_or(out);
}

void TableReader::span(std::string_view key, Time& out, Range<Time> allowed) {
  const TomlMember* member = find(key);
  if (member) out = span_of(*member, member->value, allowed).value_or(out);
}

void TableReader::millis(std::string_view key, Time& out, Range<double> allowed_ms) {
  const TomlMember* member = find(key);
  if (!member) return;
  if (const auto ms = number_of(*member, member->value, allowed_ms)) {
    out = std::llround(*ms * static_cast<double>(kMillisecond));
  }
}

namespace {

// The two ends of "one value, or [low, high]"; none: it is neither.
std::optional<std::pair<const TomlValue*, const TomlValue*>> ends_of(const TomlValue& value) {
  const auto* array = value.as<TomlValue::Array>();
  if (!array) return std::pair(&value, &value);
  if (array->size() != 2) return std::nullopt;
  return std::pair(&(*array)[0], &(*array)[1]);
}

constexpr const char* kTwoEnds = "must be one value or [least, most]";

}  // namespace

void TableReader::integers(std::string_view key, Range<std::int64_t>& out,
                           Range<std::int64_t> allowed) {
  const TomlMember* member = find(key);
  if (!member) return;
  const auto ends = ends_of(member->value);
  if (!ends) return note(*member, kTwoEnds);
  const auto low = integer_of(*member, *ends->first, allowed);
  const auto high = ends->first == ends->second ? low : integer_of(*member, *ends->second, allowed);
  if (!low || !high) return;
  if (*low > *high) return note(*member, "must have the smaller value first");
  out = {*low, *high};
}

void TableReader::spans(std::string_view key, Range<Time>& out, Range<Time> allowed) {
  const TomlMember* member = find(key);
  if (!member) return;
  const auto ends = ends_of(member->value);
  if (!ends) return note(*member, kTwoEnds);
  const auto low = span_of(*member, *ends->first, allowed);
  const auto high = ends->first == ends->second ? low : span_of(*member, *ends->second, allowed);
  if (!low || !high) return;
  if (*low > *high) return note(*member, "must have the smaller value first");
  out = {*low, *high};
}

std::vector<std::int64_t> TableReader::integer_list(std::string_view key,
                                                    Range<std::int64_t> allowed) {
  const TomlMember* member = find(key);
  if (!member) return {};
  std::vector<std::int64_t> all;
  const auto* array = member->value.as<TomlValue::Array>();
  if (!array || array->empty()) {
    note(*member, "must be a list of integers, is " + to_string(member->value));
    return {};
  }
  for (const TomlValue& element : *array) {
    const auto value = integer_of(*member, element, allowed);
    if (!value) return {};
    all.push_back(*value);
  }
  return all;
}

std::vector<std::string> TableReader::texts(std::string_view key) {
  const TomlMember* member = find(key);
  if (!member) return {};
  if (const auto* text = member->value.as<std::string>()) return {*text};
  std::vector<std::string> all;
  const auto* array = member->value.as<TomlValue::Array>();
  if (array) {
    for (const TomlValue& element : *array) {
      if (const auto* text = element.as<std::string>()) all.push_back(*text);
    }
  }
  if (!array || array->empty() || all.size() != array->size()) {
    note(*member, "must be text in quotes or a list of texts, is " + to_string(member->value));
    return {};
  }
  return all;
}

std::optional<TableReader> TableReader::table(std::string_view key) {
  const TomlMember* member = find(key);
  if (!member) return std::nullopt;
  const auto* table = member->value.as<TomlTable>();
  if (!table) {
    note(*member, "must be a section, [" + full(key) + "], is " + to_string(member->value));
    return std::nullopt;
  }
  return TableReader(*problems_, *table, full(key), member->line);
}

std::vector<TableReader> TableReader::tables(std::string_view key) {
  const TomlMember* member = find(key);
  if (!member) return {};
  const auto* array = member->value.as<TomlValue::Array>();
  std::vector<TableReader> all;
  if (array) {
    for (const TomlValue& element : *array) {
      if (const auto* table = element.as<TomlTable>()) {
        all.emplace_back(*problems_, *table, full(key), element.line);
      }
    }
  }
  if (!array || all.size() != array->size()) {
    note(*member, "must be written as [[" + full(key) + "]], is " + to_string(member->value));
    return {};
  }
  return all;
}

// ── words ───────────────────────────────────────────────────────────────────────────────────────

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& choices) {
  const std::string_view asked = word.substr(0, 100);
  std::optional<std::string> best;
  std::size_t best_distance =
      1 + std::min(asked.size() / 2, std::max<std::size_t>(2, asked.size() / 3));
  for (const std::string& choice : choices) {
    const std::size_t distance = edit_distance(asked, choice);
    if (distance < best_distance) std::tie(best_distance, best) = std::pair(distance, choice);
  }
  return best;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace holdfast::sim
