#pragma once
// What a simulation says when it is over, for people and for programs: JSON, text for a terminal,
// and one HTML page that needs nothing but a browser (page.h). Pure; plain data in, text out.
//
//   Report      one run of a scenario            "kind": "run"
//   Comparison  several runs side by side        "kind": "comparison"
//   Study       curves against some number       "kind": "study"
//
// JSON (format 1). Names are those of the fields below. What differs:
//   all          "format": 1, "kind"; the fields of Heading at the top level; "passed": all checks
//   seed, hash   strings, decimal and 16 hexadecimal digits: a JSON number holds 53 bits exactly
//   Latency      null where there is no sample
//   "answer"     of a fault: null if it is no operator's command
//   "order_lines_left_out"  null if no file of orders was read
//   NaN          null: not known at that time, e.g. the lag of a node that is down
//   series       arrays of the same length as "times_ms", or [] if it was not measured
//   Totals       beside its own: "carts_refused", "availability" (0 … 1) and
//                "wan_bytes_per_reservation", or null if there were no carts to divide by;
//                "oversold", "oversold_bound" null where it was not accounted for
//   "decrees"    of a run: null if there were none
//   "regions"    of a run: [{"name", "totals", "series": {…}}]; of a comparison, "columns":
//                [{"name", "note", "totals"}]
// A reader ignores names that it doesn't know; a name that changes its meaning changes the format.
//
// Two runs of the same seed and commit give equal JSON but for "real_ms".
//
// Errors   none: a report whose parts don't fit (lengths, times out of order) is a bug of ours and
//          stops the process.
// Strings  UTF-8; of other bytes each is replaced by U+FFFD. They may hold anything: the page and
//          the tables show them and never obey them.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/table.h"
#include "crdt/ids.h"

namespace holdfast::sim {

struct CheckResult {
  std::string name;  // e.g. "oversold within its bound"
  bool passed = false;
  std::string detail;  // for people: expected and found
};

struct Heading {
  std::string title;
  std::string teaches;  // one sentence: what to learn from the scenario
  std::string policy;   // of the rebalancer and the allowance, in words
  std::vector<CheckResult> checks;
  std::uint64_t seed = 0;
  std::uint64_t hash = 0;       // of all events
  std::int64_t virtual_ms = 0;  // how long it was for the simulated regions
  std::int64_t real_ms = 0;     // how long it took
  std::string version;          // of the program
  std::string commit;
  // Of a file of real orders: broken lines that were skipped. None: no file was read.
  std::optional<std::uint64_t> order_lines_left_out;

  bool passed() const;  // every check
};

struct Latency {  // of answered reservations, retries included
  double p50_ms = 0, p99_ms = 0, max_ms = 0;
};

// Counts over a whole run, of one region or of all. Retries of a cart are the same cart.
struct Totals {
  std::uint64_t carts = 0;                         // = accepted + refused + failed
  std::uint64_t lines = 0;                         // of all carts
  std::uint64_t carts_accepted = 0;                // reserved
  std::map<std::string, std::uint64_t> refused;    // carts, by the reason in the answer
  std::uint64_t carts_failed = 0;                  // no answer in time, or an error instead of one
  std::uint64_t refused_with_stock_elsewhere = 0;  // carts of `refused` that all regions' rights
                                                   // together would have covered
  std::uint64_t carts_fetched = 0;                 // that waited for rights from other nodes
  crdt::Units units_reserved = 0, units_committed = 0, units_released = 0, units_expired = 0;
  // Σ over SKUs of what was below zero, at its highest, and allowance + what decrees may cost at
  // that time. An
  // account of the whole: regions have none of their own.
  std::optional<crdt::Units> oversold, oversold_bound;
  std::optional<Latency> latency;
  std::uint64_t wan_bytes = 0;  // sent between regions

