#include "api/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <vector>

namespace holdfast::api {
namespace {

using node::Stats;
using prometheus::MetricType;

struct Counter {
  const char* name;
  const char* help;
  std::uint64_t Stats::*value;
  MetricType type = MetricType::Counter;
};

constexpr Counter kNumbers[] = {
    {"holdfast_reservations_created_total", "Reservations that were made on this node.",
     &Stats::reservations_created},
    {"holdfast_reservations_refused_total", "Reservations that were refused for lack of stock.",
     &Stats::reservations_refused},
    {"holdfast_reservations_waited_total",
     "Reservations that had to wait for rights of other nodes.", &Stats::reservations_waited},
    {"holdfast_commits_total", "Reservations that were committed.", &Stats::commits},
    {"holdfast_releases_total", "Reservations that were released on request.", &Stats::releases},
    {"holdfast_extensions_total", "Deadlines that were extended.", &Stats::extensions},
    {"holdfast_expiries_total", "Reservations that ran out.", &Stats::expiries},
    {"holdfast_returns_total", "Returns of committed units.", &Stats::returns},
    {"holdfast_receipts_total", "Receipts of units.", &Stats::receipts},
    {"holdfast_adjustments_total", "Adjustments of stock.", &Stats::adjustments},
    {"holdfast_grants_given_total", "Grants of rights that this node gave.", &Stats::grants_given},
    {"holdfast_grants_received_total", "Grants of rights that this node was given.",
     &Stats::grants_received},
    {"holdfast_units_granted_total", "Units of rights that this node gave.", &Stats::units_granted},
    {"holdfast_units_received_by_grant_total", "Units of rights that this node was given.",
     &Stats::units_received_by_grant},
    {"holdfast_rebalance_requests_sent_total",
     "Requests for rights ahead of demand that were sent to other nodes.",
     &Stats::rebalance_requests_sent},
    {"holdfast_rights_requests_sent_total", "Requests for rights that were sent to other nodes.",
     &Stats::rights_requests_sent},
    {"holdfast_rights_requests_refused_total",
     "Requests for rights that other nodes answered with none.", &Stats::rights_requests_refused},
    {"holdfast_rows_merged_total", "Rows of other replicas that were merged.", &Stats::rows_merged},
    {"holdfast_deltas_applied_total", "Deltas of other replicas that were applied.",
     &Stats::deltas_applied},
    {"holdfast_frames_received_total", "Frames received from other nodes.",
     &Stats::frames_received},
    {"holdfast_frames_sent_total", "Frames sent to other nodes.", &Stats::frames_sent},
    {"holdfast_received_bytes_total", "Bytes received from other nodes.", &Stats::bytes_received},
    {"holdfast_sent_bytes_total", "Bytes sent to other nodes.", &Stats::bytes_sent},
    {"holdfast_malformed_frames_total",
     "Frames that ended their session because they were malformed.", &Stats::malformed_frames},
    {"holdfast_forwards_total", "Calls that were forwarded to another node.", &Stats::forwards},
    {"holdfast_batches_total", "Batches that the engine handed to the store.", &Stats::batches},
    {"holdfast_journal_bytes_total", "Bytes written to the journal.", &Stats::journal_bytes},
    {"holdfast_commands_total", "Commands that the engine took.", &Stats::commands},
    {"holdfast_overload_refusals_total",
     "Commands that were refused because the node was overloaded.", &Stats::refused_overload},
    {"holdfast_decrees_issued_total", "Decrees that this node issued, retirements included.",
     &Stats::decrees_issued},
    {"holdfast_adoptions_total",
     "Reservations of a lost home that were committed, extended or released here.",
     &Stats::adoptions},
    {"holdfast_copies_overruled_total",
     "Copies of reservations on this node that gave way to a copy of higher rank.",
     &Stats::copies_overruled},
    {"holdfast_conflicts_total", "Conflicts between copies that an operator should know of.",
     &Stats::conflicts},
    {"holdfast_keys_undone_total",
     "Effects that this node undid because another node had the same idempotency key.",
     &Stats::keys_undone},
    {"holdfast_holds_purged_total", "Finished reservations that were dropped for their age.",
     &Stats::holds_purged},
    {"holdfast_durability_missed_total",
     "Writes that were answered before they were as durable as they were asked to be.",
     &Stats::durability_missed},
    {"holdfast_skus", "SKUs that are known.", &Stats::skus, MetricType::Gauge},
    {"holdfast_open_holds", "Reservations that are held, everywhere, as seen here.",
     &Stats::open_holds, MetricType::Gauge},
    {"holdfast_reservations", "Reservations that are kept, open or finished.", &Stats::reservations,
     MetricType::Gauge},
    {"holdfast_waiting", "Reservations that wait for rights at this moment.", &Stats::waiting,
     MetricType::Gauge},
    {"holdfast_peers_reachable", "Other nodes that answer.", &Stats::peers_reachable,
     MetricType::Gauge},
    {"holdfast_peers_known", "Other nodes that belong to the cluster.", &Stats::peers_known,
     MetricType::Gauge},
    {"holdfast_open_decrees", "Decrees that are not closed, as seen here.", &Stats::open_decrees,
     MetricType::Gauge},
};

struct UnitsGauge {
  const char* name;
  const char* help;
  node::Units Stats::*value;
};

// As this node sees it, over all SKUs.
constexpr UnitsGauge kUnits[] = {
    {"holdfast_exposure", "Units that were seized and that their target has not seen yet.",
     &Stats::exposure},
    {"holdfast_debt", "Units that targets of decrees had sold although they were seized.",
     &Stats::debt},
    {"holdfast_oversold", "Units that were sold and do not exist.", &Stats::oversold},
    {"holdfast_stranded", "Units that retired replicas have, so that nobody can sell them.",
     &Stats::stranded},
};

struct Flag {
  const char* name;
  const char* help;
  bool Stats::*value;
};

constexpr Flag kFlags[] = {
    {"holdfast_draining", "1 while this node hands over what it has, to leave.", &Stats::draining},
    {"holdfast_storage_full", "1 if writes are refused for lack of disk space.",
     &Stats::storage_full},
    {"holdfast_degraded", "1 if some node of the cluster cannot be reached.", &Stats::degraded},
    {"holdfast_ready", "1 if the node takes traffic.", &Stats::ready},
};

prometheus::MetricFamily family(const char* name, const char* help, MetricType type, double value) {
  prometheus::ClientMetric metric;
  (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  return {name, help, type, {metric}};
}

}  // namespace

std::string metrics_text(const node::Stats& stats) {
  std::vector<prometheus::MetricFamily> families;
  families.reserve(std::size(kNumbers) + std::size(kUnits) + std::size(kFlags));
  for (const Counter& number : kNumbers) {
    families.push_back(
        family(number.name, number.help, number.type, static_cast<double>(stats.*number.value)));
  }
  for (const UnitsGauge& units : kUnits) {
    families.push_back(
        family(units.name, units.help, MetricType::Gauge, static_cast<double>(stats.*units.value)));
  }
  for (const Flag& flag : kFlags) {
    families.push_back(family(flag.name, flag.help, MetricType::Gauge, stats.*flag.value ? 1 : 0));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace holdfast::api
