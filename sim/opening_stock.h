#pragma once
// What stands in which region when a scenario begins. Pure.

#include <vector>

#include "crdt/ids.h"
#include "sim/scenario.h"

namespace holdfast::sim {

struct OpeningStock {
  std::vector<std::vector<crdt::Units>> units;      // [region][sku]
  std::vector<std::vector<crdt::Units>> allowance;  // [region][sku]
};

// As the scenario's [stock] says. Draws all carts once if the amount or the spread follows demand.
// Shares are rounded so that a SKU's parts add up (largest remainders; of equal ones the first
// region's, turning from SKU to SKU so that no region is always favoured).
OpeningStock opening_stock(const Scenario& scenario);

}  // namespace holdfast::sim
