#pragma once
// holdfast shards: a shard map checked and shown, and SKUs moved from shard to shard by it.
//
//   begin    the map to put in place so that routers move SKUs to where `next` wants them
//   status   how far they are, by what the nodes say
//   finish   the map to put in place once nothing is left to move
//
// Maps are files; of etcd: etcdctl get, and put what is printed.

#include <string>

namespace holdfast::api {

struct ShardsCall {
  std::string map, next;
  std::string output;  // empty: stdout
  int wait_seconds = 0;
  bool json = false;
};

int shards_begin(const ShardsCall& call);
int shards_status(const ShardsCall& call);
int shards_finish(const ShardsCall& call);

}  // namespace holdfast::api