  std::uint64_t carts_refused() const;
  // Share of carts that got an answer, be it yes or no.
  std::optional<double> availability() const;
  std::optional<double> wan_bytes_per_reservation() const;  // per accepted cart
};

// What operators' decrees came to: as dry runs said, and as it was. Units over all SKUs.
struct DecreeTotals {
  std::size_t issued = 0, retirements = 0;  // of a target each; failovers, and beside them these
  std::size_t open = 0;                     // failovers whose account is not closed at the end
  crdt::Units seize = 0, open_holds = 0;    // as dry runs said: what it may cost at most
  crdt::Units seized = 0;
  crdt::Units beyond_allowance = 0;  // oversold beyond the allowance, at its highest
  crdt::Units beyond_bound = 0;  // of one SKU, beyond what dry runs said of it; 0 if all is well
  crdt::Units spent_unseen = 0;  // sold by the targets of what had been seized from them
  crdt::Units realized = 0;      // of that, beyond stock and allowance at that moment
  crdt::Units repaid = 0;        // of that
  crdt::Units unseen = 0, debt = 0;  // of the targets, at the end
};

// One sample for each of Report::times_ms, or empty: not measured.
using Series = std::vector<double>;

struct RegionSeries {
  Series rights;      // units, at that time, all SKUs
  Series units_sold;  // in the interval that ends then, as are the following
  Series carts_accepted;
  Series carts_refused;  // for whatever reason, failures included
  Series refused_with_stock_elsewhere;
  Series lag_ms;     // at that time: age of the oldest row of any other region that is missing here
  Series wan_bytes;  // sent to other regions
  Series p50_ms, p99_ms;  // of reservations
};

struct GlobalSeries {  // at that time, all SKUs
  Series on_hand, available;
  Series oversold;        // Σ over SKUs of what is below zero
  Series oversold_bound;  // allowance + what decrees may cost
};

struct FaultSpan {
  std::string label;  // e.g. "Atlantic cable cut"
  std::string kind;   // e.g. "partition", "crash", "slow", "disk", "operator"
  std::int64_t from_ms = 0;
  std::int64_t to_ms = 0;  // ≥ from_ms; equal: an instant; ≥ virtual_ms: it was not healed
  std::vector<std::string> regions;
  std::string answer;  // to an operator's command, e.g. "done", "refused: unknown_sku"; else empty
};

// Curves against a number, e.g. time to converge against the number of replicas.
struct Curves {
  std::string title;
  std::string x_label;    // e.g. "replicas"
  std::string y_label;    // unit: "ms", "bytes" and "units" are shown with prefixes
  std::vector<double> x;  // finite, ascending
  struct Line {
    std::string name;
    Series y;  // as long as x
  };
  std::vector<Line> lines;
};

struct Report : Heading {
  struct Region {
    std::string name;
    Totals totals;
    RegionSeries series;
  };
  std::vector<std::int64_t>
      times_ms;  // > 0, ascending: ends of the intervals; the first begins at 0
  std::vector<Region> regions;
  GlobalSeries global;
  Totals totals;
  std::optional<DecreeTotals> decrees;  // none: there were none
  std::vector<FaultSpan> faults;        // ascending by from_ms
  std::vector<Curves> curves;
};

struct Comparison : Heading {
  struct Column {
    std::string name;
    std::string note;  // one sentence: what it is
    Totals totals;
  };
  std::vector<Column> columns;
  std::vector<FaultSpan> faults;
  std::vector<Curves> curves;
};

struct Study : Heading {
  std::vector<Curves> curves;
};

// One line, ending in a newline.
std::string json_of(const Report& report);
std::string json_of(const Comparison& comparison);
std::string json_of(const Study& study);

// The page with `json`, which one of the above wrote, in it. Open from disk, mail, print.
std::string html_of(const std::string& json);

// For a terminal.
std::string text_of(const Report& report, api::Style style);
std::string text_of(const Comparison& comparison, api::Style style);
std::string text_of(const Study& study, api::Style style);

}  // namespace holdfast::sim
