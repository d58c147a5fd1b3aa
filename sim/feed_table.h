#pragma once
// The table of Enes et al., ICDE 2019 (arXiv:1803.02750): what each way of synchronising sends, in
// elements a replica and relative to deltas with BP and RR, on a tree and on a mesh of 15 replicas,
// beside the published figures; and the product's own feeds on the same workload.
//
// Published  ratios and elements of the authors' raw metrics (vitorenesduarte/exp,
//            evaluation/icde19.tar.gz). What metadata is: feed_model.h, feed_run.h.
//
// Pure and deterministic.

#include <boost/json/value.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/feed_model.h"
#include "sim/feed_workload.h"

namespace holdfast::sim {

struct FeedRow {
  Overlay overlay = Overlay::tree;
  FeedType type = FeedType::gcounter;
  FeedVariant variant = FeedVariant::state;
  FeedCost cost;                             // a replica
  double ratio = 0;                          // of elements, to BP+RR here
  double bytes_ratio = 0;                    // of metadata bytes, to BP+RR here
  std::optional<double> published;           // that ratio; none for ours
  std::optional<double> published_elements;  // of BP+RR, a replica
  // Ours against the published figure, as a fraction of it; of the ratio, and for BP+RR, whose
  // ratio is 1 by definition, of the elements.
  std::optional<double> deviation;
};

struct FeedTable {
  std::vector<FeedRow> rows;  // by overlay, type, variant
};

struct FeedOptions {
  std::uint64_t seed = 1;
  std::vector<Overlay> overlays = {Overlay::tree, Overlay::mesh};
  std::vector<FeedType> types = {FeedType::gcounter, FeedType::gset,   FeedType::gmap10,
                                 FeedType::gmap30,   FeedType::gmap60, FeedType::gmap100};
  std::function<void(std::size_t done, std::size_t total)> progress = [](auto, auto) {};
};

FeedTable feed_table(const FeedOptions& options = {});
// Every run converged, no deviation is above 5 %, and the product sends no more than BP+RR on any
// row, neither in elements nor in bytes of metadata.
bool holds(const FeedTable& table);

std::string text(const FeedTable& table, bool colour);
boost::json::value json(const FeedTable& table);

}  // namespace holdfast::sim
