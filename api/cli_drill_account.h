#pragma once
// What a drill found out, and how it is told: tables for people, one JSON object for machines.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "api/cli_drill_load.h"
#include "api/sales_account.h"
#include "api/table.h"

namespace holdfast::api {

// Of the decree's targets together, as the issuer tells it at the end.
struct DecreeFigures {
  std::string plan;
  std::vector<std::string> targets;         // replica ids
  crdt::Units seize = 0, open_holds = 0;    // as the dry run said
  std::map<std::string, crdt::Units> most;  // by SKU: seize + open_holds
  crdt::Units seized = 0, spent_unseen = 0, realized = 0, repaid = 0, unseen = 0, debt = 0;
  std::size_t accounts = 0, closed = 0;
};

struct DrillCheck {
  std::string name;
  bool ok = false;
  std::string detail;
};

struct DrillReport {
  std::string lost;
  bool killed = false;
  std::vector<std::string> regions;
  std::map<std::string, SellerAccount> sales;  // by region
  DecreeFigures decree;
  std::uint64_t adopted = 0, travellers = 0;  // carts of the lost region committed elsewhere
  crdt::Units replenished = 0;                // units received to make good what was oversold
  std::uint64_t looks = 0;                    // at a SKU on a node, for the bound
  std::uint64_t violations = 0;               // of the bound: 0, or at least so many
  crdt::Units least_available = 0;            // of all looks
  std::size_t skus = 0, nodes = 0;
  std::uint64_t differences = 0;  // final figures that are not what clients were told
  std::vector<DrillCheck> checks;
  std::vector<std::string> notes;  // the first few things that went wrong

  bool ok() const;
  // Of all regions but the lost one.
  PhaseSales others(DrillPhase phase) const;
};

// Shares of carts that were sold, and how many times longer the p99 was than undisturbed.
double share_sold(const PhaseSales& sales);  // of SKUs with plenty; 1 if there were no carts
double p99_ratio(const DrillReport& report);

// Fills `checks` from the rest.
void judge(DrillReport& report);

std::string report_text(const DrillReport& report, Style style);
boost::json::object report_json(const DrillReport& report);

}  // namespace holdfast::api
