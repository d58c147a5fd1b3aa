#pragma once
// Bytes that node/ writes itself: journal values, the meta record, answers kept in key rows, and
// the bodies of calls between nodes. All through crdt/archive.h; decoding believes nothing.
//
// Errors  kInvalidArgument, saying what is wrong.

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "crdt/version_vector.h"
#include "node/command.h"

namespace holdfast::node {

// Rows of one origin that a batch wrote or merged, and how far that brings its vector entry.
struct JournalPart {
  ReplicaId origin;
  crdt::Sequence upto = 0;
  std::string rows;   // crdt/codec.h
  bool anew = false;  // all rows of it that were here are forgotten first
};
// Holds of one origin that were dropped, where no row says so.
struct JournalDrop {
  ReplicaId origin;
  crdt::Sequence floor = 0;              // all that had ended, up to here; 0: none
  std::vector<crdt::HoldVersion> holds;  // and these
};
struct JournalValue {
  ReplicaId self;
  std::int64_t life_ms = 0;  // the home's own clock, see engine.h
  std::vector<JournalPart> parts;
  std::vector<JournalDrop> drops;  // after what the parts bring
};
struct Meta {
  ReplicaId self;
  std::uint64_t batch = 0;  // everything up to this batch is in the rows
  std::int64_t life_ms = 0;
  std::uint64_t rows = 0;                 // there at that batch, key rows not counted
  std::vector<crdt::VectorEntry> vector;  // instead of a boot: the floor (crdt/state.h)
};
std::string encode(const JournalValue& value);
std::string encode(const Meta& meta);
absl::StatusOr<JournalValue> decode_journal_value(std::string_view bytes);
absl::StatusOr<Meta> decode_meta(std::string_view bytes);

// A command on one reservation, without its idempotency key's scope being lost: what is forwarded.
using ReservationCommand = std::variant<Reserve, Commit, Release, Extend, Return, GetReservation>;

struct Forward {
  ReservationCommand command;
};
struct Find {  // do you know this reservation?
  std::string id;
};
// Rights of `sku` for the caller. Acted on only if the callee's granted total to the caller is
// `granted_seen`, so that a repeated request is never granted twice.
struct AskRights {
  std::string sku;
  Units need = 0;   // customers wait for these
  Units ahead = 0;  // and these would be welcome: given from what the callee has to spare
  Units granted_seen = 0;
};
using CallBody = std::variant<Forward, Find, AskRights>;

struct Found {
  bool known = false;
  ReplicaId home;
};
struct Granted {
  Units given = 0;
  Units total = 0;  // the callee's granted total to the caller, after this
};
using AnswerBody = std::variant<Outcome, Found, Granted>;

// Decoded commands are of good form (names, ranges), as those that api/ makes.
std::string encode_call(const CallBody& body);
absl::StatusOr<CallBody> decode_call(std::string_view bytes);
std::string encode_answer(const AnswerBody& body);
absl::StatusOr<AnswerBody> decode_answer(std::string_view bytes);

// Outcomes with no view, a StockChange or a ReservationView.
std::string encode_outcome(const Outcome& outcome);
absl::StatusOr<Outcome> decode_outcome(std::string_view bytes);

// Of what a request asks for, in canonical form: equal for equal requests.
std::uint64_t digest_of(const Reserve& reserve);  // lines already summed and sorted
std::uint64_t digest_of(const Receive& receive);
std::uint64_t digest_of(const Adjust& adjust);
std::uint64_t digest_of(const Allow& allow);
std::uint64_t digest_of(const GrantTo& grant);
std::uint64_t digest_of(const Return& giving_back);  // lines already summed and sorted

}  // namespace holdfast::node
