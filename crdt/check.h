#pragma once
// HOLDFAST_CHECK(condition): an invariant of ours. On in every build; a broken one stops the
// process, since going on would spread the damage. Never used on input: input gets an error.

namespace holdfast::crdt {
[[noreturn]] void check_failed(const char* file, int line, const char* expression);
}

#define HOLDFAST_CHECK(condition) \
  ((condition) ? void() : ::holdfast::crdt::check_failed(__FILE__, __LINE__, #condition))
