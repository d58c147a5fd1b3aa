#pragma once
// The same workload on the product's own replication: one crdt::State and one gossip::Mesh a
// replica, real frames, a network in memory on which only neighbours of the overlay can be dialled.
//
// Every replica merges what comes when it comes, and seals and sends one batch a second (the
// paper's interval), as a driver (node/driver.h) does whose disk takes a second. An update of the
// paper is the write of one row: of the own row of one SKU (GCounter), of a new hold (GSet), of own
// rows of SKUs (GMap). A row is one element, with its origin and sequence, as a counter's entry is
// one with its id and number.
//
// Before the first update the replicas have met, and each has written its member row a few times,
// as engines do; so the ways that rows take are known. Links, handshakes and members are not what
// the paper measures, and are not counted; nor is the refresh of member rows, which is the
// engine's.
//
// Counted  from the first update until all have all:
//   payload   rows that were sent
//   metadata  1 for each frame that carries rows, 1 for each acknowledgement, 1 for each entry of a
//             vector or list in them
//   bytes     of metadata: all of these frames but the rows in them, as crdt/codec.h writes rows
//   apart     heartbeats: the paper's model has no failure detector

#include "gossip/session.h"
#include "sim/feed_workload.h"

namespace holdfast::sim {

// How the product is set for this; everything else is its default.
//   push         1 s: own rows once an interval
//   heartbeat    1 s, because a replica sends once a second; suspect_after in proportion
//   relay_after  5 s, as suspect_after: rows of others that a peer is not known to get through this
//                replica are held back until its own way has had a few intervals to bring them
gossip::MeshConfig feed_mesh_config();

FeedCost run_feed(const FeedWorkload& workload,
                  const gossip::MeshConfig& mesh = feed_mesh_config());

}  // namespace holdfast::sim
