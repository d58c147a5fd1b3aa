#include "node/fork_mark.h"

#include "crdt/digest.h"

namespace holdfast::node {
namespace {

constexpr std::string_view kFirstLine = "holdfast fork 1\n";

std::string hex(std::uint64_t number) { return crdt::to_string(crdt::ReplicaId{number}); }

// Takes "WORD HEX\n" off the text.
bool take(std::string_view& text, std::string_view word, std::uint64_t& number) {
  const std::size_t length = word.size() + 1 + 16 + 1;
  if (text.size() < length || !text.starts_with(word) || text[word.size()] != ' ' ||
      text[length - 1] != '\n')
    return false;
  const auto id = crdt::parse_replica_id(text.substr(word.size() + 1, 16));
  if (!id) return false;
  number = id->value;
  text.remove_prefix(length);
  return true;
}

}  // namespace

std::string encode(const ForkMark& mark) {
  std::string text(kFirstLine);
  text += "replica " + hex(mark.replica.value) + "\n";
  for (const crdt::Boot& boot : mark.boots)
    text += "since " + hex(boot.sequence) + "\nboot " + hex(boot.nonce) + "\n";
  return text + "checksum " + hex(crdt::digest(text)) + "\n";
}

absl::StatusOr<ForkMark> decode_fork_mark(std::string_view text) {
  const std::string_view whole = text;
  ForkMark mark;
  std::uint64_t sum = 0;
  bool good = text.starts_with(kFirstLine);
  if (good) text.remove_prefix(kFirstLine.size());
  good = good && take(text, "replica", mark.replica.value);
  while (good && text.starts_with("since")) {
    crdt::Boot& boot = mark.boots.emplace_back();
    good = take(text, "since", boot.sequence) && take(text, "boot", boot.nonce);
  }
  const std::string_view covered = whole.substr(0, whole.size() - text.size());
  good = good && take(text, "checksum", sum) && text.empty() && !mark.boots.empty() &&
         sum == crdt::digest(covered);
  if (good) return mark;
  return absl::DataLossError("the mark of a fork is damaged");
}

}  // namespace holdfast::node
