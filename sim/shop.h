#pragma once
// A shop as the customers of a scenario meet it: Holdfast, or an alternative that it is compared
// with. Every shop stands in the same World: the same network, the same nodes that fail.

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "sim/demand.h"
#include "sim/opening_stock.h"
#include "sim/world.h"

namespace holdfast::sim {

struct ShopAnswer {
  enum class Kind : std::uint8_t { held, refused, failed };
  Kind kind = Kind::failed;
  std::string reason;  // refused, failed: the problem's code, or what went wrong
};
using OnShopAnswer = std::function<void(const ShopAnswer& answer)>;
using OnShopDone = std::function<void()>;

// One SKU in truth, which nobody in the scenario sees.
struct TrueStock {
  crdt::Units on_hand = 0, available = 0, allowance = 0;
};

// What went with disks that were lost, and with nothing else.
struct DiskLoss {
  crdt::Units rights = 0;    // nobody can sell them any more
  crdt::Units held = 0;      // in holds that nobody can end any more
  std::uint64_t writes = 0;  // durable there, and on no other node
};

class Shop {
 public:
  virtual ~Shop() = default;
  // Brings SKUs and opening stock in, until every node knows them. Errors: kInvalidArgument, the
  // product refuses them; kDeadlineExceeded, it did not come to that within `limit` of virtual
  // time.
  virtual absl::Status open(const OpeningStock& stock, Time limit) = 0;
  // A customer of the cart's region asks for it. An answer comes once, or never.
  virtual void reserve(const Cart& cart, OnShopAnswer done) = 0;
  // `done` runs once, when it is confirmed; never, if the shop does not come to that.
  virtual void commit(const Cart& cart, OnShopDone done) = 0;
  virtual void release(const Cart& cart, OnShopDone done) = 0;
  virtual void abandon(const Cart&) {}  // the customer has gone; the hold expires by itself
  virtual TrueStock stock(std::uint32_t sku) const = 0;
  // Units that the region may sell without asking, all SKUs.
  virtual std::vector<crdt::Units> rights_by_region() const = 0;
  // How old the oldest write of another region is that has not arrived here; 0: none is missing.
  virtual Time lag(std::size_t region) const = 0;
  virtual bool converged() const = 0;
  virtual DiskLoss lost() const { return {}; }
  // What decrees may have oversold by now, all SKUs, as was said before each.
  virtual crdt::Units decreed() const { return 0; }
};

}  // namespace holdfast::sim
