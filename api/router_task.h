#pragma once
// Task: a coroutine that runs until it must wait, and whose value another one waits for. One
// thread. A task that is destroyed ends where it waits. What it waits for, in the end, is an Inbox
// (router.h).

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace holdfast::api {

template <typename T>
class Task {
 public:
  struct promise_type {
    std::optional<T> value;
    std::coroutine_handle<> waits;

    Task get_return_object() {
      return Task(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_never initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct End {
        bool await_ready() noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) noexcept {
          const std::coroutine_handle<> waits = self.promise().waits;
          return waits ? waits : std::noop_coroutine();
        }
        void await_resume() noexcept {}
      };
      return End{};
    }
    void return_value(T result) { value = std::move(result); }
    void unhandled_exception() { std::terminate(); }
  };

  explicit Task(std::coroutine_handle<promise_type> self) : self_(self) {}
  Task(Task&& other) noexcept : self_(std::exchange(other.self_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(self_, other.self_);
    return *this;
  }
  ~Task() {
    if (self_) self_.destroy();
  }

  bool done() const { return self_.done(); }
  struct Wait {
    std::coroutine_handle<promise_type> self;
    bool await_ready() const { return self.done(); }
    void await_suspend(std::coroutine_handle<> waits) const { self.promise().waits = waits; }
    T await_resume() const { return std::move(*self.promise().value); }
  };
  Wait operator co_await() const { return {self_}; }

 private:
  std::coroutine_handle<promise_type> self_;
};

}  // namespace holdfast::api
