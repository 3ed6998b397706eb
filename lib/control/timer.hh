// SPDX-License-Identifier: BSD-3-Clause
// Timer: a libevent timer that calls a function. Owner's thread only.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include <event2/event.h>

namespace weir {

class Timer {
public:
    // `base` must outlive the timer. `call` may set the timer again, but not destroy it.
    Timer(event_base* base, std::function<void()> call)
        : call_(std::move(call)),
          event_(event_new(
                     base, -1, 0,
                     [](evutil_socket_t, short, void* self) { static_cast<Timer*>(self)->call_(); },
                     this),
                 event_free) {}
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    // Once, `delay` from now; replaces what was set.
    void set(std::chrono::microseconds delay) {
        const timeval when{static_cast<time_t>(delay.count() / 1'000'000),
                           static_cast<suseconds_t>(delay.count() % 1'000'000)};
        event_add(event_.get(), &when);
    }
    void cancel() { event_del(event_.get()); }
    [[nodiscard]] bool pending() const {
        return event_pending(event_.get(), EV_TIMEOUT, nullptr) != 0;
    }

private:
    std::function<void()> call_;
    std::unique_ptr<event, void (*)(event*)> event_;
};

}  // namespace weir
