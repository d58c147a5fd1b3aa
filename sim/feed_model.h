#pragma once
// The ways of the literature to keep replicas in step, as a small model that counts what they send:
// the whole state; deltas, plain or without echo (BP: not back to whom it came from) and without
// what was known (RR: only what a received delta added is passed on), or both; and Scuttlebutt with
// the garbage collection of the paper's implementation (a matrix of vectors with every request).
//
// Metadata as the paper counts it: 1 for the number in a delta's header, 1 for that of an
// acknowledgement; 1 for each vector and each of its entries, and for each delta's dot; none for
// whole states. In bytes: 1 for the kind of a message, 8 for an id, 8 for a number.
//
// Papers  Enes et al., ICDE 2019, arXiv:1803.02750, algorithms 1 and 2; van Renesse et al.,
//         LADIS 2008 (Scuttlebutt). Pure and deterministic.

#include "sim/feed_workload.h"

namespace holdfast::sim {

enum class FeedVariant { state, delta, bp, rr, bp_rr, scuttlebutt, ours };

std::string_view name_of(FeedVariant variant);

// `variant`: any but ours.
FeedCost run_feed_model(const FeedWorkload& workload, FeedVariant variant);

}  // namespace holdfast::sim
