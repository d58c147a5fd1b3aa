#pragma once
// A shard map in etcd: the key's value is the text of one (shard_map_file.h). Edge: what
// etcd_watch.h says, by sockets. Without TLS and users.

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "api/etcd_place.h"
#include "api/etcd_watch.h"
#include "api/upstream.h"

namespace holdfast::api {

// What the key is, asked once; waits. Errors: as HttpClient's, kNotFound (no such key: which
// command puts it), and what read_range() finds.
absl::StatusOr<std::string> read_etcd(const EtcdPlace& place);

// Watches the key; all on the io_context's one thread.
class ShardMapEtcd {
 public:
  using Say = std::function<void(const std::string&)>;
  // `in_use`: the value that the caller has. `take` gets each later one, `note` what to log.
  ShardMapEtcd(boost::asio::io_context& io, EtcdPlace place, std::string in_use, Say take,
               Say note);
  ~ShardMapEtcd();
  ShardMapEtcd(const ShardMapEtcd&) = delete;
  ShardMapEtcd& operator=(const ShardMapEtcd&) = delete;

  void start();

 private:
  class Stream;
  void carry_out(EtcdEffects effects);
  void read();
  void hang_up();

  boost::asio::io_context& io_;
  const EtcdPlace place_;
  const Say take_, note_;
  EtcdWatch watch_;
  Upstream upstream_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<Stream> stream_;  // null: no watch runs
};

}  // namespace holdfast::api
