#include "sim/feed_table.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cmath>

#include "api/table.h"
#include "sim/feed_run.h"

namespace holdfast::sim {
namespace {

constexpr double kDeviationMax = 0.05;

struct Published {
  double state, delta, bp, rr, scuttlebutt;  // relative to BP+RR
  double elements;                           // of BP+RR, a replica
};

// By overlay and type. The RR of the trees' maps is published as a range of 1.96 – 1.99.
constexpr Published kPublished[2][6] = {{{1.60, 1.80, 1.00, 1.79, 26.6, 1'780},
                                         {82.0, 80.8, 1.00, 1.79, 27.2, 1'779},
                                         {17.4, 16.9, 1.00, 1.96, 5.57, 10'178},
                                         {6.23, 6.19, 1.00, 1.99, 2.56, 29'772},
                                         {3.26, 3.25, 1.00, 1.99, 1.79, 57'753},
                                         {2.03, 2.01, 1.00, 1.99, 1.49, 93'420}},
                                        {{1.12, 1.27, 1.27, 1.26, 18.8, 5'385},
                                         {58.4, 56.9, 56.7, 1.26, 18.7, 5'402},
                                         {11.1, 11.2, 11.2, 1.30, 3.62, 32'971},
                                         {4.03, 4.06, 4.07, 1.30, 1.67, 97'309},
                                         {2.11, 2.11, 2.12, 1.30, 1.17, 189'076},
                                         {1.33, 1.32, 1.31, 1.30, 0.97, 307'033}}};

constexpr FeedVariant kVariants[] = {
    FeedVariant::state, FeedVariant::delta,       FeedVariant::bp,  FeedVariant::rr,
    FeedVariant::bp_rr, FeedVariant::scuttlebutt, FeedVariant::ours};

std::optional<double> published_ratio(const Published& published, FeedVariant variant) {
  switch (variant) {
    case FeedVariant::state:
      return published.state;
    case FeedVariant::delta:
      return published.delta;
    case FeedVariant::bp:
      return published.bp;
    case FeedVariant::rr:
      return published.rr;
    case FeedVariant::bp_rr:
      return 1;
    case FeedVariant::scuttlebutt:
      return published.scuttlebutt;
    case FeedVariant::ours:
      break;
  }
  return std::nullopt;
}

void compare(FeedRow& row, const FeedCost& base) {
  const Published& published =
      kPublished[static_cast<std::size_t>(row.overlay)][static_cast<std::size_t>(row.type)];
  row.ratio = row.cost.elements() / base.elements();
  row.bytes_ratio = row.cost.metadata_bytes / base.metadata_bytes;
  row.published = published_ratio(published, row.variant);
  if (row.variant == FeedVariant::bp_rr) {
    row.published_elements = published.elements;
    row.deviation = row.cost.elements() / published.elements - 1;
  } else if (row.published) {
    row.deviation = row.ratio / *row.published - 1;
  }
}

std::string percent(double fraction) {
  const long tenths = std::lround(fraction * 1'000);
  const std::string text =
      std::to_string(std::abs(tenths) / 10) + "." + std::to_string(std::abs(tenths) % 10) + " %";
  return (tenths < 0 ? "-" : "+") + text;
}

boost::json::value or_null(const std::optional<double>& value) {
  return value ? boost::json::value(*value) : boost::json::value(nullptr);
}

}  // namespace

FeedTable feed_table(const FeedOptions& options) {
  FeedTable table;
  const std::size_t total = options.overlays.size() * options.types.size() * std::size(kVariants);
  for (const Overlay overlay : options.overlays)
    for (const FeedType type : options.types) {
      const FeedWorkload workload = feed_workload(overlay, type, options.seed);
      const std::size_t first = table.rows.size();
      for (const FeedVariant variant : kVariants) {
        table.rows.push_back({.overlay = overlay,
                              .type = type,
                              .variant = variant,
                              .cost = variant == FeedVariant::ours
                                          ? run_feed(workload)
                                          : run_feed_model(workload, variant)});
        options.progress(table.rows.size(), total);
      }
      const FeedCost base = table.rows[first + static_cast<std::size_t>(FeedVariant::bp_rr)].cost;
      for (std::size_t i = first; i < table.rows.size(); ++i) compare(table.rows[i], base);
    }
  return table;
}

bool holds(const FeedTable& table) {
  return std::all_of(table.rows.begin(), table.rows.end(), [](const FeedRow& row) {
    const bool ours = row.variant == FeedVariant::ours;
    return row.cost.converged && std::abs(row.deviation.value_or(0)) <= kDeviationMax &&
           (!ours || (row.ratio <= 1 && row.bytes_ratio <= 1));
  });
}

std::string text(const FeedTable& table, bool colour) {
  using enum api::Align;
  api::Table out({{"overlay"},
                  {"type"},
                  {"variant"},
                  {"elements", right},
                  {"of them metadata", right},
                  {"x BP+RR", right},
                  {"published", right},
                  {"deviation", right},
                  {"metadata bytes", right},
                  {"x BP+RR", right},
                  {"converged after s", right}});
  double beats = 0, beat_bytes = 0, ours = 0;
  for (const FeedRow& row : table.rows) {
    const bool whole = row.published_elements.has_value();  // its elements are what was published
    out.add({std::string(name_of(row.overlay)), std::string(name_of(row.type)),
             std::string(name_of(row.variant)), api::grouped(std::llround(row.cost.elements())),
             api::grouped(std::llround(row.cost.metadata)), api::short_number(row.ratio),
             whole           ? api::grouped(std::llround(*row.published_elements))
             : row.published ? api::short_number(*row.published)
                             : "",
             row.deviation ? percent(*row.deviation) : "",
             api::grouped(std::llround(row.cost.metadata_bytes)),
             api::short_number(row.bytes_ratio),
             row.cost.converged ? api::short_number(row.cost.seconds_to_converge) : "never"});
    if (row.variant != FeedVariant::ours) continue;
    beats += row.cost.apart;
    beat_bytes += row.cost.apart_bytes;
    ours += 1;
  }
  std::string text = out.text(colour ? api::Style::colour : api::Style::plain);
  if (ours > 0)
    text += "\nElements and bytes are a replica's. Not counted: Holdfast's heartbeats, " +
            api::grouped(std::llround(beats / ours)) + " a replica and run (" +
            api::grouped(std::llround(beat_bytes / ours)) +
            " bytes); the paper's model has no failure detector.\n";
  return text;
}

boost::json::value json(const FeedTable& table) {
  boost::json::array rows;
  for (const FeedRow& row : table.rows)
    rows.push_back({{"overlay", name_of(row.overlay)},
                    {"type", name_of(row.type)},
                    {"variant", name_of(row.variant)},
                    {"elements", row.cost.elements()},
                    {"payload_elements", row.cost.payload},
                    {"metadata_elements", row.cost.metadata},
                    {"ratio", row.ratio},
                    {"published_ratio", or_null(row.published)},
                    {"published_elements", or_null(row.published_elements)},
                    {"deviation", or_null(row.deviation)},
                    {"metadata_bytes", row.cost.metadata_bytes},
                    {"metadata_bytes_ratio", row.bytes_ratio},
                    {"heartbeats", row.cost.apart},
                    {"heartbeat_bytes", row.cost.apart_bytes},
                    {"converged", row.cost.converged},
                    {"seconds_to_converge", row.cost.seconds_to_converge}});
  return boost::json::object{{"rows", std::move(rows)}, {"holds", holds(table)}};
}

}  // namespace holdfast::sim
