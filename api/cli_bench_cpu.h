#pragma once
// CPU that processes have used: of the load generator, and of the nodes that it drives. Edge.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/http_client.h"
#include "api/latency_histogram.h"

namespace holdfast::api {

Nanos own_cpu();

// Where the CPU of the nodes is read: of each, `process_cpu_seconds_total` in its /metrics if it is
// there, else its process on this machine.
class ServerCpu {
 public:
  // `pids` are asked instead, if there are any. Errors: kNotFound (no such process).
  static absl::StatusOr<ServerCpu> of(const std::vector<HttpUrl>& urls,
                                      const std::vector<int>& pids);
  bool known() const { return known_; }
  // The sum over the nodes, user and system; negative: unknown, or one of them has gone.
  Nanos used() const;

 private:
  bool known_ = false;
  std::vector<int> pids_;
  std::vector<HttpUrl> urls_;
};

}  // namespace holdfast::api
