#pragma once
// Rows as bytes, on the wire and on disk alike.
//
//     row     = kind:1  key:string  sequence:varint  format:1  payload:string
//     string  = length:varint  bytes
//
// Payloads are the fields of rows.h in their order, through the archives of archive.h, followed by
// `extra`. Equal rows have equal bytes. Decoding believes nothing: bytes that are not exactly what
// this code would have written for some valid row (of this format or a later one) are refused.
//
// Errors  absl::StatusCode::kInvalidArgument, saying what is wrong. Nothing throws.

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "crdt/rows.h"

namespace holdfast::crdt {

// A decoded row. Kinds that this version does not know keep their payload as it came (std::string).
struct DecodedRow {
  RowKind kind = RowKind::stock;
  std::string key;
  Sequence sequence = 0;
  std::uint8_t format = kRowFormat;
  std::uint32_t bytes = 0;  // that it took where it was read
  std::variant<StockRow, HoldRow, KeyRow, SkuRow, MemberRow, DecreeRow, std::string> payload;
};

void append_payload(const StockRow& row, std::string& out);
void append_payload(const HoldRow& row, std::string& out);
void append_payload(const KeyRow& row, std::string& out);
void append_payload(const SkuRow& row, std::string& out);
void append_payload(const MemberRow& row, std::string& out);
void append_payload(const DecreeRow& row, std::string& out);

std::string decree_key(const DecreeRow& row);  // the key of its row

// Appends one row whose payload is already encoded.
void append_row(RowKind kind, std::string_view key, Sequence sequence, std::uint8_t format,
                std::string_view payload, std::string& out);

// Decodes a block of rows, all of it.
// `expected`: how many there may be, if that is known.
absl::StatusOr<std::vector<DecodedRow>> decode_rows(std::string_view block,
                                                    std::size_t expected = 0);
// The bytes of the next `count` rows, taken from `in`; throws Malformed (archive.h) if they are not
// there. `last`: the sequence of the last. Says nothing about what is in them.
class BoundedIn;
std::string_view take_rows(BoundedIn& in, std::size_t count, Sequence& last);
absl::StatusOr<DecodedRow> decode_row(std::string_view bytes);  // exactly one

}  // namespace holdfast::crdt
