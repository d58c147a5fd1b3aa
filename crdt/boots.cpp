#include "crdt/boots.h"

#include <algorithm>

namespace holdfast::crdt {

std::uint64_t boot_at(const std::vector<Boot>& boots, Sequence sequence) {
  std::uint64_t nonce = 0;
  for (const Boot& boot : boots)
    if (boot.sequence <= sequence) nonce = boot.nonce;
  return nonce;
}

bool same_history(const std::vector<Boot>& boots, Sequence head, Sequence sequence,
                  std::uint64_t boot) {
  if (boot == 0 || boots.empty() || sequence < boots.front().sequence) return true;
  const auto at = std::find_if(boots.begin(), boots.end(),
                               [&](const Boot& known) { return known.nonce == boot; });
  if (at == boots.end()) return sequence > head;  // a boot after all that is here, perhaps
  return sequence >= at->sequence &&
         (std::next(at) == boots.end() || sequence < std::next(at)->sequence);
}

bool is_latest(const std::vector<Boot>& boots, Sequence head, Sequence sequence,
               std::uint64_t boot) {
  return sequence <= head && same_history(boots, head, sequence, boot);
}

bool continues(const std::vector<Boot>& boots, Sequence head, const std::vector<Boot>& theirs,
               Sequence to) {
  return to > head ? same_history(theirs, to, head, boot_at(boots, head))
                   : same_history(boots, head, to, boot_at(theirs, to));
}

std::vector<Boot> parted(const std::vector<Boot>& mine, const std::vector<Boot>& theirs) {
  auto at = mine.end();
  while (at != mine.begin() &&
         std::find(theirs.begin(), theirs.end(), *std::prev(at)) == theirs.end())
    --at;
  return {at, mine.end()};
}

std::vector<Boot> void_boots(const std::vector<Boot>& mine, const std::vector<Boot>& theirs) {
  std::vector<Boot> own = parted(mine, theirs), others = parted(theirs, mine);
  if (others.empty() || own.size() == mine.size()) return own;
  return !own.empty() && own.front().sequence <= others.front().sequence ? own : others;
}

void drop_covered(std::vector<Boot>& boots, Sequence covered) {
  std::size_t drop = 0;
  while (drop + kBootsKept < boots.size() &&
         (boots[drop + 1].sequence <= covered || boots.size() - drop > kBootsMax))
    ++drop;
  boots.erase(boots.begin(), boots.begin() + static_cast<std::ptrdiff_t>(drop));
}

}  // namespace holdfast::crdt
