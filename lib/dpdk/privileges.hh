// SPDX-License-Identifier: BSD-3-Clause
// Privileges: capabilities belong to threads, so each thread lays down what it does not need once
// ports and TAPs exist. Polling and sending on open sockets and rings needs none.
#pragma once

#include <span>
#include <string>

#include "lib/wire/result.hh"

namespace weir {

// The calling thread keeps at most `keep` (CAP_* numbers) as effective and permitted, nothing as
// inheritable or ambient, and can gain nothing by exec (no_new_privs; bounding set emptied where
// allowed). Capabilities that the thread does not have are not an error. Final.
Result<void> keep_capabilities(std::span<const int> keep);

// The same for every thread of the process, the calling one included: `keep` for the caller, none
// for all others (EAL's interrupt and telemetry threads, lcores). Sends a real-time signal to each
// thread and waits until all have answered, at most 1 s; then the error names the threads. Call it
// when no thread is being created. Control thread.
Result<void> drop_privileges(std::span<const int> keep);

// The effective capabilities of a thread of this process (0: the caller) as hexadecimal, from
// /proc; "0000000000000000" when it has none. For status and tests.
[[nodiscard]] std::string effective_capabilities(int thread_id = 0);

}  // namespace weir
