#pragma once
// Seldom<T>: a value that is nearly always as it is made (an empty string, an empty list), in the
// room of a pointer. For fields of rows of which there are millions in memory.
//
// Cost  reading: a comparison; the first edit() allocates.

#include <initializer_list>
#include <memory>
#include <type_traits>
#include <utility>

namespace holdfast::crdt {

template <typename T>
class Seldom {
 public:
  Seldom() = default;
  template <typename Value>
  requires(std::is_constructible_v<T, Value> && !std::is_same_v<std::remove_cvref_t<Value>, Seldom>)
      Seldom(Value&& value) {
    T made(std::forward<Value>(value));
    if (!made.empty()) kept_ = std::make_unique<T>(std::move(made));
  }
  Seldom(std::initializer_list<typename T::value_type> values) : Seldom(T(values)) {}
  Seldom(const Seldom& other) : Seldom(*other) {}
  Seldom(Seldom&&) noexcept = default;
  Seldom& operator=(const Seldom& other) { return *this = Seldom(other); }
  Seldom& operator=(Seldom&&) noexcept = default;

  const T& operator*() const { return kept_ ? *kept_ : none(); }
  const T* operator->() const { return &**this; }
  operator const T&() const { return **this; }
  bool empty() const { return (**this).empty(); }
  auto size() const { return (**this).size(); }
  auto begin() const { return (**this).begin(); }
  auto end() const { return (**this).end(); }

  T& edit() {
    if (!kept_) kept_ = std::make_unique<T>();
    return *kept_;
  }
  void clear() { kept_.reset(); }

  bool operator==(const Seldom& other) const { return **this == *other; }

 private:
  static const T& none() {
    static const T kNone;
    return kNone;
  }
  std::unique_ptr<T> kept_;
};

}  // namespace holdfast::crdt
