#pragma once
// The fields of what several codecs write, in the order in which they are written. For codecs only;
// cereal finds these by argument-dependent lookup.

#include "crdt/rows.h"

namespace holdfast::crdt {

template <typename A>
void serialize(A& ar, ReplicaId& id) {
  ar(id.value);
}
template <typename A>
void serialize(A& ar, VectorEntry& e) {
  ar(e.origin, e.sequence, e.boot);
}
template <typename A>
void serialize(A& ar, Boot& b) {
  ar(b.sequence, b.nonce);
}
template <typename A>
void serialize(A& ar, HoldLine& l) {
  ar(l.sku, l.requested, l.held, l.committed, l.returned);
}
template <typename A>
void serialize(A& ar, HoldVersion& v) {
  ar(v.id, v.sequence);
}

}  // namespace holdfast::crdt
