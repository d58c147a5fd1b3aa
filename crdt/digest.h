#pragma once
// XXH3 over bytes: for integrity and for recognising an equal request; not against an adversary.

#include <cstdint>
#include <string_view>

namespace holdfast::crdt {
std::uint64_t digest(std::string_view bytes, std::uint64_t seed = 0);
}
