#pragma once
// `holdfast replay`: real orders as carts, one seller per region; and the parts of it that the demo
// uses.

#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "absl/status/statusor.h"
#include "api/cli_console.h"
#include "api/cli_cut.h"
#include "api/cli_region_seller.h"
#include "api/orders.h"
#include "api/sales_account.h"

namespace holdfast::api {

struct ReplayOptions {
  std::string orders_path;
  std::string day;                     // YYYY-MM-DD; empty: every day of the file
  std::string url;                     // a node to ask for one node per region, without endpoints
  std::vector<std::string> endpoints;  // "REGION=URL"
  std::vector<std::string> map;        // "COUNTRY=REGION"
  std::vector<std::string> cuts;       // "REGION@FROM..TO"
  double speed = 0;                    // times real time; 0: as fast as possible
  bool receive = false;                // first make the SKUs and receive their stock
  unsigned margin_percent = 40;        // … demand and so much more
  bool skip_broken = false;
  SellerOptions seller;
  bool per_sku = false;
  bool json = false;
};

struct ReplayEndpoint {
  std::string region;
  HttpUrl url;
};

struct ReplayPlan {
  Orders orders;
  std::vector<ReplayEndpoint> endpoints;
  std::vector<std::vector<const Invoice*>> invoices;  // by endpoint; points into orders
  std::vector<Cut> cuts;
  std::vector<SeenNode> nodes;  // of the cluster; filled if there are cuts
};

// Reads the orders, asks for what the options leave open. Errors: as the parts' own.
absl::StatusOr<ReplayPlan> plan_replay(const ReplayOptions& options);

std::vector<RegionAccount> empty_accounts(const ReplayPlan& plan);

// PUTs every SKU of the orders and receives demand × (100 + margin) / 100 units of each, spread
// evenly over the endpoints; `accounts` gets what was received. Repeating it with the same prefix
// has one effect. Errors: the first call's that failed; kCancelled (a signal).
absl::Status load_stock(const ReplayPlan& plan, const ReplayOptions& options,
                        std::vector<RegionAccount>& accounts, StopSignals& signals);

// Sells everything, with the cuts of the plan. Every cut is healed when it returns. Errors:
// kCancelled (a signal), or the first failure to set or clear a fault.
absl::Status sell_orders(const ReplayPlan& plan, const ReplayOptions& options,
                         std::vector<RegionAccount>& accounts, StopSignals& signals);

void print_account(const ReplayPlan& plan, const std::vector<RegionAccount>& accounts,
                   bool per_sku);
boost::json::object account_json(const ReplayPlan& plan,
                                 const std::vector<RegionAccount>& accounts);
bool anything_failed(const std::vector<RegionAccount>& accounts);

int run_replay(const ReplayOptions& options);

}  // namespace holdfast::api
