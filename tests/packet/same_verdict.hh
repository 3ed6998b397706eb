// SPDX-License-Identifier: BSD-3-Clause
// Whether two pipelines decided the same.
#pragma once

#include "lib/dataplane/verdict.hh"

namespace weir::test {

inline bool same(const Verdict& a, const Verdict& b) {
    if (a.action != b.action) return false;
    switch (a.action) {
        case Action::send:
        case Action::send_in_pieces:
            return a.port == b.port;
        case Action::punt:
            return a.port == b.port && a.punt_class == b.punt_class;
        case Action::drop:
            return a.reason == b.reason;
        case Action::answer:
            return a.reason == b.reason && a.port == b.port;
        case Action::hold:
        case Action::hand_over:
            return a.slot() == b.slot();
    }
    return false;
}

}  // namespace weir::test
